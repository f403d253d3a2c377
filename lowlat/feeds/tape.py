"""Copy raw frames into the frames stream, for the process that writes tapes.

Called by feeds for every frame when recording is on: one call, under 1 us a part. Never
fails and never waits: a frame too large for the stream is dropped and counted.
"""

import struct
from typing import Final

from lowlat.core.layout import (
    FRAME,
    FRAME_DATA_BYTES,
    SLOT_HEAD_BYTES,
    STREAMS,
    Venue,
    record_id,
)
from lowlat.core.ports import Clock, StreamWriter
from lowlat.feeds.ports import Counters

__all__ = ["StreamTape"]

_HEAD: Final = struct.Struct("<QqqIIHHHBB")
"""The fields of FRAME before its data; tests hold it against the record."""
_DATA_AT: Final = SLOT_HEAD_BYTES + _HEAD.size
PARTS_MAX: Final = STREAMS["frames"].slots // 2
"""Half of the stream: one dump must not lap the reader by itself."""


class StreamTape:
    """A feed's end of the tape. ``writer`` and ``venue`` are stamped on every part."""

    def __init__(
        self,
        stream: StreamWriter,
        venue: Venue,
        writer: int,
        clock: Clock,
        counters: Counters,
        *,
        parts_max: int = PARTS_MAX,
    ) -> None:
        """``parts_max``: half the slots of the stream; a frame of more parts is dropped."""
        self._parts_max = parts_max
        self._stream = stream
        self._publish = stream.publish
        self._buffer = stream.buffer
        self._pack = _HEAD.pack_into
        self._wall_ns = clock.wall_ns
        self._venue = int(venue)
        self._ids = record_id(writer, stream.epoch, 0)
        self._dropped = counters(f"{venue.name.lower()}.tape_dropped")

    def put(self, payload: bytes, recv_ns: int, connection: int, direction: int) -> None:
        """Copy one frame (direction 0 received, 1 sent)."""
        size = len(payload)
        if size <= FRAME_DATA_BYTES:
            self._pack(
                self._buffer,
                SLOT_HEAD_BYTES,
                self._ids | self._stream.cursor,
                recv_ns,
                self._wall_ns(),
                connection,
                size,
                0,
                1,
                size,
                self._venue,
                direction,
            )
            self._buffer[_DATA_AT : _DATA_AT + size] = payload
            self._publish(FRAME.kind)
        else:
            self._put_parts(payload, recv_ns, connection, direction)

    def _put_parts(self, payload: bytes, recv_ns: int, connection: int, direction: int) -> None:
        size, wall_ns = len(payload), self._wall_ns()
        parts = -(-size // FRAME_DATA_BYTES)
        if parts > self._parts_max:
            self._dropped.add(1)
            return
        for part in range(parts):
            data = payload[part * FRAME_DATA_BYTES : (part + 1) * FRAME_DATA_BYTES]
            self._pack(
                self._buffer,
                SLOT_HEAD_BYTES,
                self._ids | self._stream.cursor,
                recv_ns,
                wall_ns,
                connection,
                size,
                part,
                parts,
                len(data),
                self._venue,
                direction,
            )
            self._buffer[_DATA_AT : _DATA_AT + len(data)] = data
            self._publish(FRAME.kind)
