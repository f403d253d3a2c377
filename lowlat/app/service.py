"""What the supervisor's loop serves besides its children: control socket, notifier, live proof."""

from typing import Protocol

from lowlat.shm.stats import StatsWriter

__all__ = ["Service"]


class Service(Protocol):
    """Something that is turned with the supervisor."""

    def opened(self, stats: StatsWriter) -> None:
        """Take the supervisor's cells, each time segments were made and before a child starts."""
        ...

    def descriptors(self) -> list[int]:
        """Return what to wake up for."""
        ...

    def turn(self, now_ns: int) -> None:
        """Do what is due; never blocks."""
        ...
