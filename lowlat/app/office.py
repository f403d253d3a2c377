"""What the supervisor writes: the instance's segments, its own cells, the note of who runs.

Written by the supervisor only. ``halt`` is its halt cell: new orders stop while it is not NONE.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lowlat.app.names import HALT_GAUGE, HOLD_GAUGE, RESUMES, SUPERVISOR, generation_word
from lowlat.app.seat import HaltCode
from lowlat.app.state import ChildRecord, save_children
from lowlat.core.clock import monotonic_ns
from lowlat.shm.attachment import Attachment
from lowlat.shm.layouts import StatsShape
from lowlat.shm.segments import Cleaned, SegmentSet, create_segments
from lowlat.shm.stats import StatsWriter

__all__ = ["ChildNotes", "Office"]

_OWN_STATS: Final = StatsShape(counters=256, histograms=2, errors=16)
_AGAIN_NS: Final = 1_000_000_000
"""Between two tries of what a full disk refused."""
_log: Final = logging.getLogger(__name__)


class Office:
    """The segments of an instance and the supervisor's place among them."""

    def __init__(self, instance: str, options: Mapping[str, Any]) -> None:
        """``options``: more arguments of ``create_segments`` (sizes)."""
        self._instance = instance
        self._options = dict(options)
        self._set: SegmentSet | None = None
        self._attachment: Attachment | None = None
        self.stats: StatsWriter | None = None
        """Own cells; None while nobody is in office."""
        self.code = HaltCode.STARTING
        """What the halt cell says now."""

    @property
    def is_open(self) -> bool:
        """Whether the segments are ours."""
        return self._set is not None

    def make(self, shapes: Mapping[str, StatsShape]) -> None:
        """Make the segments, or take over those of a dead supervisor.

        ``shapes``: of the children's statistics. Raises SegmentError when another one runs.
        """
        stats = {SUPERVISOR: _OWN_STATS, **shapes}
        self._set = create_segments(self._instance, stats=stats, **self._options)

    def enter(self, children: Iterable[str]) -> StatsWriter:
        """Take the supervisor's own cells; return them."""
        assert self._set is not None, "make was not called"
        self._attachment = Attachment(self._instance, SUPERVISOR)
        self.stats = self._attachment.open_stats()
        if self._set.warning:
            _log.warning("memory lock: %s", self._set.warning)
        self.halt(HaltCode.STARTING)
        # Children look these up when they start: they exist from the first moment.
        self.stats.gauge(HOLD_GAUGE)
        if not self.stats.gauge(RESUMES).value:
            self.stats.gauge(RESUMES).set(1)
        for name in children:
            self.stats.gauge(generation_word(name))
        return self.stats

    def beat(self) -> None:
        """Say that the supervisor lives."""
        if self.stats is not None:
            self.stats.heartbeat.set(monotonic_ns())

    def halt(self, code: HaltCode) -> None:
        """Set the halt cell."""
        if code != self.code:
            _log.info("halt code=%s", code.name)
        self.code = code
        if self.stats is not None:
            self.stats.gauge(HALT_GAUGE).set(int(code))

    def leave(self, *, unlink: bool = False) -> Cleaned:
        """Give up the cells and the segments; with ``unlink`` nobody finds them any more."""
        done = Cleaned()
        self.stats = None
        if self._attachment is not None:
            self._attachment.close()
            self._attachment = None
        if self._set is not None:
            if unlink:
                done = self._set.unlink()
            else:
                self._set.close()
            self._set = None
        return done


class ChildNotes:
    """The note of who runs, for a later supervisor; on a full disk tried until it is taken."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._due_ns = 0
        """When to note again, after the disk refused; 0: it is noted."""

    def is_due(self, now_ns: int) -> bool:
        """Whether a note that was refused is to be tried again."""
        return bool(self._due_ns) and now_ns >= self._due_ns

    def write(self, records: Iterable[ChildRecord]) -> None:
        """Note who runs now."""
        try:
            save_children(self._instance, records)
        except OSError as error:
            if not self._due_ns:
                _log.error("children not noted error=%s; tried again", error.strerror)
            self._due_ns = monotonic_ns() + _AGAIN_NS
            return
        if self._due_ns:
            _log.info("children noted")
        self._due_ns = 0
