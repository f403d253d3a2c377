# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False, autotestdict=False
"""Scan the one frame that is most of the traffic: a price_change, in half of msgspec's time.

Run by market.decode before msgspec. The scanner (_scan.pxd) can refuse but never misread; what it
refuses returns None and msgspec decides. The tests hold it against msgspec on mutated frames.

Texts that come again and again (tokens, prices, sizes) are shared through two bounded tables, so
that a frame allocates almost nothing and the hash of a token is computed once.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from lowlat.venues.polymarket._scan cimport SELL, ChangeSpans, FrameSpans, Span, scan_frame

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
cdef str BUY_TEXT = "BUY"
cdef str SELL_TEXT = "SELL"
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


cdef ChangeSpans[CHANGES_MAX] SPANS


cdef str _text(const Span *span):
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


cdef Change _change_of(const ChangeSpans *spans):
    cdef Change change = Change.__new__(Change)
    change.asset_id = _text(&spans.asset_id)
    change.price = _text(&spans.price)
    change.size = _text(&spans.size)
    change.side = SELL_TEXT if spans.side == SELL else BUY_TEXT
    change.best_bid = _text(&spans.best_bid)
    change.best_ask = _text(&spans.best_ask)
    return change


cdef PriceChange _frame(const unsigned char *start, Py_ssize_t size):
    cdef FrameSpans frame
    cdef Py_ssize_t at
    frame.changes = SPANS
    frame.room = CHANGES_MAX
    if not scan_frame(start, size, &frame):
        return None
    cdef PriceChange event = PriceChange.__new__(PriceChange)
    event.market = _text(&frame.market)
    event.event_ns = frame.event_ns
    # The two changes of one level are nearly all there is.
    if frame.count == 2:
        event.price_changes = (_change_of(&SPANS[0]), _change_of(&SPANS[1]))
    else:
        event.price_changes = tuple([_change_of(&SPANS[at]) for at in range(frame.count)])
    return event


def scan_price_change(payload):
    """Return the PriceChange that a frame is, or None if msgspec must decide. About 0.5 us."""
    cdef Py_buffer view
    if PyBytes_CheckExact(payload):
        return _frame(<const unsigned char *> PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        return _frame(<const unsigned char *> view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
