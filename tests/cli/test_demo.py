"""The demo as a newcomer runs it: the whole path in real processes, a few seconds of it.

In topology spread where there are two cores: what one process does is held by the tests of
tests/e2e, and by the demo that is replayed to the byte.
"""

import json
import os

import pytest

from lowlat.app.topology import fit_cores, load_topology
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
    topology = "spread" if len(os.sched_getaffinity(0)) > 1 else "fused"
    # On a starved machine nothing may come of the first seconds: then it gets more of them.
    for seconds in ("4", "20", "60"):
        settings = ("--topology", topology, "--seconds", seconds, "--seed", "1")
        done = lowlat("demo", *settings, "--json", "--instance", instance)
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
    places = fit_cores(load_topology(topology))
    assert result["processes"].keys() == places.keys()
    for name, row in result["processes"].items():
        assert row.keys() == {"core", "wait", "restarts", "rss"}
        assert row["restarts"] == 0
        assert row["rss"] > 1 << 20
        if places[name].core >= 0:
            assert row["core"] == str(places[name].core)
    assert segment_names(instance) == []
    assert "trace" not in done.stderr
    # What it leaves on disk explains it afterwards.
    assert json.loads(lowlat("why", "--instance", instance, "--json").stdout)["count"] > 0
    last = json.loads(lowlat("trace", "last", "--instance", instance, "--json").stdout)
    assert last["stages"]
    # A second demo of that name may clear what this one left.
    assert (home / "state" / "lowlat" / instance / "this-is-a-demo").exists()
