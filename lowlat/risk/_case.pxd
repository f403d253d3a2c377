"""Index of _case.pyx: one signal on its way to its decision, and the wishes granted lately."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from lowlat.core.layout cimport ll_signal

ctypedef struct wish_t:
    uint64_t module[2]
    uint32_t instrument
    uint32_t action
    int64_t at_ns


@cython.final
cdef class Case:
    cdef readonly uint64_t id
    cdef readonly uint64_t cause
    cdef readonly int64_t event_ns
    cdef readonly int64_t recv_ns
    cdef readonly int64_t decoded_ns
    cdef readonly int64_t published_ns
    cdef readonly int64_t decided_ns
    cdef readonly int64_t expires_ns
    cdef readonly double confidence
    cdef public double expected_value
    cdef readonly int64_t suggested_e6
    cdef readonly uint64_t group
    cdef readonly uint32_t instrument
    cdef readonly uint32_t generation
    cdef readonly int32_t limit_price_e4
    cdef readonly int action
    cdef readonly int urgency
    cdef readonly int leg
    cdef readonly int legs
    cdef readonly int mode
    cdef readonly uint32_t epoch
    cdef readonly uint32_t market
    cdef readonly int outcome
    cdef readonly bint buys
    cdef readonly bint immediate
    cdef uint64_t module_words[2]
    cdef public int64_t size_e6
    cdef public int rule
    cdef public int64_t limit
    cdef public int64_t was
    cdef public int cut_rule
    cdef public int64_t cut_limit
    cdef public int64_t cut_was
    cdef public int64_t unit_cost_e6
    cdef public int32_t unwind_price_e4
    cdef public int64_t unwind_unit_e6
    cdef public object facts
    cdef public object holding
    cdef public object view
    cdef public object walk
    cdef public object score
    cdef void read(self, const ll_signal *raw) noexcept


@cython.final
cdef class CaseReader:
    cdef const uint8_t[::1] _buffer
    cdef const ll_signal *raw


@cython.final
cdef class Granted:
    cdef wish_t *_wishes
    cdef uint64_t _count
    cdef readonly bint by_other
    cdef int64_t age_ns(self, Case case, int64_t now_ns, int64_t window_ns) noexcept
    cdef void add_wish(self, Case case, int64_t now_ns) noexcept
