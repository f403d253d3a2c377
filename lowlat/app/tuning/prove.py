"""Measure what tuning is for: stolen time, late wake-ups, and the way between two cores.

Run before and after a change; the figures are kept as JSON with the host's fingerprint. A spinning
process is only as good as its worst pause, so each row names p50, p99.9 and the maximum.
"""

import ctypes
import mmap
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from lowlat.app.tuning.host import Host
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import SegmentError
from lowlat.shm._core import StreamReader, StreamWriter

__all__ = ["Proof", "Spread", "prove"]

_HICCUP_NS: Final = 5_000
"""A gap between two readings of the clock that no loop of ours explains."""
_WAKE_US: Final = 200
_TIMER_SLACK: Final = 29
"""PR_SET_TIMERSLACK. Source: prctl(2)."""
_SLOT, _SLOTS, _AT = 512, 64, 128
_SEGMENT: Final = _AT + _SLOT * _SLOTS
_HOPS_WARM: Final = 500
_ANSWER_NS_MAX: Final = 1_000_000_000


class Spread(msgspec.Struct, frozen=True):
    """How one thing was distributed, in nanoseconds."""

    count: int
    p50_ns: int
    p999_ns: int
    max_ns: int


class Proof(msgspec.Struct, frozen=True):
    """One run on one host."""

    at_wall_ns: int
    seconds: float
    host: dict[str, str]
    hiccups: dict[str, Spread]
    """By core: pauses over 5 us of a loop that only reads the clock."""
    stolen_ppm: dict[str, int]
    """By core: share of the time spent in those pauses."""
    wakes: dict[str, Spread]
    """By core: how late a sleep of 200 us ends, timer slack at its least."""
    hop: Spread | None
    """One way between two cores that spin, None where there is only one."""


def prove(host: Host, cores: list[int], seconds: float, say: Callable[[str], None]) -> Proof:
    """Measure each core for so many seconds. Takes ``seconds`` a core and what hops take."""
    allowed = os.sched_getaffinity(0)
    hiccups, stolen, wakes = {}, {}, {}
    try:
        for core in cores:
            os.sched_setaffinity(0, {core})
            say(f"core {core}: spinning for {seconds / 2:.0f} s")
            hiccups[str(core)], stolen[str(core)] = _hiccups(seconds / 2)
            say(f"core {core}: sleeping and waking for {seconds / 2:.0f} s")
            wakes[str(core)] = _wakes(seconds / 2)
        hop = None
        if len(cores) > 1:
            say(f"hop between cores {cores[0]} and {cores[-1]}")
            hop = _hop(cores[0], cores[-1])
    finally:
        os.sched_setaffinity(0, allowed)
    return Proof(time.time_ns(), seconds, fingerprint(host), hiccups, stolen, wakes, hop)


def fingerprint(host: Host) -> dict[str, str]:
    """Say on what it was measured: figures of two fingerprints are not comparable."""
    lines = (host.read("/proc/cpuinfo") or "").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "?")
    return {
        "cpu": model,
        "cores": str(len(host.online)),
        "kernel": platform.release(),
        "guest": host.guest or "no",
        "command_line": host.read("/proc/cmdline") or "",
    }


def _hiccups(seconds: float) -> tuple[Spread, int]:
    gaps: list[int] = []
    keep = gaps.append
    start_ns = last_ns = monotonic_ns()
    end_ns = start_ns + int(seconds * 1e9)
    while last_ns < end_ns:
        now_ns = monotonic_ns()
        if now_ns - last_ns > _HICCUP_NS:
            keep(now_ns - last_ns)
        last_ns = now_ns
    stolen = sum(gaps) * 1_000_000 // (last_ns - start_ns)
    return _spread(np.array(gaps, np.int64)), stolen


def _wakes(seconds: float) -> Spread:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_TIMER_SLACK, 1, 0, 0, 0)
    late: list[int] = []
    end_ns = monotonic_ns() + int(seconds * 1e9)
    try:
        while (begin_ns := monotonic_ns()) < end_ns:
            time.sleep(_WAKE_US / 1e6)
            late.append(monotonic_ns() - begin_ns - _WAKE_US * 1_000)
    finally:
        # 0 asks for the default again.
        libc.prctl(_TIMER_SLACK, 0, 0, 0, 0)
    return _spread(np.array(late, np.int64))


def _hop(here: int, there: int, trips: int = 20_000) -> Spread:
    with tempfile.NamedTemporaryFile(prefix="lowlat-prove-", dir="/dev/shm") as file:
        os.posix_fallocate(file.fileno(), 0, 2 * _SEGMENT)
        memory = mmap.mmap(file.fileno(), 2 * _SEGMENT)
        command = [sys.executable, "-m", __name__, file.name, str(there), str(trips)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as echo:  # noqa: S603 - ourselves
            try:
                assert echo.stdout is not None
                if not echo.stdout.readline():
                    raise SegmentError("the hop's other end did not start: its message is above")
                os.sched_setaffinity(0, {here})
                return _ping(memory, trips)
            finally:
                echo.kill()


def _ping(memory: mmap.mmap, trips: int) -> Spread:
    samples = np.empty(trips, np.int64)
    publish, poll = _writer(memory, 0).publish, _reader(memory, _SEGMENT).poll
    for trip in range(trips):
        begin_ns = monotonic_ns()
        publish(1)
        while not poll():
            if monotonic_ns() - begin_ns > _ANSWER_NS_MAX:
                raise SegmentError("the other end of the hop did not answer within a second")
        samples[trip] = monotonic_ns() - begin_ns
    return _spread(samples[_HOPS_WARM:] // 2)


def _echo(path: str, core: int, trips: int) -> None:
    """Send back whatever comes, then end."""
    os.sched_setaffinity(0, {core})
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 2 * _SEGMENT)
    publish, poll = _writer(memory, _SEGMENT).publish, _reader(memory, 0).poll
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in range(trips):
        while not poll():
            pass
        publish(1)


def _writer(memory: mmap.mmap, at: int) -> StreamWriter:
    part = memoryview(memory)[at : at + _SEGMENT]
    return StreamWriter(part, _AT, _SLOT, _SLOTS, 0, epoch=1)


def _reader(memory: mmap.mmap, at: int) -> StreamReader:
    part = memoryview(memory)[at : at + _SEGMENT]
    return StreamReader(part, _AT, _SLOT, _SLOTS, 0, position=1)


def _spread(samples: npt.NDArray[np.int64]) -> Spread:
    if not len(samples):
        return Spread(0, 0, 0, 0)
    p50, p999 = np.percentile(samples, [50, 99.9])
    return Spread(len(samples), int(p50), int(p999), int(samples.max()))


if __name__ == "__main__":
    _echo(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
