"""Order connections that end in ourselves: what is sent there keeps the way out in the caches.

An order is nearly all that a quiet engine sends, and the first send after milliseconds of quiet
takes two to three times as long as the next: TCP's code and data have left the core's caches by
then. For processes that never sleep; one that sleeps loses its caches anyway.
"""

import socket
import ssl
from collections.abc import Callable
from typing import Final

from lowlat.core.ports import SENT
from lowlat.net._answers import AnswerReader
from lowlat.net._gate import HotConnection, HotSender, SendGate
from lowlat.net._tls import send_tls
from lowlat.net.backoff import Backoff
from lowlat.net.options import tune_socket

__all__ = ["WarmLine", "WarmSends"]

_REQUEST_BYTES: Final = 1_200
"""Of an order with its headers: a longer copy would be another way through the kernel."""
_ROOM_BYTES: Final = 16_384
_EVERY_NS: Final = 1_000_000

Secure = Callable[[socket.socket, socket.socket], tuple[socket.socket, socket.socket]]


class WarmLine(HotSender):
    """One connection to ourselves, written as those to the venue are."""

    def __init__(self, secure: Secure | None = None) -> None:
        """Connect over loopback; ``secure`` takes both ends over into TLS, where the venue has it.

        OSError when there is no way.
        """
        self._out: socket.socket
        self._in: socket.socket
        with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
            self._out = socket.create_connection(server.getsockname())
            self._in, _ = server.accept()
        for end in (self._out, self._in):
            tune_socket(end)
            end.setblocking(False)
        if secure is not None:
            self._out, self._in = secure(self._out, self._in)
        self.bind(SendGate([], []), None if secure is None else send_tls, self._retire)
        self._line: Final = HotConnection(AnswerReader(0), Backoff(1, 1, lambda: 0.0))
        self._line.sock = self._out
        self._line.fd = self._out.fileno()
        self._line.state = HotConnection.IDLE
        self._room: Final = bytearray(_ROOM_BYTES)
        self._idle.append(self._line)

    def take_back(self) -> int:
        """Read what was sent and be idle again; return its key, -1 when nothing was under way."""
        if self._line.state != HotConnection.BUSY:
            return -1
        try:
            self._in.recv_into(self._room)
        except (BlockingIOError, ssl.SSLWantReadError):
            return -1
        except OSError:
            self._retire(self._line)
            return -1
        self._busy.clear()
        self._line.state = HotConnection.IDLE
        self._idle.append(self._line)
        return self._line.key

    @property
    def usable(self) -> bool:
        """Whether it still leads anywhere."""
        return self._line.state != HotConnection.DOWN

    def _retire(self, line: HotConnection) -> None:
        self._busy.clear()
        line.state = HotConnection.DOWN

    def close(self) -> None:
        """Close both ends."""
        self._idle.clear()
        self._retire(self._line)
        self._out.close()
        self._in.close()


class WarmSends:
    """Engine that sends as many bytes as an order has to ourselves, each millisecond."""

    name = "warm"

    def __init__(self, line: WarmLine) -> None:
        self._line = line
        self._bytes: Final = bytes(_REQUEST_BYTES)
        self._due_ns = 0

    def start(self) -> None:
        """Begin with the first turn."""

    def turn(self, now_ns: int) -> int:
        """Send when due; what it does is no work."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _EVERY_NS
            self._line.take_back()
            if self._line.idle() and self._line.send(self._bytes, 0, urgent=True) == SENT:
                self._line.take_back()
        return 0

    def close(self) -> None:
        """End the connection."""
        self._line.close()
