"""Other topologies in real processes: they trade, agree, and survive the loss of any of them.

That spread trades and agrees at all is held by the demo, see tests/cli/test_demo.py.
"""

import os
import random
import sys

import msgspec
import pytest
from kill_table import (
    FAULTS,
    as_text,
    assert_every_signal_has_one_decision,
    assert_nothing_lost,
    decides_again,
    run_table,
)
from rig import Rig

from lowlat.app.postmortem import read_bundles
from lowlat.app.topology import (
    RECORDER,
    ProcessConfig,
    check_topology,
    fit_cores,
    load_topology,
)

pytestmark = pytest.mark.e2e


@pytest.fixture
def spread():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("spread needs two cores")
    return fit_cores(load_topology("spread"))


GROUPS = {
    "feeds together, deciders together": {
        "feeds": ("metadata", "binance", "prices", "polymarket"),
        "deciders": ("signals", "risk"),
        "executor": ("executor",),
    },
    "a path without its executor": {
        "others": ("metadata", "binance", "prices"),
        "path": ("polymarket", "signals", "risk"),
        "executor": ("executor",),
    },
    "an executor that decides": {
        "feeds": ("metadata", "polymarket"),
        "eyes": ("binance", "prices", "signals"),
        "hand": ("risk", "executor"),
    },
}


@pytest.mark.stress
@pytest.mark.parametrize("what", GROUPS)
def test_any_grouping_of_roles_trades_and_agrees(instance, home, what):
    groups = {name: ProcessConfig(roles) for name, roles in GROUPS[what].items()}
    topology = {RECORDER: ProcessConfig((RECORDER,), tick_ms=3), **groups}
    check_topology(topology)
    with Rig(instance, home, seed=6, topology=topology) as rig:
        decides_again(rig)
        rig.turn_until(lambda: rig.reading().counter("executor.orders") > 3, 60, "orders")
        found = rig.drain()
        assert_every_signal_has_one_decision(rig)
        assert_nothing_lost(rig)
    assert found.holds, found.differences()


def squeezed(topology, cores):
    """Return the topology on fewer cores: who would spin there gives way, and nobody is hurried."""
    return {
        name: msgspec.structs.replace(
            place,
            core=cores[place.core % len(cores)],
            wait="yield" if place.wait == "spin" else place.wait,
            hang_ms=60_000,
        )
        for name, place in topology.items()
    }


@pytest.mark.stress
def test_eight_cores_topology_starts_trades_and_stops_wherever_it_is(instance, home):
    """Its processes and busy loops; spinning itself wants the seven cores."""
    topology = squeezed(load_topology("spread-eight"), sorted(os.sched_getaffinity(0)))
    check_topology(topology)
    with Rig(instance, home, seed=6, topology=topology) as rig:
        rig.turn_until(lambda: rig.reading().counter("executor.orders") > 0, 60, "an order")
        found = rig.drain(60)
    assert found.holds, found.differences()


@pytest.mark.stress
def test_deciders_that_spin_on_a_core_of_their_own_trade_and_agree(spread, instance, home):
    outside, inside = sorted(os.sched_getaffinity(0))[:2]
    others = ("metadata", "binance", "prices", "polymarket", "executor")
    topology = {
        RECORDER: ProcessConfig((RECORDER,), core=outside, tick_ms=3),
        "others": ProcessConfig(others, core=outside, hang_ms=60_000),
        "deciders": ProcessConfig(("signals", "risk"), core=inside, wait="spin", hang_ms=60_000),
    }
    check_topology(topology)
    with Rig(instance, home, seed=6, topology=topology) as rig:
        rig.turn_until(lambda: rig.reading().counter("executor.orders") > 0, 60, "an order")
        found = rig.drain(60)
    assert found.holds, found.differences()


@pytest.mark.kill
@pytest.mark.stress
def test_every_process_killed_and_stopped_comes_back_and_both_sides_agree(
    spread, instance, home, capsys
):
    with Rig(instance, home, seed=3, topology=spread) as rig:
        table = {}
        run_table(rig, 1, random.Random(3), lambda _: None, table)
        agreement = rig.drain()
        assert_every_signal_has_one_decision(rig)
        assert_nothing_lost(rig)
    assert agreement.holds, agreement.differences()
    assert len(read_bundles(instance)) == len(spread) * len(FAULTS)
    with capsys.disabled():
        sys.stdout.write("\n" + as_text(table) + "\n")
