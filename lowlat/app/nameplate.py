"""What a process says about itself in its statistics, for whoever looks at it from outside.

Two gauges a process: whose money it trades with, and how it waits. 0 means that it never said.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from lowlat.core.ports import Cell

__all__ = ["BADGES", "hang_nameplate", "mode_of", "waiting_of"]

_MODE_GAUGE: Final = "process.mode"
_WAITING_GAUGE: Final = "process.waiting"
_MODES: Final = ("sim", "paper", "live")
_WAITINGS: Final = ("parked", "busy", "spin", "yield", "poll")
BADGES: Final = {"sim": "SIMULATED", "paper": "PAPER ON LIVE DATA", "live": "LIVE"}
"""What stands on every screen, by mode."""


class Gauges(Protocol):
    """Makes gauges by name."""

    def gauge(self, name: str) -> Cell:
        """Return the gauge of that name."""
        ...


def hang_nameplate(gauges: Gauges, mode: str, waiting: str) -> None:
    """Say once, at start, in which mode this process trades and how it waits.

    ``mode``: sim, paper, live. ``waiting``: parked, busy, spin, yield, poll.
    """
    gauges.gauge(_MODE_GAUGE).set(_MODES.index(mode) + 1)
    gauges.gauge(_WAITING_GAUGE).set(_WAITINGS.index(waiting) + 1)


def mode_of(processes: Iterable[Mapping[str, int]]) -> str:
    """Return the mode that every process says, from their gauges; '' when none or two say it."""
    said = {gauges.get(_MODE_GAUGE, 0) for gauges in processes} - {0}
    return _word(_MODES, said.pop()) if len(said) == 1 else ""


def waiting_of(gauges: Mapping[str, int]) -> str:
    """Return how a process waits; '' when it did not say."""
    return _word(_WAITINGS, gauges.get(_WAITING_GAUGE, 0))


def _word(words: tuple[str, ...], number: int) -> str:
    return words[number - 1] if 0 < number <= len(words) else ""
