"""ccxt and ccxt.pro, unmodified: the unified market-data calls of the spot exchange."""

import asyncio
import time

import pytest

ccxt = pytest.importorskip("ccxt")
pro = pytest.importorskip("ccxt.pro")

pytestmark = pytest.mark.oracle
CLIENT = "ccxt"
covers = pytest.mark.covers
PAIR = "BTC/USDT"


def pointed_at(exchange, urls):
    """Give a client our addresses; nothing else of it changes."""
    rest = urls["binance"] + "/api/v3"
    exchange.urls["api"].update(public=rest, v1=rest, private=rest)
    exchange.urls["api"].setdefault("ws", {})["spot"] = urls["binance_ws"] + "/ws"
    return exchange


OPTIONS = {"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}}


@pytest.fixture(scope="module")
def client(priced_sim):
    exchange = pointed_at(ccxt.binance(OPTIONS), priced_sim)
    exchange.load_markets()
    return exchange


@covers("GET /api/v3/exchangeInfo")
def test_markets_are_loaded(client):
    assert {PAIR, "ETH/USDT"} <= set(client.markets)
    assert client.market(PAIR)["precision"]["price"] == 0.01


@covers("GET /api/v3/time")
def test_time_is_now(client):
    assert abs(client.fetch_time() - time.time() * 1000) < 5_000


@covers("GET /api/v3/depth")
def test_order_book(client):
    book = client.fetch_order_book(PAIR, 10)
    assert len(book["bids"]) == 10
    assert book["bids"][0][0] < book["asks"][0][0]


@covers("GET /api/v3/ticker/24hr")
def test_ticker(client):
    ticker = client.fetch_ticker(PAIR)
    assert ticker["bid"] < ticker["ask"]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]


@covers("GET /api/v3/ticker/bookTicker")
def test_bids_and_asks_of_all(client):
    tops = client.fetch_bids_asks()
    assert tops[PAIR]["bid"] < tops[PAIR]["ask"]


@covers("GET /api/v3/klines")
def test_candles(client):
    rows = client.fetch_ohlcv(PAIR, "1m", limit=5)
    assert len(rows) == 5
    assert all(low <= close <= high for _, _, high, low, close, _ in rows)


@covers("GET /api/v3/depth")
def test_unknown_symbol(client):
    with pytest.raises(ccxt.BadSymbol):
        client.public_get_depth({"symbol": "MOONUSDT"})


def watch(urls, ask):
    async def run():
        exchange = pointed_at(pro.binance(OPTIONS), urls)
        try:
            return await asyncio.wait_for(ask(exchange), 15)
        finally:
            await exchange.close()

    return asyncio.run(run())


@covers("<symbol>@depth@100ms", "SUBSCRIBE")
def test_order_book_is_followed_from_snapshot_and_diffs(priced_sim):
    async def ask(exchange):
        for _ in range(5):
            book = await exchange.watch_order_book(PAIR)
        return book

    book = watch(priced_sim, ask)
    assert book["bids"][0][0] < book["asks"][0][0]


@covers("<symbol>@ticker")
def test_ticker_is_followed(priced_sim):
    assert watch(priced_sim, lambda each: each.watch_ticker(PAIR))["symbol"] == PAIR


@covers("<symbol>@trade")
def test_trades_are_followed(priced_sim):
    rows = watch(priced_sim, lambda each: each.watch_trades(PAIR))
    assert rows[0]["symbol"] == PAIR


@covers("<symbol>@kline_1m")
def test_candles_are_followed(priced_sim):
    rows = watch(priced_sim, lambda each: each.watch_ohlcv(PAIR, "1m"))
    assert rows[0][2] >= rows[0][3]
