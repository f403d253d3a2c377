"""Index of _look.pyx: what a compiled module overrides."""

cimport cython
from libc.stdint cimport int64_t, uint8_t

from lowlat.book._view cimport BookView
from lowlat.core.layout cimport ll_spot_top

cdef int check_slot(str what, const uint8_t[::1] buffer, size_t size_bytes) except -1


cdef class Look:
    cdef readonly object seat
    cdef readonly int mode
    cdef int at(self, BookView book, int64_t now_ns) except -1


@cython.final
cdef class PythonLook(Look):
    cdef object _on_book


cdef class SpotLook:
    cdef readonly object seat
    cdef readonly int mode
    cdef int at(self, const ll_spot_top *top, int64_t now_ns) except -1


@cython.final
cdef class PythonSpotLook(SpotLook):
    cdef object _on_spot
