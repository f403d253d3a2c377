"""Index of _cells.pyx: the fields that kernels and checks share, and the pace."""

cimport cython
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    ONE = 10000
    MILLION = 1000000
    CENT = 10000


# The slot that a port's buffer is, checked; the memoryview keeps it in place.
cdef void *slot_at(const uint8_t[::1] buffer, size_t size_bytes) except NULL


cdef class FactCells:
    cdef public uint32_t market
    cdef public int64_t generation
    cdef public bint tradeable
    cdef public bint start_known
    cdef public bint exhaustive
    cdef public int exponent
    cdef public int64_t tick_e4
    cdef public int64_t step_e6
    cdef public int64_t min_size_e6
    cdef public int64_t rate_e6
    cdef public uint64_t correlation
    cdef public uint64_t series
    cdef public uint64_t source
    cdef public int64_t end_ns
    cdef public bint windowed
    cdef public int winner
    cdef public int risk_score
    cdef public int64_t event_markets
    cdef public object bucket


cdef class StateCells:
    cdef public int64_t now_ns
    cdef public int64_t cash_e6
    cdef public int64_t bankroll_e6
    cdef public int64_t halt_code
    cdef public bint waiting
    cdef public bint drawdown_halted
    cdef public int64_t wall_offset_ns
    cdef public int64_t kelly_ppm
    cdef public int64_t full_until_ns


@cython.final
cdef class ByMarket:
    cdef dict _known
    cdef list _slots

    cdef inline object at(self, uint32_t market):
        """Return what is kept for a market, or None."""
        if <Py_ssize_t>market >= PyList_GET_SIZE(self._slots):
            return None
        return <object>PyList_GET_ITEM(self._slots, <Py_ssize_t>market)


@cython.final
cdef class Pace:
    cdef int64_t _per_s
    cdef int64_t _burst_e9
    cdef int64_t _tokens_e9
    cdef int64_t _at_ns
    cdef bint has(self, int64_t count, int64_t now_ns) noexcept
    cdef void spend(self, int64_t count) noexcept


@cython.final
cdef class Outlay:
    cdef int64_t _most_e6
    cdef int64_t _window_ns
    cdef int64_t _narrow_ns
    cdef int64_t _narrow_e6
    cdef int64_t _spent_e6
    cdef int64_t _at_ns
    cdef int64_t room(self, int64_t now_ns) noexcept
    cdef void spend(self, int64_t cash_e6) noexcept


cdef int64_t edge_of(double expected_value, int64_t suggested_e6) noexcept
cdef bint kelly_fits(
    int64_t size_e6,
    int64_t bankroll_e6,
    int64_t kelly_ppm,
    int64_t edge_e6,
    int64_t error_e6,
    int64_t unit_e6,
) noexcept
cdef int64_t kelly_most(
    int64_t bankroll_e6, int64_t kelly_ppm, int64_t edge_e6, int64_t error_e6, int64_t unit_e6
) noexcept
