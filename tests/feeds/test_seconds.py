"""Closes of the exchange's last seconds: each once, in order, a few a turn, only whole seconds."""

import json

import pytest

from lowlat.core.clock import VirtualClock
from lowlat.core.layout import Coin, SettleSeries
from lowlat.feeds._counters import FaultNotes
from lowlat.feeds._seconds import SecondCloses

S = 1_000_000_000
WALL_S = 1_795_348_800
BACK_S = 30
EVERY_S = 20


def row(start_s, closed="98123.45", length_ms=1_000):
    return [start_s * 1000, "98000.10", "99000", "97000", closed, "1",
            start_s * 1000 + length_ms - 1, "1", 1, "1", "1", "0"]  # fmt: skip


class Rig:
    def __init__(self, tools, coins=(Coin.BTC,)):
        self.clock = VirtualClock(1_000 * S, WALL_S * S)
        self.counts, self.rest = tools.Counts(), tools.FakeFetch()
        self.published, self.notes = [], []
        self.closes = SecondCloses(
            self.rest,
            coins,
            BACK_S,
            EVERY_S * S,
            lambda point, recv_ns: self.published.append(point),
            self.clock,
            self.counts.cell("failed"),
            FaultNotes(lambda kind, sample: self.notes.append((kind, sample))),
        )

    def turn(self, after_ns=50_000_000):
        self.clock.advance(after_ns)
        return self.closes.turn(self.clock.monotonic_ns())

    def turns(self, seconds):
        for _ in range(20 * seconds):
            self.turn()


@pytest.fixture
def rig(tools):
    return Rig(tools)


def test_at_the_start_the_last_seconds_are_asked_for_and_told_with_the_end_of_each(rig):
    assert rig.turn(0) == 1
    path = rig.rest.answer(200, [row(WALL_S - at) for at in range(BACK_S, -1, -1)])
    assert path == (
        "/api/v3/klines?symbol=BTCUSDT&interval=1s"
        f"&startTime={(WALL_S - BACK_S) * 1000}&limit={BACK_S + 1}"
    )
    rig.turn()
    stamps = [point.stamp_ns // S for point in rig.published]
    # The second that runs has no close yet.
    assert stamps == list(range(WALL_S - BACK_S + 1, WALL_S + 1))
    assert {point.series for point in rig.published} == {SettleSeries.BINANCE_SECOND_CLOSE}
    assert all(point.history and point.price_e8 == 9_812_345_000_000 for point in rig.published)


def test_later_only_what_was_added_is_asked_for_and_no_second_is_told_twice(rig):
    rig.turn()
    rig.rest.answer(200, [row(WALL_S - at) for at in (3, 2, 1)])
    rig.turns(EVERY_S + 1)
    assert f"startTime={WALL_S * 1000}&" in rig.rest.asked[0][0]
    rig.rest.answer(200, [row(WALL_S - 1), row(WALL_S), row(WALL_S + 1)])
    rig.turns(1)
    assert [point.stamp_ns // S - WALL_S for point in rig.published] == [-2, -1, 0, 1, 2]


def test_nobody_waits_behind_a_batch_once_all_coins_have_answered(rig):
    rig.turn()
    rig.rest.answer(200, [row(WALL_S - 1)])
    rig.turns(EVERY_S + 1)
    rig.rest.answer(200, [row(WALL_S + at) for at in range(40)])
    before = len(rig.published)
    assert rig.turn() == 2
    assert len(rig.published) == before + 2


def test_coins_are_asked_one_after_another(tools):
    rig = Rig(tools, (Coin.BTC, Coin.ETH))
    rig.turns(1)
    assert len(rig.rest.asked) == 1
    rig.rest.answer(200, [])
    rig.turn()
    assert "ETHUSDT" in rig.rest.asked[0][0]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (0, b""),
        (429, b"{}"),
        (200, b"[[1,2]]"),
        (200, json.dumps([row(WALL_S - 60, length_ms=60_000)]).encode()),
    ],
)
def test_no_answer_and_candles_that_are_no_seconds_are_counted_and_asked_for_again(
    rig, status, body
):
    rig.turn()
    rig.rest.answer(status, body)
    assert (rig.counts["failed"], rig.published) == (1, [])
    assert [kind for kind, _ in rig.notes] == ["second closes"]
    rig.turns(2)
    assert len(rig.rest.asked) == 1, "sooner than the usual minute"


def test_a_venue_that_never_answers_is_asked_ever_more_rarely(rig):
    asked = 0
    for _ in range(20 * 12 * EVERY_S):
        rig.turn()
        if rig.rest.asked:
            asked += 1
            rig.rest.answer(500, b"")
    assert 14 <= asked <= 17


def test_a_refused_question_is_put_again(rig):
    rig.rest.refuse = True
    assert rig.turn() == 0
    rig.rest.refuse = False
    assert rig.turn() == 1
