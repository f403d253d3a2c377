"""The journal's file: batches framed by length and checksum, fsynced, cut where a crash tore them.

Used by JournalEngine (writes) and by whoever starts without shared memory (reads). One frame is
one batch, so that what belongs together is there whole or not at all::

    frame   length u32 | crc32 u32 | body            length and checksum are of the body
    body    wall_ms i64 | report position u64 | epoch u32 | entries u32 | entry …
    entry   kind u16 | bytes u16 | data

Files are ``journal-<number>.log``; each begins with a checkpoint of everything still needed, so
only the newest complete one counts. A tail that does not check is cut on open and kept beside the
file as evidence.
"""

import os
import re
from collections.abc import Iterable, Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from lowlat.store.disk import Disk

__all__ = ["Batch", "Entry", "EntryKind", "JournalFile", "newest_batches"]

_FRAME: Final = Struct("<II")
_BODY: Final = Struct("<qQII")
_ENTRY: Final = Struct("<HH")
_NAME: Final = re.compile(r"journal-(\d{10})\.log")
_BODY_BYTES_MAX: Final = 1 << 26
"""Larger lengths can only be garbage."""


class EntryKind(IntEnum):
    """What an entry holds; the number is stored: append only."""

    REPORT = 1
    ORDER = 2
    POSITION = 3
    CASH = 4
    KNOWN_IDS = 5
    """Ids of finished orders, 32 bytes each."""
    HALTED = 6
    """Why trading is halted, UTF-8; empty when it is not. Only in checkpoints."""
    LIFE = 7
    """Name of the shared memory that the reports come from: their ids repeat in the next one."""
    STAKES = 8
    """A token id, then what each module owns of it: the rows of all that own some."""
    SCORE = 9
    TOTAL = 10
    """The row of all exposure: peaks of the equity, and the day and bankroll they belong to."""


class Entry(NamedTuple):
    """One piece of a batch: record fields as in core/layout.py, without the slot head."""

    kind: int
    data: bytes


class Batch(NamedTuple):
    """What one fsync made durable. ``position`` is the last report in it."""

    wall_ms: int
    position: int
    epoch: int
    entries: tuple[Entry, ...]


def encode_batch(batch: Batch) -> bytes:
    """Frame a batch."""
    pieces = [_BODY.pack(batch.wall_ms, batch.position, batch.epoch, len(batch.entries))]
    for kind, data in batch.entries:
        pieces += (_ENTRY.pack(kind, len(data)), data)
    body = b"".join(pieces)
    return _FRAME.pack(len(body), crc32(body)) + body


def decode_batches(data: bytes) -> Iterator[tuple[int, Batch]]:
    """Yield (offset behind it, batch) until the end or the first frame that does not check."""
    at = 0
    while at + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, at)
        body = data[at + _FRAME.size : at + _FRAME.size + length]
        if length > _BODY_BYTES_MAX or len(body) < length or crc32(body) != checksum:
            return
        batch = _decode_body(body)
        if batch is None:
            return
        at += _FRAME.size + length
        yield at, batch


def _decode_body(body: bytes) -> Batch | None:
    if len(body) < _BODY.size:
        return None
    wall_ms, position, epoch, count = _BODY.unpack_from(body)
    at, entries = _BODY.size, []
    for _ in range(count):
        if at + _ENTRY.size > len(body):
            return None
        kind, length = _ENTRY.unpack_from(body, at)
        at += _ENTRY.size
        if at + length > len(body):
            return None
        entries.append(Entry(kind, body[at : at + length]))
        at += length
    return Batch(wall_ms, position, epoch, tuple(entries)) if at == len(body) else None


class JournalFile:
    """The newest file of a directory, open for appending. One process owns it."""

    def __init__(self, directory: str, disk: Disk = os) -> None:
        """Open the newest file and cut its torn tail; nothing is created yet."""
        self._directory = directory
        self._disk = disk
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._descriptor = -1
        self.number = 0
        self.size_bytes = 0
        self.cut_bytes = 0
        self.batches: list[Batch] = []
        """What the file held when it was opened; forget it when it was used."""
        numbers = _numbers(directory)
        if numbers:
            self._open(numbers)

    def _open(self, numbers: list[int]) -> None:
        # A file without a whole checkpoint was being created when the machine died.
        for number in reversed(numbers):
            path = _path(self._directory, number)
            with open(path, "rb") as file:
                data = file.read()
            found = list(decode_batches(data))
            if found or number == numbers[0]:
                break
        good = found[-1][0] if found else 0
        self.batches = [batch for _, batch in found]
        self.number = number
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.cut_bytes = len(data) - good
        if self.cut_bytes:
            with open(path + ".cut", "wb") as kept:
                kept.write(data[good:])
            os.ftruncate(self._descriptor, good)
            self._disk.fsync(self._descriptor)
        os.lseek(self._descriptor, good, os.SEEK_SET)
        self.size_bytes = good
        for each in numbers:
            if each > number:
                os.unlink(_path(self._directory, each))

    def append(self, batch: Batch) -> None:
        """Write a batch and wait until it is on the disk.

        Raises OSError when it could not be; the file is then as it was before.
        """
        assert self._descriptor >= 0, "a journal begins with a checkpoint"
        data = encode_batch(batch)
        try:
            self._write_all(self._descriptor, data)
            self._disk.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.size_bytes)
            os.lseek(self._descriptor, self.size_bytes, os.SEEK_SET)
            raise
        self.size_bytes += len(data)

    def rotate(self, checkpoint: Batch) -> None:
        """Begin a new file with a checkpoint; the one before the last is deleted."""
        number = self.number + 1
        path = _path(self._directory, number)
        descriptor = os.open(
            path + ".new", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        data = encode_batch(checkpoint)
        try:
            self._write_all(descriptor, data)
            self._disk.fsync(descriptor)
            os.rename(path + ".new", path)
            self._sync_directory()
        except OSError:
            os.close(descriptor)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self.number, self.size_bytes = descriptor, number, len(data)
        for each in _numbers(self._directory):
            if each < number - 1:
                os.unlink(_path(self._directory, each))

    def _write_all(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._disk.write(descriptor, view) :]

    def _sync_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._disk.fsync(directory)
        finally:
            os.close(directory)

    def close(self) -> None:
        """Close the file; everything in it is on the disk already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def newest_batches(directory: str) -> list[Batch]:
    """Read the newest complete file without changing anything; empty when there is none."""
    for number in reversed(_numbers(directory)) if os.path.isdir(directory) else ():
        with open(_path(directory, number), "rb") as file:
            found = [batch for _, batch in decode_batches(file.read())]
        if found:
            return found
    return []


def _numbers(directory: str) -> list[int]:
    names: Iterable[str] = os.listdir(directory)
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def _path(directory: str, number: int) -> str:
    return os.path.join(directory, f"journal-{number:010d}.log")
