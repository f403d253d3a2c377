"""Index of _order.pyx: an intent in its slot, an order and its row, the words that announce it."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from lowlat.core.layout cimport ll_intent, ll_order_row, ll_report


cdef void *slot_of(object buffer, size_t size_bytes, bint writable) except NULL


@cython.final
cdef class IntentView:
    cdef uint8_t[::1] _buffer
    cdef const ll_intent *raw


@cython.final
cdef class Order:
    cdef public uint64_t id
    cdef public uint64_t cause
    cdef public uint64_t signal
    cdef public uint64_t group
    cdef public bytes order_id
    cdef public bytes token_id
    cdef public int64_t event_ns
    cdef public int64_t recv_ns
    cdef public int64_t decoded_ns
    cdef public int64_t published_ns
    cdef public int64_t decided_ns
    cdef public int64_t checked_ns
    cdef public int64_t sent_ns
    cdef public int64_t acked_ns
    cdef public int64_t filled_ns
    cdef public int64_t size_e6
    cdef public int64_t maker_amount_e6
    cdef public int64_t taker_amount_e6
    cdef public int64_t filled_e6
    cdef public int64_t cash_e6
    cdef public int64_t fee_e6
    cdef public int64_t reserved_e6
    cdef public int32_t price_e4
    cdef public uint32_t instrument
    cdef public uint32_t generation
    cdef public uint32_t config_generation
    cdef public uint16_t reason
    cdef public uint8_t state
    cdef public uint8_t action
    cdef public uint8_t order_type
    cdef public uint8_t order_flags
    cdef public uint8_t leg
    cdef public uint8_t legs
    cdef public bytes module
    cdef public int64_t confirmed_e6
    cdef public uint32_t expiration_s
    cdef public uint32_t lookups
    cdef public int64_t created_wall_ms
    cdef public uint64_t salt
    cdef public int32_t unwind_price_e4
    cdef public uint32_t retries
    cdef public int64_t claimed_e6
    # From here on: what need not survive a restart.
    cdef public uint32_t row
    cdef readonly uint32_t market
    cdef readonly dict fills
    cdef public int64_t matched_e6
    cdef public int64_t expires_ns
    cdef public int64_t lookup_ns
    cdef public int64_t unknown_ns
    cdef public bint asking
    cdef public bint sealed
    cdef object _fees
    cdef int64_t _rate_e6
    cdef int read(self, uint32_t row, const ll_order_row *raw) except -1
    cdef int write(self, ll_order_row *raw) except -1
    cdef int put_fees(self, object fees, int64_t rate_e6) except -1
    cdef bint is_open(self) noexcept
    cdef bint is_immediate(self) noexcept
    cdef bint is_settling(self) noexcept
    cdef int64_t rest(self) noexcept
    cdef int64_t hold(self) noexcept


@cython.final
cdef class Announcer:
    cdef object _order_buffer
    cdef object _report_buffer
    cdef ll_order_row *order
    cdef ll_report *report
    cdef int put_order(
        self,
        const ll_intent *raw,
        bytes order_id,
        bytes token_id,
        int64_t maker_e6,
        int64_t taker_e6,
        int64_t hold_e6,
        int64_t timestamp_ms,
        uint64_t salt,
        uint32_t retries,
    ) except -1
    cdef int put_report(
        self,
        const ll_intent *raw,
        uint32_t row,
        uint64_t report,
        int64_t now_ns,
        int64_t position_e6,
        int64_t cash_e6,
    ) noexcept
