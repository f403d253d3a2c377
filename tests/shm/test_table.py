import mmap
import struct

import numpy as np
import pytest
from shm_kit import dies, fill, seed_of

from lowlat.core.ports import READ_BUSY, READ_NEVER
from lowlat.shm import _core_faulty as core

RECORD = 128
ROW = core.TABLE_ROW_HEAD_BYTES + core.TABLE_CELLS * RECORD


def table(rows=3):
    memory = mmap.mmap(-1, rows * ROW)
    return memory, lambda epoch=1: core.TableWriter(memory, 0, RECORD, rows, epoch, 20)


def write(writer, row, seed):
    fill(writer.buffer, seed)
    return writer.write(row)


def test_reader_gets_the_newest_version_of_each_row():
    memory, make = table()
    writer, reader = make(), core.TableReader(memory, 0, RECORD, 3)
    assert (reader.read(1), reader.version(1)) == (READ_NEVER, 0)
    for version in range(1, 12):
        assert write(writer, 1, version) == version
        assert (reader.version(1), reader.read(1)) == (version, version)
        assert seed_of(reader.buffer) == version
    assert reader.read(0) == reader.read(2) == READ_NEVER
    assert writer.read(1) == 11
    assert reader.epoch == 1


def test_row_whose_cells_do_not_agree_is_busy_after_bounded_retries():
    memory, make = table()
    write(make(), 0, 1)
    reader = core.TableReader(memory, 0, RECORD, 3)
    struct.pack_into("<Q", memory, 0, 2)  # a counter without its cell
    assert reader.read(0) == READ_BUSY


@pytest.mark.parametrize("row", [3, 2**40])
def test_row_outside_is_an_index_error(row):
    memory, make = table()
    for call in (make().write, make().read, core.TableReader(memory, 0, RECORD, 3).version):
        with pytest.raises(IndexError):
            call(row)


@pytest.mark.parametrize(("record", "rows"), [(0, 1), (100, 1), (64, 0), (64, -1), (64, 2**60)])
def test_bad_shapes_are_refused(record, rows):
    with pytest.raises(ValueError):
        core.TableReader(mmap.mmap(-1, 4096), 0, record, rows)


def test_all_rows_copy_at_once():
    memory, make = table()
    writer, reader = make(), core.TableReader(memory, 0, RECORD, 3)
    write(writer, 0, 5)
    write(writer, 2, 6)
    write(writer, 2, 7)
    records, versions = np.zeros((3, RECORD // 8), np.uint64), np.zeros(3, np.int64)
    reader.read_into(records, versions)
    assert versions.tolist() == [1, 0, 2]
    assert (seed_of(records[0].tobytes()), seed_of(records[2].tobytes())) == (5, 7)
    with pytest.raises(ValueError, match="rows"):
        reader.read_into(records[:2], versions[:2])


def test_writer_killed_at_every_store_leaves_the_old_or_the_new_row():
    """Kill a child after each store of a write; then read, take over, write and read again."""
    stores = 0
    for before in range(6):  # versions in the row before: each cell of the four, and none
        for store in range(1, 100):
            memory, make = table()
            for version in range(1, before + 1):
                write(make(), 1, version)
            died = dies(lambda make=make, before=before: write(make(epoch=2), 1, before + 1), store)
            reader = core.TableReader(memory, 0, RECORD, 3)
            found = reader.read(1)
            assert found in {before, before + 1}
            if found:
                assert seed_of(reader.buffer) == found
            after = write(make(epoch=3), 1, 77)
            assert after > found
            assert (reader.read(1), seed_of(reader.buffer), reader.epoch) == (after, 77, 3)
            assert reader.read(0) == READ_NEVER
            if not died:
                stores = max(stores, store - 1)
                break
    assert stores == RECORD // 8 + 2, "odd, head, payload, even, counter"


def test_lines_go_over_the_row_of_four_versions_ago():
    memory, make = table()
    writer, reader = make(), core.TableReader(memory, 0, RECORD, 3)
    for seed in range(1, 5):
        write(writer, 1, seed)
    fill(writer.buffer, 9)
    writer.warm(1, 5, 3)
    writer.warm(3, 1, 3)
    assert writer.write_lines(1, 2) == 5
    assert reader.read(1) == 5
    row = bytes(reader.buffer)
    assert row[64:] == bytes(writer.buffer)[64:]
    write(writer, 2, 1)
    assert reader.read(2) == 1
    assert row[16:64] == bytes(reader.buffer)[16:64], "the first line is still version 1's"
    with pytest.raises(IndexError):
        writer.write_lines(3, 1)


def test_writer_of_lines_killed_at_every_store_leaves_the_old_or_the_new_row():
    """The cell under way is odd until its last store; the next life writes whole rows again."""
    for store in range(1, 100):
        memory, make = table()
        for seed in range(1, 6):
            write(make(), 0, seed)

        def work(make=make):
            writer = make(epoch=2)
            fill(writer.buffer, 6)
            writer.write_lines(0, 3)

        died = dies(work, store)
        reader = core.TableReader(memory, 0, RECORD, 3)
        found = reader.read(0)
        assert found in {5, 6}
        assert seed_of(reader.buffer) == found
        after = write(make(epoch=3), 0, 77)
        assert after > found
        assert (reader.read(0), seed_of(reader.buffer), reader.epoch) == (after, 77, 3)
        if not died:
            break
    assert store - 1 == RECORD // 8 + 2, "odd, head, payload, even, counter"
