"""List-backed ports and a small market world for the tests of signals and risk."""

from lowlat.book._book import MarketBook
from lowlat.core.clock import VirtualClock
from lowlat.core.layout import (
    BOOK_ROW,
    BOOK_TOP,
    CASH_ROW,
    MARKET_ROW,
    MARKET_STATE,
    NO_AMOUNT,
    ORDER_ROW,
    POSITION_ROW,
    RECORDS,
    SETTLE,
    SHARD_ROW,
    SLOT_HEAD_BYTES,
    SPOT_TOP,
    CashRow,
    Exchange,
    Known,
    MarketRow,
    MarketStateChange,
    MarketStatus,
    PositionRow,
    Settle,
    SettleRule,
    ShardRow,
    SpotTop,
)
from lowlat.core.units import E6, E8

KINDS = {record.kind: record for record in RECORDS}
S = 1_000_000_000
MS = 1_000_000


class Stream:
    """A stream whose writer and readers share a list; ``gate_slots`` bounds what is unread."""

    def __init__(self, slot_bytes=1024, slots=4096, epoch=1):
        self.buffer = memoryview(bytearray(slot_bytes))
        self.slots = slots
        self.epoch = epoch
        self.records = []
        self.readers = []

    @property
    def cursor(self):
        return len(self.records) + 1

    @property
    def slot_count(self):
        return self.slots

    def free(self):
        gates = [reader.released for reader in self.readers if reader.gate]
        return self.slots - (len(self.records) - min(gates, default=len(self.records)))

    def publish(self, kind):
        if self.free() <= 0:
            return 0
        self.records.append((kind, bytes(self.buffer), self.epoch))
        return len(self.records)

    def send(self, record, row):
        record.codec.pack_into(self.buffer, SLOT_HEAD_BYTES, *row)
        return self.publish(record.kind)

    def reader(self, *, gate=False):
        reader = StreamReader(self, gate)
        self.readers.append(reader)
        return reader

    def decoded(self, record):
        return [record.unpack(raw) for kind, raw, _ in self.records if kind == record.kind]


class StreamReader:
    def __init__(self, stream, gate):
        self.stream = stream
        self.gate = gate
        self.at = len(stream.records)
        self.released = self.at
        self.lost = 0
        self.epoch = 0
        self.buffer = memoryview(bytearray(1024))
        self.overrun = False

    @property
    def position(self):
        return self.at + 1

    def poll(self):
        if self.overrun:
            self.overrun = False
            self.at = len(self.stream.records)
            return -1
        if self.at >= len(self.stream.records):
            return 0
        kind, raw, epoch = self.stream.records[self.at]
        self.buffer[: len(raw)] = raw
        self.buffer[8:12] = epoch.to_bytes(4, "little")
        self.epoch = epoch
        self.at += 1
        return kind

    def release(self):
        self.released = self.at


class Table:
    def __init__(self, record, rows):
        self.record = record
        self.buffer = memoryview(bytearray(record.size_bytes))
        self.rows = rows
        self.images = [None] * rows
        self.versions = [0] * rows
        self.busy = set()

    def version(self, row):
        return self.versions[row]

    def read(self, row):
        if row in self.busy:
            return -1
        if self.versions[row]:
            self.buffer[:] = self.images[row]
        return self.versions[row]

    def write(self, row):
        self.images[row] = bytes(self.buffer)
        self.versions[row] += 1
        return self.versions[row]

    def put(self, row, values):
        self.record.codec.pack_into(self.buffer, SLOT_HEAD_BYTES, *values)
        return self.write(row)


class Counts(dict):
    def cell(self, name):
        self.setdefault(name, 0)
        return _Cell(self, name)

    def recorder(self, name):
        self.setdefault(name, 0)
        return _Recorder(self, name)


class _Cell:
    def __init__(self, counts, name):
        self.counts, self.name = counts, name

    def add(self, count):
        self.counts[self.name] += count

    def set(self, value):
        self.counts[self.name] = value

    def max(self, value):
        self.counts[self.name] = max(self.counts[self.name], value)


class _Recorder(_Cell):
    def record(self, value_ns):
        assert value_ns >= 0
        self.counts[self.name] += 1


WALL0 = 1_795_305_600 * S
MARKET = MarketRow(
    id=1,
    updated_ns=1,
    condition_id=bytes(31) + b"\x01",
    yes_token_id=bytes(31) + b"\x02",
    no_token_id=bytes(31) + b"\x03",
    event_id=bytes(32),
    correlation_id=0,
    start_ns=WALL0,
    end_ns=WALL0 + 300 * S,
    min_size_e6=5 * E6,
    fee_rate_e6=40_000,
    start_price_e8=0,
    start_price_rest_e18=0,
    strike_e8=0,
    market=0,
    generation=1,
    known=int(Known.TRADEABLE),
    tick_e4=100,
    taker_delay_ms=0,
    event_market_count=1,
    fee_exponent=1,
    fee_taker_only=1,
    status=int(MarketStatus.ACTIVE),
    exchange=int(Exchange.STANDARD),
    neg_risk=0,
    neg_risk_augmented=0,
    winner=0,
    settle_rule=int(SettleRule.NOT_CRYPTO),
    coin=0,
    settle_lookback_s=0,
    slug=b"",
    question=b"",
    wording=0,
    listed_ns=0,
    rules_hash=0,
    source_hash=0,
    series_hash=0,
    volume_e6=NO_AMOUNT,
    liquidity_e6=NO_AMOUNT,
    dispute=0,
    dispute_count=0,
    rules_changes=0,
    category=0,
    reward_spread_e4=0,
    reward_size_e6=0,
    reward_day_e6=0,
    rebate_rate_e6=0,
    score_usd=0,
    priority=0,
    watch=0,
    rule_doubt=0,
)


def cents(price_e4):
    return f"{price_e4 // 10_000}.{price_e4 % 10_000:04d}"


def shares(size):
    return str(size)


class World:
    """Tables and streams of one feed, one metadata engine, one spot and one price feed."""

    def __init__(self, markets=16):
        self.clock = VirtualClock(monotonic_start_ns=10 * S, wall_start_ns=WALL0 + 10 * S)
        self.counts = Counts()
        self.market = Stream(256)
        self.metadata = Stream(256)
        self.spot = Stream(128)
        self.settle = Stream(128)
        self.signals = Stream(512, slots=256)
        self.turns = Stream(192)
        self.reports = Stream(256)
        self.orders = Table(ORDER_ROW, 32)
        self.positions = Table(POSITION_ROW, 2 * markets)
        self.books = Table(BOOK_ROW, markets)
        self.shards = Table(SHARD_ROW, 4)
        self.markets = Table(MARKET_ROW, markets)
        self.rows = {}
        self.spots = Table(SPOT_TOP, 8)
        self.top = memoryview(bytearray(BOOK_TOP.size_bytes))
        self._id = 0
        self.shard()

    @property
    def now(self):
        return self.clock.monotonic_ns()

    def advance(self, by_ns):
        self.clock.advance(by_ns)
        return self.now

    def next_id(self):
        self._id += 1
        return 1 << 56 | self._id

    def shard(self, *, generation=1, alive=1, shard=0):
        self.shards.put(shard, ShardRow(1, self.now, 1, generation, 1, 1, alive, 10, 0))

    def put_market(self, market, **changes):
        base = MARKET._replace(
            market=market,
            condition_id=(1000 + market).to_bytes(32, "big"),
            yes_token_id=(2000 + 2 * market).to_bytes(32, "big"),
            no_token_id=(2001 + 2 * market).to_bytes(32, "big"),
        )
        row = base._replace(**changes)
        self.rows[market] = row
        version = self.markets.put(market, row)
        self.metadata.send(
            MARKET_STATE,
            MarketStateChange(
                self.next_id(), version, 0, self.now, market, row.generation, 1, row.status, 100
            ),
        )
        return row

    def put_book(self, market, bids, asks, *, generation=1, flags=0, connection=1, tick_e4=100):
        """Write a book of (price_e4, shares) levels in YES terms, and its tick."""
        book = MarketBook(market, generation)
        book.tick_e4 = tick_e4
        book.connection_generation = connection
        book.load(
            0,
            [(cents(price), shares(size)) for price, size in bids],
            [(cents(price), shares(size)) for price, size in asks],
        )
        now = self.now
        book.image(self.books.buffer, self.top, self.next_id(), WALL0, now, now, now, 3)
        if flags:
            at = BOOK_ROW.dtype.fields["book_flags"][1]
            old = int.from_bytes(self.books.buffer[at : at + 2], "little")
            self.books.buffer[at : at + 2] = (old | flags).to_bytes(2, "little")
        self.books.write(market)
        self.market.buffer[: len(self.top)] = self.top
        self.market.publish(BOOK_TOP.kind)

    def put_spot(self, coin, mid, *, connection=1, lead_ppb=0):
        row = SpotTop(
            self.next_id(),
            1,
            0,
            self.now,
            self.now,
            self.now,
            round((mid - 0.005) * E8),
            E8,
            round((mid + 0.005) * E8),
            E8,
            coin,
            2,
            connection,
            lead_ppb,
        )
        self.spots.put(coin, row)
        self.spot.send(SPOT_TOP, row)

    def put_print(self, coin, second, price, *, series=1, history=0):
        self.settle.send(
            SETTLE,
            Settle(
                self.next_id(),
                WALL0 + second * S,
                WALL0 + second * S,
                self.now,
                self.now,
                round(price * E8),
                0,
                coin,
                series,
                history,
            ),
        )

    def put_position(self, table, instrument, size, cost, *, confirmed=None, generation=1):
        size_e6 = size * E6
        table.put(
            instrument,
            PositionRow(
                1,
                size_e6,
                size_e6 if confirmed is None else confirmed * E6,
                round(cost * E6),
                0,
                0,
                bytes(32),
                instrument,
                generation,
            ),
        )

    def put_cash(self, table, cash, *, reconciled_ns=1):
        values = dict.fromkeys(CashRow._fields, 0)
        values |= {"id": 1, "cash_e6": round(cash * E6), "reconciled_ns": reconciled_ns}
        table.put(0, CashRow(**values))


TABLES = {"positions": POSITION_ROW, "cash": CASH_ROW}
