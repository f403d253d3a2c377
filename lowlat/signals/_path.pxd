"""Index of _path.pyx: what a compiled look needs of the engine."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from lowlat.book._view cimport BookView
from lowlat.core._ends cimport ClockEnd, CountEnd, PollEnd, PublishEnd, RowEnd, TurnEnd
from lowlat.core._freshness cimport Shards
from lowlat.core.layout cimport (
    ll_book_row,
    ll_book_top,
    ll_market_state,
    ll_spot_top,
    ll_turn,
)
from lowlat.signals._emit cimport Outlet


ctypedef struct spot_t:
    ll_spot_top top
    bint known
    bint changed


@cython.final
cdef class Slot:
    cdef object market
    cdef uint32_t row
    cdef uint32_t generation
    cdef int64_t version
    cdef int64_t shown
    cdef BookView view
    cdef tuple looks
    cdef bint dirty


@cython.final
cdef class BookPath(TurnEnd):
    cdef readonly Outlet outlet
    cdef readonly Shards shards
    cdef public object seat
    cdef readonly int64_t now_ns
    cdef readonly int64_t offset_ns
    cdef public bint calls_turns
    cdef public int64_t turns_due_ns
    cdef public bint calls_orders
    cdef public tuple spot_looks
    cdef object _rare
    cdef ClockEnd _clock
    cdef PollEnd _market
    cdef PollEnd _metadata
    cdef PollEnd _spot
    cdef PollEnd _settle
    cdef PollEnd _reports
    cdef RowEnd _books
    cdef RowEnd _spots
    cdef PublishEnd _turns
    cdef CountEnd _conflated
    cdef CountEnd _stale
    cdef CountEnd _busy
    cdef CountEnd _overruns
    cdef const uint8_t[::1] _spot_buffer
    cdef const uint8_t[::1] _spot_row_buffer
    cdef const ll_spot_top *_spot_top
    cdef const ll_spot_top *_spot_row
    cdef spot_t *_newest
    cdef uint32_t *_moved
    cdef uint32_t _coins
    cdef uint32_t _moved_count
    cdef dict _rows_due
    cdef list _slots
    cdef list _spare
    cdef const uint8_t[::1] _row_buffer
    cdef const uint8_t[::1] _record_buffer
    cdef uint8_t[::1] _turn_buffer
    cdef const ll_book_row *_row
    cdef const ll_book_top *_top
    cdef const ll_market_state *_state
    cdef ll_turn *_turn
    cdef uint32_t *_dirty
    cdef uint32_t *_drained
    cdef Py_ssize_t _dirty_count
    cdef Py_ssize_t _rows
    cdef int64_t _second_ns
    cdef int64_t _most
    cdef bint _turn_due
    cdef int64_t _advance(self, int64_t now_ns) except -1
    cdef int64_t _take_spots(self, int kind) except -1
    cdef int _note_spot(self, const ll_spot_top *top, bint tell) except -1
    cdef int _sweep_spots(self, bint tell) except -1
    cdef int _show_spot(self, const ll_spot_top *top) except -1
    cdef int64_t _take_markets(self, int kind) except -1
    cdef int _drain(self) except -1
    cdef int _show(self, Slot slot) except -1
    cdef int _mark(self, Slot slot) except -1
    cdef int _unread(self, Slot slot, int64_t version) except -1
    cdef int _record_turn(self) except -1
    cdef BookView fresh_book(self, uint32_t market)
    cdef Slot _slot(self, int64_t market)
    cdef BookView _room(self)
    cdef _take_offset(self, int64_t now_ns)
    cdef _sweep(self)
