"""Rows of the indexer's answers, new and old. Pure. Source: polymarket.md 11.2."""

from typing import Any, Final

from lowlat.core.units import ONE_E4, format_fixed
from lowlat.sim.catalog import Market, iso
from lowlat.sim.indexer import Deed, Stake, last_price_e4
from lowlat.sim.rewards import Income

__all__ = [
    "Position",
    "activity",
    "holders",
    "income",
    "leader",
    "old_activity",
    "old_position",
    "old_trade",
    "position",
    "trade",
]

NS: Final = 1_000_000_000
NO_OUTCOME: Final = 999


class Position:
    """What one wallet holds of one token."""

    __slots__ = ("market", "mergeable", "outcome", "price_e4", "size_e6", "stake", "wallet")

    def __init__(self, wallet: str, market: Market, outcome: int, size_e6: int) -> None:
        self.wallet = wallet
        self.market = market
        self.outcome = outcome
        self.size_e6 = size_e6
        self.stake: Stake | None = None
        self.mergeable = False
        self.price_e4 = last_price_e4(market, outcome)

    @property
    def status(self) -> str:
        """Return OPEN, REDEEMABLE, REDEEMABLE_LOST or MERGEABLE."""
        if self.market.winner is not None:
            return "REDEEMABLE" if self.market.winner == self.outcome else "REDEEMABLE_LOST"
        return "MERGEABLE" if self.mergeable else "OPEN"

    @property
    def value_e6(self) -> int:
        """Return what it is worth at the last price."""
        return self.size_e6 * self.price_e4 // ONE_E4

    @property
    def cost_e6(self) -> int:
        """Return what the indexer knows was paid for it."""
        return 0 if self.stake is None else self.stake.cost_e6

    @property
    def average(self) -> float:
        """Return the average price paid."""
        size_e6 = 0 if self.stake is None else self.stake.size_e6
        return self.cost_e6 / size_e6 if size_e6 else 0.0


def trade(deed: Deed) -> dict[str, Any]:
    """Return a row of /v2/trades."""
    market, outcome = deed.market, deed.outcome
    known = outcome >= 0
    return {
        "proxy_wallet": deed.wallet,
        "token_id": market.tokens[outcome] if known else "",
        "condition_id": market.condition_id,
        "side": deed.side,
        "size": format_fixed(deed.size_e6, 6),
        "price": format_fixed(deed.price_e4, 4),
        "timestamp": deed.at_ns // NS,
        "transaction_hash": deed.transaction,
        "title": market.question,
        "slug": market.slug,
        "event_slug": market.event.slug,
        "outcome": market.outcomes[outcome] if known else "",
        "outcome_index": outcome if known else NO_OUTCOME,
        "name": "",
        "pseudonym": _pseudonym(deed.wallet),
    }


def activity(deed: Deed) -> dict[str, Any]:
    """Return a row of /v2/activity."""
    return trade(deed) | {
        "type": deed.kind,
        "usdc_size": format_fixed(deed.cash_e6, 6),
        "is_combo": False,
    }


def income(paid: Income, market: Market) -> Deed:
    """Return a reward or rebate as a deed."""
    return Deed(
        0,
        paid.kind,
        paid.wallet,
        market,
        -1,
        "",
        0,
        paid.amount_e6,
        0,
        paid.paid_ns,
        paid.transaction_hash,
        False,
    )


def position(row: Position) -> dict[str, Any]:
    """Return a row of /v2/positions."""
    market, outcome, stake = row.market, row.outcome, row.stake
    realized_e6 = 0 if stake is None else stake.realized_e6
    gained_e6 = row.value_e6 - row.cost_e6
    return {
        "proxy_wallet": row.wallet,
        "token_id": market.tokens[outcome],
        "condition_id": market.condition_id,
        "current_size": format_fixed(row.size_e6, 6),
        "avg_price": f"{row.average:.6f}",
        "entry_cost_usdc": format_fixed(row.cost_e6, 6),
        "entry_fees_usdc": "0",
        "total_cost_usdc": format_fixed(row.cost_e6, 6),
        "current_price": format_fixed(row.price_e4, 4),
        "current_value": format_fixed(row.value_e6, 6),
        "total_size": format_fixed(row.size_e6 if stake is None else stake.bought_e6, 6),
        "realized_pnl": realized_e6 / 1e6,
        "unrealized_pnl": gained_e6 / 1e6,
        "total_pnl": (realized_e6 + gained_e6) / 1e6,
        "status": row.status,
        "redeemable": market.closed,
        "mergeable": row.mergeable,
        "negative_risk": market.rules.neg_risk,
        "outcome": market.outcomes[outcome],
        "outcome_index": outcome,
        "opposite_token_id": market.tokens[1 - outcome],
        "title": market.question,
        "slug": market.slug,
        "event_slug": market.event.slug,
        "end_date": iso(market.end_ns),
        "first_entry_at": 0 if stake is None else stake.first_ns // NS,
        "last_event_at": 0 if stake is None else stake.last_ns // NS,
    }


def holders(token: str, outcome: int, held: list[tuple[int, str]]) -> dict[str, Any]:
    """Return a row of /v2/holders: who holds a token, most first."""
    return {
        "token_id": token,
        "holders": [
            {
                "proxy_wallet": wallet,
                "token_id": token,
                "amount": format_fixed(size_e6, 6),
                "outcome_index": outcome,
                "name": "",
                "pseudonym": _pseudonym(wallet),
                "verified": False,
            }
            for size_e6, wallet in held
        ],
    }


def leader(rank: int, wallet: str, profit_e6: int, volume_e6: int, name: str) -> dict[str, Any]:
    """Return a row of /v2/leaderboard."""
    return {
        "rank": rank,
        "user_id": wallet,
        "user_name": name if name.startswith("whale") else _pseudonym(wallet),
        "pnl": profit_e6 / 1e6,
        "volume": volume_e6 / 1e6,
        "verified": False,
    }


# ------------------------------------------------------------------------------- old paths
def old_trade(deed: Deed) -> dict[str, Any]:
    """Return a row of /trades."""
    row = trade(deed)
    return {
        "proxyWallet": row["proxy_wallet"],
        "asset": row["token_id"],
        "conditionId": row["condition_id"],
        "side": row["side"],
        "size": deed.size_e6 / 1e6,
        "price": deed.price_e4 / ONE_E4,
        "timestamp": row["timestamp"],
        "transactionHash": row["transaction_hash"],
        "title": row["title"],
        "slug": row["slug"],
        "eventSlug": row["event_slug"],
        "outcome": row["outcome"],
        "outcomeIndex": row["outcome_index"],
        "name": "",
        "pseudonym": row["pseudonym"],
        "bio": "",
        "icon": "",
        "profileImage": "",
    }


def old_activity(deed: Deed) -> dict[str, Any]:
    """Return a row of /activity."""
    return old_trade(deed) | {"type": deed.kind, "usdcSize": deed.cash_e6 / 1e6}


def old_position(row: Position) -> dict[str, Any]:
    """Return a row of /positions."""
    market, outcome = row.market, row.outcome
    gained_e6 = row.value_e6 - row.cost_e6
    realized_e6 = 0 if row.stake is None else row.stake.realized_e6
    return {
        "proxyWallet": row.wallet,
        "asset": market.tokens[outcome],
        "conditionId": market.condition_id,
        "size": row.size_e6 / 1e6,
        "avgPrice": row.average,
        "initialValue": row.cost_e6 / 1e6,
        "currentValue": row.value_e6 / 1e6,
        "cashPnl": gained_e6 / 1e6,
        "percentPnl": 100 * gained_e6 / row.cost_e6 if row.cost_e6 else 0,
        "totalBought": (row.size_e6 if row.stake is None else row.stake.bought_e6) / 1e6,
        "realizedPnl": realized_e6 / 1e6,
        "curPrice": row.price_e4 / ONE_E4,
        "redeemable": market.closed,
        "mergeable": row.mergeable,
        "title": market.question,
        "slug": market.slug,
        "eventSlug": market.event.slug,
        "eventId": market.event.id,
        "outcome": market.outcomes[outcome],
        "outcomeIndex": outcome,
        "oppositeAsset": market.tokens[1 - outcome],
        "oppositeOutcome": market.outcomes[1 - outcome],
        "endDate": iso(market.end_ns)[:10],
        "negativeRisk": market.rules.neg_risk,
    }


def _pseudonym(wallet: str) -> str:
    return f"Quiet-Trader-{wallet[2:8]}"
