"""Index of _pool.pyx: signed orders by what they are, as the compiled path takes them."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


@cython.final
cdef class Hot:
    cdef readonly uint32_t instrument
    cdef readonly uint8_t action
    cdef public int64_t expires_ns
    cdef public int64_t version
    cdef public dict prices_e4
    cdef public dict keys


@cython.final
cdef class Ready:
    cdef readonly tuple key
    cdef readonly uint32_t instrument
    cdef readonly uint8_t action
    cdef readonly int64_t maker_e6
    cdef readonly int64_t taker_e6
    cdef readonly uint32_t generation
    cdef readonly int exchange
    cdef readonly int post
    cdef readonly int64_t signed_ns
    cdef readonly int64_t timestamp_s
    cdef readonly int64_t timestamp_ms
    cdef readonly uint64_t salt
    cdef readonly bytes order_id
    cdef readonly bytes wire
    cdef readonly object template
    cdef readonly Hot hot
    cdef object _request
    cdef int renewed(self, int64_t timestamp_s) except -1


@cython.final
cdef class ReadyOrders:
    cdef readonly list todo
    cdef public int64_t hits
    cdef public int64_t misses
    cdef public int64_t late
    cdef uint64_t *_hashes
    cdef PyObject **_slots
    cdef uint64_t _mask
    cdef int64_t _count
    cdef int64_t _find(
        self, uint64_t hashed, uint32_t instrument, uint8_t action, int64_t maker_e6,
        int64_t taker_e6,
    ) noexcept
    cdef int64_t _find_key(self, tuple key) except -2
    cdef Ready _remove(self, int64_t at)
    cdef Ready take(
        self, uint32_t instrument, uint8_t action, int64_t maker_e6, int64_t taker_e6,
        int exchange,
    )
