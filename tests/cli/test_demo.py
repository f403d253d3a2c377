"""The demo as a newcomer runs it: the whole path in real processes, a few seconds of it."""

import json

import pytest

from lowlat.shm.places import segment_names

pytestmark = pytest.mark.e2e
KEYS = {
    "messages",
    "signals",
    "decisions",
    "orders",
    "fills",
    "pairs",
    "pnl_e6",
    "latency_ns",
    "pool_hit_rate",
    "agreement",
}


def test_demo_trades_comes_to_rest_and_agrees_with_the_venue(lowlat, home, instance):
    # On a starved machine nothing may come of the first seconds: then it gets more of them.
    for seconds in ("4", "20", "60"):
        arguments = ("--seconds", seconds, "--json", "--seed", "1", "--instance", instance)
        done = lowlat("demo", *arguments)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        if result["fills"]:
            break
    assert result.keys() >= KEYS
    agreement = result["agreement"]
    assert agreement["cash"] is agreement["positions"] is True
    assert agreement["engine"] == agreement["venue"]
    assert agreement["engine"]["positions"]
    assert result["pairs"]["open"] == 0
    assert result["fills"] > 0
    assert result["messages"] > 100
    assert sum(result["decisions"].values()) > 0
    assert set(result["latency_ns"]["tick_to_sent"]) == {"p50", "p99", "p999", "max"}
    assert segment_names(instance) == []
    assert "trace" not in done.stderr
    # What it leaves on disk explains it afterwards.
    assert json.loads(lowlat("why", "--instance", instance, "--json").stdout)["count"] > 0
    last = json.loads(lowlat("trace", "last", "--instance", instance, "--json").stdout)
    assert last["stages"]
    # A second demo of that name may clear what this one left.
    assert (home / "state" / "lowlat" / instance / "this-is-a-demo").exists()
