"""Index of _view.pyx, and the exact arithmetic that walks share."""

cimport cython
from libc.stdint cimport int32_t, int64_t

from lowlat.book._slots cimport ONE, ll_row8

cdef extern from *:
    """
    typedef __int128 ll_i128;
    #define LL_FEE_UNIT ((__int128)100000000000000)
    #define LL_SPREAD_UNIT ((__int128)100000000)
    """
    ctypedef long long i128 "ll_i128"
    i128 FEE_UNIT "LL_FEE_UNIT"
    i128 SPREAD_UNIT "LL_SPREAD_UNIT"

ctypedef struct side_view:
    const int32_t *price
    const int64_t *size
    int count
    bint mirrored


@cython.cdivision(True)
cdef inline i128 up(i128 value, i128 unit) noexcept nogil:
    return (value + unit - 1) // unit


cdef inline int32_t level_price(const side_view *side, int at) noexcept nogil:
    return ONE - side.price[at] if side.mirrored else side.price[at]


cdef inline i128 fee_e14(int64_t price_e4, int64_t rate_e6, int exponent) noexcept nogil:
    """Fee of one share at price: rate * (p * (1 - p)) ** exponent, never below the exact value."""
    cdef i128 spread = <i128>price_e4 * <i128>(ONE - price_e4)
    cdef i128 fee = <i128>rate_e6 * (spread if exponent else SPREAD_UNIT)
    cdef int _power
    # The first power is exact without a 128-bit division, and it is what every market has today.
    for _power in range(1, exponent):
        fee = up(fee * spread, SPREAD_UNIT)
    return fee


cdef int check_fee(int64_t rate_e6, int exponent) except -1


cdef class Walk:
    cdef readonly int64_t filled_e6
    cdef readonly int64_t cost_e6
    cdef readonly int32_t worst_price_e4
    cdef readonly int32_t touch_price_e4
    cdef readonly int levels
    cdef readonly int action
    cdef readonly bint complete
    cdef bint _fee_known
    cdef int64_t _fee_e6
    cdef i128 _cost_e10


cdef class BookView:
    cdef Py_buffer _buffer
    cdef const ll_row8 *_row
    cdef bint _held
    cdef bint _poisoned
    cdef readonly bint owned
    cdef const ll_row8 *live(self) except NULL
    cdef side_view side(self, int outcome, int side) except *
    cdef int32_t _touch(self, int outcome, int side) except? -1
    cdef int64_t _touch_size(self, int outcome, int side) except? -1
    cdef Walk _walk(
        self,
        int outcome,
        int action,
        int64_t size_e6,
        int64_t cash_e6,
        int64_t limit_price_e4,
        int64_t fee_rate_e6,
        int fee_exponent,
    )
