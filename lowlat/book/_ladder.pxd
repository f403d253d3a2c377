"""Index of what _ladder.pyx shares with the other compiled books."""

from libc.stdint cimport int32_t, int64_t

from lowlat.book._side cimport level_t, side_t

cdef int fail_side(int code, object what) except -1
cdef int build_side(side_t *side, level_t *levels, Py_ssize_t count, int32_t cap) noexcept nogil
cdef list list_side(const side_t *side, int sign, Py_ssize_t count)
cdef list levels_of(object levels)
cdef tuple pair_of(object level)


cdef class Ladder:
    cdef side_t _sides[2]
    cdef readonly int64_t no_price
    cdef int32_t _cap
    cdef int _check(self, int side, int64_t price) except -1
    cdef int _read(self, side_t *side, int which, object levels) except -1
