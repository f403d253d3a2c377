"""Keep the books of markets without a socket: read many at a time by REST, each once a second.

Used by the Polymarket feed only. They share a shard of their own, the last row of the shard table,
which is alive while answers come: a sweep that stops makes its books stale like a dead socket does,
and a book that was not read again for too long is lost by itself. An answer of many books is taken
apart a few a turn, so that frames of sockets never wait long behind it; a book whose hash is that
of the last one costs no decoding. Source: polymarket.md 8.3, 12.4; design 7.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import BookFlag
from lowlat.feeds._counters import FaultNotes, PolymarketCells
from lowlat.feeds._publish import FeedOutputs
from lowlat.feeds._shard import MarketState, Shard
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.feeds.ports import Fetch
from lowlat.venues.polymarket.books import RestBook, books_body, decode_book, name_book, split_books
from lowlat.venues.polymarket.market import event_ns

__all__ = ["Sweep"]

HTTP_OK: Final = 200
_S_NS: Final = 1_000_000_000
_PAUSE_NS: Final = _S_NS
"""After a question that failed."""
_BOOKS_A_TURN: Final = 2
"""Some 50 us each."""
_DOUBTED: Final = int(BookFlag.DIVERGED | BookFlag.CROSSED)


class _Polled:
    """A market of the sweep. ``hash``: of the book that it has; ``read_ns``: when that came."""

    __slots__ = ("due_ns", "hash", "read_ns", "state")

    def __init__(self, state: MarketState) -> None:
        self.state = state
        self.due_ns = 0
        self.read_ns = -1
        self.hash = ""


class _Answer:
    """Books of one answer that are still to be taken, and who of the asked has none yet."""

    __slots__ = ("asked", "books", "recv_ns")

    def __init__(self, asked: dict[str, _Polled], books: list[msgspec.Raw], recv_ns: int) -> None:
        self.asked = asked
        self.books = books
        self.recv_ns = recv_ns


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
        self._params = params
        self._outputs = outputs
        self._cells = cells
        self._notes = notes
        self._fetch = fetch
        self._loaded = loaded
        self._failed = failed
        self._turns: deque[_Polled] = deque()
        """Who waits for a question, first due first."""
        self._reads: deque[tuple[int, _Polled]] = deque()
        """Every good read of the last while, to notice those that were not followed by another."""
        self._answers: deque[_Answer] = deque()
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
        self._turns.appendleft(_Polled(state))

    def turn(self, now_ns: int) -> int:
        """Ask for the next books that are due, and keep the shard's row."""
        shard = self._shard
        if shard is None:
            return 0
        work = self._ask_due(now_ns)
        self._lose_old(now_ns)
        if shard.row_due:
            shard.row_due = False
            self._outputs.shard(shard)
        return work

    def take(self) -> int:
        """Take the next few books of the answers that are here; return how many."""
        taken = 0
        while self._answers and taken < _BOOKS_A_TURN:
            answer = self._answers[0]
            if answer.books:
                self._take_book(answer, answer.books.pop())
                taken += 1
            else:
                self._answers.popleft()
                for polled in answer.asked.values():
                    # The venue leaves out what has no book.
                    self._miss(polled, answer.recv_ns)
        return taken

    # ------------------------------------------------------------------ questions
    def _ask_due(self, now_ns: int) -> int:
        params, turns, work = self._params, self._turns, 0
        gap_ns = _S_NS * params.sweep_books // params.sweep_per_s
        # What was not used is not made up for later, but for one question.
        self._due_ns = max(self._due_ns, now_ns - gap_ns)
        while self._due_ns <= now_ns and self._under_way < params.sweep_in_flight_max:
            asked: dict[str, _Polled] = {}
            while turns and turns[0].due_ns <= now_ns and len(asked) < params.sweep_books:
                polled = turns.popleft()
                if self._is_ours(polled):
                    asked[polled.state.tokens[0]] = polled
            if not asked:
                break
            if not self._ask(asked, now_ns):
                turns.extendleft(reversed(asked.values()))
                break
            self._due_ns += gap_ns
            work += 1
        return work

    @property
    def _under_way(self) -> int:
        """Questions without an answer, or whose answer is not taken yet."""
        return self._asked + len(self._answers)

    def _ask(self, asked: dict[str, _Polled], now_ns: int) -> bool:
        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._asked -= 1
            for polled in asked.values():
                polled.due_ns = now_ns + self._params.sweep_ns
                self._turns.append(polled)
            books = self._split(status, body, recv_ns)
            if books is None:
                # It says nothing about the books: they stay until they are too old.
                self._cells.swept_failed.add(len(asked))
                self._due_ns = max(self._due_ns, recv_ns + _PAUSE_NS)
            else:
                self._answers.append(_Answer(asked, books, recv_ns))

        if not self._fetch("/books", done, books_body(list(asked))):
            return False
        self._asked += 1
        return True

    def _split(self, status: int, body: bytes, recv_ns: int) -> list[msgspec.Raw] | None:
        if status != HTTP_OK:
            self._notes.add("swept books", f"status {status}", recv_ns)
            return None
        try:
            return split_books(body)
        except RemoteProtocolError as error:
            self._notes.add("swept books", error, recv_ns)
            return None

    # ------------------------------------------------------------------ answers
    def _take_book(self, answer: _Answer, raw: msgspec.Raw) -> None:
        recv_ns = answer.recv_ns
        try:
            name = name_book(raw)
            polled = answer.asked.get(name.asset_id)
            if polled is None:
                self._notes.add("swept book", f"of {name.asset_id[:80]}, not asked", recv_ns)
                self._cells.swept_failed.add(1)
                return
            if not self._is_ours(polled):
                del answer.asked[name.asset_id]
                return
            book = None if self._is_known(polled, name.hash) else decode_book(raw)
            at_ns = 0 if book is None else event_ns(book.timestamp)
        except RemoteProtocolError as error:
            # Whose it is may not be known: who was asked and is not answered is missed in the end.
            self._notes.add("swept book", error, recv_ns)
            return
        del answer.asked[name.asset_id]
        self._heard(recv_ns)
        polled.read_ns = recv_ns
        self._reads.append((recv_ns, polled))
        self._cells.swept.add(1)
        if book is not None:
            self._loaded(polled.state, book, recv_ns)
            polled.hash = name.hash if polled.state.book_event_ns == at_ns else ""

    def _is_known(self, polled: _Polled, hash_: str) -> bool:
        """Whether a book is the one that the market has, and there is no doubt about that one."""
        state = polled.state
        return hash_ == polled.hash != "" and state.live and not state.book.flags & _DOUBTED

    def _heard(self, recv_ns: int) -> None:
        shard = self.shard
        if not shard.alive:
            shard.alive, shard.connected_ns = 1, recv_ns
        shard.data_ns, shard.row_due = recv_ns, True

    def _miss(self, polled: _Polled, now_ns: int) -> None:
        """Lose a book that the venue has no more: the others' must not keep it fresh."""
        if not self._is_ours(polled):
            return
        self._cells.swept_failed.add(1)
        self._lose(polled, now_ns)

    def _lose_old(self, now_ns: int) -> None:
        """Lose the books that were read last too long ago."""
        reads, oldest_ns = self._reads, now_ns - self._params.sweep_age_ns_max
        while reads and reads[0][0] < oldest_ns:
            read_ns, polled = reads.popleft()
            if polled.read_ns == read_ns and self._is_ours(polled):
                self._cells.swept_late.add(1)
                self._lose(polled, now_ns)

    def _lose(self, polled: _Polled, now_ns: int) -> None:
        polled.hash = ""
        if polled.state.live:
            self._failed(polled.state, now_ns)

    def _is_ours(self, polled: _Polled) -> bool:
        state = polled.state
        return self.owns(state) and self.shard.markets.get(state.row) is state
