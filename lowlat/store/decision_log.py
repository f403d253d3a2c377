"""Why each opportunity was (not) taken, kept on disk for a while: DECISION records, two files.

Written by JournalEngine, read by ``lowlat why``. Not fsynced: it explains, no money hangs on it.
A torn record at the end is cut when the file is opened.
"""

import os
from collections.abc import Iterator
from typing import Final

from lowlat.core.layout import DECISION, DecisionRecord

__all__ = ["DecisionLog", "read_decisions"]

_NEW: Final = "decisions.log"
_OLD: Final = "decisions.old.log"


class DecisionLog:
    """Appends records; when the file is half of ``bytes_max`` it becomes the old one."""

    def __init__(self, directory: str, bytes_max: int) -> None:
        self._directory = directory
        self._bytes_max = bytes_max
        self._pieces: list[bytes] = []
        self._open()

    def _open(self) -> None:
        path = os.path.join(self._directory, _NEW)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        size = os.fstat(self._descriptor).st_size
        self._size_bytes = size - size % DECISION.codec.size
        if self._size_bytes != size:
            os.ftruncate(self._descriptor, self._size_bytes)

    def add(self, data: bytes) -> None:
        """Keep one record until the next flush."""
        self._pieces.append(data)

    def flush(self) -> None:
        """Hand what was added to the kernel."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        if not data:
            return
        # A short write (full disk) leaves a torn record: cut it, lose explanations, no money.
        self._size_bytes += (
            os.write(self._descriptor, data) // DECISION.codec.size * DECISION.codec.size
        )
        os.ftruncate(self._descriptor, self._size_bytes)
        if self._size_bytes * 2 >= self._bytes_max:
            os.close(self._descriptor)
            os.replace(os.path.join(self._directory, _NEW), os.path.join(self._directory, _OLD))
            self._open()

    def close(self) -> None:
        """Write the rest and close."""
        self.flush()
        os.close(self._descriptor)


def read_decisions(directory: str) -> Iterator[DecisionRecord]:
    """Yield the decisions kept, oldest first."""
    for name in (_OLD, _NEW):
        path = os.path.join(directory, name)
        if not os.path.exists(path):
            continue
        with open(path, "rb") as file:
            while len(data := file.read(DECISION.codec.size)) == DECISION.codec.size:
                yield DecisionRecord._make(DECISION.codec.unpack(data))
