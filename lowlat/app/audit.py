"""Who changed what, when: one JSON line a change in ``audit.jsonl``, on disk before it counts.

Written by the supervisor and by commands that work without it (halt, panic). Lines are appended
under a lock and fsynced; a line that a crash cut is skipped and counted by whoever reads. The file
starts anew at _BYTES_MAX, one older one is kept.
"""

import fcntl
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lowlat.app.state import state_dir

if TYPE_CHECKING:
    # Who halts in a hurry does not wait for the whole config to be loaded.
    from lowlat.app.reload_rules import Change

__all__ = ["AuditLine", "Who", "append_audit", "audit_line", "read_audit"]

_FILE: Final = "audit.jsonl"
_OLDER: Final = "audit.jsonl.1"
_BYTES_MAX: Final = 16 * 2**20
_COMMAND_CHARS_MAX: Final = 300
_CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred: pid, uid, gid. Source: unix(7)."""


class Who(msgspec.Struct, frozen=True):
    """A process that asked for something, as the kernel names it."""

    uid: int
    pid: int
    command: str

    @classmethod
    def of_peer(cls, connection: socket.socket) -> "Who":
        """Return who is at the other end of a Unix socket."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
        return cls(uid, pid, _command(pid))

    @classmethod
    def here(cls) -> "Who":
        """Return this process."""
        return cls(os.getuid(), os.getpid(), _command(os.getpid()))


class AuditLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change, or one that was refused."""

    at: str
    """UTC, for people; ``wall_ns`` is the same moment."""
    wall_ns: int
    uid: int
    pid: int
    command: str
    op: str
    result: str
    """``done``, or why not."""
    detail: str = ""
    changes: list[tuple[str, Any, Any]] = []
    """Key, old value, new value."""
    generation: int = 0


def audit_line(
    who: Who,
    op: str,
    result: str,
    wall_ns: int,
    *,
    detail: str = "",
    changes: "list[Change] | None" = None,
    generation: int = 0,
) -> AuditLine:
    """Put a line together."""
    seconds, rest_ns = divmod(wall_ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return AuditLine(
        f"{stamp}.{rest_ns // 1_000_000:03d}Z",
        wall_ns,
        who.uid,
        who.pid,
        who.command,
        op,
        result,
        detail,
        [(each.key, each.old, each.new) for each in changes or []],
        generation,
    )


def append_audit(instance: str, line: AuditLine) -> None:
    """Append a line; on disk when this returns. Raises OSError when it cannot be written."""
    path = state_dir(instance) / _FILE
    raw = msgspec.json.encode(line) + b"\n"
    with _locked(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # A crash cut the last line: it must not swallow this one.
            raw = b"\n" + raw
        written = os.write(descriptor, raw)
        if written != len(raw):
            raise OSError(f"{path}: {written} of {len(raw)} bytes of an audit line were written")
        os.fsync(descriptor)
        if size + len(raw) > _BYTES_MAX:
            path.replace(path.with_name(_OLDER))


def read_audit(instance: str) -> tuple[list[AuditLine], int]:
    """Return every line, oldest first, and how many could not be read."""
    folder = state_dir(instance, make=False)
    found: list[AuditLine] = []
    damaged = 0
    for name in (_OLDER, _FILE):
        path = folder / name
        if not path.exists():
            continue
        for raw in path.read_bytes().splitlines():
            if not raw:
                continue
            try:
                found.append(msgspec.json.decode(raw, type=AuditLine))
            except ValueError:
                damaged += 1
    return found, damaged


class _locked:  # noqa: N801 - reads as a statement
    """Open the file for appending, alone; again when it was set aside meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            self._descriptor = os.open(self._path, flags, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                same = os.stat(self._path).st_ino == os.fstat(self._descriptor).st_ino
            except FileNotFoundError:
                same = False
            if same:
                return self._descriptor
            os.close(self._descriptor)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _command(pid: int) -> str:
    """Return a process's command line, blank when it is gone already."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read(4 * _COMMAND_CHARS_MAX)
    except OSError:
        return ""
    return " ".join(raw.decode("utf-8", "replace").split("\0")).strip()[:_COMMAND_CHARS_MAX]
