"""Frames on their way out: encoded once, in order, one write a turn, no memory without a bound."""

import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lowlat.sim import ws_server
from lowlat.sim.timers import Timers
from lowlat.sim.ws_server import FeedListener, Outbox

START = [sys.executable, "-m", "lowlat.sim", "--json", "--tape", "none", "--coins", "[]"]


class Lower:
    """A transport whose client reads nothing."""

    def __init__(self):
        self.writes = []
        self.aborted = False

    def write(self, data):
        assert not self.aborted
        self.writes.append(data)

    def get_write_buffer_size(self):
        return sum(map(len, self.writes))

    def abort(self):
        self.aborted = True


@pytest.fixture
def turn():
    """Callbacks of this turn of the loop; call it to end the turn."""
    soon = []

    def end():
        while soon:
            soon.pop(0)()

    end.call_soon = soon.append
    return end


@pytest.fixture
def outbox(turn):
    return Outbox(turn.call_soon)


def connected(outbox):
    """Return the session, the transport, what was closed with, and the feed's losses."""
    sessions, lost, closed = [], [], []
    feed = SimpleNamespace(connect=sessions.append, disconnect=lost.append)
    lower = Lower()
    transport = SimpleNamespace(
        underlying_transport=lower,
        send_ping=None,
        send_close=lambda code, reason: closed.append((code, reason, len(lower.writes))),
        disconnect=lambda: None,
    )
    listener = FeedListener(feed, lambda: 1, outbox)
    listener.on_ws_connected(transport)
    return SimpleNamespace(
        session=sessions[0], lower=lower, closed=closed, lost=lost, end=listener.on_ws_disconnected
    )


def test_a_turns_frames_leave_together_and_in_order(outbox, turn):
    one, other = connected(outbox), connected(outbox)
    for frame in (b"a" * 125, b"b" * 126, b"c" * 70_000):
        one.session.send(frame)
        other.session.send(frame)
    other.session.send_binary(b"d")
    assert not one.lower.writes
    turn()
    wire = (
        b"\x81\x7d" + b"a" * 125
        + b"\x81\x7e\x00\x7e" + b"b" * 126
        + b"\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x70" + b"c" * 70_000
    )  # fmt: skip
    assert one.lower.writes == [wire]
    assert other.lower.writes == [wire + b"\x82\x01d"]
    one.session.send(b"e")
    turn()
    assert one.lower.writes[1:] == [b"\x81\x01e"]


def test_what_was_sent_before_a_close_leaves_before_it(outbox, turn):
    end = connected(outbox)
    end.session.send(b"last")
    end.session.close(1001, "going away")
    end.session.send(b"never")
    turn()
    assert end.lower.writes == [b"\x81\x04last"]
    assert end.closed == [(1001, b"going away", 1)]


def test_nothing_is_written_to_a_socket_that_is_gone(outbox, turn):
    end = connected(outbox)
    end.session.send(b"lost")
    end.end(None)
    end.session.send(b"too late")
    turn()
    assert not end.lower.writes
    assert end.lost == [end.session]


def test_a_client_that_does_not_read_is_dropped_at_the_bound(outbox, turn, monkeypatch):
    monkeypatch.setattr(ws_server, "BACKLOG_MAX_BYTES", 10)
    end = connected(outbox)
    end.session.send(b"12345678")
    turn()
    assert not end.lower.aborted
    end.session.send(b"9")
    turn()
    assert end.lower.aborted
    assert outbox.dropped == 1
    end.session.send(b"more")
    turn()
    assert len(end.lower.writes) == 2


def test_a_bounded_run_keeps_the_rest_due_in_order():
    timers, ran = Timers(), []
    for due_ns in (3, 1, 2):
        timers.at(due_ns, ran.append)
    assert timers.run(10, 2) == 2
    assert ran == [1, 2]
    assert timers.next_due_ns() == 3
    assert timers.run(10) == 1
    assert ran == [1, 2, 3]


@pytest.mark.stress
def test_a_venue_with_more_to_do_than_time_still_ends_when_told():
    """200 000 events a second are many times what one core does."""
    flow = json.dumps({"events_per_s": 200_000, "edges": []})
    with subprocess.Popen([*START, "--flow", flow], stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["ready"]
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert json.loads(out)["audit"] == "ok"
    assert process.returncode == 0


def test_a_reader_who_has_enough_leaves_no_traceback():
    """``lowlat sim | head -1``"""
    command = [*START, "--seconds", "0.2", "--flow", '{"events_per_s": 0, "edges": []}']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        code = process.wait(timeout=30)
    assert (errors, code) == (b"", 0)
