"""The demo as a user runs it: a process that prints one JSON object, every key the issue names."""

import json
import subprocess
import sys
import time

import pytest
from rig import Rig

from lowlat.app.agreement import compare
from lowlat.shm.places import segment_names

pytestmark = pytest.mark.e2e

KEYS = {
    "messages": int,
    "signals": dict,
    "modules": dict,
    "decisions": dict,
    "orders": int,
    "fills": int,
    "pairs": dict,
    "pnl_e6": int,
    "latency_ns": dict,
    "pool_hit_rate": float,
    "agreement": dict,
}
WINDOW_S = 300
STAGES = ("tick_to_sent", "intent_to_sent", "sent_to_acked", "sent_to_filled")


def demo(instance, seed, seconds=10, *more):
    code = "from lowlat.cli.main import main; main()"
    command = [
        sys.executable, "-c", code, "demo", "--seconds", str(seconds), "--json",
        "--seed", str(seed), "--instance", instance, *more,
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300 + seconds, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert done.stdout.count("\n") == 1, "one object, one line"
    return json.loads(done.stdout)


def assert_whole(found):
    for key, kind in KEYS.items():
        assert isinstance(found[key], kind), (key, found[key])
    for stage in STAGES:
        assert set(found["latency_ns"][stage]) == {"p50", "p99", "p999", "max"}
        values = found["latency_ns"][stage]
        assert 0 < values["p50"] <= values["p99"] <= values["p999"] <= values["max"]
    assert found["pairs"]["completed"] >= 3
    assert found["pairs"]["unwound"] >= 1
    assert found["pairs"]["open"] == 0
    agreement = found["agreement"]
    assert agreement["positions"] is True
    assert agreement["cash"] is True
    assert agreement["engine"] == agreement["venue"]
    assert agreement["engine"]["cash_e6"] > 0
    assert len(agreement["engine"]["positions"]) > 3
    assert found["messages"] > 1000
    assert found["orders"] >= found["fills"] / 3
    assert sum(found["decisions"].values()) == sum(found["signals"].values())
    assert found["problems"] == []


@pytest.mark.stress
def test_demo_is_replayed_to_the_byte_by_another_process(instance):
    found = demo(instance, 6, 3)
    code = "from lowlat.cli.main import main; main()"
    command = [sys.executable, "-c", code, "replay", "-i", instance, "--json", "--verify"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    verdict = json.loads(done.stdout)
    assert verdict["equal"]
    assert verdict["same_twice"]
    assert verdict["finished"]
    assert verdict["gap"] == ""
    assert verdict["decisions"] == sum(found["decisions"].values()) > 0


@pytest.mark.stress
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_demo_prints_every_key_completes_unwinds_and_agrees(instance, seed):
    assert_whole(demo(instance, seed))
    assert segment_names(instance) == []


@pytest.mark.stress
def test_every_module_has_signals_decisions_and_trades(instance):
    # The start price of a window is told for a minute: one must begin while the demo looks.
    left_s = WINDOW_S - int(time.time()) % WINDOW_S
    found = demo(instance, 1, left_s + 60, "--all")
    assert set(found["modules"]) == {"arbitrage", "bonds", "latency", "rebates"}
    for name, counts in found["modules"].items():
        assert all(counts[key] for key in ("signals", "approved", "fills")), (name, counts)
        assert {"realized_e6", "open_e6"} <= counts.keys(), (name, counts)
    assert found["agreement"]["positions"] is True
    assert found["agreement"]["cash"] is True
    assert found["pairs"]["open"] == 0
    assert found["problems"] == []


@pytest.mark.stress
@pytest.mark.kill
@pytest.mark.parametrize("more", [("--chaos-kill", "6"), ("--chaos-reboot",)])
def test_demo_under_chaos_agrees(instance, more):
    found = demo(instance, 3, 20, *more)
    assert found["kills"] >= 1
    assert found["pairs"]["open"] == 0
    assert found["agreement"]["positions"] is True
    assert found["agreement"]["cash"] is True
    assert max(found["recovery_ms"]) < 8000


@pytest.mark.stress
def test_one_planted_base_unit_turns_the_agreement_false(instance, home):
    """The difference is planted at the venue, after the engine is at rest; nobody tells it.

    The same without an engine that trades: tests/app/test_agreement.py.
    """
    with Rig(instance, home, seed=2) as rig:
        rig.turn_until(lambda: rig.picture().pairs.completed >= 1, 60, "a completed pair")
        found = rig.drain()
        assert found.holds
        rig.door.control("skew", wallet=rig.account.wallet, cash_e6=1)
        differing = compare(instance, rig.door, rig.account.wallet)
        assert not differing.cash
        assert differing.positions
        assert not differing.holds
        assert differing.venue.cash_e6 == differing.engine.cash_e6 + 1
        assert differing.differences() == [
            f"cash: engine {differing.engine.cash_e6}, venue {differing.venue.cash_e6}"
        ]
