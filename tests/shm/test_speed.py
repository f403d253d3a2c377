"""Ratios against an empty call of the same run; a slip of the core shows as a multiple.

Medians of many short rounds, best of the rounds: a busy machine slows both sides alike.
"""

import mmap
import timeit

import pytest
from shm_kit import SLOTS_AT

from lowlat.shm import _core

ROUNDS, CALLS = 60, 2000


class Empty:
    __slots__ = ()

    def call(self, kind):
        return kind


def cost(function, *arguments):
    names = {"f": function, **{f"a{i}": a for i, a in enumerate(arguments)}}
    call = f"f({', '.join(f'a{i}' for i in range(len(arguments)))})"
    timer = timeit.Timer(call, globals=names)
    return lambda: timer.timeit(CALLS)


def ratio(measured, floor):
    """Interleave both and compare their best rounds."""
    pairs = [(floor(), measured()) for _ in range(ROUNDS)]
    return min(m for _, m in pairs) / min(f for f, _ in pairs)


def ends(slot_bytes, slots=1024):
    memory = mmap.mmap(-1, SLOTS_AT + slots * slot_bytes)
    shape = (memory, SLOTS_AT, slot_bytes, slots, 0)
    return _core.StreamWriter(*shape, 1), _core.StreamReader(*shape)


@pytest.fixture(scope="module")
def floor():
    return cost(Empty().call, 1)


@pytest.mark.parametrize(("slot_bytes", "limit"), [(256, 5), (512, 6), (1024, 9)])
def test_publish_costs_a_few_empty_calls(floor, slot_bytes, limit):
    assert ratio(cost(ends(slot_bytes)[0].publish, 1), floor) < limit


def test_empty_poll_costs_about_an_empty_call(floor):
    assert ratio(cost(ends(512)[1].poll), floor) < 3


def test_table_read_costs_a_few_empty_calls(floor):
    memory = mmap.mmap(-1, 64 + 4 * 896)
    writer = _core.TableWriter(memory, 0, 896, 1, 1, 20)
    writer.write(0)
    assert ratio(cost(_core.TableReader(memory, 0, 896, 1).read, 0), floor) < 9
    assert ratio(cost(writer.write, 0), floor) < 10


def test_histogram_and_counter_cost_about_an_empty_call(floor):
    histogram = _core.Histogram(bytearray(_core.HISTOGRAM_BYTES), 0)
    cell = _core.Cell(bytearray(64), 0)
    assert ratio(cost(histogram.record, 12_345), floor) < 4
    assert ratio(cost(cell.add, 1), floor) < 4
