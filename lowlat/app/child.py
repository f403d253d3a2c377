"""One child process: exec'ed, watched by a pidfd, ready when it said so, reaped for certain.

A child prints exactly one JSON line with ``"ready": true`` when it works; later lines are kept
too. Its stderr goes to a log file in the state directory. It lives in a session of its own: a
Ctrl-C in the terminal reaches the supervisor alone, which then stops children in order.
"""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import msgspec

import lowlat
from lowlat.app.state import ChildRecord
from lowlat.core.errors import LowlatError
from lowlat.shm.layouts import StatsShape
from lowlat.shm.locks import boot_id, start_ticks

__all__ = ["ChildProcess", "ChildSpec", "SpawnError", "child_environment", "module_argv"]

_LOG_BYTES_MAX: Final = 16 * 2**20
_LINE_BYTES_MAX: Final = 65_536
_LINES_KEPT: Final = 16
_TAIL_BYTES: Final = 2_000


class SpawnError(LowlatError):
    """A child that cannot be started or never became ready; the message carries its last words."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run and how to treat it."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of ours."""
    restart: bool = True
    """False: its end is the end of the run."""
    vital: bool = True
    """False: when it dies again and again the run goes on without it, and it is tried for ever."""
    segments: bool = True
    """Whether it uses shared memory: such a child has a statistics segment of its name."""
    trades: bool = False
    """Whether new orders halt while it is gone."""
    ready_s: float = 60.0
    """How long its first start may take: it may find no byte code and a ledger to migrate."""
    again_s: float = 20.0
    """The same for every later one: one more try is better than to wait longer."""
    hang_s: float = 10.0
    """A heartbeat older than this is a hung loop: kill, restart. Only with ``segments``."""
    stopped_s: float = 10.0
    """The same for a child that is stopped (SIGSTOP)."""
    after: tuple[str, ...] | None = None
    """Children that must be READY before it is started; None: all that are named before it."""
    stats: StatsShape = field(default_factory=StatsShape)
    """How much it counts. Only with ``segments``."""


def module_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours, never one from the current folder."""
    return (sys.executable, "-P", "-m", module, *arguments)


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return our environment plus extra; a source tree that is not installed is made findable."""
    found = {**os.environ, **extra}
    root = Path(lowlat.__file__).parent.parent
    if (root / "pyproject.toml").exists():
        others = found.get("PYTHONPATH", "")
        found["PYTHONPATH"] = f"{root}{os.pathsep}{others}" if others else str(root)
    return found


class ChildProcess:
    """One life of a child, ours or adopted from a supervisor that died."""

    def __init__(
        self,
        spec: ChildSpec,
        record: ChildRecord,
        log: Path,
        process: "subprocess.Popen[bytes] | None",
    ) -> None:
        self.spec = spec
        self.record = record
        self.log = log
        self.ready: dict[str, Any] | None = None
        """The READY object once it came (empty for an adopted child)."""
        self.exit_code: int | None = None
        """Exit status, negative signal; None while it runs or when nobody can know (adopted)."""
        self.gone = False
        self.lines: deque[dict[str, Any]] = deque(maxlen=_LINES_KEPT)
        self._process = process
        self._out: IO[bytes] | None = process.stdout if process else None
        self._rest = b""
        self.pidfd = os.pidfd_open(record.pid)

    @classmethod
    def spawn(cls, spec: ChildSpec, log: Path) -> "ChildProcess":
        """Start the child. Raises SpawnError when it cannot be exec'ed or has no log."""
        try:
            if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpawnError(f"{spec.name}: log {log}: {error.strerror}") from error
        try:
            process = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=descriptor,
                env=child_environment(spec.env),
                start_new_session=True,
            )
        except OSError as error:
            raise SpawnError(f"{spec.name}: {spec.argv[0]}: {error.strerror}") from error
        finally:
            os.close(descriptor)
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, fcntl.F_SETFL, os.O_RDONLY | os.O_NONBLOCK)
        ticks = start_ticks(process.pid)
        record = ChildRecord(spec.name, process.pid, ticks, boot_id(), spec.argv)
        return cls(spec, record, log, process)

    @classmethod
    def adopt(cls, spec: ChildSpec, record: ChildRecord, log: Path) -> "ChildProcess":
        """Take over a child of a supervisor that died. Raises ProcessLookupError when it is gone.

        Its standard output leads nowhere now: what it printed before is lost, it is taken as ready.
        """
        child = cls(spec, record, log, None)
        child.ready = {}
        if not record.alive:
            child.close()
            raise ProcessLookupError(record.pid)
        return child

    @property
    def pid(self) -> int:
        """Process id of this life."""
        return self.record.pid

    def descriptors(self) -> list[int]:
        """Return what to poll for readability: its end, and its next line."""
        found = [] if self.gone else [self.pidfd]
        return found if self._out is None else [*found, self._out.fileno()]

    def poll(self) -> None:
        """Take in what it printed and notice whether it ended. Never blocks."""
        self._read()
        if self.gone:
            return
        ready, _, _ = select.select([self.pidfd], [], [], 0)
        if not ready:
            return
        self._read()
        self.gone = True
        if self._process is not None:
            self.exit_code = self._process.wait()
        self.close()

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it (SIGSTOP); not whether a debugger holds it."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[0] == b"T"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def send(self, number: int) -> None:
        """Send a signal to this very life; nothing when it is gone."""
        if not self.gone:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Close descriptors; the process itself is not touched."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        if self._out is not None:
            self._out.close()
            self._out = None

    def last_words(self) -> str:
        """Return the end of its log, for messages."""
        with open(self.log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()[-8:]
        return "\n  ".join([f"log {self.log}:", *lines])

    def _read(self) -> None:
        while self._out is not None:
            try:
                piece = os.read(self._out.fileno(), _LINE_BYTES_MAX)
            except BlockingIOError:
                return
            if not piece:
                self._out.close()
                self._out = None
                return
            *lines, rest = (self._rest + piece).split(b"\n")
            self._rest = rest[-_LINE_BYTES_MAX:]
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        """Keep a line that is a JSON object; whatever else a child prints means nothing."""
        try:
            value = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError:
            return
        self.lines.append(value)
        if self.ready is None and value.get("ready") is True:
            self.ready = value
