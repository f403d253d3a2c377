# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False, autotestdict=False
"""Scan the one frame that is most of the traffic: a price_change, in half of msgspec's time.

Run by market.decode before msgspec. It accepts only plain JSON of exactly that kind: printable
ASCII strings without escapes, no key twice, every field there. On anything else, broken or merely
unusual, it returns None and msgspec decides; so this file can refuse but never misread. The
tests hold it against msgspec on mutated frames.

Texts that come again and again (tokens, prices, sizes) are shared through two bounded tables, so
that a frame allocates almost nothing and the hash of a token is computed once.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from "Python.h":
    object PyUnicode_FromKindAndData(int kind, const void *data, Py_ssize_t size)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

DEF SHORT_SLOTS = 4096
DEF LONG_SLOTS = 16384
DEF CHANGES_MAX = 1024

cdef uint64_t[SHORT_SLOTS] SHORT_KEYS
cdef list SHORT_TEXTS = [None] * SHORT_SLOTS
cdef list LONG_TEXTS = [None] * LONG_SLOTS
cdef str BUY = "BUY"
cdef str SELL = "SELL"
cdef uint64_t ONES = 0x0101010101010101
cdef uint64_t HIGHS = 0x8080808080808080
cdef uint64_t GOLDEN = 0x9E3779B97F4A7C15


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Change:
    """New total at one level, ``"0"`` removes it; best prices are those after the change."""

    cdef readonly str asset_id
    cdef readonly str price
    cdef readonly str size
    cdef readonly str side
    cdef readonly str best_bid
    cdef readonly str best_ask

    def __init__(
        self, str asset_id not None, str price not None, str size not None, str side not None,
        str best_bid not None, str best_ask not None,
    ):
        self.asset_id = asset_id
        self.price = price
        self.size = size
        self.side = side
        self.best_bid = best_bid
        self.best_ask = best_ask

    def _fields(self):
        return (self.asset_id, self.price, self.size, self.side, self.best_bid, self.best_ask)

    def __eq__(self, other):
        if type(other) is not Change:
            return NotImplemented
        return self._fields() == (<Change> other)._fields()

    def __hash__(self):
        return hash(self._fields())

    def __repr__(self):
        return f"Change{self._fields()!r}"


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class PriceChange:
    """Levels that changed, usually one of each token (mirror images: apply one of them)."""

    cdef readonly str market
    cdef readonly long long event_ns
    cdef readonly tuple price_changes

    def __init__(self, str market not None, long long event_ns, tuple price_changes not None):
        self.market = market
        self.event_ns = event_ns
        self.price_changes = price_changes

    @property
    def timestamp(self):
        """Venue time as the frame wrote it, decimal milliseconds."""
        return str(self.event_ns // 1_000_000)

    def _fields(self):
        return (self.market, self.event_ns, self.price_changes)

    def __eq__(self, other):
        if type(other) is not PriceChange:
            return NotImplemented
        return self._fields() == (<PriceChange> other)._fields()

    def __hash__(self):
        return hash(self._fields())

    def __repr__(self):
        return f"PriceChange{self._fields()!r}"


cdef struct Span:
    const unsigned char *start
    Py_ssize_t size


cdef struct Scan:
    const unsigned char *at
    const unsigned char *end


cdef inline unsigned char _peek(Scan *scan) noexcept:
    """Skip blanks and return the next byte, 0 at the end."""
    while scan.at < scan.end:
        if scan.at[0] > 32:
            return scan.at[0]
        if scan.at[0] != 32 and scan.at[0] != 10 and scan.at[0] != 13 and scan.at[0] != 9:
            return 0
        scan.at += 1
    return 0


cdef inline bint _take(Scan *scan, unsigned char wanted) noexcept:
    if _peek(scan) != wanted:
        return False
    scan.at += 1
    return True


cdef inline bint _string(Scan *scan, Span *out) noexcept:
    """Take a string of printable ASCII without escapes."""
    cdef uint64_t word
    cdef const unsigned char *at
    if not _take(scan, 34):
        return False
    at = scan.at
    # Eight bytes at a time until one of them is a quote, a backslash, a control or not ASCII.
    while scan.end - at >= 8:
        memcpy(&word, at, 8)
        if (
            (word & HIGHS)
            | ((word - ONES * 32) & ~word & HIGHS)
            | (((word ^ (ONES * 34)) - ONES) & ~(word ^ (ONES * 34)) & HIGHS)
            | (((word ^ (ONES * 92)) - ONES) & ~(word ^ (ONES * 92)) & HIGHS)
        ):
            break
        at += 8
    while at < scan.end and at[0] != 34:
        if at[0] < 32 or at[0] > 126 or at[0] == 92:
            return False
        at += 1
    if at >= scan.end:
        return False
    out.start = scan.at
    out.size = at - scan.at
    scan.at = at + 1
    return True


cdef inline bint _is(Span *span, const char *word, Py_ssize_t size) noexcept:
    return span.size == size and memcmp(span.start, word, size) == 0


cdef str _text(Span *span):
    """Return the span as text, shared with the last equal one where the tables hold it."""
    cdef uint64_t key = 0
    cdef Py_ssize_t slot
    cdef object held
    if span.size <= 8:
        memcpy(&key, span.start, span.size)
        slot = <Py_ssize_t> ((key * GOLDEN) >> 52)
        # No byte of a span is NUL, so the padded word is the text; 0 is the empty one.
        if SHORT_KEYS[slot] == key and key != 0:
            return <str> SHORT_TEXTS[slot]
        held = PyUnicode_FromKindAndData(1, span.start, span.size)
        SHORT_KEYS[slot] = key
        SHORT_TEXTS[slot] = held
        return <str> held
    if span.size < 32:
        return <str> PyUnicode_FromKindAndData(1, span.start, span.size)
    memcpy(&key, span.start + span.size - 8, 8)
    slot = <Py_ssize_t> ((key * GOLDEN) >> 50)
    held = LONG_TEXTS[slot]
    if (
        held is not None
        and PyUnicode_GET_LENGTH(held) == span.size
        and memcmp(PyUnicode_1BYTE_DATA(held), span.start, span.size) == 0
    ):
        return <str> held
    held = PyUnicode_FromKindAndData(1, span.start, span.size)
    LONG_TEXTS[slot] = held
    return <str> held


cdef inline long long _event_ns(Span *span) noexcept:
    """Return the time, or -1 when it is not 13 digits from 2020 to 2100."""
    cdef long long value = 0
    cdef Py_ssize_t i
    if span.size != 13:
        return -1
    for i in range(13):
        if span.start[i] < 48 or span.start[i] > 57:
            return -1
        value = value * 10 + (span.start[i] - 48)
    if value < 1577836800000 or value >= 4102444800000:
        return -1
    return value * 1000000


cdef Change _change(Scan *scan):
    """Take one change object, or return None."""
    cdef Span key, value
    cdef Change change = Change.__new__(Change)
    cdef bint hashed = False
    if not _take(scan, 123):
        return None
    while True:
        if not (_string(scan, &key) and _take(scan, 58) and _string(scan, &value)):
            return None
        if _is(&key, "asset_id", 8):
            if change.asset_id is not None:
                return None
            change.asset_id = _text(&value)
        elif _is(&key, "price", 5):
            if change.price is not None:
                return None
            change.price = _text(&value)
        elif _is(&key, "size", 4):
            if change.size is not None:
                return None
            change.size = _text(&value)
        elif _is(&key, "side", 4):
            if change.side is not None:
                return None
            if _is(&value, "BUY", 3):
                change.side = BUY
            elif _is(&value, "SELL", 4):
                change.side = SELL
            else:
                return None
        elif _is(&key, "best_bid", 8):
            if change.best_bid is not None:
                return None
            change.best_bid = _text(&value)
        elif _is(&key, "best_ask", 8):
            if change.best_ask is not None:
                return None
            change.best_ask = _text(&value)
        elif not _is(&key, "hash", 4) or hashed:
            return None
        else:
            hashed = True
        if _take(scan, 44):
            continue
        if not _take(scan, 125):
            return None
        break
    if (
        change.asset_id is None or change.price is None or change.size is None
        or change.side is None or change.best_bid is None or change.best_ask is None
    ):
        return None
    return change


cdef tuple _changes(Scan *scan):
    """Take the array of changes, or return None."""
    cdef Change first, second
    cdef list more
    if not _take(scan, 91):
        return None
    if _take(scan, 93):
        return ()
    first = _change(scan)
    if first is None:
        return None
    if _take(scan, 93):
        return (first,)
    if not _take(scan, 44):
        return None
    second = _change(scan)
    if second is None:
        return None
    if _take(scan, 93):
        return (first, second)
    more = [first, second]
    while _take(scan, 44):
        first = _change(scan)
        if first is None or len(more) >= CHANGES_MAX:
            return None
        more.append(first)
    return tuple(more) if _take(scan, 93) else None


cdef PriceChange _frame(Scan *scan):
    cdef Span key, value
    cdef PriceChange event = PriceChange.__new__(PriceChange)
    cdef bint kind = False
    event.event_ns = -1
    if not _take(scan, 123):
        return None
    while True:
        if not (_string(scan, &key) and _take(scan, 58)):
            return None
        if _is(&key, "price_changes", 13):
            if event.price_changes is not None:
                return None
            event.price_changes = _changes(scan)
            if event.price_changes is None:
                return None
        elif not _string(scan, &value):
            return None
        elif _is(&key, "market", 6):
            if event.market is not None:
                return None
            event.market = _text(&value)
        elif _is(&key, "timestamp", 9):
            if event.event_ns >= 0:
                return None
            event.event_ns = _event_ns(&value)
            if event.event_ns < 0:
                return None
        elif _is(&key, "event_type", 10):
            if kind or not _is(&value, "price_change", 12):
                return None
            kind = True
        else:
            return None
        if _take(scan, 44):
            continue
        if not _take(scan, 125):
            return None
        break
    if _peek(scan) != 0 or scan.at != scan.end:
        return None
    if not kind or event.market is None or event.price_changes is None or event.event_ns < 0:
        return None
    return event


def scan_price_change(payload):
    """Return the PriceChange that a frame is, or None if msgspec must decide. About 0.5 us."""
    cdef Scan scan
    cdef Py_buffer view
    if PyBytes_CheckExact(payload):
        scan.at = <const unsigned char *> PyBytes_AS_STRING(payload)
        scan.end = scan.at + PyBytes_GET_SIZE(payload)
        return _frame(&scan)
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        scan.at = <const unsigned char *> view.buf
        scan.end = scan.at + view.len
        return _frame(&scan)
    finally:
        PyBuffer_Release(&view)
