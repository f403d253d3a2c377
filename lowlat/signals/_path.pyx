# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""The way of a book tick through the signals engine, compiled: poll, conflate, copy, fresh, look.

Owned and fed by ``lowlat.signals.engine``, which does all that is rare: rows, settlement prints,
modules that raise. No I/O of its own: ports are called. Slots are private copies of book rows, one
a watched market, each with its looks (``_look``); exchange prices take the same way, newest of each
coin.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memset

from lowlat.book._slots cimport ll_row8
from lowlat.book._view cimport BookView
from lowlat.core._ends cimport TurnEnd, clock_end, count_end, poll_end, publish_end, row_end
from lowlat.core._freshness cimport Shards
from lowlat.core.layout cimport (
    LL_BOOKFLAG_STALE,
    LL_KIND_BOOK_TOP,
    LL_KIND_MARKET_STATE,
    LL_KIND_SPOT_TOP,
    LL_KIND_TURN,
    ll_book_row,
    ll_book_top,
    ll_market_state,
    ll_spot_top,
    ll_turn,
)
from lowlat.signals._emit cimport Outlet
from lowlat.signals._look cimport Look, SpotLook, check_slot

from lowlat.core.layout import Writer
from lowlat.core.ports import EMPTY, OVERRUN, READ_BUSY

__all__ = ["BookPath"]

cdef enum:
    S_NS = 1000000000
    BLOCK_ROWS = 64

cdef int _EMPTY = EMPTY
cdef int _OVERRUN = OVERRUN
cdef int64_t _READ_BUSY = READ_BUSY
cdef uint32_t _WRITER = Writer.SIGNALS


@cython.final
cdef class Slot:
    """One watched market: our copy of its row and its version, the one last shown, and who looks.

    A look may load another market's book before that is shown: the two versions differ then.
    """


@cython.final
cdef class BookPath(TurnEnd):
    """Polls the engine's streams and shows each changed book, once, to the looks of its market."""

    def __cinit__(self, ports, *_):
        self._rows = ports.books.rows
        self._dirty = <uint32_t *>PyMem_Malloc(<size_t>self._rows * sizeof(uint32_t))
        self._drained = <uint32_t *>PyMem_Malloc(<size_t>self._rows * sizeof(uint32_t))
        self._coins = ports.spots.rows
        self._newest = <spot_t *>PyMem_Calloc(<size_t>self._coins, sizeof(spot_t))
        self._moved = <uint32_t *>PyMem_Malloc(<size_t>self._coins * sizeof(uint32_t))
        if (
            self._dirty == NULL
            or self._drained == NULL
            or self._newest == NULL
            or self._moved == NULL
        ):
            raise MemoryError(f"no memory for {self._rows} books and {self._coins} coins")

    def __dealloc__(self):
        PyMem_Free(self._newest)
        PyMem_Free(self._moved)
        PyMem_Free(self._dirty)
        PyMem_Free(self._drained)

    def __init__(self, ports, Outlet outlet not None, Shards shards not None, rare, int64_t most):
        """Bind the ports and ``rare``, which does what is; ``most`` records are polled a turn."""
        cell = ports.cell
        self.outlet = outlet
        self.shards = shards
        self._rare = rare
        self._clock = clock_end(ports.clock)
        self._most = most
        self._slots = [None] * self._rows
        self._spare = []
        self._rows_due = rare.rows_due
        self._market, self._metadata = poll_end(ports.market), poll_end(ports.metadata)
        self._spot, self._settle = poll_end(ports.spot), poll_end(ports.settle)
        self._reports = poll_end(ports.reports)
        self._books, self._spots = row_end(ports.books), row_end(ports.spots)
        self._turns = publish_end(ports.turns)
        self._conflated = count_end(cell("signals.conflated"))
        self._stale = count_end(cell("signals.stale_book"))
        self._busy = count_end(cell("signals.book_busy"))
        self._overruns = count_end(cell("signals.overruns"))
        self.spot_looks = ()
        self._spot_buffer = ports.spot.buffer
        self._spot_row_buffer = ports.spots.buffer
        self._row_buffer = ports.books.buffer
        self._record_buffer = ports.market.buffer
        self._turn_buffer = ports.turns.buffer
        check_slot("book row", self._row_buffer, sizeof(ll_book_row))
        check_slot("market record", self._record_buffer, sizeof(ll_book_top))
        check_slot("turn", self._turn_buffer, sizeof(ll_turn))
        check_slot("spot record", self._spot_buffer, sizeof(ll_spot_top))
        check_slot("spot row", self._spot_row_buffer, sizeof(ll_spot_top))
        self._spot_top = <const ll_spot_top *>&self._spot_buffer[0]
        self._spot_row = <const ll_spot_top *>&self._spot_row_buffer[0]
        self._row = <const ll_book_row *>&self._row_buffer[0]
        self._top = <const ll_book_top *>&self._record_buffer[0]
        self._state = <const ll_market_state *>&self._record_buffer[0]
        self._turn = <ll_turn *>&self._turn_buffer[0]

    # ------------------------------------------------------------------------------- turns
    def begin(self, int64_t now_ns):
        """Take the time, the venue's, and the exchange prices that stand: nobody is told."""
        self.now_ns = now_ns
        self._take_offset(now_ns)
        self._sweep_spots(False)

    def turn(self, int64_t now_ns):
        """Take what is new, show it, say what was read; return how much was done."""
        cdef int64_t done = self._advance(now_ns)
        if self._turn_due:
            self._record_turn()
        return done

    def advance(self, int64_t now_ns):
        """Do what ``turn`` does but for its record: ``settle`` writes it, or the next advance."""
        return self._advance(now_ns)

    def settle(self):
        """Write the record of the last turn, if there is one to write."""
        self.c_settle()

    cdef int64_t c_advance(self, int64_t now_ns) except -1:
        return self._advance(now_ns)

    cdef int c_settle(self) except -1:
        if self._turn_due:
            self._record_turn()
        return 0

    def drain(self):
        """Show every marked book to its looks."""
        self._drain()

    cdef int64_t _advance(self, int64_t now_ns) except -1:
        cdef int64_t done = 0
        cdef int kind
        if self._turn_due:
            self._record_turn()
        self.now_ns = now_ns
        if now_ns - self._second_ns >= S_NS:
            self._take_offset(now_ns)
            done = 1
        kind = self._metadata.c_poll()
        if kind != _EMPTY or self._rows_due:
            done += <int64_t>self._rare.take_rows(kind)
        kind = self._settle.c_poll()
        if kind != _EMPTY:
            done += <int64_t>self._rare.take_settles(kind, now_ns)
        if self.calls_orders:
            kind = self._reports.c_poll()
            if kind != _EMPTY:
                done += <int64_t>self._rare.take_reports(kind, now_ns)
        kind = self._spot.c_poll()
        if kind != _EMPTY:
            done += self._take_spots(kind)
        kind = self._market.c_poll()
        if kind != _EMPTY:
            done += self._take_markets(kind)
        if self._dirty_count:
            self._drain()
        elif not done:
            return 0
        if self.calls_turns and now_ns >= self.turns_due_ns:
            self._rare.on_turns(now_ns)
        self._turn_due = True
        return done

    cdef _take_offset(self, int64_t now_ns):
        self._second_ns = now_ns
        self.offset_ns = self._clock.c_wall_ns() - self._clock.c_monotonic_ns()

    cdef int _record_turn(self) except -1:
        """Say which inputs the turn had taken, so that a capture replays."""
        cdef ll_turn *turn = self._turn
        self._turn_due = False
        turn.id = self.outlet.next()
        turn.now_ns = self.now_ns
        turn.market_cursor = self._market.c_position()
        turn.spot_cursor = self._spot.c_position()
        turn.input_cursor = self._settle.c_position()
        turn.metadata_cursor = self._metadata.c_position()
        turn.reports_cursor = self._reports.c_position()
        turn.wall_offset_ns = self.offset_ns
        turn.writer = _WRITER
        self._turns.c_publish(LL_KIND_TURN)
        return 0

    # ------------------------------------------------------------------------------- spot
    def spot(self, uint32_t coin):
        """Return the newest SPOT_TOP record of a coin, or None."""
        if coin >= self._coins or not self._newest[coin].known:
            return None
        return (<const char *>&self._newest[coin].top)[:sizeof(ll_spot_top)]

    cdef int64_t _take_spots(self, int kind) except -1:
        """Take every spot record but tell only the newest of each coin: older ones are gone."""
        cdef int64_t done = 0
        cdef uint32_t at, moved
        cdef spot_t *spot
        while kind != _EMPTY:
            done += 1
            if kind == LL_KIND_SPOT_TOP:
                self._note_spot(self._spot_top, True)
            elif kind == _OVERRUN:
                self._overruns.c_add(1)
                self._sweep_spots(True)
            if done == self._most:
                break
            kind = self._spot.c_poll()
        moved = self._moved_count
        self._moved_count = 0
        for at in range(moved):
            spot = &self._newest[self._moved[at]]
            spot.changed = False
            self._show_spot(&spot.top)
        return done

    cdef int _note_spot(self, const ll_spot_top *top, bint tell) except -1:
        cdef spot_t *spot
        assert top.coin < self._coins, f"coin was {top.coin}, expected one of {self._coins}"
        spot = &self._newest[top.coin]
        spot.top = top[0]
        spot.known = True
        if tell and not spot.changed:
            spot.changed = True
            self._moved[self._moved_count] = top.coin
            self._moved_count += 1
        return 0

    cdef int _sweep_spots(self, bint tell) except -1:
        """Take the newest row of every coin that has one."""
        cdef uint32_t row
        for row in range(self._coins):
            if self._spots.c_read(row) > 0:
                self._note_spot(self._spot_row, tell)
        return 0

    cdef int _show_spot(self, const ll_spot_top *top) except -1:
        cdef Outlet outlet = self.outlet
        cdef tuple looks = self.spot_looks
        cdef SpotLook look
        outlet.about_spot(top)
        for look in looks:
            outlet.mode = look.mode
            self.seat = look.seat
            try:
                look.at(top, self.now_ns)
            except Exception as error:
                self._rare.switch_off(look.seat, error)
        return 0

    # ------------------------------------------------------------------------------- markets
    cdef int64_t _take_markets(self, int kind) except -1:
        """Note which watched books changed; the books themselves come from the table."""
        cdef int64_t done = 0
        cdef Slot slot
        while kind != _EMPTY:
            done += 1
            if kind == LL_KIND_BOOK_TOP:
                slot = self._slot(self._top.market)
                if slot is not None:
                    if slot.dirty:
                        self._conflated.c_add(1)
                    else:
                        self._mark(slot)
            elif kind == _OVERRUN:
                self._overruns.c_add(1)
                self._sweep()
            elif kind == LL_KIND_MARKET_STATE:
                self._rare.touch(self._state.market)
            if done == self._most:
                break
            kind = self._market.c_poll()
        return done

    cdef _sweep(self):
        """After an overrun of state: every row whose version word moved is new."""
        cdef Slot slot
        for slot in self._slots:
            if slot is not None and self._books.c_version(slot.row) != slot.shown:
                self._mark(slot)

    cdef int _drain(self) except -1:
        cdef uint32_t *drained = self._dirty
        cdef Py_ssize_t at, count = self._dirty_count
        cdef Slot slot
        # Looks may mark further books: those come in the next turn.
        self._dirty = self._drained
        self._drained = drained
        self._dirty_count = 0
        for at in range(count):
            slot = self._slot(drained[at])
            if slot is not None:
                slot.dirty = False
                self._show(slot)
        return 0

    cdef int _show(self, Slot slot) except -1:
        """Bring a slot up to the table and show it to its looks, if it is new and fresh."""
        cdef int64_t version = self._books.c_read(slot.row)
        cdef BookView view = slot.view
        cdef const ll_row8 *row = view._row
        cdef Outlet outlet = self.outlet
        cdef tuple looks
        cdef Look look
        if version <= 0:
            return self._unread(slot, version)
        if version == slot.shown:
            return 0
        slot.version = slot.shown = version
        memcpy(view._buffer.buf, self._row, sizeof(ll_book_row))
        if (
            row.generation != slot.generation
            or row.book_flags & LL_BOOKFLAG_STALE
            or not self.shards.fresh(row.shard, row.connection_generation, self.now_ns)
        ):
            self._stale.c_add(1)
            return 0
        outlet.about_book(row)
        looks = slot.looks
        for look in looks:
            outlet.mode = look.mode
            self.seat = look.seat
            try:
                look.at(view, self.now_ns)
            except Exception as error:
                # A module is foreign code: contained here.
                self._rare.switch_off(look.seat, error)
        return 0

    # ------------------------------------------------------------------------------- books
    def watch(self, uint32_t market, uint32_t generation, tuple looks):
        """Show this market's books to these looks from now on, the standing one at once.

        A new rule, tick or start price can make a standing book worth a signal.
        """
        cdef Slot slot
        if market >= self._rows:
            raise ValueError(f"market was {market}, expected one of {self._rows} books")
        slot = self._slot(market)
        if slot is None or slot.generation != generation:
            self.forget(market)
            slot = Slot.__new__(Slot)
            slot.market = market
            slot.row = market
            slot.generation = generation
            slot.view = self._room()
            self._slots[market] = slot
        slot.looks = looks
        slot.version = slot.shown = 0
        self._mark(slot)

    def forget(self, uint32_t market):
        """Give a market's room back."""
        cdef Slot slot = self._slot(market)
        cdef Py_ssize_t at, kept = 0
        if slot is None:
            return
        self._slots[market] = None
        self._spare.append(slot.view)
        for at in range(self._dirty_count):
            if self._dirty[at] != market:
                self._dirty[kept] = self._dirty[at]
                kept += 1
        self._dirty_count = kept

    def dismiss(self, seat):
        """Let a seat look at nothing any more."""
        cdef Slot slot
        for slot in self._slots:
            if slot is not None:
                slot.looks = tuple([look for look in slot.looks if look.seat is not seat])

    def markets(self):
        """Return the watched markets."""
        return [market for market, slot in enumerate(self._slots) if slot is not None]

    def book(self, uint32_t market):
        """Return a watched market's newest fresh book, or None."""
        return self.fresh_book(market)

    cdef BookView fresh_book(self, uint32_t market):
        cdef Slot slot = self._slot(market)
        cdef const ll_row8 *row
        cdef int64_t version
        if slot is None:
            return None
        if not slot.version or self._books.c_version(slot.row) != slot.version:
            version = self._books.c_read(slot.row)
            if version <= 0:
                self._unread(slot, version)
                return None
            memcpy(slot.view._buffer.buf, self._row, sizeof(ll_book_row))
            slot.version = version
        row = slot.view._row
        if (
            row.generation != slot.generation
            or row.book_flags & LL_BOOKFLAG_STALE
            or not self.shards.fresh(row.shard, row.connection_generation, self.now_ns)
        ):
            return None
        return slot.view

    cdef int _unread(self, Slot slot, int64_t version) except -1:
        """Come back to a row whose writer was faster than every retry."""
        if version == _READ_BUSY:
            self._busy.c_add(1)
            self._mark(slot)
        return 0

    cdef int _mark(self, Slot slot) except -1:
        """Queue a slot, at most once: so the queue never holds more than there are rows."""
        if not slot.dirty:
            slot.dirty = True
            self._dirty[self._dirty_count] = slot.row
            self._dirty_count += 1
        return 0

    cdef Slot _slot(self, int64_t market):
        return <Slot>self._slots[market] if market < self._rows else None

    cdef BookView _room(self):
        """Return a view over room of its own, zeroed.

        Cut from blocks: one buffer each costs 200 bytes more.
        """
        cdef Py_ssize_t size = sizeof(ll_book_row), at
        cdef BookView view
        if not self._spare:
            block = memoryview(bytearray(BLOCK_ROWS * size))
            self._spare = [BookView(block[at * size : (at + 1) * size]) for at in range(BLOCK_ROWS)]
        view = self._spare.pop()
        memset(view._buffer.buf, 0, <size_t>size)
        view._poisoned = False
        return view
