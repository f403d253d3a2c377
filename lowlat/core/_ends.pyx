# cython: language_level=3, boundscheck=False, wraparound=False
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""The ports of core/ports.py as compiled engines call them: one C call, nothing boxed.

The real ends (shared memory, sockets, clocks) are subclasses and override the ``c_`` methods.
``publish_end(port)`` and its like return such an end as it is and wrap anything else, so that
tests and worlds plug in whatever has the Python methods. No I/O.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

__all__ = ["Halts"]


cdef class ClockEnd:
    """A Clock."""

    cdef int64_t c_monotonic_ns(self) except? -1:
        raise NotImplementedError

    cdef int64_t c_wall_ns(self) except? -1:
        raise NotImplementedError


cdef class PublishEnd:
    """A StreamWriter."""

    cdef uint64_t c_publish(self, int kind) except? 0:
        raise NotImplementedError

    cdef int64_t c_free(self) except -1:
        raise NotImplementedError

    cdef uint64_t c_cursor(self) except? 0:
        raise NotImplementedError


cdef class PollEnd:
    """A StreamReader."""

    cdef int c_poll(self) except? -1:
        raise NotImplementedError

    cdef int c_release(self) except -1:
        raise NotImplementedError

    cdef uint64_t c_position(self) except? 0:
        raise NotImplementedError

    cdef uint32_t c_epoch(self) except? 0:
        raise NotImplementedError


cdef class RowEnd:
    """A TableReader, or the reading half of a TableWriter."""

    cdef int64_t c_version(self, uint64_t row) except? -1:
        raise NotImplementedError

    cdef int64_t c_read(self, uint64_t row) except? -1:
        raise NotImplementedError


cdef class RowWriteEnd(RowEnd):
    """A TableWriter."""

    cdef int64_t c_write(self, uint64_t row) except -1:
        raise NotImplementedError

    cdef int64_t c_write_lines(self, uint64_t row, uint32_t lines) except -1:
        raise NotImplementedError

    cdef int c_warm(self, uint64_t row, uint64_t version, uint32_t lines) except -1:
        raise NotImplementedError


cdef class CountEnd:
    """A Cell."""

    cdef int c_add(self, uint64_t count) except -1:
        raise NotImplementedError

    cdef uint64_t c_value(self) except? 0:
        raise NotImplementedError


cdef class RecordEnd:
    """A Recorder."""

    cdef int c_record(self, int64_t value_ns) except -1:
        raise NotImplementedError


cdef class SendEnd:
    """A Transport."""

    cdef int c_send(self, object request, int64_t key, bint urgent) except -9:
        raise NotImplementedError

    cdef Py_ssize_t c_idle(self) except -1:
        raise NotImplementedError


cdef class HaltEnd:
    """Something that knows whether new orders are stopped: a code, 0 while they are not."""

    cdef int64_t c_halted(self) except? -1:
        raise NotImplementedError


cdef class TurnEnd:
    """The compiled part of an engine: what orders wait for, and what may come behind it."""

    cdef int64_t c_advance(self, int64_t now_ns) except -1:
        raise NotImplementedError

    cdef int c_settle(self) except -1:
        raise NotImplementedError


cdef class RunEnd:
    """Something to call behind each frame."""

    cdef int c_run(self) except -1:
        raise NotImplementedError


@cython.final
cdef class Halts(HaltEnd):
    """This process's halt cell, its draining cell (as ``code``) and those elsewhere, in a call."""

    def __cinit__(self, own, draining, elsewhere, int64_t code):
        """``elsewhere``: a callable that returns a code, or None."""
        self._own = count_end(own)
        self._draining = count_end(draining)
        self._elsewhere = halt_end(elsewhere) if elsewhere is not None else None
        self._code = code

    cdef int64_t c_halted(self) except? -1:
        cdef int64_t code = <int64_t>self._own.c_value()
        if code:
            return code
        if self._draining.c_value():
            return self._code
        return self._elsewhere.c_halted() if self._elsewhere is not None else 0

    def __call__(self):
        """Return the code that is set, 0 while none is."""
        return self.c_halted()


# -------------------------------------------------------------------------- anything else, wrapped
@cython.final
cdef class _Clock(ClockEnd):
    cdef object _port, _monotonic_ns

    def __cinit__(self, port):
        self._port, self._monotonic_ns = port, port.monotonic_ns

    cdef int64_t c_monotonic_ns(self) except? -1:
        return self._monotonic_ns()

    cdef int64_t c_wall_ns(self) except? -1:
        return self._port.wall_ns()


@cython.final
cdef class _Publish(PublishEnd):
    cdef object _port, _publish

    def __cinit__(self, port):
        self._port, self._publish = port, port.publish

    cdef uint64_t c_publish(self, int kind) except? 0:
        return self._publish(kind)

    cdef int64_t c_free(self) except -1:
        return self._port.free()

    cdef uint64_t c_cursor(self) except? 0:
        return self._port.cursor


@cython.final
cdef class _Poll(PollEnd):
    cdef object _port, _poll

    def __cinit__(self, port):
        self._port, self._poll = port, port.poll

    cdef int c_poll(self) except? -1:
        return self._poll()

    cdef int c_release(self) except -1:
        self._port.release()
        return 0

    cdef uint64_t c_position(self) except? 0:
        return self._port.position

    cdef uint32_t c_epoch(self) except? 0:
        return self._port.epoch


@cython.final
cdef class _Rows(RowEnd):
    cdef object _port, _read

    def __cinit__(self, port):
        self._port, self._read = port, port.read

    cdef int64_t c_version(self, uint64_t row) except? -1:
        return self._port.version(row)

    cdef int64_t c_read(self, uint64_t row) except? -1:
        return self._read(row)


@cython.final
cdef class _RowWriter(RowWriteEnd):
    cdef object _port, _write

    def __cinit__(self, port):
        self._port, self._write = port, port.write

    cdef int64_t c_version(self, uint64_t row) except? -1:
        return self._port.version(row)

    cdef int64_t c_read(self, uint64_t row) except? -1:
        return self._port.read(row)

    cdef int64_t c_write(self, uint64_t row) except -1:
        return self._write(row)

    cdef int64_t c_write_lines(self, uint64_t row, uint32_t lines) except -1:
        return self._port.write_lines(row, lines)

    cdef int c_warm(self, uint64_t row, uint64_t version, uint32_t lines) except -1:
        self._port.warm(row, version, lines)
        return 0


@cython.final
cdef class _Count(CountEnd):
    cdef object _port, _add

    def __cinit__(self, port):
        self._port, self._add = port, port.add

    cdef int c_add(self, uint64_t count) except -1:
        self._add(count)
        return 0

    cdef uint64_t c_value(self) except? 0:
        return self._port.value


@cython.final
cdef class _Record(RecordEnd):
    cdef object _record

    def __cinit__(self, port):
        self._record = port.record

    cdef int c_record(self, int64_t value_ns) except -1:
        self._record(value_ns)
        return 0


@cython.final
cdef class _Send(SendEnd):
    cdef object _port, _send

    def __cinit__(self, port):
        self._port, self._send = port, port.send

    cdef int c_send(self, object request, int64_t key, bint urgent) except -9:
        return self._send(request, key, urgent=urgent)

    cdef Py_ssize_t c_idle(self) except -1:
        return self._port.idle()


@cython.final
cdef class _Halt(HaltEnd):
    cdef object _halted

    def __cinit__(self, port):
        self._halted = port

    cdef int64_t c_halted(self) except? -1:
        return self._halted()


@cython.final
cdef class _Run(RunEnd):
    cdef object _call

    def __cinit__(self, port):
        self._call = port

    cdef int c_run(self) except -1:
        self._call()
        return 0


cdef ClockEnd clock_end(port):
    return port if isinstance(port, ClockEnd) else _Clock(port)


cdef PublishEnd publish_end(port):
    return port if isinstance(port, PublishEnd) else _Publish(port)


cdef PollEnd poll_end(port):
    return port if isinstance(port, PollEnd) else _Poll(port)


cdef RowEnd row_end(port):
    return port if isinstance(port, RowEnd) else _Rows(port)


cdef RowWriteEnd row_write_end(port):
    return port if isinstance(port, RowWriteEnd) else _RowWriter(port)


cdef CountEnd count_end(port):
    return port if isinstance(port, CountEnd) else _Count(port)


cdef RecordEnd record_end(port):
    return port if isinstance(port, RecordEnd) else _Record(port)


cdef SendEnd send_end(port):
    return port if isinstance(port, SendEnd) else _Send(port)


cdef HaltEnd halt_end(port):
    return port if isinstance(port, HaltEnd) else _Halt(port)


cdef RunEnd run_end(port):
    return port if isinstance(port, RunEnd) else _Run(port)
