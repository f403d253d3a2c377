"""HotSender on socket pairs: one connection a request, and what each result does to it."""

import socket
import struct

import pytest

from lowlat.core.ports import SEND_HALTED, SEND_NONE, SEND_PARTIAL, SENT
from lowlat.net._gate import HotConnection, HotSender, SendGate


@pytest.fixture
def ends():
    pairs = [socket.socketpair() for _ in range(2)]
    for left, right in pairs:
        left.setblocking(False)
        right.setblocking(False)
    yield pairs
    for left, right in pairs:
        left.close()
        right.close()


def sender(pairs, gate=None, write_tls=None):
    """Return a sender with an idle connection a pair, and the list of what it retired."""
    made, retired = HotSender(), []
    made.bind(gate, write_tls, retired.append)
    for left, _ in pairs:
        connection = HotConnection(None, None)
        connection.fd = left.fileno()
        connection.state = HotConnection.IDLE
        made._idle.append(connection)
    return made, retired


def test_each_request_takes_an_idle_connection_of_its_own(ends):
    made, _ = sender(ends)
    assert made.idle() == 2
    assert [made.send(text, key, urgent=True) for key, text in ((7, b"a"), (8, b"b"))] == [SENT] * 2
    assert made.send(b"c", 9, urgent=True) == SEND_NONE
    assert sorted(each.key for each in made._busy.values()) == [7, 8]
    assert sorted(right.recv(10) for _, right in ends) == [b"a", b"b"]
    assert {each.state for each in made._busy.values()} == {HotConnection.BUSY}


def test_halt_stops_urgent_requests_only_and_keeps_the_connection(ends):
    word = bytearray(struct.pack("<q", 1))
    made, retired = sender(ends, SendGate([(word, 0)], []))
    assert made.send(b"a", 1, urgent=True) == SEND_HALTED
    assert (made.idle(), retired, dict(made._busy)) == (2, [], {})
    assert made.send(b"a", 1, urgent=False) == SENT
    word[:] = bytes(8)
    assert made.send(b"a", 2, urgent=True) == SENT


def test_dead_connections_are_retired_until_one_takes_the_request(ends):
    made, retired = sender(ends)
    ends[1][1].close()
    assert made.send(b"a", 1, urgent=True) == SENT
    assert len(retired) == 1
    assert ends[0][1].recv(10) == b"a"


def test_partial_write_is_lost_and_its_connection_never_used_again(ends):
    made, retired = sender(ends[:1])
    ends[0][0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    assert made.send(bytes(1 << 20), 5, urgent=True) == SEND_PARTIAL
    assert (list(made._lost), len(retired), made.idle()) == ([5], 1, 0)


def test_tls_write_gets_the_gate_of_urgent_requests_only(ends):
    asked, gate = [], SendGate([], [])
    made, _ = sender(ends, gate, lambda *call: asked.append(call) or SENT)
    made.send(b"a", 1, urgent=True)
    made.send(b"b", 2, urgent=False)
    assert [(request, used) for _, request, used, _ in asked] == [(b"a", gate), (b"b", None)]
