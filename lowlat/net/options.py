"""Socket options that matter for latency, and the measure of waiting before the first stamp."""

import socket
from typing import Final

from lowlat.net._link import PollWatch

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
