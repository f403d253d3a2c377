"""Whatever dials a venue verifies who answers: a stranger's certificate gets no byte of ours.

The server below shows a certificate that no authority signed. Every way out of a process is tried:
order connections, REST, sockets, and the blocking calls of commands. With that certificate in
``certificate_file`` the same ways work, so it is the verification that keeps them out.
"""

import asyncio
import http.client
import socket
import ssl
import threading
from contextlib import closing

import pytest
from config_text import GOOD

from lowlat.app.config import EngineConfig
from lowlat.app.ends import RealEnds, Sockets
from lowlat.app.venue_calls import VenueCalls
from lowlat.core.clock import monotonic_ns
from lowlat.core.config import decode_config
from lowlat.net._gate import SendGate
from lowlat.sim.tls import server_context

WAYS = ("orders", "gamma", "market_ws", "user_ws", "calls")
DEADLINE_NS = 20_000_000_000


class Stranger:
    """Accepts everybody and counts who was taken in."""

    def __init__(self, folder):
        self.context, self.certificate = server_context(str(folder))
        self.refused, self.heard = 0, b""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            plain.settimeout(5)
            try:
                with self.context.wrap_socket(plain, server_side=True) as taken_in:
                    self.heard += taken_in.recv(4096)
            except ssl.SSLError:
                self.refused += 1
            except OSError:
                plain.close()

    def close(self):
        # A thread that waits in accept is not woken by closing what it waits on.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)


class Listener:
    def on_open(self, connection):
        connection.send_text(b"hello")

    def on_frame(self, *_):
        pass

    def on_close(self, *_):
        pass


@pytest.fixture
def stranger(tmp_path):
    with closing(Stranger(tmp_path)) as found:
        yield found


async def dial(config, way, done):
    ends = RealEnds(config, None, SendGate([], []), lambda *_: None)
    if way == "orders":
        assert ends.orders is ends.pool
    elif way == "gamma":
        assert ends.gamma("/markets", lambda *_: None)
    else:
        getattr(ends, way)(Listener(), 0)
    engine = Sockets(ends)
    engine.start()
    due_ns = monotonic_ns() + DEADLINE_NS
    try:
        while not done():
            assert monotonic_ns() < due_ns, f"{way} neither came in nor was kept out"
            engine.turn(monotonic_ns())
            await asyncio.sleep(0.001)
    finally:
        engine.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_that_nobody_signed_gets_no_byte(stranger, way, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for trusted in (False, True):
        certificate = stranger.certificate if trusted else ""
        if way == "calls":
            calls = VenueCalls(f"https://127.0.0.1:{stranger.port}", certificate)
            # Trusted, the stranger hangs up behind the request.
            with pytest.raises((OSError, http.client.HTTPException)) as raised:
                calls.get("/time")
            assert isinstance(raised.value, ssl.SSLCertVerificationError) is not trusted
        else:
            text = GOOD.replace("http://", "https://").replace("ws://", "wss://")
            text = text.replace("127.0.0.1:1", f"127.0.0.1:{stranger.port}")
            text = text.replace("[endpoints]", f'[endpoints]\ncertificate_file = "{certificate}"')
            config = decode_config(text, EngineConfig)
            refused = stranger.refused
            asyncio.run(
                dial(
                    config,
                    way,
                    (lambda: stranger.heard) if trusted else lambda r=refused: stranger.refused > r,
                )
            )
        if not trusted:
            assert stranger.heard == b""
            assert stranger.refused >= (way != "calls")
