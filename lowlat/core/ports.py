"""What pure engines are given instead of the machine: clock, salts, readers, writers, cells.

``app`` plugs in shared memory and the real clock, ``world`` a virtual clock, tests lists. A
writer's ``buffer`` is one private slot: fill it behind SLOT_HEAD_BYTES (``RecordType.pack``),
then ``publish`` or ``write``. A reader's ``buffer`` is a private copy, valid until its next call.
"""

from typing import Final, Protocol

__all__ = [
    "EMPTY",
    "OVERRUN",
    "READ_BUSY",
    "READ_NEVER",
    "SEND_HALTED",
    "SEND_NONE",
    "SEND_PARTIAL",
    "SENT",
    "Cell",
    "Clock",
    "Engine",
    "Recorder",
    "Salts",
    "StreamReader",
    "StreamWriter",
    "TableReader",
    "TableWriter",
    "Transport",
]

EMPTY: Final = 0
"""poll: nothing new."""
OVERRUN: Final = -1
"""poll: lapped; ``lost`` grew, the next poll returns the newest record."""
READ_NEVER: Final = 0
"""read: the row was never written."""
READ_BUSY: Final = -1
"""read: the writer overran every retry; try again next turn."""
SENT: Final = 1
"""send: every byte was handed to the kernel."""
SEND_NONE: Final = 0
"""send: no warm idle connection; nothing left the machine."""
SEND_PARTIAL: Final = -1
"""send: some bytes left; the outcome is unknown."""
SEND_HALTED: Final = -2
"""send: a halt cell is set or a watchdog is late; nothing left the machine."""


class Clock(Protocol):
    """Two times: monotonic for everything internal, wall for what venues want."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only grow; one clock for all processes of a boot."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, disciplined from outside."""
        ...


class Salts(Protocol):
    """Order salts: 53 random bits."""

    def next_salt(self) -> int:
        """Return a fresh salt in [1, 2**53 - 1]."""
        ...


class StreamWriter(Protocol):
    """Writing end of a stream; exactly one exists."""

    @property
    def buffer(self) -> memoryview:
        """One private slot, writable."""
        ...

    @property
    def epoch(self) -> int:
        """Epoch of this writer."""
        ...

    @property
    def cursor(self) -> int:
        """Position of the next record, from 1."""
        ...

    @property
    def slot_count(self) -> int:
        """Slots of the ring."""
        ...

    def publish(self, kind: int) -> int:
        """Publish the buffer; return its position, or 0 when a gate has not passed the slot."""
        ...

    def free(self) -> int:
        """Slots that can be published before a gate stops us (slot count when ungated)."""
        ...


class StreamReader(Protocol):
    """Reading end of a stream; also advances its gate when it is one."""

    @property
    def buffer(self) -> memoryview:
        """Copy of the last record, read-only in spirit."""
        ...

    @property
    def position(self) -> int:
        """Position of the record that the next poll looks at."""
        ...

    @property
    def epoch(self) -> int:
        """Writer's epoch of the last record."""
        ...

    @property
    def lost(self) -> int:
        """Records overwritten before they were read."""
        ...

    def poll(self) -> int:
        """Return the kind of the next record (now in buffer), EMPTY or OVERRUN."""
        ...

    def release(self) -> None:
        """Gate: let the writer reuse every slot polled so far. Nothing for plain readers."""
        ...


class TableWriter(Protocol):
    """Writing end of a latest-value table."""

    @property
    def buffer(self) -> memoryview:
        """One private row, writable."""
        ...

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    def write(self, row: int) -> int:
        """Write the buffer as the row's next version; return the version (from 1)."""
        ...

    def write_lines(self, row: int, lines: int) -> int:
        """Do the same for the buffer's 64-byte lines whose bit is set.

        For a writer who knows that the rest is as it was four versions ago.
        """
        ...

    def warm(self, row: int, version: int, lines: int) -> None:
        """Begin to load what write_lines will touch as that version; changes nothing."""
        ...

    def read(self, row: int) -> int:
        """Load the row's newest version into buffer; return it, or READ_NEVER."""
        ...


class TableReader(Protocol):
    """Reading end of a latest-value table."""

    @property
    def buffer(self) -> memoryview:
        """Copy of the last row read."""
        ...

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    def version(self, row: int) -> int:
        """Return the row's version without copying (0 = never written)."""
        ...

    def read(self, row: int) -> int:
        """Copy the row into buffer; return its version, READ_NEVER or READ_BUSY."""
        ...


class Cell(Protocol):
    """A counter in shared memory, one writer."""

    def add(self, count: int) -> None:
        """Add count."""
        ...

    def set(self, value: int) -> None:
        """Overwrite (gauges)."""
        ...

    def max(self, value: int) -> None:
        """Keep the larger."""
        ...


class Recorder(Protocol):
    """A latency histogram in shared memory, one writer."""

    def record(self, value_ns: int) -> None:
        """Count one value; clamped to 1 ns .. 60 s."""
        ...


class Transport(Protocol):
    """Warm request connections to one venue.

    Answers come back through the owner's callbacks, ``on_answer(key, status, headers, body,
    recv_ns)`` or ``on_lost(key, recv_ns)``, in a later turn: exactly one of them for every SENT or
    SEND_PARTIAL.
    """

    def send(self, request: bytes | bytearray | memoryview, key: int, *, urgent: bool) -> int:
        """Write one whole HTTP request on an idle connection: SENT, SEND_NONE or SEND_PARTIAL.

        ``urgent`` requests (new orders) pass the halt gate in the same compiled call and may also
        get SEND_HALTED; others (cancels, look-ups) always may leave.
        """
        ...

    def idle(self) -> int:
        """Count the connections that could take a request now."""
        ...


class Engine(Protocol):
    """A state machine that a process runs in turns. Never sleeps, never blocks."""

    @property
    def name(self) -> str:
        """Role, as in the topology."""
        ...

    def start(self) -> None:
        """Take inputs at their cursors and publish first state."""
        ...

    def turn(self, now_ns: int) -> int:
        """Do what is due; return how much was done, 0 when idle."""
        ...

    def close(self) -> None:
        """Publish last state; no work after."""
        ...
