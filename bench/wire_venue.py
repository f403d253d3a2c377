"""The venue's side of tick-to-wire: sockets and handshakes in Python, the measured loop in C."""

import base64
import ctypes
import hashlib
import json
import select
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.harness import native
from lowlat.core.clock import monotonic_ns

__all__ = ["FrameScript", "VenueEnd", "WireResult", "certificate", "http_answer"]

BUFFER_BYTES = 1 << 16
KEY_BYTES = 80
"""Room for a token in the generator's table (wire.c)."""
LATE_NS_LIMIT = 50_000
"""A trigger sent later than this tells of the generator's core, not of the engine's."""


class WireResult(ctypes.Structure):
    """What the generator saw besides latencies."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            "sent_frames",
            "late_ns_max",
            "left_out",
            "requests",
            "unexpected",
            "overtaken",
            "missed",
            "request_bytes",
            "closed",
        )
    ]


class FrameScript:
    """WebSocket frames back to back, their offsets, feeds, and which of them are triggers.

    ``triggers`` is the number of the market that a frame makes cheap, -1 for none; ``tokens`` are
    those that orders for these markets name.
    """

    def __init__(
        self,
        payloads: list[bytes],
        triggers: list[int],
        tokens: list[str],
        feeds: list[int] | None = None,
    ) -> None:
        frames = [_server_frame(payload) for payload in payloads]
        self.data = b"".join(frames)
        sizes = np.array([0, *map(len, frames)], dtype=np.uint32)
        self.offsets = np.cumsum(sizes, dtype=np.uint32)
        self.triggers = np.array(triggers, dtype=np.int32)
        self.keys = b"".join(token.encode().ljust(KEY_BYTES, b"\0") for token in tokens)
        self.feeds = np.array(feeds or [0] * len(payloads), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.triggers)


class VenueEnd:
    """One client's venue: a feed port and an order port, any number of connections on each."""

    def __init__(self, tls: tuple[str, str] | None = None) -> None:
        self.wire = native("wire", "dl")
        self.wire.wire_open.restype = ctypes.c_void_p
        self.tls = tls
        self.feed_listener, self.order_listener = _listener(), _listener()
        self.feeds: list[tuple[socket.socket, ctypes.c_void_p]] = []
        self.upgrading: list[tuple[socket.socket, ctypes.c_void_p]] = []
        self.orders: list[tuple[socket.socket, ctypes.c_void_p]] = []
        self.answers: dict[str, bytes] = {}
        self.order_sample = b""

    @property
    def ports(self) -> tuple[int, int]:
        """Feed port, order port."""
        return self.feed_listener.getsockname()[1], self.order_listener.getsockname()[1]

    def serve_until(self, ready, timeout_s: float = 30.0) -> None:
        """Accept, shake hands and answer look-ups until ready() or the time is over."""
        deadline_ns = monotonic_ns() + int(timeout_s * 1e9)
        while not ready():
            if monotonic_ns() > deadline_ns:
                raise TimeoutError(f"the client did not get ready in {timeout_s} s")
            self.serve(0.01)

    def serve(self, wait_s: float) -> None:
        """Do what is due on every socket once."""
        sockets = [sock for sock, _ in self.orders]
        listeners = [self.feed_listener, self.order_listener]
        sockets += [sock for sock, _ in self.upgrading]
        readable, _, _ = select.select([*listeners, *sockets], [], [], wait_s)
        for pair in [pair for pair in self.upgrading if pair[0] in readable]:
            self._upgrade(*pair)
        if self.feed_listener in readable:
            self.upgrading.append(self._accept(self.feed_listener))
        if self.order_listener in readable:
            self.orders.append(self._accept(self.order_listener))
        for pair in [pair for pair in self.orders if pair[0] in readable]:
            self._answer(*pair)

    def send_feed(self, payload: bytes, feed: int = 0) -> None:
        """Send one frame outside of a measurement."""
        frame = _server_frame(payload)
        assert self.wire.wire_send(self.feeds[feed][1], frame, len(frame)) == len(frame)

    def read_feeds(self) -> list[tuple[int, bytes]]:
        """What clients said on their feeds since the last call, unmasked: (feed, payload)."""
        said = []
        for number, (sock, conn) in enumerate(self.feeds):
            while select.select([sock], [], [], 0)[0]:
                raw = self._receive(sock, conn)
                if not raw:
                    break
                said += [(number, payload) for payload in _client_payloads(raw)]
        return said

    def generate(self, script: FrameScript, spacing_ns: int, answer: bytes) -> np.ndarray:
        """Play the script by schedule; latencies of its triggers in nanoseconds.

        Triggers that the generator itself sent more than LATE_NS_LIMIT late are left out.
        """
        count = len(script)
        latency = np.zeros(int((script.triggers >= 0).sum()) + 1, dtype=np.int64)
        self.result = WireResult()
        sample = ctypes.create_string_buffer(1 << 14)
        pong = http_answer(b"1")
        connections = (ctypes.c_void_p * len(self.orders))(*[conn for _, conn in self.orders])
        feeds = (ctypes.c_void_p * len(self.feeds))(*[conn for _, conn in self.feeds])
        triggered = self.wire.wire_generate(
            feeds,
            script.feeds.ctypes.data_as(ctypes.c_void_p),
            connections,
            len(self.orders),
            script.data,
            script.offsets.ctypes.data_as(ctypes.c_void_p),
            script.triggers.ctypes.data_as(ctypes.c_void_p),
            count,
            script.keys,
            len(script.keys) // KEY_BYTES,
            ctypes.c_int64(spacing_ns),
            ctypes.c_int64(LATE_NS_LIMIT),
            answer,
            len(answer),
            pong,
            len(pong),
            latency.ctypes.data_as(ctypes.c_void_p),
            sample,
            len(sample),
            ctypes.byref(self.result),
        )
        self.order_sample = sample.value
        latency = latency[:triggered]
        return latency[latency >= 0].astype(np.float64)

    def close(self) -> None:
        """Close every socket."""
        for sock, _ in [*self.orders, *self.feeds]:
            sock.close()
        self.feed_listener.close()
        self.order_listener.close()

    def _accept(self, listener: socket.socket) -> tuple[socket.socket, ctypes.c_void_p]:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cert, key = (part.encode() for part in self.tls) if self.tls else (None, None)
        conn = self.wire.wire_open(sock.fileno(), 0, cert, key)
        if not conn:
            raise ConnectionError("TLS handshake with the client failed")
        sock.setblocking(False)
        return sock, ctypes.c_void_p(conn)

    def _upgrade(self, sock: socket.socket, conn: ctypes.c_void_p) -> None:
        request = self._receive(sock, conn)
        if b"\r\n\r\n" in request:
            answer = upgrade_answer(request)
            assert self.wire.wire_send(conn, answer, len(answer)) == len(answer)
            self.upgrading.remove((sock, conn))
            self.feeds.append((sock, conn))

    def _receive(self, sock: socket.socket, conn: ctypes.c_void_p) -> bytes:
        buffer = ctypes.create_string_buffer(BUFFER_BYTES)
        for _ in range(100):
            got = self.wire.wire_recv(conn, buffer, BUFFER_BYTES)
            if got > 0:
                return buffer.raw[:got]
            if got < 0:
                return b""
            select.select([sock], [], [], 0.05)
        return b""

    def _answer(self, sock: socket.socket, conn: ctypes.c_void_p) -> None:
        request = self._receive(sock, conn)
        if not request:
            self.orders.remove((sock, conn))
            sock.close()
            return
        target = request.split(b" ", 2)[1].decode()
        body = next((body for key, body in self.answers.items() if target.startswith(key)), b"{}")
        answer = http_answer(body)
        self.wire.wire_send(conn, answer, len(answer))


def http_answer(body: bytes) -> bytes:
    """Write a 200 answer."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Poly-RateLimit-Remaining: 59\r\nPoly-RateLimit-Reset: 1\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    return head + body


def upgrade_answer(request: bytes) -> bytes:
    """Accept a WebSocket upgrade (RFC 6455 1.3)."""
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def certificate() -> tuple[str, str]:
    """Make a throwaway certificate for 127.0.0.1; return the paths of certificate and key."""
    folder = Path(tempfile.mkdtemp(prefix="lowlat-bench-"))
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            str(key),
            "-out",
            str(cert),
            "-days",
            "1",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    return str(cert), str(key)


def client_context(cert: str) -> ssl.SSLContext:
    """Trust just this certificate."""
    return ssl.create_default_context(cafile=cert)


def _listener() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    return sock


def _client_payloads(raw: bytes) -> list[bytes]:
    """Take masked client frames apart (whole ones only: subscriptions arrive in one piece)."""
    payloads = []
    while len(raw) >= 6:
        size, at = raw[1] & 127, 2
        if size == 126:
            size, at = int.from_bytes(raw[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(raw[2:10], "big"), 10
        mask, body = raw[at : at + 4], raw[at + 4 : at + 4 + size]
        payloads.append(bytes(byte ^ mask[i & 3] for i, byte in enumerate(body)))
        raw = raw[at + 4 + size :]
    return payloads


def _server_frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes([0x81, size]) + payload
    if size < 65536:
        return bytes([0x81, 126]) + size.to_bytes(2, "big") + payload
    return bytes([0x81, 127]) + size.to_bytes(8, "big") + payload


def dump(value: object) -> bytes:
    """Write compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
