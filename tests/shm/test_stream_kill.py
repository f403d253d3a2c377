"""A writer that dies after any one store: what readers accept, where the next writer goes on."""

import os
import random
import signal
import time

import pytest
from shm_kit import CURSOR_AT, SLOTS_AT, Ring, dies, fill, seed_of

from lowlat.core.ports import EMPTY
from lowlat.shm import _core_faulty as core
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments


def publish(writer, seed):
    fill(writer.buffer, seed)
    return writer.publish(1)


def drain(reader):
    seeds = []
    while (kind := reader.poll()) != EMPTY:
        seeds.append(seed_of(reader.buffer) if kind > 0 else "overrun")
    return seeds


@pytest.mark.parametrize("before", [0, 1, 3, 4, 5, 9])
def test_killed_at_every_store_of_publish(before):
    points = 0
    for store in range(1, 100):
        ring = Ring(4, 64)
        reader = ring.reader(position=1)
        writer = ring.writer()
        for n in range(1, before + 1):
            publish(writer, n)
            assert drain(reader) == [n]
        cursor = max(1, ring.word(CURSOR_AT))

        def job(ring=ring, before=before):
            publish(ring.writer(epoch=2), before + 1)

        died = dies(job, store)
        complete = ring.slot_seq(before + 1) == 2 * (before + 1) + 2
        assert drain(reader) == ([before + 1] if complete else []), "whole or not at all"
        assert max(1, ring.word(CURSOR_AT)) >= cursor, "the cursor never goes back"
        heir = ring.writer(epoch=3)
        assert heir.cursor == before + 1 + complete
        assert publish(heir, 50) == before + 1 + complete
        assert (drain(reader), reader.lost, reader.epoch) == ([50], 0, 3)
        if not died:
            points = store - 1
            break
    assert points == 1 + 64 // 8 + 2 - 1 + 1, "resume's cursor; odd, head, payload, even, cursor"


def test_heir_killed_at_every_store_of_its_own_take_over():
    """First death between the last two stores, second death inside resume, then a third writer."""
    for store in range(1, 5):
        ring = Ring(4, 64)
        reader = ring.reader(position=1)
        assert dies(lambda ring=ring: publish(ring.writer(), 1), 1 + 8 + 1)
        assert ring.slot_seq(1) == 4
        died = dies(lambda ring=ring: ring.writer(epoch=2), store)
        third = ring.writer(epoch=3)
        assert third.cursor == 2
        publish(third, 2)
        assert drain(reader) == [1, 2]
        if not died:
            return
    raise AssertionError("take-over has more stores than thought")


def test_stopped_reader_never_accepts_a_record_of_two_writers():
    """A complete slot that was never counted is stepped over: its bytes stay the dead writer's."""
    ring = Ring(4, 64)
    assert dies(lambda: publish(ring.writer(), 1), 1 + 8 + 1)
    start = SLOTS_AT + 1 * 64
    slot = bytes(ring.memory[start : start + 64])
    publish(ring.writer(epoch=2), 99)
    assert bytes(ring.memory[start : start + 64]) == slot


@pytest.mark.parametrize("store", range(1, 12))
def test_gated_stream_loses_nothing_over_a_kill(store):
    ring = Ring(4, 64)
    reader = ring.reader(position=1, gate=0)
    publish(ring.writer(gates=1), 1)

    def job():
        writer = ring.writer(epoch=2, gates=1)
        for seed in (2, 3):
            publish(writer, seed)

    dies(job, store)
    heir = ring.writer(epoch=3, gates=1)
    done = heir.cursor
    while publish(heir, heir.cursor):
        pass
    assert heir.cursor == 5, "blocked by the gate after slot_count records"
    assert drain(reader) == [1, 2, 3, 4]
    reader.release()
    assert publish(heir, 5) == 5
    assert (drain(reader), reader.lost) == ([5], 0)
    assert 2 <= done <= 4


def test_writer_stopped_inside_a_record_blocks_nobody():
    ring = Ring(4, 64)
    publish(ring.writer(), 1)
    pid = os.fork()
    if pid == 0:
        core.arm(5, core.FAULT_STOP)
        publish(ring.writer(epoch=2), 2)
        os._exit(0)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    reader = ring.reader(position=1)
    assert drain(reader) == [1]
    os.kill(pid, signal.SIGCONT)
    assert os.waitpid(pid, 0)[1] == 0
    assert drain(reader) == [2]


def saturate(instance, tell):
    """Write stream and table as fast as possible until killed. Runs in a forked child."""
    mine = Attachment(instance, "feed")
    stream, table = mine.open_stream_writer("market"), mine.open_table_writer("book")
    os.write(tell, b"!")
    seed = stream.cursor
    while True:
        seed += 1
        fill(stream.buffer, seed)
        stream.publish(1)
        fill(table.buffer, seed)
        table.write(1)


@pytest.mark.kill
@pytest.mark.stress
def test_sigkill_at_random_times(instance):
    """150 writers are killed at random; readers of stream and table never see a torn record."""
    made = create_segments(instance, slots={"market": 8}, rows={"book": 2})
    rng = random.Random(3)
    outsider = Attachment(instance, "reader")
    stream = outsider.open_stream_reader("market")
    table = outsider.open_table_reader("book")
    cursor = version = epoch = received = 0
    for round_number in range(150):
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            saturate(instance, tell)
        assert os.read(ready, 1) == b"!"
        deadline = time.perf_counter() + rng.uniform(0, 0.006)
        while time.perf_counter() < deadline:
            kind = stream.poll()
            if kind > 0:
                received += 1
                assert seed_of(stream.buffer) is not None
                assert stream.epoch >= epoch
                epoch = stream.epoch
            if table.read(1) > 0:
                assert seed_of(table.buffer) is not None
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)
        assert outsider.holder("stream.market") is None
        assert stream.cursor >= cursor
        assert table.version(1) >= version
        assert table.read(1) == table.version(1), "a killed writer leaves no row busy"
        cursor, version = stream.cursor, table.version(1)
        heir = Attachment(instance, "heir")
        writer = heir.open_stream_writer("market")
        assert writer.cursor in {cursor, cursor + 1}
        assert writer.epoch == 2 * round_number + 2
        fill(writer.buffer, 1)
        writer.publish(1)
        heir.close()
    assert received > 0
    made.unlink()
