"""Whole worlds: short ones by default, many seeds under ``stress``. Same seed, same bytes."""

import os
import subprocess
import sys

import pytest

from lowlat.store.journal import JournalEngine
from lowlat.world.faults import INSTANTS, KINDS, draw_plan
from lowlat.world.settings import WorldParams
from lowlat.world.watch import Watch
from lowlat.world.world import World

SECOND = 1_000_000_000
KINDS_OF_DISK = ("disk_full", "recorder_slow")
STORMY = WorldParams(fault_every_ns=SECOND, quiet_ns=SECOND)


def live(seed, seconds, params=None):
    with World(seed, params) as world:
        return world.run(seconds)


def story(outcome):
    return "\n".join([outcome.violation, *outcome.trace])


def test_same_seed_is_the_same_to_the_byte_and_another_is_not():
    first, again, other = (live(seed, 3.5, STORMY) for seed in (5, 5, 6))
    assert first == again
    assert first.digest != other.digest
    assert first.steps > 1_000


def test_fair_weather_trades_completes_groups_and_agrees():
    outcome = live(1, 8.0, WorldParams(kinds=()))
    assert not outcome.violation, story(outcome)
    assert outcome.groups["complete"] >= 3
    assert outcome.groups["open"] <= outcome.groups["complete"] + outcome.groups["unwound"] + 3
    assert outcome.decisions == outcome.signals > 0
    assert outcome.compared > 1


@pytest.mark.parametrize("seed", [2, 3])
def test_every_rule_holds_in_a_storm(seed):
    outcome = live(seed, 8.0, STORMY)
    assert not outcome.violation, story(outcome)
    assert outcome.faults
    assert outcome.orders


def test_every_rule_holds_while_everything_keeps_dying():
    kinds = ("crash", "crash_store", "recorder_crash", "reboot")
    dying = WorldParams(kinds=kinds, fault_every_ns=SECOND // 40, quiet_ns=SECOND)
    outcome = live(11, 8.0, dying)
    assert not outcome.violation, story(outcome)
    assert set(outcome.faults) == set(kinds)
    assert outcome.crashes >= 2
    assert outcome.orders


def test_every_rule_holds_on_a_disk_that_fills():
    full = WorldParams(kinds=KINDS_OF_DISK, fault_every_ns=SECOND // 9, quiet_ns=SECOND)
    outcome = live(5, 8.0, full)
    assert not outcome.violation, story(outcome)
    assert set(outcome.faults) == set(KINDS_OF_DISK)
    assert outcome.orders


def test_gate_that_moves_before_the_commit_is_found(monkeypatch):
    take = JournalEngine._take_reports

    def early(journal):
        journal._poll_reports()
        journal._reports.release()
        return take(journal)

    monkeypatch.setattr(JournalEngine, "_take_reports", early)
    full = WorldParams(kinds=("disk_full",), fault_every_ns=SECOND // 9, quiet_ns=SECOND)
    assert "before it was written down" in live(10, 8.0, full).violation


def test_one_base_unit_nobody_knows_of_is_found():
    with World(1, WorldParams(kinds=())) as world:
        world._agenda.at(
            2 * SECOND, lambda: world.venue.exchange.accounts.deposit(world._account, 1)
        )
        assert world.run(3.0).violation.startswith("cash: engine ")


def test_money_out_of_nothing_is_found():
    with World(1, WorldParams(kinds=())) as world:

        def make_money():
            world._account.cash_e6 += 1

        world._agenda.at(SECOND, make_money)
        assert "base units" in world.run(2.0).violation


def test_order_sent_twice_is_found(monkeypatch):
    with World(1, WorldParams(kinds=())) as world:
        sent = world.watch.sent
        monkeypatch.setattr(
            Watch,
            "sent",
            lambda _, raw, request, urgent: (
                sent(raw, request, urgent),
                sent(raw, request, urgent) if request.path == "/orders" else None,
            ),
        )
        world.node.orders._watch = world.watch.sent
        assert "was sent twice" in world.run(4.0).violation


def test_plan_keeps_its_numbers_and_times_when_faults_are_left_out():
    whole = draw_plan(3, 60 * SECOND, SECOND, KINDS, None)
    some = draw_plan(3, 60 * SECOND, SECOND, INSTANTS, None)
    one = draw_plan(3, 60 * SECOND, SECOND, KINDS, (whole[5].number,))
    assert {fault.kind for fault in draw_plan(1, 900 * SECOND, SECOND, KINDS, None)} == set(KINDS)
    assert some == [fault for fault in whole if fault.kind in INSTANTS]
    assert one == [whole[5]]


@pytest.mark.stress
def test_same_bytes_in_another_process_with_another_hash_seed():
    code = (
        "from lowlat.world.world import World\n"
        "with World(7) as world:\n"
        "    print(world.run(10.0).digest)\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(100, 140))
def test_every_rule_holds_in_many_worlds(seed):
    outcome = live(seed, 30.0)
    assert not outcome.violation, story(outcome)


def test_a_machine_that_slept_for_a_day_trades_on_and_agrees():
    """Sockets and orders are gone when it wakes; books are read anew, money is the venue's."""
    params = WorldParams(
        scenario="bonds",
        modules={"bonds": {}, "rebates": {}},
        kinds=(),
        coins=(),
        ledger_every=0,
    )
    day_ns = 86_400 * SECOND
    with World(1, params) as world:
        world.live(12 * SECOND)
        said = world.watch.counts["signals"]
        assert said
        world.sleep(day_ns)
        assert world.venue.report()["heartbeats_expired"] == 1
        world.live(day_ns + 24 * SECOND)
        assert world.watch.counts["signals"] > said
        # Drains, and compares both sides' money once nothing is under way.
        world._end()
