"""Spot exchange and settlement price sockets: streams that add up, formats, lateness, refusals."""

import itertools
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lowlat.sim.config import load_config
from lowlat.sim.feed_session import Session
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request

MS = 1_000_000
S = 1_000 * MS
START_NS = 1_795_305_600_000_000_000
QUIET = {
    "markets": 8,
    "neg_risk_events": 1,
    "flow": {"events_per_s": 0, "edges": []},
    "faults": {"price_drop_e4": 0},
}


@pytest.fixture
def venue():
    return Venue(load_config(QUIET | {"coins": ["BTC", "ETH"]}), START_NS)


class Client:
    def __init__(self, venue, feed):
        self.venue, self.feed = venue, feed
        self.frames, self.closed, self.pings = [], [], []
        self.session = Session(
            lambda raw: self.frames.append(json.loads(raw)), lambda *why: self.closed.append(why)
        )
        self.session.ping = self.pings.append
        self.session.pong_ns = venue.now_ns
        feed.connect(self.session)

    def send(self, value):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.feed.on_text(self.session, raw, self.venue.now_ns)

    def wait(self, milliseconds):
        self.venue.step(self.venue.now_ns + milliseconds * MS)


def get(venue, path, **query):
    answers = []
    request = Request("GET", path, {k: [v] for k, v in query.items()}, {}, b"")
    venue.binance_request(request, answers.append)
    return answers[0].status, json.loads(answers[0].body)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "NKNUSDT"])
def test_depth_diffs_rebuild_the_book_and_agree_with_book_tickers(venue, symbol):
    """The public procedure: buffer, snapshot, apply; tops with the same id must agree."""
    name = symbol.lower()
    streams = f"/stream?streams={name}@depth@100ms/{name}@bookTicker"
    client = Client(venue, venue.binance.feed(streams))
    client.wait(2_000)
    _, snapshot = get(venue, "/api/v3/depth", symbol=symbol, limit="1000")
    client.wait(10_000)
    book_id = snapshot["lastUpdateId"]
    sides = [dict(snapshot[side]) for side in ("bids", "asks")]
    tops, agreed, applied = {}, 0, 0
    for frame in client.frames:
        data = frame["data"]
        if frame["stream"].endswith("bookTicker"):
            tops[data["u"]] = (float(data["b"]), float(data["a"]))
            continue
        if data["u"] <= book_id:
            continue
        assert data["U"] <= book_id + 1 <= data["u"], "gap"
        for side, changes in zip(sides, (data["b"], data["a"]), strict=True):
            for price, size in changes:
                if float(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        book_id = data["u"]
        applied += 1
        if book_id in tops:
            best = max(map(float, sides[0])), min(map(float, sides[1]))
            assert best == tops[book_id]
            agreed += 1
    assert applied > 30
    assert agreed > 3


def test_gap_fault_swallows_one_diff(venue):
    client = Client(venue, venue.binance.feed("/ws/btcusdt@depth@100ms"))
    client.wait(1_000)
    venue.faults.arm("binance_gap_e4", 1)
    client.wait(1_000)
    ids = [(frame["U"], frame["u"]) for frame in client.frames if frame["s"] == "BTCUSDT"]
    assert [b[0] == a[1] + 1 for a, b in itertools.pairwise(ids)].count(False) == 1


def test_snapshot_of_five_seconds_ago_begins_before_the_diffs(venue):
    venue.faults.arm("binance_snapshot_old_e4", 1)
    venue.step(venue.now_ns + 6 * S)
    client = Client(venue, venue.binance.feed("/ws/btcusdt@depth@100ms"))
    client.wait(1_000)
    first = client.frames[0]["U"]
    stale, fresh = (get(venue, "/api/v3/depth", symbol="BTCUSDT")[1] for _ in range(2))
    assert stale["lastUpdateId"] < first - 1
    assert stale["bids"]
    assert fresh["lastUpdateId"] >= first


def test_control_messages_answer_and_a_sixth_in_a_second_ends_it(venue):
    client = Client(venue, venue.binance.feed("/ws"))
    client.send({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1})
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": "two"})
    client.send({"method": "SET_PROPERTY", "params": ["combined", True], "id": 3})
    client.send(b"nonsense")
    assert client.frames == [
        {"result": None, "id": 1},
        {"result": ["btcusdt@bookTicker"], "id": "two"},
        {"result": None, "id": 3},
        {"code": 3, "msg": "Invalid JSON"},
    ]
    client.wait(60)
    assert client.frames[-1]["stream"] == "btcusdt@bookTicker"
    client.send({"method": "DANCE", "id": 4})
    assert client.frames[-1]["code"] == 2
    client.send({"method": "GET_PROPERTY", "params": ["combined"], "id": 5})
    assert client.closed == [(1008, "Too many requests")]


def test_each_mistake_in_a_property_has_its_code(venue):
    client = Client(venue, venue.binance.feed("/ws"))
    for method, *params in (
        ("SET_PROPERTY", "color", True),
        ("SET_PROPERTY", "combined", "yes"),
        ("SET_PROPERTY", "combined"),
        ("GET_PROPERTY", "color"),
    ):
        client.send({"method": method, "params": params, "id": 7})
    assert [(f["code"], f["id"]) for f in client.frames] == [(0, 7), (1, 7), (2, 7), (0, 7)]
    full = Client(venue, venue.binance.feed("/ws"))
    streams = [f"s{i}@trade" for i in range(1024)]
    full.send({"method": "SUBSCRIBE", "params": streams, "id": 1})
    full.send({"method": "SUBSCRIBE", "params": ["s0@trade"], "id": 2})
    full.send({"method": "SUBSCRIBE", "params": ["one@more"], "id": 3})
    assert [f.get("code") for f in full.frames] == [None, None, 2]


def test_time_unit_applies_to_every_time(venue):
    millis = Client(venue, venue.binance.feed("/ws/btcusdt@trade"))
    micros = Client(venue, venue.binance.feed("/ws/btcusdt@trade?timeUnit=microsecond"))
    millis.wait(500)
    assert len(millis.frames) > 2
    for slow, fast in zip(millis.frames, micros.frames, strict=True):
        assert (fast["E"] // 1000, fast["T"] // 1000) == (slow["E"], slow["T"])


def test_socket_without_pongs_is_dropped_after_a_minute(venue):
    client = Client(venue, venue.binance.feed("/ws/none"))
    client.wait(60_000)
    assert len(client.pings) == 3
    assert not client.closed
    client.wait(20_000)
    assert client.closed == [(1008, "Pong timeout")]


def test_klines_hold_the_running_candle_and_end_with_the_last_price(venue):
    venue.step(venue.now_ns + 90 * S)
    _, rows = get(
        venue, "/api/v3/klines", symbol="BTCUSDT", interval="1m", startTime=str(START_NS // MS)
    )
    assert [row[0] for row in rows] == [START_NS // MS, START_NS // MS + 60_000]
    assert rows[0][6] - rows[0][0] == 59_999
    assert float(rows[1][4]) == venue.spots["BTC"].price_e8 / 1e8
    assert get(venue, "/api/v3/klines", symbol="BTCUSDT", interval="2d")[0] == 400
    assert get(venue, "/api/v3/depth", symbol="WHATUSDT")[1]["code"] == -1121


@pytest.mark.parametrize(("unit", "in_s"), [("MICROSECOND", 10**6), ("MILLISECOND", 10**3)])
def test_candle_streams_speak_each_two_seconds_and_once_when_a_candle_is_over(venue, unit, in_s):
    path = f"/stream?streams=btcusdt@kline_1m/btcusdt@kline_1h&timeUnit={unit}"
    client = Client(venue, venue.binance.feed(path))
    client.wait(61_000)
    events = [frame["data"] for frame in client.frames]
    minutes = [event["k"] for event in events if event["k"]["i"] == "1m"]
    hours = [event["k"] for event in events if event["k"]["i"] == "1h"]
    assert len(minutes) == 31
    assert len(hours) == 30
    (over,) = [candle for candle in minutes if candle["x"]]
    start = START_NS // S
    assert (over["t"], over["T"]) == (start * in_s, (start + 60) * in_s - 1)
    assert minutes[-1]["t"] == (start + 60) * in_s
    assert [event["E"] for event in events] == sorted(event["E"] for event in events)
    assert {candle["o"] for candle in hours} == {over["o"]}
    query = {"symbol": "BTCUSDT", "interval": "1m", "startTime": str(START_NS // MS)}
    row = get(venue, "/api/v3/klines", **query)[1][0]
    assert [over[name] for name in "ohlc"] == row[1:5]
    assert [over[name] for name in "vqnVQ"] == [row[5], *row[7:11]]
    trades = get(venue, "/api/v3/trades", symbol="BTCUSDT", limit="1000")[1]
    within = [t for t in trades if START_NS // MS <= t["time"] < START_NS // MS + 60_000]
    assert (over["f"], over["L"], over["n"]) == (within[0]["id"], within[-1]["id"], len(within))
    for name, kept in (("v", within), ("V", [t for t in within if not t["isBuyerMaker"]])):
        assert Decimal(over[name]) == sum(Decimal(t["qty"]) for t in kept)
    day = get(venue, "/api/v3/ticker/24hr", symbol="BTCUSDT")[1]
    assert Decimal(day["volume"]) == sum(Decimal(t["qty"]) for t in trades)
    assert (day["count"], day["firstId"]) == (len(trades), trades[0]["id"])
    assert events[0]["E"] == (start + 2) * in_s


def test_average_is_the_mean_of_sixty_whole_seconds(venue):
    client = Client(venue, venue.rtds)
    client.send(
        {
            "action": "subscribe",
            "subscriptions": [
                {"topic": "crypto_prices_twap_sixty"},
                {"topic": "crypto_prices_chainlink"},
            ],
        }
    )
    client.wait(90_000)
    spot, twap = {}, {}
    for frame in client.frames:
        payload = frame["payload"]
        if payload["symbol"] == "btc/usd" and frame["type"] == "update":
            series = twap if payload.get("window_s") == 60 else spot
            series[payload["timestamp"] // 1000] = int(payload["full_accuracy_value"])
            late_ms = frame["timestamp"] - payload["timestamp"]
            assert 900 <= late_ms <= 2_600
    second = START_NS // S + 80
    lag_s = venue.config.twap_lag_s
    window = [spot[s] for s in range(second - lag_s - 59, second - lag_s + 1)]
    assert twap[second] // 10**10 == sum(window) // 60 // 10**10


def test_two_formats_say_the_same_price(venue):
    rtds = Client(venue, venue.rtds)
    rtds.send({"action": "subscribe", "subscriptions": [{"topic": "crypto_prices_chainlink"}]})
    key = venue.credentials.create("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")
    bolt = Client(venue, venue.polybolt)
    subscribe = {
        "op": "subscribe",
        "rid": "2",
        "subscriptions": [{"channel": "price.crypto", "filter": {"symbol": "btcusd"}}],
    }
    bolt.send(subscribe)
    assert bolt.frames[-1]["code"] == "auth_required"
    auth = {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}
    bolt.send({"op": "auth", "auth": auth, "rid": "1"})
    bolt.send(subscribe)
    assert [f.get("op") for f in bolt.frames[1:3]] == ["authed", "subscribed"]
    assert bolt.frames[3]["snapshot"] is True
    rtds.wait(4_000)
    exact = {
        f["payload"]["timestamp"]: int(f["payload"]["full_accuracy_value"])
        for f in rtds.frames
        if f["type"] == "update" and f["payload"]["symbol"] == "btc/usd"
    }
    updates = [f for f in bolt.frames[4:] if f["channel"] == "price.crypto"]
    assert len(updates) >= 2
    for frame in updates:
        whole, _, part = frame["payload"]["full_accuracy_value"].partition(".")
        assert exact[frame["payload"]["timestamp"]] == int(whole + part.ljust(18, "0"))
    assert [f["seq"] for f in updates] == list(range(2, 2 + len(updates)))


def test_a_bad_topic_ends_its_whole_frame(venue):
    rtds = Client(venue, venue.rtds)
    rtds.send(
        {"action": "subscribe", "subscriptions": [{"topic": "crypto_prices"}, {"topic": "nope"}]}
    )
    assert [frame["statusCode"] for frame in rtds.frames] == [401]
    rtds.wait(3_000)
    assert len(rtds.frames) == 1


CHAINLINK = "crypto_prices_chainlink"


FILTERS = [
    ("crypto_prices", "", {"btcusdt", "ethusdt"}, {"btcusdt", "ethusdt"}),
    ("crypto_prices", "ethusdt,solusdt", {"ethusdt"}, {"ethusdt"}),
    ("crypto_prices", '{"symbol":"btcusdt"}', {"btcusdt"}, {"btcusdt"}),
    (CHAINLINK, '{"symbol":"btc/usd"}', {"btc/usd"}, {"btc/usd"}),
    (CHAINLINK, '{"symbol": "btc/usd"}', {"btc/usd"}, set()),
    (CHAINLINK, "btc/usd", {400}, set()),
    ("comments", "", set(), set()),
]


def test_a_filter_is_read_as_the_relay_reads_it(venue):
    """One blank in an object brings the past and then silence; a bare word ends the frame."""
    clients = []
    for topic, text, past, _ in FILTERS:
        client = Client(venue, venue.rtds)
        clients.append(client)
        client.wanted = [{"topic": topic, "type": "update", "filters": text}]
        client.send({"action": "subscribe", "subscriptions": client.wanted})
        found = {f.get("statusCode") or f["payload"]["symbol"] for f in client.frames}
        assert found == past, (topic, text)
        client.frames.clear()
    clients[0].wait(3_000)
    for client, (topic, text, _, updates) in zip(clients, FILTERS, strict=True):
        assert {f["payload"]["symbol"] for f in client.frames} == updates, (topic, text)
        client.send({"action": "unsubscribe", "subscriptions": client.wanted})
        client.frames.clear()
    clients[0].wait(3_000)
    assert not [f for client in clients for f in client.frames]


def test_a_ping_of_any_size_gets_no_answer(venue):
    client = Client(venue, venue.rtds)
    for text in (b"PING", b"ping"):
        client.send(text)
    assert not client.frames


def test_the_half_minute_average_is_of_thirty_seconds(venue):
    client = Client(venue, venue.rtds)
    topics = [{"topic": "crypto_prices_twap_thirty"}, {"topic": CHAINLINK}]
    client.send({"action": "subscribe", "subscriptions": topics})
    client.wait(60_000)
    spot, twap = {}, {}
    for payload in (f["payload"] for f in client.frames if f["payload"]["symbol"] == "btc/usd"):
        if "data" not in payload:
            series = twap if payload.get("window_s") == 30 else spot
            series[payload["timestamp"] // 1000] = int(payload["full_accuracy_value"])
    second, lag_s = START_NS // S + 50, venue.config.twap_lag_s
    window = [spot[s] for s in range(second - lag_s - 29, second - lag_s + 1)]
    assert twap[second] // 10**10 == sum(window) // 30 // 10**10


def test_window_resolves_by_the_published_averages():
    venue = Venue(load_config(QUIET | {"coins": ["ETH"], "windows_s": [30]}), START_NS)
    client = Client(venue, venue.rtds)
    client.send({"action": "subscribe", "subscriptions": [{"topic": "crypto_prices_twap_sixty"}]})
    market = next(m for m in venue.exchange.markets if m.kind == "twap" and m.coin == "ETH")
    client.wait(32_000)
    averages = {}
    for frame in client.frames:
        payload = frame["payload"]
        if payload["symbol"] == "eth/usd":
            for point in payload.get("data", [payload]):
                averages[point["timestamp"] * MS] = int(point["full_accuracy_value"])
    venue.step(venue.now_ns + 2 * S)
    start, end = averages[market.start_ns], averages[market.end_ns]
    assert market.winner == (0 if end >= start else 1)
    # The metadata service tells both once it is over, and never before.
    assert market.start_price_e8 == start // 10**10
    assert market.final_price_e8 == end // 10**10


def test_the_sites_price_of_a_window_comes_late_and_without_its_flags_is_the_spot(venue):
    start_s = START_NS // S + 30
    window = {
        "symbol": "ETH",
        "eventStartTime": datetime.fromtimestamp(start_s, UTC).isoformat(),
        "endDate": datetime.fromtimestamp(start_s + 30, UTC).isoformat(),
        "variant": "fiveminute",
    }
    average = {"twapEnabled": "true", "twapLookbackSeconds": "60"}

    def price(**query):
        answers = []
        texts = {name: [text] for name, text in (window | query).items()}
        request = Request("GET", "/api/crypto/crypto-price", texts, {}, b"")
        venue.clob_request(request, answers.append)
        return answers[0].status, json.loads(answers[0].body)

    venue.step((start_s + 2) * S)
    assert price(**average)[1]["openPrice"] is None
    venue.step((start_s + 20) * S)
    _, found = price(**average)
    spot = venue.spots["ETH"]
    assert found["openPrice"] == spot.average_e8(start_s) / 1e8
    assert (found["closePrice"], found["completed"], found["incomplete"]) == (None, False, False)
    assert price()[1]["openPrice"] == spot.settle_e8(start_s) / 1e8
    assert price(variant="hourly")[1]["openPrice"] == spot.seconds[start_s][0] / 1e8
    venue.step((start_s + 50) * S)
    _, found = price(**average)
    assert (found["closePrice"], found["completed"]) == (spot.average_e8(start_s + 30) / 1e8, True)
    for wrong in ({"symbol": "TULIP"}, {"endDate": "soon"}, {"endDate": window["eventStartTime"]}):
        assert price(**average, **wrong)[0] == 400
