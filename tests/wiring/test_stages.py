"""What a stage opens over streams that another life of it left behind."""

import pytest

from lowlat.core.layout import INTENT, SLOT_HEAD_BYTES
from lowlat.core.ports import EMPTY, OVERRUN
from lowlat.shm import _core_faulty
from lowlat.shm.private import PrivateMemory, Writers
from lowlat.wiring.stages import look_back

SLOTS = 8
STORES = INTENT.size_bytes // 8 + 2


def publish(writer, number):
    writer.buffer[SLOT_HEAD_BYTES : SLOT_HEAD_BYTES + 8] = number.to_bytes(8, "little")
    return writer.publish(INTENT.kind)


def numbers(reader):
    found = []
    while (kind := reader.poll()) != EMPTY:
        assert kind != OVERRUN, "a record that death tore hid those behind it"
        head = bytes(reader.buffer[SLOT_HEAD_BYTES : SLOT_HEAD_BYTES + 8])
        found.append(int.from_bytes(head, "little"))
    return found


def new_memory():
    writers = Writers(_core_faulty.StreamWriter, _core_faulty.TableWriter)
    return PrivateMemory(slots={"intents": SLOTS}, writers=writers)


def fill(memory, count):
    """Write as many records, each of them taken by the executor."""
    writer = memory.open_stream_writer("intents")
    gate = memory.open_stream_reader("intents", gate="executor")
    for number in range(1, count + 1):
        assert publish(writer, number), "the ring is full and was not read"
        gate.poll()
        gate.release()
    return writer


@pytest.mark.parametrize("count", [3, SLOTS, 3 * SLOTS + 5])
def test_death_inside_a_record_hides_none_of_those_before_it(count):
    lasts = set()
    for stores in range(1, STORES + 1):
        memory = new_memory()
        writer = fill(memory, count)
        _core_faulty.tear(
            memory.stream("intents").memory, stores, lambda w=writer: publish(w, count + 1)
        )
        last = (writer := memory.open_stream_writer("intents")).cursor - 1
        found = numbers(look_back(memory, "intents", writer))
        assert found == list(range(max(1, last - SLOTS + 2), last + 1)), stores
        lasts.add(last)
    # Death behind the last store but one leaves a whole record.
    assert lasts == {count, count + 1}


def test_no_more_is_read_than_is_asked_for():
    memory = new_memory()
    writer = fill(memory, 5)
    assert numbers(look_back(memory, "intents", writer, 2)) == [4, 5]
    assert numbers(look_back(memory, "intents", writer, 100)) == [1, 2, 3, 4, 5]
