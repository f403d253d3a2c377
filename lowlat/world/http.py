"""HTTP without sockets: the executor's warm connections and the feeds' fetches, with their faults.

A request is carried to the pure venue after a delay, its answer back after another. What was sent
is answered or lost exactly once, as ``lowlat.core.ports.Transport`` promises.
"""

from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote

from lowlat.core.ports import SEND_HALTED, SEND_NONE, SEND_PARTIAL, SENT
from lowlat.feeds.ports import FetchDone
from lowlat.sim.wire import LOST, RESET, Request, Respond, Response
from lowlat.world.fuse import Fuse
from lowlat.world.sockets import Net

__all__ = ["Fetcher", "Orders", "Sink", "parse_request"]

US: Final = 1_000
MS: Final = 1_000_000
_TIMEOUT_NS: Final = 10_000 * MS
Door = Callable[[Request, Respond], None]
"""A service of the venue."""
Watch = Callable[[bytes, Request, bool], None]
"""Sees every request at the moment its bytes leave: bytes, the same parsed, urgent."""


class Sink(Protocol):
    """Takes what became of each request."""

    def on_answer(
        self, key: int, status: int, headers: list[tuple[bytes, bytes]], body: bytes, recv_ns: int
    ) -> None:
        """Take an answer."""
        ...

    def on_lost(self, key: int, recv_ns: int) -> None:
        """Take note that no answer will come."""
        ...


def parse_request(raw: bytes) -> Request:
    """Take a whole HTTP/1.1 request apart; anything malformed is a fault of the engine."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    assert separator, f"request without a head: {raw[:80]!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    assert version == "HTTP/1.1", f"request line {first!r}"
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    assert len(body) == int(headers.get("content-length", "0")), f"body of {len(body)} bytes"
    path, _, query = target.partition("?")
    return Request(method, unquote(path), parse_qs(query) if query else {}, headers, body)


class Orders:
    """The executor's transport over a dozen connections, one request on each at a time."""

    def __init__(
        self,
        net: Net,
        door: Door,
        fuse: Fuse,
        halted: Callable[[], int],
        watch: Watch,
        connections: int,
    ) -> None:
        self._net = net
        self._door = door
        self._fuse = fuse
        self._halted = halted
        self._watch = watch
        self._free = connections
        self._connections = connections
        self.sink: Sink | None = None
        """The executor; it is made after its transport."""

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return self._connections - self._free

    def idle(self) -> int:
        """Count the connections that could take a request now."""
        return self._free

    def send(self, request: bytes | bytearray | memoryview, key: int, *, urgent: bool) -> int:
        """Write one whole request; see Transport."""
        self._fuse.burn()
        net, now_ns = self._net, self._net.now_ns()
        if urgent and self._halted():
            return SEND_HALTED
        if not self._free:
            return SEND_NONE
        raw = bytes(request)
        parsed = parse_request(raw)
        self._watch(raw, parsed, urgent)
        self._free -= 1
        if net.windows.hit("partial_write", now_ns):
            # Half a request is none for the venue; the connection is closed behind it.
            self._lose(key, now_ns)
            return SEND_PARTIAL
        self._carry(parsed, key, now_ns)
        self._fuse.burn()
        return SENT

    def _carry(self, request: Request, key: int, now_ns: int) -> None:
        net = self._net
        due_ns = now_ns + _delay_ns(net)
        if net.windows.hit("request_lost", now_ns):
            self._lose(key, self._broken_ns(now_ns))
            return
        if net.windows.hit("request_late", now_ns):
            due_ns += net.rng.randint(10, 9_000) * MS
        timeout_ns = now_ns + _TIMEOUT_NS
        over = [False]

        def respond(response: Response) -> None:
            at_ns = net.now_ns()
            if over[0] or response.status == LOST:
                return
            over[0] = True
            if response.status == RESET:
                self._lose(key, at_ns + _delay_ns(net))
            elif net.windows.hit("answer_lost", at_ns):
                self._lose(key, min(timeout_ns, self._broken_ns(at_ns)))
            else:
                self._answer(key, response, at_ns + _delay_ns(net))

        def expire() -> None:
            if not over[0]:
                over[0] = True
                self._lose(key, net.now_ns())

        net.agenda.at(due_ns, lambda: self._door(request, respond))
        net.agenda.at(timeout_ns, expire)

    def _broken_ns(self, now_ns: int) -> int:
        """Return when a broken connection is noticed: by a reset, or only by the timeout."""
        reset = self._net.rng.random() < 0.5
        return now_ns + (self._net.rng.randint(1, 300) * MS if reset else _TIMEOUT_NS)

    def _answer(self, key: int, response: Response, due_ns: int) -> None:
        headers = [(name.encode(), value.encode()) for name, value in response.headers]

        def deliver() -> None:
            self._free += 1
            assert self.sink is not None, "an answer before the executor was made"
            now_ns = self._net.now_ns()
            self.sink.on_answer(key, response.status, headers, response.body, now_ns)

        self._net.agenda.at(due_ns, lambda: self._net.guard(deliver))

    def _lose(self, key: int, due_ns: int) -> None:
        def deliver() -> None:
            self._free += 1
            assert self.sink is not None, "a loss before the executor was made"
            self.sink.on_lost(key, self._net.now_ns())

        self._net.agenda.at(due_ns, lambda: self._net.guard(deliver))


class Fetcher:
    """Reads of one service of the venue."""

    def __init__(self, net: Net, door: Door) -> None:
        self._net = net
        self._door = door

    def __call__(self, path: str, done: FetchDone, body: bytes | None = None) -> bool:
        """Ask; the answer comes in a later turn, status 0 when none does."""
        net, now_ns = self._net, self._net.now_ns()
        if net.windows.hit("fetch_failed", now_ns):
            self._finish(done, 0, b"", now_ns + net.rng.randint(1, 10_000) * MS)
            return True
        target, _, query = path.partition("?")
        method = "GET" if body is None else "POST"
        args = parse_qs(query) if query else {}
        request = Request(method, unquote(target), args, {}, body or b"")

        def respond(response: Response) -> None:
            self._finish(done, response.status, response.body, net.now_ns() + _delay_ns(net))

        net.agenda.at(now_ns + _delay_ns(net), lambda: self._door(request, respond))
        return True

    def _finish(self, done: FetchDone, status: int, body: bytes, due_ns: int) -> None:
        net = self._net
        net.agenda.at(due_ns, lambda: net.guard(lambda: done(status, body, net.now_ns())))


def _delay_ns(net: Net) -> int:
    delay_ns = net.rng.randint(200, 2_500) * US
    if net.windows.hit("slow", net.now_ns()):
        delay_ns += net.rng.randint(20, 1_500) * MS
    return delay_ns
