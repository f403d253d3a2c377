"""What the indexer says of wallets as a whole: worth, statistics, profit by hour, ranks. Pure.

Profits of a day, week or month begin at what was realized before it, to the hour. Volumes are
shares, as the vendor's client documents them. Source: polymarket.md 11.2.
"""

from collections.abc import Callable
from typing import Any, Final

from lowlat.core.units import format_fixed
from lowlat.sim.contracts import ERC20_SPENDERS, ERC1155_OPERATORS, PUSD
from lowlat.sim.data_query import NS, choice, page, user_of, window
from lowlat.sim.data_rows import pseudonym
from lowlat.sim.exchange import Exchange
from lowlat.sim.indexer import Indexer, Point, Record
from lowlat.sim.rewards import Rewards
from lowlat.sim.verify import checksum_address
from lowlat.sim.wire import Request, Response, success

__all__ = ["WalletReads"]

BLOCK_NS: Final = 2 * NS
"""Blocks are numbered by the time: one each two seconds."""
DAY_S: Final = 86_400
PERIODS_S: Final = {"day": DAY_S, "week": 7 * DAY_S, "month": 30 * DAY_S, "all": 0}
INTERVALS_S: Final = {
    "max": 0,
    "all": 0,
    "1m": 30 * DAY_S,
    "1w": 7 * DAY_S,
    "1d": DAY_S,
    "12h": DAY_S // 2,
    "6h": DAY_S // 4,
}
FIDELITIES_S: Final = {"1h": 3_600, "3h": 10_800, "12h": 43_200, "18h": 64_800, "1d": DAY_S}
LARGE: Final = 2**255


class WalletReads:
    """Answers about wallets."""

    def __init__(self, exchange: Exchange, indexer: Indexer, rewards: Rewards) -> None:
        self._exchange = exchange
        self._indexer = indexer
        self._rewards = rewards
        self.routes: dict[str, Callable[[Request, int], Response]] = {
            "/v2/user-stats": self._stats,
            "/v2/user-pnl": self._profits,
            "/v2/user-volume": self._volume,
            "/v2/leaderboard": self._leaderboard,
            "/v2/biggest-winners": self._winners,
            "/v2/approvals": self._approvals,
            "/traded": self._traded,
        }

    # ----------------------------------------------------------------------------- one wallet
    def _stats(self, request: Request, now_ns: int) -> Response:
        user = user_of(request)
        record = self._indexer.records.get(user)
        if record is None:
            return success({"data": None})
        wins = [win.paid_e6 - win.cost_e6 for win in self._indexer.wins if win.wallet == user]
        value = {
            "proxy_wallet": user,
            "trades": len(record.markets),
            "biggest_win": format_fixed(max(wins, default=0), 6),
            "views": 0,
            "join_date": record.first_ns // NS,
            "all_time_pnl": self._point(user, _last(record, now_ns), with_open=True),
        }
        return success({"data": value})

    def _profits(self, request: Request, now_ns: int) -> Response:
        user = user_of(request)
        interval = choice(request, "interval", tuple(INTERVALS_S), "all")
        fidelity = choice(request, "fidelity", tuple(FIDELITIES_S), "1h")
        length_s, step_ns = INTERVALS_S[interval], FIDELITIES_S[fidelity] * NS
        record = self._indexer.records.get(user)
        points = [] if record is None else [*record.points[:-1], _last(record, now_ns)]
        since_ns = now_ns - length_s * NS if length_s else 0
        kept = {point.at_ns // step_ns: point for point in points if point.at_ns >= since_ns}
        rows = list(kept.values())
        value = {
            "proxy_wallet": user,
            "interval": interval,
            "fidelity": fidelity,
            "source_fidelity": "1h",
            "points": [self._point(user, row, with_open=row is rows[-1]) for row in rows],
        }
        return success({"data": value})

    def _point(self, user: str, point: Point, *, with_open: bool) -> dict[str, Any]:
        """Return totals; what open positions gained is known for now only."""
        realized = _money(point.realized_e6)
        paid = {"MAKER_REBATE": 0, "REWARD": 0}
        for each in self._rewards.paid:
            if each.wallet.lower() == user and each.paid_ns <= point.at_ns and each.kind in paid:
                paid[each.kind] += each.amount_e6
        value = {
            "timestamp": point.at_ns // NS,
            "source_block": point.at_ns // BLOCK_NS,
            "trade_count": point.trades,
            "realized_market_pnl": realized,
            "realized_lp_pnl": "0",
            "realized_combo_pnl": "0",
            "realized_pnl": realized,
            "volume": _money(point.shares_e6),
            "volume_usdc": _money(point.cash_e6),
            "maker_rebate": _money(paid["MAKER_REBATE"]),
            "reward_income": _money(paid["REWARD"]),
        }
        if with_open:
            value["unrealized_pnl"] = _money(self._indexer.profit_e6(user) - point.realized_e6)
        return value

    def _volume(self, request: Request, now_ns: int) -> Response:
        user = user_of(request)
        since_ns, until_ns = window(request, now_ns)
        deeds = [
            deed
            for deed in self._indexer.deeds
            if deed.kind == "TRADE"
            and deed.wallet.lower() == user
            and since_ns <= deed.at_ns <= until_ns
        ]
        value = {
            "volume": _money(sum(deed.size_e6 for deed in deeds)),
            "volume_usdc": _money(sum(deed.cash_e6 for deed in deeds)),
            "trade_count": len(deeds),
        }
        return success({"data": value})

    def _traded(self, request: Request, now_ns: int) -> Response:
        del now_ns
        user = user_of(request)
        record = self._indexer.records.get(user)
        return success({"user": user, "traded": 0 if record is None else len(record.markets)})

    def _approvals(self, request: Request, now_ns: int) -> Response:
        """List who may move what of a wallet. A row each of what the vendor's client asks for."""
        del now_ns
        user = user_of(request)
        account = self._exchange.accounts.by_wallet.get(user)
        rows = []
        for standard, token, spender in (
            *(("ERC20", PUSD, spender) for spender in ERC20_SPENDERS),
            *(("ERC1155", token, spender) for token, spender in ERC1155_OPERATORS),
        ):
            allowed = 0 if account is None else account.allowance_e6(token, spender)
            row: dict[str, Any] = {"token": token, "spender": spender, "standard": standard}
            row["approved"] = allowed > 0
            if standard == "ERC20":
                row["amount"] = "max" if allowed >= LARGE else str(allowed)
            rows.append(row)
        chain_id = self._exchange.config.chain_id
        value = {"address": checksum_address(user), "chain_id": chain_id, "contracts": rows}
        return success({"data": value})

    # ----------------------------------------------------------------------------- ranks
    def _leaderboard(self, request: Request, now_ns: int) -> Response:
        """Rank all wallets, or say where one stands."""
        user = request.arg("user").lower()
        by = choice(request, "sort_by", ("PNL", "VOLUME"), "PNL")
        figures = self.figures(request, now_ns)
        ranked = sorted(figures, key=lambda row: (-row[by.lower()], row["user_id"]))
        if not user:
            rows = [{"rank": rank, **row} for rank, row in enumerate(ranked, 1)]
            return page(request, rows, lambda row: row)
        mine = next((row for row in figures if row["user_id"] == user), None)
        if mine is None:
            return success({"data": None})
        ranks = {
            f"rank_{key}": 1 + sum(row[key] > mine[key] for row in figures)
            for key in ("pnl", "volume")
        }
        return success({"data": mine | ranks})

    def figures(self, request: Request, now_ns: int) -> list[dict[str, Any]]:
        """Return profit and volume of every wallet within a period and a category."""
        indexer = self._indexer
        period = choice(request, "time_period", tuple(PERIODS_S), "all")
        since_ns = now_ns - PERIODS_S[period] * NS if PERIODS_S[period] else 0
        category = request.arg("category").lower()
        category = "" if category == "overall" else category
        shares_e6: dict[str, int] = {}
        for deed in indexer.deeds:
            if (
                deed.kind == "TRADE"
                and deed.at_ns >= since_ns
                and category in {"", deed.market.rules.category.lower()}
            ):
                wallet = deed.wallet.lower()
                shares_e6[wallet] = shares_e6.get(wallet, 0) + deed.size_e6
        names = {wallet: each.owner for wallet, each in self._exchange.accounts.by_wallet.items()}
        rows = []
        for wallet, record in indexer.records.items():
            if wallet not in shares_e6:
                continue
            before_e6 = record.realized_before_e6(since_ns) if not category else 0
            name = names.get(wallet, "")
            rows.append(
                {
                    "user_id": wallet,
                    "user_name": name if name.startswith("whale") else pseudonym(wallet),
                    "pnl": (indexer.profit_e6(wallet, category) - before_e6) / 1e6,
                    "volume": shares_e6[wallet] / 1e6,
                    "profile_image": "",
                    "x_username": "",
                    "verified": False,
                }
            )
        return rows

    def _winners(self, request: Request, now_ns: int) -> Response:
        period = choice(request, "time_period", tuple(PERIODS_S), "all")
        since_ns = now_ns - PERIODS_S[period] * NS if PERIODS_S[period] else 0
        category = request.arg("category").lower()
        wins = [
            win
            for win in self._indexer.wins
            if win.at_ns >= since_ns and category in {"", win.market.rules.category.lower()}
        ]
        wins.sort(key=lambda win: win.paid_e6 - win.cost_e6, reverse=True)
        rows = [
            {
                "win_rank": rank,
                "user_id": win.wallet,
                "user_name": pseudonym(win.wallet),
                "profile_image": "",
                "pnl": _money(win.paid_e6 - win.cost_e6),
                "initial_value": _money(win.cost_e6),
                "final_value": _money(win.paid_e6),
                "resolved_at": win.at_ns // NS,
                "kind": "market",
                "condition_id": win.market.condition_id,
                "position_id": win.market.tokens[win.outcome],
                "event_id": win.market.event.id,
                "event_slug": win.market.event.slug,
                "event_title": win.market.event.title,
            }
            for rank, win in enumerate(wins, 1)
        ]
        return page(request, rows, lambda row: row)


def _last(record: Record, now_ns: int) -> Point:
    return record.points[-1]._replace(at_ns=now_ns)


def _money(amount_e6: int) -> str:
    sign = "-" if amount_e6 < 0 else ""
    return sign + format_fixed(abs(amount_e6), 6)
