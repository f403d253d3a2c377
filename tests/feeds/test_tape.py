"""The feed's end of the tape: records that hold the frame exactly."""

import pytest

from lowlat.core.clock import VirtualClock
from lowlat.core.layout import FRAME, FRAME_DATA_BYTES, SLOT_HEAD_BYTES, Venue, Writer
from lowlat.feeds.tape import _DATA_AT, _HEAD, PARTS_MAX, StreamTape


@pytest.fixture
def made(tools):
    stream, counts = tools.MemoryStream("frames", 4096), tools.Counts()
    tape = StreamTape(stream.writer, Venue.BINANCE, Writer.BINANCE, VirtualClock(5), counts.cell)
    return stream, counts, tape


def test_head_is_the_record_up_to_its_data():
    fields = FRAME.dtype.fields
    assert fields["data"][1] == _DATA_AT
    assert fields["id"][1] == SLOT_HEAD_BYTES
    assert FRAME.codec.size == _HEAD.size + FRAME_DATA_BYTES


@pytest.mark.parametrize("size", [0, 1, 967, 968, 969, 3 * 968, 100_000])
def test_frame_is_carried_whole_in_as_many_parts_as_it_needs(made, size):
    stream, _, tape = made
    payload = bytes(i % 251 for i in range(size))
    tape.put(payload, 77, 3, 1)
    parts = stream.take(FRAME)
    assert b"".join(part.data[: part.data_bytes] for part in parts) == payload
    assert {(part.recv_ns, part.connection, part.direction, part.venue) for part in parts} == {
        (77, 3, 1, Venue.BINANCE)
    }
    assert [part.part for part in parts] == list(range(parts[0].parts))
    assert {part.frame_bytes for part in parts} == {size}


def test_frame_that_would_lap_the_reader_is_dropped_and_counted(made):
    stream, counts, tape = made
    tape.put(bytes(PARTS_MAX * FRAME_DATA_BYTES + 1), 1, 0, 0)
    assert stream.take() == []
    assert counts["binance.tape_dropped"] == 1


def test_a_smaller_stream_drops_what_would_lap_its_reader(tools):
    stream, counts = tools.MemoryStream("frames_settle", 256), tools.Counts()
    clock = VirtualClock(5)
    tape = StreamTape(
        stream.writer, Venue.CHAINLINK, Writer.PRICES, clock, counts.cell, parts_max=128
    )
    tape.put(bytes(128 * FRAME_DATA_BYTES), 1, 0, 0)
    assert len(stream.take(FRAME)) == 128
    tape.put(bytes(128 * FRAME_DATA_BYTES + 1), 1, 0, 0)
    assert not stream.take(FRAME)
