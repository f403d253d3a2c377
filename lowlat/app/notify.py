"""What a service manager is told: READY, a sign of life from the supervisor's loop, a status line.

The protocol is one datagram a message to ``$NOTIFY_SOCKET``. Source: sd_notify(3),
sd_watchdog_enabled(3). Without that variable nobody asked and nothing is sent.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

from lowlat.shm.stats import StatsWriter

__all__ = ["Notifier"]

_NS_PER_US: Final = 1_000
_STATUS_EVERY_NS: Final = 1_000_000_000
_log: Final = logging.getLogger(__name__)


class Notifier:
    """Tells the manager; serve it in the supervisor's loop, which is what the watchdog watches."""

    def __init__(
        self, status: Callable[[], str], environment: Mapping[str, str] | None = None
    ) -> None:
        """``status`` returns the line to show; it is asked once a second."""
        found = os.environ if environment is None else environment
        self._status = status
        self._address = _address(found.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        # Half the time it allows, as the manual advises.
        self._beat_every_ns = _watchdog_us(found) * _NS_PER_US // 2
        self._beat_due_ns = 0
        self._status_due_ns = 0
        self._shown = ""
        self.lost = 0
        """Messages that the manager did not take."""

    def opened(self, stats: StatsWriter) -> None:
        """Need no cell."""

    def descriptors(self) -> list[int]:
        """Return nothing: nobody answers."""
        return []

    def turn(self, now_ns: int) -> None:
        """Say that the loop turns, and what there is to show."""
        if self._socket is None:
            return
        if self._beat_every_ns and now_ns >= self._beat_due_ns:
            self._beat_due_ns = now_ns + self._beat_every_ns
            self._send("WATCHDOG=1")
        if now_ns >= self._status_due_ns:
            self._status_due_ns = now_ns + _STATUS_EVERY_NS
            status = " ".join(self._status().split())
            if status != self._shown:
                self._shown = status
                self._send(f"STATUS={status}")

    def ready(self) -> None:
        """Say that everybody works."""
        self._send(f"READY=1\nMAINPID={os.getpid()}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError as error:
            # A manager that does not listen is no reason to stop trading; its watchdog decides.
            self.lost += 1
            if self.lost == 1:
                _log.warning("notify failed error=%s", error.strerror)


def _address(text: str) -> str:
    """Return the socket's address; ``@`` stands for the NUL of an abstract one."""
    return "\0" + text[1:] if text.startswith("@") else text


def _watchdog_us(environment: Mapping[str, str]) -> int:
    """Return how long the manager waits for a sign of life, 0 when it does not wait for ours."""
    text, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not text.isdigit() or (pid and pid != str(os.getpid())):
        return 0
    return int(text)
