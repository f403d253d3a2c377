"""What feed engines are given instead of sockets: connections, fetches, tapes, error notes.

``lowlat.net`` has the real ones (``WsConnection``, ``HttpClient``), tests and worlds their own.
"""

from collections.abc import Callable
from typing import Protocol

from lowlat.core.ports import Cell

__all__ = ["Connection", "Counters", "Dial", "Fetch", "FetchDone", "FrameTape", "Listener", "Note"]


class Connection(Protocol):
    """One socket that its owner keeps alive; ``number`` is the engine's name for it."""

    @property
    def number(self) -> int:
        """The number it was dialled with."""
        ...

    def send_text(self, payload: bytes) -> bool:
        """Send a text frame; False when the link is down."""
        ...

    def reconnect(self, reason: str) -> None:
        """Drop the link; a new one follows after the back-off."""
        ...

    def close(self) -> None:
        """Drop the link and stay down."""
        ...


class Listener(Protocol):
    """The engine's side of its connections."""

    def on_open(self, connection: Connection) -> None:
        """Take note that frames can be sent."""
        ...

    def on_frame(self, connection: Connection, payload: bytes, is_text: bool, recv_ns: int) -> None:
        """Take one message."""
        ...

    def on_close(self, connection: Connection, reason: str) -> None:
        """Take note that the link is gone."""
        ...


class Dial(Protocol):
    """Opens connections: starts to dial at once, reports to the listener."""

    def __call__(self, listener: Listener, number: int) -> Connection:
        """Return the connection with that number; it opens in a later turn."""
        ...


FetchDone = Callable[[int, bytes, int], None]
"""``(status, body, recv_ns)``; status 0 means that no answer came."""


class Fetch(Protocol):
    """Asks one REST host; every accepted request is answered exactly once, in a later turn."""

    def __call__(self, path: str, done: FetchDone, body: bytes | None = None) -> bool:
        """Queue ``GET path``, or ``POST path`` of a JSON body; False: full, nothing will come.

        Only for what reads: it may be sent twice.
        """
        ...


class FrameTape(Protocol):
    """Takes raw frames for the tape; never fails, drops and counts when it must."""

    def put(self, payload: bytes, recv_ns: int, connection: int, direction: int) -> None:
        """Copy one frame (direction 0 received, 1 sent)."""
        ...


Counters = Callable[[str], Cell]
"""Returns the counter of a name; asked once for each at construction."""

Note = Callable[[str, str], None]
"""Takes the kind of a fault and a sample of it, for the table of distinct errors."""
