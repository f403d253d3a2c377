"""The hot process of the memory rows: ``python -m bench.memory_engine INSTANCE``.

It imports what a hot process imports and no more: numpy alone is nine MiB.
"""

import sys

from bench.feed_engine import FeedBench
from bench.stages_engine import NullTransport
from bench.wire_engine import ACCOUNT, config
from lowlat.app.machine import Metrics, RandomSalts
from lowlat.core.clock import RealClock
from lowlat.shm.attachment import Attachment
from lowlat.wiring.trading import Trading

MARKETS = 5_000
"""Two tokens each."""
FRAMES = 100_000
"""Played after the books, to see growth."""


def private_bytes() -> int:
    """Return what this process has for itself alone: not shared memory, not files it maps."""
    with open("/proc/self/smaps_rollup") as file:
        lines = dict(line.split(":", 1) for line in file if line.startswith("Private"))
    return sum(int(lines[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) << 10


def main(instance: str) -> None:
    """Run a feed of 10 000 tokens and the engines behind it; print private bytes at three times."""
    assert "numpy" not in sys.modules, "no hot process has it"
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
