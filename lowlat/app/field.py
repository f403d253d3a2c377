"""What the supervisor says to processes, and what they say back, as words in shared memory."""

from typing import Final

from lowlat.app.names import GENERATION, HALT_GAUGE, HOLD_GAUGE, RESUMES, generation_word
from lowlat.app.rollout import Acks
from lowlat.app.steering import REFUSED, RESUMED
from lowlat.app.supervisor import ChildState, Supervisor
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm import _core
from lowlat.shm.memory import open_segment
from lowlat.shm.stats import StatsReader, StatsWriter

__all__ = ["SharedField"]

_HELD: Final = 1


class SharedField:
    """Words of the supervisor's own statistics, and gauges of every process."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._stats: StatsWriter | None = None

    def opened(self, stats: StatsWriter) -> None:
        """Write into these cells from here on."""
        self._stats = stats

    def told(self, process: str) -> int:
        """Return what the word of a process says."""
        return self._cells.gauge(generation_word(process)).value

    def tell(self, process: str, generation: int) -> None:
        """Set the word of a process."""
        self._cells.gauge(generation_word(process)).set(generation)

    def hold(self, on: bool) -> None:
        """Make new orders wait, or no longer."""
        self._cells.gauge(HOLD_GAUGE).set(_HELD if on else 0)

    @property
    def held(self) -> bool:
        """Whether new orders wait between two generations."""
        return self._cells.gauge(HOLD_GAUGE).value != 0

    def bump_resumes(self) -> int:
        """Tell every process that a person lifted halts; return which time this is."""
        resumes = self._cells.gauge(RESUMES)
        resumes.add(1)
        return resumes.value

    def acks(self, process: str) -> Acks | None:
        """Return what a process says; None for one that need not say anything.

        One that is not ready asks at its start, one without the gauge changes nothing live.
        """
        generation = self.gauge(process, GENERATION) if self.is_ready(process) else None
        if generation is None:
            return None
        return Acks(generation, self.gauge(process, REFUSED) or 0)

    def resumed(self, process: str) -> int | None:
        """Return the last resume that a ready process obeyed, None for one that is not ready."""
        return self.gauge(process, RESUMED) if self.is_ready(process) else None

    def halt_of(self, process: str) -> int:
        """Return a process' own halt cell."""
        return self.gauge(process, HALT_GAUGE) or 0

    def is_ready(self, process: str) -> bool:
        """Whether a process is at work."""
        return any(
            each.name == process and each.state is ChildState.READY
            for each in self._supervisor.status()
        )

    def gauge(self, process: str, name: str) -> int | None:
        """Read a gauge of a process; None when it has no such gauge (yet)."""
        try:
            # Opened each time: a child that comes back may replace its segment.
            segment = open_segment(self._supervisor.instance, f"stats.{process}", wait_ns=0)
            memory, offset = StatsReader(segment).word(name)
        except (SegmentError, LayoutError):
            return None
        return _core.Cell(memory, offset, writable=False).value

    @property
    def _cells(self) -> StatsWriter:
        assert self._stats is not None, "the supervisor is not open"
        return self._stats
