"""First arrival wins: merge the redundant sockets of one shard into one stream of events.

The venue numbers nothing, so events are told apart by their digest and by how often each socket
has delivered it: the second identical event of one socket is a new event, the first one of
another socket is a copy. Memory is bounded by a ring of the last digests.
"""

from typing import Final

__all__ = ["FirstArrival"]

DIGESTS_MAX: Final = 4096


class FirstArrival:
    """Say of each event whether it is the first of its kind from any socket."""

    __slots__ = ("_applied", "_at", "_ring", "_seen")

    def __init__(self, sockets: int) -> None:
        self._applied: dict[int, int] = {}
        self._seen: list[dict[int, int]] = [{} for _ in range(sockets)]
        self._ring: list[int | None] = [None] * DIGESTS_MAX
        self._at = 0

    def is_first(self, socket: int, digest: int) -> bool:
        """Count one arrival; True when no other socket has delivered it as often yet."""
        seen = self._seen[socket]
        count = seen.get(digest, 0) + 1
        seen[digest] = count
        applied = self._applied.get(digest, 0)
        if count <= applied:
            return False
        self._applied[digest] = count
        if applied == 0:
            self._remember(digest)
        return True

    def forget_socket(self, socket: int) -> None:
        """Begin a socket's counts again: it reconnected and may have missed events."""
        self._seen[socket].clear()

    def _remember(self, digest: int) -> None:
        old = self._ring[self._at]
        if old is not None:
            self._applied.pop(old, None)
            for seen in self._seen:
                seen.pop(old, None)
        self._ring[self._at] = digest
        self._at = (self._at + 1) % DIGESTS_MAX
