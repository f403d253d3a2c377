"""Halt cells on disk: pulled by anybody, read by mapping, lifted on purpose, never lost."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from lowlat.app.halts import (
    HALTS_FILE,
    HaltCells,
    Puller,
    lift_halts,
    lift_unproven,
    pull_halt,
    read_halts,
)
from lowlat.app.state import state_dir
from lowlat.core.errors import SegmentError
from lowlat.net._gate import SendGate


@pytest.fixture
def name(home):
    return "halts"


def test_a_mapping_sees_at_once_what_anybody_pulls_and_lifts(name):
    cells = HaltCells(name)
    gate = SendGate(cells.words, [])
    assert not gate.blocked(1)
    pull_halt(name, Puller.PANIC, "smoke", 42)
    assert gate.blocked(1) == Puller.PANIC + 1
    (halt,) = cells.pulled()
    assert (halt.puller, halt.reason, halt.wall_ns, halt.uid, halt.pid) == (
        Puller.PANIC,
        "smoke",
        42,
        os.getuid(),
        os.getpid(),
    )
    assert [each.puller for each in lift_halts(name)] == [Puller.PANIC]
    assert not gate.blocked(1)
    assert lift_halts(name) == []


def test_every_puller_has_a_cell_of_its_own_and_any_of_them_halts(name):
    gate = SendGate(HaltCells(name).words, [])
    for puller in Puller:
        pull_halt(name, puller, f"by {puller.name}", 1)
        assert gate.blocked(1)
        if puller is Puller.UNPROVEN:
            assert lift_halts(name) == [], (
                "a person opens no gate that live trading must prove open"
            )
            assert gate.blocked(1)
            lift_unproven(name)
        else:
            assert [halt.puller for halt in lift_halts(name)] == [puller]
    for puller in Puller:
        pull_halt(name, puller, f"by {puller.name}", 1)
    assert [str(each) for each in read_halts(name)] == [
        f"{puller.name.lower()}: by {puller.name}" for puller in Puller
    ]


def test_the_first_reason_stays_until_it_is_lifted(name):
    pull_halt(name, Puller.OPERATOR, "first", 1)
    pull_halt(name, Puller.OPERATOR, "second", 2)
    assert read_halts(name)[0].reason == "first"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", "no reason given"),
        ("two\nlines\tand \x00 blanks", "two lines and blanks"),
        ("é" * 200, "é" * 116),
    ],
)
def test_a_reason_is_one_line_that_fits(name, given, kept):
    pull_halt(name, Puller.OPERATOR, given, 1)
    assert read_halts(name)[0].reason == kept


def test_nothing_is_made_by_looking(name):
    assert read_halts(name) == []
    assert not (state_dir(name, make=False) / HALTS_FILE).exists()


@pytest.mark.parametrize("content", [b"", b"x" * 4096, b"lowlat halts 1\0\0"])
def test_a_damaged_file_is_refused_by_name(name, content):
    path = state_dir(name) / HALTS_FILE
    path.write_bytes(content)
    for use in (HaltCells, lift_halts, lambda n: pull_halt(n, Puller.PANIC, "x", 1)):
        with pytest.raises(SegmentError, match="is damaged"):
            use(name)


def test_a_link_is_not_followed(name, tmp_path):
    (state_dir(name) / HALTS_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SegmentError, match="halt file"):
        HaltCells(name)


def test_a_replaced_file_is_noticed(name):
    cells = HaltCells(name)
    assert not cells.replaced
    (state_dir(name) / HALTS_FILE).unlink()
    assert cells.replaced
    pull_halt(name, Puller.OPERATOR, "x", 1)
    assert cells.replaced
    assert not HaltCells(name).replaced


@pytest.mark.kill
def test_a_halt_outlives_the_process_that_pulled_it(name):
    code = f"""
import os, signal
from lowlat.app.halts import Puller, pull_halt
pull_halt({name!r}, Puller.OPERATOR, "before I go", 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_halts(name)[0].reason == "before I go"


def test_two_that_make_the_file_at_once_share_one(name):
    """Both find none: the second keeps the first's, so that its halt reaches the same mapping."""
    state_dir(name)
    code = f"""
import sys
from lowlat.app.halts import HaltCells
cells = HaltCells({name!r})
print(cells.path.stat().st_ino)
"""
    makers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(3)
    ]
    inodes = {maker.communicate()[0] for maker in makers}
    assert len(inodes) == 1
    assert all(maker.returncode == 0 for maker in makers)
    assert [path.name for path in state_dir(name).iterdir()] == [HALTS_FILE]
