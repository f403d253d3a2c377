# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""Take a plain price_change from its bytes to the published top of book, in one compiled chain.

Run by the Polymarket feed for every frame. Plain is: well-formed, of one market that is live and
healthy, nothing asked by REST, every price on its grid. Whatever is not plain is found out before
anything is changed and handed to the Python way (``other``), which is also this file's oracle in
the tests. ``BookOutput`` writes for both.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp

from lowlat.book._book cimport BookSlots, MarketBook
from lowlat.book._side cimport SIDE_CHANGED, parse_digits, side_set, side_t
from lowlat.book._slots cimport LL_BOOKFLAG_CROSSED, ONE
from lowlat.core._ends cimport (
    ClockEnd,
    PublishEnd,
    RecordEnd,
    RowWriteEnd,
    RunEnd,
    clock_end,
    publish_end,
    record_end,
    row_write_end,
    run_end,
)
from lowlat.feeds._state cimport Link, MarketState, TokenIndex, is_token
from lowlat.venues.polymarket._scan cimport ChangeSpans, FrameSpans, Span, scan_frame

__all__ = ["BookOutput", "PlainFrames"]

cdef extern from *:
    """
    #define LL_PREFETCH(p) __builtin_prefetch((p), 1, 3)
    """
    void LL_PREFETCH(const void *p) nogil

cdef enum:
    CHANGES_MAX = 8
    TOKEN_DIGITS_MAX = 78
    TOKEN_DIGITS_USUAL = 75
    # Behind `{"market":"0x` 64 digits `","price_changes":[{"asset_id":"`.
    TOKEN_AT = 109

# Sizes up to the one never overflow a side whose total is up to the other.
cdef int64_t SIZE_E6_MAX = 10**15
cdef int64_t TOTAL_E6_MAX = 8 * 10**18

ctypedef struct Level:
    int64_t key
    int64_t size_e6
    int side


@cython.final
cdef class BookOutput:
    """Row, then top, of one feed's books: the only place that writes either."""

    cdef BookSlots _slots
    cdef RowWriteEnd _books
    cdef PublishEnd _market
    cdef ClockEnd _clock
    cdef RecordEnd _record
    cdef int _kind
    cdef uint64_t _ids
    cdef readonly uint64_t next

    def __init__(self, books, market, clock, latency, int kind, uint64_t ids):
        """``ids`` is the record id of position 0; ``latency`` takes receive to publish, or None."""
        self._slots = BookSlots(books.buffer, market.buffer)
        self._books = row_write_end(books)
        self._market = publish_end(market)
        self._clock = clock_end(clock)
        self._record = record_end(latency) if latency is not None else None
        self._kind = kind
        self._ids = ids
        self.next = market.cursor

    @property
    def next_id(self):
        """Name of the record that is published next."""
        return self._ids | self.next

    def publish(self, int kind):
        """Publish what was packed into the stream's buffer."""
        self.next = self._market.c_publish(kind) + 1

    def book(
        self, MarketState state not None, int sides, int64_t event_ns, int64_t recv_ns,
        int64_t decoded_ns,
    ):
        """Write a market's row, then publish its top."""
        self.put(state, sides, event_ns, recv_ns, decoded_ns)

    cdef int put(
        self, MarketState state, int sides, int64_t event_ns, int64_t recv_ns, int64_t decoded_ns
    ) except -1:
        cdef int64_t now_ns = self._clock.c_monotonic_ns()
        cdef uint32_t lines = self._slots.put(
            state.book, self._ids | self.next, event_ns, recv_ns, decoded_ns, now_ns, sides
        )
        cdef uint64_t version = <uint64_t>self._books.c_write_lines(state.row, lines)
        if version != state.book.version:
            self._slots.written(state.book, version)
        self.next = self._market.c_publish(self._kind) + 1
        if self._record is not None:
            self._record.c_record(now_ns - recv_ns)
        return 0


@cython.final
cdef class PlainFrames:
    """The listener's ``on_frame``. ``frames`` and ``published`` are counted up until taken."""

    cdef list _links
    cdef TokenIndex _tokens
    cdef BookOutput _output
    cdef ClockEnd _clock
    cdef object _put_tape
    cdef RunEnd _pump
    cdef object _other
    cdef object _disagreed
    cdef object _published
    cdef ChangeSpans[CHANGES_MAX] _spans
    cdef Level[CHANGES_MAX] _levels
    cdef public int64_t frames
    cdef public int64_t published

    def __init__(
        self, list links not None, TokenIndex tokens not None, BookOutput output not None,
        clock, put_tape, pump, other, disagreed, published,
    ):
        """``put_tape`` and ``pump`` may be None. ``other`` takes every frame that is not plain.

        ``disagreed`` and ``published`` take (state, sides, event_ns, recv_ns, decoded_ns): a book
        whose touch is not the venue's after a change, and an image that begins or ends a cross.
        """
        self._links = links
        self._tokens = tokens
        self._output = output
        self._clock = clock_end(clock)
        self._put_tape = put_tape
        self._pump = run_end(pump) if pump is not None else None
        self._other = other
        self._disagreed = disagreed
        self._published = published

    def on_frame(self, connection, bytes payload not None, bint is_text, int64_t recv_ns):
        """Decode, apply, publish, pump. Bad frames are counted and sampled, never raised."""
        cdef Py_ssize_t number = connection.number
        if self._put_tape is not None:
            self._put_tape(payload, recv_ns, number, 0)
        if not is_text or not self._take(<Link?>self._links[number], connection, payload, recv_ns):
            self._other(connection, payload, is_text, recv_ns)
        elif self._pump is not None:
            self._pump.c_run()

    cdef bint _take(self, Link link, connection, bytes payload, int64_t recv_ns) except -1:
        """Do it all for a plain frame; False, and nothing changed, for any other."""
        cdef FrameSpans frame
        cdef MarketState state
        cdef void *found = NULL
        cdef int64_t decoded_ns
        cdef int outcome
        if not link.alone or link.connection is not connection or link.session is None:
            return False
        self._hint(<const unsigned char *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
        frame.changes = self._spans
        frame.room = CHANGES_MAX
        if not scan_frame(
            <const unsigned char *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), &frame
        ) or frame.count == 0:
            return False
        decoded_ns = self._clock.c_monotonic_ns()
        outcome = self._market(&frame, &found)
        if outcome < 0:
            return False
        state = <MarketState>found
        _load_side(&state.book._sides[0])
        _load_side(&state.book._sides[1])
        self._output._books.c_warm(
            state.row, state.book.version + 1, state.book.stale_lines()
        )
        if (
            not state.live or state.doubted or state.asked or state.book._sticky
            or frame.event_ns < state.book_event_ns
            or not self._understood(state.book, outcome, &frame)
        ):
            return False
        link.data_ns = recv_ns
        link.frames += 1
        self.frames += 1
        self._apply(state, outcome, &frame, recv_ns, decoded_ns)
        return True

    cdef void _hint(self, const unsigned char *text, Py_ssize_t size) noexcept:
        """Have the market's memory loaded while the frame is scanned.

        The venue's frames have their first token at one place. No other place, no hint.
        """
        cdef Py_ssize_t at
        if size < TOKEN_AT + TOKEN_DIGITS_MAX + 1 or memcmp(
            text + TOKEN_AT - 12, b'"asset_id":"', 12
        ) != 0:
            return
        for at in range(TOKEN_AT + TOKEN_DIGITS_MAX, TOKEN_AT + TOKEN_DIGITS_USUAL - 1, -1):
            if text[at] == c'"':
                self._tokens.prefetch(text + TOKEN_AT, at - TOKEN_AT)
                return

    cdef int _market(self, const FrameSpans *frame, void **state) except? -1:
        """Find the one market of every change; return the last one's outcome, -1 if it is not one.

        ``_levels[i].side`` gets the side in YES terms: a NO bid is a YES ask.
        """
        cdef void *found = NULL
        cdef const Span *token
        cdef Py_ssize_t at
        cdef int outcome = -1
        for at in range(frame.count):
            token = &frame.changes[at].asset_id
            # Nearly always the twin of the one before: no need to look it up.
            if at == 0 or not is_token(<MarketState>found, 1 - outcome, token.start, token.size):
                outcome = self._tokens.find(token.start, token.size, &found)
                if outcome < 0 or (at and found != state[0]):
                    return -1
                state[0] = found
            else:
                outcome = 1 - outcome
            self._levels[at].side = outcome ^ frame.changes[at].side
            # Remembered in the key's place until the price is read.
            self._levels[at].key = outcome
        return outcome

    cdef bint _understood(self, MarketBook book, int outcome, const FrameSpans *frame) noexcept:
        """Read every number; False when one is off the grid or out of bounds."""
        cdef const ChangeSpans *change
        cdef Level *level
        cdef int64_t price
        cdef Py_ssize_t at
        if book._sides[0].total > TOTAL_E6_MAX or book._sides[1].total > TOTAL_E6_MAX:
            return False
        for at in range(frame.count):
            change = &frame.changes[at]
            level = &self._levels[at]
            price = parse_digits(change.price.start, change.price.size, 4)
            if price <= 0 or price >= ONE or (book._tick and price % book._tick):
                return False
            if level.key:
                price = ONE - price
            level.key = -price if level.side else price
            level.size_e6 = parse_digits(change.size.start, change.size.size, 6)
            if level.size_e6 < 0 or level.size_e6 > SIZE_E6_MAX:
                return False
        change = &frame.changes[frame.count - 1]
        return _stated(&change.best_bid) >= 0 and _stated(&change.best_ask) >= 0

    cdef int _apply(
        self, MarketState state, int outcome, const FrameSpans *frame, int64_t recv_ns,
        int64_t decoded_ns,
    ) except -1:
        """Change the ladder, compare the touch, publish once."""
        cdef MarketBook book = state.book
        cdef const ChangeSpans *last = &frame.changes[frame.count - 1]
        cdef Level *level
        cdef int sides = 0, code
        cdef Py_ssize_t at
        cdef bint crossed
        for at in range(frame.count):
            level = &self._levels[at]
            code = side_set(&book._sides[level.side], level.key, level.size_e6, ONE)
            if code < 0:
                # Full and overflow were ruled out.
                raise MemoryError
            if code == SIDE_CHANGED:
                book.changes += 1
                sides |= 2 if level.side else 1
        if frame.event_ns > state.event_ns:
            state.event_ns = frame.event_ns
        if not _agrees(book, outcome, _stated(&last.best_bid), _stated(&last.best_ask)):
            self._disagreed(state, sides, frame.event_ns, recv_ns, decoded_ns)
            return 0
        if not sides:
            return 0
        crossed = book._flags() & LL_BOOKFLAG_CROSSED != 0
        if crossed != state.crossed:
            self._published(state, sides, frame.event_ns, recv_ns, decoded_ns)
            return 0
        self._output.put(state, sides, frame.event_ns, recv_ns, decoded_ns)
        self.published += 1
        return 0


cdef inline void _load_side(const side_t *side) noexcept nogil:
    """Begin to load the best levels: the last of the keys, the last of the sizes."""
    cdef const char *key = <const char *>(side.key + side.count - 1)
    cdef const char *size = key + 8 * side.capacity
    if side.count:
        LL_PREFETCH(key)
        LL_PREFETCH(key - 64)
        LL_PREFETCH(size)
        LL_PREFETCH(size - 64)


cdef inline int64_t _stated(const Span *text) noexcept nogil:
    """Return a stated best price, 0 for an empty side (no text, 0 or 1), -1 for bad text."""
    cdef int64_t price
    if text.size == 0:
        return 0
    price = parse_digits(text.start, text.size, 4)
    if price > ONE:
        return -1
    return 0 if price == ONE else price


cdef inline bint _agrees(
    MarketBook book, int outcome, int64_t best_bid, int64_t best_ask
) noexcept:
    """Compare a token's stated touch with the ladder's; prices of NO are YES prices mirrored."""
    cdef const side_t *bids = &book._sides[0]
    cdef const side_t *asks = &book._sides[1]
    cdef int64_t bid = bids.key[bids.count - 1] if bids.count else 0
    cdef int64_t ask = -asks.key[asks.count - 1] if asks.count else 0
    if outcome:
        return (
            best_ask == (ONE - bid if bids.count else 0)
            and best_bid == (ONE - ask if asks.count else 0)
        )
    return best_bid == bid and best_ask == ask
