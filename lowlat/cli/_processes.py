"""The processes of an instance, found by their statistics segments; what the kernel knows of them.

Reads shared memory and a few lines of /proc: nothing here asks a process for anything.
"""

import os
from dataclasses import dataclass
from typing import Final

from lowlat.app.nameplate import waiting_of
from lowlat.app.telemetry import Life, Reading
from lowlat.cli._words import age
from lowlat.core.clock import monotonic_ns
from lowlat.shm.header import State

__all__ = ["LATE_NS", "ProcessView", "Processes"]

LATE_NS: Final = 2_000_000_000
"""A heartbeat older than this is of a process that hangs or was stopped."""
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_SLEEPING: Final = frozenset({"parked", "poll"})
_OVER_NS: Final = 900_000_000
"""Shares of time are taken over at least so long: the kernel counts in hundredths of a second."""


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One process. None: not known."""

    name: str
    pid: int
    """0 when it is gone."""
    state: str
    """starting, ready, draining, closed; gone when it ended without closing."""
    restarts: int
    heartbeat_age_ns: int
    """-1 before the first turn of its loop."""
    core: str
    """The cores it may run on: ``2``, ``0-3``, or ``any``."""
    wait: str
    """parked, busy, spin, yield, poll; '' when it did not say."""
    duty: float | None
    """Share of the time it was at work, lately: of a loop that never sleeps, the turns that did
    something."""
    cpu: float | None
    """Share of a core it used, lately: a busy loop uses all of it."""
    rss_bytes: int | None
    """Resident memory, shared segments included."""

    @property
    def trouble(self) -> str:
        """What is wrong with it, in words; '' when nothing is."""
        if self.state == "closed":
            return ""
        if self.state not in {"ready", "starting"}:
            return self.state
        if self.heartbeat_age_ns > LATE_NS:
            return f"heartbeat {age(self.heartbeat_age_ns)} old"
        return ""


class Processes:
    """Remembers enough of the last look to tell shares of time."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[int, int, int, int]] = {}
        """By process: pid, when, busy_ns and cpu_ns then."""
        self._shares: dict[str, tuple[float | None, float | None]] = {}

    def views(self, reading: Reading) -> list[ProcessView]:
        """Describe every process that counts."""
        now_ns = monotonic_ns()
        return [
            self._view(name, life, reading, now_ns) for name, life in sorted(reading.lives.items())
        ]

    def _view(self, name: str, life: Life, reading: Reading, now_ns: int) -> ProcessView:
        here = life.writer if life.alive else None
        pid = here.pid if here is not None else 0
        wait = waiting_of(reading.gauges.get(name, {}))
        duty, cpu = self._times(name, pid, life, now_ns)
        if wait in _SLEEPING:
            # It only uses the processor when it has something to do, and turns are not all of that.
            duty = cpu
        beat_ns = life.heartbeat_ns
        return ProcessView(
            name=name,
            pid=pid,
            state=_state(life),
            restarts=max(0, life.epoch - 1),
            heartbeat_age_ns=max(0, now_ns - beat_ns) if beat_ns else -1,
            core=_cores(pid),
            wait=wait,
            duty=duty,
            cpu=cpu,
            rss_bytes=_rss_bytes(pid),
        )

    def _times(
        self, name: str, pid: int, life: Life, now_ns: int
    ) -> tuple[float | None, float | None]:
        cpu_ns = _cpu_ns(pid)
        if cpu_ns is None:
            self._marks.pop(name, None)
            self._shares.pop(name, None)
            return None, None
        mark = self._marks.get(name)
        if mark is None or mark[0] != pid:
            self._marks[name] = (pid, now_ns, life.busy_ns, cpu_ns)
            self._shares.pop(name, None)
        elif now_ns - mark[1] >= _OVER_NS:
            over_ns = now_ns - mark[1]
            # A loop that never timed a turn (it has none) has no duty.
            duty = (life.busy_ns - mark[2]) / over_ns if life.busy_ns else None
            self._shares[name] = (duty, (cpu_ns - mark[3]) / over_ns)
            self._marks[name] = (pid, now_ns, life.busy_ns, cpu_ns)
        return self._shares.get(name, (None, None))


def _state(life: Life) -> str:
    if not life.alive:
        return "closed" if life.state is State.CLOSED else "gone" if life.epoch else "never ran"
    return "starting" if life.state is State.INIT else life.state.name.lower()


def _cores(pid: int) -> str:
    try:
        allowed = sorted(os.sched_getaffinity(pid)) if pid else []
    except ProcessLookupError:
        return ""
    if not allowed:
        return ""
    if len(allowed) == os.cpu_count():
        return "any"
    if len(allowed) > 1 and allowed[-1] - allowed[0] + 1 == len(allowed):
        return f"{allowed[0]}-{allowed[-1]}"
    return ",".join(map(str, allowed))


def _words(pid: int, file: str) -> list[bytes]:
    """Return the words of a file of a process; behind its name, which may hold blanks."""
    try:
        with open(f"/proc/{pid}/{file}", "rb") as source:
            return source.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_ns(pid: int) -> int | None:
    words = _words(pid, "stat") if pid else []
    # Source: proc(5): utime and stime are fields 14 and 15, the state behind the name is 3.
    return (int(words[11]) + int(words[12])) * _TICK_NS if words else None


def _rss_bytes(pid: int) -> int | None:
    words = _words(pid, "statm") if pid else []
    return int(words[1]) * _PAGE_BYTES if words else None
