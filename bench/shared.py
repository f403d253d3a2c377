"""What shared memory costs a caller: publish, poll, table write and read, histogram, counter.

A regression means a check, a copy or an allocation was added to every record of every stream. The
floor is an empty Python call in the same loop, measured in the same run.
"""

from collections.abc import Callable
from functools import partial

from bench.harness import Row, paired, timed_ns
from lowlat.core.layout import BOOK_ROW
from lowlat.shm._core import (
    HISTOGRAM_BYTES,
    Cell,
    Histogram,
    StreamReader,
    StreamWriter,
    TableReader,
    TableWriter,
)

ROWS = ("publish", "poll", "poll-empty", "table-write", "table-read", "histogram", "counter")
LOOPS = 5_000
SLOT_BYTES, SLOTS = 512, 8_192


class _Empty:
    def call(self) -> None:
        """Do nothing, to be the floor."""


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named."""
    stream = bytearray(128 + SLOT_BYTES * SLOTS + 64)
    view = memoryview(stream)
    writer = StreamWriter(view, 128, SLOT_BYTES, SLOTS, 0, 1)
    reader = StreamReader(view, 128, SLOT_BYTES, SLOTS, 0)
    table = memoryview(bytearray((64 + 4 * BOOK_ROW.size_bytes) * 16))
    put = TableWriter(table, 0, BOOK_ROW.size_bytes, 16, 1, BOOK_ROW.kind)
    get = TableReader(table, 0, BOOK_ROW.size_bytes, 16)
    histogram = Histogram(memoryview(bytearray(HISTOGRAM_BYTES)), 0)
    cell = Cell(memoryview(bytearray(64)), 0)
    put.write(3)

    def poll(loops: int) -> None:
        for _ in range(loops):
            writer.publish(1)
        call = reader.poll
        for _ in range(loops):
            call()

    publish = _loop(writer.publish, 1)
    calls: dict[str, Callable[[int], object]] = {
        "publish": publish,
        "poll": poll,
        "poll-empty": _loop(reader.poll),
        "table-write": _loop(put.write, 3),
        "table-read": _loop(get.read, 3),
        "histogram": _loop(histogram.record, 12_345),
        "counter": _loop(cell.add, 1),
    }
    empty = _loop(_Empty().call)
    rows = []
    for name in names:
        if name == "poll-empty":
            while reader.poll():
                pass
        ours = partial(timed_ns, calls[name], LOOPS, 5)
        row = paired(name, ours, partial(timed_ns, empty, LOOPS, 5), floor_name="empty call")
        if name == "poll":
            row.notes["includes"] = "the publish of the record"
        rows.append(row)
    return rows


def _loop(call: Callable[..., object], *arguments: object) -> Callable[[int], object]:
    if arguments:
        (argument,) = arguments

        def with_argument(loops: int) -> None:
            for _ in range(loops):
                call(argument)

        return with_argument

    def without(loops: int) -> None:
        for _ in range(loops):
            call()

    return without
