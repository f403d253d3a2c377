"""What a market message costs the feed: decode, apply, touch check, row, stream.

A regression means slower books for every module. ``apply`` is one level change with its image,
row and publish; the C floor of the whole is tick-to-wire's.
"""

import time

import numpy as np

from bench.harness import Row, single
from bench.markets import NullCell, book_frame, change_frame, market_row, put_market
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.feeds.directory import MarketDirectory
from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed, PolymarketFeedParams
from lowlat.shm.private import PrivateStream, PrivateTable

ROWS = ("decode-apply-publish", "tokens-10-to-10000")
LEVELS = 32
NS_A_CHANGE_MAX = 1_500


class _Socket:
    """A connection that takes subscriptions."""

    def __init__(self, listener: PolymarketFeed, number: int) -> None:
        self.listener, self.number = listener, number

    def send_text(self, _: bytes) -> bool:
        """Take a frame."""
        return True

    def reconnect(self, reason: str) -> None:
        """Refuse: nothing may reconnect in a bench."""
        raise AssertionError(reason)

    def close(self) -> None:
        """Close nothing."""


class FeedBench:
    """One feed over private memory, subscribed to ``markets`` markets of 32 levels a side."""

    def __init__(self, markets: int) -> None:
        clock = RealClock()
        self.table = PrivateTable("markets", rows=markets)
        self.metadata = PrivateStream("metadata", slots=1024)
        self.books = PrivateTable("book", rows=markets)
        self.market = PrivateStream("market")
        self.sockets: list[_Socket] = []
        outputs = FeedOutputs(
            self.books.writer,
            PrivateTable("shard").writer,
            self.market.writer,
            PrivateStream("trades").writer,
            clock,
        )
        directory = MarketDirectory(self.table.reader(), self.metadata.reader())
        self.feed = PolymarketFeed(
            PolymarketFeedParams(),
            directory,
            outputs,
            self._dial,
            lambda *_: True,
            clock,
            lambda _: NullCell(),
            lambda *_: None,
        )
        for market in range(markets):
            put_market(self.table.writer, self.metadata.writer, market_row(market))
        self.feed.start()
        while self.feed.turn(monotonic_ns()):
            pass
        for socket in self.sockets:
            self.feed.on_open(socket)
        self.at_ms = time.time_ns() // 1_000_000
        bids = [(f"{0.10 + 0.01 * i:.2f}", "100") for i in range(LEVELS)]
        asks = [(f"{0.90 - 0.01 * i:.2f}", "100") for i in range(LEVELS)]
        for market in range(markets):
            self.send(book_frame(market, bids, asks, self.at_ms), market)
        assert all(self.books.reader().version(market) for market in range(markets))

    def _dial(self, listener: PolymarketFeed, number: int) -> _Socket:
        self.sockets.append(_Socket(listener, number))
        return self.sockets[-1]

    def send(self, frame: bytes, market: int) -> None:
        """Deliver one frame on the market's socket."""
        per_socket = PolymarketFeedParams().shard_assets_max // 2
        self.feed.on_frame(self.sockets[market // per_socket], frame, True, monotonic_ns())

    def changes(self, markets: int, count: int) -> list[tuple[bytes, int]]:
        """Frames that move level sizes near the touch, spread over the markets."""
        frames = []
        for i in range(count):
            market = (i * 7919) % markets
            step = i % 5
            frames.append(
                (
                    change_frame(
                        market,
                        "BUY",
                        4100 - 100 * step,
                        str(100 + i % 900),
                        (4100, 5900),
                        self.at_ms + 1 + i // 100,
                    ),
                    market,
                )
            )
        return frames


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
        few, many = (float(np.median(frame_samples(FeedBench(n), n))) for n in (5, 5_000))
        row = single("tokens-10-to-10000", np.array([many]), target="<= 1.5 x")
        row.floor, row.floor_p50_ns, row.floor_p99_ns = "10 tokens", round(few), round(few)
        row.ratio = row.ratio_low = row.ratio_high = round(many / few, 2)
        row.met = row.ratio <= 1.5
        rows.append(row)
    return rows


def frame_samples(bench: FeedBench, markets: int, count: int = 5_000) -> np.ndarray:
    """Nanoseconds a frame, one sample each (a clock pair of some 50 ns included)."""
    frames = bench.changes(markets, count)
    samples = np.empty(count)
    on_frame, sockets = bench.feed.on_frame, bench.sockets
    per_socket = PolymarketFeedParams().shard_assets_max // 2
    for i, (frame, market) in enumerate(frames):
        socket = sockets[market // per_socket]
        start = monotonic_ns()
        on_frame(socket, frame, True, start)
        samples[i] = monotonic_ns() - start
    assert bench.market.writer.cursor > count
    return samples[count // 10 :]
