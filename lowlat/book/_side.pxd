"""Share one side of a ladder and the decimal parser between the compiled modules of this package.

A side is one block: ``capacity`` keys, then ``capacity`` sizes. Keys ascend and the best level is
the last, because changes cluster at the touch and then move few bytes: a bid's key is its price,
an ask's key is minus its price. Depth counts from the best. No Python object is touched here but
the text that is parsed.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

cdef extern from "Python.h":
    bint PyUnicode_Check(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)

cdef enum:
    SIDE_SAME = 0
    SIDE_CHANGED = 1
    SIDE_NO_MEMORY = -1
    SIDE_FULL = -2
    SIDE_OVERFLOW = -3
    SIDE_NEGATIVE = -4

    FIRST_LEVELS = 8
    NEAR_TOUCH = 6
    DIGITS_MAX = 18
    CAP_LEVELS = 65536
    DEPTH_BITS = 32

ctypedef struct side_t:
    int64_t *key
    int32_t count
    int32_t capacity
    int64_t total
    # What an image must write again: levels from this depth on, and single sizes above it.
    int32_t moved
    uint32_t resized

ctypedef struct level_t:
    int64_t key
    int64_t size
    int64_t order


cdef inline void side_free(side_t *side) noexcept nogil:
    free(side.key)
    side.key = NULL
    side.count = 0
    side.capacity = 0
    side.total = 0
    side.moved = 0


cdef inline int side_reserve(side_t *side, int32_t wanted) noexcept nogil:
    """Make room for wanted levels; one block, moved as a whole."""
    cdef int32_t capacity = FIRST_LEVELS
    cdef int64_t *block
    if wanted <= side.capacity:
        return SIDE_SAME
    while capacity < wanted:
        capacity *= 2
    block = <int64_t *>malloc(2 * sizeof(int64_t) * <size_t>capacity)
    if block == NULL:
        return SIDE_NO_MEMORY
    if side.count:
        memcpy(block, side.key, <size_t>side.count * sizeof(int64_t))
        memcpy(block + capacity, side.key + side.capacity, <size_t>side.count * sizeof(int64_t))
    free(side.key)
    side.key = block
    side.capacity = capacity
    return SIDE_SAME


cdef inline int32_t side_find(const side_t *side, int64_t key) noexcept nogil:
    """Return the first position whose key is not below key: near the touch first, then halving."""
    cdef int32_t low = 0, high = side.count, middle
    cdef int32_t near = high - NEAR_TOUCH
    if near < 0:
        near = 0
    while high > near:
        if side.key[high - 1] < key:
            return high
        high -= 1
    while low < high:
        middle = (low + high) >> 1
        if side.key[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline int64_t side_size_at(const side_t *side, int64_t key) noexcept nogil:
    cdef int32_t at = side_find(side, key)
    if at < side.count and side.key[at] == key:
        return side.key[side.capacity + at]
    return 0


cdef inline int side_set(side_t *side, int64_t key, int64_t size, int32_t cap) noexcept nogil:
    """Set a level to an absolute size (0 removes); SIDE_CHANGED, SIDE_SAME or an error."""
    cdef int32_t at = side_find(side, key)
    cdef int64_t *sizes = side.key + side.capacity
    cdef int64_t others
    if at < side.count and side.key[at] == key:
        if sizes[at] == size:
            return SIDE_SAME
        others = side.total - sizes[at]
        if size > INT64_MAX - others:
            return SIDE_OVERFLOW
        side.total = others + size
        if size:
            sizes[at] = size
            if side.count - 1 - at < DEPTH_BITS:
                side.resized |= <uint32_t>1 << (side.count - 1 - at)
            return SIDE_CHANGED
        side.count -= 1
        if side.count - at < side.moved:
            side.moved = side.count - at
        memmove(side.key + at, side.key + at + 1, <size_t>(side.count - at) * sizeof(int64_t))
        memmove(sizes + at, sizes + at + 1, <size_t>(side.count - at) * sizeof(int64_t))
        return SIDE_CHANGED
    if size == 0:
        return SIDE_SAME
    if side.count >= cap:
        return SIDE_FULL
    if size > INT64_MAX - side.total:
        return SIDE_OVERFLOW
    if side_reserve(side, side.count + 1) < 0:
        return SIDE_NO_MEMORY
    sizes = side.key + side.capacity
    memmove(side.key + at + 1, side.key + at, <size_t>(side.count - at) * sizeof(int64_t))
    memmove(sizes + at + 1, sizes + at, <size_t>(side.count - at) * sizeof(int64_t))
    side.key[at] = key
    sizes[at] = size
    if side.count - at < side.moved:
        side.moved = side.count - at
    side.count += 1
    side.total += size
    return SIDE_CHANGED


cdef inline int side_add(side_t *side, int64_t key, int64_t delta, int32_t cap) noexcept nogil:
    """Change a level by delta; a level that would go below nothing is SIDE_NEGATIVE."""
    cdef int64_t size = side_size_at(side, key)
    if delta > INT64_MAX - size:
        return SIDE_OVERFLOW
    if size + delta < 0:
        return SIDE_NEGATIVE
    return side_set(side, key, size + delta, cap)


cdef inline int64_t parse_decimal(object text, int decimals) noexcept:
    """Read plain non-negative decimal text as 10**-decimals units; -1 when it is anything else.

    Same rule as lowlat.core.units.parse_fixed, straight from the text's ASCII bytes.
    """
    if not PyUnicode_Check(text) or not PyUnicode_IS_COMPACT_ASCII(text):
        return -1
    return parse_digits(PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text), decimals)


cdef inline int64_t parse_digits(
    const unsigned char *at, Py_ssize_t size, int decimals
) noexcept nogil:
    """Do the same for ASCII bytes."""
    cdef const unsigned char *end = at + size
    cdef int64_t units = 0
    cdef unsigned int digit
    cdef int left = decimals
    if end - at > DIGITS_MAX - decimals:
        # Only long text can hold too many whole digits, so short text skips the count.
        if not _whole_fits(at, end, DIGITS_MAX - decimals):
            return -1
    if at == end or at[0] == c'.' or (end - 1)[0] == c'.':
        return -1
    while at < end:
        digit = <unsigned int>at[0] - c'0'
        at += 1
        if digit > 9:
            if digit != <unsigned int>c'.' - c'0':
                return -1
            break
        units = units * 10 + digit
    while at < end and left:
        digit = <unsigned int>at[0] - c'0'
        at += 1
        if digit > 9:
            return -1
        units = units * 10 + digit
        left -= 1
    while at < end:
        if at[0] != c'0':
            return -1
        at += 1
    while left:
        units *= 10
        left -= 1
    return units


cdef inline bint _whole_fits(
    const unsigned char *at, const unsigned char *end, int digits
) noexcept nogil:
    cdef const unsigned char *start = at
    while at < end and at[0] != c'.':
        at += 1
    return at - start <= digits
