"""The way of a capture to the disk: blocks of its log, as frames of the stream *capture*.

The recorder writes them as tapes (``store.tape``); ``store.capture`` joins them again.
"""

import struct
from typing import Final

from lowlat.core.layout import FRAME, FRAME_DATA_BYTES, SLOT_HEAD_BYTES
from lowlat.core.ports import Cell, Clock, StreamWriter
from lowlat.wiring._capture import InputLog

__all__ = ["BlockStream"]

_BLOCK_BYTES: Final = 48 * FRAME_DATA_BYTES
_PARTS_A_TURN: Final = 96
_HEAD: Final = struct.Struct("<QqqIIHHHBB")
"""The fields of FRAME before its data."""
_DATA_AT: Final = SLOT_HEAD_BYTES + _HEAD.size


class BlockStream:
    """Engine that cuts the log into blocks for the recorder: frames that are named by their number.

    Never waits: what the recorder has no room for stays in the log, which ends when that is too
    much. Sole writer of the stream *capture*.
    """

    name: Final = "capture"

    def __init__(
        self, log: InputLog, stream: StreamWriter, clock: Clock, waiting: Cell, lost: Cell
    ) -> None:
        """``lost`` is set to 1 once the log has ended before its engines."""
        self._log = log
        self._stream = stream
        self._clock = clock
        self._waiting = waiting
        self._lost = lost
        self._block = b""
        self._number = 0
        self._part = 0
        self._recv_ns = self._wall_ns = 0

    def start(self) -> None:
        """Nothing was written yet."""

    def turn(self, now_ns: int) -> int:
        """Hand on what there is room for; return how many parts."""
        done = 0
        while done < _PARTS_A_TURN:
            if not self._block and not self._next(now_ns):
                break
            if not self._put():
                break
            done += 1
        if done:
            self._waiting.set(self._log.waiting_bytes)
        return 0

    def flush(self, now_ns: int) -> bool:
        """Hand on what there is room for; return whether that was all."""
        self.turn(now_ns)
        return not self._block and not self._log.waiting_bytes

    def close(self) -> None:
        """Leave the rest to ``flush``."""

    def _next(self, now_ns: int) -> bool:
        if self._log.full:
            self._lost.set(1)
        self._block = self._log.take(_BLOCK_BYTES)
        self._recv_ns, self._wall_ns = now_ns, self._clock.wall_ns()
        return bool(self._block)

    def _put(self) -> bool:
        """Publish the next part of the block; False when the recorder has no room."""
        block, part = self._block, self._part
        data = block[part * FRAME_DATA_BYTES : (part + 1) * FRAME_DATA_BYTES]
        parts = -(-len(block) // FRAME_DATA_BYTES)
        buffer = self._stream.buffer
        _HEAD.pack_into(
            buffer,
            SLOT_HEAD_BYTES,
            self._stream.cursor,
            self._recv_ns,
            self._wall_ns,
            self._number,
            len(block),
            part,
            parts,
            len(data),
            0,
            0,
        )
        buffer[_DATA_AT : _DATA_AT + len(data)] = data
        if not self._stream.publish(FRAME.kind):
            return False
        self._part += 1
        if self._part == parts:
            self._block, self._part = b"", 0
            self._number += 1
        return True
