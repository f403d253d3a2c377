"""Things that will happen, by time: the world's only order of events. Pure."""

import heapq
from collections.abc import Callable
from typing import Final

__all__ = ["NEVER_NS", "Agenda"]

NEVER_NS: Final = 2**63 - 1


class Agenda:
    """Callbacks by due time, then by the order in which they were put down."""

    __slots__ = ("_heap", "_seq")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._seq = 0

    def at(self, due_ns: int, act: Callable[[], None]) -> None:
        """Let ``act`` happen at a monotonic time."""
        self._seq += 1
        heapq.heappush(self._heap, (due_ns, self._seq, act))

    def next_due_ns(self) -> int:
        """Return when something happens next, NEVER_NS when nothing will."""
        return self._heap[0][0] if self._heap else NEVER_NS

    def pop(self) -> Callable[[], None]:
        """Take out what happens next."""
        return heapq.heappop(self._heap)[2]
