"""One WebSocket connection that stays up: dial, tune, deliver frames, dial again with back-off.

Run by every process with a market or user socket, on its event loop. Knows bytes only: what is
sent on open, how often a PING is due and what a frame means is the listener's business.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from picows import WSAutoPingStrategy, WSError, WSMsgType, WSTransport, ws_connect

from lowlat.core.clock import monotonic_ns
from lowlat.net._link import FrameLink
from lowlat.net.backoff import Backoff
from lowlat.net.options import PollWatch, tune_socket

__all__ = ["WsConnection", "WsListener", "WsOptions"]

_LOG: Final = logging.getLogger(__name__)
_TEXT: Final = WSMsgType.TEXT


class WsOptions(msgspec.Struct, frozen=True):
    """Limits and times of a connection. Server pings are answered always."""

    connect_timeout_ns: int = 10_000_000_000
    """From the dial to the finished upgrade."""
    backoff_ns_min: int = 250_000_000
    backoff_ns_max: int = 30_000_000_000
    stable_ns: int = 30_000_000_000
    """A connection that lived this long resets the back-off."""
    message_bytes_max: int = 16 * 1024 * 1024
    read_buffer_bytes: int = 256 * 1024
    busy_poll_us: int = 0
    """SO_BUSY_POLL; 0 leaves it alone."""
    protocol_ping_idle_ns: int = 0
    """Send protocol pings after this much silence and drop the link when unanswered; 0 = never."""
    headers: tuple[tuple[str, str], ...] = ()


class WsListener(Protocol):
    """What a connection tells its owner. Called on the loop's thread; must not block."""

    def on_open(self, connection: "WsConnection") -> None:
        """Take note that frames can be sent now."""
        ...

    def on_frame(
        self, connection: "WsConnection", payload: bytes, is_text: bool, recv_ns: int
    ) -> None:
        """Take one whole message; ``payload`` is the owner's to keep."""
        ...

    def on_close(self, connection: "WsConnection", reason: str) -> None:
        """Take note that the link is gone; the next ``on_open`` follows by itself."""
        ...


class WsConnection:
    """One address, kept connected until ``close``. ``number`` names it in tapes and counters."""

    def __init__(
        self,
        url: str,
        listener: WsListener,
        *,
        number: int = 0,
        options: WsOptions | None = None,
        tls: ssl.SSLContext | None = None,
        draw: Callable[[], float],
        watch: PollWatch | None = None,
    ) -> None:
        self.url = url
        self.number = number
        self.options = options or WsOptions()
        self.watch = watch
        self.connects = 0
        self._listener = listener
        self._tls = tls
        self._backoff = Backoff(self.options.backoff_ns_min, self.options.backoff_ns_max, draw)
        self._transport: WSTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._reason = ""
        self._closing = False

    @property
    def is_open(self) -> bool:
        """Whether a frame can be sent."""
        return self._transport is not None

    def start(self) -> None:
        """Begin to dial, on the running loop. Starting twice is an error."""
        assert self._task is None, f"connection {self.number} was started twice"
        self._closing = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    def send_text(self, payload: bytes) -> bool:
        """Send a text frame; False when the link is down (nothing is queued)."""
        transport = self._transport
        if transport is None:
            return False
        transport.send(_TEXT, payload)
        return True

    def reconnect(self, reason: str) -> None:
        """Drop the link, if there is one, and dial again after the back-off."""
        if self._transport is not None:
            self._reason = reason
            self._transport.disconnect(graceful=False)

    def close(self) -> None:
        """Drop the link and stay down. ``on_close`` still comes when it was open."""
        self._closing = True
        if self._transport is not None:
            self._reason = "closed by us"
            self._transport.send_close()
            self._transport.disconnect()
        elif self._task is not None:
            self._task.cancel()

    async def closed(self) -> None:
        """Wait until ``close`` has done its work."""
        if self._task is not None:
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        while not self._closing:
            dialled_ns = monotonic_ns()
            try:
                transport = await self._dial()
            except (OSError, TimeoutError, WSError) as error:
                _LOG.warning(
                    "connect failed connection=%d url=%s error=%r", self.number, self.url, error
                )
            else:
                await self._wait(transport)
            if self._closing:
                return
            if monotonic_ns() - dialled_ns >= self.options.stable_ns:
                self._backoff.reset()
            await asyncio.sleep(self._backoff.next_ns() / 1e9)

    async def _wait(self, transport: WSTransport) -> None:
        try:
            await transport.wait_disconnected()
        except Exception as error:  # noqa: BLE001 - whatever broke the link, the answer is a new one
            _LOG.warning("link broke connection=%d error=%r", self.number, error)

    async def _dial(self) -> WSTransport:
        options = self.options
        ping_s = options.protocol_ping_idle_ns / 1e9
        async with asyncio.timeout(options.connect_timeout_ns / 1e9):
            transport, _ = await ws_connect(
                self._link,
                self.url,
                ssl_context=self._tls,
                websocket_handshake_timeout=None,
                enable_auto_ping=ping_s > 0,
                auto_ping_idle_timeout=ping_s or 10,
                auto_ping_reply_timeout=ping_s or 10,
                auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
                enable_auto_pong=True,
                max_frame_size=options.message_bytes_max,
                extra_headers=list(options.headers) or None,
                read_buffer_init_size=options.read_buffer_bytes,
            )
        return transport

    def _link(self) -> FrameLink:
        return FrameLink(
            self,
            self._listener.on_frame,
            self._opened,
            self._lost,
            self._failed,
            self.watch,
            self.options.message_bytes_max,
        )

    def _opened(self, transport: WSTransport) -> None:
        sock = transport.underlying_transport.get_extra_info("socket")
        if not tune_socket(sock, busy_poll_us=self.options.busy_poll_us):
            _LOG.warning("busy poll refused connection=%d", self.number)
        if self._closing:
            transport.disconnect(graceful=False)
            return
        self._transport = transport
        self._reason = ""
        self.connects += 1
        _LOG.info("connected connection=%d url=%s", self.number, self.url)
        self._listener.on_open(self)

    def _lost(self, transport: WSTransport) -> None:
        if self._transport is None:
            return
        self._transport = None
        handshake = transport.close_handshake
        # The stub says it is always there; it is None before any CLOSE frame.
        received = handshake.recv if handshake is not None else None  # type: ignore[redundant-expr]
        reason = self._reason or (
            f"closed by peer {received.code.value} {received.reason or ''}".rstrip()
            if received
            else "connection lost"
        )
        _LOG.info("disconnected connection=%d reason=%s", self.number, reason)
        self._listener.on_close(self, reason)

    def _failed(self, error: Exception) -> None:
        """Hand a fault of the listener to the loop: it is a bug, and the process decides."""
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"listener of connection {self.number} failed", "exception": error}
        )
        self.reconnect(f"listener failed: {error!r}")
