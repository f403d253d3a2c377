"""Counters, histograms and distinct errors of one process, in shared memory. No lock, no flush.

Data (offsets in ``layouts.StatsShape``)::

    names used u64 | errors used u64 | errors dropped u64     a line each
    names       128 B: offset u64 | metric u16 | 0 | name 64 s | unit 16 s
    counters    a line each
    histograms  30 528 B each
    errors      256 B: hash u64 | count u64 | first_ns u64 | last_ns u64 | bytes u64 | text 216 s

A row is filled before the count of rows says so (release), and never changes after. Values outlive
their process and grow on in its next life, so a reader may always subtract two snapshots.
"""

import hashlib
import mmap
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from lowlat.core.errors import LayoutError
from lowlat.shm import _core
from lowlat.shm.header import HEARTBEAT_AT
from lowlat.shm.layouts import STATS_ERROR_BYTES, STATS_NAME_BYTES, stats_shape
from lowlat.shm.memory import Segment

if TYPE_CHECKING:
    from lowlat.shm.histograms import HistogramView

__all__ = ["ErrorTable", "ErrorView", "Metric", "Snapshot", "StatsReader", "StatsWriter"]

_NAME: Final = struct.Struct("<QHH4x64s16s")
_ERROR: Final = struct.Struct("<QQQQQ")
_ERROR_TEXT_BYTES: Final = STATS_ERROR_BYTES - _ERROR.size
_USED_AT: Final = 0
_ERRORS_AT: Final = 64
_DROPPED_AT: Final = 128


class Metric(IntEnum):
    """What a name stands for."""

    COUNTER = 1
    GAUGE = 2
    HISTOGRAM = 3


@dataclass(frozen=True, slots=True)
class ErrorView:
    """One distinct error."""

    text: str
    count: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one process counted, at about one moment."""

    counters: dict[str, int]
    """Counters and gauges."""
    histograms: "dict[str, HistogramView]"
    errors: list[ErrorView]
    errors_dropped: int
    """Errors that were distinct but found the table full."""
    units: dict[str, str]
    metrics: dict[str, Metric]
    epoch: int
    heartbeat_ns: int


class _Names:
    """The name table, as the segment holds it."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.shape = stats_shape(segment.header)
        self.data_at = segment.header.header_bytes
        if self.shape.data_bytes != segment.header.data_bytes:
            raise LayoutError(f"{segment.where} has a damaged header: its statistics do not fit")

    def used(self) -> int:
        """Rows of the name table in use; more than fit are damage."""
        used = _core.load_acquire(self.segment.memory, self.data_at + _USED_AT)
        if used > self.shape.names:
            raise LayoutError(f"{self.segment.where} is damaged: {used} names")
        return used

    def row(self, index: int) -> tuple[str, Metric, str, int]:
        """Return name, metric, unit and offset in the segment of one row."""
        at = self.data_at + self.shape.names_at + index * STATS_NAME_BYTES
        offset, metric, _, name, unit = _NAME.unpack_from(self.segment.view, at)
        if metric not in Metric.__members__.values():
            raise LayoutError(f"{self.segment.where} is damaged: metric {metric} in row {index}")
        return (
            name.rstrip(b"\0").decode("ascii", "replace"),
            Metric(metric),
            unit.rstrip(b"\0").decode("ascii", "replace"),
            offset,
        )


class StatsWriter:
    """Hands out cells and histograms by name. One a process."""

    def __init__(self, segment: Segment) -> None:
        self._names = _Names(segment)
        self._segment = segment
        self._known: dict[str, tuple[Metric, int]] = {}
        self._used = {Metric.COUNTER: 0, Metric.HISTOGRAM: 0}
        for index in range(self._names.used()):
            name, metric, _, offset = self._names.row(index)
            self._known[name] = (metric, offset)
            self._used[Metric.HISTOGRAM if metric is Metric.HISTOGRAM else Metric.COUNTER] += 1
        self.heartbeat = _core.Cell(segment.memory, HEARTBEAT_AT)
        """``set(now_ns)`` from the hot loop itself."""
        self.errors = ErrorTable(segment)

    def counter(self, name: str, unit: str = "") -> _core.Cell:
        """Return the counter of that name, made on first use. Only ever add to it."""
        return _core.Cell(self._segment.memory, self._offset(name, unit, Metric.COUNTER))

    def gauge(self, name: str, unit: str = "") -> _core.Cell:
        """Return a cell that is set, not added to."""
        return _core.Cell(self._segment.memory, self._offset(name, unit, Metric.GAUGE))

    def word(self, name: str) -> tuple[mmap.mmap, int]:
        """Return memory and offset of a gauge, for compiled checks; made on first use."""
        return self._segment.memory, self._offset(name, "", Metric.GAUGE)

    def histogram(self, name: str, unit: str = "ns") -> _core.Histogram:
        """Return the histogram of that name, made on first use."""
        return _core.Histogram(self._segment.memory, self._offset(name, unit, Metric.HISTOGRAM))

    def _offset(self, name: str, unit: str, metric: Metric) -> int:
        if name in self._known:
            was, offset = self._known[name]
            if was is not metric:
                raise ValueError(f"metric {name} is a {was.name}, not a {metric.name}")
            return offset
        raw_name, raw_unit = name.encode("ascii"), unit.encode("ascii")
        if not 0 < len(raw_name) <= 64 or len(raw_unit) > 16:
            raise ValueError(f"metric {name!r} in {unit!r}: at most 64 and 16 characters")
        names = self._names
        histogram = metric is Metric.HISTOGRAM
        pool = Metric.HISTOGRAM if histogram else Metric.COUNTER
        room = names.shape.histograms if histogram else names.shape.counters
        if self._used[pool] >= room:
            raise ValueError(f"no room for metric {name}: {room} of its sort exist, see StatsShape")
        base = names.shape.histograms_at if histogram else names.shape.cells_at
        size = _core.HISTOGRAM_BYTES if histogram else _core.CELL_BYTES
        offset = names.data_at + base + self._used[pool] * size
        index = len(self._known)
        at = names.data_at + names.shape.names_at + index * STATS_NAME_BYTES
        _NAME.pack_into(self._segment.view, at, offset, metric, 0, raw_name, raw_unit)
        _core.store_release(self._segment.memory, names.data_at + _USED_AT, index + 1)
        self._known[name] = (metric, offset)
        self._used[pool] += 1
        return offset


class ErrorTable:
    """Distinct errors; a repeat costs two stores instead of a log line."""

    def __init__(self, segment: Segment) -> None:
        names = _Names(segment)
        self._segment = segment
        self._rows = names.shape.errors
        self._rows_at = names.data_at + names.shape.errors_at
        self._used_at = names.data_at + _ERRORS_AT
        self._dropped = _core.Cell(segment.memory, names.data_at + _DROPPED_AT)
        self._used = min(_core.load_acquire(segment.memory, self._used_at), self._rows)
        self._by_hash: dict[int, tuple[_core.Cell, _core.Cell]] = {}
        self._by_text: dict[str, tuple[_core.Cell, _core.Cell]] = {}
        for index in range(self._used):
            at = self._rows_at + index * STATS_ERROR_BYTES
            self._by_hash[_ERROR.unpack_from(segment.view, at)[0]] = self._cells(at)

    def record(self, text: str, now_ns: int) -> None:
        """Count one occurrence. Varying text fills the table; then it is dropped."""
        cells = self._by_text.get(text)
        if cells is None:
            cells = self._first_sight(text, now_ns)
            if cells is None:
                self._dropped.add(1)
                return
        cells[0].add(1)
        cells[1].set(now_ns)

    def _first_sight(self, text: str, now_ns: int) -> tuple[_core.Cell, _core.Cell] | None:
        raw = text.encode("utf-8", "replace")
        key = int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
        cells = self._by_hash.get(key)
        if cells is None:
            if self._used >= self._rows:
                return None
            at = self._rows_at + self._used * STATS_ERROR_BYTES
            cut = raw[:_ERROR_TEXT_BYTES]
            view = self._segment.view
            _ERROR.pack_into(view, at, key, 0, now_ns, now_ns, len(cut))
            view[at + _ERROR.size : at + _ERROR.size + len(cut)] = cut
            self._used += 1
            _core.store_release(self._segment.memory, self._used_at, self._used)
            cells = self._by_hash[key] = self._cells(at)
        self._by_text[text] = cells
        return cells

    def _cells(self, at: int) -> tuple[_core.Cell, _core.Cell]:
        memory = self._segment.memory
        return _core.Cell(memory, at + 8), _core.Cell(memory, at + 24)


class StatsReader:
    """Reads one process's statistics, alive or dead, without its help."""

    def __init__(self, segment: Segment) -> None:
        self._names = _Names(segment)
        self._segment = segment

    def snapshot(self) -> Snapshot:
        """Copy everything that is counted so far."""
        # On use: a process that only counts starts without numpy.
        from lowlat.shm.histograms import HistogramView  # noqa: PLC0415

        memory = self._segment.memory
        result = Snapshot(
            counters={},
            histograms={},
            errors=self._errors(),
            errors_dropped=_core.load_acquire(memory, self._names.data_at + _DROPPED_AT),
            units={},
            metrics={},
            epoch=self._segment.epoch,
            heartbeat_ns=self._segment.heartbeat_ns,
        )
        for index in range(self._names.used()):
            name, metric, unit, offset = self._names.row(index)
            result.units[name], result.metrics[name] = unit, metric
            if metric is Metric.HISTOGRAM:
                source = _core.Histogram(memory, offset, writable=False)
                result.histograms[name] = HistogramView.copy_of(source)
            else:
                result.counters[name] = _core.Cell(memory, offset, writable=False).value
        return result

    def percentiles(self, percents: Sequence[int]) -> Iterator[tuple[str, int, list[int]]]:
        """Yield name, count and percentiles in ns of every histogram that holds something.

        For processes that trade: no numpy, 0.3 ms a histogram. Others take a ``snapshot``.
        """
        words = array("Q", bytes(8 * (_core.HISTOGRAM_CELLS + 2)))
        for index in range(self._names.used()):
            name, metric, _, offset = self._names.row(index)
            if metric is not Metric.HISTOGRAM:
                continue
            _core.Histogram(self._segment.memory, offset, writable=False).copy_into(words)
            totals = list(accumulate(words[2:]))
            if count := totals[-1]:
                ranks = (max(1, -(-percent * count // 100)) for percent in percents)
                cells = (bisect_left(totals, rank) for rank in ranks)
                yield name, count, [_core.histogram_low_ns(cell + 1) - 1 for cell in cells]

    def word(self, name: str) -> tuple[mmap.mmap, int]:
        """Return memory and offset of another process's gauge, for compiled checks."""
        for index in range(self._names.used()):
            found, _, _, offset = self._names.row(index)
            if found == name:
                return self._segment.memory, offset
        raise LayoutError(f"{self._segment.where} has no metric {name!r}")

    def _errors(self) -> list[ErrorView]:
        names = self._names
        memory, view = self._segment.memory, self._segment.view
        used = min(_core.load_acquire(memory, names.data_at + _ERRORS_AT), names.shape.errors)
        found = []
        for index in range(used):
            at = names.data_at + names.shape.errors_at + index * STATS_ERROR_BYTES
            _, count, first_ns, last_ns, size = _ERROR.unpack_from(view, at)
            text_at = at + _ERROR.size
            text = bytes(view[text_at : text_at + min(size, _ERROR_TEXT_BYTES)])
            found.append(ErrorView(text.decode("utf-8", "replace"), count, first_ns, last_ns))
        return found
