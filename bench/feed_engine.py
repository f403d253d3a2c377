"""The feed of a bench: subscribed markets of 32 levels a side, frames to change them."""

import random
import time

from bench.markets import NullCell, book_frame, change_frame, market_row, put_market
from bench.private import Memory
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.core.directory import MarketDirectory
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed
from lowlat.shm.private import PrivateMemory

__all__ = ["MARKETS_A_SOCKET", "Connection", "FeedBench"]

LEVELS = 32
MARKETS_A_SOCKET = PolymarketFeedParams().shard_assets_max // 2


class Connection:
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

    def __init__(self, markets: int, memory: Memory | None = None) -> None:
        """``memory`` may be an Attachment, whose market rows are written here."""
        clock = RealClock()
        memory = memory or PrivateMemory()
        table, metadata = (
            memory.open_table_writer("markets"),
            memory.open_stream_writer("metadata"),
        )
        self.books = memory.open_table_writer("book")
        self.market = memory.open_stream_writer("market")
        self.sockets: list[Connection] = []
        outputs = FeedOutputs(
            self.books,
            memory.open_table_writer("shard"),
            self.market,
            memory.open_stream_writer("trades"),
            clock,
        )
        directory = MarketDirectory(
            memory.open_table_reader("markets"), memory.open_stream_reader("metadata")
        )
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
            put_market(table, metadata, market_row(market))
        self.feed.start()
        while self.feed.turn(monotonic_ns()):
            pass
        for socket in self.sockets:
            self.feed.on_open(socket)
        self.pick, self.sent = random.Random(1), 0
        self.at_ms = time.time_ns() // 1_000_000
        bids = [(f"{0.10 + 0.01 * i:.2f}", "100") for i in range(LEVELS)]
        asks = [(f"{0.90 - 0.01 * i:.2f}", "100") for i in range(LEVELS)]
        for market in range(markets):
            self.send(book_frame(market, bids, asks, self.at_ms), market)
        assert all(self.books.read(market) for market in range(markets))

    def _dial(self, listener: PolymarketFeed, number: int) -> Connection:
        self.sockets.append(Connection(listener, number))
        return self.sockets[-1]

    def send(self, frame: bytes, market: int) -> None:
        """Deliver one frame on the market's socket."""
        self.feed.on_frame(self.socket_of(market), frame, True, monotonic_ns())

    def socket_of(self, market: int) -> Connection:
        """Return the connection that a market's frames come on."""
        return self.sockets[market // MARKETS_A_SOCKET]

    def changes(self, markets: int, count: int) -> list[tuple[bytes, int]]:
        """Frames that move level sizes near the touch of markets picked at random."""
        frames = []
        for _ in range(count):
            self.sent += 1
            market, step = self.pick.randrange(markets), self.sent % 5
            frames.append(
                (
                    change_frame(
                        market,
                        "BUY",
                        4100 - 100 * step,
                        str(100 + self.sent % 900),
                        (4100, 5900),
                        self.at_ms + 1 + self.sent // 100,
                    ),
                    market,
                )
            )
        return frames
