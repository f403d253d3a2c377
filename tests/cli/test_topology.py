"""`lowlat topology`: the drawing, the object, the exit codes."""

import json
import os

import pytest

from lowlat.app.flows import READERS
from lowlat.app.topology import load_topology, named_topologies
from lowlat.core.layout import STREAMS

ENDS = ("clob", "market_ws", "user_ws", "gamma", "prices_ws", "binance_ws", "binance_rest")
CONFIG = "\n".join(
    [
        'instance = "x"',
        'mode = "sim"',
        "[endpoints]",
        *(f'{end}_url = "{"ws" if "_ws" in end else "http"}://127.0.0.1:1"' for end in ENDS),
        "[account]",
        'credentials_file = "none"',
        "[modules.arbitrage]",
    ]
)


@pytest.fixture
def sixteen_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


@pytest.mark.parametrize("name", named_topologies())
def test_drawing_names_every_process_role_and_stream(lowlat, sixteen_cores, name):
    done = lowlat("topology", name)
    assert done.returncode == 0, done.stderr
    for process, place in load_topology(name).items():
        assert process in done.stdout
        assert all(f"{role}: " in done.stdout for role in place.engines)
        if place.core >= 0:
            assert f"core {place.core}: " in done.stdout
    for line in done.stdout.splitlines():
        assert len(line) <= 100
    if name != "fused":
        assert "signals ==" in done.stdout.replace("signals    ", "signals ")
        assert "and nobody else" in done.stdout or name == "spread"


def test_object_has_processes_flows_and_the_order_of_starting(lowlat, sixteen_cores):
    found = json.loads(lowlat("topology", "spread", "--json").stdout)
    assert found["processes"]["risk"] == {
        "engines": ["risk"],
        "core": 1,
        "wait": "park",
        "tick_ms": 2,
        "hang_ms": 2000,
        "stopped_ms": 250,
        "after": ["executor"],
    }
    flows = {flow["stream"]: flow for flow in found["flows"]}
    assert flows["intents"] == {
        "stream": "intents", "source": "risk", "to": ["executor"], "waits_for": ["executor"],
    }  # fmt: skip
    assert flows["reports"]["waits_for"] == ["risk", "recorder"]
    assert flows["market"]["waits_for"] == []
    assert flows.keys() == READERS.keys()
    assert found["misfit"] is None


def test_one_process_tells_only_the_recorder(lowlat, sixteen_cores):
    flows = json.loads(lowlat("topology", "--json").stdout)["flows"]
    assert {tuple(flow["to"]) for flow in flows} == {("recorder",)}


def test_machine_without_the_cores_is_exit_code_1(lowlat, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    done = lowlat("topology", "spread-eight")
    assert done.returncode == 1
    assert "not on this machine: topology.metadata.core was 7" in done.stdout


def test_topology_of_a_config_and_of_a_file(lowlat, home, sixteen_cores):
    path = home / "engine.toml"
    path.write_text(CONFIG)
    assert "engine" in lowlat("topology", "--config", str(path)).stdout
    own = home / "own.toml"
    own.write_text('[topology.all]\nengines = ["risk"]\n')
    done = lowlat("topology", str(own))
    assert done.returncode == 2
    assert "no process for recorder" in done.stderr
    assert lowlat("topology", "spread", "--config", str(path)).returncode == 2


def test_gates_of_the_layout_are_readers_here():
    gate_of = {"risk": "risk", "executor": "executor", "ledger": "recorder"}
    for name, stream in STREAMS.items():
        assert {gate_of[gate] for gate in stream.gates} <= set(READERS.get(name, ()))
