"""Old candles by REST: asked once over and still missing, one at a time, and only that minute."""

import json

import pytest

from lowlat.core.clock import VirtualClock
from lowlat.core.layout import Coin, SettleSeries
from lowlat.feeds._candles import CandleLookups
from lowlat.feeds._counters import FaultNotes
from lowlat.feeds._start_prices import POINTS_MAX, StartPrices

S = 1_000_000_000
MINUTE = 60 * S
WALL = 1_795_348_800 * S
NOON = WALL - 60 * MINUTE
CLOSE = (int(Coin.BTC), int(SettleSeries.BINANCE_KLINE_CLOSE), NOON)
OPEN = (int(Coin.ETH), int(SettleSeries.BINANCE_KLINE_OPEN), NOON)
TWAP = (int(Coin.BTC), int(SettleSeries.CHAINLINK_TWAP_60), NOON)


def row(start_ns, opened="98000.10", closed="98123.45"):
    start_ms = start_ns // 1_000_000
    return [
        start_ms,
        opened,
        "99000",
        "97000",
        closed,
        "1",
        start_ms + 59_999,
        "1",
        1,
        "1",
        "1",
        "0",
    ]


class Rig:
    def __init__(self, tools, *keys):
        self.clock = VirtualClock(1_000 * S, WALL)
        self.counts = tools.Counts()
        self.notes, self.asked, self.found = [], [], []
        self.starts = StartPrices()
        self.lookups = CandleLookups(
            self.fetch, self.starts.is_due, self.take, self.clock, self.counts.cell("failed"),
            FaultNotes(lambda kind, sample: self.notes.append((kind, sample))),
        )  # fmt: skip
        for market, key in enumerate(keys):
            assert self.starts.want(key, market) is None
            self.lookups.want(key)

    def fetch(self, path, done):
        self.asked.append((path, done))
        return True

    def take(self, key, price):
        self.found.append((key, price))
        self.starts.take(key, price)

    def run(self, seconds):
        for _ in range(seconds):
            self.clock.advance(S)
            self.lookups.turn(self.clock.monotonic_ns())

    def answer(self, body, status=200):
        _, done = self.asked[-1]
        done(status, body if isinstance(body, bytes) else json.dumps(body).encode(), 7)


def test_close_of_a_stamp_is_that_of_the_minute_before_it(tools):
    rig = Rig(tools, CLOSE)
    rig.run(1)
    ((path, _),) = rig.asked
    start_ms = (NOON - MINUTE) // 1_000_000
    assert path == f"/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={start_ms}&limit=1"
    rig.answer([row(NOON - MINUTE)])
    assert rig.found == [(CLOSE, (9_812_345_000_000, 0))]
    rig.run(600)
    assert len(rig.asked) == 1


def test_open_of_a_stamp_is_that_of_the_minute_that_begins_there(tools):
    rig = Rig(tools, OPEN)
    rig.run(1)
    assert f"symbol=ETHUSDT&interval=1m&startTime={NOON // 1_000_000}&" in rig.asked[0][0]
    rig.answer([row(NOON)])
    assert rig.found == [(OPEN, (9_800_010_000_000, 0))]


def test_candle_that_is_not_over_is_left_to_the_stream(tools):
    coming = (int(Coin.BTC), int(SettleSeries.BINANCE_KLINE_CLOSE), WALL + 60 * S)
    rig = Rig(tools, coming)
    rig.run(64)
    assert rig.asked == []
    rig.run(2)
    assert len(rig.asked) == 1


def test_what_the_stream_brought_or_nobody_wants_any_more_is_not_asked(tools):
    rig = Rig(tools, CLOSE, OPEN)
    rig.starts.take(CLOSE, (5, 0))
    rig.starts.forget(OPEN, 1)
    rig.run(10)
    assert rig.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 0),
        (b"{}", 200),
        ([], 200),
        ([row(NOON)], 200),
        ([row(NOON - MINUTE, closed="0")], 200),
        ([row(NOON - MINUTE)], 429),
    ],
)
def test_anything_but_that_minute_is_no_price_and_is_asked_ever_more_rarely(tools, body, status):
    rig = Rig(tools, CLOSE)
    rig.run(1)
    rig.answer(body, status)
    assert (rig.found, rig.counts["failed"]) == ([], 1)
    assert rig.notes[0][0] == "start candle"
    for count, wait in enumerate((5, 10, 20), start=1):
        rig.run(wait - 1)
        assert len(rig.asked) == count
        rig.run(1)
        assert len(rig.asked) == count + 1
        rig.answer(body, status)


def test_one_question_at_a_time(tools):
    rig = Rig(tools, CLOSE, OPEN)
    rig.run(30)
    assert len(rig.asked) == 1
    rig.answer([row(NOON - MINUTE)])
    rig.run(2)
    assert len(rig.asked) == 2


def test_prints_of_each_second_do_not_push_candles_out():
    starts = StartPrices()
    starts.take(CLOSE, (1, 0))
    for second in range(POINTS_MAX + 10):
        starts.take((1, int(SettleSeries.CHAINLINK_SPOT), second), (2, 0))
    assert starts.want(CLOSE, 0) == (1, 0)


def test_two_prices_for_one_stamp_are_none():
    starts = StartPrices()
    starts.want(TWAP, 3)
    assert starts.take(TWAP, (1, 0)) == ((1, 0), [3])
    assert starts.take(TWAP, (1, 0)) is None
    assert starts.take(TWAP, (1, 5)) == (None, [3])
    assert not starts.is_due(TWAP)
