"""Orders that nobody gets: they keep the way of the real ones in the caches.

Run by a process that never sleeps and holds feed, signals, risk and executor. What a core has not
run for a millisecond or two it has half forgotten (caches, branches, pages), and then an order
takes several times as long from its tick. So a second set of the same engines, over private memory
and with a key made up at the start, decides and sends one order every other millisecond, to
ourselves (net/warm.py). It shares code with the real ones and nothing else.

Each engine's part of the order and of its answer is a step, in a turn of its own, so that a frame
waits for one of them at most; none is begun while an order of ours is under way. ADR 0008.
"""

import itertools
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.app.config import Credentials, EngineConfig, ModuleConfig
from lowlat.app.machine import Metrics, RandomSalts
from lowlat.app.rehearsal_market import RehearsalMarket
from lowlat.core.clock import RealClock
from lowlat.core.directory import MarketDirectory
from lowlat.core.layout import Action
from lowlat.core.ports import SENT
from lowlat.execution._pool import Ready
from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed
from lowlat.feeds.ports import Connection, Listener, Note
from lowlat.net.warm import WarmLine
from lowlat.shm.private import PrivateMemory, PrivateStats
from lowlat.venues.polymarket.eip712 import SigningKey
from lowlat.wiring.trading import Trading

__all__ = ["Rehearsal"]

_EVERY_NS: Final = 2_000_000
_SECOND_NS: Final = 1_000_000_000
_NEVER_NS: Final = 10**15
_WARMUP_S: Final = 2
_REST_EVERY: Final = 16
_STAGES: Final = 3
_SLOTS: Final = 256
_ROWS: Final = 512
_LISTED: Final = b'{"limit":100,"count":0,"next_cursor":"LTE=","data":[]}'
_ANSWERS: Final = (
    (b"GET /data/", _LISTED),
    (b"asset_type=COLLATERAL", b'{"balance":"1000000000000","allowances":{}}'),
    (b"GET /balance-allowance", b'{"balance":"100000000","allowances":{}}'),
)
_KILLED: Final = (
    b'{"error":"no orders found to match with FAK order. FAK orders are partially filled or '
    b'killed if no match is found."}'
)

_Steps = tuple[Callable[[int], object], ...]


class Rehearsal:
    """A second, private set of the deciding engines, and the little market it trades in."""

    name = "rehearsal"

    def __init__(
        self,
        config: EngineConfig,
        line: WarmLine,
        metrics: Metrics,
        under_way: Callable[[], bool],
        note: Note,
    ) -> None:
        """``under_way``: whether an order of ours waits for its answer."""
        self._line = line
        self._under_way = under_way
        self._note = note
        self._orders = metrics.cell("rehearsal.orders")
        self._missed = metrics.cell("rehearsal.missed")
        self._clock = RealClock()
        memory = PrivateMemory(slots_max=_SLOTS, rows_max=_ROWS)
        private = Metrics(PrivateStats())
        self._market = RehearsalMarket(memory, self._clock)
        self._transport = _Answered(line)
        settings = _settings(config)
        self._trading = Trading(
            settings,
            memory,
            private,
            _nobody(),
            "rehearsal.invalid",
            self._transport,
            None,
            clock=self._clock,
            salts=RandomSalts(),
        )
        self._ledger = [
            memory.open_stream_reader(name, gate="ledger") for name in ("reports", "decisions")
        ]
        self._feed = PolymarketFeed(
            settings.feed,
            MarketDirectory(
                memory.open_table_reader("markets"), memory.open_stream_reader("metadata")
            ),
            FeedOutputs(
                memory.open_table_writer("book"),
                memory.open_table_writer("shard"),
                memory.open_stream_writer("market"),
                memory.open_stream_writer("trades"),
                self._clock,
            ),
            self._dial,
            _no_rest,
            self._clock,
            private.scope("feed"),
            note,
            # Stage by stage instead: a frame of the venue waits for one of them at most.
            pump=None,
        )
        pump = self._trading.pump
        assert pump is not None, "all stages are here"
        order: _Steps = (
            self._frame,
            *(lambda _, stage=stage: pump.advance(stage) for stage in range(_STAGES)),
            *(lambda _, stage=stage: pump.settle(stage) for stage in (1, 2, 0)),
            self._take_back,
            self._answer,
            self._forget,
            self._read,
            self._trading.risk.turn,
        )
        trading = self._trading
        self._rest: Final[_Steps] = (
            self._market.turn,
            self._feed.turn,
            trading.signals.turn,
            trading.risk.turn,
            trading.executor.turn,
            self._read,
        )
        """What is due by time."""
        self._rounds: Final = itertools.cycle([order] * (_REST_EVERY - 1) + [order + self._rest])
        self._steps = next(self._rounds)
        self._at = 0
        self._due_ns = 0
        self._sent = 0
        self._kept: dict[tuple[int, ...], Ready] = {}
        self._ready = False
        self._over = False

    def _dial(self, listener: Listener, number: int) -> Connection:
        del listener
        self._socket = _Socket(number)
        return self._socket

    # --------------------------------------------------------------------------- engine
    def start(self) -> None:
        """Set the little market up; it is ready some turns later."""
        now_ns = self._clock.monotonic_ns()
        self._market.list()
        self._feed.start()
        self._feed.turn(now_ns)
        self._feed.on_open(self._socket)
        trading = self._trading
        for engine in (trading.signals, trading.risk, trading.executor):
            engine.start()
        for ago in range(3 * _WARMUP_S, 0, -1):
            self._market.spot(now_ns - ago * _SECOND_NS)
            trading.signals.turn(now_ns - ago * _SECOND_NS)
        self._market.spot(now_ns)
        self._feed.on_frame(self._socket, self._market.book, True, now_ns)
        trading.executor.nominate(0, Action.BUY)

    def turn(self, now_ns: int) -> int:
        """Do the next step when it is due; what it does is no work."""
        if self._over or now_ns < self._due_ns:
            return 0
        try:
            if not self._ready:
                self._get_ready(now_ns)
            elif self._at or not self._under_way():
                self._steps[self._at](now_ns)
                self._at += 1
                if self._at == len(self._steps):
                    self._at, self._steps = 0, next(self._rounds)
                    self._due_ns = now_ns + _EVERY_NS
        except Exception as error:  # noqa: BLE001 - noted, and the end of it
            # It only makes orders faster: without it they are slower, and still right.
            self._over = True
            self._note("rehearsal ended", repr(error))
        return 0

    def close(self) -> None:
        """End the connection to ourselves."""
        self._line.close()

    def _get_ready(self, now_ns: int) -> None:
        for step in self._rest:
            step(now_ns)
        self._transport.take_back()
        self._answer(now_ns)
        trading = self._trading
        pool = trading.executor.pool
        if trading.executor.ready and not trading.risk.state.waiting and not pool.ready.todo:
            self._kept = {ready.key: ready for ready in pool.ready.values()}
            self._ready = bool(self._kept)

    # --------------------------------------------------------------------------- steps
    def _frame(self, now_ns: int) -> None:
        """Deliver a frame that is worth an order."""
        self._sent = self._transport.urgent
        self._feed.on_frame(self._socket, self._market.next_frame(), True, now_ns)

    def _take_back(self, _: int) -> None:
        """Read what was sent."""
        (self._orders if self._transport.urgent != self._sent else self._missed).add(1)
        self._transport.take_back()

    def _forget(self, _: int) -> None:
        """Make its template good again: signing another would take longer than all the rest.

        Nobody has seen it. Its id comes again with the next order: it leaves no row behind.
        """
        pool = self._trading.executor.pool
        todo = pool.ready.todo
        while todo:
            ready = self._kept.get(todo.pop())
            if ready is not None:
                pool.ready.put(ready)
        desk = self._trading.executor.desk
        for order in [each for each in desk.by_id.values() if each.done]:
            desk.drop(order)

    def _read(self, _: int) -> None:
        """Read what a ledger would; rows of orders that it has read are free again."""
        for reader in self._ledger:
            while reader.poll():
                pass
            reader.release()
        self._trading.executor.desk.rows_free(_ROWS + 1)

    def _answer(self, now_ns: int) -> None:
        """Answer the order as a venue does that could not fill it, and every question."""
        for key, request in self._transport.taken():
            line = request.split(b"\r\n", 1)[0]
            status, body = 400, _KILLED
            for words, answer in _ANSWERS:
                if words in line:
                    status, body = 200, answer
                    break
            self._trading.executor.inbox.on_answer(key, status, [], body, now_ns)


class _Answered:
    """Sends over the line; knows what still has to be answered."""

    def __init__(self, line: WarmLine) -> None:
        self._line = line
        self._waiting: list[tuple[int, bytes]] = []
        self._taken: list[tuple[int, bytes]] = []
        self.urgent = 0

    def send(self, request: bytes | bytearray | memoryview, key: int, *, urgent: bool) -> int:
        """Send it to ourselves."""
        result = self._line.send(request, key, urgent=urgent)
        if result == SENT:
            self._waiting.append((key, bytes(request)))
            self.urgent += urgent
        return result

    def idle(self) -> int:
        """Return 1 when the line is free."""
        return self._line.idle()

    def take_back(self) -> None:
        """Read what was sent since, and free the line."""
        if self._line.take_back() >= 0:
            self._taken += self._waiting
            self._waiting = []

    def taken(self) -> list[tuple[int, bytes]]:
        """Return what was read since."""
        taken, self._taken = self._taken, []
        return taken


class _Socket:
    """A market socket without a venue behind it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def send_text(self, _: bytes) -> bool:
        """Take a subscription."""
        return True

    def reconnect(self, reason: str) -> None:
        """Fail: nothing here should ever want it."""
        raise ConnectionError(f"the rehearsal's feed wanted a new socket: {reason}")

    def close(self) -> None:
        """Close nothing."""


def _settings(config: EngineConfig) -> EngineConfig:
    """Return the user's settings with nothing in them that would make two orders differ."""
    replace = msgspec.structs.replace
    return replace(
        config,
        mode="sim",
        modules={
            name: ModuleConfig("live", params)
            for name, params in (
                ("arbitrage", {}),
                ("latency", {"coin": {"warmup_s": _WARMUP_S}, "cooldown_ms": 0}),
            )
        },
        tape=replace(config.tape, enabled=False),
        feed=replace(config.feed, ping_ns=_NEVER_NS, pong_limit_ns=_NEVER_NS),
        limits=replace(
            type(config.limits)(),
            bankroll_cap_e6=10**12,
            duplicate_window_ns=0,
            orders_per_s=10**6,
            orders_burst=10**6,
            notional_window_e6_max=10**13,
        ),
        execution=replace(
            config.execution,
            limits=type(config.execution.limits)(),
            orders_per_s=10**6,
            orders_burst=10**6,
            heartbeat_every_ns=_NEVER_NS,
            balance_check_every_ns=_NEVER_NS,
            hot_max=2,
        ),
    )


def _nobody() -> Credentials:
    """Make an account up: its orders are valid and worth nothing."""
    key = secrets.token_bytes(32)
    address = SigningKey(key).address_text
    return Credentials(
        private_key=key.hex(),
        api_key="00000000-0000-0000-0000-000000000000",
        api_secret=secrets.token_urlsafe(32),
        api_passphrase=secrets.token_hex(16),
        funder=address,
        address=address,
        signature_type=0,
    )


def _no_rest(path: str, done: Callable[[int, bytes, int], None], body: bytes | None = None) -> bool:
    """Refuse: there is nobody to ask."""
    del path, done, body
    return False
