"""What one process writes and reads of an instance. Every process has one Attachment.

Opening for writing takes the owner lock of that segment for life, checks the layout, adds one to
the epoch and notes who we are; opening for reading only maps. A gated reader writes its gates in
its own segment ``gates.<reader>``, which the writers it gates map read-only.
"""

import mmap
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from lowlat.core import layout
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm import _core, places
from lowlat.shm.header import (
    CURSOR_AT,
    EPOCH_AT,
    HEARTBEAT_AT,
    Kind,
    State,
    require,
    write_writer,
)
from lowlat.shm.layouts import StatsShape, gate_offset, stats_header
from lowlat.shm.locks import Identity, OwnerLock, boot_id, own_identity, probe_lock
from lowlat.shm.memory import Segment, lock_memory, open_segment
from lowlat.shm.segments import make_segment
from lowlat.shm.stats import StatsReader, StatsWriter

__all__ = ["Attachment"]

_T = TypeVar("_T")


class Attachment:
    """Opens streams, tables, gates and statistics for one process, and closes them together."""

    def __init__(self, instance: str, process: str) -> None:
        """``process`` is the role that lock files and headers show, e.g. ``risk``."""
        places.check_name(process)
        self.instance = instance
        self.process = process
        self._owned: dict[str, tuple[OwnerLock, Segment]] = {}
        self._mapped: dict[str, Segment] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open_stream_writer(
        self,
        name: str,
        stream: layout.Stream | None = None,
        gates: Sequence[str] | None = None,
    ) -> _core.StreamWriter:
        """Own a stream. ``gates``: readers that may hold us up (default: the stream's own).

        A name that is no key of STREAMS (a second feed's) needs its ``stream``. Continues where
        the last writer, dead or closed, stopped; its epoch is one higher.
        """
        stream = stream or _known(layout.STREAMS, name)
        readers = stream.gates if gates is None else gates
        blocks = []
        for reader in readers:
            gate = self._map(f"gates.{reader}", Kind.GATES)
            blocks.append((gate.memory, gate_offset(gate.header, name)))
        found = self._own(f"stream.{name}", Kind.STREAM, stream.records, stream.slot_bytes)
        try:
            epoch = self._enter(found) & 0xFFFF_FFFF
            return _core.StreamWriter(found.memory, *_slots(found), CURSOR_AT, epoch, blocks)
        except ValueError as error:
            self._owned.pop(found.name)[0].close()
            raise SegmentError(f"stream {found.where} cannot be continued: {error}") from error

    def open_stream_reader(
        self,
        name: str,
        stream: layout.Stream | None = None,
        *,
        position: int | None = None,
        gate: str | None = None,
    ) -> _core.StreamReader:
        """Read a stream from ``position``; without one, from the next record on.

        ``gate``: the reader's name in the topology; the writer then never laps us. A gated reader
        without a position goes on behind the last record it released, in this life or an earlier
        one; the first ever starts at the oldest record still there.
        """
        stream = stream or _known(layout.STREAMS, name)
        found = self._map(f"stream.{name}", Kind.STREAM)
        require(
            found.header,
            Kind.STREAM,
            layout.abi_text(*stream.records),
            stream.slot_bytes,
            found.where,
        )
        if gate is None:
            return _core.StreamReader(found.memory, *_slots(found), CURSOR_AT, position)
        block = self._own_gate(gate, name)
        if position is None:
            cursor = max(1, _core.load_acquire(found.memory, CURSOR_AT))
            left = _core.load_acquire(*block)
            oldest = max(1, cursor - found.header.record_count)
            # A gate one ahead of the cursor is right when the writer died between its last two
            # stores; further ahead it is damage, and the oldest record is the safe answer.
            position = left if oldest <= left <= cursor + 1 else oldest
        return _core.StreamReader(found.memory, *_slots(found), CURSOR_AT, position, block)

    def open_table_writer(self, name: str, table: layout.Table | None = None) -> _core.TableWriter:
        """Own a latest-value table; its rows stay as the last writer left them."""
        table = table or _known(layout.TABLES, name)
        record = table.record
        found = self._own(f"table.{name}", Kind.TABLE, (record,), record.size_bytes)
        epoch = self._enter(found)
        return _core.TableWriter(found.memory, *_rows(found), epoch & 0xFFFF_FFFF, record.kind)

    def open_table_reader(self, name: str, table: layout.Table | None = None) -> _core.TableReader:
        """Read a latest-value table."""
        record = (table or _known(layout.TABLES, name)).record
        found = self._map(f"table.{name}", Kind.TABLE)
        require(found.header, Kind.TABLE, layout.abi_text(record), record.size_bytes, found.where)
        return _core.TableReader(found.memory, *_rows(found))

    def open_stats(self, shape: StatsShape | None = None) -> StatsWriter:
        """Own this process's counters, histograms and errors; made here when nobody did.

        Values go on from the last life: cells only grow, so readers may subtract.
        """
        name = f"stats.{self.process}"
        lock = OwnerLock(self.instance, name, self.process)
        try:
            if shape is not None or name not in places.segment_names(self.instance):
                wanted = stats_header(self.instance, self.process, shape or StatsShape())
                found, _ = make_segment(self.instance, wanted, self.process, lock)
            else:
                found = open_segment(self.instance, name, writable=True)
            self._check_place(found)
        except BaseException:
            lock.close()
            raise
        self._owned[name] = (lock, found)
        self._enter(found)
        return StatsWriter(found)

    def open_stats_reader(self, process: str) -> StatsReader:
        """Read another process's statistics."""
        return StatsReader(self._map(f"stats.{process}", Kind.STATS))

    def heartbeat(self, name: str) -> _core.Cell:
        """Return the heartbeat cell (``set(now_ns)``) of a segment we own, by ``kind.name``."""
        return _core.Cell(self._owned[name][1].memory, HEARTBEAT_AT)

    def heartbeat_word(self, name: str) -> memoryview:
        """Return another writer's heartbeat as 8 read-only shared bytes, for compiled checks."""
        return self._map(name, None).view[HEARTBEAT_AT : HEARTBEAT_AT + 8]

    def segment(self, name: str) -> Segment:
        """Return any segment mapped read-only (or our own), by ``kind.name``."""
        return self._owned[name][1] if name in self._owned else self._map(name, None)

    def holder(self, name: str) -> Identity | None:
        """Return the living writer of a segment, None when its lock is free."""
        return probe_lock(places.instance_dir(self.instance), name)

    def set_state(self, state: State) -> None:
        """Tell readers of everything we own where we are in our life (e.g. DRAINING)."""
        for _, segment in self._owned.values():
            segment.set_state(state)

    def lock_memory(self) -> str:
        """Keep all that is mapped so far from being swapped; return '' or what to do."""
        owned = [segment for _, segment in self._owned.values()]
        return lock_memory([*owned, *self._mapped.values()])

    def close(self) -> None:
        """Mark everything owned CLOSED and let the locks go. Writers must not be used after."""
        self.set_state(State.CLOSED)
        for lock, _ in self._owned.values():
            lock.close()
        self._owned.clear()
        self._mapped.clear()

    def _own(
        self, name: str, kind: Kind, records: Sequence[layout.RecordType[Any]], size: int
    ) -> Segment:
        lock = OwnerLock(self.instance, name, self.process)
        try:
            found = open_segment(self.instance, name, writable=True)
            require(found.header, kind, layout.abi_text(*records), size, found.where)
            self._check_place(found)
        except BaseException:
            lock.close()
            raise
        self._owned[name] = (lock, found)
        return found

    def _enter(self, found: Segment) -> int:
        """Note who writes from now on; the epoch goes up last."""
        write_writer(found.view, own_identity(self.process), monotonic_ns())
        epoch = found.epoch + 1
        _core.store_release(found.memory, EPOCH_AT, epoch)
        found.set_state(State.READY)
        return epoch

    def _own_gate(self, reader: str, stream: str) -> tuple[mmap.mmap, int]:
        name = f"gates.{reader}"
        if name not in self._owned:
            lock = OwnerLock(self.instance, name, self.process)
            try:
                found = open_segment(self.instance, name, writable=True)
                self._check_place(found)
            except BaseException:
                lock.close()
                raise
            self._owned[name] = (lock, found)
            self._enter(found)
        found = self._owned[name][1]
        return found.memory, gate_offset(found.header, stream)

    def _map(self, name: str, kind: Kind | None) -> Segment:
        found = self._mapped.get(name)
        if found is None:
            found = self._mapped[name] = open_segment(self.instance, name)
        if kind is not None and found.header.kind != kind:
            raise LayoutError(f"{found.where} is a {found.header.kind.name}, expected {kind.name}")
        return found

    def _check_place(self, found: Segment) -> None:
        header = found.header
        if header.boot_id != boot_id():
            raise SegmentError(f"{found.where} is left from before a reboot: run lowlat clean")
        here = places.instance_dir(self.instance)
        if header.run_dir != here:
            raise SegmentError(
                f"{found.where} keeps its locks in {header.run_dir}, we in {here}: set "
                "XDG_RUNTIME_DIR to the same value everywhere"
            )


def _known(known: Mapping[str, _T], name: str) -> _T:
    if name not in known:
        raise SegmentError(f"{name!r} is none of {sorted(known)}: pass its description")
    return known[name]


def _slots(found: Segment) -> tuple[int, int, int]:
    """Offset, size and number of slots, checked against what is really mapped."""
    header = found.header
    if header.record_bytes * header.record_count != header.data_bytes:
        raise LayoutError(f"{found.where} has a damaged header: its slots do not fill it")
    return header.header_bytes, header.record_bytes, header.record_count


def _rows(found: Segment) -> tuple[int, int, int]:
    """Offset, record size and number of rows, checked against what is really mapped."""
    header = found.header
    row_bytes = _core.TABLE_ROW_HEAD_BYTES + _core.TABLE_CELLS * header.record_bytes
    if row_bytes * header.record_count != header.data_bytes:
        raise LayoutError(f"{found.where} has a damaged header: its rows do not fill it")
    return header.header_bytes, header.record_bytes, header.record_count
