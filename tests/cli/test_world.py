"""`lowlat world`: what it prints, and its exit codes."""

import json

import pytest

from lowlat.world.rows import Violation
from lowlat.world.watch import Watch


@pytest.fixture
def world(monkeypatch, capsys):
    """Run the command in this process; give exit code, output and errors."""

    def run(*arguments):
        from lowlat.cli.main import main

        monkeypatch.setattr("sys.argv", ["lowlat", "world", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def test_what_held_is_summed_up(world):
    code, out, _ = world("--seeds", "1", "--seconds", "2", "--json")
    assert code == 0
    said = json.loads(out)
    assert said["seeds"] == 1
    assert said["steps"] > 100
    assert said["violations"] == 0
    assert said["failing"] == []


def test_failure_is_shown_with_the_command_that_shows_it_again(world, monkeypatch):
    def planted(_):
        raise Violation("planted")

    monkeypatch.setattr(Watch, "end", planted)
    code, out, err = world("--seeds", "9", "--seconds", "2", "--faults", "none")
    assert code == 1
    assert "seed 9: planted" in err
    assert "again: lowlat world --seeds 9 --seconds 2 --only none" in err
    assert "violations 1" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--faults", "plague"], "plague"),
        (["--seeds", "x"], "x"),
        (["--seeds", "3:1"], "3:1"),
        (["--seconds", "1e9"], "1e+09"),
    ],
)
def test_bad_option_is_named(world, arguments, named):
    code, _, err = world(*arguments)
    assert code == 2
    assert named in err
