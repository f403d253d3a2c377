"""Binance spot feed: bookTicker to the spot table and stream, trades, a depth book a coin.

Run by the Binance feed process; sockets, REST and time are ports. Any number of sockets may carry
the same streams: update and trade ids grow, so the first arrival wins without more ado, and a
socket is replaced (24 h limit, serverShutdown) by opening its successor first. While no socket
lives, or one is silent, the spot row says that there is no price. Source: feeds.md 1.
"""

from collections.abc import Callable
from typing import Final

from lowlat.book._ladder import ASK, BID
from lowlat.book.diff_book import DiffBook, DiffResult
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import SLOT_HEAD_BYTES, SPOT_TOP, TRADE, Coin, Venue, Writer, record_id
from lowlat.core.layout import Trade as TradeRecord
from lowlat.core.ports import Clock, StreamWriter, TableWriter
from lowlat.core.units import NO_PRICE_E8
from lowlat.feeds._counters import BinanceCells, FaultNotes
from lowlat.feeds._lead import LEVELS, Lead
from lowlat.feeds.params import BinanceFeedParams
from lowlat.feeds.ports import Connection, Counters, Dial, Fetch, FrameTape, Note
from lowlat.venues.binance.events import (
    SYMBOLS,
    Depth,
    Ignored,
    Reply,
    Shutdown,
    Top,
    Trade,
)
from lowlat.venues.binance.rest import decode_depth, depth_path
from lowlat.venues.binance.sbe import decode_sbe
from lowlat.venues.binance.stream import StreamCodec

__all__ = ["BinanceFeed"]

HTTP_OK: Final = 200
_BINANCE: Final = int(Venue.BINANCE)


class _Link:
    """One socket. ``leaving``: its successor is on the way."""

    __slots__ = ("connection", "data_ns", "leaving", "opened_ns")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.opened_ns = 0
        self.data_ns = 0
        self.leaving = False


class _CoinState:
    """What is known of one coin. Ids are those of the newest message taken."""

    __slots__ = (
        "asked",
        "book",
        "coin",
        "due_ns",
        "lead",
        "step_ns",
        "symbol",
        "trade_id",
        "update_id",
    )

    def __init__(self, coin: Coin) -> None:
        self.coin = coin
        self.symbol = SYMBOLS[coin]
        self.book = DiffBook()
        self.lead = Lead()
        self.update_id = 0
        self.trade_id = 0
        self.asked = False
        self.due_ns = 0
        self.step_ns = 0


class BinanceFeed:
    """Engine of the feed. ``dial(listener, number)`` opens a combined stream of all coins."""

    name: Final = "binance"

    def __init__(
        self,
        params: BinanceFeedParams,
        spot_table: TableWriter,
        spot: StreamWriter,
        trades: StreamWriter,
        dial: Dial,
        fetch: Fetch,
        clock: Clock,
        counters: Counters,
        note: Note,
        *,
        tape: FrameTape | None = None,
        pump: Callable[[], None] | None = None,
    ) -> None:
        """``pump`` is called behind each new top, as the market feed does behind its frames."""
        self._params = params
        self._table = spot_table
        self._spot = spot
        self._trades = trades
        self._dial = dial
        self._fetch = fetch
        self._now_ns = clock.monotonic_ns
        self._cells = BinanceCells(counters)
        self._notes = FaultNotes(note)
        self._tape = tape
        self._pump = pump
        self._codec = StreamCodec(params.time_unit)
        self._coins = {SYMBOLS[coin]: _CoinState(coin) for coin in params.coins}
        self._links: list[_Link] = []
        self._row = spot_table.buffer[SLOT_HEAD_BYTES:]
        self._slot = spot.buffer[SLOT_HEAD_BYTES : SPOT_TOP.size_bytes]
        self._pack = SPOT_TOP.codec.pack_into
        self._spot_ids = record_id(Writer.BINANCE, spot.epoch, 0)
        self._trade_ids = record_id(Writer.BINANCE, trades.epoch, 0)
        self._generation = 0
        self._check_due_ns = 0
        self._frames = 0

    @property
    def ready(self) -> bool:
        """Whether a socket is open."""
        return self._is_alive()

    def depth(self, coin: Coin) -> DiffBook:
        """Return the coin's depth book; ``live`` says whether it can be read."""
        return self._coins[SYMBOLS[coin]].book

    # ------------------------------------------------------------------ engine
    def start(self) -> None:
        """Say that nothing is known yet, then dial."""
        for state in self._coins.values():
            if self._table.read(state.coin) > 0:
                held = SPOT_TOP.unpack(self._table.buffer).connection_generation
                self._generation = max(self._generation, held)
        self._lose(self._now_ns())
        for _ in range(self._params.sockets):
            self._open_another()

    def turn(self, now_ns: int) -> int:
        """Watch the sockets and fetch snapshots, every ``check_ns``."""
        if now_ns < self._check_due_ns:
            return 0
        self._check_due_ns = now_ns + self._params.check_ns
        self._cells.frames.add(self._frames)
        self._frames = 0
        work = 0
        for link in self._links:
            work += self._check(link, now_ns)
        if self._params.depth and self._is_alive():
            for state in self._coins.values():
                if not state.book.live and not state.asked and now_ns >= state.due_ns:
                    work += self._ask_snapshot(state, now_ns)
        return work

    def close(self) -> None:
        """Close every socket and withdraw the prices."""
        for link in self._links:
            self._hang_up(link)
        self._lose(self._now_ns())

    # ------------------------------------------------------------------ sockets
    def _open_another(self) -> None:
        """Dial on the first free number."""
        free = (at for at, link in enumerate(self._links) if link.connection is None)
        number = next(free, len(self._links))
        if number == len(self._links):
            self._links.append(_Link())
        link = self._links[number]
        link.opened_ns = link.data_ns = 0
        link.leaving = False
        link.connection = self._dial(self, number)

    def _hang_up(self, link: _Link) -> None:
        connection, link.connection = link.connection, None
        link.opened_ns = 0
        if connection is not None:
            connection.close()

    def _is_alive(self) -> bool:
        return any(link.opened_ns for link in self._links)

    def _check(self, link: _Link, now_ns: int) -> int:
        if link.connection is None or not link.opened_ns:
            return 0
        if now_ns - max(link.data_ns, link.opened_ns) > self._params.silence_ns:
            self._cells.frozen.add(1)
            link.connection.reconnect("silent")
            return 1
        if now_ns - link.opened_ns > self._params.age_ns_max and not link.leaving:
            self._leave(link)
            return 1
        return 0

    def _leave(self, link: _Link) -> None:
        """Open the successor first; its first frame lets the old socket go."""
        link.leaving = True
        self._open_another()

    def on_open(self, connection: Connection) -> None:
        """Take note; the streams are named in the address, nothing is to be sent."""
        link = self._links[connection.number]
        if link.connection is connection:
            link.opened_ns = link.data_ns = self._now_ns()

    def on_close(self, connection: Connection, reason: str) -> None:
        """Withdraw the prices with the last socket."""
        now_ns = self._now_ns()
        self._notes.add("socket closed", reason, now_ns)
        link = self._links[connection.number]
        if link.connection is not connection:
            return
        self._cells.reconnects.add(1)
        link.opened_ns = 0
        if link.leaving:
            self._hang_up(link)
        if not self._is_alive():
            self._lose(now_ns)

    def on_frame(self, connection: Connection, payload: bytes, is_text: bool, recv_ns: int) -> None:
        """Decode, publish. Bad frames are counted and sampled, never raised."""
        link = self._links[connection.number]
        if self._tape is not None:
            self._tape.put(payload, recv_ns, connection.number, 0)
        if link.connection is not connection:
            return
        if link.data_ns == link.opened_ns:
            self._relieve(link)
        link.data_ns = recv_ns
        self._frames += 1
        try:
            has_top = self._take(link, payload, is_text, recv_ns)
        except RemoteProtocolError as error:
            self._cells.malformed.add(1)
            self._notes.add("malformed frame", error, recv_ns)
            return
        if has_top and self._pump is not None:
            self._pump()

    def _take(self, link: _Link, payload: bytes, is_text: bool, recv_ns: int) -> bool:
        """Take every event of a frame; return whether one was a top."""
        if is_text:
            event = self._codec.decode(payload)
            if type(event) is Top:
                self._on_top(event, recv_ns)
                return True
            self._on_rare(link, event, recv_ns)
            return False
        has_top = False
        for one in decode_sbe(payload):
            if type(one) is Top:
                self._on_top(one, recv_ns)
                has_top = True
            else:
                self._on_rare(link, one, recv_ns)
        return has_top

    def _relieve(self, successor: _Link) -> None:
        """Close one socket that was waiting for this one."""
        for link in self._links:
            if link.leaving and link is not successor:
                self._hang_up(link)
                return

    # ------------------------------------------------------------------ prices
    def _on_top(self, event: Top, recv_ns: int) -> None:
        state = self._coins.get(event.symbol)
        if state is None:
            self._cells.ignored.add(1)
            return
        if event.update_id <= state.update_id:
            self._cells.copies.add(1)
            return
        state.update_id = event.update_id
        self._publish(
            state.coin,
            event.update_id,
            event.event_ns or 0,
            recv_ns,
            event.bid_price_e8,
            event.bid_size_e8,
            event.ask_price_e8,
            event.ask_size_e8,
            state.lead.ppb,
        )
        book = state.book
        if book.live and book.update_id == event.update_id:
            self._compare(state, event, recv_ns)

    def _publish(
        self,
        coin: int,
        update_id: int,
        event_ns: int,
        recv_ns: int,
        bid_price_e8: int,
        bid_size_e8: int,
        ask_price_e8: int,
        ask_size_e8: int,
        lead_ppb: int,
    ) -> None:
        """Write the row, then the same bytes to the stream."""
        now_ns = self._now_ns()
        self._pack(
            self._row,
            0,
            self._spot_ids | self._spot.cursor,
            update_id,
            event_ns,
            recv_ns,
            now_ns,
            now_ns,
            bid_price_e8,
            bid_size_e8,
            ask_price_e8,
            ask_size_e8,
            coin,
            _BINANCE,
            self._generation,
            lead_ppb,
        )
        self._slot[:] = self._row
        self._table.write(coin)
        self._spot.publish(SPOT_TOP.kind)

    def _lose(self, now_ns: int) -> None:
        """Withdraw every price: a number without a live socket behind it is not a price."""
        self._generation = (self._generation + 1) & 0xFFFF_FFFF
        for state in self._coins.values():
            state.update_id = state.trade_id = 0
            state.book.restart()
            state.lead.restart()
            state.due_ns = state.step_ns = 0
            self._publish(state.coin, 0, 0, now_ns, NO_PRICE_E8, 0, NO_PRICE_E8, 0, 0)

    # ------------------------------------------------------------------ trades, depth
    def _on_rare(self, link: _Link, event: object, recv_ns: int) -> None:
        if type(event) is Trade:
            self._on_trade(event, recv_ns)
        elif type(event) is Depth:
            self._on_depth(event, recv_ns)
        elif type(event) is Shutdown:
            self._cells.shutdowns.add(1)
            if not link.leaving:
                self._leave(link)
        elif type(event) is Reply:
            if event.code is not None:
                self._notes.add("refused", f"{event.code} {event.message}", recv_ns)
        elif type(event) is Ignored:
            self._cells.ignored.add(1)

    def _on_trade(self, event: Trade, recv_ns: int) -> None:
        state = self._coins.get(event.symbol)
        if state is None:
            self._cells.ignored.add(1)
            return
        if event.trade_id <= state.trade_id:
            self._cells.copies.add(1)
            return
        if state.trade_id and event.trade_id != state.trade_id + 1:
            self._cells.trade_gaps.add(1)
        state.trade_id = event.trade_id
        state.lead.trade(event.size_e8, event.taker_side, recv_ns)
        record = TradeRecord(
            self._trade_ids | self._trades.cursor,
            event.trade_id,
            event.trade_ns,
            recv_ns,
            self._now_ns(),
            event.price_e8,
            event.size_e8,
            0,
            0,
            state.coin,
            _BINANCE,
            event.taker_side,
        )
        TRADE.pack(self._trades.buffer, record)
        self._trades.publish(TRADE.kind)

    def _on_depth(self, event: Depth, recv_ns: int) -> None:
        state = self._coins.get(event.symbol)
        if state is None or not self._params.depth:
            self._cells.ignored.add(1)
            return
        result = state.book.diff(event.first_id, event.last_id, event.bids, event.asks)
        if result is DiffResult.APPLIED:
            bids, asks = (state.book.ladder.levels(side, LEVELS) for side in (BID, ASK))
            state.lead.depth([size for _, size in bids], [size for _, size in asks], recv_ns)
        elif result is DiffResult.GAP:
            self._cells.depth_gaps.add(1)
            self._notes.add("depth gap", f"{event.symbol} U={event.first_id}", recv_ns)

    def _compare(self, state: _CoinState, event: Top, recv_ns: int) -> None:
        """Check the depth book: at the same update id its touch must be the ticker's."""
        ladder = state.book.ladder
        if (ladder.best(0), ladder.best(1)) != (event.bid_price_e8, event.ask_price_e8):
            self._cells.depth_mismatches.add(1)
            self._notes.add("depth differs from ticker", event.symbol, recv_ns)
            state.book.restart()

    def _ask_snapshot(self, state: _CoinState, now_ns: int) -> int:
        params = self._params
        step_ns = state.step_ns or params.snapshot_ns_min
        state.due_ns = now_ns + step_ns
        state.step_ns = min(2 * step_ns, params.snapshot_ns_max)
        generation = self._generation

        def done(status: int, body: bytes, recv_ns: int) -> None:
            state.asked = False
            if generation == self._generation:
                self._on_snapshot(state, status, body, recv_ns)

        state.asked = self._fetch(depth_path(state.symbol, params.depth_levels), done)
        return int(state.asked)

    def _on_snapshot(self, state: _CoinState, status: int, body: bytes, recv_ns: int) -> None:
        if status != HTTP_OK:
            self._cells.snapshots_failed.add(1)
            self._notes.add("snapshot failed", f"{state.symbol} status {status}", recv_ns)
            return
        try:
            snapshot = decode_depth(body, state.symbol)
            if state.book.snapshot(snapshot.last_id, snapshot.bids, snapshot.asks):
                state.step_ns = 0
        except RemoteProtocolError as error:
            self._cells.snapshots_failed.add(1)
            self._notes.add("snapshot", error, recv_ns)
