"""How far a spot exchange leans to its buyers: prints of the last second, sizes near the touch.

Kept by the Binance feed, one a coin, and told beside each touch as one number of parts in 1e9; it
is worked out where a print or a depth change arrives, never on the way of a touch. What it is worth
in price is learned by whoever uses it (``signals._coin``). Source: feeds.md 6.2, 1.3 (depth comes
some 57 ms behind the ticker: good for size only).

lead = (flow + lean) / 2, each -1 to 1:

* flow: what takers bought less what they sold, forgotten by half each second, over what is traded
  in that time usually (half-life a minute);
* lean: (bids - asks) / (bids + asks) of the sizes on LEVELS levels of each side.
"""

from collections.abc import Sequence
from typing import Final

from lowlat.core.layout import Action

__all__ = ["LEVELS", "Lead"]

LEVELS: Final = 5
_PPB: Final = 1_000_000_000
_S_NS: Final = 1_000_000_000
_HALF_LIFE_S: Final = 1.0
_USUAL_HALF_LIFE_S: Final = 60.0
_WARMUP_NS: Final = 60 * _S_NS
"""Before that nobody knows what is usual."""
_SURGE: Final = 3.0
"""So many times the usual, all one way, is a flow of 1."""


class Lead:
    """One coin's lead; sizes in any one unit."""

    __slots__ = ("_at_ns", "_first_ns", "_lean", "_net", "_total", "ppb")

    def __init__(self) -> None:
        self.ppb = 0
        self.restart()

    def restart(self) -> None:
        """Know nothing: the sockets were lost."""
        self.ppb = 0
        self._at_ns = self._first_ns = 0
        self._net = self._total = self._lean = 0.0

    def trade(self, size: int, taker_side: int, now_ns: int) -> None:
        """Take a print."""
        self._fade(now_ns)
        self._net += size if taker_side == Action.BUY else -size
        self._total += size
        self._sum(now_ns)

    def depth(self, bid_sizes: Sequence[int], ask_sizes: Sequence[int], now_ns: int) -> None:
        """Take the sizes on the best levels."""
        self._fade(now_ns)
        bids, asks = sum(bid_sizes), sum(ask_sizes)
        self._lean = (bids - asks) / (bids + asks) if bids + asks else 0.0
        self._sum(now_ns)

    def _fade(self, now_ns: int) -> None:
        if not self._first_ns:
            self._first_ns = self._at_ns = now_ns
        past_s = max(0, now_ns - self._at_ns) / _S_NS
        self._at_ns = max(self._at_ns, now_ns)
        self._net *= 0.5 ** (past_s / _HALF_LIFE_S)
        self._total *= 0.5 ** (past_s / _USUAL_HALF_LIFE_S)

    def _sum(self, now_ns: int) -> None:
        # A steady rate r leaves r * half-life / ln 2 in each sum: so much is usual in the short.
        usual = self._total * _HALF_LIFE_S / _USUAL_HALF_LIFE_S
        flow = 0.0
        if usual > 0.0 and now_ns - self._first_ns >= _WARMUP_NS:
            flow = max(-1.0, min(1.0, self._net / (_SURGE * usual)))
        self.ppb = int((flow + self._lean) / 2.0 * _PPB)
