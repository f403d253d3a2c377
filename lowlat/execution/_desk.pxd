"""Index of _desk.pyx: the executor's books as the compiled path sees them."""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from lowlat.core.layout cimport ll_cash_row
from lowlat.execution._order cimport Order


@cython.final
cdef class OpenOrders:
    cdef readonly dict by_market
    cdef int put(self, Order order) except -1
    cdef int remove(self, Order order) except -1
    cdef Order find_crossing(
        self, dict orders, int outcome, int action, int64_t price_e4, bint resting
    )
    cdef int64_t sum_selling(self, dict orders, uint32_t instrument) except -1


cdef class PositionCells:
    cdef public int64_t bought_e6
    cdef public int64_t sold_e6


cdef class AccountCells:
    cdef public int64_t cash_e6
    cdef public int64_t reserved_e6
    cdef public int64_t fees_e6
    cdef public int64_t realized_e6
    cdef public int64_t reconciled_ns
    cdef readonly dict positions
    cdef int64_t shares_of(self, object instrument) except? -1
    cdef int hold_again(self, Order order) except -1
    cdef int put_cash(self, ll_cash_row *row, uint64_t record, uint64_t position) noexcept


cdef class DeskCells:
    cdef public bint ledger_gap
    cdef readonly dict by_id
    cdef readonly dict by_order_id
    cdef readonly dict unsettled
    cdef readonly OpenOrders open
    cdef uint64_t _id_base
    cdef uint64_t _seq
    cdef uint32_t *_free
    cdef uint32_t _free_at
    cdef uint32_t _free_count
    cdef uint32_t _rows
    cdef uint64_t next_id(self) noexcept
    cdef int64_t pop_row(self) noexcept
    cdef int push_row(self, uint32_t row) except -1
    cdef int index(self, Order order) except -1


@cython.final
cdef class Question:
    cdef readonly object asked
    cdef readonly tuple orders
    cdef readonly int64_t at_ns
    cdef readonly object detail


@cython.final
cdef class InFlight:
    cdef int64_t _next_key
    cdef dict _questions
    cdef int64_t next_key(self) noexcept
    cdef int ask(self, int64_t key, Question question) except -1
