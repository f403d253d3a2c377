# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, freethreading_compatible=False
"""Keep a generic two-sided ladder of integers, and what every compiled book shares.

Run by feeds, the only writers of books; no I/O, no clock.
"""

cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

from lowlat.book._side cimport (
    CAP_LEVELS, SIDE_CHANGED, SIDE_FULL, SIDE_NO_MEMORY, SIDE_OVERFLOW, level_t, parse_decimal,
    side_add, side_free, side_reserve, side_set, side_size_at, side_t,
)

from lowlat.core.errors import RemoteProtocolError

__all__ = ["ASK", "BID", "LEVELS_MAX", "Ladder", "parse_levels"]

BID = 0
ASK = 1
LEVELS_MAX = CAP_LEVELS


cdef int fail_side(int code, object what) except -1:
    if code == SIDE_NO_MEMORY:
        raise MemoryError
    if code == SIDE_FULL:
        raise RemoteProtocolError(f"{what}: side is full, expected at most its cap of levels")
    if code == SIDE_OVERFLOW:
        raise RemoteProtocolError(f"{what}: side holds more than 64 bits of size")
    raise RemoteProtocolError(f"{what}: level would fall below zero")


cdef int _order(const void *left, const void *right) noexcept nogil:
    cdef const level_t *a = <const level_t *>left
    cdef const level_t *b = <const level_t *>right
    if a.key != b.key:
        return 1 if a.key > b.key else -1
    return 1 if a.order > b.order else -1


cdef int build_side(side_t *side, level_t *levels, Py_ssize_t count, int32_t cap) noexcept nogil:
    """Fill an empty side from levels in any order; of two at one price the later wins."""
    cdef Py_ssize_t at
    cdef bint sorted_already = True
    cdef int32_t kept = 0
    for at in range(1, count):
        if levels[at].key <= levels[at - 1].key:
            sorted_already = False
            break
    if not sorted_already:
        qsort(levels, <size_t>count, sizeof(level_t), _order)
    for at in range(count):
        if at + 1 < count and levels[at + 1].key == levels[at].key:
            continue
        if levels[at].size == 0:
            continue
        levels[kept] = levels[at]
        kept += 1
        if kept > cap:
            return SIDE_FULL
    if side_reserve(side, kept) < 0:
        return SIDE_NO_MEMORY
    for at in range(kept):
        if levels[at].size > INT64_MAX - side.total:
            return SIDE_OVERFLOW
        side.key[at] = levels[at].key
        side.key[side.capacity + at] = levels[at].size
        side.total += levels[at].size
    side.count = kept
    return SIDE_CHANGED


cdef list list_side(const side_t *side, int sign, Py_ssize_t count):
    cdef Py_ssize_t at
    cdef list levels = []
    if count > side.count:
        count = side.count
    for at in range(side.count - 1, side.count - 1 - count, -1):
        levels.append((sign * side.key[at], side.key[side.capacity + at]))
    return levels


cdef inline int _side_of(int side) except -1:
    if side & ~1:
        raise ValueError(f"side was {side}, expected BID (0) or ASK (1)")
    return side


def parse_levels(levels, int price_decimals, int size_decimals):
    """Turn (price text, size text) pairs into integer pairs, exactly.

    Raises RemoteProtocolError like lowlat.core.units.parse_fixed; some 60 ns a level.
    """
    cdef list out = []
    cdef int64_t price, size
    if not (0 <= price_decimals <= 12 and 0 <= size_decimals <= 12):
        raise ValueError(f"decimals were {price_decimals}, {size_decimals}, expected 0 to 12")
    for level in levels_of(levels):
        price_text, size_text = pair_of(level)
        price = parse_decimal(price_text, price_decimals)
        size = parse_decimal(size_text, size_decimals)
        if price < 0 or size < 0:
            raise RemoteProtocolError(
                f"level ({price_text!r}, {size_text!r}) is not two plain decimals of at most "
                f"{price_decimals} and {size_decimals} places"
            )
        out.append((price, size))
    return out


cdef list levels_of(object levels):
    """Take a copy of a side's levels; what cannot be walked came from outside."""
    try:
        return list(levels)
    except TypeError:
        raise RemoteProtocolError(
            f"levels were {type(levels).__name__}, expected a sequence"
        ) from None


cdef tuple pair_of(object level):
    """Take (price, size) from a pair or from an object that has these attributes."""
    if isinstance(level, (tuple, list)):
        if len(level) != 2:
            raise RemoteProtocolError(f"level {level!r} has {len(level)} items, expected 2")
        return level[0], level[1]
    try:
        return level.price, level.size
    except AttributeError:
        raise RemoteProtocolError(
            f"level {level!r} is neither a pair nor has price and size"
        ) from None


@cython.final
cdef class Ladder:
    """One two-sided book of integer prices and sizes in any unit; best first on output.

    Written by its owner only. ``no_price`` is what an empty side answers. At most ``levels_max``
    levels a side; more raise RemoteProtocolError, because a venue that sends them is wrong or
    the book has grown beyond what a fresh snapshot would hold.
    """

    def __cinit__(self, int64_t no_price=INT64_MIN, int levels_max=CAP_LEVELS):
        if not 0 < levels_max <= CAP_LEVELS:
            raise ValueError(f"levels_max was {levels_max}, expected 1 to {CAP_LEVELS}")
        self.no_price = no_price
        self._cap = levels_max

    def __dealloc__(self):
        side_free(&self._sides[0])
        side_free(&self._sides[1])

    def __sizeof__(self):
        return object.__sizeof__(self) + 16 * (
            self._sides[0].capacity + self._sides[1].capacity
        )

    cdef int _check(self, int side, int64_t price) except -1:
        # Minus the smallest integer does not exist, so it cannot be an ask's key.
        if price == INT64_MIN or price == self.no_price:
            raise ValueError(f"price was {price}, which stands for no price")
        return _side_of(side)

    def set(self, int side, int64_t price, int64_t size):
        """Set a level to an absolute size, 0 removes; return whether anything changed.

        Removing an unknown level is fine. A negative size raises RemoteProtocolError.
        """
        cdef int code
        self._check(side, price)
        if size < 0:
            raise RemoteProtocolError(f"size at {price} was {size}, expected 0 or more")
        code = side_set(&self._sides[side], -price if side else price, size, self._cap)
        if code < 0:
            fail_side(code, f"price {price}")
        return code == SIDE_CHANGED

    def add(self, int side, int64_t price, int64_t delta):
        """Change a level by delta; return whether anything changed.

        A level that would fall below zero raises RemoteProtocolError and stays as it was.
        """
        cdef int code
        self._check(side, price)
        code = side_add(&self._sides[side], -price if side else price, delta, self._cap)
        if code < 0:
            fail_side(code, f"price {price} delta {delta}")
        return code == SIDE_CHANGED

    def load(self, bids, asks):
        """Replace both sides by (price, size) integer pairs in any order; later pairs win.

        On any bad level the book is left empty and RemoteProtocolError raised.
        """
        cdef side_t fresh[2]
        cdef int side
        memset(fresh, 0, sizeof(fresh))
        try:
            for side in range(2):
                self._read(&fresh[side], side, asks if side else bids)
        except BaseException:
            side_free(&fresh[0])
            side_free(&fresh[1])
            self.clear()
            raise
        for side in range(2):
            side_free(&self._sides[side])
            self._sides[side] = fresh[side]

    cdef int _read(self, side_t *side, int which, object levels) except -1:
        cdef Py_ssize_t count = len(levels), at = 0
        cdef int code
        cdef int64_t price, size
        cdef level_t *scratch = <level_t *>malloc((<size_t>count + 1) * sizeof(level_t))
        if scratch == NULL:
            raise MemoryError
        try:
            for price, size in levels:
                self._check(which, price)
                if size < 0 or at >= count:
                    raise RemoteProtocolError(f"size at {price} was {size}, expected 0 or more")
                scratch[at].key = -price if which else price
                scratch[at].size = size
                scratch[at].order = at
                at += 1
            code = build_side(side, scratch, at, self._cap)
            if code < 0:
                fail_side(code, f"snapshot of {count} levels")
        finally:
            free(scratch)
        return 0

    def clear(self):
        """Forget every level."""
        self._sides[0].count = self._sides[1].count = 0
        self._sides[0].total = self._sides[1].total = 0

    def best(self, int side):
        """Return the best price, or no_price."""
        cdef side_t *levels = &self._sides[_side_of(side)]
        if levels.count == 0:
            return self.no_price
        return -levels.key[levels.count - 1] if side else levels.key[levels.count - 1]

    def best_size(self, int side):
        """Return the size at the best price, 0 when the side is empty."""
        cdef side_t *levels = &self._sides[_side_of(side)]
        return levels.key[levels.capacity + levels.count - 1] if levels.count else 0

    def size_at(self, int side, int64_t price):
        """Return the size at price, 0 when there is no such level."""
        self._check(side, price)
        return side_size_at(&self._sides[side], -price if side else price)

    def count(self, int side):
        """Return how many levels the side has."""
        return self._sides[_side_of(side)].count

    def depth(self, int side):
        """Return the total size of the side; kept up with every change, so it costs nothing."""
        return self._sides[_side_of(side)].total

    def levels(self, int side, Py_ssize_t count=CAP_LEVELS):
        """Return up to count (price, size) pairs, best first."""
        return list_side(&self._sides[_side_of(side)], -1 if side else 1, max(count, 0))
