"""The way of a book tick in Python: the oracle of lowlat/signals/_path.pyx."""

from lowlat.book._view import BookView
from lowlat.core.layout import (
    BOOK_ROW,
    BOOK_TOP,
    MARKET_STATE,
    SLOT_HEAD_BYTES,
    SPOT_TOP,
    TURN,
    BookFlag,
    Writer,
)
from lowlat.core.ports import EMPTY, OVERRUN, READ_BUSY

__all__ = ["PathReference"]

S_NS = 1_000_000_000


class Slot:
    """One watched market."""

    def __init__(self, generation):
        self.buffer = bytearray(BOOK_ROW.size_bytes)
        self.view = BookView(self.buffer)
        self.version = self.shown = 0
        self.generation = generation
        self.looks = ()


class PathReference:
    """Does what BookPath does; a SignalsEngine takes either."""

    def __init__(self, ports, outlet, shards, rare, most):
        self.ports, self.outlet, self.shards, self.rare = ports, outlet, shards, rare
        self.most = most
        self.slots = {}
        self.dirty = {}
        self.now_ns = self.offset_ns = self.second_ns = 0
        self.seat = None
        self.turns_due_ns = 0
        self.calls_turns = self.calls_orders = self.turn_due = False
        self.spot_looks = ()
        self.newest = {}
        self.count = {
            name: ports.cell(f"signals.{name}")
            for name in ("conflated", "stale_book", "book_busy", "overruns")
        }

    def begin(self, now_ns):
        self.now_ns = now_ns
        self.take_offset(now_ns)
        self.sweep_spots({})

    def take_offset(self, now_ns):
        self.second_ns = now_ns
        self.offset_ns = self.ports.clock.wall_ns() - self.ports.clock.monotonic_ns()

    def turn(self, now_ns):
        done = self.advance(now_ns)
        self.settle()
        return done

    def advance(self, now_ns):
        self.settle()
        self.now_ns = now_ns
        ports, rare = self.ports, self.rare
        done = 0
        if now_ns - self.second_ns >= S_NS:
            self.take_offset(now_ns)
            done = 1
        kind = ports.metadata.poll()
        if kind or rare.rows_due:
            done += rare.take_rows(kind)
        kind = ports.settle.poll()
        if kind:
            done += rare.take_settles(kind, now_ns)
        if self.calls_orders:
            kind = ports.reports.poll()
            if kind:
                done += rare.take_reports(kind, now_ns)
        done += self.take_spots()
        done += self.take_markets()
        if not done and not self.dirty:
            return 0
        self.drain()
        if self.calls_turns and now_ns >= self.turns_due_ns:
            rare.on_turns(now_ns)
        self.turn_due = True
        return done

    def settle(self):
        if not self.turn_due:
            return
        self.turn_due = False
        ports = self.ports
        TURN.codec.pack_into(
            ports.turns.buffer,
            SLOT_HEAD_BYTES,
            self.outlet.next_id(),
            self.now_ns,
            ports.market.position,
            ports.spot.position,
            ports.settle.position,
            ports.metadata.position,
            ports.reports.position,
            self.offset_ns,
            int(Writer.SIGNALS),
        )
        ports.turns.publish(TURN.kind)

    def spot(self, coin):
        return self.newest.get(coin)

    def take_spots(self):
        reader, changed = self.ports.spot, {}
        done = 0
        while done < self.most and (kind := reader.poll()) != EMPTY:
            done += 1
            if kind == OVERRUN:
                self.count["overruns"].add(1)
                self.sweep_spots(changed)
            elif kind == SPOT_TOP.kind:
                raw = bytes(reader.buffer[: SPOT_TOP.size_bytes])
                self.newest[SPOT_TOP.unpack(raw).coin] = raw
                changed[SPOT_TOP.unpack(raw).coin] = None
        for coin in changed:
            self.outlet.about(SPOT_TOP.unpack(self.newest[coin]))
            for look in self.spot_looks:
                self.call(look, self.newest[coin])
        return done

    def sweep_spots(self, changed):
        table = self.ports.spots
        for row in range(table.rows):
            if table.read(row) > 0:
                self.newest[row] = bytes(table.buffer)
                changed[row] = None

    def take_markets(self):
        reader = self.ports.market
        done = 0
        while done < self.most and (kind := reader.poll()) != EMPTY:
            done += 1
            if kind == BOOK_TOP.kind:
                market = BOOK_TOP.unpack(reader.buffer).market
                if market in self.dirty:
                    self.count["conflated"].add(1)
                elif market in self.slots:
                    self.dirty[market] = None
            elif kind == OVERRUN:
                self.count["overruns"].add(1)
                for market in sorted(self.slots):
                    if self.ports.books.version(market) != self.slots[market].shown:
                        self.dirty[market] = None
            elif kind == MARKET_STATE.kind:
                self.rare.touch(MARKET_STATE.unpack(reader.buffer).market)
        return done

    def drain(self):
        dirty, self.dirty = self.dirty, {}
        for market in dirty:
            slot = self.slots[market]
            version = self.ports.books.read(market)
            if version <= 0:
                self.unread(market, version)
            elif version != slot.shown:
                slot.version = slot.shown = version
                slot.buffer[:] = self.ports.books.buffer
                self.show(slot)

    def show(self, slot):
        if not self.is_fresh(slot):
            self.count["stale_book"].add(1)
            return
        self.outlet.about(slot.view)
        for look in slot.looks:
            self.call(look, slot.view)

    def call(self, look, about):
        self.outlet.mode = look.mode
        self.seat = look.seat
        try:
            look(about, self.now_ns)
        except Exception as error:  # noqa: BLE001
            self.rare.switch_off(look.seat, error)

    def is_fresh(self, slot):
        view = slot.view
        return (
            view.generation == slot.generation
            and not view.flags & BookFlag.STALE
            and self.shards.is_fresh(view.shard, view.connection_generation, self.now_ns)
        )

    def unread(self, market, version):
        if version == READ_BUSY:
            self.count["book_busy"].add(1)
            self.dirty[market] = None

    def watch(self, market, generation, looks):
        slot = self.slots.get(market)
        if slot is None or slot.generation != generation:
            self.forget(market)
            slot = self.slots[market] = Slot(generation)
        slot.looks = looks
        slot.version = slot.shown = 0
        self.dirty[market] = None

    def forget(self, market):
        self.slots.pop(market, None)
        self.dirty.pop(market, None)

    def dismiss(self, seat):
        for slot in self.slots.values():
            slot.looks = tuple(look for look in slot.looks if look.seat is not seat)

    def markets(self):
        return sorted(self.slots)

    def book(self, market):
        slot = self.slots.get(market)
        if slot is None:
            return None
        books = self.ports.books
        if not slot.version or books.version(market) != slot.version:
            version = books.read(market)
            if version <= 0:
                self.unread(market, version)
                return None
            slot.buffer[:] = books.buffer
            slot.version = version
        return slot.view if self.is_fresh(slot) else None
