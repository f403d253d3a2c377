"""What a share of a set costs to take, and to undo, and a set in words. Used by ``arbitrage``."""

from array import array
from typing import Any, Final

from lowlat.book._view import BookView
from lowlat.core.signal import Signal
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._arbitrage import Leg

__all__ = ["cost_table", "set_words", "unwind_cost_e6"]

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


def set_words(signal: Signal) -> list[str]:
    """Tell what the set costs and pays, what missing a leg takes of it, and what this leg is."""
    told: dict[str, Any] = signal.metadata
    sets = signal.size_suggestion / E6
    pays = sets * told["payout_e4"] / E4
    cost, fees = told["cost_e6"] / E6, told["fees_e6"] / E6
    least = "at least " if told.get("nested") else ""
    profit = pays - cost - fees
    words = [
        (
            f"{sets:g} sets of {signal.legs} legs pay {least}{pays:.4f} and cost {cost:.4f} "
            f"with {fees:.4f} fees: {profit:.4f} before leg risk"
        )
    ]
    this = f"this is leg {signal.leg + 1}: {sets:g} shares up to {signal.limit_price_e4 / E4:g}"
    value = signal.expected_value * signal.legs
    if "rests_e4" in told:
        undo, miss = told["undo_e6"] / E6, told["miss_ppm"] / E6
        return [
            *words,
            (
                f"leg 1 rests at {told['rests_e4'] / E4:g}, the others are taken when it is "
                f"filled; undoing it costs {undo:.4f} a share"
            ),
            (
                f"worth {1 - miss:.0%} of {profit:.4f} less {miss:.0%} of {undo * sets:.4f}: "
                f"{value:.4f}, {signal.expected_value:.4f} a leg"
            ),
            this,
        ]
    miss = 1.0 - signal.confidence
    if miss > 0.0:
        undo = (profit - value) / sets / miss
        words.append(
            f"a leg is missed by {miss:.0%} of the sets, undoing the dearest costs {undo:.4f} a "
            f"share: {profit - value:.4f}"
        )
    return [
        *words,
        f"worth {value:.4f}, {signal.expected_value:.4f} a leg",
        f"{this}, {told['depth_e6'] / E6:g} were offered there",
    ]
