"""A child's place through all its lives: state, deaths, heartbeat. Used by the supervisor."""

import contextlib
import select
import signal
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random
from typing import Final

from lowlat.app.child import ChildProcess, ChildSpec, SpawnError
from lowlat.app.state import ChildRecord, living_children
from lowlat.core.errors import SegmentError
from lowlat.shm.memory import Segment, open_segment

__all__ = [
    "ChildState",
    "ChildStatus",
    "HaltCode",
    "Seat",
    "all_came",
    "how_it_ended",
    "leftovers",
    "may_start",
    "summary",
    "traders_ready",
    "wait_for_news",
]

RESTARTS_MAX: Final = 5
"""Within RESTART_WINDOW_NS; one more is a crash loop."""
RESTART_WINDOW_NS: Final = 60_000_000_000
BACKOFF_FIRST_S: Final = 0.25
BACKOFF_MAX_S: Final = 8.0
HANG_SEEN_NS: Final = 250_000_000
"""So long we must see a heartbeat stand still ourselves: after a pause of the whole machine every
heartbeat is old."""
_NS: Final = 1_000_000_000


class HaltCode(IntEnum):
    """Why the supervisor's halt cell is set."""

    NONE = 0
    STARTING = 1
    CHILD_LOST = 2
    CRASH_LOOP = 3
    DRAINING = 4


class ChildState(IntEnum):
    """Where a child is in its life."""

    WAITING = 0
    STARTING = 1
    READY = 2
    BACKOFF = 3
    STOPPING = 4
    STOPPED = 5
    FAILED = 6
    """It ended and will not be started again."""


_UNDER_WAY: Final = frozenset({ChildState.WAITING, ChildState.STARTING, ChildState.BACKOFF})
_COMING: Final = _UNDER_WAY - {ChildState.WAITING}


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """What to show about a child."""

    name: str
    state: ChildState
    pid: int
    restarts: int
    heartbeat_age_ns: int
    """-1 when it has no heartbeat."""
    exit_code: int | None


@dataclass(slots=True)
class Seat:
    """A child's place through all its lives."""

    spec: ChildSpec
    state: ChildState = ChildState.WAITING
    life: ChildProcess | None = None
    restarts: int = 0
    deaths_ns: list[int] = field(default_factory=list)
    stats: Segment | None = None
    """Its statistics as this life writes them."""
    due_ns: int = 0
    """BACKOFF: when to start again. STARTING: when to give up. READY: since when."""
    restarts_asked: bool = False
    """STOPPING because a person wants it anew: it starts again once it is gone."""
    kill_due_ns: int = 0
    """When a life that was asked to end for a restart has had its time."""
    still: tuple[int, int] = (0, 0)
    """A heartbeat that is too old, and since when we have seen it stand there."""

    @property
    def runs(self) -> bool:
        """Whether a process is there, well or not."""
        return self.life is not None and not self.life.gone

    @property
    def ready_s(self) -> float:
        """How long this life may take to become READY."""
        spec = self.spec
        return min(spec.ready_s, spec.again_s) if self.restarts else spec.ready_s

    @property
    def heartbeat_ns(self) -> int:
        """When its loop last said that it turns, 0 when never or nobody can know."""
        return self.stats.heartbeat_ns if self.stats is not None else 0

    def map_stats(self, instance: str) -> None:
        """Map its statistics anew: who counts more than we made room for replaces its segment."""
        if self.spec.segments:
            self.stats = open_segment(instance, f"stats.{self.spec.name}")

    def died(self, now_ns: int) -> bool:
        """Note a death; True when there were so many lately that it is a crash loop."""
        self.deaths_ns = [at for at in self.deaths_ns if now_ns - at < RESTART_WINDOW_NS]
        self.deaths_ns.append(now_ns)
        return len(self.deaths_ns) > RESTARTS_MAX

    def backoff_ns(self, draw: Random) -> int:
        """Nothing after the first death, then exponential with full jitter over its half."""
        deaths = len(self.deaths_ns)
        if deaths <= 1:
            return 0
        wait_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** (deaths - 2))
        return int(wait_s * _NS * draw.uniform(0.5, 1.0))

    def is_hung(self, now_ns: int) -> bool:
        """Whether a READY child's loop stands still: somebody stopped it, or it turns no more."""
        if not self.spec.segments or self.life is None:
            return False
        latest_ns = max(self.heartbeat_ns, self.due_ns)
        age_ns = now_ns - latest_ns
        if age_ns > self.spec.stopped_s * _NS and self.life.stopped:
            return True
        if age_ns <= self.spec.hang_s * _NS:
            return False
        if self.still[0] != latest_ns:
            self.still = (latest_ns, now_ns)
        return now_ns - self.still[1] >= HANG_SEEN_NS

    def is_stuck(self, now_ns: int) -> bool:
        """Whether a child that is STARTING anew was stopped on its way."""
        if not self.restarts or self.life is None:
            return False
        start_ns = self.due_ns - int(self.ready_s * _NS)
        return now_ns - start_ns > self.spec.stopped_s * _NS and self.life.stopped

    def status(self, now_ns: int) -> ChildStatus:
        """Describe it."""
        beat_ns, life = self.heartbeat_ns, self.life
        return ChildStatus(
            self.spec.name,
            self.state,
            life.pid if life is not None and self.runs else 0,
            self.restarts,
            max(0, now_ns - beat_ns) if beat_ns else -1,
            life.exit_code if life else None,
        )


def leftovers(instance: str, seats: Mapping[str, Seat]) -> dict[str, ChildRecord]:
    """Return living children of a dead supervisor that are just what we would start.

    Raises SegmentError for any other.
    """
    found: dict[str, ChildRecord] = {}
    for record in living_children(instance):
        seat = seats.get(record.name)
        if seat is None or seat.spec.argv != record.argv:
            raise SegmentError(
                f"instance {instance!r} still has a process {record.name} (pid "
                f"{record.pid}) of an earlier run: lowlat clean --instance {instance}"
            )
        found[record.name] = record
    return found


def may_start(seat: Seat, seats: Mapping[str, Seat]) -> bool:
    """Whether everybody it comes after is READY."""
    names = list(seats)
    after = seat.spec.after
    if after is None:
        after = tuple(names[: names.index(seat.spec.name)])
    return all(seats[name].state is ChildState.READY for name in after)


def all_came(left: Sequence[Seat], seats: Collection[Seat], failure: str) -> bool:
    """Whether a start is over: nobody is left to start, and nobody is still on its way.

    Raises SpawnError, with the last words of a child that will not be started again, when it
    cannot get there.
    """
    for seat in seats:
        if seat.state is ChildState.FAILED:
            words = seat.life.last_words() if seat.life else ""
            raise SpawnError(f"{failure}\n  {words}")
    if left and all(seat.state not in _COMING for seat in seats):
        names = ", ".join(seat.spec.name for seat in left)
        raise SpawnError(f"{names}: what they start behind will never be READY")
    # One that the run can do without is waited for once, not while it comes and goes.
    return not left and not any(
        seat.state in _UNDER_WAY and (seat.spec.vital or not seat.restarts) for seat in seats
    )


def traders_ready(seats: Iterable[Seat]) -> bool:
    """Whether everybody without whom new orders halt is READY."""
    return all(seat.state is ChildState.READY for seat in seats if seat.spec.trades)


def wait_for_news(seats: Iterable[Seat], more: Iterable[int], wait_s: float) -> None:
    """Wait until a child ends or says something, or one of more descriptors is readable."""
    poller = select.poll()
    for seat in seats:
        if seat.life is not None:
            for descriptor in seat.life.descriptors():
                poller.register(descriptor, select.POLLIN)
    for descriptor in more:
        poller.register(descriptor, select.POLLIN)
    poller.poll(wait_s * 1000)


def summary(seats: Iterable[Seat], halt: HaltCode) -> str:
    """Say in one line how everybody is."""
    seats = list(seats)
    late = [seat for seat in seats if seat.state is not ChildState.READY]
    words = [f"{len(seats) - len(late)} of {len(seats)} processes READY"]
    words += [f"{seat.spec.name} {seat.state.name}" for seat in late]
    restarts = sum(seat.restarts for seat in seats)
    if restarts:
        words.append(f"{restarts} restarts")
    if halt is not HaltCode.NONE:
        words.append(f"new orders halted: {halt.name}")
    return ", ".join(words)


def how_it_ended(code: int | None) -> str:
    """Say how a process ended."""
    if code is None:
        return "ended"
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
