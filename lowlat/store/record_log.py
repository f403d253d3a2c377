"""Records that explain what happened, kept on disk for a while: one kind a log, two files.

Written by the recorder, read by ``lowlat why`` and ``trace``. Not fsynced: it explains, no money
hangs on it. A torn record at the end is cut when the file is opened.
"""

import os
from collections.abc import Iterator
from typing import Any, Final

from lowlat.core.layout import (
    BOOK_ROW,
    DECISION,
    MARKET_ROW,
    SIGNAL,
    SLOT_HEAD_BYTES,
    RecordType,
)
from lowlat.store.disk import Disk

__all__ = ["BOOKS", "DECISIONS", "MARKETS", "SIGNALS", "RecordLog", "read_records"]

DECISIONS: Final = "decisions"
SIGNALS: Final = "signals"
MARKETS: Final = "markets"
BOOKS: Final = "books"
"""The book of each signal's market, read when the signal was. In these copies ``id`` is the
signal's and ``decoded_ns`` when it was decided; one that was published later is another book."""
_RECORDS: Final[dict[str, RecordType[Any]]] = {
    DECISIONS: DECISION,
    SIGNALS: SIGNAL,
    MARKETS: MARKET_ROW,
    BOOKS: BOOK_ROW,
}


class RecordLog:
    """Appends records; when the file is half of ``bytes_max`` it becomes the old one."""

    def __init__(self, directory: str, name: str, bytes_max: int, disk: Disk = os) -> None:
        self._disk = disk
        self._new, self._old = _paths(directory, name)
        self._record_bytes = _RECORDS[name].codec.size
        self._bytes_max = bytes_max
        self._pieces: list[bytes] = []
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._new, flags, 0o600)
        size = os.fstat(self._descriptor).st_size
        self._size_bytes = size - size % self._record_bytes
        if self._size_bytes != size:
            os.ftruncate(self._descriptor, self._size_bytes)

    def add(self, data: bytes) -> None:
        """Keep one packed record until the next flush."""
        self._pieces.append(data)

    def flush(self) -> bool:
        """Hand what was added to the kernel; True when a new file was begun.

        Raises OSError when the disk takes nothing of it: it is lost then.
        """
        data = b"".join(self._pieces)
        self._pieces.clear()
        if not data:
            return False
        # A short write (full disk) leaves a torn record: cut it, lose explanations, no money.
        written = self._disk.write(self._descriptor, data)
        self._size_bytes += written // self._record_bytes * self._record_bytes
        os.ftruncate(self._descriptor, self._size_bytes)
        if self._size_bytes * 2 < self._bytes_max:
            return False
        os.close(self._descriptor)
        os.replace(self._new, self._old)
        self._open()
        return True

    def tail(self, count: int) -> list[bytes]:
        """Return the last so many records that reached the files, oldest first."""
        found: list[bytes] = []
        for path in (self._new, self._old):
            wanted_bytes = (count - len(found)) * self._record_bytes
            if not wanted_bytes or not os.path.exists(path):
                continue
            with open(path, "rb") as file:
                size_bytes = os.fstat(file.fileno()).st_size
                size_bytes -= size_bytes % self._record_bytes
                file.seek(max(0, size_bytes - wanted_bytes))
                data = file.read(min(size_bytes, wanted_bytes))
            starts = range(0, len(data), self._record_bytes)
            found[:0] = [data[at : at + self._record_bytes] for at in starts]
        return found

    def close(self) -> None:
        """Write the rest and close."""
        self.flush()
        os.close(self._descriptor)


def read_records(directory: str, name: str) -> Iterator[Any]:
    """Yield the records kept under a name, oldest first."""
    record = _RECORDS[name]
    for path in reversed(_paths(directory, name)):
        if not os.path.exists(path):
            continue
        with open(path, "rb") as file:
            while len(data := file.read(record.codec.size)) == record.codec.size:
                yield record.unpack(bytes(SLOT_HEAD_BYTES) + data)


def _paths(directory: str, name: str) -> tuple[str, str]:
    return (
        os.path.join(directory, f"{name}.records"),
        os.path.join(directory, f"{name}.old.records"),
    )
