"""One machine of the world: the engine process and its recorder, their lives and deaths.

A crash takes the engine process: its objects are gone at the point where it struck, streams and
tables stay. A reboot takes everything but the journal's directory.
"""

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

import msgspec

from lowlat.core.clock import VirtualClock
from lowlat.core.layout import Rule
from lowlat.core.ports import Engine
from lowlat.core.recovered import Recovered
from lowlat.feeds.params import CANDLES
from lowlat.feeds.ports import Connection, Dial, Listener
from lowlat.sim.venue import Venue
from lowlat.store.journal_state import read_journal
from lowlat.venues.binance.stream import stream_names, stream_path
from lowlat.wiring.capture import Capture, header_of
from lowlat.wiring.ports import Connections, Ends
from lowlat.wiring.process import ProcessEngines
from lowlat.world.agenda import Agenda
from lowlat.world.faults import Windows
from lowlat.world.fuse import Crash, Fuse, FusedClock, FusedMeters
from lowlat.world.http import Fetcher, Orders
from lowlat.world.memory import Memory
from lowlat.world.recorder import Recorder
from lowlat.world.settings import HOST, Account, WorldSettings
from lowlat.world.sockets import Dialer, Net
from lowlat.world.watch import Watch

__all__ = ["Node", "Surroundings"]

MS: Final = 1_000_000
_READ_NS: Final = 40
"""A clock reading takes so long: stamps of one turn differ, as they do."""
_SOON_NS: Final = 8_000_000
"""Frames that come so close together are followed by one turn: who decides is pumped behind each
frame, the turn is for the rest."""
_CANCEL_EVERY_NS: Final = 1_000 * MS
_CAPTURE_BYTES_MAX: Final = 1 << 30


class Surroundings(NamedTuple):
    """What outlives the machine."""

    clock: VirtualClock
    agenda: Agenda
    venue: Venue
    windows: Windows
    watch: Watch
    rng: Random
    settings: WorldSettings
    account: Account
    recorder: Recorder
    captures: list[bytearray] | None = None
    """Gets what was captured of each life of the engine process; None: nobody wants it."""


class _Salts:
    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def next_salt(self) -> int:
        return self._rng.getrandbits(53) or 1


class Node:
    """The machine. ``down`` between a death and the next start."""

    def __init__(self, around: Surroundings, tell: Callable[[str], None]) -> None:
        self._around = around
        self._tell = tell
        self._fuse = Fuse()
        self._salts = _Salts(Random(around.rng.getrandbits(64)))  # noqa: S311 - simulation
        self._powered = False
        self._tick_due_ns = 0
        self._life = 0
        self._draining = False
        self._stalled_until_ns = 0
        self._halted_until_ns = 0
        self._cancel_due_ns = 0
        self._engines: list[Engine] = []
        self._capture: Capture | None = None
        self.net: Net | None = None
        self.fused: ProcessEngines | None = None
        self.orders: Orders | None = None
        self.clock: FusedClock | None = None
        self.ready_since_ns = 0
        self.started_ns = 0
        self.crashes = self.reboots = 0
        self._boot()

    # ------------------------------------------------------------------ life
    def _boot(self) -> None:
        around = self._around
        self._powered = True
        self.memory = Memory(self._fuse, around.settings.rows, around.recorder.fuse)
        self.meters = FusedMeters(self._fuse)
        around.recorder.boot(self.memory)
        around.watch.attach(self.memory, around.recorder)
        self.start()

    def start(self) -> None:
        """Start the engine process over the memory as it is."""
        around = self._around
        self._life += 1
        self.started_ns = around.clock.monotonic_ns()
        self.ready_since_ns = 0
        self.net = net = Net(around.clock, around.agenda, around.rng, around.windows, self._guard)
        self.clock = FusedClock(around.clock, self._fuse, _READ_NS)
        around.watch.departures.market_open = lambda: any(
            link.is_open for link in net.links if link.kind == "market"
        )
        life = self._life
        self._guarded(lambda: self._start(net, life))

    def _start(self, net: Net, life: int) -> None:
        around = self._around
        venue, settings = around.venue, around.settings
        assert self.clock is not None, "a process without a clock"
        halt = self.meters.gauge("halt")
        self.orders = Orders(
            net,
            venue.clob_request,
            self._fuse,
            lambda: halt.value,
            around.watch.sent,
            settings.connections,
        )
        path = stream_path(stream_names(settings.binance.coins), settings.binance.time_unit)
        binance = venue.binance.feed(path)
        assert binance is not None, f"the venue has no stream {path}"
        recovered = read_journal(around.recorder.directory)
        capture = self._capture = self._begin_capture(recovered, halt.value)
        ends: Connections = Ends(
            clock=self.clock,
            salts=self._salts,
            orders=self.orders,
            gamma=Fetcher(net, venue.gamma_request),
            clob=Fetcher(net, venue.clob_request),
            binance_rest=Fetcher(net, venue.binance_request),
            market_ws=Dialer(net, "market", venue.market_feed),
            user_ws=Dialer(net, "user", venue.user_feed),
            binance_ws=Dialer(net, "binance", binance),
            prices_ws=self._dial_prices(net),
            note=self._note,
        )
        if capture is not None:
            ends = capture.ends(ends)
        fused = ProcessEngines(
            settings, self.memory, self.meters, around.account, HOST, ends, recovered
        )
        self.orders.sink = fused.trading.executor.inbox
        self.fused = fused
        self._engines = fused.engines
        if capture is not None:
            self.orders.sink = capture.sink(fused.trading.executor.inbox)
            self._engines = [capture.engines(fused.engines)]
            capture.listen(fused.trading)
        for engine in self._engines:
            engine.start()
        self._schedule(_SOON_NS, life)

    def _begin_capture(self, recovered: Recovered | None, halt: int) -> Capture | None:
        around = self._around
        if around.captures is None:
            return None
        around.captures.append(bytearray())
        camera = self.memory.picture()
        header = header_of(
            around.settings.rows,
            recovered=recovered,
            keys=around.account,
            process="engine",
            instance="world",
            mode="sim",
            host=HOST,
            started_ns=around.clock.monotonic_ns(),
            wall_ns=around.clock.wall_ns(),
            config=msgspec.to_builtins(around.settings),
            slots=self.memory.slots,
            streams=camera.streams,
            tables=camera.tables,
            halt=halt,
        )
        return Capture(self.memory, header, around.account, camera.data())

    def keep_capture(self) -> None:
        """Hand over what was captured of this life so far."""
        if self._capture is not None and self._around.captures:
            self._around.captures[-1] += self._capture.log.take(_CAPTURE_BYTES_MAX)

    def _dial_prices(self, net: Net) -> Dial:
        venue, params = self._around.venue, self._around.settings.prices
        path = stream_path(stream_names(params.coins, ("kline_1m", "kline_1h")), params.time_unit)

        def dial(listener: Listener, number: int) -> Connection:
            if number != CANDLES:
                return Dialer(net, "prices", venue.rtds)(listener, number)
            candles = venue.binance.feed(path)
            assert candles is not None, f"the venue has no stream {path}"
            return Dialer(net, "prices", candles)(listener, number)

        return dial

    def _note(self, kind: str, sample: str) -> None:
        self._around.watch.counts[f"note {kind}"] += 1
        del sample

    # ------------------------------------------------------------------ death
    def light(self, effects: int, tears: int = 0) -> None:
        """Kill the engine process after so many more effects, if it is up; 0: never.

        With ``tears`` it dies inside the next record, behind one of the stores that write it.
        """
        if not effects or self._engines:
            self._fuse.light(effects, tears)

    def reboot(self, wait_ns: int) -> None:
        """Take the machine's power away; it is back after a while."""
        if not self._powered:
            return
        self.reboots += 1
        self._die()
        self._around.recorder.die()
        self._powered = False
        self._life += 1
        life = self._life
        self._at(wait_ns, lambda: self._boot() if self._life == life else None)

    def _die(self) -> None:
        self._fuse.light(0)
        self.keep_capture()
        self._capture = None
        if self.net is not None:
            self.net.die()
        self.net = self.fused = self.orders = self.clock = None
        self._engines = []
        self.ready_since_ns = 0
        self._tick_due_ns = 0

    def _crashed(self, *, inside: bool) -> None:
        self.crashes += 1
        self._around.windows.count("crash_store" if inside else "crash")
        self._die()
        self._life += 1
        life = self._life
        wait_ns = self._around.rng.randint(50, 1_500) * MS
        self._tell(f"engine died, back in {wait_ns / 1e9:.2f} s")
        self._at(wait_ns, lambda: self.start() if self._life == life else None)

    # ------------------------------------------------------------------ hands on it
    def stall(self, for_ns: int) -> None:
        """Stop the engine process for a while; what arrives waits in its sockets."""
        self._stalled_until_ns = self._around.clock.monotonic_ns() + for_ns

    def halt(self, for_ns: int) -> None:
        """Halt as a person does, and resume after a while."""
        if self.fused is None or not self.ready_since_ns:
            return
        self._around.windows.count("halt")
        self._halted_until_ns = self._around.clock.monotonic_ns() + for_ns
        self._guarded(self._pull)

    def _pull(self) -> None:
        assert self.fused is not None, "a dead process is halted"
        self.fused.trading.halt_now(int(Rule.HALTED), "by hand")

    def calm(self) -> None:
        """Take every hand off it."""
        self._stalled_until_ns = 0
        self._halted_until_ns = min(self._halted_until_ns, 1)
        self.light(0)
        self._around.recorder.light(0)

    # ------------------------------------------------------------------ turns
    def _guard(self, act: Callable[[], None]) -> None:
        """Deliver something to the engines, then let them turn."""
        net = self.net
        if net is None or not net.alive:
            return
        if self._around.clock.monotonic_ns() < self._stalled_until_ns:
            self._around.windows.count("stall")
            # The agenda keeps the order of what waits.
            self._around.agenda.at(self._stalled_until_ns, lambda: net.guard(act))
            return
        life = self._life
        if self._guarded(act):
            self._schedule(_SOON_NS, life)

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Run engine code; False when the process died in it."""
        self._around.watch.due = True
        try:
            act()
        except Crash as death:
            self._crashed(inside=death.inside)
            return False
        return True

    def _at(self, wait_ns: int, act: Callable[[], None]) -> None:
        self._around.agenda.at(self._around.clock.monotonic_ns() + wait_ns, act)

    def _schedule(self, wait_ns: int, life: int) -> None:
        """Turn after a while, or sooner when that was planned."""
        due_ns = self._around.clock.monotonic_ns() + wait_ns
        if self._tick_due_ns and self._tick_due_ns <= due_ns:
            return
        self._tick_due_ns = due_ns
        self._around.agenda.at(due_ns, lambda: self._tick(life, due_ns))

    def _tick(self, life: int, due_ns: int) -> None:
        if life != self._life or due_ns != self._tick_due_ns or not self._engines:
            return
        self._tick_due_ns = 0
        if due_ns < self._stalled_until_ns:
            self._schedule(self._stalled_until_ns - due_ns, life)
            return
        worked = [0]
        if self._guarded(lambda: self._turn(worked)):
            tick_ns = self._around.settings.tick_ns
            self._schedule(tick_ns // 4 if worked[0] else tick_ns, life)

    def _turn(self, worked: list[int]) -> None:
        assert self.clock is not None, "a dead process turned"
        assert self.fused is not None, "a dead process turned"
        now_ns = self.clock.monotonic_ns()
        for engine in self._engines:
            worked[0] += engine.turn(now_ns)
        self.keep_capture()
        executor = self.fused.trading.executor
        if executor.ready and not self.ready_since_ns:
            self.ready_since_ns = now_ns
            self._tell("engine ready")
        if self._halted_until_ns and now_ns >= self._halted_until_ns and executor.ready:
            self._halted_until_ns = 0
            self.fused.trading.resume()
        if self._draining:
            self._drain(now_ns)

    def _drain(self, now_ns: int) -> None:
        """As an orderly end does: no new orders, cancel what rests."""
        assert self.fused is not None, "a dead process drained"
        trading = self.fused.trading
        if not trading.halt.value:
            trading.halt_now(int(Rule.HALTED), "drain")
        if now_ns >= self._cancel_due_ns:
            self._cancel_due_ns = now_ns + _CANCEL_EVERY_NS
            for order in trading.executor.desk.by_id.values():
                if order.open:
                    trading.cancel(order.id)

    def drain(self) -> None:
        """Begin an orderly end."""
        self._draining = True

    def close(self) -> None:
        """End the machine."""
        self._life += 1
        self._die()
        self._around.recorder.close()

    # ------------------------------------------------------------------ looking in
    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way, here or between here and the venue."""
        if not self.ready_since_ns or self.fused is None or self.net is None:
            return False
        assert self.orders is not None, "a ready executor has a transport"
        trading = self.fused.trading
        if trading.executor.desk.unsettled or self.orders.waiting:
            return False
        return not any(link.user_frames for link in self.net.links) and trading.at_rest()
