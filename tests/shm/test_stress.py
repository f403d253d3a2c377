"""Two processes on tiny rings at full speed, with random stalls, on two cores and on one.

Every record is checked against its position, every word of it. The last tests show that the
detector fires: the same reader without its second look at the sequence must accept torn records.
"""

import os
import random
import struct
import time

import pytest
from shm_kit import Ring

from lowlat.core.ports import EMPTY
from lowlat.shm import _core, _core_faulty

pytestmark = pytest.mark.stress
SEEDS = 64
RECORDS = 400_000


def patterns(slot_bytes):
    words = slot_bytes // 8 - 2
    return [
        struct.pack(f"<{words}Q", *((seed << 32) + i for i in range(words)))
        for seed in range(SEEDS)
    ]


def cores(count):
    allowed = sorted(os.sched_getaffinity(0))
    if count > len(allowed):
        pytest.skip(f"{count} cores wanted, {len(allowed)} allowed")
    return allowed[:count]


@pytest.fixture
def pinned():
    before = os.sched_getaffinity(0)
    yield lambda core: os.sched_setaffinity(0, {core})
    os.sched_setaffinity(0, before)


def fork_writer(ring, core, count, gates=0, stall=0.0):
    pid = os.fork()
    if pid:
        return pid
    os.sched_setaffinity(0, {core})
    writer, pattern, rng = ring.writer(gates=gates), patterns(ring.slot_bytes), random.Random(5)
    buffer, publish = writer.buffer[16:], writer.publish
    for n in range(1, count + 1):
        buffer[:] = pattern[n % SEEDS]
        while not publish(1):
            os.sched_yield()
        if stall and rng.random() < stall:
            time.sleep(rng.uniform(0, 0.0003))
    os._exit(0)


def read_all(reader, count, slot_bytes, stall=0.0, release=False):
    """Return received, lost and torn, polling until the last record was received or lost."""
    pattern, rng, buffer = patterns(slot_bytes), random.Random(6), reader.buffer[16:]
    received = torn = 0
    deadline = time.monotonic() + 30
    while reader.position <= count:
        position = reader.position
        kind = reader.poll()
        if kind > 0:
            received += 1
            torn += buffer != pattern[position % SEEDS]
            if release:
                reader.release()
        elif kind == EMPTY:
            os.sched_yield()
            assert time.monotonic() < deadline, "hangs"
        if stall and rng.random() < stall:
            time.sleep(rng.uniform(0, 0.0003))
    return received, reader.lost, torn


@pytest.mark.parametrize("core_count", [2, 1])
@pytest.mark.parametrize(("slots", "slot_bytes"), [(4, 64), (4, 1024), (2, 256), (64, 512)])
@pytest.mark.parametrize("stall", [0.0, 0.002])
def test_lossy_ring(pinned, core_count, slots, slot_bytes, stall):
    used = cores(core_count)
    ring = Ring(slots, slot_bytes, _core)
    reader = ring.reader(position=1)
    pid = fork_writer(ring, used[-1], RECORDS, stall=stall / 4)
    pinned(used[0])
    received, lost, torn = read_all(reader, RECORDS, slot_bytes, stall)
    assert os.waitpid(pid, 0)[1] == 0
    assert torn == 0
    assert received + lost == RECORDS
    assert received > 0


@pytest.mark.parametrize("core_count", [2, 1])
@pytest.mark.parametrize("slots", [2, 4, 32])
def test_gated_ring_loses_nothing(pinned, core_count, slots):
    used = cores(core_count)
    ring = Ring(slots, 256, _core)
    reader = ring.reader(position=1, gate=0)
    pid = fork_writer(ring, used[-1], 30_000, gates=1, stall=0.001)
    pinned(used[0])
    assert read_all(reader, 30_000, 256, 0.001, release=True) == (30_000, 0, 0)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("core_count", [2, 1])
def test_table_rows_are_never_torn_and_never_go_back(pinned, core_count):
    import mmap

    used = cores(core_count)
    record_bytes = 896
    memory = mmap.mmap(-1, 2 * (64 + 4 * record_bytes))
    pattern = patterns(record_bytes)
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {used[-1]})
        writer = _core.TableWriter(memory, 0, record_bytes, 2, 1, 20)
        buffer, write = writer.buffer[16:], writer.write
        for version in range(1, 100_001):
            buffer[:] = pattern[version % SEEDS]
            write(1)
        os._exit(0)
    pinned(used[0])
    reader = _core.TableReader(memory, 0, record_bytes, 2)
    buffer, last, reads, deadline = reader.buffer[16:], 0, 0, time.monotonic() + 30
    while last < 100_000:
        assert time.monotonic() < deadline, "hangs"
        version = reader.read(1)
        if version > 0:
            assert version >= last
            assert buffer == pattern[version % SEEDS]
            last, reads = version, reads + 1
        else:
            os.sched_yield()
    assert os.waitpid(pid, 0)[1] == 0
    assert reads > 0


def test_detector_fires_on_the_broken_build(pinned):
    used = cores(2)
    ring = Ring(4, 1024, _core_faulty)
    torn = 0
    for _ in range(10):
        reader = ring.reader(position=ring.word(0) or 1)
        start, count = reader.position, 100_000
        pid = os.fork()
        if pid == 0:
            os.sched_setaffinity(0, {used[1]})
            writer, pattern = ring.writer(), patterns(1024)
            buffer = writer.buffer[16:]
            for n in range(start, start + count):
                buffer[:] = pattern[n % SEEDS]
                writer.publish(1)
            os._exit(0)
        pinned(used[0])
        _core_faulty.skip_checks(True)
        try:
            torn += read_all(reader, start + count - 1, 1024)[2]
        finally:
            _core_faulty.skip_checks(False)
        assert os.waitpid(pid, 0)[1] == 0
        if torn:
            return
    raise AssertionError("a million records without the check and none was torn")
