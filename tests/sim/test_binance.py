"""The spot exchange: SBE beside JSON, slow and partial books, weights and bans, ends of sockets."""

import asyncio
import json

import pytest

from lowlat.core.clock import RealClock
from lowlat.core.units import E8
from lowlat.sim import sbe
from lowlat.sim.config import load_config
from lowlat.sim.control import Control
from lowlat.sim.feed_session import Session
from lowlat.sim.server import SimServer
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request
from lowlat.venues.binance.events import Depth, DepthSnapshot, Top, Trade
from lowlat.venues.binance.sbe import decode_sbe

START_NS = 1_795_305_600_000_000_000
MS = 1_000_000
S = 1_000 * MS
QUIET = {
    "coins": ["BTC"],
    "markets": 0,
    "neg_risk_events": 0,
    "tape": "none",
    "flow": {"events_per_s": 0, "edges": []},
}


def venue_of(**changes):
    return Venue(load_config(QUIET | changes), START_NS)


class Client:
    def __init__(self, venue, path, *, binary=False):
        self.text, self.binary, self.closed = [], [], []
        session = Session(
            lambda raw: self.text.append(json.loads(raw)), lambda *why: self.closed.append(why)
        )
        session.send_binary = self.binary.append
        session.pong_ns = venue.now_ns
        venue.binance.feed(path, binary=binary).connect(session)


def run(venue, seconds, step_ms=50):
    for _ in range(int(seconds * 1000 / step_ms)):
        venue.step(venue.now_ns + step_ms * MS)


def events(client, kind):
    found = [event for frame in client.binary for event in decode_sbe(frame)]
    return [event for event in found if isinstance(event, kind)]


def rest(venue, path, address="127.0.0.1", **query):
    answers = []
    values = {name: [str(value)] for name, value in query.items()}
    request = Request("GET", path, values, {}, b"", address)
    venue.binance_request(request, answers.append)
    return answers[0]


def test_binary_top_says_what_the_json_top_says():
    venue = venue_of()
    text = Client(venue, "/ws/btcusdt@bookTicker")
    binary = Client(venue, "/ws/btcusdt@bestBidAsk", binary=True)
    run(venue, 2)
    tops = events(binary, Top)
    assert len(tops) == len(text.text) > 20
    for top, shown in zip(tops, text.text, strict=True):
        assert top.update_id == shown["u"]
        prices = [round(float(shown[key]) * E8) for key in "bBaA"]
        assert [top.bid_price_e8, top.bid_size_e8, top.ask_price_e8, top.ask_size_e8] == prices


def test_a_culled_top_is_missing_in_binary_only():
    venue = venue_of()
    text = Client(venue, "/ws/btcusdt@bookTicker")
    binary = Client(venue, "/ws/btcusdt@bestBidAsk", binary=True)
    venue.faults.arm("binance_cull_e4", 2)
    run(venue, 1)
    told = [frame["u"] for frame in text.text]
    assert len(told) > 5
    assert [event.update_id for event in events(binary, Top)] == told[2:]


def test_binary_diffs_follow_each_other_and_lead_to_the_book():
    venue = venue_of()
    client = Client(venue, "/stream?streams=btcusdt@depth/btcusdt@depth20", binary=True)
    book = json.loads(rest(venue, "/api/v3/depth", symbol="BTCUSDT", limit=5000).body)
    sides = [
        {round(float(price) * E8): round(float(size) * E8) for price, size in book[side]}
        for side in ("bids", "asks")
    ]
    run(venue, 3)
    last = book["lastUpdateId"]
    assert not client.text
    for diff in events(client, Depth):
        # The snapshot may hold a part of the first diff already.
        assert diff.first_id == last + 1 or last == book["lastUpdateId"] >= diff.first_id
        last = diff.last_id
        for side, levels in zip(sides, (diff.bids, diff.asks), strict=True):
            for price, size in levels:
                side.pop(price, None)
                if size:
                    side[price] = size
    snapshot = events(client, DepthSnapshot)[-1]
    assert snapshot.last_id == last
    assert dict(snapshot.bids).items() <= sides[0].items()
    assert max(sides[0]) == snapshot.bids[0][0]
    assert min(sides[1]) == snapshot.asks[0][0]


def test_binary_trades_are_those_of_the_rest_answer():
    venue = venue_of()
    client = Client(venue, "/ws/btcusdt@trade", binary=True)
    run(venue, 3)
    told = json.loads(rest(venue, "/api/v3/trades", symbol="BTCUSDT", limit=1000).body)
    assert [each.trade_id for each in events(client, Trade)] == [row["id"] for row in told]
    assert told


def test_layout_of_a_top_is_the_documented_one():
    frame = sbe.best_bid_ask("BTCUSDT", 1_795_352_400_123_456_000, (7, 3, 4, 5, 6))
    assert frame[:8] == bytes.fromhex("3200112701000000")
    assert frame[58:] == b"\x07BTCUSDT"
    assert len(frame) == 66


def test_slow_diff_adds_up_the_fast_ones():
    venue = venue_of()
    fast = Client(venue, "/ws/btcusdt@depth@100ms")
    slow = Client(venue, "/ws/btcusdt@depth")
    run(venue, 4)
    assert 3 <= len(slow.text) <= 4
    for before, after in zip(slow.text, slow.text[1:], strict=False):
        assert after["U"] == before["u"] + 1
    ids = {diff["u"] for diff in fast.text}
    assert {diff["u"] for diff in slow.text} <= ids
    assert len(fast.text) > 30


def test_partial_book_has_so_many_levels_and_no_symbol():
    venue = venue_of()
    client = Client(venue, "/stream?streams=btcusdt@depth5")
    run(venue, 1)
    value = client.text[0]
    assert value["stream"] == "btcusdt@depth5"
    assert set(value["data"]) == {"lastUpdateId", "bids", "asks"}
    assert len(value["data"]["bids"]) == 5


def test_socket_ends_when_it_has_lived_long_enough():
    venue = venue_of(binance_life_s=60)
    client = Client(venue, "/ws")
    run(venue, 59, 1_000)
    assert not client.closed
    run(venue, 2, 1_000)
    assert client.closed[0][0] == 1001


def test_shutdown_is_announced_in_the_form_of_each_socket():
    venue = venue_of()
    raw, combined = Client(venue, "/ws"), Client(venue, "/stream?timeUnit=MICROSECOND")
    body = json.dumps({"op": "binance_shutdown"}).encode()
    answers = []
    Control(venue).handle(Request("POST", "/sim/control", {}, {}, body), answers.append)
    assert json.loads(answers[0].body)["result"] == 2
    assert raw.text == [{"e": "serverShutdown", "E": venue.now_ns // MS}]
    data = {"e": "serverShutdown", "E": venue.now_ns // 1000}
    assert combined.text == [{"stream": "!serverShutdown", "data": data}]


@pytest.mark.parametrize(("limit", "weight"), [(5, 5), (500, 25), (1000, 50), (5000, 250)])
def test_deep_books_weigh_more(limit, weight):
    answer = rest(venue_of(), "/api/v3/depth", symbol="BTCUSDT", limit=limit)
    assert dict(answer.headers)["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_heavy_use_is_told_to_wait_then_banned_one_address_at_a_time():
    venue = venue_of(flow=QUIET["flow"] | {"spot_hz": 1})

    def ask(address="1.2.3.4"):
        return rest(venue, "/api/v3/depth", address, symbol="BTCUSDT", limit=5000)

    statuses = [ask().status for _ in range(24 + 11)]
    assert statuses == [200] * 24 + [429] * 10 + [418]
    assert int(dict(ask().headers)["Retry-After"]) == 120
    assert ask("5.6.7.8").status == 200
    run(venue, 119, 1_000)
    assert ask().status == 418
    run(venue, 61, 1_000)
    assert ask().status == 200


def test_skewed_clock_shows_in_the_exchanges_time():
    venue = venue_of(faults={"clock_skew_ms": -5_000})
    told = json.loads(rest(venue, "/api/v3/time").body)["serverTime"]
    assert told == venue.now_ns // MS - 5_000


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/api/v3/depth", {"symbol": "MOONUSDT"}, -1121),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("/api/v3/ticker/price", {"symbols": '["BTCUSDT","MOON"]'}, -1121),
        ("/api/v3/exchangeInfo", {"symbol": "MOON"}, -1121),
    ],
)
def test_bad_question_has_the_venues_code(path, query, code):
    answer = rest(venue_of(), path, **query)
    body = json.loads(answer.body)
    assert (answer.status, body["code"], body.keys()) == (400, code, {"code", "msg"})


def test_times_are_in_microseconds_for_who_asks():
    venue = venue_of()
    run(venue, 61, step_ms=1_000)

    def both(path, **query):
        arguments = {name: [text] for name, text in query.items()}
        answers = []
        for headers in ({}, {"x-mbx-time-unit": "microsecond"}):
            venue.binance_request(Request("GET", path, arguments, headers, b""), answers.append)
        return [json.loads(answer.body) for answer in answers]

    slow, fast = both("/api/v3/time")
    assert fast["serverTime"] == slow["serverTime"] * 1000
    slow, fast = both("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit="2")
    assert [row[0] for row in fast] == [row[0] * 1000 for row in slow]
    assert [row[6] for row in fast] == [row[6] * 1000 + 999 for row in slow]
    slow, fast = both("/api/v3/trades", symbol="BTCUSDT", limit="3")
    assert [row["time"] for row in fast] == [row["time"] * 1000 for row in slow]


def test_a_symbol_that_must_be_told_is_asked_for():
    venue = venue_of()
    for path in ("depth", "klines", "trades", "avgPrice"):
        answer = rest(venue, f"/api/v3/{path}")
        assert (answer.status, json.loads(answer.body)["code"]) == (400, -1102)
        assert b"'symbol' was not sent" in answer.body


def test_symbols_are_told_with_every_field_of_the_documentation():
    info = json.loads(rest(venue_of(), "/api/v3/exchangeInfo", symbols='["BTCUSDT"]').body)
    [row] = info["symbols"]
    assert {"ocoAllowed", "otoAllowed", "amendAllowed", "defaultSelfTradePreventionMode"} <= {*row}
    assert [each["filterType"] for each in row["filters"]] == [
        "PRICE_FILTER",
        "LOT_SIZE",
        "NOTIONAL",
    ]


def test_aggregate_trades_are_the_trades_under_short_names():
    venue = venue_of()
    for _ in range(50):
        venue.step(venue.now_ns + 100 * MS)
    trades = json.loads(rest(venue, "/api/v3/trades", symbol="BTCUSDT", limit="5").body)
    short = json.loads(rest(venue, "/api/v3/aggTrades", symbol="BTCUSDT", limit="5").body)
    assert len(trades) == 5
    assert [(row["a"], row["p"], row["T"]) for row in short] == [
        (row["id"], row["price"], row["time"]) for row in trades
    ]
    since = {"symbol": "BTCUSDT", "fromId": str(trades[2]["id"])}
    later = json.loads(rest(venue, "/api/v3/historicalTrades", **since).body)
    assert later[0] == trades[2]


def test_candles_end_where_they_are_asked_to():
    venue = venue_of()
    end_ms = venue.now_ns // MS - 600_000
    query = {"symbol": "BTCUSDT", "interval": "1m", "limit": "3", "endTime": str(end_ms)}
    rows = json.loads(rest(venue, "/api/v3/klines", **query).body)
    assert [row[0] for row in rows] == [end_ms // 60_000 * 60_000 - 60_000 * n for n in (2, 1, 0)]


def test_binary_handshake_wants_a_key():
    async def shake(key):
        server = SimServer(load_config(QUIET), RealClock())
        await server.start()
        address = server.addresses["binance_sbe_ws"]
        host, port = address.removeprefix("ws://").rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "GET /ws/btcusdt@bestBidAsk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        head += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        head += f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{key}\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        writer.close()
        await writer.wait_closed()
        await server.close()
        return int(status.split()[1])

    assert asyncio.run(shake("")) == 401
    assert asyncio.run(shake("X-MBX-APIKEY: some\r\n")) == 101
