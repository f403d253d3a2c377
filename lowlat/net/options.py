"""Socket options that matter for latency, and the measure of waiting before the first stamp."""

import socket
from typing import Final

from lowlat.core.ports import Cell

__all__ = ["PollWatch", "tune_socket"]

SO_BUSY_POLL: Final = 46
"""Linux ``asm-generic/socket.h``; Python has no name for it. Source: ipc.md 15."""


def tune_socket(sock: socket.socket, *, busy_poll_us: int = 0) -> bool:
    """Set TCP_NODELAY, and SO_BUSY_POLL when asked; return False when the latter was refused.

    Busy polling beyond ``net.core.busy_poll`` needs CAP_NET_ADMIN: a refusal costs speed only.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not busy_poll_us:
        return True
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, busy_poll_us)
    except OSError:
        return False
    return True


class PollWatch:
    """Bound how long bytes waited before their first stamp: receive minus the last empty poll.

    The loop calls ``turned`` once an iteration, every connection ``received`` once a frame. A
    frame cannot have waited longer than since the last iteration that found no frame.
    """

    __slots__ = ("_empty_ns", "_frames", "_frames_before", "_wait_ns_max")

    def __init__(self, wait_ns_max: Cell) -> None:
        self._wait_ns_max = wait_ns_max
        self._frames = 0
        self._frames_before = 0
        self._empty_ns = 0

    @property
    def empty_ns(self) -> int:
        """When the sockets were last seen empty (0: not yet)."""
        return self._empty_ns

    def received(self, recv_ns: int) -> None:
        """Take note of a frame; only the first one since the last empty poll is measured."""
        if self._frames == self._frames_before and self._empty_ns:
            self._wait_ns_max.max(recv_ns - self._empty_ns)
        self._frames += 1

    def turned(self, now_ns: int) -> None:
        """End an iteration of the loop: without a frame in it, the sockets were empty."""
        if self._frames == self._frames_before:
            self._empty_ns = now_ns
        else:
            self._frames_before = self._frames
