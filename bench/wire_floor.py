"""The floor of tick-to-wire as a process: ``python -m bench.wire_floor PORTS TLS MARKER``."""

import base64
import ctypes
import os
import socket
import sys

from bench.cores import pin
from bench.harness import native

REQUEST_BYTES = 1250


def main(feed_port: int, order_port: int, tls: bool, marker: bytes) -> None:
    """Connect, shake hands, say so, answer every marked frame until the feed closes."""
    pin(1)
    wire = native("wire", "dl")
    wire.wire_open.restype = ctypes.c_void_p
    sockets, conns = [], []
    for port in (feed_port, order_port):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn = wire.wire_open(sock.fileno(), int(tls), None, None)
        assert conn, "TLS handshake failed"
        sockets.append(sock)
        conns.append(ctypes.c_void_p(conn))
    key = base64.b64encode(os.urandom(16))
    hello = (
        b"GET /ws/market HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + key
        + b"\r\n\r\n"
    )
    assert wire.wire_send(conns[0], hello, len(hello)) == len(hello)
    buffer = ctypes.create_string_buffer(1 << 16)
    while wire.wire_recv(conns[0], buffer, len(buffer)) == 0:
        pass
    assert b" 101 " in buffer.value, buffer.value[:100]
    head = b"POST /order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
    # The generator tells orders apart by their token, which the floor copies from the frame.
    body = b'{"tokenId":"'.ljust(REQUEST_BYTES - len(head % 1000), b"x")
    request = ctypes.create_string_buffer(head % len(body) + body, REQUEST_BYTES)
    for sock in sockets:
        sock.setblocking(False)
    print("ready", flush=True)
    wire.wire_floor(conns[0], conns[1], request, REQUEST_BYTES, marker, len(marker))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "tls", sys.argv[4].encode())
