"""Freshness is one comparison; checked by rule and against a model over random histories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.freshness import Shards
from lowlat.core.layout import SHARD_ROW, SLOT_HEAD_BYTES, ShardRow

LIMIT_NS = 1_000


class Table:
    """The reading end of a shard table, with a hand on its rows."""

    def __init__(self, rows=3):
        self.buffer = memoryview(bytearray(SHARD_ROW.size_bytes))
        self.rows = rows
        self.images = [b""] * rows
        self.versions = [0] * rows
        self.busy = False
        self.reads = 0

    def put(self, shard, generation, *, alive=1, data_ns=0):
        image = bytearray(SHARD_ROW.size_bytes)
        row = ShardRow(1, data_ns, 0, generation, 1, 1, alive, 10, 0)
        SHARD_ROW.codec.pack_into(image, SLOT_HEAD_BYTES, *row)
        self.images[shard] = bytes(image)
        self.versions[shard] += 1

    def version(self, shard):
        return self.versions[shard]

    def read(self, shard):
        self.reads += 1
        if self.busy:
            return -1
        if self.versions[shard]:
            self.buffer[:] = self.images[shard]
        return self.versions[shard]


def test_a_row_of_the_newest_connection_of_a_living_shard_is_fresh():
    table = Table()
    table.put(1, 7, data_ns=100)
    shards = Shards(table, LIMIT_NS)
    assert shards.is_fresh(1, 7, 100 + LIMIT_NS)
    assert not shards.is_fresh(1, 7, 101 + LIMIT_NS)
    assert not shards.is_fresh(1, 6, 100)
    assert not shards.is_fresh(0, 7, 100)
    assert not shards.is_fresh(0, 0, 0)


def test_a_dead_shard_has_no_fresh_rows():
    table = Table()
    table.put(0, 7, alive=0)
    assert not Shards(table, LIMIT_NS).is_fresh(0, 7, 0)


def test_a_shard_outside_the_table_is_never_fresh():
    assert not Shards(Table(), LIMIT_NS).is_fresh(3, 0, 0)
    assert not Shards(Table(rows=0), LIMIT_NS).is_fresh(0, 0, 0)


def test_a_busy_row_keeps_its_last_value_and_is_read_again():
    table = Table()
    table.put(0, 7)
    shards = Shards(table, LIMIT_NS)
    assert shards.is_fresh(0, 7, 0)
    table.put(0, 8)
    table.busy = True
    assert shards.is_fresh(0, 7, 0)
    table.busy = False
    assert not shards.is_fresh(0, 7, 0)
    assert shards.is_fresh(0, 8, 0)


def test_a_row_is_read_once_a_version():
    table = Table()
    table.put(0, 7)
    shards = Shards(table, LIMIT_NS)
    for _ in range(5):
        shards.is_fresh(0, 7, 0)
    assert table.reads == 1


def test_a_limit_or_a_row_that_is_no_row_is_refused():
    with pytest.raises(ValueError, match="silent_ns_max was 0"):
        Shards(Table(), 0)
    table = Table()
    table.buffer = memoryview(bytearray(16))
    with pytest.raises(ValueError, match="shard row of 16 bytes"):
        Shards(table, LIMIT_NS)


puts = st.tuples(
    st.integers(0, 2), st.integers(0, 3), st.integers(0, 1), st.integers(0, 3_000), st.booleans()
)


@given(st.lists(puts, max_size=20), st.integers(0, 5_000))
def test_any_history_answers_as_the_newest_row_that_could_be_read(history, now_ns):
    table = Table()
    shards = Shards(table, LIMIT_NS)
    seen = {}
    for shard, generation, alive, data_ns, busy in history:
        table.put(shard, generation, alive=alive, data_ns=data_ns)
        table.busy = busy
        if not busy:
            seen[shard] = (generation, alive, data_ns)
        for asked in range(4):
            known, living, at_ns = seen.get(shard, (0, 0, 0))
            fresh = bool(living) and known == asked and now_ns - at_ns <= LIMIT_NS
            assert shards.is_fresh(shard, asked, now_ns) == fresh
