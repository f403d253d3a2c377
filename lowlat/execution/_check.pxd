"""Index of _check.pyx: what the compiled path asks before it sends."""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from lowlat.book._view cimport BookView
from lowlat.core._ends cimport RowEnd
from lowlat.core._freshness cimport Shards
from lowlat.core.layout cimport ll_book_row, ll_intent
from lowlat.execution._desk cimport AccountCells, DeskCells


cdef class FactCells:
    cdef public int64_t version
    cdef public uint32_t generation
    cdef public int64_t tick_e4
    cdef public bint tradeable
    cdef public int64_t min_size_e6
    cdef public int64_t rate_e6
    cdef public int64_t ladder_e6
    cdef public int64_t cut_e6
    cdef public int exchange
    cdef public bytes token_id
    cdef public object token_number
    cdef public object fees


@cython.final
cdef class MarketGate:
    cdef dict _facts
    cdef object _learn
    cdef RowEnd _markets
    cdef RowEnd _books
    cdef BookView _view
    cdef Shards _shards
    cdef int64_t _book_rows
    cdef FactCells facts(self, object instrument, object market)
    cdef const ll_book_row *book(self, object market) except? NULL


@cython.final
cdef class RateBucket:
    cdef readonly int64_t per_s
    cdef readonly int64_t burst
    cdef readonly int64_t headroom
    cdef int64_t _tokens_e9
    cdef int64_t _at_ns
    cdef int64_t _blocked_ns
    cdef int _refill(self, int64_t now_ns) noexcept
    cdef bint spend(self, int64_t count, int64_t now_ns, bint reserve) noexcept


@cython.final
cdef class FastCheck:
    cdef DeskCells _desk
    cdef AccountCells _accounts
    cdef dict _tripped
    cdef object _closed
    cdef MarketGate _gate
    cdef int64_t _shares_max_e6
    cdef int64_t _notional_max_e6
    cdef int64_t _open_max_e6
    cdef int64_t _band_e4
    cdef int64_t _price_min_e4
    cdef int64_t _price_max_e4
    cdef int64_t _age_max_ns
    cdef readonly FactCells facts
    cdef readonly int64_t maker_e6
    cdef readonly int64_t taker_e6
    cdef readonly int64_t hold_e6
    cdef readonly int post
    cdef bint passes(self, const ll_intent *raw, object instrument, int64_t now_ns) except -1
    cdef int _in_band(self, const ll_intent *raw) except -1
    cdef int _amounts(self, const ll_intent *raw, FactCells facts) except -1
    cdef int _account(self, const ll_intent *raw, FactCells facts, object market) except -1
