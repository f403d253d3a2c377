"""A picture of streams and tables: what a life finds that begins where an earlier one died.

Taken by a process before it writes anything, of memory whose writers are dead; put back into
private memory by a replay. Only what was ever written is in it: slots up to the cursor, the one
that a dead writer may have half written included, and rows that have a version.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from lowlat.core.layout import STREAMS, TABLES
from lowlat.shm import _core
from lowlat.shm.header import CURSOR_AT
from lowlat.shm.layouts import gate_offset

if TYPE_CHECKING:
    from lowlat.shm.attachment import Attachment

__all__ = ["Camera", "Place", "StreamPicture", "TablePicture", "picture_attached", "row_bytes_of"]

_WORD: Final = 8


class StreamPicture(msgspec.Struct, frozen=True):
    """A stream's words; its slots are in the bytes of the picture."""

    epoch: int
    cursor: int
    gates: dict[str, int]
    size_bytes: int


class TablePicture(msgspec.Struct, frozen=True):
    """Which rows of a table are in the bytes of the picture."""

    epoch: int
    runs: list[tuple[int, int]]
    """First row and number of rows."""
    size_bytes: int


class Place(NamedTuple):
    """Where slots or rows lie: the memory, their offset, the bytes of a record, their number."""

    memory: memoryview
    at: int
    record_bytes: int
    records: int


class Camera:
    """Collects pictures. ``data`` is the bytes of all, streams first, each in its order."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamPicture] = {}
        self.tables: dict[str, TablePicture] = {}
        self._slots: list[memoryview] = []
        self._rows: list[memoryview] = []

    def stream(
        self, name: str, place: Place, cursor: int, epoch: int, gates: Mapping[str, int]
    ) -> None:
        """Take a stream."""
        size_bytes = min(place.records, cursor + 1) * place.record_bytes
        self.streams[name] = StreamPicture(epoch, cursor, dict(gates), size_bytes)
        self._slots.append(place.memory[place.at : place.at + size_bytes])

    def table(self, name: str, place: Place, epoch: int) -> None:
        """Take a table."""
        row_bytes = row_bytes_of(place.record_bytes)
        runs: list[tuple[int, int]] = []
        for row in _used_rows(place, row_bytes):
            if runs and sum(runs[-1]) == row:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((row, 1))
        for first, count in runs:
            at = place.at + first * row_bytes
            self._rows.append(place.memory[at : at + count * row_bytes])
        size_bytes = row_bytes * sum(count for _, count in runs)
        self.tables[name] = TablePicture(epoch, runs, size_bytes)

    def data(self) -> bytes:
        """Copy everything, once."""
        return b"".join([*self._slots, *self._rows])


def row_bytes_of(record_bytes: int) -> int:
    """Return the bytes of a row: its head and its versions."""
    return _core.TABLE_ROW_HEAD_BYTES + _core.TABLE_CELLS * record_bytes


def picture_attached(
    attachment: "Attachment", streams: Iterable[str], tables: Iterable[str]
) -> Camera:
    """Take those of an instance that anybody ever wrote."""
    camera = Camera()
    for name in streams:
        segment = attachment.segment(f"stream.{name}")
        if not segment.epoch:
            continue
        gates = {}
        for reader in STREAMS[name].gates:
            block = attachment.segment(f"gates.{reader}")
            gates[reader] = _core.load_acquire(block.memory, gate_offset(block.header, name))
        header = segment.header
        place = Place(segment.view, header.header_bytes, header.record_bytes, header.record_count)
        cursor = _core.load_acquire(segment.memory, CURSOR_AT)
        camera.stream(name, place, cursor, segment.epoch, gates)
    for name in tables:
        segment = attachment.segment(f"table.{name}")
        if segment.epoch:
            header, size = segment.header, TABLES[name].record.size_bytes
            place = Place(segment.view, header.header_bytes, size, header.record_count)
            camera.table(name, place, segment.epoch)
    return camera


def _used_rows(place: Place, row_bytes: int) -> Iterable[int]:
    """Yield rows with a version, or whose first one a writer finished and died before counting."""
    words = place.memory[place.at : place.at + row_bytes * place.records].cast("Q")
    first = (_core.TABLE_ROW_HEAD_BYTES + place.record_bytes) // _WORD
    step = row_bytes // _WORD
    for row in range(place.records):
        if words[row * step] or words[row * step + first]:
            yield row
