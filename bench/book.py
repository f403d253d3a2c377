"""What a market message costs the feed: decode, apply, touch check, row, stream.

A regression means slower books for every module. ``apply`` is one level change with its image,
row and publish; the C floor of the whole is tick-to-wire's.
"""

import numpy as np

from bench.feed_engine import FeedBench
from bench.harness import Row, empty_caches, paired, single
from lowlat.core.clock import monotonic_ns

ROWS = ("decode-apply-publish", "tokens-10-to-10000")
NS_A_CHANGE_MAX = 1_500
TOKENS_RATIO_MAX = 1.5


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named."""
    rows = []
    if "decode-apply-publish" in names:
        samples = frame_samples(FeedBench(500), 500)
        row = single("decode-apply-publish", samples / 2, target="<= 1.5 us a level change")
        row.met = row.p50_ns <= NS_A_CHANGE_MAX
        row.notes["frame of 2 changes, p50 ns"] = round(float(np.median(samples)))
        rows.append(row)
    if "tokens-10-to-10000" in names:
        rows.append(_tokens())
    return rows


def _tokens() -> Row:
    """Compare universes under one access pattern: each frame is of a market picked at random."""
    few, many = FeedBench(5), FeedBench(5_000)
    row = paired(
        "tokens-10-to-10000",
        lambda: frame_samples(many, 5_000),
        lambda: frame_samples(few, 5),
        floor_name="10 tokens",
        target="<= 1.5 x",
    )
    row.met = row.ratio is not None and row.ratio <= TOKENS_RATIO_MAX
    # With the caches emptied before each frame, what is left is the work itself.
    cold = [
        float(np.median(frame_samples(bench, markets, 1_000, cold=True)))
        for bench, markets in ((few, 5), (many, 5_000))
    ]
    row.notes["both cold, p50 ns"] = "{:.0f} of 10 tokens, {:.0f} of 10000".format(*cold)
    row.notes["both cold, ratio"] = round(cold[1] / cold[0], 2)
    return row


def frame_samples(
    bench: FeedBench, markets: int, count: int = 5_000, *, cold: bool = False
) -> np.ndarray:
    """Nanoseconds a frame, one sample each (a clock pair of some 50 ns included)."""
    frames = bench.changes(markets, count)
    samples = np.empty(count)
    on_frame = bench.feed.on_frame
    before = bench.market.cursor
    for i, (frame, market) in enumerate(frames):
        socket = bench.socket_of(market)
        if cold:
            empty_caches()
        start = monotonic_ns()
        on_frame(socket, frame, True, start)
        samples[i] = monotonic_ns() - start
    assert bench.market.cursor > before + count // 2, "frames did not change books"
    return samples[count // 10 :]
