# cython: language_level=3, boundscheck=False, wraparound=False
# cython: auto_pickle=False
"""Compiled part of freshness: one comparison against the shard's row as last seen.

Owned by any engine, over its own reader of the shard table; no I/O.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint32_t

from lowlat.core._ends cimport row_end
from lowlat.core.layout cimport ll_shard_row

__all__ = ["Shards"]


@cython.final
cdef class Shards:
    """Shard rows as last seen; one is read again only when its version word moved."""

    def __cinit__(self, shards, int64_t silent_ns_max):
        if silent_ns_max <= 0:
            raise ValueError(f"silent_ns_max was {silent_ns_max}, expected above 0")
        self._shards = row_end(shards)
        self._rows = shards.rows
        self._silent_ns_max = silent_ns_max
        self._buffer = shards.buffer
        if <size_t>self._buffer.shape[0] < sizeof(ll_shard_row) or <size_t>&self._buffer[0] & 7:
            raise ValueError(
                f"shard row of {self._buffer.shape[0]} bytes, "
                f"expected {sizeof(ll_shard_row)} on an 8-byte boundary"
            )
        self._row = <const ll_shard_row *>&self._buffer[0]
        self._seen = <seen_t *>PyMem_Calloc(max(self._rows, 1), sizeof(seen_t))
        if self._seen == NULL:
            raise MemoryError(f"no memory for {self._rows} shards")
        for shard in range(self._rows):
            # Of a shard that nobody has seen, nothing is fresh.
            self._seen[shard].generation = -1

    def __dealloc__(self):
        PyMem_Free(self._seen)

    def is_fresh(self, uint32_t shard, uint32_t connection_generation, int64_t now_ns):
        """Return whether a row of this shard and connection may be traded on."""
        return self.fresh(shard, connection_generation, now_ns)

    cdef bint fresh(
        self, uint32_t shard, uint32_t connection_generation, int64_t now_ns
    ) except -1:
        cdef seen_t *seen
        if shard >= self._rows:
            return False
        seen = &self._seen[shard]
        if self._shards.c_version(shard) != seen.version:
            self._look(shard)
        return (
            seen.generation == <int64_t>connection_generation
            and now_ns - seen.data_ns <= self._silent_ns_max
        )

    cdef int _look(self, uint32_t shard) except -1:
        cdef int64_t version = self._shards.c_read(shard)
        cdef seen_t *seen = &self._seen[shard]
        if version <= 0:
            # Busy keeps the last value for this once: the next question reads again.
            return 0
        seen.version = version
        seen.generation = <int64_t>self._row.connection_generation if self._row.alive else -1
        seen.data_ns = self._row.last_data_ns
        return 0
