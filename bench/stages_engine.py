"""The shipped decision path over private memory, one frame at a time: what bench/stages.py times.

Feed, signals, risk and executor are the real engines in the real wiring (lowlat.wiring); the
streams and tables are private, the transport takes everything, and the venue's answers are given
back between samples. 520 markets, 20 of them crypto, 200 old positions, as in bench/wire_engine.py.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from bench.captured import BareEnds, bare_header
from bench.feed_engine import MARKETS_A_SOCKET, Connection
from bench.markets import KILLED, book_frame, change_frame, market_row, put_market
from bench.private import TemplateStats
from bench.wire_engine import ACCOUNT, CRYPTO, MARKETS, Spot, config, put_positions
from lowlat.app.config import ModuleConfig
from lowlat.app.machine import Metrics, RandomSalts
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.core.directory import MarketDirectory
from lowlat.core.ports import SENT, Clock, Engine
from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed
from lowlat.shm.private import PrivateMemory
from lowlat.wiring.blocks import BlockStream
from lowlat.wiring.capture import Capture
from lowlat.wiring.ports import Memory
from lowlat.wiring.trading import Trading

__all__ = ["StageBench"]

BID_E4, ASK_E4, CHEAP_E4 = 3000, 5600, 5400
CHEAP_SIZE = "73.31"
_LISTED = b'{"limit":100,"count":0,"next_cursor":"LTE=","data":[]}'
_ANSWERS = (
    (b"GET /data/", _LISTED),
    (b"asset_type=COLLATERAL", b'{"balance":"1000000000000","allowances":{}}'),
    (b"GET /balance-allowance", b'{"balance":"100000000","allowances":{}}'),
)
_SECOND_NS = 1_000_000_000


class NullTransport:
    """Takes every request at once; ``entered_ns`` and ``left_ns`` are the last send's bounds."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.entered_ns = self.left_ns = 0
        self.orders = 0

    def send(self, request: bytes, key: int, *, urgent: bool) -> int:
        """Take a request."""
        self.entered_ns = monotonic_ns()
        self.waiting.append((key, request))
        self.orders += urgent
        self.left_ns = monotonic_ns()
        return SENT

    def idle(self) -> int:
        """Say that a dozen connections wait."""
        return 12


class StageBench:
    """One engine. ``pumped``: the feed runs the rest behind each frame, as shipped.

    ``shadows``: modules that look along and may decide, but send nothing. ``captured``: all that
    comes in is written down. ``memory``: of an instance whose recorder reads, default private.
    ``clock``: one that does not follow the machine, for runs that are slowed down on purpose.
    """

    def __init__(
        self,
        *,
        pumped: bool,
        shadows: tuple[str, ...] = (),
        captured: bool = False,
        memory: Memory | None = None,
        clock: Clock | None = None,
    ) -> None:
        config = _config(shadows)
        self._clock = clock or RealClock()
        self.memory: Memory = memory or PrivateMemory()
        self.stats = TemplateStats()
        self.transport = NullTransport()
        memory, metrics = self.memory, Metrics(self.stats)
        ends: Any = BareEnds(self.transport, self._dial, self._clock, RandomSalts(), _refuse)
        capture = Capture(memory, bare_header(ACCOUNT), ACCOUNT) if captured else None
        if capture is not None:
            ends = capture.ends(ends)
        put_positions(memory.open_table_writer("positions"))
        markets = memory.open_table_writer("markets")
        metadata = memory.open_stream_writer("metadata")
        for market in range(MARKETS):
            put_market(markets, metadata, market_row(market, crypto=market < CRYPTO))
        self.spot = Spot(memory.open_table_writer("spot_top"), memory.open_stream_writer("spot"))
        self.trading = Trading(
            config,
            memory,
            metrics,
            ACCOUNT,
            "127.0.0.1",
            ends.orders,
            None,
            clock=ends.clock,
            salts=ends.salts,
        )
        gated = ["reports", "decisions", *(["capture"] if captured else [])]
        self.ledger = (
            [memory.open_stream_reader(name, gate="ledger") for name in gated]
            if memory is self.memory and isinstance(memory, PrivateMemory)
            else []
        )
        self.sockets: list[Connection] = []
        self.feed = PolymarketFeed(
            config.feed,
            MarketDirectory(
                memory.open_table_reader("markets"), memory.open_stream_reader("metadata")
            ),
            FeedOutputs(
                memory.open_table_writer("book"),
                memory.open_table_writer("shard"),
                memory.open_stream_writer("market"),
                memory.open_stream_writer("trades"),
                ends.clock,
            ),
            ends.market_ws,
            lambda *_: True,
            ends.clock,
            metrics.scope("feed"),
            _refuse,
            pump=self.trading.pump_of_feed if pumped else None,
        )
        self.at_ms = self._clock.wall_ns() // 1_000_000
        trading = self.trading
        self._engines: list[Engine] = [trading.signals, trading.risk, trading.executor]
        if capture is not None:
            cells = [metrics.gauge(f"capture.{name}") for name in ("waiting_bytes", "lost")]
            writer = memory.open_stream_writer("capture")
            blocks = BlockStream(capture.log, writer, self._clock, *cells)
            self._engines = [blocks, capture.engines(self._engines)]
        self._start()

    def _dial(self, listener: Any, number: int) -> Connection:
        self.sockets.append(Connection(listener, number))
        return self.sockets[-1]

    def _start(self) -> None:
        """Start every engine, answer its questions, load the books, teach it the volatility."""
        monotonic_ns = self._clock.monotonic_ns
        self.feed.start()
        while self.feed.turn(monotonic_ns()):
            pass
        for socket in self.sockets:
            socket.listener.on_open(socket)
        trading = self.trading
        for engine in self._engines:
            engine.start()
        past_ns = monotonic_ns() - 6 * _SECOND_NS
        for second in range(6):
            self.spot.turn(past_ns + second * _SECOND_NS)
            trading.signals.turn(past_ns + second * _SECOND_NS)
        bids = [(f"{BID_E4 / 1e4 - 0.01 * i:.2f}", "100") for i in range(28, -1, -1)]
        asks = [(f"{ASK_E4 / 1e4 + 0.01 * i:.2f}", "100") for i in range(31, -1, -1)]
        for market in range(MARKETS):
            self.send(book_frame(market, bids, asks, self.at_ms), market)
            self.settle()
        deadline_ns = monotonic_ns() + 20 * _SECOND_NS
        while not trading.executor.ready or not self._gate_open():
            self.settle()
            assert monotonic_ns() < deadline_ns, "the engine did not get ready"
        assert not trading.signals.errors, trading.signals.errors

    def _gate_open(self) -> bool:
        return not self.trading.risk.state.waiting

    def send(self, frame: bytes, market: int) -> None:
        """Deliver one frame on the market's socket."""
        socket = self.socket_of(market)
        socket.listener.on_frame(socket, frame, True, self._clock.monotonic_ns())

    def socket_of(self, market: int) -> Connection:
        """Return the connection that a market's frames come on."""
        return self.sockets[market // MARKETS_A_SOCKET]

    def settle(self) -> None:
        """Let everything due happen: spot, turns, answers, signatures, the ledger's reading."""
        now_ns = self._clock.monotonic_ns
        self.spot.turn(now_ns())
        self.feed.turn(now_ns())
        for _ in range(1_000):
            worked = self._answer()
            for engine in self._engines:
                worked += engine.turn(now_ns())
            for reader in self.ledger:
                while reader.poll():
                    worked += 1
                reader.release()
            if not worked:
                return
        raise AssertionError("the engine found no rest in 1000 rounds")

    def _answer(self) -> int:
        waiting = self.transport.waiting
        answered = len(waiting)
        while waiting:
            key, request = waiting.popleft()
            line = request.split(b"\r\n", 1)[0]
            status, body = 400, KILLED
            for words, answer in _ANSWERS:
                if words in line:
                    status, body = 200, answer
                    break
            self.trading.executor.inbox.on_answer(key, status, {}, body, self._clock.monotonic_ns())
        return answered

    def frames(self, market: int) -> tuple[bytes, bytes, bytes]:
        """Frames of a crypto market: one that makes it cheap, its undoing, one that says little."""
        self.at_ms += 1
        at_ms = self.at_ms
        return (
            change_frame(market, "SELL", CHEAP_E4, CHEAP_SIZE, (BID_E4, CHEAP_E4), at_ms),
            change_frame(market, "SELL", CHEAP_E4, "0", (BID_E4, ASK_E4), at_ms),
            change_frame(
                market, "BUY", BID_E4 - 100, str(100 + at_ms % 800), (BID_E4, ASK_E4), at_ms
            ),
        )


def _config(shadows: tuple[str, ...] = ()) -> Any:
    """Return tick-to-wire's configuration without its pauses: each sample may signal again."""
    whole = config(1, 1, "", "bench-stages")
    replace = msgspec.structs.replace
    latency = replace(whole.modules["latency"], params={"coin": {"warmup_s": 2}, "cooldown_ms": 0})
    return replace(
        whole,
        modules=whole.modules
        | {"latency": latency}
        | {name: ModuleConfig("shadow") for name in shadows},
        # Nobody answers pings here.
        feed=replace(whole.feed, ping_ns=10**15, pong_limit_ns=10**15),
        limits=replace(whole.limits, duplicate_window_ns=0, orders_per_s=10**6, orders_burst=10**6),
        execution=replace(whole.execution, orders_per_s=10**6, orders_burst=10**6),
    )


def _refuse(kind: str, sample: Callable[[], str] | str) -> None:
    raise AssertionError(f"{kind}: {sample}")
