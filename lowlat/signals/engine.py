"""Call the signal modules: market, spot and settlement records in, signals out.

Run by the signals process, or fused behind the feed. Per turn: metadata, settlement prints, spot,
then each market whose book changed, once, from its newest table row (so a backlog conflates by
itself and a size always comes from the newest book). Never waits: signals that risk is too slow
for are dropped and counted.
"""

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from lowlat.book._view import BookView
from lowlat.core.directory import MarketDirectory
from lowlat.core.freshness import Shards
from lowlat.core.layout import (
    BOOK_ROW,
    BOOK_TOP,
    MARKET_STATE,
    SETTLE,
    SLOT_HEAD_BYTES,
    SPOT_TOP,
    TURN,
    BookFlag,
    MarketRow,
    Settle,
    SpotTop,
    Writer,
)
from lowlat.core.ports import (
    EMPTY,
    OVERRUN,
    READ_BUSY,
    READ_NEVER,
    Cell,
    Clock,
    Recorder,
    StreamReader,
    StreamWriter,
    TableReader,
)
from lowlat.core.signal import Signal
from lowlat.signals._emit import RowCopier
from lowlat.signals.emit import Emitter, Source
from lowlat.signals.module import Mode, Module

__all__ = ["EngineParams", "SignalsEngine", "SignalsPorts"]

_S_NS: Final = 1_000_000_000
_TOP_KIND: Final = BOOK_TOP.kind
_STATE_KIND: Final = MARKET_STATE.kind
_MARKET_AT: Final = int(BOOK_TOP.dtype.fields["market"][1])  # type: ignore[index]
_U32: Final = struct.Struct("<I")
_STALE: Final = int(BookFlag.STALE)
_WRITER: Final = int(Writer.SIGNALS)
_TURN_KIND: Final = TURN.kind
_HISTORY: Final = 180
"""Prints kept a series: two snapshots of the price sockets (feeds.md 3.5)."""
_BLOCK_ROWS: Final = 64


class EngineParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a turn and of freshness."""

    records_a_turn: int = 256
    shard_silent_ns_max: int = 15 * _S_NS
    """A shard that received nothing for so long is not alive, whatever its row says."""


class SignalsPorts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine touches. ``cell`` and ``recorder`` name metrics."""

    market: StreamReader
    metadata: StreamReader
    spot: StreamReader
    settle: StreamReader
    books: TableReader
    shards: TableReader
    markets: TableReader
    spots: TableReader
    signals: StreamWriter
    turns: StreamWriter
    clock: Clock
    cell: Callable[[str], Cell]
    recorder: Callable[[str], Recorder]


class _Seat:
    """A module at work: which callbacks it overrides, in which mode."""

    __slots__ = ("markets", "mode", "module", "on_settle", "on_spot", "on_turn")

    def __init__(self, module: Module, mode: int) -> None:
        kind = type(module)
        self.module = module
        self.mode = mode
        self.markets: dict[int, int] = {}
        """Interesting markets and the generation it was told of."""
        self.on_spot = kind.on_spot is not Module.on_spot
        self.on_settle = kind.on_settle is not Module.on_settle
        self.on_turn = kind.on_turn is not Module.on_turn


class _Slot:
    """One interesting market: our copy of its row, the view over it, and who wants it."""

    __slots__ = ("buffer", "generation", "seats", "version", "view")

    def __init__(self, generation: int, buffer: memoryview) -> None:
        self.buffer = buffer
        self.view = BookView(self.buffer)
        self.version = 0
        self.generation = generation
        self.seats: tuple[_Seat, ...] = ()


class SignalsEngine:
    """Turns market records into signals. ``turn`` costs 0.2 us idle."""

    name = "signals"

    def __init__(
        self, modules: Sequence[tuple[Module, Mode]], ports: SignalsPorts, params: EngineParams
    ) -> None:
        self._ports = ports
        self._params = params
        self._directory = MarketDirectory(ports.markets, ports.metadata)
        self.instruments = self._directory.instruments
        self._clock = ports.clock
        self._shards = Shards(ports.shards, params.shard_silent_ns_max)
        self._slots: dict[int, _Slot] = {}
        self._spare: list[memoryview] = []
        self._spots: dict[int, SpotTop] = {}
        self._prints: dict[tuple[int, int], deque[Settle]] = {}
        self._dirty: dict[int, None] = {}
        self._offset_ns = 0
        self._second_ns = 0
        self._now_ns = 0
        self._turns = 0
        self.errors: dict[str, str] = {}
        """Modules that raised, by name, with what; they are off until the next start."""
        cell = ports.cell
        self._cell = cell
        self._counters: dict[str, Cell] = {}
        self._conflated = cell("signals.conflated")
        self._stale = cell("signals.stale_book")
        self._busy = cell("signals.book_busy")
        self._overruns = cell("signals.overruns")
        self._failures = cell("signals.module_failures")
        self._prints_twice = cell("signals.settle_repeated")
        self._emitter = Emitter(
            ports.signals, self.instruments, ports.clock, cell, ports.recorder("signals.decide_ns")
        )
        self._seats = [_Seat(module, mode) for module, mode in modules if mode is not Mode.OFF]
        for seat in self._seats:
            seat.module.ctx = self
        self._seat: _Seat | None = None
        self._pack_turn = TURN.codec.pack_into
        self._turn_due = False
        self._poll_metadata = self._directory.poll_metadata
        self._rows_due = self._directory.due
        self._read_book = ports.books.read
        self._copy_to = RowCopier(ports.books.buffer).copy_to
        self._poll_market = ports.market.poll
        self._poll_spot = ports.spot.poll
        self._poll_settle = ports.settle.poll
        self._bind()

    def _bind(self) -> None:
        """Keep who overrides what as tuples: a callback nobody has costs nothing."""
        self._spot_seats = tuple(seat for seat in self._seats if seat.on_spot)
        self._settle_seats = tuple(seat for seat in self._seats if seat.on_settle)
        self._turn_seats = tuple(seat for seat in self._seats if seat.on_turn)

    # ------------------------------------------------------------------------------- engine
    def start(self) -> None:
        """Read every table; streams go on from where their readers stand."""
        self._now_ns = self._clock.monotonic_ns()
        self._offset_ns = self._clock.wall_ns() - self._now_ns
        self._second_ns = self._now_ns
        for row in self._directory.start():
            self._take_market(row)
        self._sweep_spots()
        self._dirty.update(dict.fromkeys(self._slots))
        self._drain(self._now_ns)

    def turn(self, now_ns: int) -> int:
        """Take what is new, call who is interested; return how much was done."""
        done = self.advance(now_ns)
        if self._turn_due:
            self.settle()
        return done

    def advance(self, now_ns: int) -> int:
        """Do what ``turn`` does but for its record, so that orders need not wait for that.

        ``settle`` writes it, before the next input is taken.
        """
        if self._turn_due:
            self.settle()
        self._now_ns = now_ns
        done = 0
        if now_ns - self._second_ns >= _S_NS:
            self._second_ns = now_ns
            self._offset_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
            done = 1
        kind = self._poll_metadata()
        if kind or self._rows_due:
            done += self._take_rows(kind)
        kind = self._poll_settle()
        if kind:
            done += self._take_settles(kind, now_ns)
        kind = self._poll_spot()
        if kind:
            done += self._take_spots(kind, now_ns)
        kind = self._poll_market()
        if kind:
            done += self._take_markets(kind)
        if not done and not self._dirty:
            return 0
        if self._dirty:
            self._drain(now_ns)
        for seat in self._turn_seats:
            self._call(seat, seat.module.on_turn, now_ns)
        self._turn_due = True
        return done

    def settle(self) -> None:
        """Write the record of the last turn, if there is one to write."""
        if self._turn_due:
            self._turn_due = False
            self._record_turn(self._now_ns)

    def interesting(self) -> list[MarketRow]:
        """Return the rows of the markets that a module looks at."""
        markets = self.instruments.markets
        return [markets[market] for market in self._slots if market in markets]

    def close(self) -> None:
        """Nothing to publish: signals are wishes, not state."""

    # ------------------------------------------------------------------------------- context
    def book(self, market: int) -> BookView | None:
        """Return a market's newest fresh book, or None (see Context.book)."""
        slot = self._slots.get(market)
        if slot is None or not self._load(market, slot):
            return None
        view = slot.view
        if view.generation != slot.generation or not self._is_fresh(view):
            return None
        return view

    def spot(self, coin: int) -> SpotTop | None:
        """Return the newest exchange touch of a coin."""
        return self._spots.get(coin)

    def settle_history(self, coin: int, series: int) -> Sequence[Settle]:
        """Return the last prints of a settlement series, oldest first."""
        return self._prints.get((coin, series), ())

    def wall_ns(self, now_ns: int) -> int:
        """Return the venue's time at a monotonic time."""
        return now_ns + self._offset_ns

    def next_group(self) -> int:
        """Return a fresh name for a group of legs."""
        return self._emitter.next_id()

    def emit(self, signal: Signal) -> bool:
        """Publish a signal (see Context.emit)."""
        return self._emitter.emit(signal)

    def emit_group(self, legs: Sequence[Signal]) -> bool:
        """Publish all legs of a group or none of them."""
        return self._emitter.emit_group(legs)

    def count(self, name: str) -> None:
        """Add one to a counter of the module that is being called."""
        assert self._seat is not None, "a module counted outside a callback"
        full = f"signals.{self._seat.module.name}.{name}"
        counter = self._counters.get(full)
        if counter is None:
            counter = self._counters[full] = self._cell(full)
        counter.add(1)

    # ------------------------------------------------------------------------------- inputs
    def _take_rows(self, kind: int) -> int:
        rows = self._directory.take(kind)
        for row in rows:
            self._take_market(row)
        return len(rows)

    def _take_market(self, row: MarketRow) -> None:
        """Ask every module again whether it wants the market, and tell it the row."""
        market = row.market
        slot = self._slots.get(market)
        if slot is not None and slot.generation != row.generation:
            for seat in slot.seats:
                self._drop_interest(seat, market)
            slot = None
        wanted: list[_Seat] = []
        for seat in self._seats:
            if self._call(seat, seat.module.interest, row):
                wanted.append(seat)
                seat.markets[market] = row.generation
                self._call(seat, seat.module.on_market, row)
            elif market in seat.markets:
                self._drop_interest(seat, market)
        readers = tuple(seat for seat in wanted if seat in self._seats)
        if not readers:
            if slot is not None:
                del self._slots[market]
                self._spare.append(slot.buffer)
            self._dirty.pop(market, None)
            return
        if slot is None:
            slot = self._slots[market] = _Slot(row.generation, self._row_buffer())
        slot.seats = readers
        # A new rule, tick or start price can make a standing book worth a signal.
        slot.version = 0
        self._dirty[market] = None

    def _row_buffer(self) -> memoryview:
        """Return room for a row, zeroed. Cut from blocks: one buffer each costs 200 bytes more."""
        size = BOOK_ROW.size_bytes
        if not self._spare:
            block = memoryview(bytearray(_BLOCK_ROWS * size))
            self._spare = [block[at : at + size] for at in range(0, len(block), size)]
        buffer = self._spare.pop()
        buffer[:] = bytes(size)
        return buffer

    def _drop_interest(self, seat: _Seat, market: int) -> None:
        if seat.markets.pop(market, None) is not None:
            self._call(seat, seat.module.on_gone, market)

    def _take_settles(self, kind: int, now_ns: int) -> int:
        reader = self._ports.settle
        done = 0
        while kind != EMPTY:
            done += 1
            if kind == OVERRUN:
                self._overruns.add(1)
            elif kind == SETTLE.kind:
                self._take_print(SETTLE.unpack(reader.buffer), now_ns)
            if done == self._params.records_a_turn:
                break
            kind = reader.poll()
        return done

    def _take_print(self, print_: Settle, now_ns: int) -> None:
        """Keep a print in order of its stamp; tell modules of each stamp once."""
        key = (print_.coin, print_.series)
        history = self._prints.get(key)
        if history is None:
            history = self._prints[key] = deque(maxlen=_HISTORY)
        stamp_ns = print_.stamp_ns
        if not history or stamp_ns > history[-1].stamp_ns:
            history.append(print_)
        elif any(known.stamp_ns == stamp_ns for known in history):
            self._prints_twice.add(1)
            return
        else:
            ordered = sorted((*history, print_), key=_stamp)
            history.clear()
            history.extend(ordered)
        source = _Source(
            print_.id, print_.event_ns, print_.recv_ns, print_.recv_ns, print_.published_ns
        )
        for seat in self._settle_seats:
            self._call(seat, seat.module.on_settle, print_, now_ns, source=source)

    def _take_spots(self, kind: int, now_ns: int) -> int:
        """Take every spot record but tell only the newest of each coin: older ones are gone."""
        reader = self._ports.spot
        done = 0
        changed: dict[int, SpotTop] = {}
        while kind != EMPTY:
            done += 1
            if kind == OVERRUN:
                self._overruns.add(1)
                self._sweep_spots(changed)
            elif kind == SPOT_TOP.kind:
                top = SPOT_TOP.unpack(reader.buffer)
                changed[top.coin] = top
            if done == self._params.records_a_turn:
                break
            kind = reader.poll()
        for top in changed.values():
            self._spots[top.coin] = top
            for seat in self._spot_seats:
                self._call(seat, seat.module.on_spot, top, now_ns, source=top)
        return done

    def _sweep_spots(self, changed: dict[int, SpotTop] | None = None) -> None:
        table = self._ports.spots
        for row in range(table.rows):
            version = table.read(row)
            if version in (READ_NEVER, READ_BUSY):
                continue
            top = SPOT_TOP.unpack(table.buffer)
            if changed is None:
                self._spots[top.coin] = top
            else:
                changed[top.coin] = top

    def _take_markets(self, kind: int) -> int:
        """Note which interesting books changed; the books themselves come from the table."""
        reader = self._ports.market
        poll = self._poll_market
        done = 0
        dirty = self._dirty
        slots = self._slots
        buffer = reader.buffer
        unpack_market = _U32.unpack_from
        most = self._params.records_a_turn
        while kind != EMPTY:
            done += 1
            if kind == _TOP_KIND:
                (market,) = unpack_market(buffer, _MARKET_AT)
                if market in slots:
                    if market in dirty:
                        self._conflated.add(1)
                    else:
                        dirty[market] = None
            elif kind == OVERRUN:
                self._overruns.add(1)
                self._sweep_books()
            elif kind == _STATE_KIND:
                self._directory.touch(MARKET_STATE.unpack(buffer).market)
            if done == most:
                break
            kind = poll()
        return done

    def _sweep_books(self) -> None:
        """After an overrun of state: every row whose version word moved is new."""
        version = self._ports.books.version
        for market, slot in self._slots.items():
            if version(market) != slot.version:
                self._dirty[market] = None

    # ------------------------------------------------------------------------------- books
    def _drain(self, now_ns: int) -> None:
        """Show each changed book to whoever wants it, once."""
        slots = self._slots
        emitter = self._emitter
        read = self._read_book
        copy_to = self._copy_to
        is_fresh = self._shards.is_fresh
        dirty = self._dirty
        self._dirty = {}
        for market in dirty:
            slot = slots.get(market)
            if slot is None:
                continue
            version = read(market)
            if version <= 0:
                self._unread(market, version)
                continue
            if version == slot.version:
                continue
            slot.version = version
            view = slot.view
            copy_to(view)
            if (
                view.generation != slot.generation
                or view.flags & _STALE
                or not is_fresh(view.shard, view.connection_generation, now_ns)
            ):
                self._stale.add(1)
                continue
            emitter.source = view
            for seat in slot.seats:
                emitter.mode = seat.mode
                self._seat = seat
                try:
                    seat.module.on_book(view, now_ns)
                except Exception as error:  # noqa: BLE001  foreign code: contained here
                    self._switch_off(seat, error)

    def _load(self, market: int, slot: _Slot) -> bool:
        """Bring our copy up to the table's newest version; False while there is none."""
        books = self._ports.books
        if slot.version and books.version(market) == slot.version:
            return True
        version = books.read(market)
        if version <= 0:
            self._unread(market, version)
            return False
        self._copy_to(slot.view)
        slot.version = version
        return True

    def _unread(self, market: int, version: int) -> None:
        """Come back to a row whose writer was faster than every retry."""
        if version == READ_BUSY:
            self._busy.add(1)
            self._dirty[market] = None

    def _is_fresh(self, view: BookView) -> bool:
        return not view.flags & _STALE and self._shards.is_fresh(
            view.shard, view.connection_generation, self._now_ns
        )

    # ------------------------------------------------------------------------------- calls
    def _call(
        self,
        seat: _Seat,
        callback: Callable[..., object],
        *arguments: object,
        source: Source | None = None,
    ) -> object:
        """Call a module; one that raises is switched off, counted and named, the rest go on."""
        emitter = self._emitter
        emitter.source = source if source is not None else self._idle_source()
        emitter.mode = seat.mode
        self._seat = seat
        try:
            return callback(*arguments)
        except Exception as error:  # noqa: BLE001  foreign code: contained here
            self._switch_off(seat, error)
            return None

    def _idle_source(self) -> Source:
        return _Source(0, 0, self._now_ns, self._now_ns, self._now_ns)

    def _switch_off(self, seat: _Seat, error: Exception) -> None:
        self.errors[seat.module.name] = f"{type(error).__name__}: {error}"
        self._failures.add(1)
        self._seats = [other for other in self._seats if other is not seat]
        self._bind()
        for slot in self._slots.values():
            slot.seats = tuple(other for other in slot.seats if other is not seat)

    def _record_turn(self, now_ns: int) -> None:
        """Say which inputs this turn had taken, so that a capture replays."""
        ports = self._ports
        turns = ports.turns
        self._pack_turn(
            turns.buffer,
            SLOT_HEAD_BYTES,
            self._emitter.next_id(),
            now_ns,
            ports.market.position,
            ports.spot.position,
            ports.settle.position,
            self._directory.position,
            0,
            self._offset_ns,
            _WRITER,
        )
        turns.publish(_TURN_KIND)


class _Source(msgspec.Struct, frozen=True, gc=False):
    id: int
    event_ns: int
    recv_ns: int
    decoded_ns: int
    published_ns: int


def _stamp(print_: Settle) -> int:
    return print_.stamp_ns
