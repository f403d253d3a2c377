"""What a 10 000-token instance keeps in memory: shared in all, private in its hot process.

A regression means that a record grew, a table was sized for more than is there, or a hot process
keeps something for every token or message. Bytes, not nanoseconds; no floor.
"""

import os
import subprocess
import sys

from bench.book import FeedBench
from bench.harness import Row
from bench.stages_engine import NullTransport
from bench.wire_engine import ACCOUNT, config
from lowlat.app.machine import Metrics, RandomSalts
from lowlat.core.clock import RealClock
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments
from lowlat.wiring.trading import Trading

ROWS = ("memory-shared", "memory-private")
MARKETS = 5_000
"""Two tokens each."""
BYTES_MAX = 64 << 20
FRAMES = 100_000
"""Played after the books, to see growth."""
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
            child = [sys.executable, "-m", "bench.memory", instance]
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


def private_bytes() -> int:
    """Return what this process has for itself alone: not shared memory, not files it maps."""
    with open("/proc/self/smaps_rollup") as file:
        lines = dict(line.split(":", 1) for line in file if line.startswith("Private"))
    return sum(int(lines[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) << 10


def main(instance: str) -> None:
    """Run a feed of 10 000 tokens and the engines behind it; print private bytes at three times."""
    imported = private_bytes()
    with Attachment(instance, "engine") as attachment:
        metrics = Metrics(attachment.open_stats())
        # Readers stand at the next record, so the writers come first.
        bench = FeedBench(MARKETS, attachment)
        for name in ("spot", "settle"):
            attachment.open_stream_writer(name)
        trading = Trading(
            config(1, 1, "", instance),
            attachment,
            metrics,
            ACCOUNT,
            "127.0.0.1",
            NullTransport(),
            None,
            clock=RealClock(),
            salts=RandomSalts(),
        )
        for engine in (trading.signals, trading.risk, trading.executor):
            engine.start()
        _play(bench, trading, FRAMES // 4)
        books = private_bytes()
        _play(bench, trading, FRAMES)
        print(imported, books, private_bytes())


def _play(bench: FeedBench, trading: Trading, count: int) -> None:
    """Send frames all over the universe; none of them is kept, so that only the engine grows."""
    send, pump = bench.send, trading.pump
    for _ in range(count // 1_000):
        for frame, market in bench.changes(MARKETS, 1_000):
            send(frame, market)
            pump()


if __name__ == "__main__":
    main(sys.argv[1])
