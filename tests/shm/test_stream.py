import mmap

import pytest
from shm_kit import CURSOR_AT, GATES_AT, Ring, fill, seed_of

from lowlat.core.ports import EMPTY, OVERRUN
from lowlat.shm import _core, _core_faulty

pytestmark = pytest.mark.parametrize("core", [_core, _core_faulty], ids=["shipped", "faulty"])


def publish(writer, seed, kind=1):
    fill(writer.buffer, seed)
    return writer.publish(kind)


def test_positions_count_from_one_and_records_arrive_whole(core):
    ring = Ring(4, 128, core)
    writer, reader = ring.writer(epoch=7), ring.reader()
    assert reader.poll() == EMPTY
    for n in range(1, 20):
        assert publish(writer, n, kind=n) == n
        assert reader.poll() == n
        assert seed_of(reader.buffer) == n
        assert reader.epoch == 7
        assert reader.poll() == EMPTY
    assert (reader.lost, reader.overruns, reader.position) == (0, 0, 20)


def test_lapped_reader_goes_to_the_newest_and_counts_what_it_lost(core):
    ring = Ring(4, 64, core)
    writer, reader = ring.writer(), ring.reader()
    for n in range(1, 11):
        publish(writer, n)
    assert reader.poll() == OVERRUN
    assert (reader.lost, reader.overruns, reader.position) == (9, 1, 10)
    assert reader.poll() == 1
    assert seed_of(reader.buffer) == 10
    assert reader.poll() == EMPTY


def test_lapped_by_a_record_that_is_just_being_written_is_an_overrun(core):
    ring = Ring(4, 64, core)
    writer, reader = ring.writer(), ring.reader()
    for n in range(1, 5):
        publish(writer, n)
    ring.set_word(GATES_AT + 256 + (5 % 4) * 64, 2 * 5 + 1)  # 5 is being written over 1
    assert reader.poll() == OVERRUN
    assert (reader.lost, reader.position) == (3, 4)


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_overrun_moves_on_even_when_the_cursor_still_looks_old(core, seen):
    """Weakly ordered machines may show the lap before the cursor that came before it."""
    ring = Ring(4, 64, core)
    writer, reader = ring.writer(), ring.reader()
    for n in range(1, 6):
        publish(writer, n)
    ring.set_word(CURSOR_AT, seen)
    assert reader.poll() == OVERRUN
    assert (reader.lost, reader.position) == (1, 2)
    assert reader.poll() == 1
    assert seed_of(reader.buffer) == 2


def test_late_reader_starts_at_the_cursor_or_where_it_is_told(core):
    ring = Ring(8, 64, core)
    writer = ring.writer()
    for n in range(1, 6):
        publish(writer, n)
    late, told = ring.reader(), ring.reader(position=2)
    assert (late.position, late.poll()) == (6, EMPTY)
    assert told.poll() == 1
    assert seed_of(told.buffer) == 2


def test_kind_zero_is_refused_because_it_reads_as_empty(core):
    with pytest.raises(ValueError, match="kind was 0"):
        Ring(4, 64, core).writer().publish(0)


def test_gate_never_attached_blocks_after_slot_count_records(core):
    ring = Ring(8, 64, core)
    writer = ring.writer(gates=1)
    assert writer.free() == 8
    assert [publish(writer, n) for n in range(1, 10)] == [1, 2, 3, 4, 5, 6, 7, 8, 0]
    assert writer.free() == 0


def test_gated_writer_waits_for_the_slowest_gate_and_loses_nothing(core):
    ring = Ring(4, 64, core)
    writer = ring.writer(gates=2)
    slow, fast = ring.reader(position=1, gate=0), ring.reader(position=1, gate=1)
    for n in range(1, 5):
        assert publish(writer, n) == n
    for _ in range(4):
        assert fast.poll() == 1
    fast.release()
    assert publish(writer, 5) == 0
    assert slow.poll() == 1
    assert publish(writer, 5) == 0, "polled is not released"
    slow.release()
    assert writer.gates == [2, 5]
    assert writer.free() == 1
    assert publish(writer, 5) == 5
    assert [slow.poll() for _ in range(5)] == [1, 1, 1, 1, EMPTY]
    assert slow.lost == fast.lost == 0


@pytest.mark.parametrize("bad", [99, 2**63, 2**64 - 1])
def test_corrupt_gate_counts_as_one_that_never_moved(core, bad):
    ring = Ring(4, 64, core)
    writer = ring.writer(gates=1)
    ring.set_word(GATES_AT, bad)
    assert [publish(writer, n) for n in range(1, 6)] == [1, 2, 3, 4, 0]
    ring.set_word(GATES_AT, 3)
    assert writer.free() == 2


def test_corrupt_cursor_is_refused(core):
    ring = Ring(4, 64, core)
    writer = ring.writer()
    for n in range(1, 8):
        publish(writer, n)
    ring.set_word(CURSOR_AT, 2)
    with pytest.raises(ValueError, match="corrupt"):
        ring.writer()


def test_new_writer_continues_sequences_under_its_epoch(core):
    ring = Ring(4, 64, core)
    reader = ring.reader()
    publish(ring.writer(epoch=1), 1)
    writer = ring.writer(epoch=2)
    assert writer.cursor == 2
    assert publish(writer, 2) == 2
    assert (reader.poll(), reader.epoch, reader.poll(), reader.epoch) == (1, 1, 1, 2)


def test_flags_and_kind_are_beside_the_epoch(core):
    ring = Ring(4, 64, core)
    writer, reader = ring.writer(epoch=3), ring.reader()
    writer.publish(0xABCD, 0x1234)
    assert reader.poll() == 0xABCD
    assert bytes(reader.buffer[8:16]).hex() == "03000000cdab3412"


def test_sleep_flag_is_seen_by_the_writer_only_while_set(core):
    ring = Ring(4, 64, core)
    writer = ring.writer(gates=2)
    reader = ring.reader(position=1, gate=1)
    assert writer.sleepers() == 0
    reader.sleep(True)
    assert (writer.sleepers(), reader.ready()) == (2, False)
    publish(writer, 1)
    assert reader.ready()
    reader.sleep(False)
    assert writer.sleepers() == 0
    with pytest.raises(ValueError, match="gated"):
        ring.reader().sleep(True)


def test_batch_stops_at_an_overrun_and_goes_on(core):
    import numpy as np

    ring = Ring(4, 64, core)
    writer, reader = ring.writer(), ring.reader()
    rows = np.zeros((8, 8), np.uint64)
    for n in range(1, 4):
        publish(writer, n)
    assert reader.poll_into(rows) == 3
    assert [seed_of(row.tobytes()) for row in rows[:3]] == [1, 2, 3]
    for n in range(4, 14):
        publish(writer, n)
    assert (reader.poll_into(rows), reader.overruns) == (0, 1)
    assert (reader.poll_into(rows), seed_of(rows[0].tobytes()), reader.lost) == (1, 13, 9)
    with pytest.raises(ValueError, match="words"):
        reader.poll_into(np.zeros((2, 4), np.uint64))


@pytest.mark.parametrize(
    ("slot_bytes", "slots"), [(0, 4), (32, 4), (100, 4), (64, 3), (64, 0), (64, 1), (64, 2**60)]
)
def test_bad_shapes_are_refused(core, slot_bytes, slots):
    memory = mmap.mmap(-1, 4096)
    for end in (
        lambda: core.StreamWriter(memory, 128, slot_bytes, slots, 0, 1),
        lambda: core.StreamReader(memory, 128, slot_bytes, slots, 0),
    ):
        with pytest.raises(ValueError):
            end()


@pytest.mark.parametrize("offset", [-8, 4, 4096, 4096 - 64, 2**62])
def test_slots_outside_the_segment_are_refused(core, offset):
    with pytest.raises(ValueError):
        core.StreamReader(mmap.mmap(-1, 4096), offset, 64, 4, 0)


def test_writer_needs_a_writable_mapping(core):
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ)
    with pytest.raises(BufferError):
        core.StreamWriter(memory, 128, 64, 4, 0, 1)
    assert core.StreamReader(memory, 128, 64, 4, 0).poll() == EMPTY


def test_ninth_gate_is_refused(core):
    memory = mmap.mmap(-1, 4096)
    with pytest.raises(ValueError, match="9 gates"):
        core.StreamWriter(memory, 128, 64, 4, 0, 1, [(memory, 2048)] * 9)
