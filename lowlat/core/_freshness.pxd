"""Index of _freshness.pyx: the compiled engines ask ``fresh`` without a Python call."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t

from lowlat.core._ends cimport RowEnd
from lowlat.core.layout cimport ll_shard_row

ctypedef struct seen_t:
    int64_t version
    int64_t generation
    int64_t data_ns


@cython.final
cdef class Shards:
    cdef RowEnd _shards
    cdef const uint8_t[::1] _buffer
    cdef const ll_shard_row *_row
    cdef seen_t *_seen
    cdef uint32_t _rows
    cdef int64_t _silent_ns_max
    cdef bint fresh(
        self, uint32_t shard, uint32_t connection_generation, int64_t now_ns
    ) except -1
    cdef int _look(self, uint32_t shard) except -1
