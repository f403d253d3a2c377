"""Keep the books of markets without a socket: read them by REST, in turn, at a steady pace.

Used by the Polymarket feed only. They share a shard of their own, the last row of the shard table,
which is alive while answers come: a sweep that stops makes its books stale like a dead socket does.
Source: polymarket.md 12.4 (/book 1 500 per 10 s); design 7.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.feeds._counters import FaultNotes, PolymarketCells
from lowlat.feeds._publish import FeedOutputs
from lowlat.feeds._shard import MarketState, Shard
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.feeds.ports import Fetch
from lowlat.venues.polymarket.market import RestBook, decode_book, event_ns

__all__ = ["Sweep"]

HTTP_OK: Final = 200
_S_NS: Final = 1_000_000_000


class Sweep:
    """The polled markets. ``loaded(state, book, recv_ns)`` takes each whole book.

    ``failed(state, now_ns)`` is told of one that could not be read again.
    """

    def __init__(
        self,
        params: PolymarketFeedParams,
        outputs: FeedOutputs,
        cells: PolymarketCells,
        notes: FaultNotes,
        fetch: Fetch,
        loaded: Callable[[MarketState, RestBook, int], None],
        failed: Callable[[MarketState, int], None],
    ) -> None:
        self._outputs = outputs
        self._cells = cells
        self._notes = notes
        self._fetch = fetch
        self._loaded = loaded
        self._failed = failed
        self._interval_ns = _S_NS // params.sweep_per_s
        self._asked_max = params.sweep_in_flight_max
        self._turns: deque[int] = deque()
        self._asked = 0
        self._due_ns = 0
        self._shard: Shard | None = None

    @property
    def shard(self) -> Shard:
        """The shard of polled markets; made when the first one comes."""
        if self._shard is None:
            number = self._outputs.shard_rows - 1
            self._shard = Shard(number, self._outputs.next_generation(number))
        return self._shard

    def owns(self, state: MarketState) -> bool:
        """Whether a market is read by REST only."""
        return state.shard is self._shard

    def add(self, state: MarketState) -> None:
        """Begin to read a market, before those that were read already."""
        self.shard.markets[state.row] = state
        self._turns.appendleft(state.row)

    def turn(self, now_ns: int) -> int:
        """Ask for the next books that are due, and keep the shard's row."""
        shard = self._shard
        if shard is None:
            return 0
        work = 0
        # What was not used is not made up for later, but for a few.
        self._due_ns = max(self._due_ns, now_ns - 4 * self._interval_ns)
        while self._turns and self._due_ns <= now_ns and self._asked < self._asked_max:
            state = shard.markets.get(self._turns.popleft())
            if state is None:
                continue
            if not self._ask(state):
                self._turns.appendleft(state.row)
                break
            self._due_ns += self._interval_ns
            work += 1
        if shard.row_due:
            shard.row_due = False
            self._outputs.shard(shard)
        return work

    def _ask(self, state: MarketState) -> bool:
        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._asked -= 1
            if not self.owns(state) or self.shard.markets.get(state.row) is not state:
                return
            self._turns.append(state.row)
            self._answered(state, status, body, recv_ns)

        if not self._fetch(f"/book?token_id={state.tokens[0]}", done):
            return False
        self._asked += 1
        return True

    def _answered(self, state: MarketState, status: int, body: bytes, recv_ns: int) -> None:
        book = self._book(state, status, body, recv_ns)
        if book is None:
            # The others' answers keep the shard alive: this book must not stay fresh by them.
            self._cells.swept_failed.add(1)
            if state.live:
                self._failed(state, recv_ns)
            return
        shard = self.shard
        if not shard.alive:
            shard.alive, shard.connected_ns = 1, recv_ns
        shard.data_ns, shard.row_due = recv_ns, True
        self._cells.swept.add(1)
        self._loaded(state, book, recv_ns)

    def _book(self, state: MarketState, status: int, body: bytes, recv_ns: int) -> RestBook | None:
        if status != HTTP_OK:
            self._notes.add("swept book", f"status {status} market {state.row}", recv_ns)
            return None
        try:
            book = decode_book(body)
            event_ns(book.timestamp)
        except RemoteProtocolError as error:
            self._notes.add("swept book", error, recv_ns)
            return None
        if book.asset_id != state.tokens[0]:
            self._notes.add("swept book", f"of {book.asset_id[:80]}, asked another", recv_ns)
            return None
        return book
