"""The one clock. Real time for processes, a settable cell for worlds, replays and tests."""

from lowlat.core import _clock

__all__ = ["RealClock", "VirtualClock", "monotonic_ns", "wall_ns"]

monotonic_ns = _clock.monotonic_ns
wall_ns = _clock.wall_ns
RealClock = _clock.RealClock


class VirtualClock:
    """A clock that moves only when told. Monotonic never goes back; wall may step."""

    def __init__(
        self, monotonic_start_ns: int = 1, wall_start_ns: int = 1_795_305_600_000_000_000
    ) -> None:
        self._monotonic_ns = monotonic_start_ns
        self._wall_offset_ns = wall_start_ns - monotonic_start_ns

    def monotonic_ns(self) -> int:
        """Return the virtual monotonic time."""
        return self._monotonic_ns

    def wall_ns(self) -> int:
        """Return the virtual wall time."""
        return self._monotonic_ns + self._wall_offset_ns

    def advance(self, by_ns: int) -> None:
        """Move both clocks forward."""
        assert by_ns >= 0, f"clock was moved by {by_ns} ns"
        self._monotonic_ns += by_ns

    def step_wall(self, by_ns: int) -> None:
        """Step the wall clock alone, as a bad NTP server would."""
        self._wall_offset_ns += by_ns
