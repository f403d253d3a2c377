"""Halt cells on disk: what a person pulled stays pulled, whatever dies and over a reboot.

One small file an instance, ``halts`` in its state directory, mapped by the executor: a word that
is not 0 stops new orders in the same compiled call as their write. Whoever may write the file may
pull, with no process alive or all of them stopped; only ``lift`` clears it. The file is made once
and never replaced or cut: a mapping of it stays true for the life of a process::

    0     magic 16 s
    64    256 B a Puller: halted u64 | wall_ns u64 | uid u32 | pid u32 | reason 232 s

Every row belongs to one way of pulling; a row is written under the file's lock, its word last.
"""

import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from lowlat.app.state import state_dir
from lowlat.core.errors import SegmentError
from lowlat.shm import _core

__all__ = [
    "HALTS_FILE",
    "Halt",
    "HaltCells",
    "Puller",
    "lift_halts",
    "lift_unproven",
    "pull_halt",
    "read_halts",
]

HALTS_FILE: Final = "halts"
_MAGIC: Final = b"lowlat halts 1\0\0"
_BYTES: Final = 4096
_ROWS_AT: Final = 64
_ROW: Final = struct.Struct("<QQII232s")
_REASON_BYTES: Final = 232


class Puller(IntEnum):
    """Who pulled; the number is the row."""

    OPERATOR = 0
    """`lowlat ctl halt`."""
    PANIC = 1
    """`lowlat panic`."""
    SIGNAL = 2
    """SIGUSR2 to the supervisor."""
    WATCH = 3
    """A program that watches from outside."""
    UNPROVEN = 4
    """`lowlat run --live`, until ledger, reconciliation and heartbeat are proven healthy."""


class Halt(NamedTuple):
    """One cell that is set."""

    puller: Puller
    reason: str
    wall_ns: int
    uid: int
    pid: int

    def __str__(self) -> str:
        return f"{self.puller.name.lower()}: {self.reason}"


class HaltCells:
    """The file as a reader sees it. Its words stand in the executor's gate."""

    def __init__(self, instance: str) -> None:
        """Make the file when it is missing. Raises SegmentError for one that is not ours."""
        self.path = state_dir(instance) / HALTS_FILE
        descriptor = _open(self.path)
        try:
            self._inode = os.fstat(descriptor).st_ino
            self._memory = mmap.mmap(descriptor, _BYTES, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)

    @property
    def words(self) -> list[tuple[mmap.mmap, int]]:
        """Memory and offset of every cell, for compiled checks."""
        return [(self._memory, _offset(puller)) for puller in Puller]

    @property
    def lasting(self) -> list[tuple[mmap.mmap, int]]:
        """Return the cells that only a person lifts.

        The other one closes the gate and nothing else: it opens by itself, or the run ends.
        """
        return [
            (self._memory, _offset(puller)) for puller in Puller if puller is not Puller.UNPROVEN
        ]

    def pulled(self) -> list[Halt]:
        """Return every cell that is set."""
        found = []
        for puller in Puller:
            if not _core.load_acquire(self._memory, _offset(puller)):
                continue
            _, wall_ns, uid, pid, raw = _ROW.unpack_from(self._memory, _offset(puller))
            reason = raw.split(b"\0", 1)[0].decode("utf-8", "replace")
            found.append(Halt(puller, reason or "no reason given", wall_ns, uid, pid))
        return found

    @property
    def replaced(self) -> bool:
        """Whether the name leads elsewhere now: pulling it would not reach this mapping."""
        try:
            return os.stat(self.path).st_ino != self._inode
        except FileNotFoundError:
            return True


def pull_halt(instance: str, puller: Puller, reason: str, wall_ns: int) -> None:
    """Set a cell; on disk when this returns. The first reason stays until it is lifted."""
    with _locked(instance) as memory:
        at = _offset(puller)
        if not _core.load_acquire(memory, at):
            text = _cut(reason)
            _ROW.pack_into(memory, at, 0, wall_ns, os.getuid(), os.getpid(), text)
            _core.store_release(memory, at, 1)
        memory.flush()


def lift_halts(instance: str) -> list[Halt]:
    """Clear every cell that a person may lift and return what was set; on disk when it returns."""
    with _locked(instance) as memory:
        found = [
            each for each in HaltCells(instance).pulled() if each.puller is not Puller.UNPROVEN
        ]
        for halt in found:
            _core.store_release(memory, _offset(halt.puller), 0)
        memory.flush()
    return found


def lift_unproven(instance: str) -> None:
    """Let live orders go, as far as nobody else halted; on disk when this returns."""
    with _locked(instance) as memory:
        _core.store_release(memory, _offset(Puller.UNPROVEN), 0)
        memory.flush()


def read_halts(instance: str) -> list[Halt]:
    """Return every cell that is set; nothing is made when there is no file."""
    if not (state_dir(instance, make=False) / HALTS_FILE).exists():
        return []
    return HaltCells(instance).pulled()


@contextmanager
def _locked(instance: str) -> Iterator[mmap.mmap]:
    """Map the file for writing, alone; readers never wait."""
    descriptor = _open(state_dir(instance) / HALTS_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with mmap.mmap(descriptor, _BYTES) as memory:
            yield memory
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open the file, whole and ours; a new one gets its name only when it is."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        _make(path)
        descriptor = os.open(path, flags)
    except OSError as error:
        raise SegmentError(f"halt file {path}: {error.strerror}") from error
    found = os.fstat(descriptor)
    head = os.pread(descriptor, len(_MAGIC), 0)
    if not stat.S_ISREG(found.st_mode) or found.st_size != _BYTES or head != _MAGIC:
        os.close(descriptor)
        raise SegmentError(
            f"halt file {path} is damaged ({found.st_size} bytes): new orders cannot be halted "
            "through it; stop the engine and remove it"
        )
    return descriptor


def _make(path: Path) -> None:
    draft = path.with_name(f".{HALTS_FILE}.{os.getpid()}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, _MAGIC.ljust(_BYTES, b"\0"), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # A link, not a rename: of two that make it at once the first stays.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _offset(puller: Puller) -> int:
    return _ROWS_AT + puller * _ROW.size


def _cut(reason: str) -> bytes:
    """Return as much of the reason as fits, never half a character."""
    line = "".join(letter if letter.isprintable() else " " for letter in reason)
    raw = " ".join(line.split()).encode("utf-8", "replace")[:_REASON_BYTES]
    return raw.decode("utf-8", "ignore").encode()
