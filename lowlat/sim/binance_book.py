"""The generated book of one coin on the spot exchange: a grid around the price, its changes. Pure.

One update id counts all changes. Source: feeds.md 1.3, 1.4.
"""

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Final

from lowlat.core.units import E8
from lowlat.sim.spot import SpotPath
from lowlat.sim.turnover import Turnover

__all__ = ["Book", "Levels", "e8"]

CENT_E8: Final = 1_000_000
LEVELS: Final = 20
TRADES_KEPT: Final = 1_000

Levels = Sequence[tuple[int, int]]


class Book:
    """Levels of one coin around its price, with the changes since the last diff."""

    def __init__(self, spot: SpotPath, rng: Random) -> None:
        self.symbol = f"{spot.coin}USDT"
        self.update_id = rng.randrange(10**9, 10**10)
        self.flushed_id = self._slow_id = self.update_id
        self._slow: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.trade_id = self.first_trade_id = rng.randrange(10**8, 10**9)
        """Of the last trade, and of the one before the first."""
        self.turnover = Turnover()
        self.trades: deque[tuple[int, int, int, int, bool]] = deque(maxlen=TRADES_KEPT)
        """(id, time, price, size, whether the buyer made) of the last trades."""
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.changes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._gap_e8 = max(CENT_E8, spot.price_e8 // 100_000 // CENT_E8 * CENT_E8)
        self._rng = rng
        self.follow(spot.price_e8)

    def follow(self, price_e8: int) -> None:
        """Move the book to a price: the bid there, the ask a cent above, a grid behind both."""
        for side, top_e8, step_e8 in (
            (0, price_e8, -self._gap_e8),
            (1, price_e8 + CENT_E8, self._gap_e8),
        ):
            first = top_e8 // self._gap_e8 * self._gap_e8 + (step_e8 if side else 0)
            if first == top_e8:
                first += step_e8
            wanted = {top_e8, *(first + step_e8 * i for i in range(LEVELS - 1))}
            levels, changes = self.sides[side], self.changes[side]
            for price in [p for p in levels if p not in wanted]:
                del levels[price]
                changes[price] = 0
            for price in sorted(wanted):
                if price not in levels or price == top_e8:
                    levels[price] = changes[price] = self._rng.randrange(1, 400) * 10**6
        self.update_id += 1

    def top(self, side: int) -> tuple[int, int]:
        """Return best price and quantity of a side."""
        levels = self.sides[side]
        price = min(levels) if side else max(levels)
        return price, levels[price]

    def add_trade(self, size_e8: int, now_ns: int, *, bought: bool) -> int:
        """Count a trade at the top; return its price."""
        price_e8 = self.top(1 if bought else 0)[0]
        self.trade_id += 1
        self.trades.append((self.trade_id, now_ns, price_e8, size_e8, not bought))
        self.turnover.add(price_e8, size_e8, bought=bought)
        return price_e8

    def take_changes(self) -> tuple[Levels, Levels]:
        """Return what changed since the last diff, best first; the slow diff keeps it too."""
        bids, asks = self.changes
        sides = (sorted(bids.items(), reverse=True), sorted(asks.items()))
        for kept, changes in zip(self._slow, self.changes, strict=True):
            kept.update(changes)
            changes.clear()
        return sides

    def take_slow(self) -> tuple[int, int, tuple[Levels, Levels]]:
        """Return first and last id and the changes of all diffs since this was asked last."""
        first, self._slow_id = self._slow_id + 1, self.flushed_id
        bids, asks = self._slow
        sides = (sorted(bids.items(), reverse=True), sorted(asks.items()))
        bids.clear()
        asks.clear()
        return first, self.flushed_id, sides

    def levels(self, side: int) -> Levels:
        """Return a side, best first."""
        return sorted(self.sides[side].items(), reverse=not side)


def e8(value: int) -> str:
    """Write a number of 1e-8 units with all its decimals."""
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // E8}.{abs(value) % E8:08d}"
