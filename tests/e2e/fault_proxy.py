"""A WebSocket proxy on loopback that adds, holds back and swaps frames on their way to the engine.

Runs its own event loop in a thread, so that a test can inject from outside while the supervisor
turns in the main thread. ``inject`` sends to every open client of a feed; ``inject_raw`` writes
bytes below the WebSocket layer.
"""

import asyncio
import threading
from collections import deque

from picows import WSError, WSListener, WSMsgType, ws_connect, ws_create_server


class _Upstream(WSListener):
    """The proxy's link to the venue."""

    def __init__(self, client):
        super().__init__()
        self.client = client
        self.transport = None

    def on_ws_connected(self, transport):
        self.transport = transport
        for kind, payload in self.client.waiting:
            transport.send(kind, payload)
        self.client.waiting.clear()

    def on_ws_frame(self, transport, frame):
        kind = frame.msg_type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            self.client.deliver(kind, frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport):
        self.transport = None
        self.client.drop()


class _Client(WSListener):
    """The engine's link to the proxy."""

    def __init__(self, feed, path):
        super().__init__()
        self.feed = feed
        self.path = path
        self.transport = None
        self.upstream = None
        self.waiting = []
        self.held = deque()

    def on_ws_connected(self, transport):
        self.transport = transport
        self.feed.clients.append(self)
        self.task = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self):
        url = self.feed.origin + self.path
        try:
            _, self.upstream = await ws_connect(
                lambda: _Upstream(self), url, websocket_handshake_timeout=60
            )
        except (OSError, WSError):
            # The venue did not answer: the engine hears of it and dials again.
            self.drop()

    def on_ws_frame(self, transport, frame):
        kind = frame.msg_type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            payload = frame.get_payload_as_bytes()
            if self.upstream is None or self.upstream.transport is None:
                self.waiting.append((kind, payload))
            else:
                self.upstream.transport.send(kind, payload)
        elif kind == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport):
        self.transport = None
        if self in self.feed.clients:
            self.feed.clients.remove(self)
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.disconnect()

    def drop(self):
        if self.transport is not None:
            self.transport.disconnect()

    def deliver(self, kind, payload):
        feed = self.feed
        feed.seen.append(payload)
        if feed.swaps > 0 and payload != b"PONG":
            self.held.append((kind, payload))
            if len(self.held) < 2:
                return
            feed.swaps -= 1
            late = self.held.popleft()
            self.send(*self.held.popleft())
            self.send(*late)
            return
        while self.held:
            self.send(*self.held.popleft())
        self.send(kind, payload)

    def send(self, kind, payload):
        if self.transport is not None:
            self.transport.send(kind, payload)


class _Feed:
    def __init__(self, origin):
        self.origin = origin
        self.clients = []
        self.swaps = 0
        self.seen = deque(maxlen=500)


class FaultProxy:
    """Proxies of several origins, by name. ``urls`` says where each listens."""

    def __init__(self, origins):
        self._feeds = {name: _Feed(origin) for name, origin in origins.items()}
        self._ready = threading.Event()
        self.urls = {}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    def _serve(self):
        asyncio.run(self._main())

    async def _main(self):
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        servers = []
        for name, feed in self._feeds.items():
            server = await ws_create_server(
                lambda request, feed=feed: _Client(feed, request.path.decode()), "127.0.0.1", 0
            )
            servers.append(server)
            self.urls[name] = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        for feed in self._feeds.values():
            for client in list(feed.clients):
                client.drop()
        for server in servers:
            server.close()
        await asyncio.sleep(0.05)

    def _call(self, function):
        """Run in the proxy's loop and return the result."""

        async def run():
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def clients(self, name, path=""):
        return self._call(
            lambda: sum(each.path.startswith(path) for each in self._feeds[name].clients)
        )

    def inject(self, name, payload, *, path="", kind=WSMsgType.TEXT):
        """Send one frame to every client whose path begins so; return how many got it."""

        def send():
            found = [each for each in self._feeds[name].clients if each.path.startswith(path)]
            for each in found:
                each.send(kind, payload)
            return len(found)

        return self._call(send)

    def inject_raw(self, name, data, *, path=""):
        """Write bytes that are no WebSocket frame."""

        def send():
            found = [each for each in self._feeds[name].clients if each.path.startswith(path)]
            for each in found:
                each.transport.underlying_transport.write(data)
            return len(found)

        return self._call(send)

    def swap(self, name, pairs):
        """Exchange the order of the next frames, two by two."""

        def start():
            self._feeds[name].swaps = pairs

        self._call(start)

    def swaps_left(self, name):
        return self._call(lambda: self._feeds[name].swaps)

    def seen(self, name):
        """Return the last frames of the venue."""
        return self._call(lambda: list(self._feeds[name].seen))

    def close(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()
