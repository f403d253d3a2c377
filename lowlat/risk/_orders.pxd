"""Index of _orders.pyx: own orders by intent, in arrays."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from lowlat.risk._exposure cimport Holding
from lowlat.risk._scores cimport Score


@cython.final
cdef class OwnOrder:
    cdef readonly uint64_t intent
    cdef readonly uint32_t instrument
    cdef readonly uint32_t market
    cdef readonly int outcome
    cdef readonly int action
    cdef readonly int32_t price_e4
    cdef readonly uint64_t group
    cdef readonly int64_t expires_ns
    cdef readonly int64_t size_e6
    cdef public int64_t held_e6
    cdef public bint sent
    cdef public bint filled
    cdef public Holding holding
    cdef readonly Score score
    cdef readonly int64_t promise_e6


cdef class OrderCells:
    cdef uint64_t *_intents
    cdef uint32_t *_open
    cdef list _orders
    cdef Py_ssize_t _room
    cdef uint32_t _markets
    cdef public int64_t reserve_e6
    cdef Py_ssize_t place_of(self, uint64_t intent) noexcept
    cdef OwnOrder find(self, uint64_t intent)
    cdef uint32_t open_in(self, uint32_t market) noexcept
    cdef Py_ssize_t count(self)
    cdef int put(self, OwnOrder order) except -1
    cdef int drop(self, OwnOrder order) except -1


cdef OwnOrder order_of(
    uint64_t intent,
    uint32_t instrument,
    int action,
    int32_t price_e4,
    int64_t size_e6,
    int64_t held_e6,
    uint64_t group,
    int64_t expires_ns,
    Holding holding,
    Score score,
    int64_t promise_e6,
)
