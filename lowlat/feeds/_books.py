"""The books of the Polymarket feed: which markets it follows, whole-book loads, publishing.

Used by the Polymarket feed only. Holds the token directory of the hot path.
"""

from typing import Final

from lowlat.book._book import MarketBook
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.instruments import Instruments
from lowlat.core.layout import BookFlag, MarketRow, MarketStateReason, MarketStatus, Watch
from lowlat.core.units import parse_fixed
from lowlat.feeds._counters import PolymarketCells
from lowlat.feeds._publish import FeedOutputs
from lowlat.feeds._resync import Resync
from lowlat.feeds._shard import MarketState
from lowlat.feeds._shards import Shards
from lowlat.feeds._state import TokenIndex
from lowlat.feeds._sweep import Sweep
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.venues.polymarket.books import RestBook
from lowlat.venues.polymarket.market import Book

__all__ = ["Books"]

_DIVERGED: Final = int(BookFlag.DIVERGED)
_CROSSED: Final = int(BookFlag.CROSSED)
_CONFIRMED: Final = int(BookFlag.CONFIRMED)
_SUBSCRIBED: Final = frozenset({MarketStatus.UNKNOWN, MarketStatus.ACTIVE, MarketStatus.PAUSED})


class Books:
    """Books by token and by row."""

    def __init__(
        self,
        params: PolymarketFeedParams,
        outputs: FeedOutputs,
        cells: PolymarketCells,
        shards: Shards,
        resync: Resync,
        sweep: Sweep,
    ) -> None:
        self.tokens = TokenIndex()
        self.markets: dict[int, MarketState] = {}
        self.published = 0
        """Images published; the engine moves it to the counter."""
        self._params = params
        self._outputs = outputs
        self._write = outputs.book
        self._cells = cells
        self._shards = shards
        self._resync = resync
        self._sweep = sweep
        self._unplaced: dict[int, MarketRow] = {}

    def publish(
        self, state: MarketState, sides: int, at_ns: int, recv_ns: int, decoded_ns: int
    ) -> None:
        """Write and publish a market's image; ask REST about one that becomes crossed."""
        crossed = state.book.flags & _CROSSED != 0
        if crossed is not state.crossed:
            state.crossed = crossed
            if crossed:
                self._cells.crossed.add(1)
                self._doubt_cross(state, recv_ns + self._params.burst_ns)
            else:
                state.book.flags &= ~_CONFIRMED
        self._write(state, sides, at_ns, recv_ns, decoded_ns)
        self.published += 1

    def _doubt_cross(self, state: MarketState, due_ns: int) -> None:
        """Ask for the whole book; an answer that was asked for before proves nothing."""
        if state.asked:
            self._resync.cancel(state)
        self._resync.schedule(state, due_ns)

    def load(
        self,
        state: MarketState,
        outcome: int,
        source: Book | RestBook,
        at_ns: int,
        recv_ns: int,
        decoded_ns: int,
    ) -> None:
        """Replace a market's ladder by one token's whole book and publish it if it differs.

        On a bad level the book stays empty and STALE, a REST book is asked for, and
        RemoteProtocolError raised.
        """
        book = state.book
        state.live = False
        try:
            if source.tick_size is not None:
                self.set_tick(state, parse_fixed(source.tick_size, 4), at_ns, recv_ns)
            sides = book.load(outcome, source.bids, source.asks)
        except RemoteProtocolError:
            book.clear()
            self.publish(state, 3, at_ns, recv_ns, decoded_ns)
            self._resync.schedule(state, recv_ns + self._params.resync_ns_min)
            raise
        state.doubted = False
        book.snapshot_event_ns = state.book_event_ns = at_ns
        state.event_ns = max(at_ns, state.event_ns)
        if book.connection_generation != state.shard.generation:
            book.connection_generation = state.shard.generation
            sides = 3
        state.live = True
        # Cancelled whenever a cross begins, so an answer under way was asked for since then.
        was_crossed, by_rest = state.crossed, isinstance(source, RestBook)
        self._resync.cancel(state)
        if was_crossed and by_rest and book.flags & (_CROSSED | _CONFIRMED) == _CROSSED:
            book.flags |= _CONFIRMED
            self._cells.confirmed.add(1)
            sides = 3
        if sides:
            self.publish(state, sides, at_ns, recv_ns, decoded_ns)
        if was_crossed and state.crossed:
            # What was confirmed once may be over: asked again while it lasts.
            self._resync.schedule(state, recv_ns + self._params.confirm_ns)

    def lose(self, state: MarketState, now_ns: int) -> None:
        """Take a book as unknown until the next whole one."""
        state.live = False
        state.book.clear()
        self.publish(state, 3, state.event_ns, now_ns, now_ns)

    def diverge(self, state: MarketState, now_ns: int) -> None:
        """Mark a book as not the venue's and ask for the whole one."""
        if not state.book.flags & _DIVERGED:
            self._cells.diverged.add(1)
            state.book.flags |= _DIVERGED
        self._resync.schedule(state, now_ns)

    def trust(self, state: MarketState) -> bool:
        """Take a touch that agrees again as the end of a burst; False when REST is under way."""
        state.doubted = False
        if state.asked or not state.book.flags & _DIVERGED:
            return False
        self._cells.bursts.add(1)
        state.book.flags &= ~_DIVERGED
        self._resync.cancel(state)
        return True

    def set_tick(self, state: MarketState, tick_e4: int, at_ns: int, recv_ns: int) -> None:
        """Take a market's grid; say so when it is another one than before."""
        if tick_e4 <= 0:
            raise RemoteProtocolError(f"tick of market {state.row} is {tick_e4}, expected above 0")
        if tick_e4 == state.book.tick_e4:
            return
        state.book.tick_e4 = tick_e4
        self._cells.ticks.add(1)
        self._outputs.market_state(
            state, MarketStateReason.TICK, MarketStatus.ACTIVE, at_ns, recv_ns
        )

    def follow(self, instruments: Instruments, row: MarketRow, now_ns: int) -> None:
        """Subscribe, keep or drop the market of a row that changed."""
        state = self.markets.get(row.market)
        wanted = row.status in _SUBSCRIBED and row.watch != Watch.NONE
        moved = state is not None and self._sweep.owns(state) != (row.watch == Watch.POLL)
        if state is not None and (moved or state.book.generation != row.generation or not wanted):
            self.retire(state, state.event_ns, now_ns, now_ns)
            state = None
        self._unplaced.pop(row.market, None)
        if state is None and wanted:
            self._unplaced[row.market] = row
            if row.watch == Watch.POLL:
                # It waits for no socket, so not behind those that do.
                self._place(instruments, row)
        for waiting in list(self._unplaced.values()):
            if not self._place(instruments, waiting):
                break

    def _place(self, instruments: Instruments, row: MarketRow) -> bool:
        polled = row.watch == Watch.POLL
        shard = None
        if row.market < self._outputs.rows:
            shard = self._sweep.shard if polled else self._shards.room()
        if shard is None:
            self._cells.unplaced.add(1)
            return False
        del self._unplaced[row.market]
        yes = instruments.by_index[2 * row.market]
        no = instruments.by_index[2 * row.market + 1]
        book = MarketBook(row.market, row.generation)
        book.tick_e4 = row.tick_e4
        book.shard = shard.number
        tokens = (yes.token_id, no.token_id)
        state = MarketState(row.market, book, shard, yes.market_id, tokens)
        self._outputs.take_over(state)
        self.markets[row.market] = state
        self.tokens.add(state)
        if polled:
            self._sweep.add(state)
        else:
            self._shards.place(state)
        self._cells.markets.set(len(self.markets))
        return True

    def retire(self, state: MarketState, at_ns: int, recv_ns: int, decoded_ns: int) -> None:
        """Stop following a market; its row stays, empty and STALE."""
        self._shards.drop(state, recv_ns)
        del self.markets[state.row]
        self.tokens.remove(state)
        state.live = False
        state.book.clear()
        self.publish(state, 3, at_ns, recv_ns, decoded_ns)
        self._cells.markets.set(len(self.markets))
