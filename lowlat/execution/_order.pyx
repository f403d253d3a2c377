# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Records of the executor, compiled: an intent in its slot, an order, the row that announces it.

Used by the whole of lowlat.execution; no I/O. An ``Order`` is its row field by field, plus what
need not survive a restart; orders.py has the table of its states.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from lowlat.book._view cimport i128
from lowlat.core.layout cimport (
    LL_ACTION_BUY,
    LL_SLOT_HEAD_BYTES,
    ll_intent,
    ll_order_row,
    ll_report,
)

from lowlat.core.layout import INTENT, ORDER_ROW, IntentFlag, OrderState, OrderType, ReportKind

__all__ = ["REST_DUST_E6", "TERMINAL", "Announcer", "IntentView", "Order"]

cdef enum:
    MILLION = 1000000
    # A rest below a hundredth of a share cannot trade: it is done. Source: polymarket.md 4.2.
    DUST = 10000
    # Crypto's, the highest. Source: polymarket.md 7.1.
    RATE_UNKNOWN_E6 = 70000

REST_DUST_E6 = DUST
TERMINAL = frozenset(
    {
        OrderState.REJECTED,
        OrderState.UNMATCHED,
        OrderState.EXPIRED,
        OrderState.CANCELED,
        OrderState.MATCHED,
    }
)
cdef int CANCEL = IntentFlag.CANCEL
cdef int FOK = OrderType.FOK
cdef int FAK = OrderType.FAK
cdef int STATE_SENDING = OrderState.SENDING
cdef int KIND_SENDING = ReportKind.SENDING
cdef uint32_t CLOSED = 0
for _state in TERMINAL:
    CLOSED |= <uint32_t>1 << <int>_state


cdef void *slot_of(object buffer, size_t size_bytes, bint writable) except NULL:
    """Return the address of a slot; the caller keeps the buffer's owner for as long as it uses it.

    Buffers of streams and tables do not move: they are memory of the ends that own them.
    """
    cdef Py_buffer view
    cdef void *address
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
    try:
        if <size_t>view.len < size_bytes or <size_t>view.buf & 7:
            raise ValueError(
                f"slot of {view.len} bytes, expected {size_bytes} on an 8-byte boundary"
            )
        address = view.buf
    finally:
        PyBuffer_Release(&view)
    return address


cdef int _text(uint8_t *field, bytes value, Py_ssize_t size_bytes) except -1:
    """Write bytes into a field, cut or NUL-padded as struct does."""
    cdef Py_ssize_t length
    if value is None:
        raise TypeError("a field of bytes was None")
    length = min(PyBytes_GET_SIZE(value), size_bytes)
    memcpy(field, PyBytes_AS_STRING(value), length)
    memset(field + length, 0, size_bytes - length)
    return 0


@cython.final
cdef class IntentView:
    """An intent in its slot, bound once; valid until the slot's next poll or load."""

    def __init__(self, buffer):
        """Bind the buffer of a StreamReader for intents, or a slot of one's own."""
        self._buffer = buffer
        self.raw = <const ll_intent *>slot_of(buffer, sizeof(ll_intent), False)

    def load(self, record):
        """Take a record over into the slot."""
        INTENT.pack(self._buffer, record)

    def record(self):
        """Return all of it, fit to keep."""
        return INTENT.unpack(self._buffer)

    @property
    def plain(self):
        """Whether it is an order that stands alone."""
        cdef const ll_intent *raw = self.raw
        return not raw.intent_flags & CANCEL and (raw.group == 0 or raw.legs < 2)

    @property
    def instrument(self):
        """The token's index."""
        return self.raw.instrument


@cython.final
cdef class Order:
    """An order as its row has it, field by field, plus what need not survive a restart.

    Mutable; owned by the executor. ``generation`` and the like are the intent's.
    """

    def __init__(self, uint32_t row, fields):
        """Take the fields of an OrderRow, in its order."""
        cdef bytes packed = ORDER_ROW.codec.pack(*fields)
        self.read(row, <const ll_order_row *>(PyBytes_AS_STRING(packed) - LL_SLOT_HEAD_BYTES))

    @staticmethod
    def of_row(uint32_t row, buffer):
        """Make the order whose row a slot-sized buffer holds."""
        cdef Order order = Order.__new__(Order)
        order.read(row, <const ll_order_row *>slot_of(buffer, sizeof(ll_order_row), False))
        return order

    def pack(self, buffer):
        """Write the row behind the slot head of buffer."""
        self.write(<ll_order_row *>slot_of(buffer, sizeof(ll_order_row), True))

    @property
    def fees(self):
        """The market's fee rule when it was sent; None after a restart without the market."""
        return self._fees

    @fees.setter
    def fees(self, fees):
        self.put_fees(fees, RATE_UNKNOWN_E6 if fees is None else fees.rate_e6)

    @property
    def immediate(self):
        """Whether it can not rest: FOK or FAK."""
        return self.is_immediate()

    @property
    def open(self):
        """Whether more can still happen to the unfilled part."""
        return self.is_open()

    @property
    def rest_e6(self):
        """Shares that could still fill, never negative."""
        return self.rest()

    @property
    def awaited_e6(self):
        """Shares the venue says were matched and whose trade has not been heard of."""
        return max(0, self.claimed_e6 - self.matched_e6)

    @property
    def settling(self):
        """Whether a fill is known that is neither final nor reversed, or one is awaited."""
        return self.is_settling()

    @property
    def done(self):
        """Whether nothing more is expected: its row may be used again."""
        return not self.is_open() and not self.is_settling()

    def hold_e6(self):
        """Return the cash it may still take: the unspent part of a BUY and its worst fee."""
        return self.hold()

    cdef int put_fees(self, object fees, int64_t rate_e6) except -1:
        self._fees = fees
        self._rate_e6 = rate_e6
        return 0

    cdef bint is_open(self) noexcept:
        return not CLOSED >> self.state & 1

    cdef bint is_immediate(self) noexcept:
        return self.order_type == FOK or self.order_type == FAK

    cdef bint is_settling(self) noexcept:
        return self.claimed_e6 - self.matched_e6 > DUST or self.confirmed_e6 != self.filled_e6

    cdef int64_t rest(self) noexcept:
        return max(<int64_t>0, self.size_e6 - self.matched_e6) if self.is_open() else 0

    cdef int64_t hold(self) noexcept:
        cdef int64_t left_e6, whole_e6
        cdef i128 share
        if self.action != LL_ACTION_BUY:
            return 0
        left_e6 = max(<int64_t>0, self.maker_amount_e6 - self.cash_e6)
        if self.is_open():
            if not self.is_immediate():
                whole_e6 = max(<int64_t>1, self.size_e6)
                share = <i128>self.maker_amount_e6 * <i128>self.rest()
                left_e6 = min(left_e6, <int64_t>((share + (whole_e6 - 1)) // <i128>whole_e6))
        elif self.claimed_e6 - self.matched_e6 <= DUST:
            return 0
        share = <i128>left_e6 * <i128>self._rate_e6
        return left_e6 + <int64_t>((share + (MILLION - 1)) // <i128>MILLION)

    cdef int read(self, uint32_t row, const ll_order_row *raw) except -1:
        self.id = raw.id
        self.cause = raw.cause
        self.signal = raw.signal
        self.group = raw.group
        self.order_id = PyBytes_FromStringAndSize(<const char *>raw.order_id, 32)
        self.token_id = PyBytes_FromStringAndSize(<const char *>raw.token_id, 32)
        self.event_ns = raw.event_ns
        self.recv_ns = raw.recv_ns
        self.decoded_ns = raw.decoded_ns
        self.published_ns = raw.published_ns
        self.decided_ns = raw.decided_ns
        self.checked_ns = raw.checked_ns
        self.sent_ns = raw.sent_ns
        self.acked_ns = raw.acked_ns
        self.filled_ns = raw.filled_ns
        self.size_e6 = raw.size_e6
        self.maker_amount_e6 = raw.maker_amount_e6
        self.taker_amount_e6 = raw.taker_amount_e6
        self.filled_e6 = raw.filled_e6
        self.cash_e6 = raw.cash_e6
        self.fee_e6 = raw.fee_e6
        self.reserved_e6 = raw.reserved_e6
        self.price_e4 = raw.price_e4
        self.instrument = raw.instrument
        self.generation = raw.generation
        self.config_generation = raw.config_generation
        self.reason = raw.reason
        self.state = raw.state
        self.action = raw.action
        self.order_type = raw.order_type
        self.order_flags = raw.order_flags
        self.leg = raw.leg
        self.legs = raw.legs
        self.module = PyBytes_FromStringAndSize(<const char *>raw.module, 16)
        self.confirmed_e6 = raw.confirmed_e6
        self.expiration_s = raw.expiration_s
        self.lookups = raw.lookups
        self.created_wall_ms = raw.created_wall_ms
        self.salt = raw.salt
        self.unwind_price_e4 = raw.unwind_price_e4
        self.retries = raw.retries
        self.claimed_e6 = raw.claimed_e6
        self.row = row
        self.market = raw.instrument >> 1
        self.fills = {}
        self.matched_e6 = raw.filled_e6
        self.expires_ns = self.lookup_ns = self.unknown_ns = 0
        self.asking = self.sealed = False
        self._fees = None
        self._rate_e6 = RATE_UNKNOWN_E6
        return 0

    cdef int write(self, ll_order_row *raw) except -1:
        raw.id = self.id
        raw.cause = self.cause
        raw.signal = self.signal
        raw.group = self.group
        _text(raw.order_id, self.order_id, 32)
        _text(raw.token_id, self.token_id, 32)
        raw.event_ns = self.event_ns
        raw.recv_ns = self.recv_ns
        raw.decoded_ns = self.decoded_ns
        raw.published_ns = self.published_ns
        raw.decided_ns = self.decided_ns
        raw.checked_ns = self.checked_ns
        raw.sent_ns = self.sent_ns
        raw.acked_ns = self.acked_ns
        raw.filled_ns = self.filled_ns
        raw.size_e6 = self.size_e6
        raw.maker_amount_e6 = self.maker_amount_e6
        raw.taker_amount_e6 = self.taker_amount_e6
        raw.filled_e6 = self.filled_e6
        raw.cash_e6 = self.cash_e6
        raw.fee_e6 = self.fee_e6
        raw.reserved_e6 = self.reserved_e6
        raw.price_e4 = self.price_e4
        raw.instrument = self.instrument
        raw.generation = self.generation
        raw.config_generation = self.config_generation
        raw.reason = self.reason
        raw.state = self.state
        raw.action = self.action
        raw.order_type = self.order_type
        raw.order_flags = self.order_flags
        raw.leg = self.leg
        raw.legs = self.legs
        _text(raw.module, self.module, 16)
        raw.confirmed_e6 = self.confirmed_e6
        raw.expiration_s = self.expiration_s
        raw.lookups = self.lookups
        raw.created_wall_ms = self.created_wall_ms
        raw.salt = self.salt
        raw.unwind_price_e4 = self.unwind_price_e4
        raw.retries = self.retries
        raw.claimed_e6 = self.claimed_e6
        return 0


@cython.final
cdef class Announcer:
    """Fills a new order's row and its SENDING report in the writers' private buffers."""

    def __init__(self, order_buffer, report_buffer):
        """Bind the buffers of the orders table's and the reports stream's writers."""
        self._order_buffer = order_buffer
        self._report_buffer = report_buffer
        self.order = <ll_order_row *>slot_of(order_buffer, sizeof(ll_order_row), True)
        self.report = <ll_report *>slot_of(report_buffer, sizeof(ll_report), True)

    def fill(
        self,
        IntentView intent not None,
        bytes order_id not None,
        bytes token_id not None,
        int64_t maker_e6,
        int64_t taker_e6,
        int64_t hold_e6,
        int64_t timestamp_ms,
        uint64_t salt,
        uint32_t retries,
        uint32_t row,
        uint64_t report,
        int64_t now_ns,
        int64_t position_e6,
        int64_t cash_e6,
    ):
        """Fill both; the caller writes the row, then publishes the report."""
        self.put_order(
            intent.raw,
            order_id,
            token_id,
            maker_e6,
            taker_e6,
            hold_e6,
            timestamp_ms,
            salt,
            retries,
        )
        self.put_report(intent.raw, row, report, now_ns, position_e6, cash_e6)

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
    ) except -1:
        cdef ll_order_row *order = self.order
        memset(&order.id, 0, sizeof(ll_order_row) - LL_SLOT_HEAD_BYTES)
        order.id = raw.id
        order.cause = raw.cause
        order.signal = raw.signal
        order.group = raw.group
        _text(order.order_id, order_id, 32)
        _text(order.token_id, token_id, 32)
        order.event_ns = raw.event_ns
        order.recv_ns = raw.recv_ns
        order.decoded_ns = raw.decoded_ns
        order.published_ns = raw.published_ns
        order.decided_ns = raw.decided_ns
        order.checked_ns = raw.checked_ns
        order.size_e6 = raw.size_e6
        order.maker_amount_e6 = maker_e6
        order.taker_amount_e6 = taker_e6
        order.reserved_e6 = hold_e6
        order.price_e4 = raw.limit_price_e4
        order.instrument = raw.instrument
        order.generation = raw.generation
        order.config_generation = raw.config_generation
        order.state = STATE_SENDING
        order.action = raw.action
        order.order_type = raw.order_type
        order.order_flags = raw.intent_flags
        order.leg = raw.leg
        order.legs = raw.legs
        memcpy(order.module, raw.module, 16)
        order.expiration_s = raw.expiration_s
        order.created_wall_ms = timestamp_ms
        order.salt = salt
        order.unwind_price_e4 = raw.unwind_price_e4
        order.retries = retries
        return 0

    cdef int put_report(
        self,
        const ll_intent *raw,
        uint32_t row,
        uint64_t report,
        int64_t now_ns,
        int64_t position_e6,
        int64_t cash_e6,
    ) noexcept:
        """Say SENDING of the order that ``put_order`` has filled in."""
        cdef const ll_order_row *order = self.order
        cdef ll_report *said = self.report
        memset(&said.id, 0, sizeof(ll_report) - LL_SLOT_HEAD_BYTES)
        said.id = report
        said.cause = raw.cause
        said.intent = raw.id
        said.group = raw.group
        said.at_ns = now_ns
        memcpy(said.order_id, order.order_id, 32)
        said.price_e4 = raw.limit_price_e4
        said.instrument = raw.instrument
        said.generation = raw.generation
        said.kind = KIND_SENDING
        said.order_state = STATE_SENDING
        said.size_e6 = raw.size_e6
        said.cash_e6 = order.maker_amount_e6
        said.position_e6 = position_e6
        said.cash_after_e6 = cash_e6
        said.reserved_e6 = order.reserved_e6
        said.action = raw.action
        said.order_type = raw.order_type
        said.leg = raw.leg
        said.legs = raw.legs
        memcpy(said.module, raw.module, 16)
        said.order_row = row
        return 0
