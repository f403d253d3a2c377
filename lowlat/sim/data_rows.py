"""Rows of the indexer's answers. Pure.

Source: polymarket.md 11.2; field by field the models of polymarket-client 0.14.0.
"""

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
    "percent",
    "position",
    "profile",
    "pseudonym",
    "trade",
]

NS: Final = 1_000_000_000
NO_OUTCOME: Final = 999


class Position:
    """What one wallet holds of one token."""

    __slots__ = ("market", "mergeable", "outcome", "price_e4", "size_e6", "stake", "wallet")

    STATUSES: Final = ("", "OPEN", "REDEEMABLE", "REDEEMABLE_LOST", "MERGEABLE", "CLOSED")

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
        """Return OPEN, REDEEMABLE (lost ones too) or CLOSED."""
        if not self.size_e6:
            return "CLOSED"
        return "OPEN" if self.market.winner is None else "REDEEMABLE"

    def is_a(self, wanted: str) -> bool:
        """Say whether it is listed under a status; two of them are narrower than what it says."""
        if wanted == "REDEEMABLE_LOST":
            return self.status == "REDEEMABLE" and self.market.winner != self.outcome
        if wanted == "MERGEABLE":
            return self.status == "OPEN" and self.mergeable
        return self.status == wanted

    @property
    def value_e6(self) -> int:
        """Return what it is worth at the last price."""
        return self.size_e6 * self.price_e4 // ONE_E4

    @property
    def cost_e6(self) -> int:
        """Return what the indexer knows was paid for it."""
        return 0 if self.stake is None else self.stake.cost_e6

    @property
    def realized_e6(self) -> int:
        """Return what it has brought so far."""
        return 0 if self.stake is None else self.stake.realized_e6

    @property
    def gained_e6(self) -> int:
        """Return what is left of it is worth above its cost."""
        return self.value_e6 - self.cost_e6

    @property
    def bought_e6(self) -> int:
        """Return all shares ever bought."""
        return self.size_e6 if self.stake is None else self.stake.bought_e6

    @property
    def average(self) -> float:
        """Return the average price paid, of a closed position over all that was bought."""
        stake = self.stake
        if stake is None or not stake.bought_e6:
            return 0.0
        if stake.size_e6:
            return stake.cost_e6 / stake.size_e6
        return stake.spent_e6 / stake.bought_e6


def trade(deed: Deed) -> dict[str, Any]:
    """Return a row of /v2/trades."""
    market, outcome = deed.market, deed.outcome
    known = outcome >= 0
    return {
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
        "icon": "",
        **profile(deed.wallet),
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
        "total_size": format_fixed(row.bought_e6, 6),
        "realized_pnl": row.realized_e6 / 1e6,
        "unrealized_pnl": row.gained_e6 / 1e6,
        "total_pnl": (row.realized_e6 + row.gained_e6) / 1e6,
        "percent_pnl": percent(row.gained_e6, row.cost_e6),
        "percent_realized_pnl": percent(row.realized_e6, row.cost_e6),
        "status": row.status,
        "redeemable": row.is_a("REDEEMABLE"),
        "mergeable": row.mergeable,
        "archived": False,
        "verified": False,
        "negative_risk": market.rules.neg_risk,
        "outcome": market.outcomes[outcome],
        "outcome_index": outcome,
        "opposite_outcome": market.outcomes[1 - outcome],
        "opposite_token_id": market.tokens[1 - outcome],
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "event_id": market.event.id,
        "event_slug": market.event.slug,
        "name": "",
        "profile_image": "",
        "end_date": iso(market.end_ns)[:10] if market.end_ns else "",
        "first_entry_at": 0 if stake is None else stake.first_ns // NS,
        "last_event_at": 0 if stake is None else stake.last_ns // NS,
    }


def holders(token: str, held: list[Position], *, with_profit: bool) -> dict[str, Any]:
    """Return a row of /v2/holders: who holds a token, most first."""
    return {"token_id": token, "holders": [_holder(row, with_profit=with_profit) for row in held]}


def _holder(row: Position, *, with_profit: bool) -> dict[str, Any]:
    value = {
        "token_id": row.market.tokens[row.outcome],
        "amount": format_fixed(row.size_e6, 6),
        "outcome_index": row.outcome,
        "display_username_public": True,
        "verified": False,
        **profile(row.wallet),
    }
    if with_profit:
        full = position(row)
        names = ("avg_price", "entry_cost_usdc", "current_price", "current_value")
        profits = ("realized_pnl", "unrealized_pnl", "total_pnl")
        value |= {name: full[name] for name in (*names, *profits)}
    return value


def percent(part_e6: int, whole_e6: int) -> float:
    """Return a share in percent, 0 of nothing."""
    return 100 * part_e6 / whole_e6 if whole_e6 else 0.0


def profile(wallet: str) -> dict[str, Any]:
    """Return who a wallet is: nobody has a name, everybody a pseudonym."""
    return {
        "proxy_wallet": wallet,
        "name": "",
        "pseudonym": pseudonym(wallet),
        "bio": "",
        "profile_image": "",
        "profile_image_optimized": "",
    }


def pseudonym(wallet: str) -> str:
    """Return the name the service gives who has none."""
    return f"Quiet-Trader-{wallet[2:8]}"
