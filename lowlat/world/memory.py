"""An instance's streams and tables in private memory: what outlives a crash and not a reboot."""

from collections.abc import Mapping
from typing import Final

from lowlat.core.layout import STREAMS
from lowlat.core.ports import StreamReader, StreamWriter, TableReader, TableWriter
from lowlat.shm import _core_faulty
from lowlat.shm.private import PrivateStream, PrivateTable
from lowlat.world.fuse import Fuse, FusedReader, FusedStream, FusedTable

__all__ = ["Memory"]

_MORTAL_STREAMS: Final = frozenset({"signals", "intents", "decisions", "reports"})
_MORTAL_TABLES: Final = frozenset(
    {"orders", "groups", "positions", "cash", "exposure", "scores", "stakes"}
)
"""Where the order of stores matters to money: a process may die at each of them."""
_SLOTS: Final = {"reports": 256}
"""Fewer than a real instance has: a recorder that stands still for seconds is felt."""


class Memory:
    """Opens ends as an Attachment does; each writer's life has the next epoch."""

    def __init__(self, fuse: Fuse, rows: Mapping[str, int], recorder: Fuse | None = None) -> None:
        """``fuse`` is the engine process's, ``recorder`` that of who holds the ledger gates."""
        self._fuse = fuse
        self._fuses = {} if recorder is None else {"ledger": recorder}
        self._rows = rows
        self._streams: dict[str, PrivateStream] = {}
        self._tables: dict[str, PrivateTable] = {}
        self._epochs: dict[str, int] = {}
        self._touched: dict[str, set[int]] = {}
        self.gates: list[tuple[str, str, StreamReader]] = []
        """Every gated reader ever opened: stream, gate, reader. None may lose a record."""

    @property
    def slots(self) -> dict[str, int]:
        """Sizes of streams that are not as usual."""
        return _SLOTS

    @property
    def lives(self) -> int:
        """Processes that wrote here so far."""
        return max(self._epochs.values(), default=0)

    def stream(self, name: str) -> PrivateStream:
        """Return a stream, made when it is new."""
        found = self._streams.get(name)
        if found is None:
            found = self._streams[name] = PrivateStream(
                name,
                slots=_SLOTS.get(name),
                gates=STREAMS[name].gates,
                make_writer=_core_faulty.StreamWriter,
            )
        return found

    def table(self, name: str) -> PrivateTable:
        """Return a table, made when it is new."""
        found = self._tables.get(name)
        if found is None:
            found = self._tables[name] = PrivateTable(
                name, rows=self._rows.get(name), make_writer=_core_faulty.TableWriter
            )
        return found

    def open_stream_writer(self, name: str) -> StreamWriter:
        """Own a stream and go on where the last writer stopped."""
        stream = self.stream(name)
        writer = stream.reopen(self._enter(name))
        mortal = name in _MORTAL_STREAMS
        return FusedStream(writer, stream.memory, self._fuse) if mortal else writer

    def open_stream_reader(
        self, name: str, *, position: int | None = None, gate: str | None = None
    ) -> StreamReader:
        """Read from position or the next record on; a gate goes on behind what it released."""
        stream = self.stream(name)
        if gate is None:
            return stream.reader(position)
        left = stream.released(gate)
        reader = stream.reader(left or 1, gate=gate)
        self.gates.append((name, gate, reader))
        return FusedReader(reader, self._fuses.get(gate, self._fuse))

    def open_table_writer(self, name: str) -> TableWriter:
        """Own a table; its rows stay."""
        table = self.table(name)
        writer = table.reopen(self._enter(name))
        mortal = name in _MORTAL_TABLES
        return (
            FusedTable(writer, table.memory, self._fuse, self.touched(name)) if mortal else writer
        )

    def touched(self, name: str) -> set[int]:
        """Return the rows written of a table a process may die over; whoever reads empties it."""
        return self._touched.setdefault(name, set())

    def open_table_reader(self, name: str) -> TableReader:
        """Read a table."""
        return self.table(name).reader()

    def _enter(self, name: str) -> int:
        epoch = self._epochs[name] = self._epochs.get(name, 0) + 1
        return epoch
