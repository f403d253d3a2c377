"""Index of _reports.pyx: what the executor says of lone orders."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from lowlat.core._ends cimport PollEnd, RowEnd
from lowlat.core.layout cimport ll_report
from lowlat.risk._exposure cimport ExposureCells
from lowlat.risk._orders cimport OrderCells


@cython.final
cdef class ReportReader:
    cdef const uint8_t[::1] _buffer
    cdef const ll_report *_raw
    cdef PollEnd _reports
    cdef RowEnd _cash
    cdef object _read_cash
    cdef object _take_report
    cdef object _lost
    cdef OrderCells _own
    cdef ExposureCells _exposure
    cdef uint64_t _terminal
    cdef uint64_t _orders_only
    cdef public int64_t cash_version
    cdef public bint plain
    cdef int64_t take_polled(self, int kind, int64_t now_ns) except -1
    cdef bint _hear(self) except -1
