"""`status`: one object for scripts, words for people, an exit code for both."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from instance_kit import Instance

from lowlat.app.locked_capital import RoundMeters
from lowlat.app.machine import Metrics
from lowlat.app.settlement import Round
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import Rule
from lowlat.core.units import E6


@pytest.fixture
def made(instance):
    with Instance(instance) as found:
        found.fill()
        yield found


def read(lowlat, made):
    done = lowlat("status", "-i", made.name, "--json", "--over", "0")
    return done.returncode, json.loads(done.stdout)


def test_everything_in_one_object(lowlat, made):
    code, found = read(lowlat, made)
    assert code == 0
    assert found["well"] is True
    assert found["problems"] == []
    assert found["badge"] == "SIMULATED"
    engine = found["processes"]["engine"]
    assert (engine["pid"], engine["state"], engine["wait"]) == (os.getpid(), "ready", "parked")
    assert engine["rss"] > 1_000_000
    assert found["feeds"]["polymarket"]["up"] == 1
    assert found["decisions"] == {"approved": 1, "cut": 1, "market_limit": 1}
    assert found["orders"]["sent"] == 2
    assert found["orders"]["open"] == 1
    assert found["groups"]["open"] == 1
    assert found["money"]["cash_e6"] == 5_000 * E6
    assert found["money"]["pnl_e6"] == -1_500_000
    assert found["money"]["at_risk_limit_e6"] == 1_000 * E6
    assert found["latency_ns"]["tick_to_sent"]["count"] == 5
    assert found["errors"] == {"engine": {"gap: seq 5 after 3": 1}}


def test_rates_are_null_without_time_to_take_them_over(lowlat, made):
    _, found = read(lowlat, made)
    assert found["feeds"]["polymarket"]["frames_per_s"] is None
    assert found["processes"]["engine"]["cpu"] is None


def test_a_halt_is_not_well(lowlat, made):
    made.stats["engine"].gauge("halt").set(int(Rule.DRAWDOWN))
    code, found = read(lowlat, made)
    assert code == 1
    assert found["problems"] == ["new orders halted by engine: drawdown"]


def test_a_dead_process_is_not_well(lowlat, made):
    made.attachments[1]._owned["stats.recorder"][0].close()
    code, found = read(lowlat, made)
    assert code == 1
    assert found["problems"] == ["recorder: gone"]
    assert found["processes"]["recorder"]["pid"] is None


def test_a_hung_process_is_not_well(lowlat, made):
    made.stats["engine"].heartbeat.set(1)
    done = lowlat("status", "-i", made.name, "--over", "0")
    assert done.returncode == 1
    assert "NOT WELL" in done.stdout
    assert "engine: heartbeat" in done.stdout


def test_locked_capital_is_shown_once_it_is_known_and_a_stopped_settlement_is_not_well(
    lowlat, instance
):
    with Instance(instance, processes=("engine", "settlement")) as made:
        made.fill()
        code, found = read(lowlat, made)
        assert (code, found["locked"]) == (0, None), "unknown is never zero"
        meters = RoundMeters(Metrics(made.stats["settlement"]), made.stats["settlement"].errors)
        done = Round(planned=True)
        done.plan.capital.held_cost_e6, done.plan.capital.mergeable_e6 = 30 * E6, 12 * E6
        meters.show(1, done, "", monotonic_ns())
        code, found = read(lowlat, made)
        assert code == 0
        locked = found["locked"]
        assert (locked["held_cost_e6"], locked["mergeable_e6"]) == (30 * E6, 12 * E6)
        assert (locked["redeemable_e6"], locked["stopped"]) == (0, False)
        meters.show(2, done, "cash moved by 4, expected 5", monotonic_ns())
        done = lowlat("status", "-i", made.name, "--over", "0")
        assert done.returncode == 1
        assert "nothing is moved until a person" in done.stdout
        assert "$12.00 complete sets" in done.stdout


def test_words_for_people_fit_a_terminal(lowlat, made):
    done = lowlat("status", "-i", made.name, "--over", "1.1")
    assert done.returncode == 0, done.stdout
    assert "$5,000.00 cash" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_an_instance_that_does_not_exist_fails_and_names_those_that_do(lowlat, made):
    done = lowlat("status", "-i", "nobody")
    assert done.returncode == 1
    assert made.name in done.stderr
