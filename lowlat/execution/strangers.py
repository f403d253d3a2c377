"""Orders that messages name and that have no row: ours and over, or strangers.

Owned by the executor's desk. Rows and the journal forget an order when nothing more can come of
it; the venue goes on naming it, in every listing of its trades. Such an order is ours, and no
news. One that neither ever had is a *stranger*: it left in the last moment before a reboot, or
somebody else trades with our key. Each is counted once, whatever is said of it how often.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from lowlat.core.ports import Cell

__all__ = ["Strangers"]

_OURS_MAX: Final = 20_000
"""As many as the journal remembers (store/journal.py)."""
_SEEN_MAX: Final = 10_000


class Strangers:
    """Remembers ids: of orders that are over, of strangers, and what was said of their trades."""

    def __init__(self, count: Cell) -> None:
        """``count`` counts strangers."""
        self._count = count
        self._over: set[int] = set()
        self._oldest: deque[int] = deque()
        self._met: set[bytes] = set()
        self._said: set[tuple[bytes, str, int]] = set()

    def forget(self, order_ids: Iterable[bytes]) -> None:
        """Know these for orders of ours that have no row any more."""
        for order_id in order_ids:
            short = _short(order_id)
            if short in self._over:
                continue
            self._over.add(short)
            self._oldest.append(short)
            if len(self._oldest) > _OURS_MAX:
                self._over.discard(self._oldest.popleft())

    def is_over(self, order_id: bytes) -> bool:
        """Whether an order without a row was ours, and ended."""
        return _short(order_id) in self._over

    def meet(self, order_id: bytes) -> bool:
        """Count an order that is none of ours; True the first time."""
        if order_id in self._met or len(self._met) >= _SEEN_MAX:
            return False
        self._met.add(order_id)
        self._count.add(1)
        return True

    def is_news(self, order_id: bytes, trade_id: str, status: int) -> bool:
        """Whether that was not said before of a stranger's trade: it may have moved balances.

        What no longer fits in here is news each time.
        """
        said = (order_id, trade_id, status)
        if said in self._said:
            return False
        if len(self._said) < _SEEN_MAX:
            self._said.add(said)
        return True


def _short(order_id: bytes) -> int:
    """Return enough of a hash to tell orders apart, small to keep."""
    return int.from_bytes(order_id[:8], "big")
