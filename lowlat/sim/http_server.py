"""A thin HTTP/1.1 server on httptools: keep-alive, pipelining in order, answers that may come late.

Run by ``server``; it knows bytes and Requests, no venue words. Not for anything but loopback.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote

import httptools

from lowlat.core.clock import monotonic_ns
from lowlat.sim.faults import Faults
from lowlat.sim.wire import LOST, RESET, Request, Respond, Response

__all__ = ["HttpProtocol"]

BODY_MAX_BYTES: Final = 1 << 20
_STATUS_LINES: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
PACE_HZ: Final = 20
MS: Final = 1e-3
MS_NS: Final = 1_000_000
Handler = Callable[[Request, Respond], None]


_Slot = list[Any]


class _TooLargeError(Exception):
    """A client sent more than anything this venue takes."""


@lru_cache(maxsize=256)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


@lru_cache(maxsize=1_024)
def _path(raw: bytes) -> str:
    return unquote(raw.decode("latin-1"))


class HttpProtocol(asyncio.Protocol):
    """One connection. Answers leave in the order of their requests."""

    def __init__(self, handler: Handler, connections: set["HttpProtocol"], faults: Faults) -> None:
        self._handler = handler
        self._faults = faults
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._slots: deque[_Slot] = deque()
        """Answers (None: not there yet), keep-alive, timing; in the order of the requests."""
        self._gathered: list[bytes] | None = None
        """Answers to pipelined requests, sent together; None: send each at once."""
        self._answered = 0
        self._pacing = False
        self._address = ""

    # ----------------------------------------------------------------------------- asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        # uvloop's transports are Transports in shape, not in class.
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if peer else ""
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; late answers go nowhere."""
        del exc
        self._transport = None
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Read what came, at once or when a slow reader gets to it."""
        wait_ms = self._faults.config.slow_read_ms
        if not wait_ms or self._transport is None:
            self._read(data)
            return
        self._transport.pause_reading()
        asyncio.get_running_loop().call_later(wait_ms * MS, self._read_late, data)

    def _read_late(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._read(data)

    def _read(self, data: bytes) -> None:
        """Feed the parser; a malformed stream ends the connection with 400."""
        try:
            self._gathered = []
            self._parser.feed_data(data)
            self._send_gathered()
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _TooLargeError):
                # A fault of ours, an assertion above all: never to be taken for a bad request.
                raise
            self._write(Response(413, b'{"error":"payload too large"}'), "", keep_alive=False)
            self.abort(graceful=True)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._write(Response(400, b'{"error":"bad request"}'), "", keep_alive=False)
            self.abort(graceful=True)

    def abort(self, *, graceful: bool) -> None:
        """Close after what is written, or reset at once."""
        if self._transport is not None:
            if graceful:
                self._transport.close()
            else:
                self._transport.abort()

    # ----------------------------------------------------------------------------- httptools
    def on_message_begin(self) -> None:
        """Start a request."""
        self._url = b""
        self._headers = {}
        self._body = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        self._headers[_lower(name)] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Collect the body up to a bound."""
        self._body_bytes += len(body)
        if self._body_bytes > BODY_MAX_BYTES:
            raise _TooLargeError(f"a body of more than {BODY_MAX_BYTES} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the request over; its answer takes a place in the queue."""
        path, _, query = self._url.partition(b"?")
        request = Request(
            self._parser.get_method().decode(),
            _path(path),
            parse_qs(query.decode("latin-1")) if query else {},
            self._headers,
            b"".join(self._body),
            self._address,
        )
        slot: _Slot = [None, self._parser.should_keep_alive(), ""]
        self._slots.append(slot)

        started_ns = monotonic_ns()
        own_ns = 0

        def respond(response: Response) -> None:
            # What a test subtracts: the venue's own work, apart from a wait it was told to make.
            took_ns = monotonic_ns() - started_ns
            timing = f"own;dur={(own_ns or took_ns) / MS_NS:.3f}"
            if own_ns:
                timing += f", held;dur={(took_ns - own_ns) / MS_NS:.3f}"
            slot[0] = response
            slot[2] = timing
            self._flush()

        self._handler(request, respond)
        own_ns = monotonic_ns() - started_ns

    # ----------------------------------------------------------------------------- answers
    def _flush(self) -> None:
        while self._slots and self._slots[0][0] is not None and not self._pacing:
            response, keep_alive, timing = self._slots[0]
            assert response is not None, "checked above"
            if response.status == LOST:
                # Nothing may leave behind a lost answer, or it would be taken for it: the client
                # waits on this connection until it gives up.
                return
            self._slots.popleft()
            if response.status == RESET:
                self.abort(graceful=False)
                return
            self._answered += 1
            limit = self._faults.config.requests_per_connection
            keep_alive = keep_alive and not 0 < limit <= self._answered
            self._write(response, timing, keep_alive=keep_alive)

    def _write(self, response: Response, timing: str, *, keep_alive: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = bytearray(_STATUS_LINES[response.status])
        head += b"Content-Type: application/json\r\nContent-Length: "
        head += str(len(response.body)).encode()
        if timing:
            head += f"\r\nServer-Timing: {timing}".encode()
        for name, value in response.headers:
            head += f"\r\n{name}: {value}".encode()
        head += b"\r\n\r\n" if keep_alive else b"\r\nConnection: close\r\n\r\n"
        frame = bytes(head) + response.body
        if response.cut or response.bytes_per_s:
            self._send_gathered()
        if response.cut:
            # What is written has to leave before the reset; a close with unread input sends one.
            self._transport.write(frame[: len(frame) // 2])
            self.abort(graceful=True)
        elif response.bytes_per_s:
            self._pacing = True
            self._pace(frame, max(1, response.bytes_per_s // PACE_HZ), keep_alive=keep_alive)
        elif self._gathered is not None and keep_alive:
            self._gathered.append(frame)
        else:
            self._send_gathered()
            self._transport.write(frame)
            if not keep_alive:
                self._transport.close()

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(gathered))

    def _pace(self, rest: bytes, step_bytes: int, *, keep_alive: bool) -> None:
        """Write a piece of an answer; others wait until it is out."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(rest[:step_bytes])
        rest = rest[step_bytes:]
        if rest:
            loop = asyncio.get_running_loop()
            loop.call_later(
                1 / PACE_HZ, lambda: self._pace(rest, step_bytes, keep_alive=keep_alive)
            )
            return
        self._pacing = False
        if keep_alive:
            self._flush()
        else:
            self._transport.close()
