"""Limits as an outsider checks them: from the tables as they stand when an order leaves.

Nothing of risk is used: what is held, what may still fill and what it cost are added up anew.
Source of the rules: design 8; a SELL takes no cash, and an unwinding may go beyond any of them.
"""

from collections.abc import Iterable
from typing import Final

from lowlat.core.layout import Action, IntentFlag, OrderRow, OrderState, PositionRow
from lowlat.core.units import E6, ONE_E4
from lowlat.risk.limits import LimitsParams

__all__ = ["excess"]

_OPEN: Final = frozenset(
    {
        OrderState.SENDING,
        OrderState.LIVE,
        OrderState.DELAYED,
        OrderState.UNKNOWN,
    }
)
_PPM: Final = 1_000_000
_SLACK_E6: Final = E6
"""Fees and prices of what fills differ by less from what was counted for it."""


def excess(
    leaving: OrderRow,
    orders: Iterable[OrderRow],
    positions: Iterable[PositionRow],
    limits: LimitsParams,
    bankroll_e6: int,
) -> str:
    """Say which limit the order that leaves is over, counting everything in flight as filled."""
    if leaving.order_flags & IntentFlag.UNWIND or leaving.action != Action.BUY:
        return ""
    flying = [row for row in orders if row.state in _OPEN]
    held = list(positions)
    market = leaving.instrument >> 1
    compared = (
        ("dollars of an order", _notional_e6(leaving), limits.order_notional_e6_max),
        ("shares of an order", leaving.size_e6, limits.order_shares_e6_max),
        ("open orders", len(flying), limits.open_orders_max),
        (
            f"what market {market} may lose",
            _loss_e6(market, flying, held),
            bankroll_e6 * limits.market_loss_max_ppm // _PPM + _SLACK_E6,
        ),
        (
            "cash locked",
            sum(row.cost_e6 for row in held if row.size_e6) + _reserved_e6(flying),
            bankroll_e6 * limits.cash_locked_max_ppm // _PPM + _SLACK_E6,
        ),
    )
    return next(
        (f"{what}: {was}, allowed {most}" for what, was, most in compared if was > most), ""
    )


def _notional_e6(order: OrderRow) -> int:
    return order.price_e4 * order.size_e6 // ONE_E4


def _reserved_e6(orders: Iterable[OrderRow]) -> int:
    return sum(row.reserved_e6 for row in orders)


def _loss_e6(market: int, flying: Iterable[OrderRow], held: Iterable[PositionRow]) -> int:
    """Return what a market may lose: whichever side wins, a pair pays a dollar."""
    here = [row for row in held if row.instrument >> 1 == market]
    shares_e6 = {row.instrument & 1: row.size_e6 for row in here}
    pairs_e6 = min(shares_e6.get(0, 0), shares_e6.get(1, 0))
    flying_e6 = _reserved_e6(row for row in flying if row.instrument >> 1 == market)
    return max(0, sum(row.cost_e6 for row in here) - pairs_e6) + flying_e6
