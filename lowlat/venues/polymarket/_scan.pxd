"""Scan a price_change frame into spans of its own bytes: no Python object, no allocation.

Shared by _frames.pyx, which makes values of the spans, and by the feed's compiled path. Accepts
only plain JSON of exactly that kind: printable ASCII strings without escapes, no key twice, every
field there. Anything else, broken or merely unusual, is refused and msgspec decides: this file can
refuse but never misread.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    /* First byte that is a quote, a backslash, a control or not ASCII; sixteen at a time, because
     * two thirds of a frame are tokens and hashes. */
    static inline const unsigned char *plain_end(const unsigned char *at,
                                                 const unsigned char *end) {
    #ifdef __SSE2__
        const __m128i quote = _mm_set1_epi8(34), slash = _mm_set1_epi8(92);
        const __m128i blank = _mm_set1_epi8(32);
        for (; end - at >= 16; at += 16) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)at);
            /* As signed numbers, bytes that are not ASCII lie below the blank too. */
            int special = _mm_movemask_epi8(
                _mm_or_si128(_mm_cmplt_epi8(bytes, blank),
                             _mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
                                          _mm_cmpeq_epi8(bytes, slash))));
            if (special) return at + __builtin_ctz(special);
        }
    #endif
        while (at < end && *at >= 32 && *at < 128 && *at != 34 && *at != 92) at++;
        return at;
    }
    """
    const unsigned char *plain_end(const unsigned char *at, const unsigned char *end) nogil

cdef enum:
    BUY = 0
    SELL = 1

    HAS_ASSET = 1
    HAS_PRICE = 2
    HAS_SIZE = 4
    HAS_SIDE = 8
    HAS_BID = 16
    HAS_ASK = 32
    HAS_HASH = 64
    CHANGE_WHOLE = 63

    HAS_MARKET = 1
    HAS_CHANGES = 2
    HAS_TIME = 4
    HAS_KIND = 8
    FRAME_WHOLE = 15

ctypedef struct Span:
    const unsigned char *start
    Py_ssize_t size

ctypedef struct ChangeSpans:
    Span asset_id
    Span price
    Span size
    Span best_bid
    Span best_ask
    int side

ctypedef struct FrameSpans:
    ChangeSpans *changes
    Py_ssize_t room
    Py_ssize_t count
    Span market
    int64_t event_ns

ctypedef struct Scan:
    const unsigned char *at
    const unsigned char *end


cdef inline unsigned char _peek(Scan *scan) noexcept nogil:
    """Skip blanks and return the next byte, 0 at the end."""
    while scan.at < scan.end:
        if scan.at[0] > 32:
            return scan.at[0]
        if scan.at[0] != 32 and scan.at[0] != 10 and scan.at[0] != 13 and scan.at[0] != 9:
            return 0
        scan.at += 1
    return 0


cdef inline bint _take(Scan *scan, unsigned char wanted) noexcept nogil:
    if _peek(scan) != wanted:
        return False
    scan.at += 1
    return True


cdef inline bint _string(Scan *scan, Span *out) noexcept nogil:
    """Take a string of ASCII without controls and escapes."""
    cdef const unsigned char *at
    if not _take(scan, 34):
        return False
    at = plain_end(scan.at, scan.end)
    if at >= scan.end or at[0] != 34:
        return False
    out.start = scan.at
    out.size = at - scan.at
    scan.at = at + 1
    return True


cdef inline bint _is(const Span *span, const char *word, Py_ssize_t size) noexcept nogil:
    return span.size == size and memcmp(span.start, word, <size_t>size) == 0


cdef inline int64_t _event_ns(const Span *span) noexcept nogil:
    """Return the time, or -1 when it is not 13 digits from 2020 to 2100."""
    cdef int64_t value = 0
    cdef Py_ssize_t i
    if span.size != 13:
        return -1
    for i in range(13):
        if span.start[i] < 48 or span.start[i] > 57:
            return -1
        value = value * 10 + (span.start[i] - 48)
    if value < <int64_t>1577836800000 or value >= <int64_t>4102444800000:
        return -1
    return value * 1000000


cdef inline int _field(ChangeSpans *change, const Span *key, const Span *value) noexcept nogil:
    """Keep one field of a change; return its bit, 0 when it is none or not to be understood."""
    if _is(key, "asset_id", 8):
        change.asset_id = value[0]
        return HAS_ASSET
    if _is(key, "price", 5):
        change.price = value[0]
        return HAS_PRICE
    if _is(key, "size", 4):
        change.size = value[0]
        return HAS_SIZE
    if _is(key, "side", 4):
        if _is(value, "BUY", 3):
            change.side = BUY
        elif _is(value, "SELL", 4):
            change.side = SELL
        else:
            return 0
        return HAS_SIDE
    if _is(key, "best_bid", 8):
        change.best_bid = value[0]
        return HAS_BID
    if _is(key, "best_ask", 8):
        change.best_ask = value[0]
        return HAS_ASK
    return HAS_HASH if _is(key, "hash", 4) else 0


cdef inline bint _change(Scan *scan, ChangeSpans *change) noexcept nogil:
    """Take one change object."""
    cdef Span key, value
    cdef int seen = 0, bit
    if not _take(scan, 123):
        return False
    while True:
        if not (_string(scan, &key) and _take(scan, 58) and _string(scan, &value)):
            return False
        bit = _field(change, &key, &value)
        if bit == 0 or seen & bit:
            return False
        seen |= bit
        if _take(scan, 44):
            continue
        return _take(scan, 125) and seen & CHANGE_WHOLE == CHANGE_WHOLE


cdef inline bint _changes(Scan *scan, FrameSpans *frame) noexcept nogil:
    """Take the array of changes."""
    frame.count = 0
    if not _take(scan, 91):
        return False
    if _take(scan, 93):
        return True
    while True:
        if frame.count >= frame.room or not _change(scan, &frame.changes[frame.count]):
            return False
        frame.count += 1
        if _take(scan, 44):
            continue
        return _take(scan, 93)


cdef inline bint scan_frame(
    const unsigned char *start, Py_ssize_t size, FrameSpans *frame
) noexcept nogil:
    """Fill ``frame``, whose ``changes`` has ``room``; False when the scanner refuses."""
    cdef Scan scan
    cdef Span key, value
    cdef int seen = 0, bit
    scan.at = start
    scan.end = start + size
    if not _take(&scan, 123):
        return False
    while True:
        if not (_string(&scan, &key) and _take(&scan, 58)):
            return False
        if _is(&key, "price_changes", 13):
            bit = HAS_CHANGES
            if seen & bit or not _changes(&scan, frame):
                return False
        elif not _string(&scan, &value):
            return False
        elif _is(&key, "market", 6):
            bit = HAS_MARKET
            frame.market = value
        elif _is(&key, "timestamp", 9):
            bit = HAS_TIME
            frame.event_ns = _event_ns(&value)
            if frame.event_ns < 0:
                return False
        elif _is(&key, "event_type", 10) and _is(&value, "price_change", 12):
            bit = HAS_KIND
        else:
            return False
        if seen & bit:
            return False
        seen |= bit
        if _take(&scan, 44):
            continue
        if not _take(&scan, 125):
            return False
        break
    return seen == FRAME_WHOLE and _peek(&scan) == 0 and scan.at == scan.end
