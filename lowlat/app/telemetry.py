"""What every process of an instance counted, read from outside. Slows nobody down.

Statistics are cells in shared memory: reading them is copying. Histograms of times become
``{stage: {count, p50, p99, p999, max}}``; the stage is the name without ``latency.`` before and
``_ns`` behind it, and processes that time the same stage are added up. Values only grow, also over
restarts; when a segment itself was made anew (after a reboot) what the old one held is carried on
here, so that a run's totals stay true.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm.header import State
from lowlat.shm.histograms import HistogramView
from lowlat.shm.locks import Identity, probe_lock
from lowlat.shm.memory import open_segment
from lowlat.shm.places import segment_file, segment_names
from lowlat.shm.stats import ErrorView, Metric, Snapshot, StatsReader

__all__ = ["LATENCY_PREFIX", "Life", "Reading", "Telemetry", "latency_table"]

LATENCY_PREFIX: Final = "latency."
_STATS: Final = "stats."
_TURN_NS: Final = "loop.turn_ns"


@dataclass(frozen=True, slots=True)
class Life:
    """The process behind a statistics segment."""

    state: State
    writer: Identity | None
    """Who wrote last, None when nobody did yet."""
    alive: bool
    """Whether it holds its segment now. READY and not alive: it crashed."""
    epoch: int
    """Which life of this process it is, from 1."""
    heartbeat_ns: int
    """0 when its loop has not turned yet."""
    busy_ns: int
    """Time its loop spent in turns that did something; only grows."""


@dataclass(slots=True)
class Reading:
    """Everything all processes counted, at about one moment."""

    at_ns: int
    counters: dict[str, int] = field(default_factory=dict)
    """By name, added up over processes and lives."""
    gauges: dict[str, dict[str, int]] = field(default_factory=dict)
    """By process and name: gauges of two processes mean two things."""
    histograms: dict[str, HistogramView] = field(default_factory=dict)
    errors: dict[str, list[ErrorView]] = field(default_factory=dict)
    """Distinct errors by process."""
    errors_dropped: int = 0
    lives: dict[str, Life] = field(default_factory=dict)

    def counter(self, name: str) -> int:
        """Return a counter, 0 when nobody has it."""
        return self.counters.get(name, 0)

    def total(self, suffix: str) -> int:
        """Add up every counter whose last word is suffix (``total("frames")``)."""
        end = "." + suffix
        return sum(v for name, v in self.counters.items() if name == suffix or name.endswith(end))

    def rates(self, earlier: "Reading") -> dict[str, float]:
        """Return how much each counter grew a second since an earlier reading."""
        seconds = (self.at_ns - earlier.at_ns) / 1e9
        if seconds <= 0:
            return {}
        return {
            name: (value - earlier.counter(name)) / seconds for name, value in self.counters.items()
        }

    def since(self, earlier: "Reading") -> dict[str, HistogramView]:
        """Return each histogram's values recorded after an earlier reading."""
        return {
            name: view.since(earlier.histograms[name]) if name in earlier.histograms else view
            for name, view in self.histograms.items()
        }

    def latency_ns(self) -> dict[str, dict[str, int]]:
        """Return percentiles by stage of everything recorded so far."""
        return latency_table(self.histograms)

    def hit_rate(self) -> float | None:
        """Return the share of sent orders that were signed ahead; None before the first."""
        hits, misses = self.total("template_hits"), self.total("template_misses")
        return hits / (hits + misses) if hits + misses else None


def latency_table(histograms: dict[str, HistogramView]) -> dict[str, dict[str, int]]:
    """Return ``{stage: {count, p50, p99, p999, max}}`` of the histograms with values."""
    return {
        name.removeprefix(LATENCY_PREFIX).removesuffix("_ns"): {
            "count": view.count,
            "p50": view.percentile_ns(50),
            "p99": view.percentile_ns(99),
            "p999": view.percentile_ns(99.9),
            "max": view.max_ns,
        }
        for name, view in sorted(histograms.items())
        if view.count
    }


class _Source:
    """One statistics segment, as long as its name leads to it."""

    def __init__(self, instance: str, name: str) -> None:
        self.inode = os.stat(segment_file(instance, name)).st_ino
        self._segment = open_segment(instance, name)
        self.reader = StatsReader(self._segment)

    def life(self, snapshot: Snapshot) -> Life:
        """Describe the process that writes here."""
        segment = self._segment
        turns = snapshot.histograms.get(_TURN_NS)
        return Life(
            segment.state,
            segment.writer,
            probe_lock(segment.header.run_dir, segment.name) is not None,
            snapshot.epoch,
            snapshot.heartbeat_ns,
            turns.sum_ns if turns is not None else 0,
        )


class Telemetry:
    """Reads the statistics of every process of an instance, across restarts and reboots."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._sources: dict[str, _Source] = {}
        self._past_counters: Counter[str] = Counter()
        self._past_histograms: dict[str, HistogramView] = {}

    def read(self) -> Reading:
        """Copy everything; some 50 us a process."""
        self._refresh()
        now = Reading(monotonic_ns(), dict(self._past_counters), {}, dict(self._past_histograms))
        for name, source in self._sources.items():
            process = name.removeprefix(_STATS)
            snapshot = source.reader.snapshot()
            _add(now.counters, now.histograms, snapshot)
            now.gauges[process] = {
                each: value
                for each, value in snapshot.counters.items()
                if snapshot.metrics[each] is Metric.GAUGE
            }
            now.errors[process] = snapshot.errors
            now.lives[process] = source.life(snapshot)
            now.errors_dropped += snapshot.errors_dropped
        return now

    def _refresh(self) -> None:
        """Open what is new; carry what the segments held that were made anew or are gone."""
        present = [name for name in segment_names(self._instance) if name.startswith(_STATS)]
        for name in [*self._sources]:
            if name not in present or self._was_replaced(name):
                self._carry(self._sources.pop(name))
        for name in present:
            if name not in self._sources:
                try:
                    self._sources[name] = _Source(self._instance, name)
                except (SegmentError, LayoutError, FileNotFoundError):
                    # Being made or unlinked at this very moment: the next reading has it.
                    continue

    def _was_replaced(self, name: str) -> bool:
        try:
            inode = os.stat(segment_file(self._instance, name)).st_ino
        except FileNotFoundError:
            return True
        return inode != self._sources[name].inode

    def _carry(self, source: _Source) -> None:
        # Our mapping keeps the pages of an unlinked segment: its final values are still there.
        final = source.reader.snapshot()
        counters: dict[str, int] = {}
        _add(counters, self._past_histograms, final)
        self._past_counters.update(counters)


def _add(
    counters: dict[str, int], histograms: dict[str, HistogramView], snapshot: Snapshot
) -> None:
    for name, value in snapshot.counters.items():
        if snapshot.metrics[name] is Metric.COUNTER:
            counters[name] = counters.get(name, 0) + value
    for name, view in snapshot.histograms.items():
        known = histograms.get(name)
        histograms[name] = view if known is None else known.merged(view)
