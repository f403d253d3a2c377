"""The indexer's service: trades, activity, positions, holders, and what else it answers. Pure.

Version 2 has envelopes, cursors and numeric text; the old paths still answer bare camelCase lists.
Source: polymarket.md 11.2, 12.4.
"""

import io
import zipfile
from collections.abc import Callable
from typing import Any, Final

from lowlat.sim import data_old as old
from lowlat.sim import data_rows as rows
from lowlat.sim.catalog import Event
from lowlat.sim.config import SimConfig
from lowlat.sim.data_markets import MarketReads
from lowlat.sim.data_query import (
    NS,
    RECENT_S,
    BadQuery,
    amount_e6,
    bare,
    choice,
    conditions_of,
    ids,
    number,
    page,
    passes,
    user_of,
    window,
)
from lowlat.sim.data_wallets import WalletReads
from lowlat.sim.exchange import Exchange
from lowlat.sim.history import History
from lowlat.sim.indexer import Deed, Indexer
from lowlat.sim.limits import DATA_LIMITS, IpLimits
from lowlat.sim.rewards import Rewards
from lowlat.sim.wire import Request, Respond, Response, failure, success

__all__ = ["DataApi"]

HOLDERS_MAX: Final = 1_000
HOLDERS_WITH_PROFIT_MAX: Final = 100
OLD_LEADERS: Final = {"timePeriod": "time_period", "orderBy": "sort_by"}
SORT_KEYS: Final[dict[str, Callable[[rows.Position], float]]] = {
    "CURRENT_VALUE": lambda row: row.value_e6,
    "PRICE": lambda row: row.price_e4,
    "TOKENS": lambda row: row.size_e6,
    "UNREALIZED_PNL": lambda row: row.gained_e6,
    "REALIZED_PNL": lambda row: row.realized_e6,
    "TOTAL_PNL": lambda row: row.realized_e6 + row.gained_e6,
    "TIMESTAMP": lambda row: 0 if row.stake is None else row.stake.last_ns,
}


class DataApi:
    """Answers of the indexer."""

    def __init__(
        self,
        config: SimConfig,
        exchange: Exchange,
        indexer: Indexer,
        rewards: Rewards,
        history: History,
        events: list[Event],
    ) -> None:
        self._exchange = exchange
        self._indexer = indexer
        self._rewards = rewards
        self._limits = IpLimits(DATA_LIMITS) if config.ip_limits else None
        self._wallets = WalletReads(exchange, indexer, rewards)
        self._routes: dict[str, Callable[[Request, int], Response]] = {
            "/": lambda *_: success({"data": "OK"}),
            "/v2/trades": lambda r, now: page(r, self._trades(r, now), rows.trade),
            "/v2/activity": lambda r, now: page(r, self._activity(r, now), rows.activity),
            "/v2/positions": lambda r, _: page(r, self._positions(r), rows.position),
            "/v2/holders": lambda r, _: page(r, self._holders(r), lambda row: row),
            "/v2/value": lambda r, _: success({"data": self._value(r, "proxy_wallet")}),
            # Nothing is combined here.
            **dict.fromkeys(
                ("/v2/positions/combos", "/v2/activity/combos"),
                lambda r, _: page(r, (), lambda row: row),
            ),
            "/v1/accounting/snapshot": self._snapshot,
            "/trades": lambda r, now: bare(r, self._trades(r, now), old.trade),
            "/activity": lambda r, now: bare(r, self._activity(r, now), old.activity),
            "/positions": lambda r, _: bare(r, self._positions(r), old.position),
            "/closed-positions": lambda r, _: bare(r, self._closed(r), old.closed_position),
            "/holders": lambda r, _: bare(r, self._holders(r), old.holders),
            "/value": lambda r, _: success([self._value(r, "user")]),
            "/v1/leaderboard": self._old_leaders,
            **self._wallets.routes,
            **MarketReads(exchange, indexer, history, events).routes,
        }

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        if self._limits is not None and not self._limits.take(request, now_ns):
            respond(failure(429, "rate limit exceeded", (("Retry-After", "10"),)))
            return
        route = self._routes.get(request.path) if request.method == "GET" else None
        if route is None:
            respond(failure(404, "not found"))
            return
        try:
            respond(route(request, now_ns))
        except BadQuery as error:
            respond(failure(400, str(error)))

    # ----------------------------------------------------------------------------- feeds
    def _trades(self, request: Request, now_ns: int) -> list[Deed]:
        """Select trades, newest first."""
        taker_only = request.arg("taker_only", request.arg("takerOnly", "true")) == "true"
        floor_e6 = amount_e6(request, "filter_amount", "0")
        by_cash = choice(request, "filter_type", ("CASH", "TOKENS"), "CASH") == "CASH"
        return [
            deed
            for deed in self._deeds(request, request.arg("user").lower(), now_ns)
            if deed.kind == "TRADE"
            and (deed.is_taker or not taker_only)
            and (deed.cash_e6 if by_cash else deed.size_e6) >= floor_e6
        ]

    def _activity(self, request: Request, now_ns: int) -> list[Deed]:
        """Select what a wallet did, newest first unless told otherwise."""
        kinds, user = ids(request, "type"), user_of(request)
        found = self._deeds(request, user, now_ns)
        since_ns, until_ns = window(request, now_ns)
        for income in self._rewards.paid:
            if income.wallet.lower() == user and since_ns <= income.paid_ns <= until_ns:
                found.append(rows.income(income, self._exchange.markets[income.market]))
        found = [deed for deed in found if not kinds or deed.kind in kinds]
        ascending = request.arg("sort_direction", request.arg("sortDirection")).upper() == "ASC"
        return sorted(found, key=lambda deed: (deed.at_ns, deed.number), reverse=not ascending)

    def _deeds(self, request: Request, user: str, now_ns: int) -> list[Deed]:
        wanted = passes(request)
        side = request.arg("side").upper()
        since_ns, until_ns = window(request, now_ns)
        found = []
        for deed in reversed(self._indexer.deeds):
            if deed.at_ns < since_ns - NS * RECENT_S:
                break
            if (
                since_ns <= deed.at_ns <= until_ns
                and (not user or deed.wallet.lower() == user)
                and (not side or deed.side == side)
                and wanted(deed.market)
            ):
                found.append(deed)
        return found

    # ----------------------------------------------------------------------------- positions
    def _positions(self, request: Request) -> list[rows.Position]:
        """Select what a wallet holds; what the chain says, with what the indexer knows of it."""
        user, wanted = request.arg("user").lower(), passes(request)
        if not user and len(conditions_of(request)) != 1:
            raise BadQuery("required query param 'user' not provided")
        status = choice(request, "status", rows.Position.STATUSES, "")
        if status in {"MERGEABLE", "REDEEMABLE_LOST"} and not user:
            raise BadQuery(f"{status} requires user")
        found = [
            row
            for wallet in ([user] if user else list(self._exchange.accounts.by_wallet))
            for row in self._of_wallet(wallet, closed=status == "CLOSED")
            if wanted(row.market) and (not status or row.is_a(status))
        ]
        return _arranged(request, found)

    def _of_wallet(self, wallet: str, *, closed: bool) -> list[rows.Position]:
        """Return what a wallet holds, or what it held once and gave away whole."""
        account = self._exchange.accounts.by_wallet.get(wallet)
        if account is None:
            return []
        stakes, held = self._indexer.stakes.get(wallet, {}), account.tokens_e6
        if closed:
            which = {i: 0 for i, stake in stakes.items() if stake.bought_e6 and not held.get(i)}
        else:
            which = {i: size_e6 for i, size_e6 in held.items() if size_e6}
        found = []
        for instrument, size_e6 in sorted(which.items()):
            market = self._exchange.markets[instrument // 2]
            row = rows.Position(wallet, market, instrument % 2, size_e6)
            row.stake = stakes.get(instrument)
            row.mergeable = not market.closed and bool(size_e6 and held.get(instrument ^ 1))
            found.append(row)
        return found

    def _closed(self, request: Request) -> list[rows.Position]:
        wanted, user = passes(request), user_of(request)
        found = [row for row in self._of_wallet(user, closed=True) if wanted(row.market)]
        return sorted(found, key=SORT_KEYS["REALIZED_PNL"], reverse=True)

    def _holders(self, request: Request) -> list[dict[str, Any]]:
        conditions = conditions_of(request)
        if not conditions:
            raise BadQuery("required query param 'condition_id' not provided")
        least_e6 = amount_e6(request, "min_balance", request.arg("minBalance", "1"))
        with_profit = request.arg("include_pnl") == "true"
        if with_profit and len(conditions) != 1:
            raise BadQuery("include_pnl requires exactly one condition_id")
        count = HOLDERS_WITH_PROFIT_MAX if with_profit else HOLDERS_MAX
        found = []
        for condition in sorted(conditions):
            market = self._exchange.conditions.get(condition)
            if market is None:
                continue
            for outcome, token in enumerate(market.tokens):
                instrument = 2 * market.index + outcome
                held = []
                for wallet, account in self._exchange.accounts.by_wallet.items():
                    size_e6 = account.tokens_e6.get(instrument, 0)
                    if size_e6 >= max(1, least_e6):
                        row = rows.Position(wallet, market, outcome, size_e6)
                        row.stake = self._indexer.stakes.get(wallet, {}).get(instrument)
                        held.append(row)
                held.sort(key=lambda row: (-row.size_e6, row.wallet))
                found.append(rows.holders(token, held[:count], with_profit=with_profit))
        return found

    def _value(self, request: Request, name: str) -> dict[str, Any]:
        user, wanted = user_of(request), passes(request)
        held = [row for row in self._of_wallet(user, closed=False) if wanted(row.market)]
        return {name: user, "value": sum(row.value_e6 for row in held) / 1e6}

    # ----------------------------------------------------------------------------- others
    def _old_leaders(self, request: Request, now_ns: int) -> Response:
        """Answer /v1/leaderboard: other names, other words, the same figures."""
        by = choice(request, "orderBy", ("PNL", "VOL"), "PNL")
        query = {OLD_LEADERS.get(name, name): values for name, values in request.query.items()}
        figures = self._wallets.figures(request._replace(query=query), now_ns)
        key = "pnl" if by == "PNL" else "volume"
        figures.sort(key=lambda row: (-row[key], row["user_id"]))
        user = request.arg("user").lower()
        ranked = [{"rank": rank, **row} for rank, row in enumerate(figures, 1)]
        ranked = [row for row in ranked if not user or row["user_id"] == user]
        return bare(request, ranked, old.leader)

    def _snapshot(self, request: Request, now_ns: int) -> Response:
        """Return an archive of two tables: what a wallet holds, what it is worth."""
        user = user_of(request)
        held = self._of_wallet(user, closed=False)
        lines = ["conditionId,asset,size,curPrice,valuationTime"]
        for row in held:
            asset, price = row.market.tokens[row.outcome], row.price_e4 / 10_000
            size, seconds = row.size_e6 / 1e6, now_ns // NS
            lines.append(f"{row.market.condition_id},{asset},{size},{price},{seconds}")
        account = self._exchange.accounts.by_wallet.get(user)
        cash_e6 = 0 if account is None else account.cash_e6
        value_e6 = sum(row.value_e6 for row in held)
        equity = ["cashBalance,positionsValue,equity,valuationTime"]
        total_e6 = cash_e6 + value_e6
        equity.append(f"{cash_e6 / 1e6},{value_e6 / 1e6},{total_e6 / 1e6},{now_ns // NS}")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("positions.csv", "\n".join(lines) + "\n")
            files.writestr("equity.csv", "\n".join(equity) + "\n")
        return Response(200, archive.getvalue())


def _arranged(request: Request, found: list[rows.Position]) -> list[rows.Position]:
    """Filter positions by title and amount, and sort them."""
    title = request.arg("title").lower()
    floor_e6 = amount_e6(request, "filter_amount", "0")
    floor_e6 = max(floor_e6, amount_e6(request, "sizeThreshold", "0"))
    by_cash = choice(request, "filter_type", ("CASH", "TOKENS"), "TOKENS") == "CASH"
    since_ns, until_s = number(request, "start", 0) * NS, number(request, "end", 0)
    redeemable, mergeable = (request.arg(name) == "true" for name in ("redeemable", "mergeable"))
    kept = [
        row
        for row in found
        if title in row.market.question.lower()
        and (row.is_a("REDEEMABLE") or not redeemable)
        and (row.is_a("MERGEABLE") or not mergeable)
        and (row.value_e6 if by_cash else row.size_e6) >= floor_e6
        and (not since_ns or SORT_KEYS["TIMESTAMP"](row) >= since_ns)
        and (not until_s or SORT_KEYS["TIMESTAMP"](row) <= until_s * NS)
    ]
    name = choice(request, "sort_by", ("", *SORT_KEYS), "")
    if not name:
        return kept
    descending = request.arg("sort_direction", "DESC").upper() != "ASC"
    return sorted(kept, key=SORT_KEYS[name], reverse=descending)
