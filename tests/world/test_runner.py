"""Many seeds: in parallel the same as alone, failures small and named, once failed always run."""

import weakref
from pathlib import Path

import pytest

from lowlat.core.errors import ConfigError
from lowlat.core.units import E6
from lowlat.world import runner
from lowlat.world.rows import Violation
from lowlat.world.runner import (
    Totals,
    live,
    read_failed_seeds,
    read_params,
    read_seeds,
    run_seeds,
)
from lowlat.world.settings import WorldParams
from lowlat.world.watch import Watch
from lowlat.world.world import World

FAILED = read_failed_seeds((Path(__file__).parent / "failed_seeds.txt").read_text().splitlines())
DEFAULT_BUDGET_S = 40.0
"""Virtual seconds of once failed seeds in the default suite; the rest run under ``stress``."""


def within_budget():
    spent_s, found = 0.0, []
    for failed in FAILED:
        spent_s += failed.seconds
        late = [] if spent_s <= DEFAULT_BUDGET_S else [pytest.mark.stress]
        if failed.what.startswith("open:"):
            late = [pytest.mark.stress, pytest.mark.xfail(reason=failed.what)]
        found.append(pytest.param(failed, id=f"{failed.seed}", marks=late))
    return found


@pytest.mark.parametrize("failed", within_budget())
def test_seed_that_once_failed_holds(failed):
    outcome = live(failed.seed, failed.seconds, failed.params, shrinks=False).outcome
    assert not outcome.violation, "\n".join([failed.what, outcome.violation, *outcome.trace])


@pytest.mark.stress
def test_parallel_is_the_same_to_the_byte():
    alone = {seed: live(seed, 3.0, WorldParams(), shrinks=False).outcome for seed in (1, 2, 3)}
    together = run_seeds((1, 2, 3), 3.0, WorldParams(), jobs=2, shrinks=False)
    assert {lived.outcome.seed: lived.outcome for lived in together} == alone


def test_world_that_was_lived_through_is_let_go_of(monkeypatch):
    made = []

    class Noted(World):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(weakref.ref(self))

    monkeypatch.setattr(runner, "World", Noted)
    assert not live(1, 1.0, WorldParams(), shrinks=False).outcome.violation
    assert [world() for world in made] == [None]


def test_failure_is_made_small_and_says_how_to_see_it_again(monkeypatch):
    def planted(_):
        raise Violation("planted at 7")

    monkeypatch.setattr(Watch, "end", planted)
    stormy = WorldParams(fault_every_ns=250_000_000, quiet_ns=1_000_000_000)
    totals = Totals(stormy)
    for lived in run_seeds((5,), 3.0, stormy, jobs=1, shrinks=True):
        assert lived.outcome.plan
        totals.add(lived)
    assert totals.counts["violations"] == totals.counts["seeds"] == 1
    (finding,) = totals.findings
    assert finding.violation == "planted at 7"
    assert finding.plan == []
    assert finding.command == "lowlat world --seeds 5 --seconds 3 --only none --no-shrink"


def test_seeds_are_read():
    assert read_seeds("3") == range(3, 4)
    assert read_seeds("3:7") == range(3, 8)
    assert len(read_seeds("new:5")) == 5
    assert read_seeds("new:5") != read_seeds("new:5")
    assert read_seeds("today:5")[0] >= 20_260_101 * 10_000


@pytest.mark.parametrize(
    "text", ["", "x", "3:1", "new", "new:x", "new:0", "today:", "-4:-2", "1:2:3"]
)
def test_seeds_that_are_none_are_named(text):
    with pytest.raises(ConfigError, match="--seeds was"):
        read_seeds(text)


def test_faults_are_read():
    assert read_params("none", "").kinds == ()
    assert read_params("crash,reboot", "").kinds == ("crash", "reboot")
    assert read_params("all", "").only is None
    assert read_params("all", "none").only == ()
    assert read_params("all", "3,9").only == (3, 9)
    assert read_params("all", "").bankroll_e6 == WorldParams().bankroll_e6
    assert read_params("all", "", 1_500).bankroll_e6 == 1_500_000_000


@pytest.mark.parametrize(("faults", "only", "named"), [("plague", "", "plague"), ("all", "x", "x")])
def test_faults_that_are_none_are_named(faults, only, named):
    with pytest.raises(ConfigError, match=named):
        read_params(faults, only)


def test_failed_seeds_are_read():
    lines = ["# a word", "", "7 60 all a fill", "8 2.5 1,4 two words", "9@1500 1 none fair"]
    assert [each[:3] for each in read_failed_seeds(lines)] == [
        (7, 60.0, None),
        (8, 2.5, (1, 4)),
        (9, 1.0, ()),
    ]
    assert [each.params.bankroll_e6 // E6 for each in read_failed_seeds(lines)] == [
        5_000,
        5_000,
        1_500,
    ]
    with pytest.raises(ConfigError, match="line 1"):
        read_failed_seeds(["7 60"])
