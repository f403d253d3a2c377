"""Waking parked readers: who is rung, when, and that nobody sleeps through a record."""

import asyncio
import os

import pytest

from lowlat.app.bells import GatedMemory, Ringer
from lowlat.app.doorbell import Doorbell
from lowlat.core.layout import INTENT, STREAMS, TABLES
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments
from lowlat.shm.waiting import Park, bell_path

NAMES = ("signals", "intents", "reports", "metadata")


@pytest.fixture
def processes(instance):
    made = create_segments(
        instance,
        streams={name: STREAMS[name] for name in NAMES},
        tables={"cash": TABLES["cash"]},
    )
    opened = {}

    def process(name):
        opened[name] = Attachment(instance, name)
        return GatedMemory(opened[name])

    yield process
    for attachment in opened.values():
        attachment.close()
    made.unlink()


def rings(instance, gate):
    """Count and take the bytes in a reader's FIFO."""
    fd = os.open(bell_path(instance, gate), os.O_RDWR | os.O_NONBLOCK)
    try:
        return len(os.read(fd, 100))
    except BlockingIOError:
        return 0
    finally:
        os.close(fd)


def test_only_gated_streams_of_other_processes_are_waited_for(processes):
    risk = processes("risk")
    risk.open_stream_writer("intents")
    risk.open_stream_reader("metadata")
    risk.open_stream_reader("signals", gate="risk")
    risk.open_stream_reader("reports", gate="risk")
    assert [(each.stream, each.gate) for each in risk.inputs] == [
        ("signals", "risk"),
        ("reports", "risk"),
    ]
    assert len(risk.bells) == 1


def test_writer_and_reader_in_one_process_need_no_bell(processes):
    both = processes("both")
    both.open_stream_writer("intents")
    both.open_stream_reader("intents", gate="executor")
    assert both.inputs == []
    assert both.bells == []


def test_the_ledger_polls_and_is_never_rung(processes):
    memory = processes("executor")
    memory.open_stream_writer("reports")
    memory.open_stream_reader("reports", gate="risk")
    assert memory.bells == [], "the ledger is the only other reader"


def test_bell_rings_only_while_the_reader_sleeps(processes, instance):
    risk, executor = processes("risk"), processes("executor")
    writer = risk.open_stream_writer("intents")
    reader = executor.open_stream_reader("intents", gate="executor")
    ringer = Ringer(risk.bells)
    keep = os.open(bell_path(instance, "executor"), os.O_RDWR | os.O_NONBLOCK)
    ringer.start()
    writer.publish(INTENT.kind)
    ringer.turn(0)
    assert rings(instance, "executor") == 0
    reader.sleep(True)
    ringer.turn(0)
    assert rings(instance, "executor") == 1
    ringer.close()
    os.close(keep)


def test_ringing_for_a_dead_reader_does_nothing(processes, instance):
    risk, executor = processes("risk"), processes("executor")
    risk.open_stream_writer("intents")
    executor.open_stream_reader("intents", gate="executor").sleep(True)
    ringer = Ringer(risk.bells)
    ringer.turn(0)
    ringer.turn(0)
    ringer.close()


class Taker:
    """What an executor does: polls its intents to the end."""

    def __init__(self, reader):
        self.reader = reader
        self.taken = 0
        self.turns = 0

    def turn(self, now_ns):
        assert now_ns > 0
        self.turns += 1
        worked = 0
        while self.reader.poll() == INTENT.kind:
            worked += 1
        self.reader.release()
        self.taken += worked
        return worked


async def until(condition):
    """Let the loop poll until a ring has come through."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is awaited is a byte in a FIFO
            await asyncio.sleep(0)


@pytest.fixture
def door(processes, instance):
    risk, executor = processes("risk"), processes("executor")
    writer = risk.open_stream_writer("intents")
    reader = executor.open_stream_reader("intents", gate="executor")
    taker = Taker(reader)
    bell = Doorbell(instance, "executor", [reader], taker.turn)
    return writer, Ringer(risk.bells), taker, bell


def test_doorbell_wakes_the_loop_for_a_published_record(door):
    writer, ringer, taker, bell = door

    async def run():
        bell.start()
        for count in (1, 2, 3):
            writer.publish(INTENT.kind)
            ringer.turn(0)
            await until(lambda count=count: taker.taken == count)
        bell.close()

    asyncio.run(run())
    assert taker.turns < 12


def test_record_from_before_the_first_sleep_is_not_slept_through(door):
    writer, _, taker, bell = door
    writer.publish(INTENT.kind)

    async def run():
        bell.start()
        await until(lambda: taker.taken == 1)
        bell.close()

    asyncio.run(run())


def test_record_that_comes_while_the_reader_works_is_taken_without_another_ring(door):
    writer, ringer, taker, bell = door
    plain = taker.turn
    late = [2]

    def turn(now_ns):
        worked = plain(now_ns)
        if late[0]:
            late[0] -= 1
            writer.publish(INTENT.kind)
        return worked

    bell._pump = turn

    async def run():
        bell.start()
        writer.publish(INTENT.kind)
        ringer.turn(0)
        await until(lambda: taker.taken == 3)
        bell.close()

    asyncio.run(run())


def test_closed_doorbell_leaves_no_sleeper_and_calls_nobody(door):
    writer, _, taker, bell = door

    async def run():
        bell.start()
        writer.publish(INTENT.kind)
        # _doze has seen nothing yet; a second look is planned by the ring below.
        bell._doze()
        bell.close()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert taker.turns == 0
    assert writer.sleepers() == 0


def test_park_returns_at_once_when_rung(processes, instance):
    risk, executor = processes("risk"), processes("executor")
    writer = risk.open_stream_writer("intents")
    reader = executor.open_stream_reader("intents", gate="executor")
    park = Park(instance, "executor", [reader], timeout_ms=60_000)
    ringer = Ringer(risk.bells)

    class Publishing:
        """Rings in the very moment in which the reader has said that it sleeps."""

        def ready(self):
            writer.publish(INTENT.kind)
            assert writer.sleepers()
            ringer.turn(0)
            return False

        def sleep(self, sleeping):
            reader.sleep(sleeping)

    park._streams = [Publishing()]
    park.wait()
    assert reader.poll() == INTENT.kind
    park.close()
