"""WebSocket ends on picows: frames to a pure feed and back. Run by ``server``.

What feeds send in one turn of the loop is encoded once for all sockets and leaves each of them in
one write at the end of that turn; a socket whose client does not read is dropped at a bound.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from lowlat.sim.door import Feed
from lowlat.sim.feed_session import Session

__all__ = ["FeedListener", "Outbox"]

BACKLOG_MAX_BYTES: Final = 64 << 20
"""What waits for a client that does not read. Chosen here: the venue's bound is unknown."""
TEXT: Final = 0x81
BINARY: Final = 0x82


class Outbox:
    """Frames of every socket of a server that leave at the end of this turn of the loop."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], Any]) -> None:
        self._call_soon = call_soon
        self._waiting: list[FeedListener] = []
        self._frame = b""
        self._first = 0
        self._wire = b""
        self.dropped = 0
        """Sockets that did not read."""

    def wire(self, first: int, frame: bytes) -> bytes:
        """Encode a frame; the same object for the next socket costs a comparison."""
        if frame is self._frame and first == self._first:
            return self._wire
        size = len(frame)
        if size < 126:
            head = bytes((first, size))
        elif size < 1 << 16:
            head = bytes((first, 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((first, 127)) + size.to_bytes(8, "big")
        self._frame, self._first, self._wire = frame, first, head + frame
        return self._wire

    def add(self, listener: "FeedListener") -> None:
        """Note a socket that has something to write."""
        if not self._waiting:
            self._call_soon(self._flush)
        self._waiting.append(listener)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for listener in waiting:
            self.dropped += not listener.flush()


class FeedListener(WSListener):
    """One connected client."""

    def __init__(self, feed: Feed, now_ns: Callable[[], int], outbox: Outbox) -> None:
        super().__init__()
        self._feed = feed
        self._now_ns = now_ns
        self._outbox = outbox
        self._pending: list[bytes] = []
        self._session: Session | None = None
        self._transport: WSTransport | None = None
        """None before the handshake and once nothing may be written any more."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Make the session that the feed writes to."""
        self._transport = transport
        pending, outbox = self._pending, self._outbox

        def send(frame: bytes, first: int = TEXT) -> None:
            if self._transport is None:
                return
            if not pending:
                outbox.add(self)
            pending.append(outbox.wire(first, frame))

        def close(code: int, reason: str) -> None:
            if code == 1006:
                self._transport = None
                transport.underlying_transport.abort()
            elif self._transport is not None:
                self.flush()
                self._transport = None
                # picows takes any number here; its stub only knows the registered ones.
                transport.send_close(cast("WSCloseCode", code), reason.encode())
                transport.disconnect()

        self._session = Session(send, close)
        self._session.send_binary = lambda frame: send(frame, BINARY)
        self._session.ping = transport.send_ping
        self._session.pong_ns = self._now_ns()
        self._feed.connect(self._session)

    def flush(self) -> bool:
        """Write what waits; False when the client left too much unread and was dropped."""
        transport, pending = self._transport, self._pending
        if transport is None or not pending:
            pending.clear()
            return True
        lower = transport.underlying_transport
        lower.write(b"".join(pending) if len(pending) > 1 else pending[0])
        pending.clear()
        if lower.get_write_buffer_size() <= BACKLOG_MAX_BYTES:
            return True
        self._transport = None
        lower.abort()
        return False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass text on; answer a close; a pong frame is noted by the feed."""
        assert self._session is not None
        if frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self._feed.on_text(self._session, frame.get_payload_as_bytes(), self._now_ns())
        elif frame.msg_type == WSMsgType.PONG:
            self._session.pong_ns = self._now_ns()
        elif frame.msg_type == WSMsgType.CLOSE:
            if self._transport is not None:
                self.flush()
                self._transport = None
                transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the feed."""
        del transport
        self._transport = None
        assert self._session is not None
        self._feed.disconnect(self._session)
