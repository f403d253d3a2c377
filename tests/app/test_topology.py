"""Topologies: what is refused, what is shipped, who starts behind whom."""

import random
import re
import tomllib

import msgspec
import pytest
from config_text import GOOD

from lowlat.app.children import children_of, stop_order
from lowlat.app.config import load_config
from lowlat.app.topology import (
    ENGINE_ROLES,
    FUSED,
    RECORDER,
    ProcessConfig,
    check_cores,
    check_topology,
    fit_cores,
    load_topology,
    named_topologies,
    process_of,
    start_after,
    stats_shape_of,
    topology_toml,
)
from lowlat.core import layout
from lowlat.core.errors import ConfigError
from lowlat.shm.layouts import StatsShape, stats_header
from lowlat.wiring.process import ROLES

SPREAD = load_topology("spread")


def changed(topology, name, **changes):
    return topology | {name: msgspec.structs.replace(topology[name], **changes)}


def without(topology, name):
    return {each: place for each, place in topology.items() if each != name}


BAD = {
    "nobody runs risk": (without(SPREAD, "risk"), ["no process for risk"]),
    "two run risk": (
        changed(SPREAD, "signals", engines=("signals", "risk")),
        ["topology.signals.engines", "risk", "risk runs already"],
    ),
    "a process of nothing": (changed(SPREAD, "risk", engines=()), ["topology.risk.engines"]),
    "recorder in company": (
        changed(without(SPREAD, RECORDER), "risk", engines=("risk", "recorder")),
        ["topology.risk.engines", "lives alone"],
    ),
    "recorder of another name": (
        without(SPREAD, RECORDER) | {"disk": ProcessConfig(("recorder",))},
        ["topology.disk", "recorder"],
    ),
    "recorder spinning": (
        changed(SPREAD, RECORDER, wait="yield"),
        ["topology.recorder.wait", "'yield'", "'park'"],
    ),
    "spin on a shared core": (
        changed(SPREAD, "risk", wait="spin"),
        ["topology.risk.wait", "'spin'", "core 1", "executor, signals"],
    ),
    "spin anywhere": (
        changed(SPREAD, "risk", wait="spin", core=-1),
        ["topology.risk.wait", "core = -1"],
    ),
    "spin beside one that may come": (
        changed(changed(SPREAD, "risk", wait="spin", core=5), "signals", core=-1),
        ["topology.risk.wait", "signals", "-1"],
    ),
    "a name that is taken": (
        without(SPREAD, "risk") | {"supervisor": SPREAD["risk"]},
        ["topology.supervisor", "another process"],
    ),
    "a name that is none": (
        without(SPREAD, "risk") | {"Risk!": SPREAD["risk"]},
        ["topology.Risk!", "a-z"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_run_is_refused_in_one_line(what):
    topology, words = BAD[what]
    with pytest.raises(ConfigError) as caught:
        check_topology(topology)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_every_shipped_topology_is_whole_and_the_default_is_fused():
    assert named_topologies() == ["fused", "spread", "spread-eight"]
    for name in named_topologies():
        found = load_topology(name)
        assert {role for place in found.values() for role in place.engines} == {RECORDER, *ROLES}
    assert load_topology("fused") == FUSED
    assert set(ENGINE_ROLES) == set(ROLES)


def test_two_cores_park_and_eight_cores_spin():
    assert {place.wait for place in SPREAD.values()} == {"park"}
    assert {place.core for place in SPREAD.values()} == {0, 1}
    assert all(len(place.engines) == 1 for place in SPREAD.values())
    eight = load_topology("spread-eight")
    hot = [place for place in eight.values() if place.wait == "spin"]
    assert len(hot) >= 5
    assert len({place.core for place in hot}) == len(hot)
    assert max(place.core for place in eight.values()) < 8


def test_written_topology_reads_back_the_same(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(topology_toml(SPREAD))
    assert load_topology(str(path)) == SPREAD
    assert tomllib.loads(topology_toml(SPREAD))["topology"].keys() == SPREAD.keys()


def test_config_takes_a_topology_and_is_fused_without_one(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text(GOOD)
    assert load_config(str(path)).topology == FUSED
    path.write_text(GOOD + topology_toml(SPREAD))
    assert load_config(str(path)).topology == SPREAD


@pytest.mark.parametrize("name", ["spraed", "/none/such.toml"])
def test_unknown_topology_names_those_there_are(name):
    with pytest.raises(ConfigError, match=r"fused, spread, spread-eight"):
        load_topology(name)


def test_file_with_an_unknown_key_is_refused_with_the_nearest(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[topology.risk]\nengines = ["risk"]\nwaits = "park"\n')
    with pytest.raises(ConfigError, match=r"did you mean wait\?"):
        load_topology(str(path))


def test_cores_that_the_machine_does_not_give_are_named():
    check_cores(SPREAD, {0, 1})
    with pytest.raises(ConfigError, match=re.escape("topology.executor.core was 1")):
        check_cores(SPREAD, {0})


def test_fitting_counts_the_cores_there_are():
    fitted = fit_cores(SPREAD, {4, 7})
    assert {SPREAD[name].core: place.core for name, place in fitted.items()} == {0: 4, 1: 7}
    assert fit_cores(FUSED, {4}) == FUSED
    with pytest.raises(ConfigError, match="needs 2 cores, this machine gives 1"):
        fit_cores(SPREAD, {4})


def test_processes_start_behind_those_whose_state_they_read():
    assert start_after(SPREAD, "metadata") == ()
    assert start_after(SPREAD, "polymarket") == ("metadata",)
    assert start_after(SPREAD, "executor") == ("recorder", "metadata")
    assert start_after(SPREAD, "risk") == ("executor",)
    assert set(start_after(SPREAD, "signals")) == {"risk", "polymarket", "binance", "prices"}
    assert start_after(FUSED, "engine") == ("recorder",)
    # Nobody waits for himself, and the order has no circle.
    order = []
    left = dict(SPREAD)
    while left:
        free = [name for name in left if set(start_after(SPREAD, name)) <= set(order)]
        assert free, left
        order += free
        left = {name: place for name, place in left.items() if name not in free}


def grouped(**groups):
    return {
        RECORDER: ProcessConfig((RECORDER,)),
        **{name: ProcessConfig(roles) for name, roles in groups.items()},
    }


def drawn(count):
    """Draw ways to give the roles to processes; leave out the few that cannot end in order."""
    draw = random.Random(7)
    while count:
        groups = {}
        for role in ROLES:
            groups.setdefault(f"p{draw.randrange(4)}", []).append(role)
        found = grouped(**{name: tuple(roles) for name, roles in groups.items()})
        try:
            check_topology(found)
        except ConfigError as error:
            if "at the end signals go before risk" not in str(error):
                raise
            continue
        count -= 1
        yield found


def test_roles_that_share_processes_criss_cross_never_wait_in_a_circle():
    """Every way to give the roles to processes has an order in which all of them start."""
    for topology in drawn(300):
        started = set()
        while len(started) < len(topology):
            free = {each for each in topology if set(start_after(topology, each)) <= started}
            assert free - started, topology
            started |= free


def test_roles_that_share_processes_end_in_order():
    for topology in drawn(300):
        ahead, executor, rest = stop_order(topology)
        ends = [*ahead, executor, *rest]
        assert sorted(ends) == sorted(topology)
        at = {role: ends.index(process_of(topology, role)) for role in (*ROLES, RECORDER)}
        assert at["signals"] <= at["risk"]
        assert at["executor"] <= min(at["polymarket"], at["metadata"], at["risk"])
        assert at[RECORDER] == len(ends) - 1


def test_children_halt_orders_when_books_checks_or_account_are_gone():
    specs = {spec.name: spec for spec in children_of("x.toml", SPREAD, after=["sim"])}
    assert [name for name, spec in specs.items() if spec.trades] == [
        "polymarket",
        "executor",
        "risk",
    ]
    assert all("sim" in spec.after for spec in specs.values())
    assert specs["risk"].argv[-4:] == ("--config", "x.toml", "--process", "risk")
    assert "lowlat.app.recorder" in specs["recorder"].argv


def test_executor_drains_first_and_the_recorder_ends_last():
    for topology in (SPREAD, FUSED):
        ahead, executor, rest = stop_order(topology)
        assert executor == process_of(topology, "executor")
        assert not ahead
        assert rest[-1] == RECORDER
        assert sorted([executor, *rest]) == sorted(topology)


def test_signals_end_before_who_decides_them_in_whatever_order_somebody_lists_them():
    for seed in range(20):
        names = list(SPREAD)
        random.Random(seed).shuffle(names)
        rest = stop_order({name: SPREAD[name] for name in names}).rest
        assert rest.index("signals") < rest.index("risk")
        assert rest[-1] == RECORDER


def test_signals_end_first_where_risk_ends_with_the_executor():
    topology = grouped(
        eyes=("signals", "binance", "prices"),
        books=("metadata", "polymarket"),
        hand=("risk", "executor"),
    )
    check_topology(topology)
    assert stop_order(topology) == (["eyes"], "hand", ["books", RECORDER])


def test_books_cannot_end_with_signals_where_risk_ends_with_the_executor():
    feeds = ("metadata", "binance", "prices", "polymarket")
    topology = grouped(feeds=(*feeds, "signals"), hand=("risk", "executor"))
    with pytest.raises(ConfigError, match="has signals beside metadata, polymarket"):
        check_topology(topology)
    check_topology(grouped(feeds=(*feeds, "signals"), risk=("risk",), hand=("executor",)))
    check_topology(grouped(feeds=feeds, path=("signals", "risk", "executor")))


def test_whole_spread_instance_fits_in_64_mib():
    streams = sum(each.slots * each.slot_bytes for each in layout.STREAMS.values())
    tables = sum(each.rows * (64 + 4 * each.record.size_bytes) for each in layout.TABLES.values())
    shapes = [stats_shape_of(place.engines) for place in SPREAD.values()]
    shapes.append(StatsShape(counters=256, histograms=2, errors=16))
    headers = [stats_header("t", "x", shape) for shape in shapes]
    stats = sum(each.segment_bytes for each in headers)
    assert streams + tables + stats < 63.75 * 2**20
