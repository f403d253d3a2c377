"""Rollouts against processes that acknowledge, refuse, die and hang, in every order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.app.reload_rules import Course
from lowlat.app.rollout import Acks, Phase, Rollout, waves_of

FUSED = {"recorder": ("recorder",), "engine": ("polymarket", "signals", "risk", "executor")}
SPREAD = {
    "recorder": ("recorder",),
    "polymarket": ("polymarket",),
    "signals": ("signals",),
    "risk": ("risk",),
    "executor": ("executor",),
}
S = 1_000_000_000


class Processes:
    """Obeys at once unless told otherwise; notes what happened."""

    def __init__(self, names, start=1):
        self.words = dict.fromkeys(names, start)
        self.own = dict.fromkeys(names, start)
        self.refusing = set()
        self.hanging = set()
        self.dead = set()
        self.refused = dict.fromkeys(names, 0)
        self.held = False
        self.said = []

    def tell(self, process, generation):
        self.words[process] = generation
        self.said.append((process, generation))

    def hold(self, on):
        self.held = on
        self.said.append(("hold", on))

    def acks(self, process):
        return None if process in self.dead else Acks(self.own[process], self.refused[process])

    def live(self):
        for process, word in self.words.items():
            if process in self.hanging or process in self.dead or word == self.own[process]:
                continue
            if process in self.refusing and word != 1:
                self.refused[process] = word
            else:
                self.own[process] = word


def rollout(field, roles, course, why=None):
    why = [] if why is None else why
    return Rollout(
        field,
        waves_of(roles, course),
        1,
        2,
        holds=course is Course.MIXED,
        now_ns=0,
        on_failed=why.append,
    )


@pytest.mark.parametrize(
    ("course", "order"),
    [
        (Course.TIGHTENING, [["executor"], ["risk"], ["recorder", "polymarket", "signals"]]),
        (Course.MIXED, [["executor"], ["risk"], ["recorder", "polymarket", "signals"]]),
        (Course.LOOSENING, [["recorder", "polymarket", "signals"], ["executor"], ["risk"]]),
        (Course.NEUTRAL, [list(SPREAD)]),
    ],
)
def test_who_looks_last_changes_first_when_tightening(course, order):
    assert waves_of(SPREAD, course) == order


def test_one_process_with_every_role_is_one_wave_of_its_own():
    assert waves_of(FUSED, Course.TIGHTENING) == [["engine"], ["recorder"]]
    assert waves_of(FUSED, Course.LOOSENING) == [["recorder"], ["engine"]]


@pytest.mark.parametrize("course", list(Course))
def test_a_wave_is_told_only_when_the_one_before_has_acknowledged(course):
    field = Processes(SPREAD)
    job = rollout(field, SPREAD, course)
    for wave in waves_of(SPREAD, course):
        assert [each for each, _ in field.said if each != "hold"][-len(wave) :] == wave
        for process in wave:
            assert not job.over
            field.own[process] = 2
            job.turn(1)
    assert job.phase is Phase.DONE
    assert not field.held
    assert ("hold", True) in field.said if course is Course.MIXED else field.held is False


def test_new_orders_wait_while_some_limits_rise_and_others_fall():
    field = Processes(SPREAD)
    job = rollout(field, SPREAD, Course.MIXED)
    while not job.over:
        assert field.held
        field.live()
        job.turn(1)
    assert not field.held


@pytest.mark.parametrize("refuser", list(SPREAD))
@pytest.mark.parametrize("course", list(Course))
def test_one_refusal_sends_everybody_back(refuser, course):
    field, why = Processes(SPREAD), []
    field.refusing = {refuser}
    job = rollout(field, SPREAD, course, why)
    while not job.over:
        field.live()
        job.turn(1)
    assert job.phase is Phase.FAILED
    assert set(field.own.values()) == {1}
    assert why == [f"{refuser} refused generation 2: see its errors"]
    assert not field.held


def test_a_process_that_does_not_answer_is_named_and_orders_wait_until_it_is_back():
    field, why = Processes(SPREAD), []
    field.hanging = {"signals"}
    job = rollout(field, SPREAD, Course.TIGHTENING, why)
    for _ in range(5):
        field.live()
        job.turn(S)
    assert not job.over
    job.turn(20 * S)
    assert why == ["signals did not take generation 2 in time"]
    assert field.words["signals"] == 1
    field.live()
    job.turn(21 * S)
    assert job.over, "it never left the old one, so all are on it"
    assert set(field.own.values()) == {1}


def test_a_dead_process_is_not_waited_for_and_finds_its_word_when_it_comes_back():
    field = Processes(SPREAD)
    field.dead = {"risk"}
    job = rollout(field, SPREAD, Course.TIGHTENING)
    while not job.over:
        field.live()
        job.turn(1)
    assert job.phase is Phase.DONE
    assert field.words["risk"] == 2


@given(
    st.lists(st.tuples(st.sampled_from(list(SPREAD)), st.sampled_from("rhdwl")), max_size=40),
    st.sampled_from(list(Course)),
)
def test_whatever_happens_nobody_is_left_between_two_generations(events, course):
    field, why = Processes(SPREAD), []
    job = rollout(field, SPREAD, course, why)
    now_ns = 0
    for process, event in events:
        now_ns += S // 2
        if event == "r":
            field.refusing.add(process)
        elif event == "h":
            field.hanging ^= {process}
        elif event == "d":
            field.dead.add(process)
        elif event == "w" and process in field.dead:
            field.dead.discard(process)
            field.own[process] = field.words[process]
        else:
            field.live()
        job.turn(now_ns)
    field.hanging.clear()
    for process in list(field.dead):
        field.dead.discard(process)
        field.own[process] = field.words[process]
    for _ in range(20):
        now_ns += S
        field.live()
        job.turn(now_ns)
    assert job.over
    assert set(field.own.values()) == {2 if job.phase is Phase.DONE else 1}
    assert set(field.words.values()) == set(field.own.values())
    assert not field.held
    assert len(why) == (job.phase is Phase.FAILED)
