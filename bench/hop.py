"""How long a record takes from one process to another, one way, both ends spinning.

A regression means that somebody put work between the caller and the ring: a copy, a check, a
conversion. The floor is the same header and the same 512-byte record driven from C.
"""

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile

import numpy as np

from bench.cores import pin, unpin
from bench.harness import Row, native, paired
from lowlat.core.clock import monotonic_ns
from lowlat.shm._core import StreamReader, StreamWriter

SLOT_BYTES, SLOTS, SLOTS_OFFSET = 512, 1024, 128
SEGMENT_BYTES = SLOTS_OFFSET + SLOT_BYTES * SLOTS
ROUND_TRIPS = 20_000


ROWS = ("hop",)


def run(_: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure ``hop``."""
    with _Echo() as echo:
        row = paired("hop", echo.from_python, echo.from_c, target="<= 2.5 x C")
    row.met = row.ratio is not None and row.ratio <= 2.5
    return [row]


class _Echo:
    """This process and a child that sends back what it gets, in Python or in C."""

    def __init__(self) -> None:
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.file = tempfile.NamedTemporaryFile(prefix="lowlat-bench-", dir=folder)
        os.posix_fallocate(self.file.fileno(), 0, 2 * SEGMENT_BYTES)
        self.memory = mmap.mmap(self.file.fileno(), 2 * SEGMENT_BYTES)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "bench.hop", self.file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "_Echo":
        pin(0)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait(10)
        self.file.close()
        unpin()

    def from_python(self) -> np.ndarray:
        self._tell("python")
        writer, reader = _ends(self.memory, 0)
        publish, poll = writer.publish, reader.poll
        samples = np.empty(ROUND_TRIPS)
        for i in range(ROUND_TRIPS):
            start = monotonic_ns()
            publish(1)
            while not poll():
                pass
            samples[i] = monotonic_ns() - start
        return samples[1000:] / 2

    def from_c(self) -> np.ndarray:
        self._tell("c")
        samples = (ctypes.c_int64 * ROUND_TRIPS)()
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        native("hop").hop_ping(
            ctypes.c_void_p(base),
            ctypes.c_void_p(base + SEGMENT_BYTES),
            ctypes.c_uint64(SLOT_BYTES),
            ctypes.c_uint64(SLOTS),
            ctypes.c_int64(ROUND_TRIPS),
            samples,
        )
        return np.asarray(samples, dtype=np.float64)[1000:] / 2

    def _tell(self, how: str) -> None:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.memory[:] = bytes(2 * SEGMENT_BYTES)
        self.child.stdin.write(how + "\n")
        self.child.stdin.flush()
        ready = self.child.stdout.readline()
        assert ready == "ready\n", ready


def _ends(memory: mmap.mmap, side: int) -> tuple[StreamWriter, StreamReader]:
    out, back = memoryview(memory), memoryview(memory)
    first, second = out[:SEGMENT_BYTES], back[SEGMENT_BYTES:]
    mine, other = (first, second) if side == 0 else (second, first)
    shape = (SLOTS_OFFSET, SLOT_BYTES, SLOTS, 0)
    return StreamWriter(mine, *shape, epoch=1), StreamReader(other, *shape, position=1)


def _child(path: str) -> None:
    pin(1)
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 2 * SEGMENT_BYTES)
    for line in sys.stdin:
        if line.strip() == "python":
            writer, reader = _ends(memory, 1)
            publish, poll = writer.publish, reader.poll
            print("ready", flush=True)
            for _ in range(ROUND_TRIPS):
                while not poll():
                    pass
                publish(1)
        else:
            base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            library = native("hop")
            print("ready", flush=True)
            library.hop_echo(
                ctypes.c_void_p(base),
                ctypes.c_void_p(base + SEGMENT_BYTES),
                ctypes.c_uint64(SLOT_BYTES),
                ctypes.c_uint64(SLOTS),
                ctypes.c_int64(ROUND_TRIPS),
            )


if __name__ == "__main__":
    _child(sys.argv[1])
