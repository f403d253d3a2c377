"""An instance's streams and tables in private memory: what outlives a crash and not a reboot."""

from collections.abc import Mapping
from typing import Final

from lowlat.core.ports import StreamReader, StreamWriter, TableReader, TableWriter
from lowlat.shm import _core_faulty
from lowlat.shm.picture import Camera
from lowlat.shm.private import PrivateMemory, PrivateStream, Writers
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
    """Private memory whose writers and gates may die of a fuse."""

    def __init__(self, fuse: Fuse, rows: Mapping[str, int], recorder: Fuse | None = None) -> None:
        """``fuse`` is the engine process's, ``recorder`` that of who holds the ledger gates."""
        self._fuse = fuse
        self._fuses = {} if recorder is None else {"ledger": recorder}
        self._private = PrivateMemory(
            slots=_SLOTS,
            rows=rows,
            writers=Writers(_core_faulty.StreamWriter, _core_faulty.TableWriter),
        )
        self._touched: dict[str, set[int]] = {}
        self.gates: list[tuple[str, str, StreamReader]] = []
        """Every gated reader ever opened: stream, gate, reader. None may lose a record."""

    @property
    def slots(self) -> dict[str, int]:
        """Sizes of streams that are not as usual."""
        return _SLOTS

    def picture(self) -> Camera:
        """Return what dead processes left here."""
        return self._private.picture()

    def stream(self, name: str) -> PrivateStream:
        """Return a stream."""
        return self._private.stream(name)

    def open_stream_writer(self, name: str) -> StreamWriter:
        """Own a stream; the writer of one that matters to money is mortal."""
        writer = self._private.open_stream_writer(name)
        mortal = name in _MORTAL_STREAMS
        return FusedStream(writer, self.stream(name).memory, self._fuse) if mortal else writer

    def open_stream_reader(
        self, name: str, *, position: int | None = None, gate: str | None = None
    ) -> StreamReader:
        """Read a stream; whoever moves a gate is mortal."""
        reader = self._private.open_stream_reader(name, position=position, gate=gate)
        if gate is None:
            return reader
        self.gates.append((name, gate, reader))
        return FusedReader(reader, self._fuses.get(gate, self._fuse))

    def open_table_writer(self, name: str) -> TableWriter:
        """Own a table; the writer of one that matters to money is mortal."""
        writer = self._private.open_table_writer(name)
        if name not in _MORTAL_TABLES:
            return writer
        memory = self._private.table(name).memory
        return FusedTable(writer, memory, self._fuse, self.touched(name))

    def touched(self, name: str) -> set[int]:
        """Return the rows written of a table a process may die over; whoever reads empties it."""
        return self._touched.setdefault(name, set())

    def open_table_reader(self, name: str) -> TableReader:
        """Read a table."""
        return self._private.open_table_reader(name)
