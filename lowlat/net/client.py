"""A small HTTP client for metadata, resyncs and look-ups: queued, paced, answered by callback.

Sits on the same connections as ``HotConnections`` and never on the order path. Requests wait in a
bounded queue for a free connection and for their turn in the host's rate. It only reads, by GET or
by POST with a body, so a request whose connection broke before any answer is asked once more: an
idle connection may die unnoticed.
"""

import ssl
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.core.ports import SEND_NONE
from lowlat.net.http import HotConnections, HotParams

__all__ = ["Done", "HttpClient", "HttpParams"]

Done = Callable[[int, bytes, int], None]
"""``(status, body, recv_ns)``; status 0 means that no answer came."""

_ATTEMPTS: Final = 2


class HttpParams(msgspec.Struct, frozen=True):
    """Limits of a client of one host."""

    connections: int = 4
    interval_ns: int = 25_000_000
    """Least time between two requests: the host's rate limit with room to spare."""
    burst: int = 8
    queue_max: int = 1024
    timeout_ns: int = 10_000_000_000
    body_bytes_max: int = 32 * 1024 * 1024
    user_agent: str = "lowlat"
    """The venue refuses requests without one. Source: feeds.md 3.1."""


class _Request:
    __slots__ = ("attempts", "done", "payload")

    def __init__(self, payload: bytes, done: Done) -> None:
        self.payload = payload
        self.done = done
        self.attempts = _ATTEMPTS


class HttpClient:
    """One host. ``fetch`` queues, ``turn`` sends. Every accepted request is answered."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        draw: Callable[[], float],
        params: HttpParams | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.params = params or HttpParams()
        self.refused_count = 0
        """Requests that found the queue full."""
        self.lost_count = 0
        self._queue: deque[_Request] = deque()
        self._asked: dict[int, _Request] = {}
        self._next_key = 0
        self._credit_ns = 0
        self._name = host if port in (80, 443) else f"{host}:{port}"
        self._pool = HotConnections(
            host,
            port,
            self,
            ping=b"",
            draw=draw,
            params=HotParams(
                connections=self.params.connections,
                ping_ns=0,
                answer_timeout_ns=self.params.timeout_ns,
                body_bytes_max=self.params.body_bytes_max,
            ),
            tls=tls,
        )

    def start(self) -> None:
        """Connect, on the running loop."""
        self._pool.start()

    def fetch(self, path: str, done: Done, body: bytes | None = None) -> bool:
        """Queue a GET, or a POST of a JSON body; False when the queue is full (nothing will come).

        Only for what reads: it may be sent twice.
        """
        if any(one <= " " or one > "~" for one in path):
            raise ValueError(f"path {path!r} is not plain printable ASCII")
        if len(self._queue) >= self.params.queue_max:
            self.refused_count += 1
            return False
        head = (
            f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {self._name}\r\n"
            f"User-Agent: {self.params.user_agent}\r\nAccept: */*\r\n"
        )
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._queue.append(_Request(head.encode("ascii") + b"\r\n" + (body or b""), done))
        return True

    def turn(self, now_ns: int) -> int:
        """Send what may go now and look after the connections."""
        work = self._pool.turn(now_ns)
        params = self.params
        # The credit never counts more unused time than a burst is worth.
        self._credit_ns = max(self._credit_ns, now_ns - params.burst * params.interval_ns)
        while self._queue and self._credit_ns + params.interval_ns <= now_ns:
            if not self._pool.idle():
                break
            request = self._queue.popleft()
            self._credit_ns += params.interval_ns
            self._send(request)
            work += 1
        return work

    def close(self) -> None:
        """Close every connection; what was queued or asked is answered with status 0."""
        self._pool.close()
        self._pool.turn(0)
        waiting = [*self._queue, *self._asked.values()]
        self._queue.clear()
        self._asked.clear()
        for request in waiting:
            request.done(0, b"", 0)

    # ------------------------------------------------------------------ sink of the pool
    def on_answer(
        self, key: int, status: int, headers: list[tuple[bytes, bytes]], body: bytes, recv_ns: int
    ) -> None:
        """Hand an answer to whoever asked."""
        del headers
        self._asked.pop(key).done(status, body, recv_ns)

    def on_lost(self, key: int, recv_ns: int) -> None:
        """Ask once more, then say that no answer came."""
        request = self._asked.pop(key)
        self.lost_count += 1
        request.attempts -= 1
        if request.attempts > 0:
            self._queue.appendleft(request)
        else:
            request.done(0, b"", recv_ns)

    def _send(self, request: _Request) -> None:
        self._next_key += 1
        key = self._next_key
        self._asked[key] = request
        if self._pool.send(request.payload, key, urgent=False) == SEND_NONE:
            del self._asked[key]
            self._queue.appendleft(request)
