"""Index of _ends.pyx: what compiled engines call in place of the methods of core/ports.py.

One C call through a table where a bound Python method costs two hundred instructions and boxes its
numbers. Implemented by shm, net and core; anything else is wrapped.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef class ClockEnd:
    cdef int64_t c_monotonic_ns(self) except? -1
    cdef int64_t c_wall_ns(self) except? -1


cdef class PublishEnd:
    cdef uint64_t c_publish(self, int kind) except? 0
    cdef int64_t c_free(self) except -1
    cdef uint64_t c_cursor(self) except? 0


cdef class PollEnd:
    cdef int c_poll(self) except? -1
    cdef int c_release(self) except -1
    cdef uint64_t c_position(self) except? 0
    cdef uint32_t c_epoch(self) except? 0


cdef class RowEnd:
    cdef int64_t c_version(self, uint64_t row) except? -1
    cdef int64_t c_read(self, uint64_t row) except? -1


cdef class RowWriteEnd(RowEnd):
    cdef int64_t c_write(self, uint64_t row) except -1
    cdef int64_t c_write_lines(self, uint64_t row, uint32_t lines) except -1
    cdef int c_warm(self, uint64_t row, uint64_t version, uint32_t lines) except -1


cdef class CountEnd:
    cdef int c_add(self, uint64_t count) except -1
    cdef uint64_t c_value(self) except? 0


cdef class RecordEnd:
    cdef int c_record(self, int64_t value_ns) except -1


cdef class SendEnd:
    cdef int c_send(self, object request, int64_t key, bint urgent) except -9
    cdef Py_ssize_t c_idle(self) except -1


cdef class HaltEnd:
    cdef int64_t c_halted(self) except? -1


cdef class TurnEnd:
    cdef int64_t c_advance(self, int64_t now_ns) except -1
    cdef int c_settle(self) except -1


cdef class RunEnd:
    cdef int c_run(self) except -1


@cython.final
cdef class Halts(HaltEnd):
    cdef CountEnd _own
    cdef CountEnd _draining
    cdef HaltEnd _elsewhere
    cdef int64_t _code


cdef ClockEnd clock_end(port)
cdef PublishEnd publish_end(port)
cdef PollEnd poll_end(port)
cdef RowEnd row_end(port)
cdef RowWriteEnd row_write_end(port)
cdef CountEnd count_end(port)
cdef RecordEnd record_end(port)
cdef SendEnd send_end(port)
cdef HaltEnd halt_end(port)
cdef RunEnd run_end(port)
