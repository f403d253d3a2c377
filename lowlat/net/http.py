"""Warm HTTP/1.1 connections to one host: one write a request, answers by callback.

``HotConnections`` implements ``lowlat.core.ports.Transport`` for the executor; it never queues: a
request is handed to the kernel in the call that sends it, or it is refused. A connection carries
one request at a time. What was written but not answered is reported lost exactly once; it is
never sent again here. Source: polymarket.md 12.4 (keep warm, rotate), design 9.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from lowlat.core.clock import monotonic_ns
from lowlat.core.ports import SENT
from lowlat.net._answers import AnswerError, AnswerReader
from lowlat.net._dial import open_socket
from lowlat.net._gate import HotConnection, HotSender, SendGate
from lowlat.net._tls import send_tls
from lowlat.net.backoff import Backoff

__all__ = ["AnswerSink", "HotConnections", "HotParams"]

_LOG: Final = logging.getLogger(__name__)
_PING_KEY: Final = -1
_RECV_BYTES: Final = 64 * 1024


class HotParams(msgspec.Struct, frozen=True):
    """Size and times of a pool. Source: polymarket.md 12.4."""

    connections: int = 12
    """A taker hold blocks one for 150 ms, so several orders a second need several."""
    ping_ns: int = 4_000_000_000
    """An idle connection gets a light GET this often; idle ones cost +34 ms. 0: never."""
    answer_timeout_ns: int = 10_000_000_000
    connect_timeout_ns: int = 5_000_000_000
    requests_max: int = 9_500
    """The edge closes after about 10 000 requests: rotate before."""
    body_bytes_max: int = 4 * 1024 * 1024
    backoff_ns_min: int = 100_000_000
    backoff_ns_max: int = 10_000_000_000
    busy_poll_us: int = 0


class AnswerSink(Protocol):
    """Takes what became of each request: one of the two, once for each key that was sent."""

    def on_answer(
        self, key: int, status: int, headers: list[tuple[bytes, bytes]], body: bytes, recv_ns: int
    ) -> None:
        """Take an answer."""
        ...

    def on_lost(self, key: int, recv_ns: int) -> None:
        """Take note that no answer will come: the outcome is unknown."""
        ...


class HotConnections(HotSender):
    """The pool. Runs on the running loop; ``turn`` at least every few milliseconds.

    ``ping`` is a whole light GET request. ``gate`` stands before urgent requests. ``poll`` reads
    the connections that owe an answer without going through the loop, for busy loops.
    """

    def __init__(
        self,
        host: str,
        port: int,
        sink: AnswerSink,
        *,
        ping: bytes,
        draw: Callable[[], float],
        params: HotParams | None = None,
        tls: ssl.SSLContext | None = None,
        gate: SendGate | None = None,
    ) -> None:
        self.params = params or HotParams()
        self.lost_count = 0
        self.dials = 0
        self._host = host
        self._port = port
        self._sink = sink
        self._ping = ping
        self._tls = tls
        self.bind(gate, None if tls is None else send_tls, self._retire)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn_due_ns = 0
        self._all = [
            HotConnection(
                AnswerReader(self.params.body_bytes_max),
                Backoff(self.params.backoff_ns_min, self.params.backoff_ns_max, draw),
            )
            for _ in range(self.params.connections)
        ]

    @property
    def busy(self) -> int:
        """Connections that owe an answer."""
        return len(self._busy)

    # ------------------------------------------------------------------ engine
    def start(self) -> None:
        """Dial every connection; ``idle`` grows as they come up."""
        self._loop = asyncio.get_running_loop()
        for connection in self._all:
            self._dial(connection)

    def poll(self) -> int:
        """Read every connection that owes an answer; return how many had bytes."""
        if not self._busy:
            return 0
        read = 0
        for connection in list(self._busy.values()):
            read += self._receive(connection)
        return read

    def turn(self, now_ns: int) -> int:
        """Report losses, time out, ping, rotate, dial again; return how much was done."""
        work = 0
        while self._lost:
            self.lost_count += 1
            self._sink.on_lost(self._lost.popleft(), now_ns)
            work += 1
        if now_ns < self._turn_due_ns:
            return work
        self._turn_due_ns = now_ns + 1_000_000
        params = self.params
        for connection in self._all:
            if connection.state == HotConnection.BUSY:
                if now_ns - connection.sent_ns > params.answer_timeout_ns:
                    self._retire(connection)
                    work += 1
            elif connection.state == HotConnection.DOWN:
                if connection.task is None and now_ns >= connection.dial_due_ns:
                    self._dial(connection)
                    work += 1
            elif connection.requests >= params.requests_max:
                self._idle.remove(connection)
                self._retire(connection)
                work += 1
            elif params.ping_ns and now_ns >= connection.ping_due_ns and not self._is_pinging():
                work += self._send_ping(connection, now_ns)
        return work

    def close(self) -> None:
        """Close every socket; requests without an answer are reported lost by the next turn."""
        self._idle.clear()
        for connection in self._all:
            if connection.task is not None:
                connection.task.cancel()
            self._retire(connection)
            # Never again.
            connection.dial_due_ns = 2**63 - 1

    def _is_pinging(self) -> bool:
        """Whether a ping is out: one at a time, so that pings never empty the pool."""
        return any(connection.key == _PING_KEY for connection in self._busy.values())

    def _send_ping(self, connection: HotConnection, now_ns: int) -> int:
        """Keep one idle connection warm; the others stay free for orders."""
        self._idle.remove(connection)
        if self.write(connection, self._ping, urgent=False) != SENT:
            self._retire(connection)
            return 1
        connection.key = _PING_KEY
        connection.ping_due_ns = now_ns + self.params.ping_ns
        return 1

    # ------------------------------------------------------------------ sockets
    def _dial(self, connection: HotConnection) -> None:
        assert self._loop is not None, "dialled before start"
        self.dials += 1
        connection.task = self._loop.create_task(self._connect(connection))

    async def _connect(self, connection: HotConnection) -> None:
        params = self.params
        try:
            sock = await open_socket(
                self._host,
                self._port,
                self._tls,
                timeout_ns=params.connect_timeout_ns,
                busy_poll_us=params.busy_poll_us,
            )
        except OSError as error:
            _LOG.warning("connect failed host=%s error=%r", self._host, error)
            connection.dial_due_ns = monotonic_ns() + connection.backoff.next_ns()
            return
        finally:
            connection.task = None
        connection.sock = sock
        connection.fd = sock.fileno()
        connection.requests = 0
        connection.reader.reset()
        assert self._loop is not None, "dialled before start"
        self._loop.add_reader(connection.fd, self._receive, connection)
        connection.state = HotConnection.IDLE
        # Spread the pings, so that they never take the whole pool at once.
        place = self._all.index(connection) + 1
        connection.ping_due_ns = monotonic_ns() + self.params.ping_ns * place // len(self._all)
        self._idle.append(connection)

    def _receive(self, connection: HotConnection) -> int:
        """Read what is there and deliver a finished answer; return 1 when there were bytes."""
        sock = connection.sock
        if sock is None:
            return 0
        try:
            data = sock.recv(_RECV_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            data = b""
        recv_ns = monotonic_ns()
        if not data or connection.state != HotConnection.BUSY:
            # End of the stream, or bytes that nobody asked for.
            self._forget_idle(connection)
            self._retire(connection)
            return 1
        try:
            answer = connection.reader.feed(data)
            while answer is None and isinstance(sock, ssl.SSLSocket) and sock.pending():
                answer = connection.reader.feed(sock.recv(_RECV_BYTES))
        except (AnswerError, OSError) as error:
            _LOG.warning("bad answer host=%s error=%s", self._host, error)
            self._retire(connection)
            return 1
        if answer is not None:
            self._deliver(connection, *answer, recv_ns)
        return 1

    def _deliver(
        self,
        connection: HotConnection,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        keep: bool,
        recv_ns: int,
    ) -> None:
        key = connection.key
        del self._busy[connection.fd]
        connection.backoff.reset()
        connection.ping_due_ns = recv_ns + self.params.ping_ns
        connection.state = HotConnection.IDLE
        if keep and connection.requests < self.params.requests_max:
            self._idle.append(connection)
        else:
            self._retire(connection)
        if key != _PING_KEY:
            self._sink.on_answer(key, status, headers, body, recv_ns)

    def _forget_idle(self, connection: HotConnection) -> None:
        if connection.state == HotConnection.IDLE and connection in self._idle:
            self._idle.remove(connection)

    def _retire(self, connection: HotConnection) -> None:
        """Close a connection; an answer that it owed is lost. The next turn dials again."""
        if connection.state == HotConnection.BUSY and connection.key != _PING_KEY:
            self._lost.append(connection.key)
        if connection.sock is not None:
            self._busy.pop(connection.fd, None)
            assert self._loop is not None, "a socket without a loop"
            self._loop.remove_reader(connection.fd)
            connection.sock.close()
            connection.sock = None
            connection.fd = -1
            connection.dial_due_ns = (
                0 if connection.requests else monotonic_ns() + connection.backoff.next_ns()
            )
        connection.state = HotConnection.DOWN
