"""Polymarket market-channel feed: frames in, book rows and tops out.

Run by the feed process; sockets, REST and time are ports. One ladder a market is fed by both of
its tokens; a message publishes each market it touches once, after its last change. The row is
written before the stream, and only ``FeedOutputs`` writes either. Source: polymarket.md 8.

Hot path: ``on_frame`` with a plain price_change, compiled (_plain.pyx). Everything else is rare and
goes the Python way below, which takes plain frames too: it is what the compiled path is held to.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.directory import MarketDirectory
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import BookFlag, MarketStateReason, MarketStatus
from lowlat.core.ports import Clock
from lowlat.core.units import ONE_E4, parse_fixed
from lowlat.feeds._books import Books
from lowlat.feeds._counters import FaultNotes, PolymarketCells
from lowlat.feeds._plain import PlainFrames
from lowlat.feeds._prints import trade_digest
from lowlat.feeds._publish import FeedOutputs
from lowlat.feeds._resync import Resync
from lowlat.feeds._shard import Link, MarketState
from lowlat.feeds._shards import Shards
from lowlat.feeds._sweep import Sweep
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.feeds.ports import Connection, Counters, Dial, Fetch, FrameTape, Note
from lowlat.venues.polymarket.books import RestBook
from lowlat.venues.polymarket.market import (
    PONG,
    Book,
    Change,
    Event,
    LastTrade,
    MarketResolved,
    NewMarket,
    PriceChange,
    TickSizeChange,
    decode,
    event_ns,
)

__all__ = ["FeedOutputs", "PolymarketFeed"]

_DIVERGED: Final = int(BookFlag.DIVERGED)
_ACTION: Final = {"BUY": 0, "SELL": 1}


class PolymarketFeed:
    """Engine of one feed. Subscribes every market of the table that can still trade.

    ``pump`` is called at the end of each frame that was not a PONG: the fused topology runs the
    engines behind this one there. ``listed`` takes the condition id of a market that the venue
    announced or resolved, for the metadata engine.
    """

    name: Final = "polymarket"

    def __init__(
        self,
        params: PolymarketFeedParams,
        directory: MarketDirectory,
        outputs: FeedOutputs,
        dial: Dial,
        fetch: Fetch,
        clock: Clock,
        counters: Counters,
        note: Note,
        *,
        pump: Callable[[], None] | None = None,
        listed: Callable[[str], None] | None = None,
        tape: FrameTape | None = None,
    ) -> None:
        self._params = params
        self._directory = directory
        self._outputs = outputs
        self._now_ns = clock.monotonic_ns
        self._cells = PolymarketCells(counters)
        self._notes = FaultNotes(note)
        self._pump = pump
        self._listed = listed
        self._resync = Resync(params, self._cells, self._notes, fetch, self._on_rest_book)
        self._shards = Shards(params, outputs, self._cells, dial, self, self._resync)
        self._sweep = Sweep(
            params, outputs, self._cells, self._notes, fetch, self._on_rest_book, self._lose
        )
        self._books = Books(params, outputs, self._cells, self._shards, self._resync, self._sweep)
        self._resync.frozen = self._shards.freeze_found
        self._resync.missing = self._shards.renew
        self._links = self._shards.links
        self._tokens = self._books.tokens
        self._publish = self._books.publish
        self._check_due_ns = 0
        self._plain = PlainFrames(
            self._links,
            self._tokens,
            outputs.output,
            clock,
            tape.put if tape is not None else None,
            pump,
            self.on_other_frame,
            self._disagreed,
            self._publish,
        )
        self.on_frame: Final = self._plain.on_frame
        self._rare: dict[type, Callable[[Link, Event, int, int], None]] = {
            Book: self._on_book,
            LastTrade: self._on_trade,
            TickSizeChange: self._on_tick,
            MarketResolved: self._on_resolved,
            NewMarket: self._on_listing,
        }

    @property
    def ready(self) -> bool:
        """Whether every shard that has markets hears the venue."""
        return all(shard.alive for shard in self._shards.all if shard.markets)

    # ------------------------------------------------------------------ engine
    def start(self) -> None:
        """Declare everything stale and take the markets table."""
        self._outputs.start()
        now_ns = self._now_ns()
        for row in self._directory.start():
            self._books.follow(self._directory.instruments, row, now_ns)

    def turn(self, now_ns: int) -> int:
        """Follow the markets table; every ``check_ns`` ping, watch, resync and count."""
        changed = self._directory.poll()
        work = len(changed) + self._sweep.take()
        for row in changed:
            self._books.follow(self._directory.instruments, row, now_ns)
        if now_ns < self._check_due_ns:
            return work
        self._check_due_ns = now_ns + self._params.check_ns
        plain = self._plain
        self._cells.frames.add(plain.frames)
        self._cells.published.add(plain.published + self._books.published)
        plain.frames = plain.published = self._books.published = 0
        work += self._shards.flush(now_ns)
        work += self._shards.check(now_ns)
        return work + self._resync.turn(now_ns) + self._sweep.turn(now_ns)

    def close(self) -> None:
        """Close every socket."""
        self._shards.close(self._now_ns())

    # ------------------------------------------------------------------ listener
    def on_open(self, connection: Connection) -> None:
        """Subscribe the shard of this socket."""
        link = self._links[connection.number]
        if link.connection is connection:
            self._shards.opened(link, self._now_ns())

    def on_close(self, connection: Connection, reason: str) -> None:
        """Take the shard down with its last socket."""
        now_ns = self._now_ns()
        self._notes.add("socket closed", reason, now_ns)
        link = self._links[connection.number]
        if link.connection is connection:
            self._shards.closed(link, now_ns)

    def on_other_frame(
        self, connection: Connection, payload: bytes, is_text: bool, recv_ns: int
    ) -> None:
        """Do what ``on_frame`` does, for any frame: the compiled path takes only plain ones."""
        link = self._links[connection.number]
        if len(payload) == 4 and payload == PONG:
            link.pong_ns = recv_ns
            return
        if not is_text or link.connection is not connection or link.session is None:
            self._fault("unexpected frame", payload[:40], recv_ns)
            return
        link.data_ns = recv_ns
        link.frames += 1
        self._plain.frames += 1
        try:
            events = decode(payload)
        except RemoteProtocolError as error:
            self._fault("malformed frame", error, recv_ns)
            return
        decoded_ns = self._now_ns()
        for event in events:
            try:
                if link.shard.arrival is None or self._is_first(link, event):
                    if type(event) is PriceChange:
                        self._on_price_change(event, recv_ns, decoded_ns)
                    else:
                        self._on_rare(link, event, recv_ns, decoded_ns)
            except RemoteProtocolError as error:
                self._fault("malformed event", error, recv_ns)
        if self._pump is not None:
            self._pump()

    # ------------------------------------------------------------------ price changes
    def _on_price_change(
        self, event: PriceChange, recv_ns: int, decoded_ns: int, compare: bool = True
    ) -> None:
        """Apply every change, then settle each market after its last one.

        Without ``compare`` the touch of the (one) market is taken as agreeing.
        """
        at_ns = event.event_ns
        find = self._tokens.get
        state: MarketState | None = None
        touch: Change | None = None
        outcome = sides = 0
        ready = False
        for change in event.price_changes:
            found = find(change.asset_id)
            if found is None:
                self._cells.unknown_tokens.add(1)
                continue
            owner, side_of = found
            if owner is not state:
                if ready and state is not None:
                    self._settle(state, event, touch, outcome, sides, at_ns, recv_ns, decoded_ns)
                state, sides = owner, 0
                ready = owner.live and at_ns >= owner.book_event_ns
            if not ready:
                self._skip(owner, at_ns, recv_ns, decoded_ns)
                continue
            outcome, touch = side_of, change
            try:
                sides |= owner.book.change(
                    side_of, 0 if change.side == "BUY" else 1, change.price, change.size
                )
            except RemoteProtocolError as error:
                # The change is lost, so the ladder is wrong from here on, whatever its touch says.
                self._fault("bad level", error, recv_ns)
                owner.doubted = False
                self._books.diverge(owner, recv_ns)
                sides |= 3
        if ready and state is not None:
            if not compare:
                touch = None
            self._settle(state, event, touch, outcome, sides, at_ns, recv_ns, decoded_ns)

    def _settle(
        self,
        state: MarketState,
        event: PriceChange,
        touch: Change | None,
        outcome: int,
        sides: int,
        at_ns: int,
        recv_ns: int,
        decoded_ns: int,
    ) -> None:
        """Compare the touch after a message's last change of a market, then publish it once."""
        book = state.book
        state.event_ns = max(at_ns, state.event_ns)
        if state.asked:
            self._resync.hold(state, event, recv_ns)
        if touch is not None:
            try:
                agrees = book.touch_agrees(outcome, touch.best_bid, touch.best_ask)
            except RemoteProtocolError as error:
                self._fault("bad touch", error, recv_ns)
                agrees = False
            if not agrees:
                self._disagreed(state, sides, at_ns, recv_ns, decoded_ns)
                return
            if state.doubted and self._books.trust(state):
                sides |= 3
        if sides:
            self._publish(state, sides, at_ns, recv_ns, decoded_ns)

    def _disagreed(
        self, state: MarketState, sides: int, at_ns: int, recv_ns: int, decoded_ns: int
    ) -> None:
        """Publish a book whose touch is not the one that the venue states: doubt it."""
        if not state.book.flags & _DIVERGED:
            sides |= 3
            state.doubted = True
        self._books.diverge(state, recv_ns + self._params.burst_ns)
        if sides:
            self._publish(state, sides, at_ns, recv_ns, decoded_ns)

    def _skip(self, state: MarketState, at_ns: int, recv_ns: int, decoded_ns: int) -> None:
        """Count a change that came before the first book, or that the last book contains."""
        if not state.live:
            self._cells.early.add(1)
            return
        self._cells.outdated.add(1)
        if self._is_step(state, at_ns) and not state.book.flags & _DIVERGED:
            # No feed is that late: the venue's clock stepped, or the book's stamp was wrong.
            self._books.diverge(state, recv_ns)
            self._publish(state, 3, at_ns, recv_ns, decoded_ns)

    def _is_step(self, state: MarketState, at_ns: int) -> bool:
        return state.book_event_ns - at_ns > self._params.step_ns

    def _is_first(self, link: Link, event: Event) -> bool:
        """Tell a redundant socket's copy from news, and keep how far each socket has come."""
        arrival = link.shard.arrival
        assert arrival is not None, "only shards with several sockets have copies"
        if isinstance(event, PriceChange | Book):
            at_ns = event_ns(event.timestamp) if isinstance(event, Book) else event.event_ns
            link.event_ns = max(at_ns, link.event_ns)
            link.shard.event_ns = max(link.event_ns, link.shard.event_ns)
        if arrival.is_first(link.socket, hash(event)):
            return True
        if isinstance(event, Book):
            # A quiet market's dump says the same as the last one, and a new subscription needs it.
            found = self._tokens.get(event.asset_id)
            if found is not None and (not found[0].live or found[0].book.flags & _DIVERGED):
                return True
            link.dump_pending.discard(event.asset_id)
        self._cells.copies.add(1)
        return False

    # ------------------------------------------------------------------ rare events
    def _on_rare(self, link: Link, event: Event, recv_ns: int, decoded_ns: int) -> None:
        take = self._rare.get(type(event))
        if take is None:
            self._cells.ignored.add(1)
        else:
            take(link, event, recv_ns, decoded_ns)

    def _on_book(self, link: Link, event: Event, recv_ns: int, decoded_ns: int) -> None:
        assert isinstance(event, Book), "dispatched by type"
        at_ns = event_ns(event.timestamp)
        is_dump = event.asset_id in link.dump_pending
        link.dump_pending.discard(event.asset_id)
        found = self._found(event.asset_id)
        if found is None:
            return
        state, outcome = found
        healthy = state.live and not state.book.flags & _DIVERGED
        # A twin's initial dump may be older than what the first socket has already applied.
        if at_ns < state.book_event_ns or (is_dump and healthy and at_ns <= state.event_ns):
            self._cells.outdated.add(1)
            return
        self._books.load(state, outcome, event, at_ns, recv_ns, decoded_ns)

    def _lose(self, state: MarketState, now_ns: int) -> None:
        self._books.lose(state, now_ns)

    def _on_rest_book(self, state: MarketState, book: RestBook, recv_ns: int) -> None:
        """Load a REST book and apply again what arrived while it was under way."""
        at_ns = event_ns(book.timestamp)
        held = [event for event in state.held if event.event_ns >= at_ns]
        state.held.clear()
        stepped = self._is_step(state, at_ns)
        if state.shard.alive == 0 or (at_ns < state.book_event_ns and not stepped):
            return
        if stepped:
            state.event_ns = at_ns
        try:
            self._books.load(state, 0, book, at_ns, recv_ns, recv_ns)
        except RemoteProtocolError as error:
            self._cells.resyncs_failed.add(1)
            self._fault("book answer", error, recv_ns)
            return
        for event in held:
            # The touches they name are of moments that the book may be past: only the last counts.
            self._on_price_change(event, recv_ns, recv_ns, compare=event is held[-1])

    def _on_trade(self, _link: Link, event: Event, recv_ns: int, _decoded_ns: int) -> None:
        assert isinstance(event, LastTrade), "dispatched by type"
        at_ns = event_ns(event.timestamp)
        price_e4, size_e6 = parse_fixed(event.price, 4), parse_fixed(event.size, 6)
        if not 0 < price_e4 < ONE_E4 or size_e6 <= 0:
            raise RemoteProtocolError(f"trade at {event.price[:20]!r} of {event.size[:20]!r}")
        found = self._found(event.asset_id)
        if found is None:
            return
        state, outcome = found
        # The next image of the book carries it, in YES terms as the whole row.
        state.book.last_trade_price_e4 = ONE_E4 - price_e4 if outcome else price_e4
        self._outputs.trade(
            trade_digest(event),
            at_ns,
            recv_ns,
            price_e4,
            size_e6,
            2 * state.row + outcome,
            state.book.generation,
            _ACTION[event.side],
        )
        self._cells.trades.add(1)

    def _on_tick(self, _link: Link, event: Event, recv_ns: int, decoded_ns: int) -> None:
        """Drop the book when the grid changed; equal ticks occur and mean nothing."""
        assert isinstance(event, TickSizeChange), "dispatched by type"
        at_ns = event_ns(event.timestamp)
        tick_e4 = parse_fixed(event.new_tick_size, 4)
        found = self._found(event.asset_id)
        if found is None or tick_e4 == found[0].book.tick_e4:
            return
        state = found[0]
        self._books.set_tick(state, tick_e4, at_ns, recv_ns)
        state.live = False
        state.book.clear()
        self._resync.cancel(state)
        self._resync.schedule(state, recv_ns + self._params.resync_ns_min)
        self._publish(state, 3, at_ns, recv_ns, decoded_ns)

    def _on_resolved(self, _link: Link, event: Event, recv_ns: int, decoded_ns: int) -> None:
        assert isinstance(event, MarketResolved), "dispatched by type"
        at_ns = event_ns(event.timestamp)
        found = next(filter(None, map(self._tokens.get, event.assets_ids)), None)
        if found is None:
            self._cells.ignored.add(1)
            return
        state = found[0]
        self._cells.resolved.add(1)
        self._books.retire(state, at_ns, recv_ns, decoded_ns)
        self._outputs.market_state(
            state, MarketStateReason.RESOLVED, MarketStatus.RESOLVED, at_ns, recv_ns
        )
        if self._listed is not None:
            self._listed(event.market)

    def _on_listing(self, _link: Link, event: Event, _recv_ns: int, _decoded_ns: int) -> None:
        assert isinstance(event, NewMarket), "dispatched by type"
        self._cells.listings.add(1)
        if self._listed is not None:
            self._listed(event.market)

    def _found(self, token: str) -> tuple[MarketState, int] | None:
        found = self._tokens.get(token)
        if found is None:
            self._cells.unknown_tokens.add(1)
        return found

    def _fault(self, kind: str, sample: object, now_ns: int) -> None:
        self._cells.malformed.add(1)
        self._notes.add(kind, sample, now_ns)
