"""Trades prediction markets at low latency. ``attach(instance)`` reads a running one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowlat.shm.attach import Attached

__all__ = ["attach"]


def attach(instance: str) -> "Attached":
    """Open a running or dead instance for reading, without its help (see lowlat.shm.attach)."""
    # Imported on use: the command line must start fast and most of it never reads segments.
    from lowlat.shm.attach import attach as open_instance  # noqa: PLC0415

    return open_instance(instance)
