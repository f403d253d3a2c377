"""How much a coin traded, summed up at each whole second, so that any span is one subtraction.

Written by the simulated exchange with each trade; read by candles and the figures of a day. Pure.
"""

from typing import Final, NamedTuple

from lowlat.core.units import E8

__all__ = ["Turnover", "Volume"]

KEPT_S: Final = 2 * 3_600


class Volume(NamedTuple):
    """Trades, their base and quote amounts, and what of it buyers took."""

    trades: int = 0
    base_e8: int = 0
    quote_e8: int = 0
    bought_base_e8: int = 0
    bought_quote_e8: int = 0


class Turnover:
    """Running sums of one coin since the exchange began."""

    def __init__(self) -> None:
        self.now = Volume()
        self.last_size_e8 = 0
        self._marks: dict[int, Volume] = {}
        self._newest_s = -1
        self._forgotten = Volume()
        """What had traded before the oldest second that is kept."""

    def add(self, price_e8: int, size_e8: int, *, bought: bool) -> None:
        """Count a trade."""
        quote_e8 = price_e8 * size_e8 // E8
        before = self.now
        self.last_size_e8 = size_e8
        self.now = Volume(
            before.trades + 1,
            before.base_e8 + size_e8,
            before.quote_e8 + quote_e8,
            before.bought_base_e8 + (size_e8 if bought else 0),
            before.bought_quote_e8 + (quote_e8 if bought else 0),
        )

    def mark(self, second: int) -> None:
        """Note the sums at a whole second."""
        self._marks[second], self._newest_s = self.now, second
        self._forgotten = self._marks.pop(second - KEPT_S, self._forgotten)

    def until(self, second: int) -> Volume:
        """Return what had traded before a second: everything when it is still to come."""
        if second > self._newest_s:
            return self.now
        return self._marks.get(second, self._forgotten)

    def between(self, start_s: int, end_s: int) -> Volume:
        """Return what traded from one second to before another."""
        first, last = self.until(start_s), self.until(end_s)
        return Volume(*(b - a for a, b in zip(first, last, strict=True)))
