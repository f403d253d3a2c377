"""Call the signal modules: market, spot and settlement records in, signals out.

Run by the signals process, or fused behind the feed. Per turn: metadata, settlement prints, spot,
then each market whose book changed, once, from its newest table row (so a backlog conflates by
itself and a size always comes from the newest book). Never waits: signals that risk is too slow
for are dropped and counted. Turns and books are ``_path.BookPath``, compiled; this is the rest.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from lowlat.book._view import BookView
from lowlat.core.directory import MarketDirectory
from lowlat.core.freshness import Shards
from lowlat.core.interest import Interest
from lowlat.core.layout import SETTLE, SPOT_TOP, MarketRow, Settle, SpotTop
from lowlat.core.ports import (
    EMPTY,
    OVERRUN,
    Cell,
    Clock,
    Recorder,
    StreamReader,
    StreamWriter,
    TableReader,
)
from lowlat.core.signal import Signal
from lowlat.signals._look import Look, PythonLook, PythonSpotLook, SpotLook
from lowlat.signals._path import BookPath
from lowlat.signals.emit import Emitter, Source
from lowlat.signals.module import Mode, Module
from lowlat.signals.own import OwnOrder, OwnOrders
from lowlat.signals.params import EngineParams

__all__ = ["SignalsEngine", "SignalsPorts"]

_Answer = TypeVar("_Answer")
NEVER_NS: Final = 2**63 - 1
_HISTORY: Final = 180
"""Prints kept a series: two snapshots of the price sockets (feeds.md 3.5)."""


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
    reports: StreamReader
    orders: TableReader
    positions: TableReader
    signals: StreamWriter
    turns: StreamWriter
    clock: Clock
    cell: Callable[[str], Cell]
    recorder: Callable[[str], Recorder]


class _Seat:
    """A module at work: which callbacks it overrides, in which mode."""

    __slots__ = (
        "markets",
        "mode",
        "module",
        "name",
        "on_book",
        "on_order",
        "on_settle",
        "on_spot",
        "on_turn",
        "turn_due_ns",
    )

    def __init__(self, module: Module) -> None:
        kind = type(module)
        self.module = module
        self.name = module.name.encode().ljust(16, b"\0")
        self.mode = Mode.OFF
        self.turn_due_ns = 0
        self.markets: dict[int, int] = {}
        """Interesting markets and the generation it was told of."""
        self.on_settle = kind.on_settle is not Module.on_settle
        self.on_turn = kind.on_turn is not Module.on_turn
        self.on_order = kind.on_order is not Module.on_order
        self.on_book: Look | None = None
        """Calls the module's on_book, whatever the market; None when it has none."""
        if kind.on_book is not Module.on_book:
            self.on_book = PythonLook(module.on_book)
        self.on_spot: SpotLook | None = None
        """The module's look at exchange prices, or what calls its on_spot."""
        if kind.look_at_spot is not Module.look_at_spot:
            self.on_spot = module.look_at_spot()
        elif kind.on_spot is not Module.on_spot:
            self.on_spot = PythonSpotLook(module.on_spot)

    def set_mode(self, mode: Mode) -> None:
        """Say how far the module's signals go; its looks learn it when they are next bound."""
        self.mode = mode
        for look in (self.on_book, self.on_spot):
            if look is not None:
                look.bind(self, mode)


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
        self.rows_due = self._directory.due
        """Rows to look at again, which the path sees."""
        self.touch = self._directory.touch
        self._clock = ports.clock
        self._prints: dict[tuple[int, int], deque[Settle]] = {}
        self.errors: dict[str, str] = {}
        """Modules that raised, by name, with what; they are off until the next start."""
        cell = ports.cell
        self._cell = cell
        self._counters: dict[str, Cell] = {}
        self._overruns = cell("signals.overruns")
        self._failures = cell("signals.module_failures")
        self._prints_twice = cell("signals.settle_repeated")
        self._emitter = Emitter(
            ports.signals, self.instruments, ports.clock, cell, ports.recorder("signals.decide_ns")
        )
        self._outlet = self._emitter.outlet
        self.path = BookPath(
            ports,
            self._outlet,
            Shards(ports.shards, params.shard_silent_ns_max),
            self,
            params.records_a_turn,
        )
        # The order path takes these: no Python frame before the first look.
        self.turn: Callable[[int], int] = self.path.turn
        """Take what is new, call who is interested; return how much was done."""
        self.advance: Callable[[int], int] = self.path.advance
        """Do what ``turn`` does but for its record, so that orders need not wait for that."""
        self.settle: Callable[[], None] = self.path.settle
        """Write the record of the last turn; the next advance does so too, before its input."""
        self._own = OwnOrders(
            ports.reports, ports.orders, ports.positions, self._tell_order, self._overruns
        )
        self._seats: list[_Seat] = []
        self._seat(modules)

    def _seat(self, modules: Sequence[tuple[Module, Mode]]) -> None:
        """Let these modules work, each with what it knows from before."""
        before = {id(seat.module): seat for seat in self._seats}
        self._seats = []
        for module, mode in modules:
            if mode is Mode.OFF:
                continue
            module.ctx = self
            seat = before.get(id(module)) or _Seat(module)
            seat.set_mode(mode)
            self._seats.append(seat)
        self._bind()

    def _bind(self) -> None:
        """Keep who overrides what as tuples: a callback nobody has costs nothing."""
        self.path.spot_looks = tuple(
            seat.on_spot for seat in self._seats if seat.on_spot is not None
        )
        self._settle_seats = tuple(seat for seat in self._seats if seat.on_settle)
        self._turn_seats = tuple(seat for seat in self._seats if seat.on_turn)
        self.path.calls_turns = bool(self._turn_seats)
        self.path.turns_due_ns = 0
        self._order_seats = {seat.name: seat for seat in self._seats if seat.on_order}
        self.path.calls_orders = bool(self._order_seats)

    # ------------------------------------------------------------------------------- engine
    def start(self) -> None:
        """Read every table; streams go on from where their readers stand."""
        self.path.begin(self._clock.monotonic_ns())
        for row in self._directory.start():
            self._take_market(row)
        self._read_orders()
        self.path.drain()

    @property
    def modules(self) -> dict[str, tuple[Module, Mode]]:
        """Modules at work by name, with their modes."""
        return {seat.module.name: (seat.module, seat.mode) for seat in self._seats}

    def reload(self, modules: Sequence[tuple[Module, Mode]]) -> None:
        """Go on with these modules; those at work keep what they know, and are asked all again."""
        joins = not self.path.calls_orders
        self._seat(modules)
        for name in self.modules:
            self.errors.pop(name, None)
        for row in list(self.instruments.markets.values()):
            self._take_market(row)
        if joins:
            self._own.skip()
        self._read_orders()

    def wants(self) -> list[tuple[str, Interest]]:
        """Return what the modules at work want followed, each wish with its module's name."""
        found: list[tuple[str, Interest]] = []
        for seat in list(self._seats):
            wishes = self._call(seat, seat.module.wants) or ()
            found += [(seat.module.name, wish) for wish in wishes]
        return found

    def interesting(self) -> list[MarketRow]:
        """Return the rows of the markets that a module looks at."""
        markets = self.instruments.markets
        return [markets[market] for market in self.path.markets() if market in markets]

    def inject(self, signal: Signal, source: Source) -> bool:
        """Publish a signal that no module made, as paper; False when risk is behind.

        Raises ValueError, naming the field, for what the record cannot hold.
        """
        self._outlet.about(source)
        self._outlet.mode = Mode.PAPER
        return self._emitter.emit(signal)

    def close(self) -> None:
        """Nothing to publish: signals are wishes, not state."""

    # ------------------------------------------------------------------------------- context
    def book(self, market: int) -> BookView | None:
        """Return a market's newest fresh book, or None (see Context.book)."""
        return self.path.book(market)

    def spot(self, coin: int) -> SpotTop | None:
        """Return the newest exchange touch of a coin."""
        raw = self.path.spot(coin)
        return SPOT_TOP.unpack(raw) if raw is not None else None

    def settle_history(self, coin: int, series: int) -> Sequence[Settle]:
        """Return the last prints of a settlement series, oldest first."""
        return self._prints.get((coin, series), ())

    def wall_ns(self, now_ns: int) -> int:
        """Return the venue's time at a monotonic time."""
        return now_ns + self.path.offset_ns

    def position_e6(self, instrument: int) -> int:
        """Return the account's shares of a token (see Context.position_e6)."""
        return self._own.position_e6(instrument)

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
        seat: _Seat | None = self.path.seat
        assert seat is not None, "a module counted outside a callback"
        full = f"signals.{seat.module.name}.{name}"
        counter = self._counters.get(full)
        if counter is None:
            counter = self._counters[full] = self._cell(full)
        counter.add(1)

    # ------------------------------------------------------------------------------- inputs
    def take_rows(self, kind: int) -> int:
        """Take market rows that changed, given the kind of the metadata record just polled."""
        rows = self._directory.take(kind)
        for row in rows:
            self._take_market(row)
        return len(rows)

    def _take_market(self, row: MarketRow) -> None:
        """Ask every module again whether it wants the market, and tell it the row."""
        market = row.market
        wanted: list[tuple[_Seat, Look | None]] = []
        for seat in self._seats:
            if seat.markets.get(market, row.generation) != row.generation:
                self._drop_interest(seat, market)
        for seat in self._seats:
            if self._call(seat, seat.module.interest, row):
                seat.markets[market] = row.generation
                self._call(seat, seat.module.on_market, row)
                wanted.append((seat, self._look(seat, market)))
            elif market in seat.markets:
                self._drop_interest(seat, market)
        readers = [(seat, look) for seat, look in wanted if seat in self._seats]
        if not readers:
            self.path.forget(market)
            return
        looks = tuple(look for _, look in readers if look is not None)
        self.path.watch(market, row.generation, looks)

    def _look(self, seat: _Seat, market: int) -> Look | None:
        """Return what shall see the market's books: the module's own look, or its on_book."""
        look = self._call(seat, seat.module.look, market)
        if look is None:
            return seat.on_book
        look.bind(seat, seat.mode)
        return look

    def _drop_interest(self, seat: _Seat, market: int) -> None:
        if seat.markets.pop(market, None) is not None:
            self._call(seat, seat.module.on_gone, market)

    def take_settles(self, kind: int, now_ns: int) -> int:
        """Take settlement prints, given the kind of the record just polled."""
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

    def take_reports(self, kind: int, now_ns: int) -> int:
        """Take what became of orders, given the kind of the record just polled."""
        return self._own.take(kind, now_ns, self._params.records_a_turn)

    def _read_orders(self) -> None:
        """Tell modules that ask what is open; those that ask already hear it once more."""
        if self._order_seats:
            self._own.restart(self.path.now_ns)

    def _tell_order(self, module: bytes, order: OwnOrder, now_ns: int) -> None:
        seat = self._order_seats.get(module)
        if seat is not None:
            self._call(seat, seat.module.on_order, order, now_ns)

    # ------------------------------------------------------------------------------- calls
    def on_turns(self, now_ns: int) -> None:
        """Call the modules whose time came."""
        due_ns = NEVER_NS
        for seat in self._turn_seats:
            if now_ns >= seat.turn_due_ns:
                seat.turn_due_ns = now_ns + seat.module.turn_every_ns
                self._call(seat, seat.module.on_turn, now_ns)
            due_ns = min(due_ns, seat.turn_due_ns)
        self.path.turns_due_ns = due_ns

    def _call(
        self,
        seat: _Seat,
        callback: Callable[..., _Answer],
        *arguments: object,
        source: Source | None = None,
    ) -> _Answer | None:
        """Call a module; one that raises is switched off, counted and named, the rest go on."""
        outlet = self._outlet
        outlet.about(source if source is not None else self._idle_source())
        outlet.mode = seat.mode
        self.path.seat = seat
        try:
            return callback(*arguments)
        except Exception as error:  # noqa: BLE001  foreign code: contained here
            self.switch_off(seat, error)
            return None

    def _idle_source(self) -> Source:
        now_ns = self.path.now_ns
        return _Source(0, 0, now_ns, now_ns, now_ns)

    def switch_off(self, seat: _Seat, error: Exception) -> None:
        """Call a module that raised no more until the next start."""
        self.errors[seat.module.name] = f"{type(error).__name__}: {error}"
        self._failures.add(1)
        self._seats = [other for other in self._seats if other is not seat]
        self._bind()
        self.path.dismiss(seat)


class _Source(msgspec.Struct, frozen=True, gc=False):
    id: int
    event_ns: int
    recv_ns: int
    decoded_ns: int
    published_ns: int


def _stamp(print_: Settle) -> int:
    return print_.stamp_ns
