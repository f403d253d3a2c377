"""WebSocket client against a picows server on loopback."""

import asyncio
import contextlib
import socket
import ssl

import pytest
import uvloop
from picows import WSListener, WSMsgType, ws_create_server

from lowlat.core.clock import monotonic_ns
from lowlat.net.backoff import Backoff
from lowlat.net.options import PollWatch
from lowlat.net.ws import WsConnection, WsOptions

QUICK = WsOptions(backoff_ns_min=1_000_000, backoff_ns_max=4_000_000, message_bytes_max=100_000)


class Peer(WSListener):
    """Server end of one connection."""

    def __init__(self, server):
        self.server = server
        self.received = []

    def on_ws_connected(self, transport):
        self.transport = transport
        self.server.peers.append(self)
        self.server.changed.set()

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        self.received.append(frame.get_payload_as_bytes())
        self.server.changed.set()


class Server:
    def __init__(self):
        self.peers = []
        self.changed = asyncio.Event()

    async def start(self, tls=None):
        self.server = await ws_create_server(
            lambda _request: Peer(self), "127.0.0.1", 0, ssl=tls, start_serving=True
        )
        scheme = "wss" if tls else "ws"
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"{scheme}://localhost:{port}/ws"
        return self

    async def stop(self):
        self.server.close()
        await self.server.wait_closed()


class Recorder:
    """Listener that keeps what it is told and can be awaited."""

    def __init__(self):
        self.log = []
        self.frames = []
        self.changed = asyncio.Event()

    def on_open(self, connection):
        self.log.append("open")
        self.changed.set()

    def on_frame(self, connection, payload, is_text, recv_ns):
        self.frames.append((payload, is_text, recv_ns))
        self.changed.set()

    def on_close(self, connection, reason):
        self.log.append(reason)
        self.changed.set()


async def until(source, condition):
    async with asyncio.timeout(60):
        while not condition():
            source.changed.clear()
            await source.changed.wait()


def run(scenario):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


@contextlib.asynccontextmanager
async def connected(options=QUICK, tls=(None, None), watch=None):
    server = await Server().start(tls[0])
    recorder = Recorder()
    connection = WsConnection(
        server.url, recorder, number=7, options=options, tls=tls[1], draw=lambda: 0.5, watch=watch
    )
    connection.start()
    await until(recorder, lambda: recorder.log == ["open"])
    await until(server, lambda: len(server.peers) == 1)
    try:
        yield server, recorder, connection
    finally:
        await finished(server, connection)


async def finished(server, connection):
    connection.close()
    await connection.closed()
    await server.stop()


def test_text_and_binary_frames_arrive_whole_and_stamped():
    async def scenario():
        async with connected() as (server, recorder, connection):
            before_ns = monotonic_ns()
            server.peers[0].transport.send(WSMsgType.TEXT, b'{"a":1}')
            server.peers[0].transport.send(WSMsgType.BINARY, b"\x00\x01")
            await until(recorder, lambda: len(recorder.frames) == 2)
            assert [frame[:2] for frame in recorder.frames] == [
                (b'{"a":1}', True),
                (b"\x00\x01", False),
            ]
            assert before_ns <= recorder.frames[0][2] <= recorder.frames[1][2] <= monotonic_ns()
            assert connection.send_text(b"PING")
            await until(server, lambda: server.peers[0].received == [b"PING"])
            connection.close()
            await until(recorder, lambda: len(recorder.log) == 2)
            assert recorder.log == ["open", "closed by us"]

    run(scenario)


def test_fragments_are_joined():
    async def scenario():
        async with connected() as (server, recorder, _connection):
            send = server.peers[0].transport.send
            send(WSMsgType.TEXT, b"one ", fin=False)
            send(WSMsgType.CONTINUATION, b"two ", fin=False)
            send(WSMsgType.PING, b"between")
            send(WSMsgType.CONTINUATION, b"three")
            await until(recorder, lambda: recorder.frames)
            assert recorder.frames[0][:2] == (b"one two three", True)

    run(scenario)


@pytest.mark.parametrize("fragmented", [False, True])
def test_oversized_message_drops_the_link_and_dials_again(fragmented):
    async def scenario():
        async with connected() as (server, recorder, _connection):
            send = server.peers[0].transport.send
            if fragmented:
                send(WSMsgType.TEXT, b"x" * 60_000, fin=False)
                send(WSMsgType.CONTINUATION, b"x" * 60_000)
            else:
                send(WSMsgType.TEXT, b"x" * 100_001)
            await until(recorder, lambda: recorder.log.count("open") == 2)
            assert recorder.frames == []

    run(scenario)


def test_lost_link_comes_back_by_itself():
    async def scenario():
        async with connected() as (server, recorder, _connection):
            server.peers[0].transport.disconnect(graceful=False)
            await until(recorder, lambda: len(recorder.log) == 3)
            assert recorder.log == ["open", "connection lost", "open"]
            await until(server, lambda: len(server.peers) == 2)
            server.peers[1].transport.send(WSMsgType.TEXT, b"again")
            await until(recorder, lambda: recorder.frames)

    run(scenario)


def test_close_frame_of_the_server_is_reported_with_its_code():
    async def scenario():
        async with connected() as (server, recorder, _connection):
            server.peers[0].transport.send_close(1008, b"invalid subscription payload")
            await until(recorder, lambda: len(recorder.log) >= 2)
            assert "1008" in recorder.log[1]

    run(scenario)


def test_reconnect_on_request_gives_the_reason():
    async def scenario():
        async with connected() as (_server, recorder, connection):
            connection.reconnect("frozen")
            await until(recorder, lambda: len(recorder.log) == 3)
            assert recorder.log == ["open", "frozen", "open"]

    run(scenario)


def test_refused_dials_go_on_until_the_server_is_there():
    async def scenario():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        recorder = Recorder()
        url = f"ws://127.0.0.1:{port}/"
        connection = WsConnection(url, recorder, options=QUICK, draw=lambda: 0.5)
        connection.start()
        assert not connection.send_text(b"x")
        server = Server()
        server.server = await ws_create_server(lambda _request: Peer(server), "127.0.0.1", port)
        await until(recorder, lambda: recorder.log == ["open"])
        await finished(server, connection)

    run(scenario)


def test_no_delay_is_set_and_stays():
    async def scenario():
        async with connected() as (_server, _recorder, connection):
            sock = connection._transport.underlying_transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(scenario)


def test_fault_of_the_listener_reaches_the_loop_and_drops_the_link():
    async def scenario():
        async with connected() as (server, recorder, connection):
            faults = []
            asyncio.get_running_loop().set_exception_handler(
                lambda _loop, info: faults.append(info)
            )

            def broken(_connection, _payload, _is_text, _recv_ns):
                raise ZeroDivisionError

            recorder.on_frame = broken
            # The link bound the old method when it opened: make a new one.
            connection.reconnect("for the new listener")
            await until(recorder, lambda: recorder.log.count("open") == 2)
            await until(server, lambda: len(server.peers) == 2)
            server.peers[1].transport.send(WSMsgType.TEXT, b"boom")
            await until(recorder, lambda: recorder.log.count("open") == 3)
            assert isinstance(faults[0]["exception"], ZeroDivisionError)

    run(scenario)


def test_tls(tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext]):
    async def scenario():
        async with connected(tls=tls_contexts) as (server, recorder, _connection):
            server.peers[0].transport.send(WSMsgType.TEXT, b"secret")
            await until(recorder, lambda: recorder.frames)

    run(scenario)


class Peak:
    value = 0

    def max(self, value):
        self.value = max(self.value, value)


def test_wait_before_the_first_stamp_is_bounded_by_the_last_empty_poll():
    cell = Peak()
    watch = PollWatch(cell)
    watch.received(50)
    assert cell.value == 0
    watch.turned(60)
    watch.turned(100)
    watch.received(130)
    watch.received(500)
    assert cell.value == 30
    watch.turned(600)
    watch.turned(700)
    watch.received(720)
    assert cell.value == 30
    watch.turned(730)
    watch.received(800)
    assert cell.value == 100, "no empty poll lies between: it may have waited since the last one"


def test_backoff_doubles_is_jittered_and_bounded():
    draws = iter([0.0, 0.999, 0.5, 0.0, 0.999])
    backoff = Backoff(100, 400, lambda: next(draws))
    delays = [backoff.next_ns() for _ in range(4)]
    assert delays == [50, 199, 300, 200]
    backoff.reset()
    assert backoff.next_ns() == 99


@pytest.mark.parametrize("bounds", [(0, 10), (11, 10)])
def test_backoff_refuses_impossible_bounds(bounds):
    with pytest.raises(ValueError, match="delay_ns_min"):
        Backoff(*bounds, lambda: 0.5)
