"""What each kind of segment looks like: header and offsets from a stream, table, gate or stats."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lowlat.core import layout
from lowlat.core.errors import SegmentError
from lowlat.shm import _core, places
from lowlat.shm.header import Header, Kind
from lowlat.shm.locks import boot_id

__all__ = [
    "StatsShape",
    "gate_offset",
    "gates_header",
    "gates_of",
    "stats_header",
    "stream_header",
    "table_header",
]

STATS_NAME_BYTES: Final = 128
STATS_ERROR_BYTES: Final = 256
_GATES: Final = "gates of"


def _header(
    instance: str, name: str, kind: Kind, text: str, record: tuple[int, int], data_bytes: int
) -> Header:
    return Header(
        name=name,
        kind=kind,
        record_bytes=record[0],
        record_count=record[1],
        data_bytes=data_bytes,
        abi_text=text,
        boot_id=boot_id(),
        run_dir=places.instance_dir(instance),
    )


def stream_header(instance: str, name: str, stream: layout.Stream, slots: int) -> Header:
    """Describe the segment of a stream."""
    if slots < 2 or slots & (slots - 1):
        raise SegmentError(f"stream {name}: slots was {slots}, expected a power of two from 2")
    text = layout.abi_text(*stream.records)
    size = stream.slot_bytes
    return _header(instance, f"stream.{name}", Kind.STREAM, text, (size, slots), size * slots)


def table_header(instance: str, name: str, table: layout.Table, rows: int) -> Header:
    """Describe the segment of a latest-value table."""
    if rows < 1:
        raise SegmentError(f"table {name}: rows was {rows}, expected at least 1")
    text = layout.abi_text(table.record)
    size = table.record.size_bytes
    row_bytes = _core.TABLE_ROW_HEAD_BYTES + _core.TABLE_CELLS * size
    return _header(instance, f"table.{name}", Kind.TABLE, text, (size, rows), row_bytes * rows)


def gates_of(streams: Mapping[str, layout.Stream]) -> dict[str, list[str]]:
    """Return for each gating reader the streams it gates, in the order of its blocks."""
    gates: dict[str, list[str]] = {}
    for name, stream in streams.items():
        for reader in stream.gates:
            gates.setdefault(reader, []).append(name)
    return gates


def gates_header(instance: str, reader: str, streams: Iterable[str]) -> Header:
    """Describe the segment of a reader's gates, one block a stream."""
    names = list(streams)
    text = "\n".join([f"{_GATES} {reader}", *names])
    record = (_core.GATE_BYTES, len(names))
    return _header(
        instance, f"gates.{reader}", Kind.GATES, text, record, _core.GATE_BYTES * len(names)
    )


def gate_offset(header: Header, stream: str) -> int:
    """Return where a stream's gate lies in its reader's segment."""
    names = header.abi_text.splitlines()[1:]
    if header.kind != Kind.GATES or stream not in names:
        raise SegmentError(f"segment {header.name} has no gate for stream {stream}: {names}")
    return header.header_bytes + _core.GATE_BYTES * names.index(stream)


@dataclass(frozen=True, slots=True)
class StatsShape:
    """How much one process can count: cells, histograms, distinct errors."""

    counters: int = 512
    histograms: int = 16
    errors: int = 32

    @property
    def names(self) -> int:
        """Rows of the name table."""
        return self.counters + self.histograms

    @property
    def control_at(self) -> int:
        """Offset (in the data) of three lines: names used, errors used, errors dropped."""
        return 0

    @property
    def names_at(self) -> int:
        """Offset of the name table."""
        return 3 * 64

    @property
    def cells_at(self) -> int:
        """Offset of the counters, a line each."""
        return self.names_at + self.names * STATS_NAME_BYTES

    @property
    def histograms_at(self) -> int:
        """Offset of the histograms."""
        return self.cells_at + self.counters * _core.CELL_BYTES

    @property
    def errors_at(self) -> int:
        """Offset of the distinct errors."""
        return self.histograms_at + self.histograms * _core.HISTOGRAM_BYTES

    @property
    def data_bytes(self) -> int:
        """Size of everything."""
        return self.errors_at + self.errors * STATS_ERROR_BYTES

    @property
    def text(self) -> str:
        """Canonical description, kept in the header."""
        return (
            f"stats counters={self.counters} histograms={self.histograms} errors={self.errors} "
            f"cells={_core.HISTOGRAM_CELLS}"
        )


def stats_header(instance: str, process: str, shape: StatsShape) -> Header:
    """Describe the segment of a process's counters, histograms and errors."""
    record = (STATS_NAME_BYTES, shape.names)
    return _header(instance, f"stats.{process}", Kind.STATS, shape.text, record, shape.data_bytes)


def stats_shape(header: Header) -> StatsShape:
    """Read a stats segment's shape back from its header."""
    words = dict(word.split("=") for word in header.abi_text.split()[1:])
    if header.kind != Kind.STATS or words.get("cells") != str(_core.HISTOGRAM_CELLS):
        raise SegmentError(f"segment {header.name} is no stats segment of this build")
    return StatsShape(int(words["counters"]), int(words["histograms"]), int(words["errors"]))
