"""A capture: all that the engines of a process are given, in order, to live it once more.

``Capture`` stands between ``ProcessEngines`` and the ends, memory and people it is wired to: what
passes is written into one log (``capture_tags``), and what the engines publish is read back beside
it. ``BlockStream`` cuts the log into frames of the stream *capture* for the recorder. Used by
engine processes that hold every role, and by the world. Why this is enough: docs/adr/0007.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec

from lowlat.core._ends import HaltEnd
from lowlat.core.layout import (
    DECISION,
    INTENT,
    RECORDS,
    REPORT,
    SIGNAL,
    SLOT_HEAD_BYTES,
    STREAMS,
    SignalRecord,
    abi_hash,
)
from lowlat.core.ports import Clock, Engine, Salts, Transport
from lowlat.core.signal import Signal
from lowlat.feeds.ports import Connection, Dial, Fetch, FetchDone, Listener, Note
from lowlat.shm.picture import StreamPicture, TablePicture
from lowlat.wiring._capture import (
    CapturedClock,
    CapturedHalt,
    CapturedLink,
    CapturedSend,
    InputLog,
    Tails,
)
from lowlat.wiring.capture_tags import Tag
from lowlat.wiring.ports import Connections, Gauge, Keys, Memory

if TYPE_CHECKING:
    from lowlat.core.recovered import Recovered
    from lowlat.execution.engine import ExecutorEngine
    from lowlat.execution.inbox import Inbox
    from lowlat.signals.emit import Source
    from lowlat.signals.engine import SignalsEngine
    from lowlat.wiring.trading import Trading

__all__ = [
    "FORMAT",
    "NO_API_KEY",
    "SUMMED",
    "WHOLE",
    "Capture",
    "CaptureHeader",
    "header_of",
    "open_tails",
    "tailed_streams",
]

FORMAT: Final = 2
BACKLOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""What waits for the recorder; more, and the capture ends instead of the engine."""
WHOLE: Final = frozenset({SIGNAL.kind, INTENT.kind, DECISION.kind, REPORT.kind})
SUMMED: Final = (
    "market",
    "metadata",
    "listings",
    "dossiers",
    "spot",
    "settle",
    "trades",
    "spot_trades",
    "turns",
)
"""Streams of which a checksum is kept: they follow from the frames, and there are many of them."""
_DECIDED: Final = ("signals", "decisions", "intents", "reports")
_IDLE_NS: Final = 500_000
"""A busy loop that has nothing to do need not say so more often."""
NO_API_KEY: Final = "00000000-0000-0000-0000-000000000000"
"""Stands for the account's key wherever the venue names it."""


class CaptureHeader(msgspec.Struct, frozen=True):
    """How the engines were made: what a replay needs besides what happened to them."""

    process: str
    instance: str
    mode: str
    host: str
    started_ns: int
    """Monotonic."""
    wall_ns: int
    address: str
    funder: str
    signature_type: int
    chain_id: int
    config: dict[str, Any]
    generation: int = 0
    rows: dict[str, int] = {}
    """Sizes of tables."""
    slots: dict[str, int] = {}
    """Sizes of streams that are not as usual."""
    streams: dict[str, StreamPicture] = {}
    tables: dict[str, TablePicture] = {}
    """What an earlier life left there; its bytes follow the header when there is anything."""
    halt: int = 0
    watches: bool = False
    """Halt cells elsewhere are looked at."""
    recovered: bytes = b""
    """msgpack of what the journal said."""
    format: int = FORMAT
    abi: str = f"{abi_hash(*RECORDS):016x}"


def tailed_streams() -> tuple[str, ...]:
    """Return the streams that are read back, in the order of their numbers in a capture."""
    return _DECIDED + SUMMED


def open_tails(memory: Memory) -> Tails:
    """Stand behind the last record of every stream that is read back."""
    sizes = {
        record.kind: SLOT_HEAD_BYTES + record.codec.size
        for name in tailed_streams()
        for record in STREAMS[name].records
    }
    readers = [memory.open_stream_reader(name) for name in tailed_streams()]
    return Tails(readers, sizes, WHOLE)


class Capture:
    """Written down from before the engines of a process are made until they are closed."""

    def __init__(
        self, memory: Memory, header: CaptureHeader, keys: Keys, found: bytes = b""
    ) -> None:
        """Begin: ``memory`` as the engines will find it, ``found`` what is in it already."""
        room = BACKLOG_BYTES_MAX + len(found)
        self.log = InputLog(room, keys.api_key.encode(), NO_API_KEY.encode())
        self._tails = open_tails(memory)
        self.log.add(Tag.HEADER)
        self.log.blob(msgspec.json.encode(header))
        if found:
            self.log.blob(found)

    # ------------------------------------------------------------------ what engines are given
    def ends(self, ends: Connections) -> "CapturedEnds":
        """Return the same connections, written down."""
        return CapturedEnds(ends, self.log)

    def halted(self, elsewhere: HaltEnd | Callable[[], int]) -> HaltEnd:
        """Return the same halt cells, every look at them written down."""
        return CapturedHalt(elsewhere, self.log)

    def sink(self, inbox: "Inbox") -> "CapturedSink":
        """Return what takes the transport's answers for the executor."""
        return CapturedSink(inbox, self.log)

    def engines(self, engines: Sequence[Engine]) -> "CapturedEngines":
        """Return one engine that is all of them."""
        return CapturedEngines(engines, self.log, self._tails)

    # ------------------------------------------------------------------ who acts on them
    def listen(self, trading: "Trading") -> None:
        """Write down what people and processes make the deciding engines do."""
        trading.told = self._told

    def executor(self, executor: "ExecutorEngine") -> "CapturedHalting":
        """Return what halt watches may do with the executor."""
        return CapturedHalting(executor, self.log)

    def gauge(self, gauge: Gauge) -> "CapturedGauge":
        """Return a halt cell that others set."""
        return CapturedGauge(gauge, self.log)

    def signals(self, signals: "SignalsEngine") -> "CapturedInject":
        """Return what takes injected signals."""
        return CapturedInject(signals, self.log)

    def _told(self, tag: int, number: int, what: object) -> None:
        self.log.add(tag, number)
        self.log.blob(msgspec.json.encode(what))


class CapturedEnds:
    """Connections of which all that comes in is written down (see wiring.ports.Connections)."""

    def __init__(self, ends: Connections, log: InputLog) -> None:
        self._ends = ends
        self._log = log
        self._links = 0
        self._asked = 0
        self.clock: Clock = CapturedClock(ends.clock, log)
        self.salts: Salts = _Salts(ends.salts, log)
        self.note: Note = ends.note

    @property
    def orders(self) -> Transport:
        """Order entry."""
        return CapturedSend(self._ends.orders, self._log)

    @property
    def gamma(self) -> Fetch:
        """Listings."""
        return partial(self._fetch, self._ends.gamma)

    @property
    def clob(self) -> Fetch:
        """Market facts and books by REST."""
        return partial(self._fetch, self._ends.clob)

    @property
    def binance_rest(self) -> Fetch:
        """Depth snapshots."""
        return partial(self._fetch, self._ends.binance_rest)

    @property
    def market_ws(self) -> Dial:
        """The market channel."""
        return partial(self._dial, self._ends.market_ws, False)

    @property
    def user_ws(self) -> Dial:
        """The user channel, whose frames name our API key."""
        return partial(self._dial, self._ends.user_ws, True)

    @property
    def binance_ws(self) -> Dial:
        """Spot prices."""
        return partial(self._dial, self._ends.binance_ws, False)

    @property
    def prices_ws(self) -> Dial:
        """Settlement prices."""
        return partial(self._dial, self._ends.prices_ws, False)

    @property
    def prices_auth(self) -> Callable[[], bytes] | None:
        """Make the first frame of the newer price socket: a secret that goes out, not in."""
        return self._ends.prices_auth

    def _dial(self, dial: Dial, private: bool, listener: Listener, number: int) -> Connection:
        self._log.add(Tag.DIAL, number)
        link = CapturedLink(self._log, self._links, listener, number, private)
        self._links += 1
        link.bind(dial(link, number))
        return link

    def _fetch(self, fetch: Fetch, path: str, done: FetchDone, body: bytes | None = None) -> bool:
        asked = self._asked
        self._asked += 1
        accepted = fetch(path, partial(self._fetched, asked, done), body)
        self._log.add(Tag.ASKED, accepted)
        self._log.add(Tag.ARG, crc32(path.encode() + (body or b"")))
        return accepted

    def _fetched(self, asked: int, done: FetchDone, status: int, body: bytes, recv_ns: int) -> None:
        log = self._log
        log.add(Tag.FETCHED, asked)
        log.add(Tag.ARG, status)
        log.add(Tag.TIME, recv_ns)
        log.blob(body)
        done(status, body, recv_ns)


class CapturedSink:
    """Takes answers for the executor."""

    def __init__(self, inbox: "Inbox", log: InputLog) -> None:
        self._inbox = inbox
        self._log = log

    def on_answer(
        self, key: int, status: int, headers: list[tuple[bytes, bytes]], body: bytes, recv_ns: int
    ) -> None:
        """Take an answer."""
        log = self._log
        log.add(Tag.ANSWER, key)
        log.add(Tag.ARG, status)
        log.add(Tag.TIME, recv_ns)
        log.blob(msgspec.msgpack.encode(headers), private=True)
        log.blob(body, private=True)
        self._inbox.on_answer(key, status, headers, body, recv_ns)

    def on_lost(self, key: int, recv_ns: int) -> None:
        """Take note of a request that was never answered."""
        self._log.add(Tag.LOST, key)
        self._log.add(Tag.TIME, recv_ns)
        self._inbox.on_lost(key, recv_ns)


class CapturedEngines:
    """Every engine of a process in one; each turn is written down, and what came of it."""

    name: Final = "captured"

    def __init__(self, engines: Sequence[Engine], log: InputLog, tails: Tails) -> None:
        self._engines = tuple(engines)
        self._turns = tuple(engine.turn for engine in engines)
        self._log = log
        self._tails = tails
        self._due_ns = 0
        self._seen = 0

    def start(self) -> None:
        """Start all."""
        self._log.add(Tag.START)
        for engine in self._engines:
            engine.start()
        self._tails.write(self._log)

    def turn(self, now_ns: int) -> int:
        """Turn all, unless nothing came in since a turn without work a moment ago."""
        log = self._log
        if now_ns < self._due_ns and log.entries == self._seen:
            return 0
        log.add(Tag.TURN, now_ns)
        worked = 0
        for turn in self._turns:
            worked += turn(now_ns)
        self._tails.write(log)
        self._due_ns = 0 if worked else now_ns + _IDLE_NS
        self._seen = log.entries
        return worked

    def close(self) -> None:
        """Close all, the last one first."""
        self._log.add(Tag.STOP)
        for engine in reversed(self._engines):
            engine.close()
        self._tails.write(self._log)


class CapturedHalting:
    """The executor as halt watches see it."""

    def __init__(self, executor: "ExecutorEngine", log: InputLog) -> None:
        self._executor = executor
        self._log = log

    @property
    def halted(self) -> str:
        """Why new orders are stopped."""
        return self._executor.halted

    def halt(self, reason: str, now_ns: int) -> None:
        """Stop new orders."""
        self._log.add(Tag.STOPPED)
        self._log.add(Tag.TIME, now_ns)
        self._log.blob(reason.encode())
        self._executor.halt(reason, now_ns)


class CapturedGauge:
    """A gauge of the engines that somebody else sets."""

    def __init__(self, gauge: Gauge, log: InputLog) -> None:
        self._gauge = gauge
        self._log = log

    @property
    def value(self) -> int:
        """Current value."""
        return self._gauge.value

    def set(self, value: int) -> None:
        """Overwrite."""
        self._log.add(Tag.CELL, value)
        self._gauge.set(value)


class CapturedInject:
    """The signals engine as the injector sees it."""

    def __init__(self, signals: "SignalsEngine", log: InputLog) -> None:
        self._signals = signals
        self._log = log
        self._room = bytearray(SIGNAL.size_bytes)

    def inject(self, signal: Signal, source: "Source") -> bool:
        """Publish a signal that no module made."""
        assert isinstance(source, SignalRecord), "injected signals come as records"
        SIGNAL.pack(self._room, source)
        self._log.add(Tag.INJECT)
        self._log.blob(bytes(self._room))
        return self._signals.inject(signal, source)


class _Salts:
    def __init__(self, salts: Salts, log: InputLog) -> None:
        self._salts = salts
        self._log = log

    def next_salt(self) -> int:
        salt = self._salts.next_salt()
        self._log.add(Tag.SALT, salt)
        return salt


def header_of(
    memory_rows: Mapping[str, int],
    *,
    recovered: "Recovered | None",
    keys: Keys,
    **fields: Any,
) -> CaptureHeader:
    """Put a header together; ``fields`` are those that only the process knows."""
    return CaptureHeader(
        address=keys.address,
        funder=keys.funder,
        signature_type=keys.signature_type,
        chain_id=keys.chain_id,
        rows=dict(memory_rows),
        recovered=msgspec.msgpack.encode(recovered) if recovered is not None else b"",
        **fields,
    )
