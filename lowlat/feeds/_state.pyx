# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""State of the Polymarket feed that every frame touches: sockets, markets, markets by token.

Used by the Polymarket feed only; data and one index, no behaviour. Fields are C values so that the
compiled path (_plain.pyx) and the Python way read and write the same ones.
"""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from lowlat.book._book cimport MarketBook

__all__ = ["Link", "MarketState", "TokenIndex"]

cdef extern from *:
    """
    #define LL_PREFETCH(p) __builtin_prefetch((p), 1, 3)
    """
    void LL_PREFETCH(const void *p) nogil

cdef enum:
    DIGITS_A_WORD = 16
    TOKEN_DIGITS_MAX = 78
    FIRST_ENTRIES = 64


@cython.final
cdef class Link:
    """One socket of a shard. ``session`` is None while it is down; ``alone`` without twins.

    ``socket`` is its place among the shard's sockets; ``data_ns`` when its last frame that was not
    a PONG came; ``others_mark`` what its twins had received when it last got a frame; ``event_ns``
    the newest venue time it delivered (kept only beside twins).
    """

    def __init__(self, Py_ssize_t number, Py_ssize_t socket, shard not None):
        self.number = number
        self.socket = socket
        self.shard = shard
        self.alone = shard.arrival is None
        self.dump_pending = set()


@cython.final
cdef class MarketState:
    """One subscribed market. ``live``: its book may be changed and read.

    ``event_ns``: venue time of the last event applied; ``book_event_ns``: of the last whole book,
    what is older was in it. ``doubted``: diverged only by its touch, inside a burst of changes
    that heals by itself. ``due_ns``: when a REST book is asked for again, 0 for never; ``step_ns``:
    how long the next question waits after this one; ``asked``: number of the question under way,
    0 when none is; ``held``: changes applied since, applied again on top of the answer.
    """

    def __init__(
        self, Py_ssize_t row, MarketBook book not None, shard not None, str condition_id not None,
        tuple tokens not None,
    ):
        cdef int outcome
        if len(tokens) != 2:
            raise ValueError(f"tokens were {len(tokens)}, expected 2")
        self.row = row
        self.book = book
        self.shard = shard
        self.condition_id = condition_id
        self.tokens = tokens
        self.held = []
        for outcome in range(2):
            text = tokens[outcome].encode("ascii")
            if not _pack(text, len(text), self.key[outcome]):
                raise ValueError(f"token {tokens[outcome]!r} is not a plain decimal token id")


cdef inline bint _eight(const unsigned char *at, uint64_t *out) noexcept nogil:
    """Read eight decimal digits; False when one of them is none."""
    cdef uint64_t word
    memcpy(&word, at, 8)
    if ((word + <uint64_t>0x4646464646464646) | (word - <uint64_t>0x3030303030303030)) & (
        <uint64_t>0x8080808080808080
    ):
        return False
    # Pairs of digits, then of pairs, then of fours, all lanes at once.
    word = (word & <uint64_t>0x0F0F0F0F0F0F0F0F) * 2561 >> 8
    word = (word & <uint64_t>0x00FF00FF00FF00FF) * 6553601 >> 16
    out[0] = (word & <uint64_t>0x0000FFFF0000FFFF) * <uint64_t>42949672960001 >> 32
    return True


cdef inline bint _pack(const unsigned char *text, Py_ssize_t size, uint64_t *key) noexcept nogil:
    """Pack a canonical decimal of at most 78 digits, 16 digits a word, lowest first."""
    cdef unsigned char head[DIGITS_A_WORD]
    cdef uint64_t high, low
    cdef int at
    if size < 1 or size > TOKEN_DIGITS_MAX or text[0] == c'0':
        return False
    for at in range(KEY_WORDS):
        if size >= DIGITS_A_WORD:
            size -= DIGITS_A_WORD
            if not (_eight(text + size, &high) and _eight(text + size + 8, &low)):
                return False
        elif size > 0:
            memcpy(head, b"0000000000000000", DIGITS_A_WORD)
            memcpy(head + DIGITS_A_WORD - size, text, <size_t>size)
            size = 0
            if not (_eight(head, &high) and _eight(head + 8, &low)):
                return False
        else:
            high = low = 0
        key[at] = high * 100000000 + low
    return True


cdef inline uint64_t _mark(const uint64_t *key) noexcept nogil:
    """Hash a key; token ids are hashes themselves, so little is needed. Never 0 or 1."""
    cdef uint64_t mixed = (key[0] ^ key[2] << 9) * <uint64_t>0x9E3779B97F4A7C15
    mixed ^= (key[1] ^ key[3] << 7 ^ key[4] << 3) * <uint64_t>0xC2B2AE3D27D4EB4F
    return (mixed ^ mixed >> 29) | 2


cdef bint is_token(
    MarketState state, int outcome, const unsigned char *text, Py_ssize_t size
) noexcept:
    """Say whether the text is that token of the market."""
    cdef uint64_t key[KEY_WORDS]
    return _pack(text, size, key) and memcmp(state.key[outcome], key, sizeof(key)) == 0


@cython.final
@cython.no_gc_clear
cdef class TokenIndex:
    """Markets by token, in one compact table.

    An entry is 24 bytes: the hash of the token, whose lowest bit is its outcome, and what
    a frame of it touches first, so that both can be loaded while the frame is still scanned.

    A market knows its feed, and the feed this table: entries borrow what ``_kept`` owns, where the
    garbage collector sees it. Whoever is in that circle is cleared before the table, so what an
    entry points to is there as long as it is.
    """

    def __cinit__(self):
        self._kept = {}
        self._entries = <Entry *>calloc(FIRST_ENTRIES, sizeof(Entry))
        if self._entries == NULL:
            raise MemoryError
        self._mask = FIRST_ENTRIES - 1

    def __dealloc__(self):
        free(self._entries)

    def __len__(self):
        return self._count

    def get(self, str token not None):
        """Return the token's (market, outcome), or None."""
        cdef void *state = NULL
        cdef int outcome
        if not token.isascii():
            return None
        text = token.encode("ascii")
        outcome = self.find(text, len(text), &state)
        return None if outcome < 0 else (<MarketState>state, outcome)

    def add(self, MarketState state not None):
        """Index both tokens of a market, in the place of earlier owners."""
        cdef int outcome
        for token in state.tokens:
            found = self.get(token)
            if found is not None:
                self._forget(found[0], found[1])
        while 2 * (self._count + 2) > <Py_ssize_t>self._mask + 1:
            self._grow()
        self._kept[state] = 2
        for outcome in range(2):
            self._insert(
                _mark(state.key[outcome]) & ~<uint64_t>1 | outcome, <void *>state,
                <void *>state.book,
            )
            self._count += 1

    def remove(self, MarketState state not None):
        """Drop the tokens of a market that are still its own."""
        cdef int outcome
        for outcome in range(2):
            self._forget(state, outcome)

    cdef int _forget(self, MarketState state, int outcome) except -1:
        if self._delete(
            _mark(state.key[outcome]) & ~<uint64_t>1 | outcome, <void *>state
        ):
            self._count -= 1
            self._kept[state] -= 1
            if not self._kept[state]:
                del self._kept[state]
        return 0

    cdef int _grow(self) except -1:
        cdef Entry *old = self._entries
        cdef uint64_t at, count = self._mask + 1
        cdef Entry *fresh = <Entry *>calloc(2 * count, sizeof(Entry))
        if fresh == NULL:
            raise MemoryError
        self._entries = fresh
        self._mask = 2 * count - 1
        for at in range(count):
            if old[at].mark:
                self._insert(old[at].mark, old[at].state, old[at].book)
        free(old)
        return 0

    cdef void _insert(self, uint64_t mark, void *state, void *book) noexcept nogil:
        cdef uint64_t at = mark >> 1 & self._mask
        while self._entries[at].mark:
            at = at + 1 & self._mask
        self._entries[at].mark = mark
        self._entries[at].state = state
        self._entries[at].book = book

    cdef bint _delete(self, uint64_t mark, void *state) noexcept nogil:
        """Remove one entry and move up those behind it that would not be found any more."""
        cdef uint64_t hole = mark >> 1 & self._mask, at, home
        while self._entries[hole].mark != mark or self._entries[hole].state != state:
            if self._entries[hole].mark == 0:
                return False
            hole = hole + 1 & self._mask
        at = hole
        while True:
            at = at + 1 & self._mask
            if self._entries[at].mark == 0:
                break
            home = self._entries[at].mark >> 1 & self._mask
            if (at - home & self._mask) >= (at - hole & self._mask):
                self._entries[hole] = self._entries[at]
                hole = at
        self._entries[hole].mark = 0
        self._entries[hole].state = NULL
        return True

    cdef int find(self, const unsigned char *text, Py_ssize_t size, void **state) noexcept:
        """Return the outcome of a token and its market (borrowed), -1 when it is unknown."""
        cdef uint64_t key[KEY_WORDS]
        cdef uint64_t mark, at
        cdef int outcome
        if not _pack(text, size, key):
            return -1
        mark = _mark(key) >> 1
        at = mark & self._mask
        while self._entries[at].mark:
            if self._entries[at].mark >> 1 == mark:
                outcome = <int>(self._entries[at].mark & 1)
                if memcmp(
                    (<MarketState>self._entries[at].state).key[outcome], key, sizeof(key)
                ) == 0:
                    state[0] = self._entries[at].state
                    return outcome
            at = at + 1 & self._mask
        return -1

    cdef void prefetch(self, const unsigned char *text, Py_ssize_t size) noexcept:
        """Begin to load the lines of a token's market; a wrong guess costs nothing but time."""
        cdef uint64_t key[KEY_WORDS]
        cdef uint64_t mark, at
        cdef const char *state
        cdef const char *book
        if not _pack(text, size, key):
            return
        mark = _mark(key) >> 1
        at = mark & self._mask
        while self._entries[at].mark:
            if self._entries[at].mark >> 1 == mark:
                state = <const char *>self._entries[at].state
                book = <const char *>self._entries[at].book
                LL_PREFETCH(state)
                LL_PREFETCH(state + 64)
                LL_PREFETCH(state + 128)
                LL_PREFETCH(book)
                LL_PREFETCH(book + 64)
                LL_PREFETCH(book + 128)
                return
            at = at + 1 & self._mask
