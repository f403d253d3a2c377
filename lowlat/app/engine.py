"""An engine process: the roles that the topology gives it, in one loop.

``python -m lowlat.app.engine --config FILE --process NAME``. Says ``{"ready": true}`` on stdout
once every role of it works; logs on stderr. SIGTERM and SIGINT drain (where the executor is: no
new orders, open ones canceled, groups finished), exit 0; 1 when something was
still open at the drain's deadline. SIGUSR1 logs latencies, SIGUSR2 halts.

Nothing is imported that the process's own roles do not need: after a death every 100 ms count.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection
from functools import cached_property
from typing import TYPE_CHECKING, Final

from lowlat.app.bells import GatedMemory, Ringer
from lowlat.app.captures import captures, without_tapes
from lowlat.app.config import (
    Credentials,
    check_modules,
    load_config,
    load_credentials,
    refuse_owner_key,
)
from lowlat.app.drain import Drain
from lowlat.app.elsewhere import Elsewhere, HaltWatch
from lowlat.app.ends import RealEnds, Sockets
from lowlat.app.entry import run_child
from lowlat.app.generations import Generation, config_in_force
from lowlat.app.hygiene import refuse_in_environment
from lowlat.app.injector import INJECT, Injector
from lowlat.app.log import say_ready
from lowlat.app.loop import BUSY, PARKED, LoopCells, PlainLoop, Tick, Yielder
from lowlat.app.machine import Metrics, address_of
from lowlat.app.nameplate import hang_nameplate
from lowlat.app.readiness import Readiness
from lowlat.app.state import state_dir
from lowlat.app.steering import Steering, order_gate
from lowlat.app.sweep import OrderCount, Sweep
from lowlat.app.topology import check_cores, process_of
from lowlat.app.wallet_lock import lock_trading
from lowlat.core._ends import HaltEnd
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.core.config import effective_config
from lowlat.core.errors import ConfigError
from lowlat.core.layout import Rule
from lowlat.core.ports import Engine
from lowlat.shm.attachment import Attachment
from lowlat.shm.header import State
from lowlat.shm.waiting import Park, Spin, Wait, Yield
from lowlat.wiring.ports import Connections
from lowlat.wiring.process import ProcessEngines
from lowlat.wiring.trading import DECIDING

if TYPE_CHECKING:
    from lowlat.app.captured import Captured
    from lowlat.core.recovered import Recovered
    from lowlat.net.options import PollWatch

__all__ = ["EngineProcess", "main"]

_LOG: Final = logging.getLogger(__name__)
_SOCKETED: Final = frozenset({"metadata", "binance", "prices", "polymarket", "executor"})
"""Roles that need an event loop."""
_SPACED_NS: Final = 50_000
"""Between two turns of a busy loop that frames drive; sockets are polled all the time."""


class EngineProcess:
    """The engines of one process over one attachment. One with sockets is made on its loop."""

    def __init__(
        self, generation: Generation, name: str, credentials: Credentials | None = None
    ) -> None:
        config = self.config = generation.config
        self.name = name
        self._place = config.topology[name]
        roles = frozenset(self._place.engines)
        self.attachment = Attachment(config.instance, name)
        self.stats = self.attachment.open_stats()
        self.metrics = Metrics(self.stats)
        self._elsewhere = Elsewhere(self.attachment, config.topology)
        # First of all cells: others look for it by its place (see elsewhere).
        own_halt = self._elsewhere.own(self.stats)
        waiting = PARKED if self._place.wait == "park" else self._place.wait
        hang_nameplate(self.metrics, config.mode, waiting)
        self.metrics.gauge("process.core").set(self._place.core + 1)
        gate = order_gate(
            self.attachment,
            [own_halt, *self._elsewhere.halts],
            self._elsewhere.heartbeats if "executor" in roles else (),
        )
        watch = self._watch() if self.has_sockets else None
        self._ends = RealEnds(config, watch, gate, self._note)
        self._memory = GatedMemory(self.attachment)
        recovered = self._recovered(roles)
        settings = config
        ends: Connections = self._ends
        halted: HaltEnd = self._elsewhere.gate
        self._captured: Captured | None = None
        if credentials is not None and captures(config, roles):
            from lowlat.app.captured import begin_capture

            self._captured = begin_capture(
                config, self.attachment, self.metrics, self._ends, credentials, recovered
            )
        if self._captured is not None:
            # A capture has every frame already.
            settings = without_tapes(config)
            ends, halted = self._captured.ends, self._captured.halted(halted)
        self.parts = ProcessEngines(
            settings,
            self._memory,
            self.metrics,
            credentials,
            self._ends.host,
            ends,
            recovered,
            roles=roles,
            halted_elsewhere=halted,
        )
        self.trading = self.parts.trading
        if self._captured is not None:
            self._captured.listen(self.trading)
        if generation.number:
            # Decisions carry the number from the first one on.
            self.trading.reload(self.config, generation.number)
        self._drain: Drain | None = None
        self._stop: Callable[[], None] = lambda: None
        self._engines = self._all_engines(generation.number)

    def _watch(self) -> "PollWatch":
        from lowlat.net.options import PollWatch

        return PollWatch(self.metrics.gauge("recv_wait_ns_max"))

    def _recovered(self, roles: Collection[str]) -> "Recovered | None":
        """Read the journal where it is needed: risk has its own tables while memory lives."""
        fresh = "risk" in roles and not self.attachment.segment("table.stakes").epoch
        if "executor" not in roles and not fresh:
            return None
        from lowlat.store.journal_state import read_journal

        return read_journal(str(state_dir(self.config.instance)))

    def _all_engines(self, generation: int) -> list[Engine]:
        """Put what every process has around the engines of the roles."""
        trading = self.trading
        captured = self._captured
        own = self.parts.engines if captured is None else captured.engines(self.parts.engines)
        engines: list[Engine] = [Steering(self.attachment, self.stats, self, generation), *own]
        if self.has_sockets:
            engines.insert(0, Sockets(self._ends))
        if "signals" in trading.roles and self.config.mode != "live":
            reader = self.attachment.open_stream_reader(INJECT)
            signals = trading.signals if captured is None else captured.signals
            engines.append(Injector(reader, signals, self.metrics, self._note))
        if "executor" in trading.roles:
            executor, halt = trading.executor, trading.halt
            self._ends.relay.inbox = executor.inbox if captured is None else captured.sink
            self._drain = Drain(trading, RealClock())
            watch = HaltWatch(
                self._elsewhere,
                executor if captured is None else captured.executor,
                halt if captured is None else captured.halt,
                trading.draining,
            )
            engines += [watch, self._drain, *self._keep_warm()]
        self._ringer = Ringer(self._memory.bells)
        inputs = self._memory.inputs
        if self.has_sockets and self._place.wait == "park" and inputs:
            from lowlat.app.doorbell import Doorbell

            for gate in sorted({each.gate for each in inputs}):
                streams = [each.reader for each in inputs if each.gate == gate]
                engines.append(Doorbell(self.config.instance, gate, streams, self._pump))
        if self.has_sockets and self._place.wait == "yield":
            engines.append(Yielder())
        orders = OrderCount(self.attachment, process_of(self.config.topology, "executor"))
        engines.append(Sweep(orders, self._cells.collect))
        return [*engines, self._ringer, Readiness(self.parts.unready, self._say_ready)]

    def _keep_warm(self) -> "list[Engine]":
        """Return what keeps the way of an order in the caches of a process that never sleeps."""
        if self._place.wait != "spin" or not self.config.execution.rehearse:
            return []
        from lowlat.net.warm import WarmLine, WarmSends

        try:
            if address_of(self.config.endpoints.clob_url).is_tls:
                from lowlat.net.ourselves import secure_both

                line = WarmLine(secure_both)
            else:
                line = WarmLine()
        except OSError as error:
            _LOG.warning("no rehearsal: loopback refused a connection error=%r", error)
            return []
        if not self._driven_by_frames:
            return [WarmSends(line)]
        from lowlat.app.rehearsal import Rehearsal

        pool = self._ends.pool
        assert pool is not None, "an executor without connections"
        return [Rehearsal(self.config, line, self.metrics, lambda: pool.busy > 0, self._note)]

    @property
    def has_sockets(self) -> bool:
        """Whether it needs an event loop."""
        return not _SOCKETED.isdisjoint(self._place.engines)

    @property
    def _driven_by_frames(self) -> bool:
        """Whether nothing here waits for a record of another process: frames run what they move."""
        deciding = self.trading.roles
        return not deciding or (len(deciding) == len(DECIDING) and "polymarket" in self.parts.roles)

    def _pump(self, now_ns: int) -> int:
        """Run the deciding engines now: a record of another process waits for them."""
        worked = sum(engine.turn(now_ns) for engine in self.trading.engines)
        self._ringer.turn(now_ns)
        return worked

    # --------------------------------------------------------------------------- running
    def run(self) -> int:
        """Run in a plain loop until drained; return the exit code."""
        self._pin()
        loop = PlainLoop(self._engines, self._cells, self._wait())
        loop.on_signal(signal.SIGTERM, self.drain)
        loop.on_signal(signal.SIGINT, self.drain)
        loop.on_signal(signal.SIGUSR1, self.dump)
        loop.on_signal(signal.SIGUSR2, self.halt)
        self._on_stop(loop.stop)
        try:
            loop.run()
        finally:
            self._leave()
        return self._exit_code()

    async def run_sockets(self) -> int:
        """Run in the event loop until drained; return the exit code."""
        import asyncio

        from lowlat.app.runtime import Runtime, install_signals

        self._pin()
        waiting = PARKED if self._place.wait == "park" else BUSY
        runtime = Runtime(
            self._engines,
            self._cells,
            waiting=waiting,
            tick_ms=self._place.tick_ms,
            spaced_ns=_SPACED_NS if self._driven_by_frames else 0,
            watch=self._ends.watch,
        )
        install_signals(asyncio.get_running_loop(), self)
        self._on_stop(runtime.stop)
        try:
            await runtime.run()
        finally:
            if self._captured is not None:
                await self._captured.finish()
            self._leave()
        return self._exit_code()

    def _exit_code(self) -> int:
        """Return 1 when the drain gave up: what is open then is for a person to look at."""
        return int(self._drain is not None and self._drain.late)

    def _on_stop(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        if self._drain is not None:
            self._drain.done = stop

    def _wait(self) -> Wait:
        if self._place.wait == "spin":
            # That nobody else is on its core is checked with the topology.
            return Spin(1)
        if self._place.wait == "yield":
            return Yield()
        inputs = self._memory.inputs
        if not inputs:
            return Tick(self._place.tick_ms)
        streams = [each.reader for each in inputs]
        return Park(self.config.instance, inputs[0].gate, streams, self._place.tick_ms)

    @cached_property
    def _cells(self) -> LoopCells:
        return LoopCells(
            self.stats.heartbeat,
            self.metrics.cell("loop.turns"),
            self.metrics.recorder("loop.turn_ns"),
            self.metrics.recorder("loop.gc_ns"),
        )

    def _pin(self) -> None:
        if self._place.core >= 0:
            os.sched_setaffinity(0, {self._place.core})

    def _leave(self) -> None:
        self.attachment.set_state(State.CLOSED)
        self.attachment.close()

    def _say_ready(self) -> None:
        self.attachment.set_state(State.READY)
        say_ready(self.name)
        _LOG.info("ready roles=%s", ",".join(self._place.engines))

    def _note(self, kind: str, sample: str) -> None:
        """Keep one line a distinct fault; a repeat costs one increment."""
        self.stats.errors.record(f"{kind}: {sample}", monotonic_ns())

    # --------------------------------------------------------------------------- control
    def apply(self, generation: Generation) -> None:
        """Run on another config from here on, or raise ConfigError and change nothing."""
        self.trading.reload(generation.config, generation.number)
        self.config = generation.config

    def halt(self, reason: str = "SIGUSR2") -> None:
        """Stop new orders until somebody resumes."""
        _LOG.warning("halt reason=%r", reason)
        self.trading.halt_now(int(Rule.HALTED), reason)

    def resume(self) -> None:
        """Lift halts: a person asked."""
        self.trading.resume()

    def drain(self) -> None:
        """Begin an orderly end; without the executor there is nothing to wait for."""
        if self._drain is not None:
            self._drain.begin(monotonic_ns())
        else:
            self._stop()

    def dump(self) -> None:
        """Log every latency histogram."""
        own = self.attachment.open_stats_reader(self.name)
        for name, count, percentiles_ns in own.percentiles((50, 99, 100)):
            _LOG.info(
                "latency name=%s count=%d p50_ns=%d p99_ns=%d max_ns=%d",
                name,
                count,
                *percentiles_ns,
            )


def main(arguments: list[str] | None = None) -> int:
    """Run an engine process; return its exit code."""
    parser = argparse.ArgumentParser(prog="lowlat.app.engine", description=__doc__)
    parser.add_argument("--config", required=True, help="TOML file")
    parser.add_argument("--process", default="engine", help="name in [topology.NAME]")
    parser.add_argument("--live", action="store_true", help="may trade real money")
    chosen = parser.parse_args(arguments)
    return run_child(chosen.process, lambda: _run(chosen.config, chosen.process, live=chosen.live))


def _run(path: str, name: str, *, live: bool) -> int:
    from_file = load_config(path)
    generation = config_in_force(from_file, name)
    config = generation.config
    if name not in config.topology:
        names = ", ".join(config.topology)
        raise ConfigError(f"--process was {name!r}, the topology of {path} has {names}")
    place = config.topology[name]
    check_cores({name: place}, os.sched_getaffinity(0))
    if "signals" in place.engines:
        check_modules(config)
    for line in effective_config(config):
        _LOG.debug("config %s", line)
    credentials = None
    if "executor" in place.engines:
        # Nobody else ever opens that file: a fault elsewhere cannot reach the key.
        if config.mode == "live" and not live:
            raise ConfigError(f"mode of {path} was live: only lowlat run --live trades real money")
        credentials = load_credentials(config.account.credentials_file)
        if config.mode == "live":
            own = (credentials.private_key, credentials.api_secret, credentials.api_passphrase)
            refuse_in_environment(own, os.environ)
            refuse_owner_key(config, credentials)
        # Held as long as this function runs, which is as long as the process lives.
        _wallet = lock_trading(credentials.funder, config.instance)
    if _SOCKETED.isdisjoint(place.engines):
        return EngineProcess(generation, name).run()

    from lowlat.app.runtime import run_process

    async def run() -> int:
        return await EngineProcess(generation, name, credentials).run_sockets()

    return run_process(run)


if __name__ == "__main__":
    sys.exit(main())
