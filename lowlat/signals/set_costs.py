"""What a share of a set costs to take, and to undo. Used by ``arbitrage``."""

from array import array
from typing import Final

from lowlat.book._view import BookView
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._arbitrage import Leg

__all__ = ["cost_table", "unwind_cost_e6"]

_PRICES: Final = ONE_E4 + 1


def cost_table(rate_e6: int, exponent: int) -> "array[int]":
    """Return what one share costs with its taker fee, 1e-6 dollar, for every price."""
    table = array("q", bytes(8 * _PRICES))
    scale = E4 ** (2 * exponent)
    for price_e4 in range(_PRICES):
        spread = (price_e4 * (ONE_E4 - price_e4)) ** exponent
        table[price_e4] = price_e4 * 100 - (-rate_e6 * spread // scale)
    return table


def unwind_cost_e6(leg: Leg, view: BookView, outcome: int) -> int:
    """Return what undoing one share costs: the spread, and the fee twice. Source: feeds.md 6.1."""
    ask_e4 = view.best_ask_e4(outcome)
    bid_e4 = max(0, view.best_bid_e4(outcome))
    if ask_e4 <= 0:
        return E6
    return max(0, ask_e4 - bid_e4) * 100 + 2 * (leg.costs[ask_e4] - ask_e4 * 100)
