"""Collecting garbage by the clock where it costs nothing: after a minute in which nobody traded.

Hot loops run with the collector off and everything of their start frozen. What little goes in
circles since then is freed here, timed, in the histogram ``loop.gc_ns``. Source: design 4.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm import _core
from lowlat.shm.attachment import Attachment

__all__ = ["OrderCount", "Sweep"]

_QUIET_NS: Final = 60_000_000_000
_ORDERS: Final = "executor.orders"


class OrderCount:
    """How many orders the executor of this instance ever sent, read from its statistics."""

    def __init__(self, attachment: Attachment, executor: str) -> None:
        """``executor``: the process that it lives in."""
        self._attachment = attachment
        self._executor = executor
        self._cell: _core.Cell | None = None

    def __call__(self) -> int:
        """Return the count, 0 before it has said any."""
        if self._cell is None:
            try:
                word = self._attachment.open_stats_reader(self._executor).word(_ORDERS)
            except (SegmentError, LayoutError):
                return 0
            self._cell = _core.Cell(*word, writable=False)
        return self._cell.value


class Sweep:
    """Engine that has garbage collected when the last minute saw no order."""

    name: Final = "sweep"

    def __init__(self, orders: Callable[[], int], collect: Callable[[], None]) -> None:
        """``collect`` collects, freezes what is left, and records how long that took."""
        self._orders = orders
        self._collect = collect
        self._seen = -1
        self._due_ns = 0

    def start(self) -> None:
        """Leave it to the loop, which collects when everything has started."""

    def turn(self, now_ns: int) -> int:
        """Look once a minute."""
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + _QUIET_NS
        seen, self._seen = self._seen, self._orders()
        if seen == self._seen:
            self._collect()
        return 0

    def close(self) -> None:
        """Nothing is held."""
