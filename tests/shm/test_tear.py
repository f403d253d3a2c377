"""A write torn behind each of its stores: what is read is the record before it, or the whole."""

from functools import partial

import pytest

from lowlat.core.layout import CASH_ROW
from lowlat.core.ports import EMPTY
from lowlat.shm import _core_faulty as core
from lowlat.shm.private import PrivateStream, PrivateTable


def test_a_stream_torn_at_every_store_goes_on_where_it_stopped():
    torn_at, published = 0, 0
    while True:
        stream = PrivateStream("reports", slots=4, make_writer=core.StreamWriter)
        reader = stream.reader(1)
        stream.writer.buffer[16:24] = b"complete"
        stream.writer.publish(7)
        torn_at += 1
        stream.writer.buffer[16:24] = b"torn off"
        if not core.tear(stream.memory, torn_at, partial(stream.writer.publish, 7)):
            break
        writer = stream.reopen(2)
        writer.buffer[16:24] = b"next one"
        writer.publish(7)
        words = []
        while reader.poll() != EMPTY:
            words.append(bytes(reader.buffer[16:24]))
        assert words in ([b"complete", b"next one"], [b"complete", b"torn off", b"next one"])
        published += len(words) == 3
    assert torn_at == len(stream.writer.buffer) // 8 + 3, "the first that was not reached"
    assert published == 2, "once complete, with the cursor or without, it stays"


def test_a_table_torn_at_every_store_has_the_row_before_or_the_whole():
    torn_at, seen = 0, set()
    while True:
        table = PrivateTable("cash", make_writer=core.TableWriter)
        table.writer.buffer[16:24] = b"complete"
        table.writer.write(0)
        torn_at += 1
        table.writer.buffer[16:24] = b"torn off"
        if not core.tear(table.memory, torn_at, partial(table.writer.write, 0)):
            break
        reader = table.reader()
        assert reader.read(0) > 0
        seen.add(bytes(reader.buffer[16:24]))
    assert torn_at > CASH_ROW.size_bytes // 8
    assert seen == {b"complete", b"torn off"}


def test_a_tear_needs_a_store():
    with pytest.raises(ValueError, match="stores was 0"):
        core.tear(bytearray(8), 0, lambda: None)
