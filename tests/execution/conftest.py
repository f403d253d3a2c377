"""List-backed ports, one market with a book, and the venue's words for what a test wants said.

``Desk`` below is the executor with everything around it faked; tests drive it turn by turn.
"""

import json
import re
from collections import deque

import pytest

from lowlat.core import layout as lo
from lowlat.core.instruments import Instruments
from lowlat.core.ports import EMPTY, SENT
from lowlat.core.units import NO_PRICE_E4
from lowlat.execution.books import MarketReader
from lowlat.execution.engine import ExecutorEngine
from lowlat.execution.meters import CELL_NAMES, RECORDER_NAMES, ExecutorMeters
from lowlat.execution.params import ExecutorParams
from lowlat.execution.ports import ExecutorPorts
from lowlat.venues.polymarket.account import Account
from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth
from lowlat.venues.polymarket.requests import ClobRequests
from lowlat.venues.polymarket.signing import OrderSigner

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
API_KEY = "00000000-0000-0000-0000-000000000001"
SECOND = 1_000_000_000
YES, NO = 0, 1


class Clock:
    def __init__(self):
        self.now_ns = 5 * SECOND
        self.wall_base_ns = 1_795_305_600 * SECOND

    def monotonic_ns(self):
        return self.now_ns

    def wall_ns(self):
        return self.wall_base_ns + self.now_ns


class Salts:
    def __init__(self):
        self.last = 0

    def next_salt(self):
        self.last += 1
        return self.last


class Stream:
    """Writer end; readers hang on ``records``. ``gate`` is how far a slow reader has got."""

    def __init__(self, slot_bytes, slots):
        self.buffer = memoryview(bytearray(slot_bytes))
        self.records = []
        self.slots = slots
        self.gate = None
        self.epoch = 1

    @property
    def cursor(self):
        return len(self.records) + 1

    @property
    def slot_count(self):
        return self.slots

    def free(self):
        return self.slots if self.gate is None else self.slots - (len(self.records) - self.gate)

    def publish(self, kind):
        if self.free() <= 0:
            return 0
        self.records.append((kind, self.epoch, bytes(self.buffer)))
        return len(self.records)


class Reader:
    def __init__(self, stream):
        self.stream = stream
        self.at = 0
        self.released = 0
        self.raw = bytearray(len(stream.buffer))
        self.epoch = stream.epoch
        self.lost = 0

    @property
    def buffer(self):
        return memoryview(self.raw)

    @property
    def position(self):
        return self.at + 1

    def poll(self):
        if self.at >= len(self.stream.records):
            return EMPTY
        kind, self.epoch, data = self.stream.records[self.at]
        self.raw[:] = data
        self.at += 1
        return kind

    def release(self):
        self.released = self.at


class Table:
    """Both ends of a table; ``on_write`` may raise, to die between two stores."""

    def __init__(self, record_bytes, rows, store=None):
        self.buffer = memoryview(bytearray(record_bytes))
        self.store = {} if store is None else store
        self.rows = rows
        self.on_write = None

    def reader(self):
        return Table(len(self.buffer), self.rows, self.store)

    def write(self, row):
        if self.on_write is not None:
            self.on_write()
        version = self.version(row) + 1
        self.store[row] = (version, bytes(self.buffer))
        return version

    def version(self, row):
        return self.store.get(row, (0, b""))[0]

    def read(self, row):
        version, data = self.store.get(row, (0, b""))
        if version:
            self.buffer[:] = data
        return version


class Cell:
    def __init__(self):
        self.value = 0

    def add(self, count):
        self.value += count

    def set(self, value):
        self.value = value

    def max(self, value):
        self.value = max(self.value, value)


class Recorder:
    def __init__(self):
        self.values = []

    def record(self, value_ns):
        self.values.append(value_ns)


class Transport:
    def __init__(self):
        self.sent = []
        self.results = deque()
        self.idle_count = 12
        self.before_send = None

    def send(self, request, key, *, urgent):
        if self.before_send is not None:
            self.before_send(request)
        is_order = bytes(request[:11]) == b"POST /order"
        result = self.results.popleft() if is_order and self.results else SENT
        if result in (SENT, -1):
            self.sent.append((key, bytes(request), urgent))
        return result

    def idle(self):
        return self.idle_count


class Shared:
    """What survives the death of a process: tables and streams."""

    def __init__(self, orders_rows=64):
        self.intents = Stream(lo.INTENT.size_bytes, 256)
        self.reports = Stream(lo.REPORT.size_bytes, 8192)
        self.orders = Table(lo.ORDER_ROW.size_bytes, orders_rows)
        self.groups = Table(lo.GROUP_ROW.size_bytes, 16)
        self.positions = Table(lo.POSITION_ROW.size_bytes, 64)
        self.cash = Table(lo.CASH_ROW.size_bytes, 1)
        self.markets = Table(lo.MARKET_ROW.size_bytes, 16)
        self.book = Table(lo.BOOK_ROW.size_bytes, 16)
        self.shards = Table(lo.SHARD_ROW.size_bytes, 4)


class Desk:
    """An executor with faked surroundings."""

    def __init__(
        self, *, params=None, shared=None, recovered=None, cash_e6=1_000_000_000, start=True
    ):
        self.clock = Clock()
        self.salts = Salts()
        self.transport = Transport()
        self.shared = shared or Shared()
        self.params = params or ExecutorParams()
        self.meters = ExecutorMeters(
            *(Recorder() for _ in RECORDER_NAMES), *(Cell() for _ in CELL_NAMES)
        )
        self.venue_cash_e6 = cash_e6
        self.venue_tokens = {}
        self.venue_orders = []
        self.venue_trades = []
        self.intent_seq = 0
        self.notes = []
        self.answered = 0
        if shared is None:
            self.market(0)
            self.market(1)
            self.shard()
            self.book(0, [(4500, 500), (4400, 500)], [(4600, 120), (4700, 200), (4800, 500)])
            self.book(1, [(3000, 500)], [(3200, 500)])
        self.boot(recovered)
        if start:
            self.ready()

    def boot(self, recovered=None):
        shared = self.shared
        markets = MarketReader(
            shared.markets.reader(),
            shared.book.reader(),
            shared.shards.reader(),
            Instruments(),
            self.params.shard_silent_ns_max,
        )
        ports = ExecutorPorts(
            intents=Reader(shared.intents),
            reports=shared.reports,
            orders=shared.orders,
            groups=shared.groups,
            positions=shared.positions,
            cash=shared.cash,
            markets=markets,
            transport=self.transport,
            clock=self.clock,
            salts=self.salts,
            meters=self.meters,
            note=lambda kind, sample: self.notes.append((kind, sample)),
            told=Reader(shared.reports),
        )
        credentials = ApiCredentials(API_KEY, "c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "pass")
        requests = ClobRequests("clob.test", L2Auth(ADDRESS, credentials))
        self.engine = ExecutorEngine(
            ports,
            OrderSigner(KEY, 0, ADDRESS),
            requests,
            Account(API_KEY, ADDRESS),
            self.params,
            recovered,
        )
        self.engine.start()

    # ------------------------------------------------------------------ tables
    def market(self, index, *, tick_e4=100, fee_rate_e6=0, generation=1, known=None, status=1):
        row = dict.fromkeys(lo.MarketRow._fields, 0) | {
            "condition_id": bytes([index + 1]) * 32,
            "yes_token_id": self.token(2 * index).to_bytes(32, "big"),
            "no_token_id": self.token(2 * index + 1).to_bytes(32, "big"),
            "event_id": bytes(32),
            "min_size_e6": 5_000_000,
            "market": index,
            "generation": generation,
            "known": lo.Known.TRADEABLE if known is None else known,
            "tick_e4": tick_e4,
            "status": status,
            "exchange": 1,
            "fee_rate_e6": fee_rate_e6,
            "fee_exponent": 1,
            "fee_taker_only": 1,
            "slug": b"",
            "question": b"",
        }
        lo.MARKET_ROW.pack(self.shared.markets.buffer, lo.MarketRow(**row))
        self.shared.markets.write(index)

    @staticmethod
    def token(instrument):
        return (1 << 200) + instrument + (1 << 41)

    def shard(self, *, alive=1, generation=1):
        # Heard of a moment ago, however far a test lets time run.
        row = lo.ShardRow(1, 1 << 60, 1, generation, 1, 1, alive, 2, 0)
        lo.SHARD_ROW.pack(self.shared.shards.buffer, row)
        self.shared.shards.write(0)

    def book(self, market, bids, asks, *, flags=0, generation=1, tick_e4=100):
        def side(levels):
            prices = [price for price, _ in levels] + [NO_PRICE_E4] * (32 - len(levels))
            sizes = [size * 1_000_000 for _, size in levels] + [0] * (32 - len(levels))
            return prices, sizes

        bid_prices, bid_sizes = side(bids)
        ask_prices, ask_sizes = side(asks)
        row = dict.fromkeys(lo.BookRow._fields, 0) | {
            "id": 1,
            "market": market,
            "generation": generation,
            "connection_generation": 1,
            "book_flags": flags,
            "tick_e4": tick_e4,
            "bid_count": len(bids),
            "ask_count": len(asks),
            "bid_depth_e6": sum(bid_sizes),
            "ask_depth_e6": sum(ask_sizes),
        }
        head = [row[name] for name in lo.BookRow._fields[:-4]]
        lo.BOOK_ROW.codec.pack_into(
            self.shared.book.buffer,
            lo.SLOT_HEAD_BYTES,
            *head,
            *bid_prices,
            *ask_prices,
            *bid_sizes,
            *ask_sizes,
        )
        self.shared.book.write(market)

    # ------------------------------------------------------------------ driving
    def intent(self, instrument=0, price_e4=4700, size=320, **fields):
        self.intent_seq += 1
        values = dict.fromkeys(lo.IntentRecord._fields, 0) | {
            "id": lo.record_id(lo.Writer.RISK, 1, self.intent_seq),
            "cause": 7,
            "size_e6": int(size * 1_000_000),
            "limit_price_e4": price_e4,
            "touch_price_e4": price_e4,
            "instrument": instrument,
            "generation": 1,
            "order_type": int(lo.OrderType.FOK),
            "urgency": int(lo.Urgency.IMMEDIATE),
            "legs": 1,
            "module": b"test".ljust(16, b"\0"),
            "recv_ns": self.clock.now_ns,
            "decided_ns": self.clock.now_ns,
            "checked_ns": self.clock.now_ns,
            "expires_ns": self.clock.now_ns + SECOND,
            **fields,
        }
        return lo.IntentRecord(**values)

    def wish(self, *intents):
        for intent in intents:
            lo.INTENT.pack(self.shared.intents.buffer, intent)
            self.shared.intents.publish(lo.INTENT.kind)
        self.turn()

    def turn(self, count=1, step_ns=1000):
        for _ in range(count):
            self.clock.now_ns += step_ns
            self.engine.turn(self.clock.now_ns)

    def ready(self):
        for _ in range(200):
            self.turn()
            self.answer_questions()
            if self.engine.ready:
                return
        raise AssertionError("reconciliation did not finish")

    def run(self, turns, step_ns):
        """Let time pass with a venue that answers questions."""
        for _ in range(turns):
            self.turn(step_ns=step_ns)
            self.answer_questions()

    # ------------------------------------------------------------------ the venue
    def take(self, match=b"POST /order"):
        """Return new requests that begin so, as (key, head, body)."""
        found = []
        for key, request, _ in self.transport.sent[self.answered :]:
            if request.startswith(match):
                head, _, body = request.partition(b"\r\n\r\n")
                found.append((key, head, json.loads(body) if body else None))
        return found

    def posts(self):
        return [
            (key, json.loads(request.partition(b"\r\n\r\n")[2]))
            for key, request, _ in self.transport.sent
            if request.startswith(b"POST /order")
        ]

    def answer(self, key, body, status=200, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.clock.now_ns += 1000
        self.engine.inbox.on_answer(key, status, headers, data, self.clock.now_ns)

    def order(self, index=-1):
        return list(self.engine.desk.by_id.values())[index]

    def matched(self, order, size, cash, trade="trade-1", status="matched"):
        """Answer of a POST that matched: sizes in shares and dollars as text."""
        making, taking = (cash, size) if order.action == 0 else (size, cash)
        return {
            "success": True,
            "errorMsg": "",
            "orderID": "0x" + order.order_id.hex(),
            "status": status,
            "makingAmount": str(making),
            "takingAmount": str(taking),
            "transactionsHashes": [],
            "tradeIDs": [trade] if trade else [],
        }

    def trade_event(self, order, size, price, trade="trade-1", status="MATCHED", makers=()):
        token = str(int.from_bytes(order.token_id, "big"))
        return {
            "event_type": "trade",
            "type": "TRADE",
            "id": trade,
            "taker_order_id": "0x" + order.order_id.hex(),
            "market": "0x" + "01" * 32,
            "asset_id": token,
            "side": "BUY" if order.action == 0 else "SELL",
            "size": str(size),
            "price": str(price),
            "status": status,
            "matchtime": "1795305605",
            "owner": API_KEY,
            "trade_owner": API_KEY,
            "maker_address": ADDRESS,
            "transaction_hash": "",
            "bucket_index": 0,
            "trader_side": "TAKER",
            "timestamp": "1795305605123",
            "maker_orders": [
                {
                    "order_id": "0x" + "ee" * 32,
                    "owner": "other",
                    "maker_address": "0x" + "33" * 20,
                    "matched_amount": str(amount),
                    "price": str(each),
                    "asset_id": token,
                    "side": "SELL" if order.action == 0 else "BUY",
                }
                for amount, each in makers
            ],
        }

    def order_event(self, order, status, matched="0", kind="UPDATE"):
        return {
            "event_type": "order",
            "type": kind,
            "id": "0x" + order.order_id.hex(),
            "owner": API_KEY,
            "market": "0x" + "01" * 32,
            "asset_id": str(int.from_bytes(order.token_id, "big")),
            "side": "BUY" if order.action == 0 else "SELL",
            "original_size": str(order.size_e6 // 1_000_000),
            "size_matched": matched,
            "price": str(order.price_e4 / 10_000),
            "associate_trades": None,
            "outcome": "Yes",
            "created_at": "1795305600",
            "expiration": "0",
            "order_type": lo.OrderType(order.order_type).name,
            "status": status,
            "maker_address": ADDRESS,
            "timestamp": "1795305605500",
        }

    def user(self, *events):
        for event in events:
            self.clock.now_ns += 1000
            self.engine.inbox.on_user_frame(json.dumps(event).encode(), self.clock.now_ns)

    def answer_questions(self):
        """Answer every look-up, listing, balance and heartbeat sent so far; not the orders."""
        while self.answered < len(self.transport.sent):
            key, request, _ = self.transport.sent[self.answered]
            self.answered += 1
            if not request.startswith(b"POST /order"):
                self.answer(key, *self._reply(request))

    def _reply(self, request):
        line = request.split(b"\r\n", 1)[0].decode()
        body = request.partition(b"\r\n\r\n")[2]
        if line.startswith("GET /data/order/"):
            wanted = re.search(r"0x[0-9a-f]{64}", line)[0]
            found = [each for each in self.venue_orders if each["id"] == wanted]
            return (found[0], 200) if found else ({"error": "order not found"}, 404)
        if line.startswith("GET /data/orders"):
            live = [each for each in self.venue_orders if each["status"] == "LIVE"]
            return {"data": live, "next_cursor": "LTE=", "limit": 100, "count": len(live)}, 200
        if line.startswith("GET /data/trades"):
            return {"data": self.venue_trades, "next_cursor": "LTE="}, 200
        if line.startswith("GET /balance-allowance/update"):
            return b"", 200
        if line.startswith("GET /balance-allowance"):
            token = re.search(r"token_id=(\d+)", line)
            held = self.venue_tokens.get(int(token[1]), 0) if token else self.venue_cash_e6
            return {"balance": str(held), "allowances": {}}, 200
        if line.startswith("POST /v1/heartbeats"):
            return {"heartbeat_id": "beat"}, 200
        assert line.startswith("DELETE /order"), line
        ids = json.loads(body)
        ids = ids if isinstance(ids, list) else [ids["orderID"]]
        known = {each["id"]: each for each in self.venue_orders}
        canceled, refused = [], {}
        for each in ids:
            if each in known and known[each]["status"] == "LIVE":
                known[each]["status"] = "CANCELED"
                canceled.append(each)
            else:
                refused[each] = (
                    "already canceled or matched" if each in known else "order not found"
                )
        return {"canceled": canceled, "not_canceled": refused}, 200

    # ------------------------------------------------------------------ reading
    def reports(self, since=0):
        return [lo.REPORT.unpack(data) for _, _, data in self.shared.reports.records[since:]]

    def kinds(self, since=0):
        return [lo.ReportKind(each.kind).name for each in self.reports(since)]

    def row(self, order):
        _, data = self.shared.orders.store[order.row]
        return lo.ORDER_ROW.unpack(data)

    def cash(self):
        return lo.CASH_ROW.unpack(self.shared.cash.store[0][1])

    def position(self, instrument):
        found = self.shared.positions.store.get(instrument)
        return lo.POSITION_ROW.unpack(found[1]) if found else None


@pytest.fixture(scope="session")
def make_desk():
    return Desk


@pytest.fixture
def desk():
    return Desk()
