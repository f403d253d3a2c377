"""A small instance in shared memory, written as the engine writes it, without an engine."""

import time

from lowlat.app.machine import Metrics
from lowlat.app.nameplate import hang_nameplate
from lowlat.core import layout
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import (
    BOOK_ROW,
    CASH_ROW,
    DECISION,
    EXPOSURE_ROW,
    GROUP_ROW,
    MARKET_ROW,
    ORDER_ROW,
    POSITION_ROW,
    SETTLE,
    SHARD_ROW,
    SIGNAL,
    SPOT_TOP,
    BookFlag,
    Coin,
    Exchange,
    GroupState,
    Known,
    MarketStatus,
    OrderState,
    OrderType,
    Rule,
    SettleSeries,
    Urgency,
    Venue,
)
from lowlat.shm.attachment import Attachment
from lowlat.shm.header import State
from lowlat.shm.segments import create_segments

STREAMS = ("signals", "decisions", "reports", "settle", "listings")
TABLES = (
    "book", "markets", "shard", "spot_top", "orders", "groups", "positions", "cash", "exposure",
    "wants", "scores",
)  # fmt: skip
ROWS = {"book": 64, "markets": 64, "shard": 4, "orders": 64, "groups": 16, "positions": 128}
SLUGS = ("btc-updown-5m-1795387200", "will-avery-win-district-4", "old-market-that-resolved")
LEVELS = 32


def blank(record):
    return record.row._make(
        (0,) * format_.shape[0]
        if format_.shape
        else 0.0 if format_.kind == "f" else b"" if format_.kind == "V" else 0
        for name, (format_, *_) in record.dtype.fields.items()
        if name not in {"seq", "epoch", "slot_kind", "slot_flags"}
    )  # fmt: skip


def levels(*values):
    return values + (0,) * (LEVELS - len(values))


class Instance:
    """Segments, an attachment named engine, and a row of everything. Use as a context manager."""

    def __init__(self, name, *, mode="sim", processes=("engine", "recorder")):
        self.name = name
        self.made = create_segments(
            name,
            streams={each: layout.STREAMS[each] for each in STREAMS},
            tables={each: layout.TABLES[each] for each in TABLES},
            rows=ROWS,
            slots=dict.fromkeys(STREAMS, 256),
        )
        self.attachments = [Attachment(name, each) for each in processes]
        self.stats = {}
        for attachment in self.attachments:
            stats = attachment.open_stats()
            hang_nameplate(Metrics(stats), mode, "parked")
            attachment.set_state(State.READY)
            self.stats[attachment.process] = stats
        self.beat()
        engine = self.attachments[0]
        self.streams = {each: engine.open_stream_writer(each, gates=()) for each in STREAMS}
        self.tables = {each: engine.open_table_writer(each) for each in TABLES}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for attachment in self.attachments:
            attachment.close()
        self.made.unlink()

    def publish(self, stream, record, **fields):
        writer = self.streams[stream]
        record.pack(writer.buffer, blank(record)._replace(**fields))
        assert writer.publish(record.kind)

    def write(self, table, record, row, **fields):
        writer = self.tables[table]
        record.pack(writer.buffer, blank(record)._replace(**fields))
        writer.write(row)

    def beat(self):
        """Beat for the next hour: nobody does while a command runs, however long that takes."""
        for stats in self.stats.values():
            stats.heartbeat.set(monotonic_ns() + 3_600 * 10**9)

    def market(self, market, slug, **fields):
        defaults = {
            "generation": 1,
            "known": Known.TRADEABLE,
            "status": MarketStatus.ACTIVE,
            "exchange": Exchange.STANDARD,
            "tick_e4": 100,
            "condition_id": bytes([market]) * 32,
            "slug": slug.encode(),
            "question": b"Will it?",
        }
        self.write("markets", MARKET_ROW, market, market=market, **defaults | fields)

    def book(self, market, bid_e4, ask_e4, **fields):
        now_ns = monotonic_ns()
        defaults = {
            "generation": 1,
            "event_ns": time.time_ns() - 5_000_000,
            "recv_ns": now_ns,
            "published_ns": now_ns,
            "tick_e4": 100,
            "bid_count": 2,
            "ask_count": 1,
            "last_trade_price_e4": bid_e4,
            "bid_depth_e6": 300_000_000,
            "ask_depth_e6": 50_000_000,
            "bid_price_e4": levels(bid_e4, bid_e4 - 100),
            "bid_size_e6": levels(100_000_000, 200_000_000),
            "ask_price_e4": levels(ask_e4),
            "ask_size_e6": levels(50_000_000),
        }
        self.write("book", BOOK_ROW, market, market=market, **defaults | fields)

    def decide(self, number, rule, *, approved=0, market=0, **fields):
        self.publish(
            "decisions", DECISION, id=number, signal=1000 + number, rule=rule, approved=approved,
            instrument=2 * market, generation=1, module=b"latency", limit_price_e4=4600,
            size_suggestion_e6=50_000_000, expected_value=1.25, checked_ns=monotonic_ns(),
            decided_ns=monotonic_ns(), **fields,
        )  # fmt: skip
        done = "approved" if approved else "refused"
        self.stats["engine"].counter(f"risk.{done}.{Rule(rule).name.lower()}").add(1)

    def fill(self):
        """Write some of everything that a screen shows."""
        now_ns, wall_ns = monotonic_ns(), time.time_ns()
        for market, slug in enumerate(SLUGS):
            self.market(market, slug)
            self.book(market, 4500 + 100 * market, 4800 + 100 * market)
        self.market(2, SLUGS[2], status=MarketStatus.RESOLVED, winner=1)
        self.book(1, 4600, 4500, book_flags=BookFlag.CROSSED | BookFlag.TRUNCATED)
        self.market(3, "no-fee-known", known=Known.TRADEABLE & ~Known.FEE)
        self.book(3, 4000, 6000)
        self.write("shard", SHARD_ROW, 0, venue=Venue.POLYMARKET, alive=1, last_data_ns=now_ns,
                   connections_alive=1, connection_generation=1, instruments=8)  # fmt: skip
        self.write("spot_top", SPOT_TOP, Coin.BTC, coin=Coin.BTC, recv_ns=now_ns,
                   event_ns=wall_ns - 3_000_000)  # fmt: skip
        self.publish("settle", SETTLE, coin=Coin.BTC, series=SettleSeries.CHAINLINK_TWAP_60,
                     recv_ns=now_ns, event_ns=wall_ns - 2_000_000)  # fmt: skip
        self.order(1, OrderState.MATCHED)
        self.order(2, OrderState.LIVE, market=1)
        self.write("groups", GROUP_ROW, 0, id=5, opened_ns=now_ns, state=GroupState.NAKED, legs=2,
                   legs_done=1, target_e6=10_000_000, module=b"arbitrage")  # fmt: skip
        self.write("cash", CASH_ROW, 0, cash_e6=5_000_000_000, reserved_e6=1_000_000,
                   realized_e6=-2_000_000, fees_e6=500_000)  # fmt: skip
        self.write("positions", POSITION_ROW, 0, instrument=0, generation=1, size_e6=10_000_000,
                   cost_e6=4_000_000, token_id=b"\1" * 32)  # fmt: skip
        for row, market, used_e6 in ((0, 0, 900_000_000), (1, 0, 249_000_000), (2, 1, 5_000_000)):
            self.write("exposure", EXPOSURE_ROW, row, market=market, worst_loss_e6=used_e6,
                       limit_e6=250_000_000 if row else 1_000_000_000, equity_e6=4_990_000_000,
                       equity_peak_e6=5_000_000_000, bankroll_e6=2_000_000_000)  # fmt: skip
        self.publish(
            "signals", SIGNAL, id=11, module=b"latency", instrument=0, generation=1,
            recv_ns=now_ns - 90_000, decided_ns=now_ns, expires_ns=now_ns + 20_000_000,
            confidence=0.9, expected_value=1.25, size_suggestion_e6=50_000_000,
            limit_price_e4=4600, urgency=Urgency.IMMEDIATE, legs=1, metadata=b'{"edge_e4":120}',
            metadata_bytes=15,
        )  # fmt: skip
        self.decide(1, Rule.APPROVED, approved=1, size_e6=50_000_000)
        self.decide(2, Rule.MARKET_LIMIT, approved=1, size_e6=20_000_000)
        self.decide(3, Rule.MARKET_LIMIT, market=1, limit=250_000_000, was=268_250_000)
        engine = self.stats["engine"]
        engine.counter("feed.polymarket.frames").add(1000)
        engine.counter("executor.orders").add(2)
        engine.counter("executor.fills").add(1)
        for microseconds in (80, 90, 110, 150, 2_000):
            engine.histogram("latency.tick_to_sent").record(microseconds * 1_000)
        engine.histogram("loop.turn_ns").record(50_000)
        engine.errors.record("gap: seq 5 after 3", now_ns)
        self.beat()

    def order(self, number, state, market=0, **fields):
        start_ns = monotonic_ns()
        stages = {
            field: start_ns + 10_000 * step
            for step, field in enumerate(
                ("recv_ns", "decoded_ns", "published_ns", "decided_ns", "checked_ns", "sent_ns")
            )
        }
        self.write(
            "orders", ORDER_ROW, number, id=number, signal=1000 + number, state=state,
            order_id=bytes([number]) * 32, instrument=2 * market, generation=1,
            module=b"latency", price_e4=4600, size_e6=50_000_000, filled_e6=50_000_000,
            cash_e6=23_000_000, fee_e6=10_000, order_type=OrderType.FAK,
            **stages | fields,
        )  # fmt: skip
