"""Warm connections and the small client against scripted servers on loopback."""

import asyncio
import contextlib
import struct

import pytest
import uvloop

from lowlat.core.clock import monotonic_ns
from lowlat.core.ports import SEND_HALTED, SEND_NONE, SENT
from lowlat.net._gate import SendGate
from lowlat.net.client import HttpClient, HttpParams
from lowlat.net.http import HotConnections, HotParams

ORDER = b"POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
PING = b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
QUICK = {"backoff_ns_min": 1_000_000, "backoff_ns_max": 4_000_000}


class Server:
    """Reads whole requests and answers with what ``script(request)`` gives; None hangs up."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.connections = 0
        self.writers = []

    async def start(self, tls):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        size = int(line.split(b":")[1])
                request = head + await reader.readexactly(size)
                self.requests.append(request)
                answer = self.script(request)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()


class Sink:
    def __init__(self):
        self.answers = {}
        self.lost = []

    def on_answer(self, key, status, headers, body, recv_ns):
        assert key not in self.answers
        assert key not in self.lost
        self.answers[key] = (status, body, recv_ns)

    def on_lost(self, key, recv_ns):
        assert key not in self.answers
        assert key not in self.lost
        self.lost.append(key)


def run(scenario):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


async def turning(engine, condition, busy=False):
    """Turn the engine until the condition holds; busy reads without the loop."""
    async with asyncio.timeout(60):
        while not condition():
            engine.turn(monotonic_ns())
            if busy:
                engine.poll()
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def pool(script=lambda _request: OK, tls=(None, None), gate=None, **params):
    server, sink = Server(script), Sink()
    await server.start(tls[0])
    made = HotParams(**{"connections": 3, "ping_ns": 0, **QUICK, **params})
    hot = HotConnections(
        "localhost" if tls[1] else "127.0.0.1",
        server.port,
        sink,
        ping=PING,
        draw=lambda: 0.0,
        params=made,
        tls=tls[1],
        gate=gate,
    )
    hot.start()
    try:
        await turning(hot, lambda: hot.idle() == made.connections == server.connections)
        yield server, sink, hot
    finally:
        hot.close()
        for writer in server.writers:
            writer.close()
        server.server.close()
        await server.server.wait_closed()
        for _ in range(10):
            await asyncio.sleep(0.001)


BOTH = pytest.mark.parametrize("secure", [False, True])


@BOTH
@pytest.mark.parametrize("busy", [False, True])
def test_requests_are_answered_each_on_its_own_connection(tls_contexts, secure, busy):
    async def scenario():
        tls = tls_contexts if secure else (None, None)
        async with pool(tls=tls) as (server, sink, hot):
            for key in (1, 2, 3):
                assert hot.send(ORDER, key, urgent=True) == SENT
            assert hot.idle() == 0
            assert hot.send(ORDER, 4, urgent=True) == SEND_NONE
            await turning(hot, lambda: len(sink.answers) == 3, busy)
            assert {one[:2] for one in sink.answers.values()} == {(200, b"{}")}
            assert hot.idle() == 3
            assert server.requests == [ORDER] * 3
            assert server.connections == 3
            assert sink.lost == []

    run(scenario)


@BOTH
def test_halted_gate_lets_nothing_but_cancels_out(tls_contexts, secure):
    async def scenario():
        halt = bytearray(8)
        tls = tls_contexts if secure else (None, None)
        gate = SendGate([(halt, 0)], [])
        async with pool(tls=tls, gate=gate) as (server, sink, hot):
            struct.pack_into("<q", halt, 0, 1)
            assert hot.send(ORDER, 1, urgent=True) == SEND_HALTED
            assert hot.idle() == 3
            assert hot.send(b"DELETE /order HTTP/1.1\r\nHost: x\r\n\r\n", 2, urgent=False) == SENT
            await turning(hot, lambda: 2 in sink.answers)
            assert [request[:6] for request in server.requests] == [b"DELETE"]

    run(scenario)


@BOTH
@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\n{",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"x" * 9999,
    ],
)
def test_request_without_a_whole_answer_is_lost_once_and_the_pool_heals(
    tls_contexts, secure, answer
):
    async def scenario():
        tls = tls_contexts if secure else (None, None)

        async def cut(_request):
            return answer

        async with pool(cut, tls=tls, connections=1, body_bytes_max=100) as (server, sink, hot):
            assert hot.send(ORDER, 7, urgent=True) == SENT
            if answer and b"50" in answer:
                await turning(hot, lambda: server.requests)
                await asyncio.sleep(0.01)
                server.writers[-1].close()
            await turning(hot, lambda: sink.lost == [7])
            await turning(hot, lambda: hot.idle() == 1)
            assert sink.answers == {}
            assert hot.dials == 2

    run(scenario)


def test_answer_that_never_comes_is_lost_after_the_limit():
    async def scenario():
        hang = asyncio.Event()

        async def never(_request):
            await hang.wait()

        async with pool(never, answer_timeout_ns=20_000_000) as (_server, sink, hot):
            assert hot.send(ORDER, 7, urgent=True) == SENT
            await turning(hot, lambda: sink.lost == [7])
            hang.set()

    run(scenario)


def test_partial_write_is_reported_lost_in_a_later_turn_and_never_finished():
    async def scenario():
        async def sleepy(_request):
            return OK

        async with pool(sleepy, connections=1) as (server, sink, hot):
            huge = b"POST /order HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n" + bytes(50_000_000)
            assert hot.send(huge, 9, urgent=True) == -1
            assert sink.lost == []
            await turning(hot, lambda: sink.lost == [9])
            await turning(hot, lambda: hot.idle() == 1)
            assert server.requests == []

    run(scenario)


def test_dead_idle_connections_are_never_written_to():
    async def scenario():
        async with pool() as (server, sink, hot):
            for writer in server.writers:
                writer.transport.abort()
            await turning(hot, lambda: hot.dials == 6 and hot.idle() == 3)
            assert hot.send(ORDER, 1, urgent=True) == SENT
            await turning(hot, lambda: 1 in sink.answers)
            assert sink.lost == []

    run(scenario)


def test_idle_connections_are_kept_warm_without_emptying_the_pool():
    async def scenario():
        async with pool(ping_ns=30_000_000) as (server, sink, hot):
            least = 3

            def warmed():
                nonlocal least
                least = min(least, hot.idle())
                return len(server.requests) >= 6

            await turning(hot, warmed)
            assert set(server.requests) == {PING}
            assert least == 2
            assert sink.answers == {}
            assert server.connections == 3

    run(scenario)


def test_connection_is_rotated_before_the_edge_closes_it():
    async def scenario():
        async with pool(connections=1, requests_max=3) as (server, sink, hot):
            for key in range(7):
                await turning(hot, lambda: hot.idle() == 1)
                assert hot.send(ORDER, key, urgent=True) == SENT
                await turning(hot, lambda key=key: key in sink.answers)
            await turning(hot, lambda: server.connections >= 3)
            assert sink.lost == []

    run(scenario)


def test_connection_close_answer_is_delivered_and_the_connection_replaced():
    async def scenario():
        closing = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
        async with pool(lambda _request: closing, connections=1) as (server, sink, hot):
            hot.send(ORDER, 1, urgent=True)
            await turning(hot, lambda: 1 in sink.answers)
            await turning(hot, lambda: hot.idle() == 1 and server.connections == 2)

    run(scenario)


def test_close_reports_what_is_still_out():
    async def scenario():
        hang = asyncio.Event()

        async def never(_request):
            await hang.wait()

        async with pool(never) as (_server, sink, hot):
            hot.send(ORDER, 1, urgent=True)
            hot.close()
            hot.turn(monotonic_ns())
            assert sink.lost == [1]
            hang.set()

    run(scenario)


# ------------------------------------------------------------------ the small client
@contextlib.asynccontextmanager
async def client(script, **params):
    server = Server(script)
    await server.start(None)
    made = HttpClient(
        "127.0.0.1", server.port, draw=lambda: 0.0, params=HttpParams(connections=2, **params)
    )
    made.start()
    try:
        yield server, made
    finally:
        made.close()
        for writer in server.writers:
            writer.close()
        server.server.close()
        await server.server.wait_closed()
        for _ in range(10):
            await asyncio.sleep(0.001)


def test_client_answers_by_callback_in_order_of_asking():
    async def scenario():
        done = []
        async with client(lambda _request: OK, interval_ns=1) as (server, made):
            for number in range(5):
                assert made.fetch(f"/book?n={number}", lambda *answer: done.append(answer))
            assert made.fetch("/books", lambda *answer: done.append(answer), b"[]")
            await turning(made, lambda: len(done) == 6)
            assert {one[:2] for one in done} == {(200, b"{}")}
            assert server.requests[-1].endswith(b"Content-Length: 2\r\n\r\n[]")
            assert b"\r\nUser-Agent: lowlat\r\n" in server.requests[0]

    run(scenario)


def test_client_keeps_the_rate():
    async def scenario():
        done = []
        async with client(lambda _request: OK, interval_ns=10_000_000, burst=2) as (_server, made):
            for _ in range(6):
                made.fetch("/x", lambda *answer: done.append(answer))
            start_ns = monotonic_ns()
            await turning(made, lambda: len(done) == 6)
            assert monotonic_ns() - start_ns >= 4 * 10_000_000

    run(scenario)


def test_client_repeats_what_broke_once_and_says_so_then():
    async def scenario():
        done = []
        async with client(lambda _request: None, interval_ns=1) as (server, made):
            made.fetch("/x", lambda *answer: done.append(("get", answer[0])))
            made.fetch("/y", lambda *answer: done.append(("post", answer[0])), b"[]")
            await turning(made, lambda: len(done) == 2)
            assert sorted(done) == [("get", 0), ("post", 0)]
            assert [one[:3] for one in server.requests].count(b"GET") == 2
            assert [one[:3] for one in server.requests].count(b"POS") == 2

    run(scenario)


def test_client_refuses_beyond_its_queue_and_answers_the_rest_on_close():
    async def scenario():
        done = []
        async with client(lambda _request: OK, queue_max=2) as (_server, made):
            accepted = [made.fetch("/x", lambda *answer: done.append(answer)) for _ in range(3)]
            assert accepted == [True, True, False]
            assert made.refused_count == 1
        assert done == [(0, b"", 0)] * 2

    run(scenario)


def test_client_refuses_paths_that_would_break_the_request():
    made = HttpClient("x", 80, draw=lambda: 0.0)
    with pytest.raises(ValueError, match="printable"):
        made.fetch("/a\r\nHost: evil", lambda *_: None)
