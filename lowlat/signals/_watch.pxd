"""Index of _watch.pyx: when a book is worth a module's Python."""

cimport cython
from libc.stdint cimport int64_t, uint32_t

from lowlat.signals._look cimport Look


@cython.final
cdef class Watch(Look):
    cdef object _call
    cdef readonly uint32_t market
    cdef public int64_t yes_max_e4
    cdef public int64_t no_max_e4
    cdef public int64_t bid_low_e4
    cdef public int64_t bid_high_e4
    cdef public int64_t ask_low_e4
    cdef public int64_t ask_high_e4
    cdef public int64_t not_before_ns
    cdef public int64_t due_ns
