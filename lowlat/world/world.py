"""A world: the fused engine and the simulated venue in one thread, on one virtual clock.

Everything that happens is a callback on one agenda; time jumps from one to the next. All chance
comes from the seed, so a run is the same to the byte on one build. ``run`` ends with an orderly
end: faults stop, orders are canceled, and once nothing is under way both sides must agree.
"""

import logging
import os
import shutil
import tempfile
from collections import deque
from random import Random
from types import TracebackType
from typing import Final, Self

import msgspec

from lowlat.core.clock import VirtualClock
from lowlat.sim.venue import Venue
from lowlat.world.agenda import NEVER_NS, Agenda
from lowlat.world.faults import INSTANTS, Fault, Windows, draw_plan
from lowlat.world.node import Node, Surroundings
from lowlat.world.recorder import Recorder
from lowlat.world.rows import Violation
from lowlat.world.settings import WorldParams, open_account, sim_config, world_settings
from lowlat.world.watch import Watch

__all__ = ["Outcome", "World"]

S_NS: Final = 1_000_000_000
MS: Final = 1_000_000
_LOOK_NS: Final = 250 * MS
_READY_NS_MAX: Final = 60 * S_NS
"""An engine that is not ready so long after its start, in fair weather, will never be."""
_TRACE: Final = 40
_VENUE_MODES: Final = frozenset({"restart", "error", "rate_limited", "cancel_only", "disabled"})
_ARMED: Final = {
    "settlement_failed": "settlement_failed_e4",
    "settlement_retry": "settlement_retry_e4",
    "stale_cross": "market_stale_cross_e4",
}
"""The next draws of the venue's own knob hit."""
_TICKS_E4: Final = (10, 100)
_COUNTED_WHEN_STRUCK: Final = frozenset({"crash", "crash_store", "recorder_crash"})
"""A fuse that is lit may never burn down."""


class Outcome(msgspec.Struct):
    """What became of a run."""

    seed: int
    seconds: float
    violation: str
    digest: str
    steps: int
    virtual_s: float
    orders: int
    fills: int
    signals: int
    decisions: int
    crashes: int
    reboots: int
    compared: int
    """Times both sides were found equal."""
    groups: dict[str, int]
    faults: dict[str, int]
    plan: list[str]
    trace: list[str]


class World:
    """One seed's world. Use as a context: it keeps a journal in a temporary directory."""

    def __init__(
        self,
        seed: int,
        params: WorldParams | None = None,
        *,
        captures: list[bytearray] | None = None,
    ) -> None:
        """Begin; ``captures`` gets what was captured of each life of the engine process."""
        self.seed = seed
        self.params = params or WorldParams()
        self._clock = VirtualClock()
        self.wall_start_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        """The venue's time at monotonic time 0."""
        self._agenda = Agenda()
        self.windows = Windows(_rng(seed, "windows"))
        self.venue = Venue(sim_config(seed, self.params), self._clock.wall_ns())
        settings = world_settings(self.params)
        limits = settings.limits
        self.watch = Watch(self.venue, self._clock.monotonic_ns, limits, limits.bankroll_cap_e6)
        account = open_account(self.venue, seed)
        self.watch.owner = account.api_key
        self.wallet = account.funder.lower()
        self._account = self.venue.exchange.accounts.by_wallet[self.wallet]
        quiet = logging.getLogger("lowlat")
        if not quiet.handlers:
            # What engines log is what faults make them say; a finding has its own words.
            quiet.addHandler(logging.NullHandler())
        memory_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
        self._folder = tempfile.mkdtemp(prefix="lowlat-world-", dir=memory_dir)
        self._trace: deque[str] = deque(maxlen=_TRACE)
        self.steps = 0
        self.compared = 0
        self._look_due_ns = 0
        self.recorder = Recorder(
            self._clock,
            self._agenda,
            self.windows,
            _rng(seed, "recorder"),
            self._folder,
            settings.journal,
            self._tell,
            ledger=bool(self.params.ledger_every) and not seed % self.params.ledger_every,
        )
        self.node = Node(
            Surroundings(
                self._clock,
                self._agenda,
                self.venue,
                self.windows,
                self.watch,
                _rng(seed, "net"),
                settings,
                account,
                self.recorder,
                captures,
            ),
            self._tell,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what the world left on disk."""
        self.node.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, seconds: float) -> Outcome:
        """Live for so long, come to an orderly end, and say what became of it."""
        length_ns = int(seconds * S_NS)
        plan = self._plan(length_ns)
        for fault in plan:
            self._agenda.at(1 + fault.at_ns, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        violation = ""
        try:
            self._until(length_ns)
            self._end()
        except Violation as error:
            violation = str(error)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is the finding
            violation = _where(error)
        if violation:
            self._tell(f"VIOLATION {violation}")
        return self._outcome(seconds, plan, violation)

    @property
    def now_ns(self) -> int:
        """Monotonic time."""
        return self._clock.monotonic_ns()

    def live(self, until_ns: int) -> None:
        """Let things happen until a time since the start: no faults, no end."""
        self._until(until_ns)

    def sleep(self, for_ns: int) -> None:
        """Let the machine sleep and the crowd go home: time passes, markets end, nobody trades.

        On waking everything that was due is late, as after a lid was opened: every socket is
        gone, the dead-man's switch has taken the orders, books are read anew.
        """
        self.venue.rest()
        self._clock.advance(for_ns)
        self.venue.wake(self._clock.wall_ns())
        if self.node.net is not None:
            for link in self.node.net.links:
                link.drop("slept")

    def _plan(self, length_ns: int) -> list[Fault]:
        params = self.params
        plan = draw_plan(self.seed, length_ns, params.fault_every_ns, params.kinds, params.only)
        return [fault for fault in plan if fault.at_ns >= params.quiet_ns]

    # ------------------------------------------------------------------ time
    def _until(self, end_ns: int) -> None:
        while self._step() < end_ns:
            pass

    def _step(self) -> int:
        """Let the next thing happen; return the time after it."""
        agenda, clock, venue = self._agenda, self._clock, self.venue
        due_ns = agenda.next_due_ns()
        venue_ns = venue.next_due_ns() - self.wall_start_ns
        at_ns = min(due_ns, venue_ns)
        assert at_ns < NEVER_NS, "nothing will ever happen again"
        now_ns = clock.monotonic_ns()
        if at_ns > now_ns:
            clock.advance(at_ns - now_ns)
        # The venue's own time goes first: what a request meets is the book of its arrival.
        if venue_ns <= at_ns or venue_ns <= now_ns:
            venue.step(clock.wall_ns())
        else:
            venue.now_ns = clock.wall_ns()
        if due_ns <= venue_ns:
            agenda.pop()()
            if self.watch.due:
                self.watch.look()
        self.steps += 1
        now_ns = clock.monotonic_ns()
        if now_ns >= self._look_due_ns:
            self._look_due_ns = now_ns + _LOOK_NS
            self._look_around()
        return now_ns

    def _look_around(self) -> None:
        node = self.node
        self.watch.look_around(node.ready_since_ns)
        if node.at_rest:
            self.watch.compare(self._account)
            self.compared += 1

    # ------------------------------------------------------------------ the end
    def _end(self) -> None:
        """Stop every fault, drain, wait for rest, compare."""
        self.windows.clear()
        self.venue.faults.open_window("normal", self.venue.now_ns, 0)
        self.venue.faults.frozen_until_ns = 0
        self.venue.rest()
        self.node.calm()
        self.node.drain()
        self._tell("faults end, drain begins")
        start_ns = self._clock.monotonic_ns()
        rested_ns = 0
        while True:
            now_ns = self._step()
            if self.node.at_rest and self.recorder.up:
                rested_ns = rested_ns or now_ns
                if now_ns - rested_ns > S_NS and self.watch.all_written():
                    break
            else:
                rested_ns = 0
            if not self.node.ready_since_ns and now_ns - start_ns > _READY_NS_MAX:
                raise Violation(f"engine not ready {_READY_NS_MAX // S_NS} s after the last fault")
            if now_ns - start_ns > self.params.settle_ns_max:
                raise Violation(f"not at rest {self.params.settle_ns_max // S_NS} s after the end")
        self._look_around()
        self.watch.end()
        self._tell("at rest, both sides agree")

    # ------------------------------------------------------------------ faults
    def _strike(self, fault: Fault) -> None:
        self._tell(f"fault {fault}")
        kind, draw = fault.kind, fault.draw
        if kind in INSTANTS and kind not in _COUNTED_WHEN_STRUCK:
            self.windows.count(kind)
        if kind.endswith("_drop"):
            self._drop(kind.removesuffix("_drop"), draw)
        elif kind in {"tick_change", "resolution"}:
            self._change_market(kind, draw)
        elif not self._strike_machine(fault) and not self._strike_venue(fault):
            until_ns = self._clock.monotonic_ns() + fault.for_ns
            self.windows.open(kind, until_ns, fault.share)

    def _strike_machine(self, fault: Fault) -> bool:
        """Strike our own machine; False when the fault is another's."""
        node, draw = self.node, fault.draw
        match fault.kind:
            case "crash":
                node.light(1 + draw % 1_000)
            case "crash_store":
                node.light(1 + draw % 100, 1 + draw // 100 % 1_000)
            case "recorder_crash":
                self.recorder.light(1 + draw % 30)
            case "reboot":
                node.reboot((200 + draw % 3_000) * MS)
            case "stall":
                node.stall(fault.for_ns)
            case "halt":
                node.halt(fault.for_ns)
            case "wall_step":
                if node.clock is not None:
                    node.clock.step_wall((draw % 4_000 - 2_000) * MS)
            case _:
                return False
        return True

    def _strike_venue(self, fault: Fault) -> bool:
        """Strike the venue; False when the fault is another's."""
        faults, kind = self.venue.faults, fault.kind
        knob = _ARMED.get(kind)
        if knob is not None:
            faults.arm(knob, 1 + fault.draw % 2)
        elif kind == "freeze":
            self.windows.count(kind)
            faults.frozen_until_ns = self.venue.now_ns + fault.for_ns
        elif kind in _VENUE_MODES:
            self.windows.count(kind)
            faults.open_window(kind, self.venue.now_ns, fault.for_ns // 2)
        else:
            return False
        return True

    def _change_market(self, kind: str, draw: int) -> None:
        """Change the grid of a market, or end one: alone, or every leg of its event."""
        exchange, now_ns = self.venue.exchange, self.venue.now_ns
        markets = [market for market in exchange.markets if market.accepting]
        market = markets[draw % len(markets)]
        if kind == "tick_change":
            exchange.change_tick(market, _TICKS_E4[market.tick_e4 == _TICKS_E4[0]], now_ns)
            return
        if market.coin:
            # Its own price ends it, at its own time.
            return
        legs = market.event.markets
        winner = legs[(draw >> 8) % len(legs)]
        for leg in legs:
            if leg.accepting:
                side = int(leg is not winner) if len(legs) > 1 else (draw >> 16) & 1
                exchange.resolve(leg, side, now_ns)

    def _drop(self, kind: str, draw: int) -> None:
        net = self.node.net
        links = [link for link in net.links if link.kind == kind] if net is not None else []
        if links:
            links[draw % len(links)].drop("dropped by the world")

    # ------------------------------------------------------------------ words
    def _tell(self, text: str) -> None:
        self._trace.append(f"{self._clock.monotonic_ns() / S_NS:10.6f}  {text}")

    def _outcome(self, seconds: float, plan: list[Fault], violation: str) -> Outcome:
        counts = self.watch.counts
        groups = {
            name.removeprefix("group "): count
            for name, count in sorted(counts.items())
            if name.startswith("group ")
        }
        return Outcome(
            self.seed,
            seconds,
            violation,
            self.watch.digest,
            self.steps,
            self._clock.monotonic_ns() / S_NS,
            counts["orders"],
            counts["fills"],
            counts["signals"],
            counts["decisions"],
            self.node.crashes,
            self.node.reboots,
            self.compared,
            groups,
            dict(sorted(self.windows.hits.items())),
            [str(fault) for fault in plan],
            list(self._trace),
        )


def _rng(seed: int, purpose: str) -> Random:
    return Random(f"{seed}|world {purpose}")  # noqa: S311 - simulation, not secrets


def _where(error: Exception) -> str:
    """Name an exception and the line that raised it."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__} in {place}: {error}"
