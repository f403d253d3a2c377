"""WebSocket ends on picows: frames to a pure feed and back. Run by ``server``."""

from collections.abc import Callable
from typing import cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from lowlat.sim.door import Feed
from lowlat.sim.feed_session import Session

__all__ = ["FeedListener"]


class FeedListener(WSListener):
    """One connected client."""

    def __init__(self, feed: Feed, now_ns: Callable[[], int]) -> None:
        super().__init__()
        self._feed = feed
        self._now_ns = now_ns
        self._session: Session | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Make the session that the feed writes to."""

        def send(frame: bytes) -> None:
            if not transport.is_close_frame_sent:
                transport.send(WSMsgType.TEXT, frame)

        def send_binary(frame: bytes) -> None:
            if not transport.is_close_frame_sent:
                transport.send(WSMsgType.BINARY, frame)

        def close(code: int, reason: str) -> None:
            if code == 1006:
                transport.underlying_transport.abort()
            elif not transport.is_close_frame_sent:
                # picows takes any number here; its stub only knows the registered ones.
                transport.send_close(cast("WSCloseCode", code), reason.encode())
                transport.disconnect()

        self._session = Session(send, close)
        self._session.send_binary = send_binary
        self._session.ping = transport.send_ping
        self._session.pong_ns = self._now_ns()
        self._feed.connect(self._session)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass text on; answer a close; a pong frame is noted by the feed."""
        assert self._session is not None
        if frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self._feed.on_text(self._session, frame.get_payload_as_bytes(), self._now_ns())
        elif frame.msg_type == WSMsgType.PONG:
            self._session.pong_ns = self._now_ns()
        elif frame.msg_type == WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the feed."""
        del transport
        assert self._session is not None
        self._feed.disconnect(self._session)
