# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, freethreading_compatible=False
"""Keep order books as integer ladders and write their images into shared-memory slots.

Run by feeds, the only writers of books; no I/O, no clock. Reading is in _view.pyx. Text from a
venue goes to integers here without any rounding; what is not a plain decimal on the market's grid
raises RemoteProtocolError and changes nothing.
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

from lowlat.book._ladder cimport build_side, fail_side, levels_of, list_side, pair_of
from lowlat.book._side cimport (
    level_t, parse_decimal, side_add, side_free, side_set, side_size_at, side_t,
)
from lowlat.book._slots cimport (
    ASK_PRICE_AT, ASK_SIZE_AT, BID_PRICE_AT, BID_SIZE_AT, LL_BOOK_LEVELS, LL_BOOK_TOP_LEVELS,
    LL_BOOKFLAG_CONFIRMED, LL_BOOKFLAG_CROSSED, LL_BOOKFLAG_DIVERGED, LL_BOOKFLAG_LOCKED,
    LL_BOOKFLAG_STALE, LL_BOOKFLAG_TRUNCATED, NO_PRICE, ONE, ROW_LINES, ROW_TAIL, TOP_TAIL,
    ll_row8, ll_top8,
)

from lowlat.book._ladder import ASK, BID, LEVELS_MAX, Ladder, parse_levels
from lowlat.book._sets import SetWalk, walk_sets
from lowlat.book._view import BookView, Walk
from lowlat.core.errors import RemoteProtocolError

__all__ = [
    "ASK",
    "BID",
    "LEVELS_MAX",
    "BookSlots",
    "BookView",
    "Ladder",
    "MarketBook",
    "SetWalk",
    "Walk",
    "parse_levels",
    "walk_sets",
]

cdef enum:
    POLYMARKET = 1


cdef inline void _fill(
    const side_t *side, int sign, int shown, int slots, int32_t *price, int64_t *size
) noexcept nogil:
    """Write the best levels first; what is left of the slots says that there is no level."""
    _fill_prices(side, sign, shown, 0, slots, price)
    _fill_sizes(side, shown, 0, slots, size)


cdef inline void _fill_prices(
    const side_t *side, int sign, int shown, int first, int end, int32_t *price
) noexcept nogil:
    cdef int at, last = side.count - 1
    for at in range(first, min(shown, end)):
        price[at] = <int32_t>(sign * side.key[last - at])
    for at in range(max(first, shown), end):
        price[at] = NO_PRICE


cdef inline void _fill_sizes(
    const side_t *side, int shown, int first, int end, int64_t *size
) noexcept nogil:
    cdef const int64_t *sizes = side.key + side.capacity
    cdef int at, last = side.count - 1
    for at in range(first, min(shown, end)):
        size[at] = sizes[last - at]
    for at in range(max(first, shown), end):
        size[at] = 0


cdef inline int _clamp(int level) noexcept nogil:
    return min(max(level, 0), LL_BOOK_LEVELS)


cdef inline uint32_t _span_lines(int first_byte, int end_byte) noexcept nogil:
    """Return one bit for each cache line of the row that the bytes lie on."""
    return (<uint32_t>2 << (end_byte - 1) // 64) - (<uint32_t>1 << first_byte // 64)


cdef inline uint32_t _touched(side_t *side, int price_at, int size_at) noexcept nogil:
    """Return the row's lines that differ since the last image, and begin anew."""
    cdef uint32_t lines = 0, resized = side.resized
    cdef int depth = 0
    if side.moved < LL_BOOK_LEVELS:
        lines = _span_lines(price_at + 4 * side.moved, price_at + 4 * LL_BOOK_LEVELS)
        lines |= _span_lines(size_at + 8 * side.moved, size_at + 8 * LL_BOOK_LEVELS)
    while resized:
        if resized & 1:
            lines |= <uint32_t>1 << (size_at + 8 * depth) // 64
        resized >>= 1
        depth += 1
    side.moved = LL_BOOK_LEVELS
    side.resized = 0
    return lines


cdef inline bint _equal(const side_t *a, const side_t *b) noexcept nogil:
    if a.count != b.count or a.total != b.total:
        return False
    if a.count == 0:
        return True
    return (
        memcmp(a.key, b.key, <size_t>a.count * sizeof(int64_t)) == 0
        and memcmp(a.key + a.capacity, b.key + b.capacity, <size_t>a.count * sizeof(int64_t)) == 0
    )


cdef inline int _token(int outcome, int action) except -1:
    """Return the side in YES terms: a NO bid at p is a YES ask at 1 - p and the reverse."""
    if (outcome | action) & ~1:
        raise ValueError(f"outcome, action were {outcome}, {action}, expected 0 or 1 each")
    return outcome ^ action


@cython.final
cdef class BookSlots:
    """The feed's two private slots (BOOK_ROW, BOOK_TOP), held for life so that images are cheap.

    One serves every book of the feed: ``slots.image(book, ...)`` acquires no buffer.
    """

    def __cinit__(self, row, top):
        _acquire(row, &self._row, sizeof(ll_row8), "row")
        self._held = 1
        _acquire(top, &self._top, sizeof(ll_top8), "top")
        self._held = 2

    def __dealloc__(self):
        if self._held > 1:
            PyBuffer_Release(&self._top)
        if self._held > 0:
            PyBuffer_Release(&self._row)

    def image(
        self,
        MarketBook book not None,
        uint64_t record_id,
        int64_t event_ns,
        int64_t recv_ns,
        int64_t decoded_ns,
        int64_t published_ns,
        int changed_sides,
    ):
        """Write the book behind the slot heads of both slots; see MarketBook.image."""
        book._image(
            <ll_row8 *>self._row.buf, <ll_top8 *>self._top.buf, record_id, event_ns, recv_ns,
            decoded_ns, published_ns, changed_sides, ROW_LINES,
        )

    def image_lines(
        self,
        MarketBook book not None,
        uint64_t record_id,
        int64_t event_ns,
        int64_t recv_ns,
        int64_t decoded_ns,
        int64_t published_ns,
        int changed_sides,
    ):
        """Do the same for the lines of the row that its table's cell has not got yet; return them.

        Every image of the book must then go to the table, by ``write_lines``, and nothing else.
        """
        return self.put(
            book, record_id, event_ns, recv_ns, decoded_ns, published_ns, changed_sides
        )

    cdef uint32_t put(
        self,
        MarketBook book,
        uint64_t record_id,
        int64_t event_ns,
        int64_t recv_ns,
        int64_t decoded_ns,
        int64_t published_ns,
        int changed_sides,
    ) noexcept nogil:
        cdef uint32_t lines = book._take_lines()
        book._image(
            <ll_row8 *>self._row.buf, <ll_top8 *>self._top.buf, record_id, event_ns, recv_ns,
            decoded_ns, published_ns, changed_sides, lines,
        )
        return lines

    cdef void written(self, MarketBook book, uint64_t version) noexcept nogil:
        """Say which version the table gave the row: it steps over one that a dead writer left.

        Versions and cells were then counted wrongly, so every cell is written whole once more.
        """
        cdef int cell
        book.version = (<ll_top8 *>self._top.buf).version = version
        for cell in range(4):
            book._stale[cell] = ROW_LINES


cdef int _acquire(object buffer, Py_buffer *held, size_t wanted, str name) except -1:
    PyObject_GetBuffer(buffer, held, PyBUF_WRITABLE)
    if <size_t>held.len < wanted or <size_t>held.buf & 7:
        PyBuffer_Release(held)
        raise ValueError(
            f"{name} slot was {held.len} bytes, expected {wanted} or more on an 8-byte boundary"
        )
    return 0


@cython.final
cdef class MarketBook:
    """One binary market: a single ladder in YES terms, fed by both of its tokens.

    A NO bid at p is a YES ask at 1 - p, so the venue's mirrored second message is normally a
    no-op here. Written by the feed only. A new book is STALE until its first ``load``.

    ``flags`` holds what the feed says (STALE, DIVERGED, CONFIRMED) and what the ladder shows
    (CROSSED, LOCKED, TRUNCATED). ``version`` is the row version of the last image: ``image`` adds
    one first, so set it once to the table's version of the row when taking over a table.
    """

    def __cinit__(self, uint32_t market, uint32_t generation, int venue=POLYMARKET):
        cdef int cell
        self.market = market
        self.generation = generation
        self.venue = <uint8_t>venue
        self.last_trade_price_e4 = NO_PRICE
        self._sticky = <uint16_t>LL_BOOKFLAG_STALE
        for cell in range(4):
            self._stale[cell] = ROW_LINES

    def __dealloc__(self):
        side_free(&self._sides[0])
        side_free(&self._sides[1])

    def __sizeof__(self):
        return object.__sizeof__(self) + 16 * (
            self._sides[0].capacity + self._sides[1].capacity
        )

    @property
    def tick_e4(self):
        """Price grid, 0 while unknown.

        Setting a finer tick keeps every level. A coarser one, or a first one that some level is
        off, clears the book and marks it STALE: what stood there is gone. Source: polymarket.md
        12.5.
        """
        return self._tick

    @tick_e4.setter
    def tick_e4(self, int tick_e4):
        cdef int32_t old = self._tick
        if tick_e4 < 0 or tick_e4 >= ONE or (tick_e4 and ONE % tick_e4):
            raise RemoteProtocolError(
                f"tick_e4 of market {self.market} was {tick_e4}, expected a divisor of {ONE}"
            )
        self._tick = tick_e4
        if tick_e4 and (old % tick_e4 if old else not self._on_grid()):
            self._drop()

    cdef bint _on_grid(self) noexcept:
        cdef int side
        cdef int32_t at
        for side in range(2):
            for at in range(self._sides[side].count):
                if self._sides[side].key[at] % self._tick:
                    return False
        return True

    cdef void _drop(self) noexcept:
        cdef int side
        for side in range(2):
            self._sides[side].count = 0
            self._sides[side].total = 0
            self._sides[side].moved = 0
        self._sticky |= <uint16_t>LL_BOOKFLAG_STALE

    @property
    def flags(self):
        """BookFlag bits; assigning keeps STALE, DIVERGED and CONFIRMED, the levels say the rest.

        CONFIRMED is shown only while the book is crossed or locked.
        """
        return self._flags()

    @flags.setter
    def flags(self, int flags):
        self._sticky = <uint16_t>(
            flags & (LL_BOOKFLAG_STALE | LL_BOOKFLAG_DIVERGED | LL_BOOKFLAG_CONFIRMED)
        )

    cdef int _flags(self) noexcept nogil:
        cdef const side_t *bids = &self._sides[0]
        cdef const side_t *asks = &self._sides[1]
        cdef int flags = self._sticky
        cdef int64_t gap
        if bids.count > LL_BOOK_LEVELS or asks.count > LL_BOOK_LEVELS:
            flags |= LL_BOOKFLAG_TRUNCATED
        if bids.count and asks.count:
            gap = -asks.key[asks.count - 1] - bids.key[bids.count - 1]
            if gap < 0:
                flags |= LL_BOOKFLAG_CROSSED
            elif gap == 0:
                flags |= LL_BOOKFLAG_LOCKED
        if not flags & (LL_BOOKFLAG_CROSSED | LL_BOOKFLAG_LOCKED):
            flags &= ~LL_BOOKFLAG_CONFIRMED
        return flags

    def clear(self):
        """Forget every level and mark the book STALE until the next load."""
        self._drop()

    cdef int64_t _price(self, object text) except -1:
        """Read a price of the market's grid inside (0, 1)."""
        cdef int64_t price = parse_decimal(text, 4)
        if price <= 0 or price >= ONE or (self._tick and price % self._tick):
            raise RemoteProtocolError(
                f"price of market {self.market} was {text!r}, expected a decimal above 0 and "
                f"below 1 on the grid of {self._tick or 1} e-4"
            )
        return price

    cdef int64_t _size(self, object text) except -1:
        cdef int64_t size = parse_decimal(text, 6)
        if size < 0:
            raise RemoteProtocolError(
                f"size of market {self.market} was {text!r}, expected a plain decimal of at most "
                f"6 places"
            )
        return size

    def change(self, int outcome, int action, price, size):
        """Set one level of a token to an absolute size; BUY is a bid level, SELL an ask level.

        Price and size are the venue's text. Returns the sides changed in YES terms (1 bids,
        2 asks, 0 nothing). Raises RemoteProtocolError and changes nothing on bad text or price.
        """
        cdef int side = _token(outcome, action)
        cdef int64_t price_e4 = self._price(price)
        cdef int64_t size_e6 = self._size(size)
        cdef int code
        if outcome:
            price_e4 = ONE - price_e4
        code = side_set(&self._sides[side], -price_e4 if side else price_e4, size_e6, ONE)
        if code <= 0:
            return fail_side(code, f"market {self.market} price {price}") if code else 0
        self.changes += 1
        return 2 if side else 1

    def delta(self, int outcome, int action, price, delta):
        """Change one level of a token by a signed amount; otherwise as ``change``.

        A level that would fall below zero raises RemoteProtocolError and stays as it was.
        """
        cdef int side = _token(outcome, action)
        cdef int64_t price_e4 = self._price(price)
        cdef bint minus = isinstance(delta, str) and delta[:1] == "-"
        cdef int64_t delta_e6 = self._size(delta[1:] if minus else delta)
        cdef int code
        if outcome:
            price_e4 = ONE - price_e4
        code = side_add(
            &self._sides[side], -price_e4 if side else price_e4, -delta_e6 if minus else delta_e6,
            ONE,
        )
        if code <= 0:
            return fail_side(code, f"market {self.market} price {price}") if code else 0
        self.changes += 1
        return 2 if side else 1

    def load(self, int outcome, bids, asks):
        """Replace the whole ladder by one token's full snapshot.

        Levels are (price, size) text pairs or objects with these attributes, in any order; of two
        at one price the later wins. Success clears STALE and DIVERGED. Returns the sides that
        differ from before, 3 when the book became healthy. On any bad level the book is left
        empty and STALE, and RemoteProtocolError raised.
        """
        return self._load(outcome, bids, outcome, asks, 1)

    def load_bids(self, yes_bids, no_bids):
        """Replace the whole ladder by the bids of both tokens, as Kalshi sends it; see load."""
        return self._load(0, yes_bids, 1, no_bids, 0)

    cdef int _load(
        self, int first, object first_levels, int second, object second_levels, int second_action
    ) except -1:
        """Build both sides aside, then swap them in; on any fault drop the book."""
        cdef side_t fresh[2]
        cdef int side, changed = 0
        memset(fresh, 0, sizeof(fresh))
        try:
            side = _token(first, 0)
            self._read(&fresh[side], side, first, first_levels)
            side = _token(second, second_action)
            self._read(&fresh[side], side, second, second_levels)
        except BaseException:
            side_free(&fresh[0])
            side_free(&fresh[1])
            self._drop()
            raise
        for side in range(2):
            if not _equal(&fresh[side], &self._sides[side]):
                changed |= 2 if side else 1
            side_free(&self._sides[side])
            self._sides[side] = fresh[side]
        if changed:
            self.changes += 1
        if self._sticky:
            self._sticky = 0
            changed = 3
        return changed

    cdef int _read(self, side_t *side, int which, int outcome, object levels) except -1:
        cdef list rows = levels_of(levels)
        cdef Py_ssize_t count = len(rows), at
        cdef int64_t price
        cdef int code
        cdef level_t *scratch = <level_t *>malloc((<size_t>count + 1) * sizeof(level_t))
        if scratch == NULL:
            raise MemoryError
        try:
            for at in range(count):
                price_text, size_text = pair_of(rows[at])
                price = self._price(price_text)
                if outcome:
                    price = ONE - price
                scratch[at].key = -price if which else price
                scratch[at].size = self._size(size_text)
                scratch[at].order = at
            code = build_side(side, scratch, count, ONE)
            if code < 0:
                fail_side(code, f"snapshot of market {self.market}")
        finally:
            free(scratch)
        return 0

    def best(self, int outcome, int side):
        """Return the best price of a token's side in 1e-4, or NO_PRICE_E4."""
        return self._best(outcome, side)

    cdef int64_t _best(self, int outcome, int side) except? -1:
        cdef int which = _token(outcome, side)
        cdef const side_t *levels = &self._sides[which]
        cdef int64_t price
        if levels.count == 0:
            return NO_PRICE
        price = levels.key[levels.count - 1]
        if which:
            price = -price
        return ONE - price if outcome else price

    def size_at(self, int outcome, int side, int price_e4):
        """Return a token's size at a price in 1e-6, 0 when there is no such level."""
        cdef int which = _token(outcome, side)
        cdef int64_t price = ONE - price_e4 if outcome else price_e4
        return side_size_at(&self._sides[which], -price if which else price)

    def count(self, int outcome, int side):
        """Return how many levels a token's side has."""
        return self._sides[_token(outcome, side)].count

    def depth_e6(self, int outcome, int side):
        """Return the total size of a token's side."""
        return self._sides[_token(outcome, side)].total

    def levels(self, int outcome, int side, Py_ssize_t count=ONE):
        """Return up to count (price_e4, size_e6) pairs of a token's side, best first."""
        cdef int which = _token(outcome, side)
        levels = list_side(&self._sides[which], -1 if which else 1, max(count, 0))
        return [(ONE - price, size) for price, size in levels] if outcome else levels

    def touch_agrees(self, int outcome, best_bid, best_ask):
        """Say whether the venue's best prices of a token, as text, are ours.

        Empty text, 0 and 1 mean that the side is empty. Other bad text raises RemoteProtocolError.
        """
        return (
            self._stated(best_bid) == self._best(outcome, 0)
            and self._stated(best_ask) == self._best(outcome, 1)
        )

    cdef int64_t _stated(self, object text) except -1:
        cdef int64_t price = parse_decimal(text, 4)
        if 0 < price < ONE:
            return price
        if price == 0 or price == ONE or text == "":
            return NO_PRICE
        raise RemoteProtocolError(
            f"best price of market {self.market} was {text!r}, expected a decimal from 0 to 1"
        )

    def image(
        self,
        row,
        top,
        uint64_t record_id,
        int64_t event_ns,
        int64_t recv_ns,
        int64_t decoded_ns,
        int64_t published_ns,
        int changed_sides,
    ):
        """Write this book behind the slot heads of a BOOK_ROW and a BOOK_TOP slot.

        Every byte behind the heads is written: unused levels hold NO_PRICE_E4 and 0, tails 0.
        Hot feeds hold a BookSlots and call its ``image``, which skips acquiring the buffers.
        """
        BookSlots(row, top).image(
            self, record_id, event_ns, recv_ns, decoded_ns, published_ns, changed_sides
        )

    cdef uint32_t _take_lines(self) noexcept nogil:
        """Return the lines that the next version's cell has not got: it holds the one 4 before."""
        cdef uint32_t lines = 3
        cdef int cell
        lines |= _touched(&self._sides[0], BID_PRICE_AT, BID_SIZE_AT)
        lines |= _touched(&self._sides[1], ASK_PRICE_AT, ASK_SIZE_AT)
        for cell in range(4):
            self._stale[cell] |= lines
        cell = (self.version + 1) & 3
        lines = self._stale[cell]
        self._stale[cell] = 0
        return lines

    cdef uint32_t stale_lines(self) noexcept nogil:
        """Guess at the lines of the next image, to have them loaded."""
        return self._stale[(self.version + 1) & 3] | 3

    cdef void _image(
        self,
        ll_row8 *row,
        ll_top8 *top,
        uint64_t record_id,
        int64_t event_ns,
        int64_t recv_ns,
        int64_t decoded_ns,
        int64_t published_ns,
        int changed_sides,
        uint32_t lines,
    ) noexcept nogil:
        """Fill the top, and of the row's levels those on ``lines``."""
        cdef const side_t *bids = &self._sides[0]
        cdef const side_t *asks = &self._sides[1]
        cdef int line, first, end
        cdef int bid_count = min(bids.count, LL_BOOK_LEVELS)
        cdef int ask_count = min(asks.count, LL_BOOK_LEVELS)
        cdef uint16_t flags = <uint16_t>self._flags()
        self.version += 1
        row.id = top.id = record_id
        row.event_ns = top.event_ns = event_ns
        row.recv_ns = top.recv_ns = recv_ns
        row.decoded_ns = top.decoded_ns = decoded_ns
        row.published_ns = top.published_ns = published_ns
        row.market = top.market = self.market
        row.generation = top.generation = self.generation
        row.book_flags = top.book_flags = flags
        row.snapshot_event_ns = self.snapshot_event_ns
        row.connection_generation = self.connection_generation
        row.shard = self.shard
        row.tick_e4 = <uint32_t>self._tick
        row.bid_count = <uint16_t>bid_count
        row.ask_count = <uint16_t>ask_count
        row.last_trade_price_e4 = self.last_trade_price_e4
        row.changes = self.changes
        row.bid_depth_e6 = bids.total
        row.ask_depth_e6 = asks.total
        for line in range(1, <int>(sizeof(ll_row8) // 64)):
            if not lines >> line & 1:
                continue
            first, end = 64 * line, 64 * line + 64
            _fill_prices(
                bids, 1, bid_count, _clamp((first - BID_PRICE_AT) // 4),
                _clamp((end - BID_PRICE_AT) // 4), row.bid_price_e4,
            )
            _fill_prices(
                asks, -1, ask_count, _clamp((first - ASK_PRICE_AT) // 4),
                _clamp((end - ASK_PRICE_AT) // 4), row.ask_price_e4,
            )
            _fill_sizes(
                bids, bid_count, _clamp((first - BID_SIZE_AT) // 8),
                _clamp((end - BID_SIZE_AT) // 8), row.bid_size_e6,
            )
            _fill_sizes(
                asks, ask_count, _clamp((first - ASK_SIZE_AT) // 8),
                _clamp((end - ASK_SIZE_AT) // 8), row.ask_size_e6,
            )
        memset(row.tail_reserved, 0, ROW_TAIL)
        bid_count = min(bid_count, LL_BOOK_TOP_LEVELS)
        ask_count = min(ask_count, LL_BOOK_TOP_LEVELS)
        top.version = self.version
        top.bid_count = <uint16_t>bid_count
        top.ask_count = <uint16_t>ask_count
        top.venue = self.venue
        top.changed_sides = <uint8_t>changed_sides
        _fill(bids, 1, bid_count, LL_BOOK_TOP_LEVELS, top.bid_price_e4, top.bid_size_e6)
        _fill(asks, -1, ask_count, LL_BOOK_TOP_LEVELS, top.ask_price_e4, top.ask_size_e6)
        memset(top.tail_reserved, 0, TOP_TAIL)
