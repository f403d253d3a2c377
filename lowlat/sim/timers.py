"""A heap of due callbacks: everything in the simulator that happens later happens here.

Run by whoever owns the clock: the server between frames, the virtual world between steps. Order
is by due time, then by the order of registration, so a seed replays exactly.
"""

import heapq
from collections.abc import Callable
from typing import Final

__all__ = ["EVERYTHING", "NEVER_NS", "Timers"]

NEVER_NS: Final = 2**63 - 1
"""Nothing is due."""


EVERYTHING: Final = 2**63 - 1
"""No bound on how much runs."""


class Timers:
    """Callbacks by due time. Single-threaded; a callback may register more."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[int], object]]] = []
        self._seq = 0

    def at(self, due_ns: int, callback: Callable[[int], object]) -> None:
        """Call back with the due time once ``run`` passes it."""
        self._seq += 1
        heapq.heappush(self._heap, (due_ns, self._seq, callback))

    def next_due_ns(self) -> int:
        """Return when the next callback is due, NEVER_NS when none waits."""
        return self._heap[0][0] if self._heap else NEVER_NS

    def run(self, now_ns: int, callbacks_max: int = EVERYTHING) -> int:
        """Run everything due up to now, or the oldest so many; return how much ran.

        A callback gets the time it was due at, so that a late run still produces the same numbers.
        """
        heap = self._heap
        count = 0
        while heap and heap[0][0] <= now_ns and count < callbacks_max:
            due_ns, _, callback = heapq.heappop(heap)
            callback(due_ns)
            count += 1
        return count
