"""Private memory and metrics that open like the shared ones, for benches without processes."""

from typing import Protocol

from lowlat.core.layout import STREAMS
from lowlat.shm._core import (
    HISTOGRAM_BYTES,
    Cell,
    Histogram,
    StreamReader,
    StreamWriter,
    TableReader,
    TableWriter,
)
from lowlat.shm.private import PrivateStream, PrivateTable

__all__ = ["LastValue", "Memory", "PrivateMemory", "PrivateStats"]


class Memory(Protocol):
    """What benches open: an Attachment, or PrivateMemory."""

    def open_stream_writer(self, name: str) -> StreamWriter:
        """Own a stream."""
        ...

    def open_stream_reader(
        self, name: str, *, position: int | None = None, gate: str | None = None
    ) -> StreamReader:
        """Read a stream."""
        ...

    def open_table_writer(self, name: str) -> TableWriter:
        """Own a table."""
        ...

    def open_table_reader(self, name: str) -> TableReader:
        """Read a table."""
        ...


class PrivateMemory:
    """One instance's streams and tables, each made when it is first opened."""

    def __init__(self) -> None:
        self._streams: dict[str, PrivateStream] = {}
        self._tables: dict[str, PrivateTable] = {}

    def _stream(self, name: str) -> PrivateStream:
        if name not in self._streams:
            self._streams[name] = PrivateStream(name, gates=STREAMS[name].gates)
        return self._streams[name]

    def _table(self, name: str) -> PrivateTable:
        if name not in self._tables:
            self._tables[name] = PrivateTable(name)
        return self._tables[name]

    def open_stream_writer(self, name: str) -> StreamWriter:
        """Own a stream."""
        return self._stream(name).writer

    def open_stream_reader(
        self, name: str, *, position: int | None = None, gate: str | None = None
    ) -> StreamReader:
        """Read a stream."""
        return self._stream(name).reader(position, gate=gate or "")

    def open_table_writer(self, name: str) -> TableWriter:
        """Own a table."""
        return self._table(name).writer

    def open_table_reader(self, name: str) -> TableReader:
        """Read a table."""
        return self._table(name).reader()


class LastValue:
    """A histogram that also keeps what it was told last."""

    def __init__(self, histogram: Histogram) -> None:
        self._record = histogram.record
        self.value_ns = 0

    def record(self, value_ns: int) -> None:
        """Count the value and keep it."""
        self._record(value_ns)
        self.value_ns = value_ns


class PrivateStats:
    """Real cells and histograms in private memory; ``template`` is the executor's own measure."""

    def __init__(self) -> None:
        self.template = LastValue(_histogram())

    def counter(self, _: str) -> Cell:
        """Return a cell of its own."""
        return Cell(memoryview(bytearray(64)), 0)

    gauge = counter

    def histogram(self, name: str) -> Histogram | LastValue:
        """Return a histogram of its own."""
        return self.template if name == "latency.template" else _histogram()


def _histogram() -> Histogram:
    return Histogram(memoryview(bytearray(HISTOGRAM_BYTES)), 0)
