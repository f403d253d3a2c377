"""SIGKILL, SIGSTOP and reboots of a trading engine: it trades on, nothing is sent twice.

The venue's own list of orders is held against the engine's rows: an order of the venue that we do
not know, a leg that was bought twice, a row that cannot be read or a base unit of difference fails.
"""

import os
import random
import select
import signal
import statistics
import sys
from collections import defaultdict

import msgspec
import pytest
from kill_table import decides_again, is_free
from rig import Rig, Run

from lowlat.app.seat import HaltCode
from lowlat.app.state import living_children
from lowlat.app.topology import FUSED, fit_cores, load_topology
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import IntentFlag, OrderState, OrderType
from lowlat.shm.locks import start_ticks
from lowlat.shm.places import segment_file, segment_names

pytestmark = [pytest.mark.e2e, pytest.mark.kill]


def assert_nothing_was_sent_twice(rig, *, rebooted=False):
    """Compare every order the venue ever took with our rows.

    What left in the last milliseconds before a reboot is in no journal: of that nothing may have
    been filled, else it was adopted, and nothing may rest, else it was canceled at the start.
    """
    theirs = {each["id"]: each for each in rig.door.control("orders", wallet=rig.account.wallet)}
    ours = rig.orders()
    unknown = [row for key, row in theirs.items() if key not in ours]
    filled = [row for row in unknown if row["remaining_e6"] != row["size_e6"]]
    assert not filled, "the venue filled orders of ours that we do not know"
    assert rebooted or not unknown, "the venue has orders of ours that we do not know"
    for order_id, row in ours.items():
        assert row.state not in (OrderState.SENDING, OrderState.UNKNOWN), row
        if row.state == OrderState.MATCHED:
            assert order_id in theirs, f"matched here, unknown to the venue: {row}"
    bought = defaultdict(int)
    wanted = {}
    for row in ours.values():
        if not row.order_flags & IntentFlag.UNWIND and row.group:
            leg = (row.group, row.leg, row.decided_ns)
            bought[leg] += row.filled_e6
            if row.order_type == OrderType.FOK:
                assert wanted.setdefault(leg, row.order_id) == row.order_id, (
                    f"leg {leg} was sent twice"
                )
    # Ids are given anew after a reboot, moments are not.
    ids = [(row.id, row.decided_ns) for row in ours.values()]
    assert len(ids) == len(set(ids))
    return theirs


def assert_agrees(rig):
    found = rig.drain()
    assert found.holds, found.differences()
    assert rig.door.call("GET", "/sim/state")["audit"] == "ok"


def trades_again(rig, seconds=60):
    """Wait for an order that was not there before."""
    before = rig.reading().counter("executor.orders")
    rig.turn_until(
        lambda: rig.reading().counter("executor.orders") > before, seconds, "a new order"
    )


def show(capsys, what, took_s):
    """Print how long it took: what it may take is the kill table's, on a machine of its own."""
    p50_s, max_s = statistics.median(took_s), max(took_s)
    with capsys.disabled():
        sys.stdout.write(f"\n  {what}: {len(took_s)} x, p50 {p50_s:.2f} s, max {max_s:.2f} s\n")


def chaos(instance, home, seed, kills, capsys):
    draw = random.Random(seed)
    took_s = []
    with Rig(instance, home, seed=seed) as rig:
        trades_again(rig)
        for _ in range(kills):
            rig.run(draw.uniform(0.0, 0.8))
            took_s.append(rig.await_ready("engine", rig.kill("engine")))
            # This is the test's own doing, no crash loop.
            rig.supervisor.forgive("engine")
        trades_again(rig)
        rig.run(0.5)
        assert_agrees(rig)
        theirs = assert_nothing_was_sent_twice(rig)
        assert len(theirs) > kills
        assert not rig.picture().lost
        assert not rig.counters().get("executor.foreign", 0)
    show(capsys, "kill to READY", took_s)


def test_engine_killed_at_random_moments_trades_on_and_agrees(instance, home, capsys):
    chaos(instance, home, 7, 3, capsys)


@pytest.mark.stress
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_engine_killed_many_times_trades_on_and_agrees(instance, home, seed, capsys):
    chaos(instance, home, seed, 12, capsys)


def segment_inodes(instance):
    return {os.stat(segment_file(instance, name)).st_ino for name in segment_names(instance)}


def reboots(instance, home, seed, count, capsys):
    draw = random.Random(seed)
    took_s = []
    with Rig(instance, home, seed=seed) as rig:
        for _ in range(count):
            trades_again(rig)
            rig.run(draw.uniform(0.0, 0.5))
            rig.turn_until(rig.owners, 60, "a share that somebody owns")
            began_ns = monotonic_ns()
            inodes = segment_inodes(instance)
            rig.supervisor.reboot(rig.observer.forget_memory)
            assert not inodes & segment_inodes(instance), "every segment was made anew"
            took_s.append(rig.await_ready("engine", began_ns))
        trades_again(rig)
        assert_agrees(rig)
        assert_nothing_was_sent_twice(rig, rebooted=True)
        assert rig.owners()
        if not rig.counters().get("executor.foreign", 0):
            # Else a fill came back whose order left in the last moment: whose, nobody knows.
            assert not [each for each in rig.owners() if not each[0]], rig.owners()
    show(capsys, "reboot to READY", took_s)


def test_reboot_without_any_segment_recovers_from_journal_and_venue(instance, home, capsys):
    reboots(instance, home, 11, 1, capsys)


@pytest.mark.stress
@pytest.mark.parametrize("seed", [1, 2])
def test_many_reboots_recover_from_journal_and_venue(instance, home, seed, capsys):
    reboots(instance, home, seed, 5, capsys)


@pytest.mark.stress
@pytest.mark.parametrize("memory", ["kept", "gone"])
@pytest.mark.parametrize("name", ["fused", "spread"])
def test_every_process_killed_at_once_while_pairs_are_traded(instance, home, name, memory, capsys):
    """All at once, and with every segment deleted: sets are traded again, finished or flat."""
    topology = fit_cores(load_topology(name))
    names, draw, took_s = list(topology), random.Random(6), []
    with Rig(instance, home, seed=6, topology=topology) as rig:
        for _ in range(5):
            trades_again(rig)
            legs = lambda: any(row.group for row in rig.orders().values())  # noqa: E731
            rig.turn_until(legs, 60, "a leg of a set")
            rig.run(draw.uniform(0.0, 0.5))
            began_ns = monotonic_ns()
            if memory == "gone":
                rig.supervisor.reboot(rig.observer.forget_memory)
            else:
                for each in names:
                    # This is the test's own doing, no crash loop.
                    rig.supervisor.forgive(each)
                rig.supervisor.kill(names)
            took_s.append(max(rig.await_ready(each, began_ns) for each in names))
            assert rig.supervisor.halt == HaltCode.NONE, "new orders are taken"
        trades_again(rig)
        assert_agrees(rig)
        assert_nothing_was_sent_twice(rig, rebooted=memory == "gone")
    show(capsys, f"{name}, segments {memory}: all killed to all READY", took_s)


def test_killed_recorder_and_stopped_engine_cost_nothing(instance, home):
    """SIGKILL of the recorder: reports wait behind its gate, the journal goes on where it was.

    SIGSTOP of the engine for three seconds: its books grow old, frames queue up; after SIGCONT
    nothing is sent on the strength of what was true before.
    """
    patient = {
        name: msgspec.structs.replace(place, stopped_ms=60_000) for name, place in FUSED.items()
    }
    with Rig(instance, home, seed=5, topology=patient) as rig:
        trades_again(rig)
        rig.await_ready("recorder", rig.kill("recorder"))
        decides_again(rig)
        os.kill(rig.pid("engine"), signal.SIGSTOP)
        rig.run(0.05)
        before = set(rig.orders())
        venue_before = len(rig.door.control("orders", wallet=rig.account.wallet))
        rig.run(3.0)
        assert set(rig.orders()) == before
        assert len(rig.door.control("orders", wallet=rig.account.wallet)) <= venue_before + 5
        # Taken first: it may decide before this process runs again.
        woken_ns = monotonic_ns()
        os.kill(rig.pid("engine"), signal.SIGCONT)
        decides_again(rig)
        for key, row in rig.orders().items():
            if key not in before and not row.order_flags & IntentFlag.UNWIND:
                # Decided after it woke, or in the turn that was interrupted.
                assert row.decided_ns > woken_ns or row.group in {
                    each.group for name, each in rig.orders().items() if name in before
                }, row
        assert rig.supervisor.status()[2].restarts == 0
        assert_agrees(rig)
        assert_nothing_was_sent_twice(rig)


@pytest.mark.stress
@pytest.mark.parametrize("name", ["fused", "spread"])
def test_dead_supervisor_stops_new_orders_and_the_next_one_adopts(instance, home, name):
    run = Run(instance, home, fit_cores(load_topology(name)))
    try:
        run.start()
        run.wait_for(lambda: run.orders() > 3, 60, "orders")
        children = {each.name: each.pid for each in living_children(instance)}
        run.kill()
        dead_ns = monotonic_ns()
        # Its heartbeat may be 2 s old; one order may be on its way through the venue's delay.
        last_ns, count = dead_ns, run.orders()
        while monotonic_ns() < dead_ns + 5_000_000_000:
            select.poll().poll(50)
            if run.orders() > count:
                last_ns, count = monotonic_ns(), run.orders()
        assert last_ns < dead_ns + 2_700_000_000, (last_ns - dead_ns) / 1e9
        assert all(start_ticks(pid) for pid in children.values()), "children go on"
        run.start()
        run.wait_for(lambda: is_free(instance), 30, "everybody READY and no halt")
        assert {each.name: each.pid for each in living_children(instance)} == children
        run.process.send_signal(signal.SIGTERM)
        _, words = run.process.communicate(timeout=40)
        assert run.process.returncode == 0, words
        assert segment_names(instance) == []
    finally:
        run.close()
