"""The user channel of one account: subscribe first, ping, hand every frame to the executor."""

from typing import Final

from lowlat.core.ports import Clock
from lowlat.execution.inbox import Inbox
from lowlat.feeds.ports import Connection, Dial
from lowlat.venues.polymarket.auth import ApiCredentials
from lowlat.venues.polymarket.user import subscribe_frame

__all__ = ["UserChannel"]

_PING: Final = b"PING"
_PONG: Final = b"PONG"
_PING_NS: Final = 10_000_000_000
_PONG_LIMIT_NS: Final = 30_000_000_000
"""Source: polymarket.md 8.1: PING every 10 s, dead after 30 s without PONG."""


class UserChannel:
    """Engine of one user socket. Runs in the executor's process: the first frame is a secret."""

    name: Final = "user"

    def __init__(self, dial: Dial, inbox: Inbox, credentials: ApiCredentials, clock: Clock) -> None:
        self._dial = dial
        self._inbox = inbox
        self._credentials = credentials
        self._now_ns = clock.monotonic_ns
        self._connection: Connection | None = None
        self._ping_due_ns = 0
        self._pong_ns = 0
        self.is_open = False

    def start(self) -> None:
        """Dial."""
        self._connection = self._dial(self, 0)

    def turn(self, now_ns: int) -> int:
        """Ping, and drop a link that stopped to answer."""
        if not self.is_open or now_ns < self._ping_due_ns:
            return 0
        assert self._connection is not None
        self._ping_due_ns = now_ns + _PING_NS
        if now_ns - self._pong_ns > _PONG_LIMIT_NS:
            self._connection.reconnect("no PONG")
            return 1
        self._connection.send_text(_PING)
        return 1

    def close(self) -> None:
        """Drop the link."""
        if self._connection is not None:
            self._connection.close()

    def on_open(self, connection: Connection) -> None:
        """Subscribe, then let the executor read what was missed."""
        now_ns = self._now_ns()
        self.is_open = True
        self._pong_ns = now_ns
        self._ping_due_ns = now_ns + _PING_NS
        connection.send_text(subscribe_frame(self._credentials))
        self._inbox.on_user_connected(now_ns)

    def on_frame(self, connection: Connection, payload: bytes, is_text: bool, recv_ns: int) -> None:
        """Hand a frame over; the executor counts what it cannot read."""
        del connection, is_text
        if payload == _PONG:
            self._pong_ns = recv_ns
        else:
            self._inbox.on_user_frame(payload, recv_ns)

    def on_close(self, connection: Connection, reason: str) -> None:
        """Tell the executor that fills come late from here on."""
        del connection, reason
        if self.is_open:
            self.is_open = False
            self._inbox.on_user_disconnected(self._now_ns())
