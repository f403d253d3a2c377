"""Programs for other processes, chosen by the first argument."""

import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shm_kit import fill

from lowlat.shm import _core, _core_faulty
from lowlat.shm.attachment import Attachment


def say(text):
    os.write(1, f"{text}\n".encode())


def read_and_exit(instance):
    """Attach read-only to everything, look, and leave."""
    import lowlat

    attached = lowlat.attach(instance)
    for stream in attached.streams.values():
        stream.poll()
    for table in attached.tables.values():
        table.read(0)
    say(len(attached.status()))


def hold(instance):
    """Own a stream until stdin closes."""
    mine = Attachment(instance, "holder")
    mine.open_stream_writer("market")
    say("ready")
    sys.stdin.read()


def publish_checked(path, slots, slot_bytes, count, stalls, gates):
    """Publish count self-checking records into a file-backed ring; report how many were blocked."""
    ring = mapped(path, _core)(int(slots), int(slot_bytes))
    writer = ring.writer(gates=int(gates))
    rng = random.Random(1)
    blocked = 0
    for seed in range(1, int(count) + 1):
        fill(writer.buffer, seed)
        while not writer.publish(1):
            blocked += 1
            os.sched_yield()
        if int(stalls) and rng.random() < 0.01:
            time.sleep(rng.uniform(0, 0.0002))
    say(blocked)


def mapped(path, module):
    import mmap

    from shm_kit import SLOTS_AT, Ring

    class FileRing(Ring):
        def __init__(self, slots, slot_bytes):
            self.slots, self.slot_bytes, self.module = slots, slot_bytes, module
            with open(path, "r+b") as file:
                self.memory = mmap.mmap(file.fileno(), SLOTS_AT + slots * slot_bytes)

    return FileRing


if __name__ == "__main__":
    assert _core_faulty.FAULT_EXIT_CODE == 86
    globals()[sys.argv[1]](*sys.argv[2:])
