"""The fused engine as a process: every feed, the modules, risk and the executor in one loop.

``python -m lowlat.app.engine --config FILE``. Says ``{"ready": true}`` on stdout once the venue's
account is reconciled and markets are known; logs on stderr. SIGTERM and SIGINT drain: no new
orders, open ones canceled, groups finished, exit 0. SIGUSR1 logs latencies, SIGUSR2 halts.
"""

import argparse
import asyncio
import logging
import os
import random
import sys
from typing import Final

from lowlat.app.config import (
    Credentials,
    EngineConfig,
    check_modules,
    load_config,
    load_credentials,
)
from lowlat.app.drain import Drain
from lowlat.app.hygiene import harden
from lowlat.app.log import configure, say_ready
from lowlat.app.machine import Dialer, Metrics, RandomSalts, address_of, tls_context
from lowlat.app.nameplate import hang_nameplate
from lowlat.app.names import HALT_GAUGE, SUPERVISOR
from lowlat.app.runtime import LoopCells, Runtime, install_signals, run_process
from lowlat.app.state import state_dir
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.core.config import effective_config
from lowlat.core.errors import ConfigError, LowlatError
from lowlat.core.layout import Rule
from lowlat.feeds.ports import Connection, Listener
from lowlat.feeds.prices import CANDLES
from lowlat.net._gate import SendGate
from lowlat.net.client import HttpClient
from lowlat.net.http import HotConnections
from lowlat.net.options import PollWatch
from lowlat.shm.attachment import Attachment
from lowlat.shm.header import HEARTBEAT_AT, State
from lowlat.store.journal import read_journal
from lowlat.venues.binance.stream import stream_names, stream_path
from lowlat.wiring.fused import Fused
from lowlat.wiring.ports import Ends
from lowlat.wiring.trading import Trading

__all__ = ["FusedEngine", "main"]

_LOG: Final = logging.getLogger(__name__)
NAME: Final = "engine"
_SUPERVISOR_LATE_NS: Final = 2_000_000_000
"""A supervisor that did not beat for so long cannot halt us: new orders stop by themselves."""


class FusedEngine:
    """All engines of the fused topology over one attachment. Made on the running loop."""

    def __init__(self, config: EngineConfig, credentials: Credentials) -> None:
        self.config = config
        self.attachment = Attachment(config.instance, NAME)
        self.stats = self.attachment.open_stats()
        self.metrics = Metrics(self.stats)
        hang_nameplate(self.metrics, config.mode, config.process.waiting)
        self._clock = RealClock()
        self._draw = random.SystemRandom().random
        certificate = config.endpoints.certificate_file
        self._tls = tls_context(certificate) if self._wants_tls() else None
        self._watch = PollWatch(self.metrics.gauge("recv_wait_ns_max"))
        self.clients = [self._client(url) for url in self._rest_urls()]
        gamma, clob, binance_rest = (client.get for client in self.clients)
        relay = _Relay()
        ends = config.endpoints
        clob_address = address_of(ends.clob_url)
        self.pool = HotConnections(
            clob_address.host,
            clob_address.port,
            relay,
            ping=_ping(clob_address.name),
            draw=self._draw,
            tls=self._tls if clob_address.is_tls else None,
            gate=self._gate(),
        )
        spot_path = stream_path(stream_names(config.binance.coins), config.binance.time_unit)
        fused = Fused(
            config,
            self.attachment,
            self.metrics,
            credentials,
            clob_address.name,
            Ends(
                clock=self._clock,
                salts=RandomSalts(),
                orders=self.pool,
                gamma=gamma,
                clob=clob,
                binance_rest=binance_rest,
                market_ws=Dialer(ends.market_ws_url, self._tls, self._draw, self._watch),
                user_ws=Dialer(ends.user_ws_url, self._tls, self._draw),
                binance_ws=Dialer(ends.binance_ws_url + spot_path, self._tls, self._draw),
                prices_ws=self._dial_prices,
                note=self._note,
            ),
            read_journal(str(state_dir(config.instance))),
        )
        self.trading = relay.trading = fused.trading
        self.metadata = fused.metadata
        self.user = fused.user
        self.drain = Drain(self.trading, self.metrics, self._clock)
        self.runtime = Runtime(
            [
                _Sockets(self.pool, self.clients, self._watch),
                *fused.engines,
                self.drain,
                _Readiness(self),
            ],
            LoopCells(
                self.stats.heartbeat,
                self.metrics.cell("loop.turns"),
                self.metrics.recorder("loop.turn_ns"),
                self.metrics.recorder("loop.gc_ns"),
            ),
            waiting=config.process.waiting,
            tick_ms=config.process.tick_ms,
        )
        self.drain.done = self.runtime.stop

    async def run(self) -> int:
        """Run until drained; return the exit code."""
        if self.config.process.core >= 0:
            os.sched_setaffinity(0, {self.config.process.core})
        install_signals(asyncio.get_running_loop(), _Signals(self))
        try:
            await self.runtime.run()
        finally:
            self.attachment.set_state(State.CLOSED)
            self.attachment.close()
        return 0

    def say_ready(self) -> bool:
        """Say once that we work; True when it was said."""
        if not (self.trading.executor.ready and self.user.is_open):
            return False
        self.attachment.set_state(State.READY)
        say_ready(NAME)
        _LOG.info("ready markets=%d", len(self.metadata.instruments.markets))
        return True

    # --------------------------------------------------------------------------- wiring
    def _wants_tls(self) -> bool:
        ends = self.config.endpoints
        return any(
            url.startswith(("https", "wss"))
            for url in (ends.clob_url, ends.market_ws_url, ends.gamma_url, ends.binance_ws_url)
        )

    def _rest_urls(self) -> tuple[str, str, str]:
        ends = self.config.endpoints
        return ends.gamma_url, ends.clob_url, ends.binance_rest_url

    def _client(self, url: str) -> HttpClient:
        address = address_of(url)
        tls = self._tls if address.is_tls else None
        return HttpClient(address.host, address.port, draw=self._draw, tls=tls)

    def _gate(self) -> SendGate:
        """Halt words and heartbeats that every new order passes, in the same call as its write."""
        own = self.stats.word("halt")
        supervisor = self.attachment.open_stats_reader(SUPERVISOR)
        beat = (self.attachment.segment(f"stats.{SUPERVISOR}").view, HEARTBEAT_AT)
        return SendGate([own, supervisor.word(HALT_GAUGE)], [(*beat, _SUPERVISOR_LATE_NS)])

    def _dial_prices(self, listener: Listener, number: int) -> Connection:
        """Open the source of that number: the price socket, or candles for start prices."""
        ends = self.config.endpoints
        if number == CANDLES:
            names = stream_names(self.config.prices.coins, ("kline_1m", "kline_1h"))
            path = stream_path(names, self.config.prices.time_unit)
            return Dialer(ends.binance_ws_url + path, self._tls, self._draw)(listener, number)
        return Dialer(ends.prices_ws_url, self._tls, self._draw)(listener, number)

    def _note(self, kind: str, sample: str) -> None:
        """Keep one line a distinct fault; a repeat costs one increment."""
        self.stats.errors.record(f"{kind}: {sample}", monotonic_ns())


class _Relay:
    """Hands answers to the executor, which is made after its transport."""

    trading: Trading

    def on_answer(
        self, key: int, status: int, headers: list[tuple[bytes, bytes]], body: bytes, recv_ns: int
    ) -> None:
        """Take an answer."""
        self.trading.executor.on_answer(key, status, headers, body, recv_ns)

    def on_lost(self, key: int, recv_ns: int) -> None:
        """Take note of a request that was never answered."""
        self.trading.executor.on_lost(key, recv_ns)


class _Sockets:
    """Engine of everything that has a socket and no mind."""

    name: Final = "sockets"

    def __init__(self, pool: HotConnections, clients: list[HttpClient], watch: PollWatch) -> None:
        self._pool = pool
        self._clients = clients
        self._watch = watch

    def start(self) -> None:
        """Dial."""
        self._pool.start()
        for client in self._clients:
            client.start()

    def turn(self, now_ns: int) -> int:
        """Look after the connections."""
        self._watch.turned(now_ns)
        worked = self._pool.turn(now_ns)
        for client in self._clients:
            worked += client.turn(now_ns)
        return worked

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()
        self._pool.close()


class _Readiness:
    """Engine that looks whether the process works, until it does."""

    name: Final = "readiness"

    def __init__(self, engine: FusedEngine) -> None:
        self._engine = engine
        self._said = False

    def start(self) -> None:
        """Nothing is ready yet."""

    def turn(self, now_ns: int) -> int:
        """Say it once."""
        del now_ns
        if not self._said:
            self._said = self._engine.say_ready()
        return 0

    def close(self) -> None:
        """Nothing is held."""


class _Signals:
    """What process signals do to the fused engine."""

    def __init__(self, engine: FusedEngine) -> None:
        self._engine = engine

    def drain(self) -> None:
        """Begin an orderly end."""
        self._engine.drain.begin(monotonic_ns())

    def dump(self) -> None:
        """Log every latency histogram."""
        snapshot = self._engine.attachment.open_stats_reader(NAME).snapshot()
        for name, view in snapshot.histograms.items():
            if view.count:
                _LOG.info(
                    "latency name=%s count=%d p50_ns=%d p99_ns=%d max_ns=%d",
                    name,
                    view.count,
                    view.percentile_ns(50),
                    view.percentile_ns(99),
                    view.max_ns,
                )

    def halt(self) -> None:
        """Stop new orders until somebody resumes."""
        _LOG.warning("halt puller=SIGUSR2")
        self._engine.trading.halt_now(int(Rule.HALTED), "SIGUSR2")


def _ping(host: str) -> bytes:
    return f"GET /ok HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lowlat\r\n\r\n".encode()


async def _run(config: EngineConfig, credentials: Credentials) -> int:
    return await FusedEngine(config, credentials).run()


def main(arguments: list[str] | None = None) -> int:
    """Run the engine process; return its exit code."""
    parser = argparse.ArgumentParser(prog="lowlat.app.engine", description=__doc__)
    parser.add_argument("--config", required=True, help="TOML file")
    path = parser.parse_args(arguments).config
    configure(NAME)
    harden()
    try:
        config = load_config(path)
        check_modules(config)
        for line in effective_config(config):
            _LOG.debug("config %s", line)
        credentials = load_credentials(config.account.credentials_file)
        return run_process(lambda: _run(config, credentials))
    except ConfigError as error:
        sys.stderr.write(f"lowlat engine: {error}\n")
        return 2
    except LowlatError as error:
        _LOG.error("stopped error=%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
