"""Bad frames on every socket of a running engine: counted, sampled, survived, never traded on.

A proxy stands between the simulator and the engine. Nothing is planted in the simulated market, so
any order at all would be an order on the strength of what was injected.
"""

import json

import pytest
from fault_proxy import FaultProxy
from picows import WSMsgType
from rig import Rig

from lowlat.core.layout import BOOK_ROW, BookFlag
from lowlat.shm.attachment import Attachment

pytestmark = pytest.mark.e2e

# As volatile as the demo's config believes, else its makers are wrong.
QUIET = {
    "edges": [],
    "maker_delay_ms": [0, 0],
    "jumps_per_minute": 0.0,
    "volatility_bps_per_sqrt_s": 5.0,
}
# On a starved machine the simulated books lag behind the exchange: an edge, but none so wide.
WIDE = "[modules.latency.params]\nedge_min = 0.3\n"
MARKET, USER = "/ws/market", "/ws/user"
SPOT = "/stream?streams=btcusdt@bookTicker"


class Bench:
    """A rig with a proxy, and the genuine frames that the bad ones are made from."""

    def __init__(self, rig):
        self.rig = rig
        self.proxy = rig.proxy
        self.known = {}
        rig.turn_until(lambda: self.find("price_change") and self.find("book"), 60, "frames")
        rig.turn_until(self.price, 60, "a price")

    def find(self, kind):
        """Return the newest genuine event of a kind as a fresh object."""
        for payload in reversed(self.proxy.seen("clob_ws")):
            if payload[:1] not in b"[{":
                continue
            events = json.loads(payload)
            for event in events if isinstance(events, list) else [events]:
                if event.get("event_type") == kind:
                    return event
        return None

    def price(self):
        """Return the newest genuine frame of the price socket, which speaks once a second."""
        frames = reversed(self.proxy.seen("rtds_ws"))
        return next((json.loads(each) for each in frames if each[:1] == b"{"), None)

    def change(self, **fields):
        """Return a price_change of one level with some fields of the level replaced."""
        event = self.find("price_change")
        event["price_changes"] = [event["price_changes"][0] | fields]
        event["timestamp"] = str(int(event["timestamp"]) + 60_000)
        return event

    def total(self, names):
        counters = self.rig.reading().counters
        return sum(counters.get(name, 0) for name in names)

    def inject(self, feed, path, payload, counted, kind=WSMsgType.TEXT):
        """Send one bad frame and wait until one of the counters grew."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        before = self.total(counted)
        self.rig.turn_until(
            lambda: self.proxy.inject(feed, data, path=path, kind=kind) > 0, 60, f"a link of {feed}"
        )
        self.rig.turn_until(
            lambda: self.total(counted) > before, 60, f"one of {counted} for {data[:150]!r}"
        )


def without(event, *path):
    """Return a copy of event without one nested field."""
    copy = json.loads(json.dumps(event))
    at = copy
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return copy


def garbage(genuine):
    """Frames that are no message of any venue."""
    text = json.dumps(genuine).encode()
    return [
        text[: len(text) // 2],
        text[:-1],
        b"\xff\xfe\x00garbage\x80",
        b"NaN",
        b"[" * 20_000,
        b'{"event_type":' + b"9" * 5000 + b"}",
        b'"' + b"x" * 100_000 + b'"',
        b"{",
        b"null",
    ]


FEED = "feed.polymarket."
BAD = (FEED + "malformed",)
USELESS = (FEED + "malformed", FEED + "ignored", FEED + "unknown_tokens", FEED + "outdated")


def market_frames(bench):
    change, book = bench.change(), bench.find("book")
    for text in garbage(change):
        yield text, BAD
    for price in ("NaN", "-0.5", "0.123456", "0", "1", "1.5", "", "1e-2", "0x1", None, 0.5, []):
        yield bench.change(price=price), BAD
    for size in ("NaN", "-5", "Infinity", "1e400", "9" * 40, None, {}):
        yield bench.change(size=size), BAD
    for key in ("asset_id", "price", "size", "side"):
        yield without(change, "price_changes", 0, key), BAD
    yield without(change, "timestamp"), BAD
    yield change | {"timestamp": "yesterday"}, BAD
    yield change | {"timestamp": "-1"}, BAD
    yield change | {"price_changes": "all of them"}, BAD
    yield bench.change(asset_id="1" * 77), (FEED + "unknown_tokens",)
    yield bench.change(side="HOLD"), BAD
    yield change | {"event_type": "moon_phase"}, USELESS
    yield without(change, "event_type"), USELESS
    # Not older than what came since: that would be told from its stamp.
    book["timestamp"] = change["timestamp"]
    yield book | {"bids": [{"price": "0.99", "size": "NaN"}]}, BAD
    yield book | {"bids": {"price": "0.5", "size": "1"}}, BAD
    yield without(book, "bids"), BAD


SPOT_BAD = ("feed.binance.malformed",)
SPOT_USELESS = ("feed.binance.malformed", "feed.binance.ignored")
TICKER = {"u": 1, "s": "BTCUSDT", "b": "100.0", "B": "1", "a": "101.0", "A": "1"}


def spot_frames():
    def wrapped(**fields):
        return {"stream": "btcusdt@bookTicker", "data": TICKER | fields}

    for text in garbage(wrapped()):
        yield text, SPOT_BAD
    for value in ("NaN", "-1", "Infinity", "", None, 5, "1e9"):
        yield wrapped(b=value), SPOT_BAD
    for key in ("b", "B", "a", "A", "s", "u"):
        yield without(wrapped(), "data", key), SPOT_BAD
    yield {"stream": "btcusdt@weather", "data": {"e": "weather"}}, SPOT_USELESS


PRICE_BAD = ("feed.prices.malformed",)
PRICE_USELESS = ("feed.prices.malformed", "feed.prices.ignored")


def price_frames(bench):
    genuine = bench.price()
    for text in garbage(genuine):
        yield text, PRICE_BAD
    yield genuine | {"payload": "up"}, PRICE_BAD
    yield without(genuine, "payload"), PRICE_USELESS
    yield without(genuine, "topic"), PRICE_USELESS
    yield genuine | {"topic": "crypto_prices_weather"}, PRICE_USELESS
    for value in ("NaN", -5, None, [], "-1"):
        payload = genuine["payload"] | {"value": value, "full_accuracy_value": value}
        payload.pop("data", None)
        yield genuine | {"payload": payload, "type": "update"}, PRICE_BAD


def user_frames(bench):
    broken = ("executor.remote_errors",)
    trade = {
        "event_type": "trade", "type": "TRADE", "id": "t-1", "market": "0x" + "01" * 32,
        "asset_id": "1", "side": "BUY", "size": "10", "price": "0.5", "status": "MATCHED",
        "owner": bench.rig.secrets["api_key"], "taker_order_id": "0x" + "ab" * 32,
        "maker_orders": [], "matchtime": "1", "timestamp": "1", "last_update": "1",
        "trader_side": "TAKER", "outcome": "Yes", "bucket_index": 0, "fee_rate_bps": "0",
        "match_time": "1", "maker_address": bench.rig.secrets["address"],
    }  # fmt: skip
    for text in garbage(trade):
        yield text, broken
    for field, values in {"size": ("NaN", "-10", None), "price": ("NaN", "-1", "7")}.items():
        for value in values:
            yield trade | {field: value}, broken
    for key in ("size", "price", "status", "taker_order_id"):
        yield without(trade, key), broken
    # Well formed, but of no order that we ever sent: never booked.
    yield trade, (*broken, "executor.foreign")


def test_bad_frames_on_every_socket_are_counted_sampled_and_never_traded_on(instance, home):
    with Rig(instance, home, seed=4, flow=QUIET, proxy=FaultProxy, more=WIDE) as rig:
        bench = Bench(rig)
        pid, cash_e6 = rig.pid("engine"), rig.start_cash_e6
        count = 0
        for payload, counted in market_frames(bench):
            bench.inject("clob_ws", MARKET, payload, counted)
            count += 1
        for payload, counted in spot_frames():
            bench.inject("binance_ws", SPOT, payload, counted)
            count += 1
        for payload, counted in price_frames(bench):
            bench.inject("rtds_ws", "/", payload, counted)
            count += 1
        for payload, counted in user_frames(bench):
            bench.inject("clob_ws", USER, payload, counted)
            count += 1
        assert count > 100
        assert rig.is_ready("engine")
        assert rig.pid("engine") == pid
        assert rig.reading().counter("executor.orders") == 0
        assert rig.door.account(rig.account.wallet).cash_e6 == cash_e6
        texts = " | ".join(each.text for each in rig.errors())
        for kind in ("malformed", "bad level", "unreadable user frame"):
            assert kind in texts, texts
        assert rig.secrets["api_secret"] not in texts
        assert "Traceback" not in rig.whole_log("engine")
        # It still sees, decides and trades what is real.
        trade_one_edge(rig)
        assert rig.drain().holds


def trade_one_edge(rig):
    def planted():
        rig.door.control("edge")
        rig.run(0.3)
        return rig.reading().counter("executor.orders") > 0

    rig.turn_until(planted, 60, "an order on a real edge")


def books(instance):
    table = Attachment(instance, "test").open_table_reader("book")
    for row in range(table.rows):
        if table.version(row) and table.read(row) > 0:
            yield BOOK_ROW.unpack(table.buffer)


def await_link(rig, feed, path):
    rig.turn_until(lambda: rig.proxy.clients(feed, path) > 0, 60, f"a link of {feed}")


def test_links_that_break_or_lie_are_dialled_again_and_books_heal(instance, home):
    """Oversized frames, bytes that are no frame, swapped frames, crossed books."""
    with Rig(instance, home, seed=6, flow=QUIET, proxy=FaultProxy, more=WIDE) as rig:
        bench = Bench(rig)
        pid = rig.pid("engine")
        # Bid through the ask: the ladder is no market until the venue's own book says otherwise.
        crossed = bench.change(price="0.99", size="1000", side="BUY", best_bid="0.99")
        bench.inject("clob_ws", MARKET, crossed, (FEED + "diverged", FEED + "crossed"))
        swaps = 20
        rig.proxy.swap("clob_ws", swaps)
        rig.turn_until(lambda: rig.proxy.swaps_left("clob_ws") == 0, 60, "swapped frames")
        for feed, path in (("clob_ws", MARKET), ("binance_ws", SPOT), ("rtds_ws", "/")):
            await_link(rig, feed, path)
            for raw in (
                b"\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00" + b"x" * 100,  # says 4 GB
                b"\x8f\x05hello",  # an opcode nobody defined
                b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
            ):
                seen = rig.whole_log("engine").count("disconnected")
                rig.proxy.inject_raw(feed, raw, path=path)
                rig.turn_until(
                    lambda seen=seen: rig.whole_log("engine").count("disconnected") > seen,
                    60, f"a dropped link of {feed} after {raw[:20]!r}",
                )  # fmt: skip
                await_link(rig, feed, path)
        sick = BookFlag.DIVERGED | BookFlag.STALE | BookFlag.CROSSED
        rig.turn_until(
            lambda: not any(each.book_flags & sick for each in books(instance)), 60, "healed books"
        )
        assert rig.pid("engine") == pid
        assert rig.reading().counter("executor.orders") == 0
        assert "Traceback" not in rig.whole_log("engine")
        trade_one_edge(rig)
        assert rig.drain().holds
