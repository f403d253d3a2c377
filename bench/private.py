"""Memory and metrics that open like the shared ones, for benches without processes."""

from typing import Protocol

from lowlat.core.ports import Recorder, StreamReader, StreamWriter, TableReader, TableWriter
from lowlat.shm.private import PrivateStats

__all__ = ["LastValue", "Memory", "TemplateStats"]


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


class LastValue:
    """A histogram that also keeps what it was told last."""

    def __init__(self, histogram: Recorder) -> None:
        self._record = histogram.record
        self.value_ns = 0

    def record(self, value_ns: int) -> None:
        """Count the value and keep it."""
        self._record(value_ns)
        self.value_ns = value_ns


class TemplateStats(PrivateStats):
    """``template`` is the executor's own measure of taking one."""

    def __init__(self) -> None:
        self.template = LastValue(super().histogram("latency.template"))

    def histogram(self, name: str) -> Recorder:
        """Return a histogram of its own."""
        return self.template if name == "latency.template" else super().histogram(name)
