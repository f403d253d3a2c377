"""The same streams and tables in private memory, for worlds, rehearsal, tests and benches."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lowlat.core.layout import STREAMS, TABLES
from lowlat.shm import _core
from lowlat.shm.picture import Camera, Place, StreamPicture, TablePicture, row_bytes_of

__all__ = ["PrivateMemory", "PrivateStats", "PrivateStream", "PrivateTable", "Writers"]


class Writers(NamedTuple):
    """Classes that write, of one build of the compiled core."""

    stream: type[_core.StreamWriter] = _core.StreamWriter
    table: type[_core.TableWriter] = _core.TableWriter


class PrivateStream:
    """One stream, its writer, its gates and as many readers as asked for."""

    def __init__(
        self,
        name: str,
        *,
        slots: int | None = None,
        epoch: int = 1,
        gates: Sequence[str] = (),
        make_writer: type[_core.StreamWriter] = _core.StreamWriter,
    ) -> None:
        """``gates`` names the readers that the writer may not lap (default: none).

        ``make_writer``: the class of another build of the same code.
        """
        stream = STREAMS[name]
        self._shape = (0, stream.slot_bytes, slots or stream.slots)
        self._cursor_at = stream.slot_bytes * self._shape[2]
        memory = bytearray(self._cursor_at + _core.GATE_BYTES * (1 + len(gates)))
        self._memory = memoryview(memory)
        self._make_writer = make_writer
        self._gate_at = {
            gate: self._cursor_at + _core.GATE_BYTES * (1 + i) for i, gate in enumerate(gates)
        }
        self.writer = self.reopen(epoch)

    def reopen(self, epoch: int) -> _core.StreamWriter:
        """Take the stream over as a restarted writer would."""
        gates = [(self._memory, at) for at in self._gate_at.values()]
        self.writer = self._make_writer(self._memory, *self._shape, self._cursor_at, epoch, gates)
        return self.writer

    @property
    def memory(self) -> memoryview:
        """All of it: slots, cursor, gates."""
        return self._memory

    def photograph(self, camera: Camera, name: str, epoch: int) -> None:
        """Add it to a picture; ``epoch``: of its last writer."""
        at, slot_bytes, slots = self._shape
        gates = {gate: self.released(gate) for gate in self._gate_at}
        place = Place(self._memory, at, slot_bytes, slots)
        camera.stream(name, place, self.cursor, epoch, gates)

    def restore(self, picture: StreamPicture, slots: memoryview) -> None:
        """Become what was pictured; ``reopen`` it behind that."""
        self._memory[: len(slots)] = slots
        _core.store_release(self._memory, self._cursor_at, picture.cursor)
        for gate, position in picture.gates.items():
            _core.store_release(self._memory, self._gate_at[gate], position)

    @property
    def cursor(self) -> int:
        """Position of the next record; 0 before there was a writer."""
        return _core.load_acquire(self._memory, self._cursor_at)

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self._shape[2]

    def released(self, gate: str) -> int:
        """Return the position behind the last record that a gate released (0 = never attached)."""
        return _core.load_acquire(self._memory, self._gate_at[gate])

    def reader(self, position: int | None = None, *, gate: str = "") -> _core.StreamReader:
        """Open a reader (default: from the next record on), as the gate of that name if given."""
        own = (self._memory, self._gate_at[gate]) if gate else None
        return _core.StreamReader(self._memory, *self._shape, self._cursor_at, position, own)


class PrivateTable:
    """One table, its writer and as many readers as asked for."""

    def __init__(
        self,
        name: str,
        *,
        rows: int | None = None,
        epoch: int = 1,
        make_writer: type[_core.TableWriter] = _core.TableWriter,
    ) -> None:
        table = TABLES[name]
        record = table.record
        self._shape = (0, record.size_bytes, rows or table.rows)
        row_bytes = _core.TABLE_ROW_HEAD_BYTES + _core.TABLE_CELLS * record.size_bytes
        self._memory = memoryview(bytearray(row_bytes * self._shape[2]))
        self._kind = record.kind
        self._make_writer = make_writer
        self.writer = self.reopen(epoch)

    def reopen(self, epoch: int) -> _core.TableWriter:
        """Take the table over as a restarted writer would; its rows stay."""
        self.writer = self._make_writer(self._memory, *self._shape, epoch, self._kind)
        return self.writer

    def photograph(self, camera: Camera, name: str, epoch: int) -> None:
        """Add it to a picture; ``epoch``: of its last writer."""
        camera.table(name, Place(self._memory, *self._shape), epoch)

    def restore(self, picture: TablePicture, rows: memoryview) -> None:
        """Become what was pictured; ``reopen`` it behind that."""
        row_bytes = row_bytes_of(self._shape[1])
        done = 0
        for first, count in picture.runs:
            size = count * row_bytes
            self._memory[first * row_bytes :][:size] = rows[done : done + size]
            done += size

    @property
    def memory(self) -> memoryview:
        """All of it."""
        return self._memory

    def reader(self) -> _core.TableReader:
        """Open a reader."""
        return _core.TableReader(self._memory, *self._shape)


class PrivateMemory:
    """One instance's streams and tables, each made when it is first opened.

    Opened as an Attachment is: each writer's life has the next epoch, a gate goes on behind what
    it released.
    """

    def __init__(
        self,
        *,
        slots: Mapping[str, int] | None = None,
        rows: Mapping[str, int] | None = None,
        slots_max: int | None = None,
        rows_max: int | None = None,
        writers: Writers | None = None,
    ) -> None:
        """``slots`` and ``rows``: of a stream and a table by name, ``*_max``: at most so many.

        What is named nowhere is as large as the layout says. ``writers``: of another build.
        """
        self._slots = slots or {}
        self._rows = rows or {}
        self._slots_max = slots_max
        self._rows_max = rows_max
        self._writers = writers or Writers()
        self._streams: dict[str, PrivateStream] = {}
        self._tables: dict[str, PrivateTable] = {}
        self._epochs: dict[str, int] = {}

    def picture(self) -> Camera:
        """Return what processes that are dead now left here."""
        camera = Camera()
        for name, epoch in self._epochs.items():
            kept = self._streams if name in self._streams else self._tables
            kept[name].photograph(camera, name, epoch)
        return camera

    def restore(
        self,
        streams: Mapping[str, StreamPicture],
        tables: Mapping[str, TablePicture],
        data: bytes,
    ) -> None:
        """Become what was pictured. Raises KeyError, TypeError or ValueError for damage."""
        expected = sum(stream.size_bytes for stream in streams.values())
        expected += sum(table.size_bytes for table in tables.values())
        if expected != len(data):
            raise ValueError(f"a picture of {len(data)} bytes, described are {expected}")
        left = memoryview(data)
        for name, stream in streams.items():
            self.stream(name).restore(stream, left[: stream.size_bytes])
            self._epochs[name] = stream.epoch
            left = left[stream.size_bytes :]
        for name, table in tables.items():
            self.table(name).restore(table, left[: table.size_bytes])
            self._epochs[name] = table.epoch
            left = left[table.size_bytes :]

    def stream(self, name: str) -> PrivateStream:
        """Return a stream, made when it is new."""
        found = self._streams.get(name)
        if found is None:
            stream = STREAMS[name]
            slots = self._slots.get(name, stream.slots)
            found = self._streams[name] = PrivateStream(
                name,
                slots=min(slots, self._slots_max or slots),
                gates=stream.gates,
                make_writer=self._writers.stream,
            )
        return found

    def table(self, name: str) -> PrivateTable:
        """Return a table, made when it is new."""
        found = self._tables.get(name)
        if found is None:
            rows = self._rows.get(name, TABLES[name].rows)
            found = self._tables[name] = PrivateTable(
                name, rows=min(rows, self._rows_max or rows), make_writer=self._writers.table
            )
        return found

    def open_stream_writer(self, name: str) -> _core.StreamWriter:
        """Own a stream and go on where the last writer stopped."""
        return self.stream(name).reopen(self._enter(name))

    def open_stream_reader(
        self, name: str, *, position: int | None = None, gate: str | None = None
    ) -> _core.StreamReader:
        """Read from position or the next record on; a gate goes on behind what it released."""
        stream = self.stream(name)
        if gate is None:
            return stream.reader(position)
        # As an Attachment does: a gate that cannot be right begins at the oldest record.
        cursor, left = max(1, stream.cursor), stream.released(gate)
        oldest = max(1, cursor - stream.slots)
        return stream.reader(left if oldest <= left <= cursor + 1 else oldest, gate=gate)

    def open_table_writer(self, name: str) -> _core.TableWriter:
        """Own a table; its rows stay."""
        return self.table(name).reopen(self._enter(name))

    def open_table_reader(self, name: str) -> _core.TableReader:
        """Read a table."""
        return self.table(name).reader()

    def _enter(self, name: str) -> int:
        epoch = self._epochs[name] = self._epochs.get(name, 0) + 1
        return epoch


class PrivateStats:
    """Cells and histograms that nobody outside reads."""

    def counter(self, _: str) -> _core.Cell:
        """Return a cell of its own."""
        return _core.Cell(memoryview(bytearray(_core.CELL_BYTES)), 0)

    gauge = counter

    def histogram(self, _: str) -> _core.Histogram:
        """Return a histogram of its own."""
        return _core.Histogram(memoryview(bytearray(_core.HISTOGRAM_BYTES)), 0)
