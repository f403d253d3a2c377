"""What every simulated socket is: ways to send, ping and close, and what its client asked for."""

from collections.abc import Callable

__all__ = ["Session"]


class Session:
    """One connected client as the pure feeds see it; the server or a test supplies the ends."""

    __slots__ = (
        "close",
        "custom",
        "key",
        "ping",
        "pong_ns",
        "ready",
        "send",
        "send_binary",
        "subscriptions",
    )

    def __init__(self, send: Callable[[bytes], None], close: Callable[[int, str], None]) -> None:
        self.send = send
        """Send one text frame."""
        self.send_binary = send
        """Send one binary frame."""
        self.close = close
        """Send a close frame with code and reason, then disconnect; 1006 just drops the line."""
        self.ping: Callable[[bytes], None] = lambda _: None
        """Send a ping frame."""
        self.pong_ns = 0
        """When the last pong frame came."""
        self.subscriptions: set[str] = set()
        self.ready = False
        """True after the first valid subscription."""
        self.custom = False
        self.key = ""
