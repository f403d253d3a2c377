"""One process that serves a simulated venue on loopback until told or until its time is up.

Prints one JSON line with every address when it is ready. Run: ``python -m lowlat.sim --json``.
"""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import Callable, Sequence
from http import HTTPStatus
from random import Random
from typing import Any, Final

import msgspec
import orjson
import uvloop
from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from lowlat.core.clock import RealClock
from lowlat.core.errors import ConfigError
from lowlat.core.ports import Clock
from lowlat.sim.config import PORT_NAMES, FaultConfig, SimConfig, load_config
from lowlat.sim.control import Control
from lowlat.sim.door import FaultyFeed, Feed
from lowlat.sim.faults import Faults
from lowlat.sim.http_server import HttpProtocol
from lowlat.sim.scenarios import read_scenario
from lowlat.sim.timers import NEVER_NS
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request, Respond
from lowlat.sim.ws_server import FeedListener, Outbox

__all__ = ["SimServer", "main", "parse_arguments"]

NS: Final = 1_000_000_000
IDLE_S: Final = 0.5
"""The longest sleep without a timer."""
CALLBACKS_MAX: Final = 2_000
"""Due callbacks run in one turn of the loop: an overloaded venue falls behind its own clock, but it
still hears its clients and the signal to stop."""
PIECE: Final = 20
"""So many of them between two looks at the clock."""
TURN_NS: Final = 20_000_000
"""And so long: where many share a core, 2 000 callbacks take longer than a client waits."""


class SimServer:
    """Sockets around a venue. Start it in a running loop; ``addresses`` says where it listens."""

    def __init__(self, config: SimConfig, clock: Clock) -> None:
        config.validate()
        self.config = config
        self._clock = clock
        # Steps of the machine's wall clock never reach the venue.
        self._offset_ns = clock.wall_ns() - clock.monotonic_ns()
        self.venue = Venue(config, self.now_ns())
        self.control = Control(self.venue)
        self.addresses: dict[str, str] = {}
        self.certificate = ""
        self._folder = tempfile.TemporaryDirectory(prefix="lowlat-sim-")
        self._servers: list[asyncio.Server] = []
        self._connections: set[HttpProtocol] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns = NEVER_NS

    def now_ns(self) -> int:
        """Return wall time that never steps."""
        return self._clock.monotonic_ns() + self._offset_ns

    def advance(self) -> int:
        """Let the venue do what is due, within reason; return its time."""
        venue = self.venue
        begin_ns = now_ns = max(self.now_ns(), venue.now_ns)
        done = 0
        while done < CALLBACKS_MAX and now_ns - begin_ns < TURN_NS:
            count = venue.step(now_ns, PIECE)
            done += count
            if count < PIECE:
                break
            now_ns = max(self.now_ns(), venue.now_ns)
        return venue.now_ns

    async def start(self) -> None:
        """Listen on every port and begin to run timers."""
        context: ssl.SSLContext | None = None
        if self.config.tls:
            # Only TLS needs cryptography; without it the simulator runs on the core install.
            from lowlat.sim.tls import server_context  # noqa: PLC0415

            context, self.certificate = server_context(self._folder.name)
        for name in PORT_NAMES:
            secure = context if name != "control" else None
            port = self.config.ports.get(name, 0)
            if name.endswith("_ws"):
                server = await self._listen_ws(name, port, secure)
            else:
                server = await self._listen_http(name, port, secure)
            self._servers.append(server)
            scheme = ("ws" if name.endswith("_ws") else "http") + ("s" if secure else "")
            bound = server.sockets[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            self.addresses[name] = f"{scheme}://{host}:{bound}"
        self._on_timer()

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._timer is not None:
            self._timer.cancel()
        for name in ("market", "user", "binance", "rtds", "polybolt"):
            for session in self.venue.sessions(name):
                session.close(1001, "going away")
        for connection in list(self._connections):
            connection.abort(graceful=False)
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)
        self._folder.cleanup()

    # ----------------------------------------------------------------------------- listening
    async def _listen_http(
        self, name: str, port: int, context: ssl.SSLContext | None
    ) -> asyncio.Server:
        handlers: dict[str, Callable[[Request, Respond], None]] = {
            "clob": self.venue.clob_request,
            "gamma": self.venue.gamma_request,
            "data": self.venue.data_request,
            "relayer": self.venue.relayer_request,
            "binance": self.venue.binance_request,
            "control": self.control.handle,
        }
        handler = handlers[name]

        def handle(request: Request, respond: Respond) -> None:
            self.advance()
            handler(request, respond)
            self._schedule()

        # Our own door has no faults, or nobody could close it again.
        faults = Faults(FaultConfig(), Random(0)) if name == "control" else self.venue.faults  # noqa: S311
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: HttpProtocol(handle, self._connections, faults),
            self.config.host,
            port,
            ssl=context,
        )

    async def _listen_ws(
        self, name: str, port: int, context: ssl.SSLContext | None
    ) -> asyncio.Server:
        outbox = Outbox(asyncio.get_running_loop().call_soon)

        def now_ns() -> int:
            now = self.advance()
            self._schedule()
            return now

        def accept(
            request: WSUpgradeRequest,
        ) -> WSListener | WSUpgradeResponseWithListener | None:
            if name == "binance_sbe_ws" and not request.headers.get("X-MBX-APIKEY"):
                refusal = WSUpgradeResponse.create_error_response(
                    HTTPStatus.UNAUTHORIZED, b'{"code":-2015,"msg":"Invalid API-key."}'
                )
                return WSUpgradeResponseWithListener(refusal, None)
            feed = self._feed(name, request.path.decode())
            return None if feed is None else FeedListener(feed, now_ns, outbox)

        return await ws_create_server(accept, self.config.host, port, ssl=context)

    def _feed(self, name: str, path: str) -> Feed | None:
        """Route a socket by port and path, through the rules for frames; None is answered 404."""
        venue = self.venue
        found: Feed | None
        if name == "clob_ws":
            feed = {"/ws/market": "market", "/ws/user": "user"}.get(path, "")
            feeds: dict[str, Feed] = {"market": venue.market_feed, "user": venue.user_feed}
            found = feeds.get(feed)
        elif name == "rtds_ws":
            feed, found = "rtds", venue.rtds
        elif name == "polybolt_ws":
            feed, found = "polybolt", venue.polybolt if path.startswith("/ws") else None
        else:
            feed = "binance"
            found = venue.binance.feed(path, binary=name == "binance_sbe_ws")
        if found is None:
            return None
        return FaultyFeed(feed, found, venue.faults, venue.timers, lambda: venue.now_ns)

    # ----------------------------------------------------------------------------- timers
    def _on_timer(self) -> None:
        self._timer = None
        self.advance()
        self._schedule()

    def _schedule(self) -> None:
        """Wake at the next due time; re-arm only when it moved."""
        due_ns = self.venue.next_due_ns()
        if self._timer is not None:
            if self._timer_due_ns <= due_ns:
                return
            self._timer.cancel()
        self._timer_due_ns = due_ns
        wait_s = min(IDLE_S, max(0.0, (due_ns - self.now_ns()) / NS))
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._on_timer)


def parse_arguments(arguments: Sequence[str]) -> SimConfig:
    """Turn ``--key value`` pairs (and ``--json``) into a config; nested keys take JSON.

    ``--scenario NAME|FILE.toml`` and ``--config FILE.json`` bring many at once; what comes later
    wins, tables key by key. Raises ConfigError.
    """
    values: dict[str, Any] = {}
    rest = [each for each in arguments if each != "--json"]
    if len(rest) % 2:
        raise ConfigError(f"argument {rest[-1]!r} has no value, expected --key value")
    for flag, text in zip(rest[::2], rest[1::2], strict=True):
        if not flag.startswith("--"):
            raise ConfigError(f"argument was {flag!r}, expected --key value")
        key = flag[2:].replace("-", "_")
        if key == "scenario":
            _merge(values, read_scenario(text))
            continue
        if key == "config":
            try:
                with open(text, "rb") as file:
                    _merge(values, msgspec.json.decode(file.read(), type=dict[str, Any]))
            except (OSError, msgspec.MsgspecError) as error:
                raise ConfigError(f"--config {text}: {error}") from error
            continue
        try:
            _merge(values, {key: msgspec.json.decode(text.encode())})
        except msgspec.DecodeError:
            values[key] = text
    return load_config(values)


def _merge(values: dict[str, Any], more: dict[str, Any]) -> None:
    """Put more values over some; a table goes into a table."""
    for key, value in more.items():
        old = values.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        else:
            values[key] = value


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the time is up, SIGTERM or SIGINT; return an exit code."""
    try:
        config = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    except (ConfigError, OSError, msgspec.DecodeError) as error:
        sys.stderr.write(f"lowlat sim: {error}\n")
        return 2
    return uvloop.run(_serve(config))


async def _serve(config: SimConfig) -> int:
    server = SimServer(config, RealClock())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    ready = {"ready": True, "seed": config.seed, "certificate": server.certificate}
    _print({**ready, "urls": server.addresses})
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), config.seconds or None)
    server.advance()
    state = server.control.state()
    await server.close()
    try:
        _print({"done": True, **{k: v for k, v in state.items() if k != "accounts"}})
    except BrokenPipeError:
        # Who read the first line only (`| head -1`) has enough; the exit code tells how it ended,
        # and closing stdout must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if state["audit"] == "ok" else 1


def _print(value: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()
