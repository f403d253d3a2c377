"""The three calls by which the recorder's files reach the disk: the real ones, or a world's.

``os`` itself is the disk of every real process; a world passes one that fills up and dies.
"""

from typing import Protocol

from typing_extensions import Buffer

__all__ = ["Disk"]


class Disk(Protocol):
    """Calls of ``os`` with its meaning: a short write is one, failure is OSError."""

    def write(self, fd: int, data: Buffer, /) -> int:
        """Write what fits; return how many bytes."""
        ...

    def fsync(self, fd: int) -> None:
        """Wait until data and length are on the disk."""
        ...

    def fdatasync(self, fd: int, /) -> None:
        """Wait until data is on the disk."""
        ...
