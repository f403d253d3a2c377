"""Halt cells and heartbeats of other processes, through shared memory."""

import pytest

from lowlat.app.elsewhere import Elsewhere, HaltWatch
from lowlat.app.names import HALT_GAUGE, SUPERVISOR
from lowlat.app.topology import FUSED, load_topology
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError
from lowlat.core.layout import STREAMS, Rule
from lowlat.net._gate import SendGate
from lowlat.shm import _core
from lowlat.shm.attachment import Attachment
from lowlat.shm.memory import open_segment
from lowlat.shm.segments import create_segments
from lowlat.shm.stats import StatsReader

SPREAD = load_topology("spread")


@pytest.fixture
def attach(instance):
    made = create_segments(
        instance,
        streams={"turns": STREAMS["turns"]},
        tables={},
        stats=[SUPERVISOR, *SPREAD, "engine"],
    )
    opened = []

    def attach(name):
        opened.append(Attachment(instance, name))
        return opened[-1]

    attach(SUPERVISOR).open_stats().gauge(HALT_GAUGE)
    yield attach
    for attachment in opened:
        attachment.close()
    made.unlink()


def process(attach, name, topology=SPREAD):
    attachment = attach(name)
    stats = attachment.open_stats()
    elsewhere = Elsewhere(attachment, topology)
    elsewhere.own(stats)
    return stats, elsewhere


def test_cell_of_a_process_that_never_ran_is_known_and_clear(attach):
    _, executor = process(attach, "executor")
    assert len(executor.halts) == len(SPREAD) - 2, "all but the recorder and itself"
    assert executor.gate.blocked(0) == 0
    risk, _ = process(attach, "risk")
    risk.gauge(HALT_GAUGE).set(int(Rule.DRAWDOWN))
    assert executor.gate.blocked(0)
    assert executor.pulled() == int(Rule.DRAWDOWN)


def test_cell_outlives_the_life_that_set_it(attach):
    risk = attach("risk")
    stats = risk.open_stats()
    Elsewhere(risk, SPREAD).own(stats)
    stats.gauge(HALT_GAUGE).set(int(Rule.HALTED))
    risk.close()
    _, executor = process(attach, "executor")
    assert executor.pulled() == int(Rule.HALTED)
    again, elsewhere = process(attach, "risk")
    assert again.gauge(HALT_GAUGE).value == int(Rule.HALTED)
    assert elsewhere.gate.blocked(0) == 0, "our own cell is not elsewhere"


def test_supervisor_halts_risk_but_is_no_halt_to_keep(attach, instance):
    _, risk = process(attach, "risk")
    assert (risk.gate.blocked(0), risk.pulled()) == (0, 0)
    # As the supervisor does, through the segment that it owns.
    segment = open_segment(instance, f"stats.{SUPERVISOR}", writable=True)
    _core.store_release(*StatsReader(segment).word(HALT_GAUGE), 2)
    assert risk.gate.blocked(0)
    assert risk.pulled() == 0


def test_stats_of_another_build_are_refused_not_misread(attach):
    attachment = attach("risk")
    stats = attachment.open_stats()
    stats.counter("something else")
    with pytest.raises(LayoutError, match="lowlat clean"):
        Elsewhere(attachment, SPREAD).own(stats)


def test_gate_closes_when_books_or_checks_stand_still(attach):
    _, executor = process(attach, "executor")
    beating = {name: process(attach, name)[0].heartbeat for name in ("polymarket", "risk")}
    gate = SendGate([], executor.heartbeats)
    now_ns = monotonic_ns()
    assert gate.blocked(now_ns), "nobody beat yet"
    for beat in beating.values():
        beat.set(now_ns)
    assert gate.blocked(now_ns) == 0
    for name, still in beating.items():
        for beat in beating.values():
            beat.set(now_ns + 10 * 10**9)
        still.set(now_ns)
        assert gate.blocked(now_ns + 2 * 10**9), f"{name} stands still"


def test_who_runs_everything_has_nobody_elsewhere(attach):
    _, engine = process(attach, "engine", FUSED)
    assert engine.halts == []
    assert engine.heartbeats == []
    assert engine.gate.blocked(0) == 0


class Gauge:
    value = 0

    def set(self, value):
        self.value = value


class Executor:
    halted = ""

    def __init__(self):
        self.reasons = []

    def halt(self, reason, now_ns):
        assert now_ns
        self.reasons.append(reason)


def test_halt_pulled_elsewhere_is_said_once_and_not_again_after_a_resume(attach):
    risk, _ = process(attach, "risk")
    _, elsewhere = process(attach, "executor")
    executor = Executor()
    watch = HaltWatch(elsewhere, executor, Gauge(), Gauge())
    cell = risk.gauge(HALT_GAUGE)
    watch.turn(1)
    cell.set(int(Rule.DRAWDOWN))
    watch.turn(2)
    watch.turn(3)
    assert executor.reasons == ["drawdown"]
    # The executor was resumed; risk clears its cell a moment later.
    watch.turn(4)
    cell.set(0)
    watch.turn(5)
    assert executor.reasons == ["drawdown"]
    cell.set(12345)
    watch.turn(6)
    assert executor.reasons == ["drawdown", "halt code 12345"]


def test_a_halt_by_the_venue_s_answer_is_seen_by_everybody_but_a_drain_is_no_halt(attach):
    _, elsewhere = process(attach, "executor")
    executor, own, draining = Executor(), Gauge(), Gauge()
    watch = HaltWatch(elsewhere, executor, own, draining)
    draining.value = 1
    executor.halted = "drain"
    watch.turn(1)
    assert own.value == 0
    draining.value = 0
    executor.halted = "venue refused: BANNED"
    watch.turn(2)
    assert own.value == int(Rule.HALTED)
    executor.halted, own.value = "", 0
    watch.turn(3)
    assert own.value == 0, "a person resumed"
