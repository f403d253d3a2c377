"""binance-connector, unmodified: the market-data calls and streams a trader would use."""

import json
import queue
import time

import pytest

spot = pytest.importorskip("binance.spot")

from binance.error import ClientError  # noqa: E402
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient  # noqa: E402

pytestmark = pytest.mark.oracle
CLIENT = "binance-connector"
covers = pytest.mark.covers


@pytest.fixture
def client(priced_sim):
    client = spot.Spot(base_url=priced_sim["binance"])
    yield client
    client.session.close()


@covers("GET /api/v3/ping", "GET /api/v3/time")
def test_time_is_now(client):
    assert client.ping() == {}
    assert abs(client.time()["serverTime"] - time.time() * 1000) < 5_000


@covers("GET /api/v3/exchangeInfo")
def test_symbols_are_listed(client):
    info = client.exchange_info()
    assert {each["symbol"] for each in info["symbols"]} == {"BTCUSDT", "ETHUSDT"}
    assert client.exchange_info(symbol="BTCUSDT")["symbols"][0]["status"] == "TRADING"


@covers("GET /api/v3/depth")
def test_book_is_sorted_and_as_deep_as_asked(client):
    book = client.depth("BTCUSDT", limit=5)
    bids, asks = ([float(row[0]) for row in book[side]] for side in ("bids", "asks"))
    assert (len(bids), len(asks)) == (5, 5)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


@covers("GET /api/v3/klines")
def test_candles_are_in_order_and_the_newest_by_default(client):
    rows = client.klines("BTCUSDT", "1m", limit=10)
    assert len(rows) == 10
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert time.time() * 1000 - rows[-1][0] < 90_000
    for _, first, high, low, last, *_ in rows:
        assert float(low) <= float(first) <= float(high)
        assert float(low) <= float(last) <= float(high)


@covers("GET /api/v3/trades")
def test_trades_are_told(client):
    deadline = time.time() + 10
    while not (rows := client.trades("BTCUSDT", limit=3)):
        assert time.time() < deadline
    assert {"id", "price", "qty", "time", "isBuyerMaker"} <= set(rows[0])


@covers(
    "GET /api/v3/ticker/price",
    "GET /api/v3/ticker/bookTicker",
    "GET /api/v3/ticker/24hr",
    "GET /api/v3/avgPrice",
)
def test_tickers_agree_with_each_other(client):
    price = float(client.ticker_price("BTCUSDT")["price"])
    top = client.book_ticker("BTCUSDT")
    day = client.ticker_24hr("BTCUSDT")
    assert float(top["bidPrice"]) < float(top["askPrice"])
    for near in (top["bidPrice"], day["lastPrice"], client.avg_price("BTCUSDT")["price"]):
        assert abs(float(near) / price - 1) < 0.01
    assert len(client.book_ticker()) == 2
    assert len(client.ticker_price(symbols=["BTCUSDT", "ETHUSDT"])) == 2


@covers("GET /api/v3/depth")
def test_unknown_symbol_is_refused_in_the_venues_words(client):
    with pytest.raises(ClientError) as refused:
        client.depth("MOONUSDT")
    assert (refused.value.status_code, refused.value.error_code) == (400, -1121)


@pytest.fixture
def stream(priced_sim):
    """A stream client and the queue of what it hears."""
    heard = queue.Queue()
    client = SpotWebsocketStreamClient(
        stream_url=priced_sim["binance_ws"],
        on_message=lambda _, message: heard.put(json.loads(message)),
    )
    yield client, heard
    client.stop()
    client.socket_manager.join(5)
    client.socket_manager.ws.shutdown()


def wait_for(heard, check):
    deadline = time.time() + 10
    while time.time() < deadline:
        message = heard.get(timeout=10)
        if check(message):
            return message
    raise TimeoutError


@covers("<symbol>@bookTicker", "SUBSCRIBE")
def test_top_of_book_is_streamed(stream):
    client, heard = stream
    client.book_ticker("btcusdt")
    top = wait_for(heard, lambda m: "u" in m)
    assert (top["s"], float(top["b"]) < float(top["a"])) == ("BTCUSDT", True)


@covers("<symbol>@depth@100ms")
def test_depth_diffs_are_streamed_without_gaps(stream):
    client, heard = stream
    client.diff_book_depth("btcusdt", speed=100)
    last = wait_for(heard, lambda m: m.get("e") == "depthUpdate")
    for _ in range(5):
        following = wait_for(heard, lambda m: m.get("e") == "depthUpdate")
        assert following["U"] == last["u"] + 1
        last = following


@covers("<symbol>@depth5")
def test_partial_book_is_streamed(stream):
    client, heard = stream
    client.partial_book_depth("btcusdt", level=5, speed=100)
    book = wait_for(heard, lambda m: "lastUpdateId" in m)
    assert len(book["bids"]) == len(book["asks"]) == 5


@covers("<symbol>@trade", "<symbol>@aggTrade")
def test_trades_are_streamed(stream):
    client, heard = stream
    client.trade("btcusdt")
    assert wait_for(heard, lambda m: m.get("e") == "trade")["s"] == "BTCUSDT"
    client.agg_trade("btcusdt")
    assert wait_for(heard, lambda m: m.get("e") == "aggTrade")["s"] == "BTCUSDT"


@covers("<symbol>@kline_1m", "<symbol>@ticker", "<symbol>@miniTicker")
def test_candles_and_tickers_are_streamed(stream):
    client, heard = stream
    client.kline("btcusdt", "1m")
    client.ticker("btcusdt")
    client.mini_ticker("btcusdt")
    for name in ("kline", "24hrTicker", "24hrMiniTicker"):
        assert wait_for(heard, lambda m, name=name: m.get("e") == name)["s"] == "BTCUSDT"


@covers("LIST_SUBSCRIPTIONS", "UNSUBSCRIBE")
def test_subscriptions_are_listed_and_left(stream):
    client, heard = stream
    client.book_ticker("btcusdt", id=1)
    wait_for(heard, lambda m: m.get("id") == 1)
    client.list_subscribe(id=2)
    assert wait_for(heard, lambda m: m.get("id") == 2)["result"] == ["btcusdt@bookTicker"]
    client.unsubscribe("btcusdt@bookTicker", id=3)
    wait_for(heard, lambda m: m.get("id") == 3)
    client.list_subscribe(id=4)
    assert wait_for(heard, lambda m: m.get("id") == 4)["result"] == []
