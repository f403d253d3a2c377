"""Write what the Polymarket feed knows: the book row first, then the same image to the stream.

Used by the Polymarket feed only; single writer of the tables and streams it is given.
"""

from typing import Final

from lowlat.core.layout import (
    BOOK_TOP,
    MARKET_STATE,
    NO_MARKET,
    RESET,
    SHARD_ROW,
    TRADE,
    MarketStateChange,
    MarketStateReason,
    MarketStatus,
    Reset,
    ShardRow,
    Trade,
    Venue,
    Writer,
    record_id,
)
from lowlat.core.ports import Clock, Recorder, StreamWriter, TableWriter
from lowlat.feeds._plain import BookOutput
from lowlat.feeds._shard import MarketState, Shard

__all__ = ["ALL_SHARDS", "FeedOutputs"]

ALL_SHARDS: Final = 0xFFFF_FFFF
"""``shard`` of a RESET that means every shard of the writer."""

_VENUE: Final = int(Venue.POLYMARKET)


class FeedOutputs:
    """The tables and streams of one Polymarket feed. ``trades`` may have another writer's epoch."""

    def __init__(
        self,
        books: TableWriter,
        shards: TableWriter,
        market: StreamWriter,
        trades: StreamWriter,
        clock: Clock,
        *,
        latency: Recorder | None = None,
    ) -> None:
        """``latency`` takes receive to publish of each book image."""
        self._books = books
        self._shards = shards
        self._market = market
        self._trades = trades
        self._now_ns = clock.monotonic_ns
        self.output: Final = BookOutput(
            books,
            market,
            clock,
            latency,
            BOOK_TOP.kind,
            record_id(Writer.POLYMARKET, market.epoch, 0),
        )
        """Writes the books; every record of the market stream goes through it."""
        self.book: Final = self.output.book
        self._trade_ids = record_id(Writer.POLYMARKET, trades.epoch, 0)

    @property
    def rows(self) -> int:
        """Markets that the book table holds."""
        return self._books.rows

    @property
    def shard_rows(self) -> int:
        """Shards that the shard table holds."""
        return self._shards.rows

    def take_over(self, state: MarketState) -> None:
        """Continue the row's versions where the last writer left them."""
        state.book.version = max(self._books.read(state.row), 0)

    def market_state(
        self, state: MarketState, reason: int, status: int, event_ns: int, recv_ns: int
    ) -> None:
        """Publish that a market changed otherwise than by its levels."""
        record = MarketStateChange(
            self.output.next_id,
            state.book.version,
            event_ns,
            recv_ns,
            state.row,
            state.book.generation,
            reason,
            status,
            state.book.tick_e4,
        )
        MARKET_STATE.pack(self._market.buffer, record)
        self.output.publish(MARKET_STATE.kind)

    def announce(self, _condition_id: str) -> None:
        """Publish that the venue announced a market that may have no row yet."""
        now_ns = self._now_ns()
        record = MarketStateChange(
            self.output.next_id,
            0,
            0,
            now_ns,
            NO_MARKET,
            0,
            MarketStateReason.LISTED,
            MarketStatus.UNKNOWN,
            0,
        )
        MARKET_STATE.pack(self._market.buffer, record)
        self.output.publish(MARKET_STATE.kind)

    def reset(self, shard: int, previous_epoch: int, recv_ns: int) -> None:
        """Publish that what a shard (or ALL_SHARDS) said before is stale."""
        record = Reset(self.output.next_id, recv_ns, previous_epoch, shard)
        RESET.pack(self._market.buffer, record)
        self.output.publish(RESET.kind)

    def start(self) -> None:
        """Say that all earlier books are stale."""
        now_ns = self._now_ns()
        self.reset(ALL_SHARDS, max(self._market.epoch - 1, 0), now_ns)
        for number in range(self._shards.rows):
            if self._shards.read(number) > 0:
                row = SHARD_ROW.unpack(self._shards.buffer)
                if row.alive:
                    SHARD_ROW.pack(self._shards.buffer, row._replace(alive=0))
                    self._shards.write(number)

    def lost(self, shard: Shard, recv_ns: int) -> None:
        """Publish that a shard's books are stale until their next snapshot."""
        self.reset(shard.number, self._market.epoch, recv_ns)

    def next_generation(self, shard: int) -> int:
        """Return a connection generation that no row of an earlier life carries."""
        if self._shards.read(shard) <= 0:
            return 1
        return (SHARD_ROW.unpack(self._shards.buffer).connection_generation + 1) & 0xFFFF_FFFF

    def shard(self, shard: Shard) -> None:
        """Write a shard's row: its generation, whether it lives, when it last heard."""
        SHARD_ROW.pack(
            self._shards.buffer,
            ShardRow(
                self.output.next_id,
                shard.data_ns,
                shard.connected_ns,
                shard.generation,
                shard.alive,
                _VENUE,
                int(shard.alive > 0),
                2 * len(shard.markets),
                shard.reconnects,
            ),
        )
        self._shards.write(shard.number)

    def trade(
        self,
        trade_id: int,
        event_ns: int,
        recv_ns: int,
        price_e4: int,
        size_e6: int,
        instrument: int,
        generation: int,
        taker_side: int,
    ) -> None:
        """Publish one print."""
        record = Trade(
            self._trade_ids | self._trades.cursor,
            trade_id,
            event_ns,
            recv_ns,
            self._now_ns(),
            price_e4,
            size_e6,
            instrument,
            generation,
            0,
            _VENUE,
            taker_side,
        )
        TRADE.pack(self._trades.buffer, record)
        self._trades.publish(TRADE.kind)
