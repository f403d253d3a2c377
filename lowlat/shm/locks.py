"""Who is alive: process identities and the locks that writers hold for life.

An open-file-description lock is dropped by the kernel the moment its process dies, even while the
corpse is not reaped; ``kill(pid, 0)`` would still succeed. Locks are inherited over fork, so
children are exec'ed (descriptors are close-on-exec), never forked.
"""

import fcntl
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from lowlat.core.errors import SegmentError
from lowlat.shm import places

__all__ = [
    "FileLock",
    "Identity",
    "OwnerLock",
    "boot_id",
    "own_identity",
    "probe_lock",
    "start_ticks",
]

_FLOCK: Final = struct.Struct("@hhqqi4x")
"""struct flock of 64-bit Linux; l_pid must be 0 for open-file-description locks."""


@cache
def boot_id() -> str:
    """Return the kernel's random id of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def start_ticks(pid: int) -> int:
    """Return when a process started, in ticks since boot; 0 when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The command may hold blanks and brackets: fields are counted behind its last bracket.
    fields = text[text.rindex(")") + 2 :].split()
    return 0 if fields[0] in {"Z", "X"} else int(fields[19])


@dataclass(frozen=True, slots=True)
class Identity:
    """One life of one process; pids come back, this does not."""

    name: str
    pid: int
    start_ticks: int
    boot_id: str

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return (
            self.pid > 0
            and self.boot_id == boot_id()
            and start_ticks(self.pid) == self.start_ticks != 0
        )

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} (pid {self.pid})"


def own_identity(name: str) -> Identity:
    """Return this process's identity under a role name."""
    return Identity(name, os.getpid(), start_ticks(os.getpid()), boot_id())


class OwnerLock:
    """An exclusive lock held until close() or death. Refuses with the holder's name."""

    def __init__(self, instance: str, name: str, who: str) -> None:
        self.name = name
        path = _lock_path(instance, name)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _exclusive())
        except (BlockingIOError, PermissionError) as error:
            holder = _read_identity(self._fd)
            os.close(self._fd)
            self._fd = -1
            raise SegmentError(
                f"{instance}/{name} is owned by {holder or 'an unknown process'}; {who} must wait "
                f"for its end (lock file {path})"
            ) from error
        me = own_identity(who)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{me.pid} {me.start_ticks} {me.boot_id} {who}\n".encode(), 0)

    @property
    def held(self) -> bool:
        """Whether close() was not called yet."""
        return self._fd >= 0

    def close(self) -> None:
        """Let the lock go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FileLock:
    """A file of one's own until close() or death, in any place; its line says who holds it."""

    def __init__(self, path: str, line: str, taken: Callable[[str], Exception]) -> None:
        """Raise ``taken(line of the holder)`` when it is held; "" when nothing is written yet."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 128, 0).decode("ascii", "replace").strip()
            self.close()
            raise taken(holder) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{line}\n".encode(), 0)

    def close(self) -> None:
        """Let the lock go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def probe_lock(directory: str, name: str) -> Identity | None:
    """Return who holds a lock in an instance's run directory, without touching it, or None."""
    path = f"{directory}/{places.check_name(name)}.lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _exclusive())
        if _FLOCK.unpack(answer)[0] == fcntl.F_UNLCK:
            return None
        return _read_identity(fd) or Identity("", 0, 0, "")
    finally:
        os.close(fd)


def _lock_path(instance: str, name: str) -> str:
    return f"{places.instance_dir(instance)}/{places.check_name(name)}.lock"


def _exclusive() -> bytes:
    return _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def _read_identity(fd: int) -> Identity | None:
    """Read what a holder wrote about itself; None while it has not yet, or when it is garbled."""
    parts = os.pread(fd, 256, 0).decode("utf-8", "replace").split()
    if len(parts) != 4 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    return Identity(parts[3], int(parts[0]), int(parts[1]), parts[2])
