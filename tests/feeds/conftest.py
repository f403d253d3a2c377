"""A feed on real shared-memory records, with recorded connections, fetches and a virtual clock."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from metadata_kit import Rig as MetadataRig

from lowlat.core.clock import VirtualClock
from lowlat.core.directory import MarketDirectory
from lowlat.core.layout import (
    BOOK_ROW,
    BOOK_TOP,
    MARKET_ROW,
    MARKET_STATE,
    RECORDS,
    SHARD_ROW,
    STREAMS,
    Exchange,
    Known,
    MarketRow,
    MarketStateChange,
    MarketStatus,
)
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed
from lowlat.shm import _core

KINDS = {record.kind: record for record in RECORDS}
SECOND = 1_000_000_000


class Counts(dict):
    def cell(self, name):
        self[name] = 0
        counts = self

        class Cell:
            def add(self, count):
                counts[name] += count

            def set(self, value):
                counts[name] = value

            def max(self, value):
                counts[name] = max(counts[name], value)

        return Cell()


class MemoryStream:
    """One stream in private memory: its writer and a reader that collects records."""

    def __init__(self, name, slots=64):
        stream = STREAMS[name]
        size = stream.slot_bytes
        self.memory = bytearray(size * slots + 128)
        offset = -id_of(self.memory) % 64
        self.writer = _core.StreamWriter(self.memory, offset, size, slots, offset + size * slots, 1)
        self.arguments = (self.memory, offset, size, slots, offset + size * slots)
        self.reader = self.new_reader()

    def new_reader(self):
        return _core.StreamReader(*self.arguments)

    def take(self, kind=None):
        records = []
        while status := self.reader.poll():
            assert status > 0, "the test's stream is too small"
            record = KINDS[status]
            if kind is None or record is kind:
                records.append(record.unpack(self.reader.buffer))
        return records


class MemoryTable:
    def __init__(self, record, rows):
        self.record = record
        row_bytes = _core.TABLE_ROW_HEAD_BYTES + _core.TABLE_CELLS * record.size_bytes
        self.memory = bytearray(row_bytes * rows + 64)
        offset = -id_of(self.memory) % 64
        self.writer = _core.TableWriter(
            self.memory, offset, record.size_bytes, rows, 1, record.kind
        )
        self.reader = _core.TableReader(self.memory, offset, record.size_bytes, rows)

    def row(self, index):
        version = self.reader.read(index)
        return self.record.unpack(self.reader.buffer) if version > 0 else None


def id_of(memory):
    return np.frombuffer(memory, "u1").ctypes.data


@dataclass
class FakeConnection:
    listener: object
    number: int
    sent: list = field(default_factory=list)
    reconnects: list = field(default_factory=list)
    is_open: bool = False
    closed: bool = False

    def send_text(self, payload):
        if self.is_open:
            self.sent.append(payload)
        return self.is_open

    def reconnect(self, reason):
        self.reconnects.append(reason)
        self.drop(reason)

    def close(self):
        self.closed = True
        self.drop("closed by us")

    def drop(self, reason="connection lost"):
        if self.is_open:
            self.is_open = False
            self.listener.on_close(self, reason)

    def open(self):
        self.is_open = True
        self.listener.on_open(self)

    def frames(self):
        return [json.loads(one) for one in self.sent if one != b"PING"]


class FakeFetch:
    def __init__(self):
        self.asked = []
        self.bodies = {}
        self.refuse = False

    def __call__(self, path, done, body=None):
        if self.refuse:
            return False
        self.asked.append((path, done))
        self.bodies[path, done] = body
        return True

    def answer(self, status, body, recv_ns=0):
        path, done = self.asked.pop(0)
        done(status, body if isinstance(body, bytes) else json.dumps(body).encode(), recv_ns)
        return path


def condition(market):
    return (0xAB00 + market).to_bytes(32, "big")


def token(market, outcome=0):
    return str(10**70 + 2 * market + outcome)


def market_row(
    market=0, generation=1, status=MarketStatus.ACTIVE, tick_e4=100, tokens_of=None, **changes
):
    owner = market if tokens_of is None else tokens_of
    row = MarketRow._make(
        b"" if hint.__metadata__[0].endswith("s") else 0
        for hint in MarketRow.__annotations__.values()
    )
    return row._replace(
        condition_id=condition(owner),
        yes_token_id=int(token(owner, 0)).to_bytes(32, "big"),
        no_token_id=int(token(owner, 1)).to_bytes(32, "big"),
        market=market,
        generation=generation,
        status=status,
        tick_e4=tick_e4,
        known=Known.TRADEABLE,
        exchange=Exchange.STANDARD,
        **changes,
    )


BASE_MS = 1_795_305_600_000


class Wire:
    """Payloads in the venue's shapes. Source: polymarket.md 8.2, 1.4."""

    @staticmethod
    def levels(pairs):
        return [{"price": price, "size": size} for price, size in pairs]

    def book(self, market=0, outcome=0, bids=(), asks=(), at_ms=0, **more):
        return {
            "event_type": "book",
            "asset_id": token(market, outcome),
            "market": "0x" + condition(market).hex(),
            "bids": self.levels(bids),
            "asks": self.levels(asks),
            "timestamp": str(BASE_MS + at_ms),
            "hash": "0" * 40,
            **more,
        }

    def change(self, price, size, side, best_bid, best_ask, market=0, outcome=0):
        return {
            "asset_id": token(market, outcome),
            "price": price,
            "size": size,
            "side": side,
            "hash": "1" * 40,
            "best_bid": best_bid,
            "best_ask": best_ask,
        }

    def price_change(self, *changes, market=0, at_ms=1):
        return {
            "event_type": "price_change",
            "market": "0x" + condition(market).hex(),
            "timestamp": str(BASE_MS + at_ms),
            "price_changes": list(changes),
        }

    def rest_book(self, market=0, bids=(), asks=(), at_ms=0, tick="0.01"):
        return {
            "market": "0x" + condition(market).hex(),
            "asset_id": token(market, 0),
            "timestamp": str(BASE_MS + at_ms),
            "hash": "2" * 40,
            "bids": self.levels(bids),
            "asks": self.levels(asks),
            "min_order_size": "5",
            "tick_size": tick,
            "neg_risk": False,
            "last_trade_price": "",
        }


BIDS = (("0.46", "100"), ("0.47", "50"))
ASKS = (("0.50", "80"), ("0.49", "20.5"))


class Rig:
    """The Polymarket feed with everything around it in reach."""

    def __init__(self, markets=1, slots=256, rows=8, **params):
        self.wire = Wire()
        self.clock = VirtualClock(1_000 * SECOND)
        self.counts = Counts()
        self.notes = []
        self.fetch = FakeFetch()
        self.connections = []
        self.pumps = 0
        self.listed = []
        self.books = MemoryTable(BOOK_ROW, rows)
        self.shards = MemoryTable(SHARD_ROW, 16)
        self.markets = MemoryTable(MARKET_ROW, rows)
        self.market = MemoryStream("market", slots)
        self.trades = MemoryStream("trades", slots)
        self.metadata = MemoryStream("metadata", slots)
        self.params = PolymarketFeedParams(**params)
        for market in range(markets):
            self.put_market(market_row(market))
        self.feed = self.new_feed()

    def new_feed(self):
        return PolymarketFeed(
            self.params,
            MarketDirectory(self.markets.reader, self.metadata.new_reader()),
            FeedOutputs(
                self.books.writer,
                self.shards.writer,
                self.market.writer,
                self.trades.writer,
                self.clock,
            ),
            self.dial,
            self.fetch,
            self.clock,
            self.counts.cell,
            lambda kind, sample: self.notes.append((kind, sample)),
            pump=self.pump,
            listed=self.listed.append,
        )

    def pump(self):
        self.pumps += 1

    def dial(self, listener, number):
        connection = FakeConnection(listener, number)
        assert number == len(self.connections) or self.connections[number].closed
        self.connections[number:] = [connection]
        return connection

    def put_market(self, row):
        MARKET_ROW.pack(self.markets.writer.buffer, row)
        self.markets.writer.write(row.market)

    def announce(self, row):
        self.put_market(row)
        change = MarketStateChange(0, 0, 0, 0, row.market, row.generation, 1, row.status, 0)
        MARKET_STATE.pack(self.metadata.writer.buffer, change)
        self.metadata.writer.publish(MARKET_STATE.kind)

    def turn(self, after_ns=60_000_000):
        self.clock.advance(after_ns)
        return self.feed.turn(self.clock.monotonic_ns())

    def start(self):
        self.feed.start()
        self.turn()
        for connection in list(self.connections):
            connection.open()
        return self

    def send(self, *events, socket=0):
        payload = events[0] if len(events) == 1 else list(events)
        self.raw(json.dumps(payload).encode(), socket)

    def raw(self, payload, socket=0, is_text=True):
        self.clock.advance(1_000)
        self.feed.on_frame(self.connections[socket], payload, is_text, self.clock.monotonic_ns())

    def dump(self, market=0, at_ms=0, bids=BIDS, asks=ASKS, socket=0):
        self.send(self.wire.book(market, 0, bids, asks, at_ms, tick_size="0.01"), socket=socket)

    def tops(self):
        return self.market.take(BOOK_TOP)

    def fresh(self, market=0):
        """Say what a reader concludes: one comparison of the row with its shard."""
        row = self.books.row(market)
        shard = self.shards.row(row.shard)
        return (
            shard.alive == 1
            and row.connection_generation == shard.connection_generation
            and not row.book_flags & 1
        )


@pytest.fixture
def tools():
    """The doubles, for tests of the other feeds."""
    return SimpleNamespace(
        Counts=Counts,
        MemoryStream=MemoryStream,
        MemoryTable=MemoryTable,
        FakeConnection=FakeConnection,
        FakeFetch=FakeFetch,
        condition=condition,
        token=token,
        second_ns=SECOND,
    )


@pytest.fixture
def make_rig():
    return Rig


@pytest.fixture
def make_row():
    return market_row


@pytest.fixture
def rig():
    rig = Rig().start()
    rig.dump()
    rig.market.take()
    return rig


@pytest.fixture
def make(tools):
    """Make a metadata engine and its venue, see metadata_kit.py."""
    return lambda **more: MetadataRig(tools, **more)
