"""Waking parked readers of gated streams, from behind the turn, never from the order path.

A gated reader that sleeps says so in its gate; whoever publishes looks at the end of a turn and
writes a byte into the reader's FIFO in the run directory. Processes that wait in the kernel for
sockets take the FIFO for one more (``doorbell``); those without sockets poll it (``Park``).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lowlat.core.layout import STREAMS
from lowlat.core.ports import StreamReader, StreamWriter, TableReader, TableWriter
from lowlat.shm import _core
from lowlat.shm.attachment import Attachment
from lowlat.shm.waiting import Bells

__all__ = ["GatedMemory", "Input", "Ringer"]

_NEVER_RUNG: Final = frozenset({"ledger"})
"""It polls: what it writes down is never waited for."""


class Input(NamedTuple):
    """A gated stream that this process reads."""

    stream: str
    gate: str
    reader: _core.StreamReader


class GatedMemory:
    """A process's ends of streams and tables; remembers the gated ones."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._writers: dict[str, _core.StreamWriter] = {}
        self._inputs: list[Input] = []

    def open_stream_writer(self, name: str) -> StreamWriter:
        """Own a stream."""
        writer = self._attachment.open_stream_writer(name)
        if STREAMS[name].gates:
            self._writers[name] = writer
        return writer

    def open_stream_reader(
        self, name: str, *, position: int | None = None, gate: str | None = None
    ) -> StreamReader:
        """Read a stream."""
        reader = self._attachment.open_stream_reader(name, position=position, gate=gate)
        if gate is not None:
            self._inputs.append(Input(name, gate, reader))
        return reader

    def open_table_writer(self, name: str) -> TableWriter:
        """Own a table."""
        return self._attachment.open_table_writer(name)

    def open_table_reader(self, name: str) -> TableReader:
        """Read a table."""
        return self._attachment.open_table_reader(name)

    @property
    def inputs(self) -> list[Input]:
        """Gated streams that another process writes and this one reads."""
        return [each for each in self._inputs if each.stream not in self._writers]

    @property
    def bells(self) -> list[Bells]:
        """What to ring for readers in other processes, one a stream that has any."""
        own = {(each.stream, each.gate) for each in self._inputs}
        return [
            Bells(self._attachment.instance, writer, STREAMS[name].gates)
            for name, writer in self._writers.items()
            if any(
                (name, gate) not in own and gate not in _NEVER_RUNG for gate in STREAMS[name].gates
            )
        ]


class Ringer:
    """Engine that wakes sleepers, last in every turn."""

    name: Final = "ringer"

    def __init__(self, bells: Sequence[Bells]) -> None:
        self._bells = bells

    def start(self) -> None:
        """Nobody waits yet."""

    def turn(self, now_ns: int) -> int:
        """Ring where a reader sleeps; 6 ns a stream when none does."""
        del now_ns
        for bells in self._bells:
            bells.ring()
        return 0

    def close(self) -> None:
        """Wake everybody once more: what was published last is theirs."""
        for bells in self._bells:
            bells.ring()
            bells.close()
