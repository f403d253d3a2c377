"""Fetch whole books by REST: after a divergence, when a socket stays silent, for a freeze probe.

Used by the Polymarket feed only. Questions are bounded in number and repeated with a doubling
delay; changes that arrive while one is under way are held and applied again on top of its answer.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.feeds._counters import FaultNotes, PolymarketCells
from lowlat.feeds._shard import MarketState, Shard
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.feeds.ports import Fetch
from lowlat.venues.polymarket.books import RestBook, decode_book
from lowlat.venues.polymarket.market import PriceChange, event_ns

__all__ = ["Resync"]

HTTP_OK: Final = 200


class Resync:
    """Questions for whole books. ``loaded(state, book, recv_ns)`` takes a good answer."""

    def __init__(
        self,
        params: PolymarketFeedParams,
        cells: PolymarketCells,
        notes: FaultNotes,
        fetch: Fetch,
        loaded: Callable[[MarketState, RestBook, int], None],
    ) -> None:
        self.frozen: Callable[[Shard], None] | None = None
        """Told of a shard whose sockets missed what REST knows."""
        self.missing: Callable[[MarketState], None] | None = None
        """Told of a market whose subscription brought no book."""
        self._params = params
        self._cells = cells
        self._notes = notes
        self._fetch = fetch
        self._loaded = loaded
        self._waiting: dict[int, MarketState] = {}
        self._asked_count = 0
        self._number = 0

    def schedule(self, state: MarketState, due_ns: int) -> None:
        """Ask for a market's book at due_ns unless an earlier question stands."""
        if state.asked or (state.due_ns and state.due_ns <= due_ns):
            return
        state.due_ns = due_ns
        state.step_ns = state.step_ns or self._params.resync_ns_min
        self._waiting[state.row] = state

    def cancel(self, state: MarketState) -> None:
        """Want no book any more: one came, or the market or its shard is gone."""
        if state.asked:
            state.asked = 0
            self._asked_count -= 1
        state.due_ns = 0
        state.step_ns = 0
        state.held.clear()
        self._waiting.pop(state.row, None)

    def hold(self, state: MarketState, event: PriceChange, now_ns: int) -> None:
        """Keep a change that the answer under way may not contain."""
        if len(state.held) < self._params.resync_buffer_max:
            state.held.append(event)
            return
        # The answer would be too old to be brought up to date: ask again.
        self.cancel(state)
        self.schedule(state, now_ns + self._params.resync_ns_min)

    def turn(self, now_ns: int) -> int:
        """Ask what is due, within the limit of questions under way."""
        if not self._waiting:
            return 0
        asked = 0
        for state in list(self._waiting.values()):
            if self._asked_count >= self._params.resyncs_in_flight_max:
                break
            if state.due_ns <= now_ns and not state.asked:
                self._ask(state, now_ns)
                asked += 1
        return asked

    def _ask(self, state: MarketState, now_ns: int) -> None:
        if not state.live and self.missing is not None:
            self.missing(state)
        self._number += 1
        number = self._number

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._answered(state, number, status, body, recv_ns)

        state.due_ns = now_ns + state.step_ns
        state.step_ns = min(2 * state.step_ns, self._params.resync_ns_max)
        state.held.clear()
        if self._fetch(f"/book?token_id={state.tokens[0]}", done):
            state.asked = number
            self._asked_count += 1
            self._cells.resyncs.add(1)

    def _answered(
        self, state: MarketState, number: int, status: int, body: bytes, recv_ns: int
    ) -> None:
        if state.asked != number:
            return
        state.asked = 0
        self._asked_count -= 1
        book = self._book(status, body, state.tokens[0], recv_ns)
        if book is None:
            state.held.clear()
            return
        self._loaded(state, book, recv_ns)

    def probe(self, shard: Shard) -> None:
        """Ask REST whether a silent shard's most active market has news it did not deliver."""
        live = [state for state in shard.markets.values() if state.live]
        if not live:
            return
        state = max(live, key=lambda one: one.event_ns)
        generation = shard.generation

        def done(status: int, body: bytes, recv_ns: int) -> None:
            shard.probing = False
            book = self._book(status, body, state.tokens[0], recv_ns)
            if book is None or shard.generation != generation:
                return
            newer_ns = event_ns(book.timestamp) - state.event_ns
            if newer_ns > self._params.probe_slack_ns and self.frozen is not None:
                self.frozen(shard)

        shard.probing = self._fetch(f"/book?token_id={state.tokens[0]}", done)
        self._cells.probes.add(1)

    def _book(self, status: int, body: bytes, token: str, recv_ns: int) -> RestBook | None:
        if status != HTTP_OK:
            self._cells.resyncs_failed.add(1)
            self._notes.add("book request failed", f"status {status} token {token}", recv_ns)
            return None
        try:
            book = decode_book(body)
            event_ns(book.timestamp)
        except RemoteProtocolError as error:
            self._cells.resyncs_failed.add(1)
            self._notes.add("book answer", error, recv_ns)
            return None
        if book.asset_id != token:
            self._cells.resyncs_failed.add(1)
            self._notes.add("book answer", f"of {book.asset_id[:80]}, asked {token}", recv_ns)
            return None
        return book
