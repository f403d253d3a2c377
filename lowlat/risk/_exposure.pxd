"""Index of _exposure.pyx: what is held and in flight, as kernels count it."""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from lowlat.risk._cells cimport ByMarket, FactCells


@cython.final
cdef class Bet:
    cdef readonly uint64_t key
    cdef readonly int scope
    cdef public int64_t loss_e6
    cdef bint _listed


@cython.final
cdef class Bucket:
    cdef readonly object key
    cdef readonly list holdings
    cdef public Bet bet
    cdef public Bet series
    cdef public Bet source
    cdef public int64_t event_markets
    cdef public bint exhaustive
    cdef public int64_t held_loss_e6
    cdef public int64_t in_flight_e6


@cython.final
cdef class Holding:
    cdef readonly uint32_t market
    cdef public int64_t generation
    cdef public Bucket bucket
    cdef readonly list shares_e6
    cdef readonly list confirmed_e6
    cdef readonly list selling_e6
    cdef readonly list costs_e6
    cdef public int64_t cost_e6
    cdef public int64_t held_loss_e6
    cdef public int64_t in_flight_e6
    cdef public int64_t end_ns
    cdef public bint is_long
    cdef bint _listed


cdef class ExposureCells:
    cdef public int64_t total_e6
    cdef public int64_t cost_e6
    cdef public int64_t in_flight_e6
    cdef public int64_t long_e6
    cdef public int64_t long_from_ns
    cdef public bint total_due
    cdef readonly list changed
    cdef readonly list changed_bets
    cdef readonly ByMarket holdings
    cdef readonly dict buckets
    cdef readonly dict bets
    cdef Holding new_holding(self, FactCells facts)
    cdef int add_cash(self, Holding holding, int64_t change_e6) except -1
    cdef int add_loss(self, Bucket bucket, int64_t change_e6) except -1
    cdef int add_to_bet(self, Bet bet, int64_t change_e6) except -1
    cdef int list_changed(self, Holding holding) except -1
