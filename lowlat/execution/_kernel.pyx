# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Compiled part of the executor: read an intent, clear the plain case, write row and SENDING.

Run by OrderSender; no I/O. ``FastCheck.clear`` says yes only when every check of ``OrderSender``
would pass for an order that stands alone; for anything else it says nothing and the checks decide.
A test runs both over the same inputs.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from lowlat.book._slots cimport NO_PRICE, ll_row8
from lowlat.book._view cimport BookView, i128

from lowlat.core.layout import INTENT, IntentFlag, OrderState, OrderType, ReportKind

__all__ = ["Announcer", "FactCells", "FastCheck", "IntentView", "MarketGate", "OrderCells"]

cdef extern from *:
    """
    #include "layout.h"
    typedef ll_intent ll_intent8 __attribute__((aligned(8)));
    typedef ll_order_row ll_order8 __attribute__((aligned(8)));
    typedef ll_report ll_report8 __attribute__((aligned(8)));
    typedef ll_shard_row ll_shard8 __attribute__((aligned(8)));
    """
    ctypedef struct ll_intent8:
        uint64_t id
        uint64_t cause
        uint64_t signal
        uint64_t group
        uint64_t target
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t checked_ns
        int64_t expires_ns
        int64_t size_e6
        int64_t spend_e6
        int64_t unwind_reserve_e6
        int32_t unwind_price_e4
        int32_t limit_price_e4
        int32_t touch_price_e4
        uint32_t instrument
        uint32_t generation
        uint32_t config_generation
        uint32_t expiration_s
        uint8_t action
        uint8_t order_type
        uint8_t urgency
        uint8_t intent_flags
        uint8_t leg
        uint8_t legs
        uint16_t mode
        uint8_t module[16]

    ctypedef struct ll_order8:
        uint64_t id
        uint64_t cause
        uint64_t signal
        uint64_t group
        uint8_t order_id[32]
        uint8_t token_id[32]
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t checked_ns
        int64_t sent_ns
        int64_t acked_ns
        int64_t filled_ns
        int64_t size_e6
        int64_t maker_amount_e6
        int64_t taker_amount_e6
        int64_t filled_e6
        int64_t cash_e6
        int64_t fee_e6
        int64_t reserved_e6
        int32_t price_e4
        uint32_t instrument
        uint32_t generation
        uint32_t config_generation
        uint16_t reason
        uint8_t state
        uint8_t action
        uint8_t order_type
        uint8_t order_flags
        uint8_t leg
        uint8_t legs
        uint8_t module[16]
        int64_t confirmed_e6
        uint32_t expiration_s
        uint32_t lookups
        int64_t created_wall_ms
        uint64_t salt
        int32_t unwind_price_e4
        uint32_t retries
        int64_t claimed_e6

    ctypedef struct ll_report8:
        uint64_t id
        uint64_t cause
        uint64_t intent
        uint64_t group
        int64_t at_ns
        uint8_t order_id[32]
        uint8_t trade_id[16]
        int32_t price_e4
        uint32_t instrument
        uint32_t generation
        uint16_t reason
        uint8_t kind
        uint8_t order_state
        int64_t size_e6
        int64_t cash_e6
        int64_t fee_e6
        int64_t filled_e6
        int64_t position_e6
        int64_t cash_after_e6
        int64_t reserved_e6
        uint8_t action
        uint8_t order_type
        uint8_t leg
        uint8_t legs
        uint32_t group_state
        uint8_t module[16]
        uint8_t trade_text[40]
        uint32_t order_row

    ctypedef struct ll_shard8:
        uint64_t id
        int64_t last_data_ns
        int64_t connected_ns
        uint32_t connection_generation
        uint16_t connections_alive
        uint8_t venue
        uint8_t alive
        uint32_t instruments
        uint32_t reconnects

cdef enum:
    BUY = 0
    ONE_PRICE = 10000
    MILLION = 1000000
    CENT = 10000
    DOLLAR = 1000000
    SLOT_HEAD = 16
    # BookFlag.TRUNCATED: a ladder deeper than the row is whole as far as the row goes.
    TRUNCATED = 16

cdef int CANCEL = IntentFlag.CANCEL
cdef int REDUCE_ONLY = IntentFlag.REDUCE_ONLY
cdef int POST_ONLY = IntentFlag.POST_ONLY
cdef int GTD = OrderType.GTD
cdef int FOK = OrderType.FOK
cdef int FAK = OrderType.FAK
cdef int STATE_SENDING = OrderState.SENDING
cdef int KIND_SENDING = ReportKind.SENDING
# More than this many millionths is for the checks: products below stay in 64 bits.
cdef int64_t SANE = 100000000000000
# A bound from here on is none; sums with it stay in 64 bits.
NO_LIMIT = 1 << 62


cdef void *_slot(const Py_buffer *view, size_t size_bytes) except NULL:
    if <size_t>view.len < size_bytes or <size_t>view.buf & 7:
        raise ValueError(
            f"slot of {view.len} bytes, expected {size_bytes} on an 8-byte boundary"
        )
    return view.buf


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

    cdef uint8_t[::1] _buffer
    cdef const ll_intent8 *_raw

    def __init__(self, buffer):
        """Bind the buffer of a StreamReader for intents, or a slot of one's own."""
        cdef Py_buffer view
        self._buffer = buffer
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
        try:
            self._raw = <const ll_intent8 *>_slot(&view, sizeof(ll_intent8))
        finally:
            PyBuffer_Release(&view)

    def load(self, record):
        """Take a record over into the slot."""
        INTENT.pack(self._buffer, record)

    def record(self):
        """Return all of it, fit to keep."""
        return INTENT.unpack(self._buffer)

    @property
    def plain(self):
        """Whether it is an order that stands alone."""
        cdef const ll_intent8 *raw = self._raw
        return not raw.intent_flags & CANCEL and (raw.group == 0 or raw.legs < 2)

    @property
    def instrument(self):
        """The token's index."""
        return self._raw.instrument

    @property
    def action(self):
        """BUY or SELL."""
        return self._raw.action

    @property
    def checked_ns(self):
        """When risk let it pass."""
        return self._raw.checked_ns

    @property
    def expires_ns(self):
        """When it is too late for it, 0 = never."""
        return self._raw.expires_ns


cdef class FactCells:
    """What a check needs to know of a token, as machine integers; ``Facts`` adds the rest.

    ``ladder_e6`` is the step of sizes at the tick, ``cut_e6`` that of the shares of a FOK or FAK
    BUY; both are 0 for a tick that the venue has not.
    """

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


@cython.final
cdef class MarketGate:
    """What MarketReader read, and the tables it reads, for the compiled checks."""

    cdef dict _facts
    cdef object _version
    cdef object _read_book
    cdef object _read_shard
    cdef BookView _view
    cdef const uint8_t[::1] _shard
    cdef int64_t _book_rows
    cdef int64_t _shard_rows

    def __init__(self, dict facts, markets, book, BookView view, shards):
        """facts: FactCells by instrument, kept by the caller; view: over the book's buffer."""
        self._facts = facts
        self._version = markets.version
        self._read_book = book.read
        self._view = view
        self._book_rows = book.rows
        self._read_shard = shards.read
        self._shard = shards.buffer
        self._shard_rows = shards.rows
        if self._shard.shape[0] < <Py_ssize_t>sizeof(ll_shard8):
            raise ValueError(f"shard row of {self._shard.shape[0]} bytes")

    cdef FactCells facts(self, uint32_t instrument):
        """Find the facts of the newest row, None when they have to be worked out first."""
        cdef object known = self._facts.get(instrument)
        cdef int64_t version
        if known is None:
            return None
        version = self._version(instrument >> 1)
        return <FactCells>known if (<FactCells?>known).version == version else None

    cdef const ll_row8 *book(self, uint32_t market) except? NULL:
        """Read a market's book into the view; NULL when there is none to trade on."""
        cdef int64_t read
        if market >= self._book_rows:
            return NULL
        read = self._read_book(market)
        return self._view.live() if read > 0 else NULL

    cdef int alive(self, const ll_row8 *row) except -1:
        """Say whether the connection that fed this book is still the one that would change it."""
        cdef const ll_shard8 *shard = <const ll_shard8 *>&self._shard[0]
        cdef int64_t read
        if row.shard >= self._shard_rows:
            return 0
        read = self._read_shard(row.shard)
        if read <= 0:
            return 0
        return shard.alive != 0 and shard.connection_generation == row.connection_generation


@cython.final
cdef class FastCheck:
    """The checks of OrderSender for the plain case, from its desk and its limits."""

    cdef dict _by_id
    cdef dict _open
    cdef object _crossing
    cdef object _selling
    cdef object _accounts
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
    cdef readonly object key
    """instrument, action, maker and taker amount: the template to take."""
    cdef readonly int post
    """Order type, +4 for post-only."""

    def __init__(self, desk, MarketGate gate not None, breaker, limits):
        """Bind what the checks of OrderSender read; limits never change."""
        self._by_id = desk.by_id
        self._open = desk.open.by_market
        self._crossing = desk.open.crossing
        self._selling = desk.open.selling_e6
        self._accounts = desk.accounts
        self._tripped = breaker.open_until
        self._closed = breaker.closed
        self._gate = gate
        self._shares_max_e6 = min(limits.order_shares_max_e6, NO_LIMIT)
        self._notional_max_e6 = min(limits.order_notional_max_e6, NO_LIMIT)
        self._open_max_e6 = min(limits.open_notional_max_e6, NO_LIMIT)
        self._band_e4 = min(limits.price_band_e4, NO_LIMIT)
        self._price_min_e4 = min(limits.price_min_e4, NO_LIMIT)
        self._price_max_e4 = min(limits.price_max_e4, NO_LIMIT)
        self._age_max_ns = min(limits.book_age_max_ns, NO_LIMIT)

    def clear(self, IntentView intent not None, int64_t now_ns):
        """Return whether every check passes; then the readonly fields say what is sent."""
        cdef const ll_intent8 *raw = intent._raw
        cdef FactCells facts
        cdef const ll_row8 *row
        if raw.intent_flags & ~(POST_ONLY | REDUCE_ONLY):
            return False
        if raw.order_type == GTD or raw.order_type > FAK:
            return False
        if raw.action > 1 or 0 < raw.expires_ns < now_ns or raw.id in self._by_id:
            return False
        if not 0 < raw.size_e6 <= SANE or not 0 <= raw.spend_e6 <= SANE:
            return False
        if not 0 < raw.limit_price_e4 < ONE_PRICE:
            return False
        facts = self._gate.facts(raw.instrument)
        if facts is None or facts.generation != raw.generation or not facts.tradeable:
            return False
        if self._tripped and not self._closed(raw.instrument >> 1, now_ns):
            return False
        row = self._gate.book(raw.instrument >> 1)
        if row == NULL or row.generation != facts.generation or row.book_flags & ~TRUNCATED:
            return False
        if not self._gate.alive(row) or 0 < self._age_max_ns < now_ns - row.recv_ns:
            return False
        if not self._in_band(raw) or not self._amounts(raw, facts):
            return False
        if not self._account(raw, facts):
            return False
        self.facts = facts
        self.key = (raw.instrument, raw.action, self.maker_e6, self.taker_e6)
        self.post = raw.order_type + (4 if raw.intent_flags & POST_ONLY else 0)
        return True

    cdef int _in_band(self, const ll_intent8 *raw) except -1:
        cdef BookView view = self._gate._view
        cdef int outcome = raw.instrument & 1
        cdef int64_t price_e4 = raw.limit_price_e4, touch_e4
        if not self._price_min_e4 <= price_e4 <= self._price_max_e4:
            return 0
        # A BUY is measured from the ask, a SELL from the bid; without it, from the other side.
        touch_e4 = view._touch(outcome, 1 if raw.action == BUY else 0)
        if touch_e4 == NO_PRICE:
            touch_e4 = view._touch(outcome, 0 if raw.action == BUY else 1)
        if touch_e4 == NO_PRICE:
            return 0
        if raw.action == BUY:
            return price_e4 <= touch_e4 + self._band_e4
        return price_e4 >= touch_e4 - self._band_e4

    cdef int _amounts(self, const ll_intent8 *raw, FactCells facts) except -1:
        """Work out what would be signed; 0 for what the rules of the venue refuse."""
        cdef int64_t price_e4 = raw.limit_price_e4, size_e6 = raw.size_e6, spend_e6, cash_e6
        cdef bint immediate = raw.order_type == FOK or raw.order_type == FAK
        cdef i128 paid
        if facts.ladder_e6 <= 0 or facts.cut_e6 <= 0 or facts.tick_e4 <= 0:
            return 0
        if immediate and raw.action == BUY:
            spend_e6 = raw.spend_e6
            if not spend_e6:
                spend_e6 = self._gate._view._walk(
                    raw.instrument & 1, BUY, size_e6, -1, price_e4, -1, 1
                ).cost_e6
            spend_e6 -= spend_e6 % CENT
            if not DOLLAR <= spend_e6 <= SANE:
                return 0
            self.maker_e6 = spend_e6
            self.taker_e6 = spend_e6 * ONE_PRICE // price_e4
            self.taker_e6 -= self.taker_e6 % facts.cut_e6
            paid = <i128>(price_e4 + 1) * <i128>self.taker_e6
            return <i128>spend_e6 * <i128>ONE_PRICE < paid
        if price_e4 % facts.tick_e4 or size_e6 % CENT:
            return 0
        if not facts.tick_e4 <= price_e4 <= ONE_PRICE - facts.tick_e4:
            return 0
        cash_e6 = size_e6 * price_e4 // ONE_PRICE
        if immediate:
            if cash_e6 % CENT:
                return 0
        elif not raw.intent_flags & REDUCE_ONLY:
            if size_e6 % facts.ladder_e6 or size_e6 < facts.min_size_e6 or cash_e6 < DOLLAR:
                return 0
        self.maker_e6 = cash_e6 if raw.action == BUY else size_e6
        self.taker_e6 = size_e6 if raw.action == BUY else cash_e6
        return 1

    cdef int _account(self, const ll_intent8 *raw, FactCells facts) except -1:
        cdef bint buy = raw.action == BUY
        cdef int64_t price_e4 = raw.limit_price_e4, size_e6 = raw.size_e6
        cdef int64_t cash_e6 = self.maker_e6 if buy else self.taker_e6
        cdef int64_t reserved_e6 = self._accounts.reserved_e6, cash_all_e6, left_e6
        cdef uint32_t market = raw.instrument >> 1
        if size_e6 > self._shares_max_e6 or cash_e6 > self._notional_max_e6:
            return 0
        if (reserved_e6 if buy else 0) + cash_e6 > self._open_max_e6:
            return 0
        if buy and <i128>cash_e6 * <i128>ONE_PRICE > <i128>size_e6 * <i128>price_e4:
            return 0
        if market in self._open:
            if self._crossing(market, raw.instrument & 1, raw.action, price_e4) is not None:
                return 0
        self.hold_e6 = 0
        if buy:
            self.hold_e6 = cash_e6 + <int64_t>(
                (<i128>cash_e6 * <i128>facts.rate_e6 + (MILLION - 1)) // <i128>MILLION
            )
            cash_all_e6 = self._accounts.cash_e6
            return self.hold_e6 <= cash_all_e6 - reserved_e6
        left_e6 = self._accounts.size_e6(raw.instrument)
        if market in self._open:
            left_e6 -= <int64_t>self._selling(market, raw.instrument)
        return size_e6 <= left_e6


@cython.final
cdef class Announcer:
    """Fills a new order's row and its SENDING report in the writers' private buffers."""

    cdef uint8_t[::1] _order_buffer
    cdef uint8_t[::1] _report_buffer
    cdef ll_order8 *_order
    cdef ll_report8 *_report

    def __init__(self, order_buffer, report_buffer):
        """Bind the buffers of the orders table's and the reports stream's writers."""
        cdef Py_buffer view
        self._order_buffer = order_buffer
        self._report_buffer = report_buffer
        PyObject_GetBuffer(order_buffer, &view, PyBUF_WRITABLE)
        try:
            self._order = <ll_order8 *>_slot(&view, sizeof(ll_order8))
        finally:
            PyBuffer_Release(&view)
        PyObject_GetBuffer(report_buffer, &view, PyBUF_WRITABLE)
        try:
            self._report = <ll_report8 *>_slot(&view, sizeof(ll_report8))
        finally:
            PyBuffer_Release(&view)

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
        cdef const ll_intent8 *raw = intent._raw
        cdef ll_order8 *order = self._order
        cdef ll_report8 *said = self._report
        memset(&order.id, 0, sizeof(ll_order8) - SLOT_HEAD)
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
        memset(&said.id, 0, sizeof(ll_report8) - SLOT_HEAD)
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
        said.cash_e6 = maker_e6
        said.position_e6 = position_e6
        said.cash_after_e6 = cash_e6
        said.reserved_e6 = hold_e6
        said.action = raw.action
        said.order_type = raw.order_type
        said.leg = raw.leg
        said.legs = raw.legs
        memcpy(said.module, raw.module, 16)
        said.order_row = row


cdef class OrderCells:
    """The fields of an order's row; ``Order`` adds what need not survive a restart."""

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

    def put(self, fields):
        """Take the fields of an OrderRow, in its order."""
        (
            self.id,
            self.cause,
            self.signal,
            self.group,
            self.order_id,
            self.token_id,
            self.event_ns,
            self.recv_ns,
            self.decoded_ns,
            self.published_ns,
            self.decided_ns,
            self.checked_ns,
            self.sent_ns,
            self.acked_ns,
            self.filled_ns,
            self.size_e6,
            self.maker_amount_e6,
            self.taker_amount_e6,
            self.filled_e6,
            self.cash_e6,
            self.fee_e6,
            self.reserved_e6,
            self.price_e4,
            self.instrument,
            self.generation,
            self.config_generation,
            self.reason,
            self.state,
            self.action,
            self.order_type,
            self.order_flags,
            self.leg,
            self.legs,
            self.module,
            self.confirmed_e6,
            self.expiration_s,
            self.lookups,
            self.created_wall_ms,
            self.salt,
            self.unwind_price_e4,
            self.retries,
            self.claimed_e6,
        ) = fields

    def load(self, buffer):
        """Read the row that a slot-sized buffer holds."""
        cdef Py_buffer view
        cdef const ll_order8 *raw
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
        try:
            raw = <const ll_order8 *>_slot(&view, sizeof(ll_order8))
            self._load(raw)
        finally:
            PyBuffer_Release(&view)

    cdef int _load(self, const ll_order8 *raw) except -1:
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
        return 0

    def pack(self, buffer):
        """Write the row behind the slot head of buffer."""
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            self._pack(<ll_order8 *>_slot(&view, sizeof(ll_order8)))
        finally:
            PyBuffer_Release(&view)

    cdef int _pack(self, ll_order8 *raw) except -1:
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
