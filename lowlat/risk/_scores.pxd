"""Index of _scores.pyx: what a module may still use, found by its name."""

cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
cdef class Score:
    cdef uint64_t _words[2]
    cdef readonly bytes module
    cdef public int64_t budget_ppm
    cdef public int64_t cost_e6
    cdef public int64_t in_flight_e6
    cdef public int64_t damp_ppm
    cdef public bint stopped


cdef class ScoreCells:
    cdef readonly list scores
    cdef Score at(self, const uint64_t *words)
