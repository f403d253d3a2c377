"""Rings and tables over anonymous shared memory, self-checking records, and children that die."""

import mmap
import os
import signal
import struct

from lowlat.shm import _core_faulty as core

CURSOR_AT = 0
GATES_AT = 128
SLOTS_AT = 128 + 2 * core.GATE_BYTES


class Ring:
    """A stream with two gate blocks in one anonymous mapping that children inherit."""

    def __init__(self, slots=4, slot_bytes=64, module=core):
        self.memory = mmap.mmap(-1, SLOTS_AT + slots * slot_bytes)
        self.slots, self.slot_bytes, self.module = slots, slot_bytes, module

    def writer(self, epoch=1, gates=0):
        return self.module.StreamWriter(
            self.memory,
            SLOTS_AT,
            self.slot_bytes,
            self.slots,
            CURSOR_AT,
            epoch,
            [(self.memory, GATES_AT + i * core.GATE_BYTES) for i in range(gates)],
        )

    def reader(self, position=None, gate=None):
        return self.module.StreamReader(
            self.memory,
            SLOTS_AT,
            self.slot_bytes,
            self.slots,
            CURSOR_AT,
            position,
            None if gate is None else (self.memory, GATES_AT + gate * core.GATE_BYTES),
        )

    def word(self, offset):
        return struct.unpack_from("<Q", self.memory, offset)[0]

    def set_word(self, offset, value):
        struct.pack_into("<Q", self.memory, offset, value)

    def slot_seq(self, n):
        return self.word(SLOTS_AT + (n % self.slots) * self.slot_bytes)


def fill(buffer, seed):
    """Make every payload word a function of seed and of its place."""
    words = len(buffer) // 8
    for i in range(2, words):
        struct.pack_into("<Q", buffer, 8 * i, (seed * 0x9E3779B97F4A7C15 + i) & (2**64 - 1))


def seed_of(buffer):
    """Return the seed when all payload words agree on one, None for a torn record."""
    first, *rest = struct.unpack_from(f"<{len(buffer) // 8 - 2}Q", buffer, 16)
    base = first - 2 & (2**64 - 1)
    if any((base + i) & (2**64 - 1) != word for i, word in enumerate(rest, 3)):
        return None
    return base * pow(0x9E3779B97F4A7C15, -1, 2**64) & (2**64 - 1)


def dies(job, stores, action=core.FAULT_EXIT):
    """Run job in a forked child that ends right after its store number ``stores`` (from 1).

    Return whether it died there (True) or got through (False).
    """
    pid = os.fork()
    if pid == 0:
        core.arm(stores - 1, action)
        job()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        return True
    code = os.WEXITSTATUS(status)
    assert code in {0, core.FAULT_EXIT_CODE}, code
    return code == core.FAULT_EXIT_CODE
