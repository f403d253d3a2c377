"""What a 10 000-token instance keeps in memory: shared in all, private in its hot process.

A regression means that a record grew, a table was sized for more than is there, or a hot process
keeps something for every token or message. Bytes, not nanoseconds; no floor.
"""

import os
import subprocess
import sys

from bench.harness import Row
from bench.memory_engine import FRAMES, MARKETS
from lowlat.shm.segments import create_segments

ROWS = ("memory-shared", "memory-private")
BYTES_MAX = 64 << 20
GROWTH_BYTES_MAX = 1 << 20


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named: an instance of real segments, a child process as its engine."""
    instance = f"bench-{os.getpid()}"
    segments = create_segments(instance, stats=["engine"])
    rows = []
    try:
        shared = segments.shared_bytes
        if "memory-shared" in names:
            row = _row("memory-shared", shared)
            largest = sorted(segments.segments, key=lambda each: -each.header.segment_bytes)[:3]
            for segment in largest:
                row.notes[segment.header.name] = _mib(segment.header.segment_bytes)
            rows.append(row)
        if "memory-private" in names:
            child = [sys.executable, "-m", "bench.memory_engine", instance]
            said = subprocess.run(child, stdout=subprocess.PIPE, text=True, check=True).stdout
            imported, books, played = map(int, said.split())
            row = _row("memory-private", played)
            row.notes["interpreter and imports"] = _mib(imported)
            row.notes[f"{2 * MARKETS} tokens of 32 levels a side"] = _mib(books - imported)
            row.notes[f"growth over {FRAMES} frames"] = _mib(played - books)
            row.met = bool(row.met) and played - books <= GROWTH_BYTES_MAX
            rows.append(row)
    finally:
        segments.unlink()
    return rows


def _row(name: str, size: int) -> Row:
    return Row(
        name=name, p50_ns=0, p99_ns=0, value_bytes=size, target="<= 64 MiB", met=size <= BYTES_MAX
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
