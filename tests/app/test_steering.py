"""One process obeys words in shared memory; the gate before each order reads the same ones."""

import pytest
from config_text import GOOD

from lowlat.app.config import EngineConfig
from lowlat.app.generations import write_generation
from lowlat.app.halts import Puller, lift_halts, lift_unproven, pull_halt
from lowlat.app.names import (
    GENERATION,
    HALT_GAUGE,
    HOLD_GAUGE,
    RESUMES,
    SUPERVISOR,
    generation_word,
)
from lowlat.app.steering import REFUSED, RESUMED, Steering, order_gate
from lowlat.core.clock import monotonic_ns
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments

MS = 1_000_000


class Obedient:
    def __init__(self):
        self.did = []
        self.refuses = False

    def apply(self, generation):
        if self.refuses:
            raise ConfigError("cannot be")
        self.did.append(("apply", generation.number))

    def halt(self, reason="SIGUSR2"):
        self.did.append(("halt", reason))

    def resume(self):
        self.did.append(("resume",))


class Rig:
    def __init__(self, instance):
        self.instance = instance
        self.segments = create_segments(
            instance, streams={}, tables={}, stats=[SUPERVISOR, "engine"]
        )
        self.supervisor = Attachment(instance, SUPERVISOR)
        self.words = self.supervisor.open_stats()
        for name in (HALT_GAUGE, HOLD_GAUGE, RESUMES, generation_word("engine")):
            self.words.gauge(name)
        self.words.gauge(RESUMES).set(1)
        self.process = Attachment(instance, "engine")
        self.stats = self.process.open_stats()
        self.control = Obedient()
        self.steering = Steering(self.process, self.stats, self.control, 0)
        self.now_ns = 0

    def turn(self):
        self.now_ns += 2 * MS
        self.steering.turn(self.now_ns)
        did, self.control.did = self.control.did, []
        return did

    def close(self):
        self.process.close()
        self.supervisor.close()
        self.segments.unlink()


@pytest.fixture
def rig(instance):
    found = Rig(instance)
    yield found
    found.close()


def write(rig, number):
    config = decode_config(GOOD.replace('"t1"', f'"{rig.instance}"'), EngineConfig)
    write_generation(rig.instance, number, config, 1)


def test_a_generation_is_taken_once_and_acknowledged(rig):
    write(rig, 1)
    assert rig.turn() == []
    rig.words.gauge(generation_word("engine")).set(1)
    assert rig.turn() == [("apply", 1)]
    assert rig.stats.gauge(GENERATION).value == 1
    assert rig.turn() == []


@pytest.mark.parametrize("missing", [False, True])
def test_what_cannot_be_taken_is_refused_once_and_the_old_stays(rig, missing):
    if not missing:
        write(rig, 1)
    rig.control.refuses = True
    rig.words.gauge(generation_word("engine")).set(1)
    assert rig.turn() == rig.turn() == []
    assert rig.stats.gauge(GENERATION).value == 0
    assert rig.stats.gauge(REFUSED).value == 1
    (error,) = rig.process.open_stats_reader("engine").snapshot().errors
    assert error.text.startswith("generation refused: ")
    assert error.count == 1


def test_halts_are_told_once_until_a_resume(rig):
    pull_halt(rig.instance, Puller.OPERATOR, "one", 1)
    assert rig.turn() == [("halt", "operator: one")]
    pull_halt(rig.instance, Puller.PANIC, "two", 1)
    assert rig.turn() == []
    lift_halts(rig.instance)
    assert rig.turn() == [], "lifting the cells is not yet a resume"
    rig.words.gauge(RESUMES).add(1)
    assert rig.turn() == [("resume",)]
    assert rig.stats.gauge(RESUMED).value == 2
    pull_halt(rig.instance, Puller.OPERATOR, "three", 1)
    assert rig.turn() == [("halt", "operator: three")]


def test_live_trading_that_is_not_proven_closes_the_gate_and_halts_nobody(rig):
    """Nothing of it is remembered, so nobody has to resume when the proof is there."""
    pull_halt(rig.instance, Puller.UNPROVEN, "not proven", 1)
    assert rig.turn() == []
    lift_halts(rig.instance)
    gate = order_gate(rig.process, [rig.stats.word("halt")])
    now_ns = monotonic_ns()
    rig.words.heartbeat.set(now_ns)
    assert gate.blocked(now_ns), "a resume does not prove anything"
    lift_unproven(rig.instance)
    assert not gate.blocked(now_ns)


def test_whoever_pulls_again_before_the_resume_is_obeyed_wins(rig):
    pull_halt(rig.instance, Puller.OPERATOR, "one", 1)
    rig.turn()
    lift_halts(rig.instance)
    rig.words.gauge(RESUMES).add(1)
    pull_halt(rig.instance, Puller.PANIC, "two", 1)
    assert rig.turn() == [("halt", "panic: two")]
    assert rig.stats.gauge(RESUMED).value == 2


def test_a_resume_of_before_the_first_life_is_not_obeyed(rig):
    rig.words.gauge(RESUMES).add(3)
    rig.stats.gauge(RESUMED).set(0)
    rig.steering = Steering(rig.process, rig.stats, rig.control, 0)
    assert rig.turn() == []
    assert rig.stats.gauge(RESUMED).value == 4


def test_a_resume_between_two_lives_is_obeyed_once_by_the_next(rig):
    pull_halt(rig.instance, Puller.OPERATOR, "one", 1)
    assert rig.turn() == [("halt", "operator: one")]
    lift_halts(rig.instance)
    rig.words.gauge(RESUMES).add(1)
    for did in ([("resume",)], []):
        rig.steering = Steering(rig.process, rig.stats, rig.control, 0)
        assert rig.turn() == did
        assert rig.stats.gauge(RESUMED).value == 2


def test_between_two_looks_nothing_is_read(rig):
    rig.turn()
    pull_halt(rig.instance, Puller.OPERATOR, "one", 1)
    rig.steering.turn(rig.now_ns + MS // 2)
    assert rig.control.did == []


def test_every_cell_and_an_old_heartbeat_close_the_gate_without_anybody_s_help(rig):
    own = rig.stats.word("halt")
    gate = order_gate(rig.process, [own])
    now_ns = monotonic_ns()
    assert gate.blocked(now_ns), "a supervisor that never beat"
    rig.words.heartbeat.set(now_ns)
    assert not gate.blocked(now_ns)
    for cell in (
        rig.stats.gauge("halt"),
        rig.words.gauge(HALT_GAUGE),
        rig.words.gauge(HOLD_GAUGE),
    ):
        cell.set(1)
        assert gate.blocked(now_ns)
        cell.set(0)
        assert not gate.blocked(now_ns)
    for puller in Puller:
        pull_halt(rig.instance, puller, "x", 1)
        assert gate.blocked(now_ns)
        (lift_unproven if puller is Puller.UNPROVEN else lift_halts)(rig.instance)
        assert not gate.blocked(now_ns)
    assert gate.blocked(now_ns + 2_000_000_001)
