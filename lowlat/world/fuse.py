"""Sudden death: a countdown over every store, send, stamp and count of a process.

What a SIGKILL does between two instructions, ``Crash`` does between two effects: nothing behind the
point where it is raised happens. Nobody in the engines may catch it. A fuse that tears waits for
the next record and dies behind one of the stores that write it.
"""

from collections.abc import Callable

from lowlat.core.clock import VirtualClock
from lowlat.core.ports import StreamReader
from lowlat.execution.meters import CELL_NAMES, RECORDER_NAMES, ExecutorMeters
from lowlat.shm import _core
from lowlat.shm._core_faulty import tear

__all__ = [
    "Crash",
    "Fuse",
    "FusedClock",
    "FusedMeters",
    "FusedReader",
    "FusedStream",
    "FusedTable",
    "Tally",
]


class Crash(BaseException):
    """The process is gone. Not an Exception: no engine handles it."""

    def __init__(self, *, inside: bool = False) -> None:
        super().__init__()
        self.inside = inside
        """Between two stores of one record."""


class Fuse:
    """Burns once an effect; the process dies when it is spent. Unlit, it costs one comparison."""

    __slots__ = ("left", "tears")

    def __init__(self) -> None:
        self.left = 0
        self.tears = 0
        """Die inside a record, behind so many of its stores (0: between two effects)."""

    def light(self, effects: int, tears: int = 0) -> None:
        """Die after so many more effects, or sooner when that was planned; 0: never."""
        self.tears = tears if effects else 0
        self.left = min(effects, self.left or effects)

    def burn(self) -> None:
        """Die here if it is time."""
        if self.left:
            self.left -= 1
            if not self.left:
                if self.tears:
                    self.left = 1
                    return
                raise Crash

    def burn_in(self, memory: memoryview, stores: int, write: Callable[[], object]) -> None:
        """Die inside a write of so many stores if it is time for that, else burn as ever."""
        if self.left == 1 and self.tears:
            behind = 1 + (self.tears - 1) % stores
            self.left = self.tears = 0
            raise Crash(inside=tear(memory, behind, write))
        self.burn()


class FusedClock:
    """The world's clock as one process reads it: a reading takes time, and may be its last."""

    __slots__ = ("_clock", "_fuse", "_read_ns", "_wall_step_ns")

    def __init__(self, clock: VirtualClock, fuse: Fuse, read_ns: int) -> None:
        self._clock = clock
        self._fuse = fuse
        self._read_ns = read_ns
        self._wall_step_ns = 0

    def monotonic_ns(self) -> int:
        """Return the virtual monotonic time."""
        self._fuse.burn()
        self._clock.advance(self._read_ns)
        return self._clock.monotonic_ns()

    def wall_ns(self) -> int:
        """Return this machine's wall time, right or not."""
        return self._clock.wall_ns() + self._wall_step_ns

    def step_wall(self, by_ns: int) -> None:
        """Step this machine's wall clock, as a bad NTP server would."""
        self._wall_step_ns += by_ns


class FusedStream:
    """A stream's writer that may die before, inside and behind each publish."""

    __slots__ = ("_fuse", "_memory", "_stores", "_writer", "buffer", "epoch", "free", "slot_count")

    def __init__(self, writer: _core.StreamWriter, memory: memoryview, fuse: Fuse) -> None:
        self._writer = writer
        self._memory = memory
        self._stores = len(writer.buffer) // 8 + 2
        self._fuse = fuse
        self.buffer = writer.buffer
        self.epoch = writer.epoch
        self.free = writer.free
        self.slot_count = writer.slot_count

    @property
    def cursor(self) -> int:
        """Position of the next record."""
        return self._writer.cursor

    def publish(self, kind: int) -> int:
        """Publish the buffer, or die trying."""
        self._fuse.burn_in(self._memory, self._stores, lambda: self._writer.publish(kind))
        position = self._writer.publish(kind)
        self._fuse.burn()
        return position


class FusedReader:
    """A gated reader whose process may die before or behind each move of its gate."""

    __slots__ = ("_fuse", "_reader", "buffer", "poll")

    def __init__(self, reader: StreamReader, fuse: Fuse) -> None:
        self._reader = reader
        self._fuse = fuse
        self.buffer = reader.buffer
        self.poll = reader.poll

    @property
    def position(self) -> int:
        """Position of the next record."""
        return self._reader.position

    @property
    def epoch(self) -> int:
        """Epoch of the last record's writer."""
        return self._reader.epoch

    @property
    def lost(self) -> int:
        """Records overwritten before they were read."""
        return self._reader.lost

    def release(self) -> None:
        """Move the gate, or die trying."""
        self._fuse.burn()
        self._reader.release()
        self._fuse.burn()


class FusedTable:
    """A table's writer that may die before, inside and behind each write."""

    __slots__ = (
        "_fuse",
        "_memory",
        "_stores",
        "_touched",
        "_writer",
        "buffer",
        "read",
        "rows",
        "version",
        "warm",
    )

    def __init__(
        self, writer: _core.TableWriter, memory: memoryview, fuse: Fuse, touched: set[int]
    ) -> None:
        """``touched`` takes the rows that were written, or nearly."""
        self._writer = writer
        self._touched = touched
        self._memory = memory
        self._stores = len(writer.buffer) // 8 + 2
        self._fuse = fuse
        self.buffer = writer.buffer
        self.rows = writer.rows
        self.read = writer.read
        self.version = writer.version
        self.warm = writer.warm

    def write(self, row: int) -> int:
        """Write the buffer as the row's next version, or die trying."""
        self._touched.add(row)
        self._fuse.burn_in(self._memory, self._stores, lambda: self._writer.write(row))
        version = self._writer.write(row)
        self._fuse.burn()
        return version

    def write_lines(self, row: int, lines: int) -> int:
        """Write some lines of the buffer, or die trying."""
        self._touched.add(row)
        self._fuse.burn_in(self._memory, self._stores, lambda: self._writer.write_lines(row, lines))
        version = self._writer.write_lines(row, lines)
        self._fuse.burn()
        return version


class Tally:
    """A counter, a gauge or a histogram's count, in one."""

    __slots__ = ("_fuse", "value")

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self.value = 0

    def add(self, count: int) -> None:
        """Add count."""
        self._fuse.burn()
        self.value += count

    def set(self, value: int) -> None:
        """Overwrite."""
        self._fuse.burn()
        self.value = value

    def max(self, value: int) -> None:
        """Keep the larger."""
        self.value = max(self.value, value)

    def record(self, value_ns: int) -> None:
        """Count one value."""
        assert value_ns >= -(10**18), f"latency of {value_ns} ns"
        self._fuse.burn()
        self.value += 1


class FusedMeters:
    """All tallies of one instance by name; they outlive the process, as shared memory does."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self.tallies: dict[str, Tally] = {}

    def cell(self, name: str) -> Tally:
        """Return the counter of that name."""
        found = self.tallies.get(name)
        if found is None:
            found = self.tallies[name] = Tally(self._fuse)
        return found

    gauge = cell
    recorder = cell

    def scope(self, prefix: str) -> "Scope":
        """Return a cell maker whose names begin with prefix."""
        return Scope(self, prefix)

    def executor(self) -> ExecutorMeters:
        """Return the executor's meters."""
        recorders = {name: self.cell(f"latency.{name}") for name in RECORDER_NAMES}
        cells = {name: self.cell(f"executor.{name}") for name in CELL_NAMES}
        return ExecutorMeters(**recorders, **cells)


class Scope:
    """Names with a prefix."""

    def __init__(self, meters: FusedMeters, prefix: str) -> None:
        self._meters = meters
        self._prefix = prefix

    def __call__(self, name: str) -> Tally:
        """Return the counter of that name."""
        return self._meters.cell(f"{self._prefix}.{name}")
