import bisect
import random
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm import _core
from lowlat.shm.attachment import Attachment
from lowlat.shm.histograms import HistogramView
from lowlat.shm.layouts import StatsShape

SHAPE = StatsShape(counters=4, histograms=2, errors=3)


@pytest.fixture
def feed(instance):
    with Attachment(instance, "feed") as mine:
        yield mine


def snapshot(mine):
    return Attachment(mine.instance, "top").open_stats_reader(mine.process).snapshot()


def test_counters_gauges_and_units_are_seen_by_name(feed):
    stats = feed.open_stats(SHAPE)
    frames, lag = stats.counter("frames", "1"), stats.gauge("lag", "ns")
    frames.add(3)
    frames.add(2**40)
    lag.set(99)
    lag.set(7)
    lag.max(5)
    stats.heartbeat.set(1234)
    seen = snapshot(feed)
    assert seen.counters == {"frames": 3 + 2**40, "lag": 7}
    assert seen.units == {"frames": "1", "lag": "ns"}
    assert [metric.name for metric in seen.metrics.values()] == ["COUNTER", "GAUGE"]
    assert seen.heartbeat_ns == 1234
    lag.max(8)
    assert lag.value == 8


def test_cell_refuses_negative_numbers(feed):
    cell = feed.open_stats(SHAPE).counter("x")
    for call in (cell.add, cell.set, cell.max):
        with pytest.raises(OverflowError):
            call(-1)


def test_counters_lie_on_lines_of_their_own(feed):
    stats = feed.open_stats(SHAPE)
    for name in "abcd":
        stats.counter(name)
    offsets = [offset for _, offset in stats._known.values()]
    assert [b - a for a, b in pairwise(offsets)] == [64] * 3
    assert offsets[0] % 64 == 0


def test_same_name_is_the_same_cell_and_another_sort_is_refused(feed):
    stats = feed.open_stats(SHAPE)
    stats.counter("x").add(1)
    stats.counter("x").add(1)
    assert snapshot(feed).counters == {"x": 2}
    with pytest.raises(ValueError, match="is a COUNTER, not a HISTOGRAM"):
        stats.histogram("x")


@pytest.mark.parametrize("name", ["", "x" * 65, "naïve"])
def test_bad_names_are_refused(feed, name):
    with pytest.raises(ValueError):
        feed.open_stats(SHAPE).counter(name)


def test_full_tables_say_so(feed):
    stats = feed.open_stats(SHAPE)
    for n in range(4):
        stats.counter(f"c{n}")
    with pytest.raises(ValueError, match="no room for metric c4: 4"):
        stats.counter("c4")
    stats.histogram("h0").record(5)
    stats.histogram("h1").record(7)
    with pytest.raises(ValueError, match="no room for metric h2: 2"):
        stats.histogram("h2")
    seen = snapshot(feed)
    assert (seen.histograms["h0"].sum_ns, seen.histograms["h1"].sum_ns) == (5, 7)


def test_values_outlive_their_process_and_grow_on(feed):
    stats = feed.open_stats(SHAPE)
    stats.counter("a").add(5)
    stats.histogram("h").record(100)
    stats.errors.record("boom", 11)
    feed.close()
    assert snapshot(feed).counters == {"a": 5}, "readable after death"
    with Attachment(feed.instance, "feed") as again:
        stats = again.open_stats(SHAPE)
        stats.counter("b").add(1)
        stats.counter("a").add(1)
        stats.histogram("h").record(200)
        stats.errors.record("boom", 22)
        seen = snapshot(again)
    assert seen.counters == {"a": 6, "b": 1}
    assert (seen.histograms["h"].count, seen.histograms["h"].sum_ns) == (2, 300)
    assert [(e.text, e.count, e.first_ns, e.last_ns) for e in seen.errors] == [("boom", 2, 11, 22)]
    assert seen.epoch == 2


def test_other_shape_starts_afresh(feed):
    feed.open_stats(SHAPE).counter("a").add(5)
    feed.close()
    with Attachment(feed.instance, "feed") as again:
        assert snapshot(again).counters == {"a": 5}
        again.open_stats(StatsShape(5, 2, 3))
        assert snapshot(again).counters == {}


def test_second_process_of_that_name_is_refused(feed):
    feed.open_stats(SHAPE)
    with pytest.raises(SegmentError, match="owned by feed"):
        Attachment(feed.instance, "feed").open_stats(SHAPE)


def test_distinct_errors_are_kept_once_each_and_the_rest_is_counted(feed):
    errors = feed.open_stats(SHAPE).errors
    for now_ns in range(1, 11):
        errors.record("bad frame", now_ns)
    errors.record("ü" * 400, 20)
    errors.record("ü" * 399, 21)
    for n in range(5):
        errors.record(f"varying {n}", 30 + n)
    errors.record("bad frame", 99)
    seen = snapshot(feed)
    assert [(e.count, e.first_ns, e.last_ns) for e in seen.errors] == [
        (11, 1, 99),
        (1, 20, 20),
        (1, 21, 21),
    ]
    assert seen.errors[0].text == "bad frame"
    assert set(seen.errors[1].text) == {"ü"}
    assert seen.errors_dropped == 5


@pytest.mark.parametrize(("at", "value"), [(0, 7), (192 + 8, 9)])
def test_damaged_name_table_is_a_layout_error(feed, at, value):
    feed.open_stats(SHAPE).counter("x")
    mine = feed.segment("stats.feed")
    struct.pack_into("<Q", mine.view, mine.header.header_bytes + at, value)
    with pytest.raises(LayoutError, match="damaged"):
        snapshot(feed)


# ------------------------------------------------------------------------------- histograms
def histogram():
    memory = bytearray(_core.HISTOGRAM_BYTES)
    return _core.Histogram(memory, 0)


@given(st.integers(0, 60_000_000_000))
def test_cell_of_a_value_is_within_a_percent(value_ns):
    index = _core.histogram_index(value_ns)
    assert index < _core.HISTOGRAM_CELLS
    low, end = _core.histogram_low_ns(index), _core.histogram_low_ns(index + 1)
    assert low <= value_ns < end
    assert end - 1 - low <= low / 128


def test_cells_tile_the_range_without_gaps():
    lows = [_core.histogram_low_ns(index) for index in range(_core.HISTOGRAM_CELLS + 1)]
    assert lows[0] == 0
    assert all(a < b for a, b in pairwise(lows))
    assert lows[-1] > 60_000_000_000
    assert all(_core.histogram_index(low) == index for index, low in enumerate(lows[:-1]))


@given(st.lists(st.integers(-5, 2**63 - 1), max_size=50))
def test_every_value_is_counted_exactly_once(values):
    mine = histogram()
    for value in values:
        mine.record(value)
    view = HistogramView.copy_of(mine)
    assert view.count == len(values)
    limit = _core.histogram_low_ns(_core.HISTOGRAM_CELLS)
    assert view.overflow == sum(value >= limit for value in values)
    assert view.sum_ns == sum(max(1, value) for value in values) % 2**64


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=200), st.floats(0, 100))
def test_percentiles_are_within_a_percent_of_the_sorted_values(values, percent):
    mine = histogram()
    for value in values:
        mine.record(value)
    view = HistogramView.copy_of(mine)
    rank = max(1, -int(-percent * len(values) // 100))
    exact = sorted(values)[rank - 1]
    assert exact <= view.percentile_ns(percent) <= exact * 129 // 128 + 1
    assert max(values) <= view.max_ns <= max(values) * 129 // 128 + 1
    assert bisect.bisect(sorted(values), view.percentile_ns(percent)) >= rank


def test_a_process_that_trades_reads_the_same_percentiles_without_numpy(feed):
    stats, draw = feed.open_stats(SHAPE), random.Random(1)
    mine, percents = stats.histogram("h"), (0, 1, 50, 99, 100)
    stats.histogram("unused")
    for count in range(1, 200):
        mine.record(int(10 ** draw.uniform(0, 11)))
        view = snapshot(feed).histograms["h"]
        wanted = [view.percentile_ns(each) for each in percents]
        reader = Attachment(feed.instance, "top").open_stats_reader("feed")
        assert list(reader.percentiles(percents)) == [("h", count, wanted)]


def test_intervals_are_differences_and_merges_are_sums():
    mine, other = histogram(), histogram()
    mine.record(10)
    first = HistogramView.copy_of(mine)
    mine.record(1000)
    other.record(5)
    second = HistogramView.copy_of(mine)
    assert (second.since(first).count, second.since(first).sum_ns) == (1, 1000)
    both = second.merged(HistogramView.copy_of(other))
    assert (both.count, both.mean_ns) == (3, 1015 / 3)


def test_empty_histogram_has_no_percentiles_and_bad_percents_are_refused():
    view = HistogramView.copy_of(histogram())
    assert (view.count, view.max_ns, view.mean_ns, view.percentile_ns(99)) == (0, 0, 0.0, 0)
    for bad in (-1, 101):
        with pytest.raises(ValueError, match="percent"):
            view.percentile_ns(bad)


def test_copy_needs_room_for_all_cells():
    with pytest.raises(ValueError, match="expected 3810"):
        histogram().copy_into(np.zeros(10, np.uint64))
