"""The Binance feed: prices, copies, withdrawal, relief of sockets, trades, depth."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.clock import VirtualClock
from lowlat.core.layout import SPOT_TOP, TRADE, Action, Coin
from lowlat.core.units import NO_PRICE_E8
from lowlat.feeds.binance import BinanceFeed
from lowlat.feeds.params import BinanceFeedParams

SECOND = 1_000_000_000
US = 1_795_352_400_000_000


def top(update_id, bid="98123.45", ask="98123.46", symbol="BTCUSDT"):
    return {
        "stream": f"{symbol.lower()}@bookTicker",
        "data": {"u": update_id, "s": symbol, "b": bid, "B": "1.5", "a": ask, "A": "0.25"},
    }


def trade(trade_id, symbol="BTCUSDT"):
    data = {"e": "trade", "E": US, "s": symbol, "t": trade_id, "p": "98123.46", "q": "0.015",
            "T": US, "m": True, "M": True}  # fmt: skip
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def depth(first, last, bids=(), asks=(), symbol="BTCUSDT"):
    data = {"e": "depthUpdate", "E": US, "s": symbol, "U": first, "u": last,
            "b": list(bids), "a": list(asks)}  # fmt: skip
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": data}


class Rig:
    def __init__(self, tools, **params):
        self.tools = tools
        self.clock = VirtualClock(1_000 * SECOND)
        self.counts = tools.Counts()
        self.notes = []
        self.connections = {}
        self.dialled = []
        self.fetch = tools.FakeFetch()
        self.table = tools.MemoryTable(SPOT_TOP, 16)
        self.spot = tools.MemoryStream("spot")
        self.trades = tools.MemoryStream("spot_trades")
        self.params = BinanceFeedParams(**params)
        self.pumped = []
        self.feed = BinanceFeed(
            self.params,
            self.table.writer,
            self.spot.writer,
            self.trades.writer,
            self.dial,
            self.fetch,
            self.clock,
            self.counts.cell,
            lambda kind, sample: self.notes.append((kind, sample)),
            pump=lambda: self.pumped.append(self.spot.writer.cursor),
        )
        self.feed.start()

    def dial(self, listener, number):
        connection = self.tools.FakeConnection(listener, number)
        self.connections[number] = connection
        self.dialled.append(connection)
        return connection

    def turn(self, after_ns=60_000_000):
        self.clock.advance(after_ns)
        return self.feed.turn(self.clock.monotonic_ns())

    def send(self, message, number=0):
        self.raw(json.dumps(message, separators=(",", ":")).encode(), self.connections[number])

    def raw(self, payload, connection=None, is_text=True):
        self.clock.advance(1_000)
        connection = connection or self.connections[0]
        self.feed.on_frame(connection, payload, is_text, self.clock.monotonic_ns())

    def row(self, coin=Coin.BTC):
        return self.table.row(coin)


@pytest.fixture
def rig(tools):
    rig = Rig(tools)
    rig.connections[0].open()
    rig.spot.take()
    return rig


def test_ticker_goes_to_row_and_stream_alike(rig):
    rig.send(top(10))
    [record] = rig.spot.take()
    assert rig.row() == record
    assert (record.bid_price_e8, record.ask_price_e8) == (9_812_345_000_000, 9_812_346_000_000)
    assert (record.bid_size_e8, record.ask_size_e8) == (150_000_000, 25_000_000)
    assert (record.coin, record.update_id, record.event_ns) == (Coin.BTC, 10, 0)
    assert record.recv_ns <= record.published_ns


def test_engines_behind_are_run_when_a_top_is_published_and_not_for_trades(rig):
    before = rig.spot.writer.cursor
    rig.send(top(10))
    rig.send(trade(7))
    rig.send(top(11))
    assert rig.pumped == [before + 1, before + 2]


def test_before_the_first_frame_and_after_the_last_socket_there_is_no_price(tools):
    rig = Rig(tools)
    assert {rig.row(coin).bid_price_e8 for coin in rig.params.coins} == {NO_PRICE_E8}
    rig.connections[0].open()
    rig.send(top(10))
    generation = rig.row().connection_generation
    rig.connections[0].drop()
    assert (rig.row().bid_price_e8, rig.row().ask_price_e8) == (NO_PRICE_E8, NO_PRICE_E8)
    assert rig.row().connection_generation == generation + 1


def test_lower_ids_are_accepted_again_after_a_reconnect(rig):
    rig.send(top(10))
    rig.connections[0].drop()
    rig.connections[0].open()
    rig.send(top(3))
    assert rig.row().update_id == 3


def test_first_arrival_wins_between_sockets(tools):
    rig = Rig(tools, sockets=2)
    for connection in rig.connections.values():
        connection.open()
    rig.spot.take()
    for number in (0, 1):
        rig.send(top(10), number)
    rig.send(top(9, bid="1.0"), 1)
    assert len(rig.spot.take()) == 1
    assert rig.counts["binance.copies"] == 2
    rig.connections[0].drop()
    assert rig.row().bid_price_e8 != NO_PRICE_E8


def test_silent_socket_is_replaced(rig):
    rig.send(top(10))
    rig.turn(6 * SECOND)
    assert rig.connections[0].reconnects == ["silent"]
    assert rig.row().bid_price_e8 == NO_PRICE_E8


@pytest.mark.parametrize("why", ["age", "shutdown"])
def test_successor_is_up_before_the_old_socket_goes(rig, why):
    old = rig.connections[0]
    rig.send(top(10))
    if why == "age":
        rig.feed._links[0].opened_ns -= rig.params.age_ns_max
        rig.turn()
    else:
        rig.send({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": US}})
    assert len(rig.dialled) == 2
    assert not old.closed
    rig.send(top(11))
    rig.dialled[1].open()
    assert not old.closed
    rig.send(top(12), 1)
    assert old.closed
    assert rig.row().update_id == 12
    rig.feed.on_close(old, "late")
    rig.turn()
    assert rig.row().update_id == 12
    assert len(rig.dialled) == 2


def test_leaving_socket_that_dies_early_is_not_dialled_twice(rig):
    rig.send(top(10))
    rig.send({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": US}})
    rig.connections[0].drop()
    assert rig.row().bid_price_e8 == NO_PRICE_E8
    rig.dialled[1].open()
    rig.send(top(5), 1)
    assert rig.row().update_id == 5
    assert rig.connections[0].closed


def test_trades_are_published_once_and_gaps_counted(rig):
    for trade_id in (7, 7, 8, 11):
        rig.send(trade(trade_id))
    records = rig.trades.take(TRADE)
    assert [one.trade_id for one in records] == [7, 8, 11]
    assert records[0].taker_side == Action.SELL
    assert (records[0].price, records[0].size) == (9_812_346_000_000, 1_500_000)
    assert rig.counts["binance.trade_gaps"] == 1
    assert rig.counts["binance.copies"] == 1


def snapshot(rig, last_id, symbol="BTCUSDT", status=200):
    at = next(i for i, (path, _) in enumerate(rig.fetch.asked) if symbol in path)
    _path, done = rig.fetch.asked.pop(at)
    body = {"lastUpdateId": last_id, "bids": [["98123.45", "1.5"]], "asks": [["98123.46", "1"]]}
    done(status, json.dumps(body).encode(), rig.clock.monotonic_ns())


def test_depth_book_from_snapshot_and_diffs_agrees_with_the_ticker(rig):
    rig.send(depth(5, 8))
    rig.turn()
    assert len(rig.fetch.asked) == 3
    snapshot(rig, 8)
    book = rig.feed.depth(Coin.BTC)
    assert book.live
    rig.send(depth(9, 10, bids=[["98123.40", "2"]]))
    rig.send(top(10))
    assert book.live
    assert rig.counts["binance.depth_mismatches"] == 0


def test_depth_gap_and_mismatch_start_the_book_over(rig):
    book = rig.feed.depth(Coin.BTC)
    rig.send(depth(5, 8))
    rig.turn()
    snapshot(rig, 8)
    rig.send(depth(10, 12))
    assert not book.live
    assert rig.counts["binance.depth_gaps"] == 1
    rig.turn(SECOND)
    snapshot(rig, 12)
    assert book.live
    rig.send(top(12, bid="98000.00"))
    assert not book.live
    assert rig.counts["binance.depth_mismatches"] == 1


def test_failed_snapshots_are_asked_ever_more_rarely(rig):
    asked = 0
    for _ in range(40):
        rig.turn(SECOND)
        rig.send(trade(asked + 1))
        while rig.fetch.asked:
            asked += 1
            rig.fetch.answer(429, b"")
    assert 3 * 4 <= asked <= 3 * 7
    assert rig.counts["binance.snapshots_failed"] == asked


@settings(max_examples=100)
@given(data=st.data())
def test_mutated_frames_only_move_counters(tools, data):
    rig = Rig(tools)
    rig.connections[0].open()
    message = data.draw(st.sampled_from([top(9), trade(9), depth(8, 9, bids=[["1.0", "2"]])]))
    raw = bytearray(json.dumps(message, separators=(",", ":")).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    rig.raw(bytes(raw[: data.draw(st.integers(0, len(raw)))]), is_text=data.draw(st.booleans()))
    row = rig.row()
    assert row.bid_price_e8 == NO_PRICE_E8 or row.bid_price_e8 > 0
    rig.turn()


def test_what_trades_and_sizes_lean_to_is_told_beside_the_next_touch(rig):
    rig.send(depth(5, 8))
    rig.turn()
    snapshot(rig, 8)
    rig.send(depth(9, 10, bids=[["98123.40", "2"]]))
    bids, asks = (
        sum(size for _, size in rig.feed.depth(Coin.BTC).ladder.levels(side, 5)) for side in (0, 1)
    )
    rig.send(top(10))
    lean = (bids - asks) / (bids + asks)
    assert lean != 0
    assert rig.row().lead_ppb == int(lean / 2 * 10**9)
    rig.connections[0].drop()
    assert rig.row().lead_ppb == 0
