"""Configs in force and in line, over fake words and a fake checker: what a death leaves, what
cannot be written, who waits."""

import msgspec
import pytest
from config_text import GOOD

from lowlat.app import reload
from lowlat.app.audit import Who
from lowlat.app.config import EngineConfig
from lowlat.app.generations import newest_number, read_generation, write_generation
from lowlat.app.reload import Configs, Wanted
from lowlat.app.rollout import Acks
from lowlat.core.config import change_value, decode_config

ROLES = {"signals": ("signals",), "risk": ("risk",), "executor": ("executor",)}
S = 1_000_000_000


class Words:
    """Obeys when ``live`` is called."""

    def __init__(self, **told):
        self.words = dict.fromkeys(ROLES, 0) | told
        self.own = dict(self.words)
        self.held = None

    def told(self, process):
        return self.words[process]

    def tell(self, process, generation):
        self.words[process] = generation

    def hold(self, on):
        self.held = on

    def acks(self, process):
        return Acks(self.own[process], 0)

    def live(self):
        self.own = dict(self.words)


class Check:
    def __init__(self):
        self.verdict = ""
        self.asked = None

    def ask(self, raw, now_ns):
        self.asked = raw

    def poll(self, now_ns):
        if self.asked is None or self.verdict is None:
            return None
        self.asked = None
        return self.verdict

    def descriptors(self):
        return []

    def close(self):
        pass


class Rig:
    def __init__(self, home, **told):
        self.path = home / "engine.toml"
        self.path.write_text(GOOD)
        self.words, self.check, self.noted = Words(**told), Check(), []
        self.configs = Configs(
            "t1",
            str(self.path),
            ROLES,
            self.words,
            self.check,
            lambda wanted, outcome: self.noted.append((wanted.op, outcome.code)),
        )
        self.outcomes = []
        self.now_ns = 0

    def want(self, key="limits.orders_burst", value="44"):
        who = Who(1, 2, "x")
        self.configs.want(Wanted("set", who, self.outcomes.append, key, value))

    def turn(self, times=12, seconds=0.1):
        for _ in range(times):
            self.now_ns += int(seconds * S)
            self.configs.turn(self.now_ns)
            self.words.live()


def stored(number, burst):
    raw = msgspec.to_builtins(decode_config(GOOD, EngineConfig))
    config = msgspec.convert(
        change_value(raw, "limits.orders_burst", str(burst)), EngineConfig, strict=True
    )
    write_generation("t1", number, config, 1)


@pytest.fixture
def rig(home):
    found = Rig(home)
    found.configs.begin(0, adopts=False)
    found.words.live()
    return found


def test_words_left_by_a_dead_instance_mean_nothing_when_nobody_lives(home):
    rig = Rig(home, signals=7, risk=7, executor=7)
    rig.configs.begin(0, adopts=False)
    assert rig.configs.in_force.number == 1
    assert set(rig.words.words.values()) == {1}
    assert rig.words.held is False


def test_a_new_supervisor_goes_on_with_the_generation_of_those_it_adopts(home):
    stored(4, 40)
    rig = Rig(home, signals=4, risk=4, executor=4)
    rig.words.held = True
    rig.configs.begin(0, adopts=True)
    assert rig.configs.in_force.config.limits.orders_burst == 40, "not what the file says"
    assert rig.words.held is False


def test_what_a_supervisor_left_half_done_is_finished_while_orders_wait(home):
    stored(4, 40)
    stored(5, 30)
    rig = Rig(home, signals=4, risk=5, executor=5)
    rig.configs.begin(0, adopts=True)
    assert rig.words.held is True
    assert rig.configs.busy
    rig.want()
    rig.turn()
    assert set(rig.words.own.values()) == {6}
    assert rig.words.held is False
    assert read_generation("t1", 5).config.limits.orders_burst == 30
    assert [each.generation for each in rig.outcomes] == [6]


def test_what_cannot_be_finished_goes_back_to_the_older_one(home):
    stored(4, 40)
    stored(5, 30)
    rig = Rig(home, signals=4, risk=5, executor=5)
    rig.configs.begin(0, adopts=True)
    # Signals never answers: after its time everybody is sent back, and it need not move.
    rig.configs.turn(20 * S)
    assert set(rig.words.words.values()) == {4}
    rig.words.live()
    rig.configs.turn(21 * S)
    assert rig.configs.in_force.number == 4
    assert rig.words.held is False


def test_a_refused_check_changes_nothing(rig):
    rig.check.verdict = "signal module x is no module"
    rig.want()
    rig.turn()
    (outcome,) = rig.outcomes
    assert (outcome.code, outcome.text) == ("config", "signal module x is no module")
    assert newest_number("t1") == 1
    assert rig.noted == [("set", "config")]


def test_a_disk_that_is_full_changes_nothing(rig, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reload, "write_generation", full)
    rig.want()
    rig.turn()
    (outcome,) = rig.outcomes
    assert outcome.code == "config"
    assert "No space left on device" in outcome.text
    assert set(rig.words.own.values()) == {1}


def test_a_file_that_is_gone_is_an_answer(rig):
    rig.path.unlink()
    rig.want(key="", value="")
    rig.turn()
    assert rig.outcomes[0].code == "config"
    assert "engine.toml" in rig.outcomes[0].text


def test_a_line_that_is_too_long_is_refused_at_its_end(rig):
    rig.check.verdict = None
    for _ in range(66):
        rig.want()
        rig.configs.turn(1)
    assert [each.code for each in rig.outcomes] == ["failed"]
    assert "wait in line already" in rig.outcomes[0].text


def test_before_anything_is_in_force_nothing_can_be_changed(home):
    rig = Rig(home)
    rig.want()
    assert rig.outcomes[0].code == "failed"


def test_memory_that_is_new_is_told_again(rig):
    rig.want()
    rig.turn()
    rig.words.words = dict.fromkeys(ROLES, 0)
    rig.configs.tell_all()
    assert set(rig.words.words.values()) == {2}
