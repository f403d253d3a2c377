"""Start, watch, restart and stop the processes of an instance. Run by `lowlat demo` and `run`.

It makes the segments, starts children in order and waits until each says READY, then turns: its
heartbeat says that it lives, a pidfd says at once that a child died, the child's own heartbeat
that its loop still turns. A lost child is started again: the first time at once, then ever later,
and no more when it is a crash loop. ``halt`` is its halt cell: new orders stop while it is set.
Children go on when the supervisor dies (new orders halt by its old heartbeat); the next one adopts
them. No order passes through here and no strategy is loaded: little can go wrong.
"""

import logging
import random
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from lowlat.app.child import ChildProcess, ChildSpec, SpawnError
from lowlat.app.names import HALT_GAUGE, SUPERVISOR
from lowlat.app.office import ChildNotes, Office
from lowlat.app.postmortem import PostMortem
from lowlat.app.seat import (
    ChildState,
    ChildStatus,
    HaltCode,
    Seat,
    all_came,
    how_it_ended,
    leftovers,
    may_start,
    summary,
    traders_ready,
    wait_for_news,
)
from lowlat.app.service import Service
from lowlat.app.state import ChildRecord, forget_children, state_dir
from lowlat.core.clock import monotonic_ns
from lowlat.shm.segments import Cleaned

__all__ = ["HALT_GAUGE", "NAME", "ChildState", "ChildStatus", "HaltCode", "Supervisor"]

NAME: Final = SUPERVISOR
HEARTBEAT_EVERY_S: Final = 0.1
KILL_WAIT_S: Final = 5.0
_NS: Final = 1_000_000_000
_AGAIN_NS: Final = _NS
"""Between two tries of what a full disk or memory refused."""
_log: Final = logging.getLogger(__name__)

Progress = Callable[[str], None]
OnReady = Callable[[str, dict[str, Any]], None]
OnCrash = Callable[[ChildProcess, str], object]


class Supervisor:
    """Owns an instance's segments and children. Call ``turn`` at least every 100 ms."""

    def __init__(
        self,
        instance: str,
        children: Sequence[ChildSpec],
        *,
        segments: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> None:
        """``segments``: more arguments of ``create_segments`` (sizes). ``seed``: of the jitter."""
        self.instance = instance
        self._seats = {spec.name: Seat(spec) for spec in children}
        self._office = Office(instance, segments or {})
        self._notes = ChildNotes(instance)
        self._random = random.Random(seed)  # noqa: S311 - jitter
        self._adoptable: dict[str, ChildRecord] = {}
        self._on_ready: OnReady | None = None
        self.state_dir: Path = state_dir(instance)
        self.on_turn: Callable[[], None] | None = None
        """Called at the end of every turn, also while children start, drain or reboot."""
        self.on_crash: OnCrash | None = PostMortem(instance)
        """Called with the life that ended unasked, and how."""
        self.services: list[Service] = []
        """Served in every turn; add them before ``open``."""
        self.failure = ""
        """Why the run cannot go on; empty while it can."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # ----------------------------------------------------------------------------- start
    def open(self) -> None:
        """Make the segments and take office. Raises SegmentError when another supervisor runs."""
        specs = [seat.spec for seat in self._seats.values() if seat.spec.segments]
        self._office.make({spec.name: spec.stats for spec in specs})
        try:
            self._adoptable = leftovers(self.instance, self._seats)
            stats = self._office.enter(spec.name for spec in specs)
        except BaseException:
            self._office.leave()
            raise
        for service in self.services:
            service.opened(stats)
        self._office.beat()

    @property
    def adopts(self) -> bool:
        """Whether children of a dead supervisor still run; known after ``open``."""
        return bool(self._adoptable)

    def start(self, progress: Progress | None = None, on_ready: OnReady | None = None) -> None:
        """Start every child, each when those it comes after are READY.

        ``on_ready(name, object)`` is called at every READY, also after restarts. Raises SpawnError
        with the child's last words when one does not get there in time.
        """
        self._on_ready = on_ready
        seats = list(self._seats.values())
        # All that still live, first: nobody is watched before somebody watches him.
        self._start([seat for seat in seats if not self._adopt(seat)], progress)
        self._office.halt(HaltCode.NONE)

    def _start(self, seats: list[Seat], progress: Progress | None = None) -> None:
        """Start children as those they come after get READY; return when everybody is."""
        while True:
            for seat in [seat for seat in seats if may_start(seat, self._seats)]:
                seats.remove(seat)
                if progress is not None:
                    progress(f"starting {seat.spec.name}")
                self._spawn(seat)
            if all_came(seats, self._seats.values(), self.failure):
                return
            self.turn(HEARTBEAT_EVERY_S)

    def _adopt(self, seat: Seat) -> bool:
        record = self._adoptable.pop(seat.spec.name, None)
        if record is None:
            return False
        try:
            seat.life = ChildProcess.adopt(seat.spec, record, self._log_of(seat))
        except ProcessLookupError:
            return False
        _log.info("adopted child=%s pid=%d", seat.spec.name, record.pid)
        self._on_child_ready(seat, seat.life, monotonic_ns())
        return True

    def _spawn(self, seat: Seat) -> None:
        seat.life = ChildProcess.spawn(seat.spec, self._log_of(seat))
        seat.state = ChildState.STARTING
        seat.due_ns = monotonic_ns() + int(seat.ready_s * _NS)
        self._remember()
        _log.info("started child=%s pid=%d", seat.spec.name, seat.life.pid)

    def _spawn_again(self, seat: Seat, now_ns: int) -> None:
        """Start a child anew; when that cannot be now (disk, memory, processes), a second later.

        Whoever watches must not fall with what it watches: new orders wait, the rest goes on.
        """
        try:
            self._spawn(seat)
        except SpawnError as error:
            _log.error("not started child=%s error=%s; tried again", seat.spec.name, error)
            seat.state, seat.due_ns = ChildState.BACKOFF, now_ns + _AGAIN_NS

    def _log_of(self, seat: Seat) -> Path:
        return self.state_dir / f"{seat.spec.name}.log"

    # ----------------------------------------------------------------------------- watch
    def turn(self, wait_s: float = 0.0) -> None:
        """Write the heartbeat, wait up to wait_s for news of a child, act on it."""
        self._office.beat()
        more = [each for service in self.services for each in service.descriptors()]
        wait_for_news(self._seats.values(), more, min(wait_s, HEARTBEAT_EVERY_S))
        now_ns = monotonic_ns()
        for seat in self._seats.values():
            self._look_at(seat, now_ns)
            if seat.restarts_asked and now_ns >= seat.kill_due_ns and seat.life is not None:
                seat.kill_due_ns = 1 << 62
                _log.error("killed for restart child=%s pid=%d", seat.spec.name, seat.life.pid)
                seat.life.send(signal.SIGKILL)
        if self._office.code is HaltCode.CHILD_LOST and traders_ready(self._seats.values()):
            self._office.halt(HaltCode.NONE)
        if self._notes.is_due(now_ns):
            self._remember()
        for service in self.services:
            service.turn(now_ns)
        if self.on_turn is not None:
            self.on_turn()

    def _look_at(self, seat: Seat, now_ns: int) -> None:
        life = seat.life
        if life is not None:
            life.poll()
        if seat.state is ChildState.BACKOFF:
            if now_ns >= seat.due_ns:
                self._spawn_again(seat, now_ns)
        elif life is None:
            return
        elif life.gone:
            self._on_gone(seat, life, now_ns)
        elif seat.state is ChildState.STARTING:
            self._look_at_start(seat, life, now_ns)
        elif seat.state is ChildState.READY and seat.is_hung(now_ns):
            _log.error("hung child=%s pid=%d", seat.spec.name, life.pid)
            life.send(signal.SIGKILL)

    def _look_at_start(self, seat: Seat, life: ChildProcess, now_ns: int) -> None:
        if life.ready is not None:
            self._on_child_ready(seat, life, now_ns)
        elif now_ns >= seat.due_ns:
            _log.error("not ready child=%s after_s=%.1f", seat.spec.name, seat.ready_s)
            self._give_up_on(seat, life)
        elif seat.is_stuck(now_ns):
            _log.error("stopped on its way child=%s pid=%d", seat.spec.name, life.pid)
            life.send(signal.SIGKILL)

    def _on_child_ready(self, seat: Seat, life: ChildProcess, now_ns: int) -> None:
        seat.state, seat.due_ns = ChildState.READY, now_ns
        seat.map_stats(self.instance)
        _log.info("ready child=%s pid=%d", seat.spec.name, life.pid)
        if self._on_ready is not None and life.ready is not None:
            self._on_ready(seat.spec.name, life.ready)

    def _give_up_on(self, seat: Seat, life: ChildProcess) -> None:
        """Kill a child that did not become ready; the first time ever that ends the run."""
        if not seat.restarts:
            seat.state = ChildState.FAILED
            self.failure = f"{seat.spec.name} was not ready within {seat.ready_s:g} s"
        life.send(signal.SIGKILL)
        # Once is enough: it is gone as soon as the kernel comes to it.
        seat.due_ns = 1 << 62

    def _on_gone(self, seat: Seat, life: ChildProcess, now_ns: int) -> None:
        if seat.state in {ChildState.STOPPED, ChildState.FAILED}:
            return
        if seat.state is ChildState.STOPPING:
            seat.state = ChildState.STOPPED
            if seat.restarts_asked:
                seat.restarts_asked = False
                seat.restarts += 1
                self._spawn_again(seat, now_ns)
            return
        # It may have said so and died between two turns.
        was_ready = seat.state is ChildState.READY or life.ready is not None
        if seat.spec.trades:
            self._office.halt(max(self._office.code, HaltCode.CHILD_LOST))
        how = how_it_ended(life.exit_code)
        _log.error("lost child=%s pid=%d %s", seat.spec.name, life.pid, how)
        looping = seat.died(now_ns) and seat.spec.vital
        first_start = not was_ready and not seat.restarts
        if not seat.spec.restart or first_start or looping:
            loop = seat.spec.restart and not first_start
            seat.state = ChildState.FAILED
            self.failure = f"{how}, {len(seat.deaths_ns)} times in a minute" if loop else how
            self.failure = f"{seat.spec.name} {self.failure}"
            self._office.halt(max(self._office.code, HaltCode.CRASH_LOOP))
            if self.on_crash is not None:
                self.on_crash(life, how)
            return
        seat.restarts += 1
        seat.due_ns = now_ns + seat.backoff_ns(self._random)
        seat.state = ChildState.BACKOFF
        if seat.due_ns == now_ns:
            self._spawn_again(seat, now_ns)
        if self.on_crash is not None:
            # Behind the start: what it wrote is still there while its successor wakes up.
            self.on_crash(life, how)

    def status(self) -> list[ChildStatus]:
        """Describe every child."""
        now_ns = monotonic_ns()
        return [seat.status(now_ns) for seat in self._seats.values()]

    def summary(self) -> str:
        """Say in one line how everybody is: for a service manager's status."""
        return summary(self._seats.values(), self._office.code)

    def child(self, name: str) -> ChildProcess | None:
        """Return the present (or last) life of a child."""
        return self._seats[name].life

    @property
    def halt(self) -> HaltCode:
        """What the halt cell says now."""
        return self._office.code

    # ----------------------------------------------------------------------------- stop
    def stop(
        self, names: Iterable[str], deadline_s: float, progress: Progress | None = None
    ) -> bool:
        """Ask children to drain (SIGTERM); SIGKILL at the deadline. True when all ended themselves.

        Keeps turning meanwhile, so that heartbeat and restarts of the others go on.
        """
        seats = [self._seats[name] for name in names]
        if any(seat.spec.trades for seat in seats):
            self._office.halt(HaltCode.DRAINING)
        for seat in seats:
            seat.restarts_asked = False
            if seat.life is not None and not seat.life.gone:
                seat.state = ChildState.STOPPING
                seat.life.send(signal.SIGTERM)
            elif seat.state is not ChildState.FAILED:
                seat.state = ChildState.STOPPED
        deadline_ns = monotonic_ns() + int(deadline_s * _NS)
        while any(seat.runs for seat in seats) and monotonic_ns() < deadline_ns:
            if progress is not None:
                progress("draining " + ", ".join(s.spec.name for s in seats if s.runs))
            self.turn(HEARTBEAT_EVERY_S)
        late = [seat for seat in seats if seat.runs]
        for seat in late:
            _log.error("killed child=%s after_s=%.1f", seat.spec.name, deadline_s)
            assert seat.life is not None
            seat.life.send(signal.SIGKILL)
        self._reap(late)
        self._remember()
        return not late

    def _reap(self, seats: Iterable[Seat]) -> None:
        """Wait until killed children are gone. SIGKILL cannot be refused, only be late."""
        seats = list(seats)
        deadline_ns = monotonic_ns() + int(KILL_WAIT_S * _NS)
        while any(seat.runs for seat in seats):
            if monotonic_ns() > deadline_ns:
                names = ", ".join(seat.spec.name for seat in seats if seat.runs)
                raise SpawnError(f"{names}: still there {KILL_WAIT_S:g} s after SIGKILL")
            self.turn(HEARTBEAT_EVERY_S)

    def restart(self, name: str, deadline_s: float) -> None:
        """Let a child end in order (SIGTERM; SIGKILL at the deadline) and start it again.

        Returns at once; ``status`` tells when it is READY. Raises SpawnError for a child that does
        not run.
        """
        seat = self._seats[name]
        if seat.life is None or seat.life.gone or seat.state is not ChildState.READY:
            raise SpawnError(f"{name} is {seat.state.name.lower()}, only a ready one can restart")
        if seat.spec.trades:
            self._office.halt(max(self._office.code, HaltCode.CHILD_LOST))
        seat.state, seat.restarts_asked = ChildState.STOPPING, True
        seat.kill_due_ns = monotonic_ns() + int(deadline_s * _NS)
        seat.life.send(signal.SIGTERM)

    def forgive(self, name: str) -> None:
        """Forget a child's deaths: whoever kills on purpose sees no crash loop."""
        self._seats[name].deaths_ns.clear()

    def kill(self, names: Iterable[str]) -> None:
        """SIGKILL children as a fault would; they are restarted as after any crash."""
        for name in names:
            life = self._seats[name].life
            if life is not None:
                life.send(signal.SIGKILL)

    def reboot(self, before_unlink: Callable[[], None] | None = None) -> None:
        """Do to the instance what a reboot does: every process with segments and all memory go.

        Then make the segments anew and start the children again, in order. ``before_unlink`` is
        the last chance to read what the dead left.
        """
        seats = [seat for seat in self._seats.values() if seat.spec.segments]
        for seat in seats:
            seat.state = ChildState.STOPPING
            if seat.life is not None:
                seat.life.send(signal.SIGKILL)
        self._reap(seats)
        if before_unlink is not None:
            before_unlink()
        self._office.leave(unlink=True)
        self.open()
        for seat in seats:
            seat.restarts += 1
            seat.state = ChildState.WAITING
            if seat.life is not None:
                # Else a turn on the way finds it dead and starts it beside its successor.
                seat.life.close()
                seat.life = None
        self._start(seats)
        self._office.halt(
            HaltCode.NONE if traders_ready(self._seats.values()) else HaltCode.CHILD_LOST
        )

    def close(self, *, keep: bool = False, deadline_s: float = 10.0) -> Cleaned:
        """Stop whatever still runs, reap it, unlink the segments (unless keep), leave office."""
        if not self._office.is_open:
            return Cleaned()
        if any(seat.runs for seat in self._seats.values()):
            # All of them: one that waits to be started again must not be, meanwhile.
            self.stop(reversed(self._seats), deadline_s)
        for seat in self._seats.values():
            if seat.life is not None:
                seat.life.close()
        forget_children(self.instance)
        return self._office.leave(unlink=not keep)

    def _remember(self) -> None:
        """Note who runs, for a later supervisor."""
        lives = [seat.life for seat in self._seats.values()]
        self._notes.write(life.record for life in lives if life and not life.gone)
