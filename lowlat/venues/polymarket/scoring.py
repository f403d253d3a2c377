"""Liquidity rewards: how the venue scores resting quotes. Pure; sizes 1e-6, distances 1e-4.

An order of b shares at distance s from the adjusted mid scores ``((v - s) / v) ** 2 * b``, v the
market's widest spread; nothing at or beyond v or below the least size. Bids on YES with asks on NO
are side one, the reverse side two. With the mid in [0.10, 0.90] a maker's score is
``max(min(Q1, Q2), max(Q1, Q2) / 3)``, outside of it ``min(Q1, Q2)``. Samples are taken about once a
minute and normalised over all makers. Source: polymarket.md 7.4; feeds.md 6.8 (worked example).
"""

from collections.abc import Iterable
from typing import Final

__all__ = ["maker_score", "order_score", "side_score"]

ONE_SIDED_DIVISOR: Final = 3.0
BOTH_FROM_E4: Final = 1_000
BOTH_TO_E4: Final = 9_000


def order_score(distance_e4: float, shares: float, spread_e4: int) -> float:
    """Return the score of one order."""
    if spread_e4 <= 0 or not 0.0 <= distance_e4 < spread_e4:
        return 0.0
    return ((spread_e4 - distance_e4) / spread_e4) ** 2 * shares


def side_score(
    levels: Iterable[tuple[int, int]], mid_e4: float, spread_e4: int, least_e6: int
) -> float:
    """Return the score of one side's (price_e4, size_e6) levels around the mid."""
    return sum(
        order_score(abs(price_e4 - mid_e4), size_e6 / 1e6, spread_e4)
        for price_e4, size_e6 in levels
        if size_e6 >= least_e6
    )


def maker_score(one: float, two: float, mid_e4: float) -> float:
    """Return what both sides of a maker count together."""
    if BOTH_FROM_E4 <= mid_e4 <= BOTH_TO_E4:
        return max(min(one, two), max(one, two) / ONE_SIDED_DIVISOR)
    return min(one, two)
