"""What 10 000 tokens cost in memory, and that a long replay at full speed adds nothing to it.

The feed, the modules, risk and the executor of the fused engine run over real segments in a
process of their own, driven by the bench's frames as fast as they take them.
"""

import subprocess
import sys

import pytest

from lowlat.shm.places import segment_names
from lowlat.shm.segments import create_segments

pytestmark = pytest.mark.e2e

MIB = 1 << 20
CHILD = """
import gc, sys
def anonymous():
    # Not "private": pages of a segment that nobody else maps now would count as ours.
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("Anonymous"))
import lowlat.app.engine
engine = anonymous()
from bench import memory_engine as memory
from bench.feed_engine import FeedBench
from lowlat.app.machine import Metrics, RandomSalts
from lowlat.core.clock import RealClock
from lowlat.shm.attachment import Attachment
from lowlat.wiring.trading import Trading
driver = anonymous() - engine
instance, frames = sys.argv[1], int(sys.argv[2])
with Attachment(instance, "engine") as attachment:
    metrics = Metrics(attachment.open_stats())
    bench = FeedBench(memory.MARKETS, attachment)
    for name in ("spot", "settle"):
        attachment.open_stream_writer(name)
    trading = Trading(
        memory.config(1, 1, "", instance), attachment, metrics, memory.ACCOUNT, "127.0.0.1",
        memory.NullTransport(), None, clock=RealClock(), salts=RandomSalts(),
    )
    for engine in (trading.signals, trading.risk, trading.executor):
        engine.start()
    gc.collect()
    gc.freeze()
    gc.disable()
    # Every market has changed once or more before anything is counted.
    memory._play(bench, trading, 15_000)
    start = anonymous()
    batch = bench.changes(memory.MARKETS, 10_000)
    driver += anonymous() - start
    before = anonymous() - driver
    blocks, tracked = sys.getallocatedblocks(), gc.get_count()[0]
    for frame, market in batch:
        bench.send(frame, market)
        trading.pump()
    blocks, tracked = sys.getallocatedblocks() - blocks, gc.get_count()[0] - tracked
    memory._play(bench, trading, frames)
    print(before, anonymous() - driver, blocks, tracked)
"""


@pytest.fixture
def segments(instance):
    made = create_segments(instance, stats=["engine", "recorder", "supervisor"])
    yield made
    made.unlink()
    assert segment_names(instance) == []


def replay(instance, frames):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, instance, str(frames)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return map(int, done.stdout.split())


def assert_flat(instance, frames, capsys):
    before, after, blocks, tracked = replay(instance, frames)
    with capsys.disabled():
        sys.stdout.write(
            f"\n  private {before / MIB:.1f} MiB, after {frames} more frames {after / MIB:.1f} MiB;"
            f" 10000 frames left {blocks} blocks and {tracked} objects to the collector\n"
        )
    assert before <= 64 * MIB
    assert after - before <= MIB
    # A turn gives back what it took: with the collector off, anything else would pile up.
    assert abs(blocks) < 2_000
    assert tracked < 2_000


def test_segments_of_ten_thousand_tokens_fit_in_64_mib(segments, capsys):
    with capsys.disabled():
        sys.stdout.write(f"\n  shared {segments.shared_bytes / MIB:.1f} MiB\n")
    assert segments.shared_bytes <= 64 * MIB


def test_ten_thousand_tokens_fit_and_ten_thousand_frames_leave_nothing(segments, instance, capsys):
    assert_flat(instance, 10_000, capsys)


@pytest.mark.marathon
@pytest.mark.stress
def test_a_million_frames_leave_nothing(segments, instance, capsys):
    """An hour of 300 frames a second, at full speed."""
    assert_flat(instance, 1_000_000, capsys)
