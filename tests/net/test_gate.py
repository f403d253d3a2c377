"""The send gate on a socket pair: nothing leaves while a halt word is set or a heartbeat is old."""

import errno
import socket
import struct

import pytest

from lowlat.core.ports import SEND_HALTED, SEND_NONE, SEND_PARTIAL, SENT
from lowlat.net._gate import SendGate, send_now


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def words(*values):
    return bytearray(struct.pack(f"<{len(values)}q", *values))


def arrived(sock):
    try:
        return sock.recv(65536)
    except BlockingIOError:
        return b""


def test_open_gate_sends_every_byte(pair):
    halts, beats = words(0, 0), words(1_000)
    gate = SendGate([(halts, 0), (halts, 8)], [(beats, 0, 50)])
    assert gate.send(pair[0].fileno(), b"POST / HTTP/1.1\r\n\r\n", 1_050) == SENT
    assert arrived(pair[1]) == b"POST / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("which", [0, 1, 2])
def test_any_halt_word_stops_it(pair, which):
    halts = words(0, 0, 0)
    gate = SendGate([(halts, 8 * at) for at in range(3)], [])
    struct.pack_into("<q", halts, 8 * which, -1)
    assert gate.send(pair[0].fileno(), b"x", 0) == SEND_HALTED
    assert gate.blocked(0) == which + 1
    assert arrived(pair[1]) == b""
    struct.pack_into("<q", halts, 8 * which, 0)
    assert gate.send(pair[0].fileno(), b"x", 0) == SENT


@pytest.mark.parametrize(("age_ns", "result"), [(50, SENT), (51, SEND_HALTED)])
def test_heartbeat_older_than_its_limit_stops_it(pair, age_ns, result):
    beats = words(0, 10_000)
    gate = SendGate([], [(beats, 8, 50)])
    assert gate.send(pair[0].fileno(), b"x", 10_000 + age_ns) == result
    assert gate.blocked(10_000 + age_ns) == (0 if result == SENT else -1)


def test_heartbeat_never_written_stops_it(pair):
    gate = SendGate([], [(words(0), 0, 1_000)])
    assert gate.send(pair[0].fileno(), b"x", 10**12) == SEND_HALTED


def test_tls_write_is_called_only_through_the_open_gate():
    halts = words(1)
    gate = SendGate([(halts, 0)], [])
    taken = []
    assert gate.write(taken.append, b"x", 0) == SEND_HALTED
    assert taken == []
    halts[:] = words(0)
    assert gate.write(len, b"four", 0) == 4


def test_full_socket_sends_nothing_and_partly_full_is_partial(pair):
    left, right = pair
    left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    big = bytes(1 << 20)
    assert send_now(left.fileno(), big) == SEND_PARTIAL
    gate = SendGate([], [])
    while left.fileno() >= 0 and send_now(left.fileno(), b"x" * 512) != SEND_NONE:
        pass
    assert gate.send(left.fileno(), b"x", 0) == SEND_NONE
    assert gate.error == errno.EAGAIN
    del right


def test_gone_peer_is_none_without_a_signal(pair):
    left, right = pair
    right.close()
    gate = SendGate([], [])
    assert gate.send(left.fileno(), b"x", 0) == SEND_NONE
    assert gate.error == errno.EPIPE


@pytest.mark.parametrize(
    ("halts", "watch", "message"),
    [
        ([(bytearray(8), 1)], [], "does not lie"),
        ([(bytearray(16), -8)], [], "does not lie"),
        ([(bytearray(64), 4)], [], "aligned"),
        ([], [(bytearray(8), 0, 0)], "above 0"),
        ([(bytearray(8), 0)] * 33, [], "at most 32"),
    ],
)
def test_bad_words_are_refused_at_construction(halts, watch, message):
    with pytest.raises(ValueError, match=message):
        SendGate(halts, watch)


def test_gate_pins_its_memory():
    memory = words(0)
    gate = SendGate([(memory, 0)], [])
    with pytest.raises(BufferError):
        memory.extend(b"x" * 4096)
    del gate
    memory.extend(b"x")
