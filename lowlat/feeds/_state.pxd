"""Index of what _state.pyx shares with the compiled feed path."""

from libc.stdint cimport int64_t, uint64_t

from lowlat.book._book cimport MarketBook

cdef enum:
    KEY_WORDS = 5

ctypedef struct Entry:
    uint64_t mark
    void *state
    void *book


cdef class Link:
    cdef readonly Py_ssize_t number
    cdef readonly Py_ssize_t socket
    cdef readonly object shard
    cdef readonly bint alone
    cdef public object connection
    cdef public object session
    cdef public int64_t opened_ns
    cdef public int64_t data_ns
    cdef public int64_t pong_ns
    cdef public int64_t ping_due_ns
    cdef public int64_t frames
    cdef public int64_t frames_checked
    cdef public int64_t others_mark
    cdef public int64_t event_ns
    cdef readonly set dump_pending


cdef class MarketState:
    # What the compiled path looks at comes first, on two cache lines.
    cdef readonly MarketBook book
    cdef readonly Py_ssize_t row
    cdef public int64_t event_ns
    cdef public int64_t book_event_ns
    cdef public int64_t asked
    cdef public bint live
    cdef public bint crossed
    cdef public bint doubted
    cdef uint64_t key[2][KEY_WORDS]
    cdef readonly object shard
    cdef readonly str condition_id
    cdef readonly tuple tokens
    cdef public int64_t due_ns
    cdef public int64_t step_ns
    cdef readonly list held


cdef bint is_token(
    MarketState state, int outcome, const unsigned char *text, Py_ssize_t size
) noexcept


cdef class TokenIndex:
    cdef dict _kept
    cdef Py_ssize_t _count
    cdef Entry *_entries
    cdef uint64_t _mask
    cdef void prefetch(self, const unsigned char *text, Py_ssize_t size) noexcept
    cdef int find(self, const unsigned char *text, Py_ssize_t size, void **state) noexcept
    cdef int _grow(self) except -1
    cdef void _insert(self, uint64_t mark, void *state, void *book) noexcept nogil
    cdef bint _delete(self, uint64_t mark, void *state) noexcept nogil
    cdef int _forget(self, MarketState state, int outcome) except -1
