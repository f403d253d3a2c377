"""READY: when every role works; a venue that is down delays feeds only for a while."""

import pytest

from lowlat.app import readiness
from lowlat.app.readiness import Readiness

S = 1_000_000_000


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(readiness, "monotonic_ns", lambda: 100 * S)


@pytest.fixture
def said():
    return []


def test_it_is_said_once_when_nothing_is_missing(clock, said):
    missing = ["executor"]
    engine = Readiness(lambda: missing, lambda: said.append(1))
    engine.start()
    engine.turn(100 * S)
    engine.turn(1_000 * S)
    assert said == [], "the executor is never done without"
    missing.clear()
    engine.turn(1_001 * S)
    engine.turn(1_002 * S)
    assert said == [1]


def test_a_feed_whose_venue_is_down_does_not_keep_the_rest_waiting(clock, said):
    engine = Readiness(lambda: ["binance", "prices"], lambda: said.append(1))
    engine.start()
    engine.turn(104 * S)
    assert said == []
    engine.turn(106 * S)
    assert said == [1]


def test_an_executor_beside_such_a_feed_is_still_waited_for(clock, said):
    engine = Readiness(lambda: ["binance", "executor"], lambda: said.append(1))
    engine.start()
    engine.turn(1_000 * S)
    assert said == []


def test_what_it_waits_for_is_logged_once(clock, said, caplog):
    engine = Readiness(lambda: ["executor", "user channel"], lambda: said.append(1))
    engine.start()
    engine.turn(104 * S)
    assert not caplog.messages
    engine.turn(106 * S)
    engine.turn(120 * S)
    assert caplog.messages == ["not ready yet waits_for=executor,user channel"]
