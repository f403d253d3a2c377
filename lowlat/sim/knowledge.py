"""How much takers know: enough that who is taken from earns a stated share of nothing. Pure.

After Glosten and Milgrom (1985, Journal of Financial Economics 14): a maker who earns nothing asks
what a share is worth given that somebody buys it. Here the book is given and the flow is made to
fit it. With the hidden chance f, the best bid b and ask a, and r(p) the maker's rebate of a share,
a fill earns as long as nobody knows anything::

    up = a + r(a) - f        when a taker buys YES
    down = f - b + r(b)      when a taker sells YES

``adverse`` is the share of it that knowledge takes back: after a purchase the chance rises by
``adverse * up`` on average, after a sale it falls by ``adverse * down``. It stays a fair game when
purchases come with the chance ``down / (up + down)``, since ``down * up = up * down``. So at
``adverse`` 1 a fill earns exactly nothing, given all that anybody saw before it, whoever was hit,
at whatever price that was the best: no way to place, move or cancel quotes earns anything, and
a quote that is behind the chance (``up`` or ``down`` below 0) is taken and loses.

A share ``knows`` of the takers makes the move, so it is ``1 / knows`` times as far; a move never
takes more than ``REACH`` of what is left to 0 or 1. A book so wide that even all takers together
could not know enough has no takers: they would be a gift.
"""

from random import Random
from typing import Final, NamedTuple

from lowlat.core.units import ONE_E4
from lowlat.sim.catalog import Rules

__all__ = ["REACH", "Odds", "draw_move", "maker_gain", "odds_of"]

REACH: Final = 0.8
E8: Final = ONE_E4 * ONE_E4


class Odds(NamedTuple):
    """What the next taker of a book does, and what it says about the chance of YES."""

    buys: float
    """Chance that it buys YES, else it sells YES."""
    up: float
    """Mean rise of the chance after a purchase."""
    down: float
    """Mean fall of it after a sale."""


def maker_gain(rules: Rules, chance: float, yes_e4: int, *, is_bid: bool) -> float:
    """Return what a fill at a price earns a maker, rebate included, if nobody knows anything."""
    rate = rules.fee_rate_e4 / ONE_E4
    rebate = rules.rebate * rate * yes_e4 * (ONE_E4 - yes_e4) / E8
    away = chance - yes_e4 / ONE_E4
    return rebate + (away if is_bid else -away)


def odds_of(rules: Rules, chance: float, bid_e4: int, ask_e4: int, adverse: float) -> Odds | None:
    """Return what the next taker does; None when nobody comes to so wide a book."""
    up = maker_gain(rules, chance, ask_e4, is_bid=False)
    down = maker_gain(rules, chance, bid_e4, is_bid=True)
    if up <= 0.0:
        return Odds(1.0, 0.0, 0.0)
    if down <= 0.0:
        return Odds(0.0, 0.0, 0.0)
    odds = Odds(down / (up + down), adverse * up, adverse * down)
    return None if odds.up > REACH * (1.0 - chance) or odds.down > REACH * chance else odds


def draw_move(odds: Odds, chance: float, knows: float, rng: Random, *, buys: bool) -> float:
    """Return how far the chance moves after a taker, 0 when it was one who knew nothing."""
    mean, room = (odds.up, 1.0 - chance) if buys else (odds.down, chance)
    if mean <= 0.0:
        return 0.0
    size = min(mean / knows, REACH * room)
    if rng.random() >= mean / size:
        return 0.0
    return size if buys else -size
