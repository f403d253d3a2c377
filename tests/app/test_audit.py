"""The audit trail: every change one line, on disk, also with a torn end and several writers."""

import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.app import audit
from lowlat.app.audit import Who, append_audit, audit_line, read_audit
from lowlat.app.reload_rules import Change
from lowlat.app.state import state_dir

WHO = Who(7, 8, "cmd")


def line(number, **options):
    return audit_line(WHO, "set", "done", number, **options)


def test_what_was_noted_is_read_back_in_order(home):
    change = Change("limits.orders_per_s", 30, 7)
    append_audit("t1", line(1_700_000_000_123_456_789, changes=[change], generation=3))
    append_audit("t1", line(2, detail="second"))
    (first, second), damaged = read_audit("t1")
    assert damaged == 0
    assert first.at == "2023-11-14T22:13:20.123Z"
    assert (first.uid, first.pid, first.command, first.op) == (7, 8, "cmd", "set")
    assert first.changes == [("limits.orders_per_s", 30, 7)]
    assert first.generation == 3
    assert second.detail == "second"


def test_nothing_is_read_where_nothing_was_noted(home):
    assert read_audit("t1") == ([], 0)


@given(cut=st.integers(1, 60))
def test_a_torn_last_line_costs_itself_only(tmp_path_factory, cut):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        append_audit("t1", line(1))
        append_audit("t1", line(2))
        path = state_dir("t1") / "audit.jsonl"
        path.write_bytes(path.read_bytes()[:-cut])
        append_audit("t1", line(3))
        lines, damaged = read_audit("t1")
    # Cutting just the line's end leaves it whole.
    assert [each.wall_ns for each in lines] == ([1, 2, 3] if cut == 1 else [1, 3])
    assert damaged == (0 if cut == 1 else 1)


def test_a_full_file_is_set_aside_and_still_read(home, monkeypatch):
    monkeypatch.setattr(audit, "_BYTES_MAX", 400)
    for number in range(4):
        append_audit("t1", line(number))
    names = sorted(path.name for path in state_dir("t1").iterdir())
    assert names == ["audit.jsonl", "audit.jsonl.1"] or names == ["audit.jsonl.1"]
    append_audit("t1", line(4))
    lines, damaged = read_audit("t1")
    assert damaged == 0
    assert lines[-1].wall_ns == 4
    assert [each.wall_ns for each in lines] == sorted(each.wall_ns for each in lines)


def test_several_writers_lose_nothing(home):
    state_dir("t1")
    code = """
import sys
from lowlat.app.audit import Who, append_audit, audit_line
for number in range(20):
    append_audit("t1", audit_line(Who(1, int(sys.argv[1]), "w"), "set", "done", number))
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines, damaged = read_audit("t1")
    assert damaged == 0
    for writer in range(3):
        assert [each.wall_ns for each in lines if each.pid == writer] == list(range(20))


def test_the_peer_is_who_the_kernel_says():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        who = Who.of_peer(ours)
    assert (who.uid, who.pid) == (os.getuid(), os.getpid())
    assert "python" in who.command or "pytest" in who.command


def test_the_file_is_private_and_no_link_is_followed(home, tmp_path):
    append_audit("t1", line(1))
    path = state_dir("t1") / "audit.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"):
        append_audit("t1", line(2))
