"""Write an order through TLS, where that stands for the system call."""

import errno
import ssl

from lowlat.core.ports import SEND_HALTED, SEND_NONE, SEND_PARTIAL, SENT
from lowlat.net._gate import HotConnection, SendGate

__all__ = ["send_tls"]


def send_tls(
    connection: HotConnection,
    request: bytes | bytearray | memoryview,
    gate: SendGate | None,
    now_ns: int,
) -> int:
    """Write through TLS. A refused write may have left part of a record: never none."""
    sock = connection.sock
    assert sock is not None, "an idle connection has a socket"
    sent = 0
    try:
        sent = sock.send(request) if gate is None else gate.write(sock.send, request, now_ns)
        if sent == SEND_HALTED:
            return SEND_HALTED
        while sent < len(request):
            sent += sock.send(memoryview(request)[sent:])
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return SEND_PARTIAL
    except OSError as error:
        gone = error.errno in (errno.EPIPE, errno.ECONNRESET) and sent == 0
        return SEND_NONE if gone else SEND_PARTIAL
    return SENT
