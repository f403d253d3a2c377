"""Index of _capture.pyx: the log of inputs, and the tags of its entries (see capture_tags.py)."""

cimport cython
from libc.stdint cimport int64_t, uint8_t

cdef enum:
    TAG_HEADER = 1
    TAG_CLOCK = 2
    TAG_WALL = 3
    TAG_SALT = 4
    TAG_HALTED = 5
    TAG_SENT = 6
    TAG_IDLE = 7
    TAG_TEXT = 8
    TAG_ASKED = 9
    TAG_DIAL = 10
    TAG_ARG = 11
    TAG_TIME = 12
    TAG_BLOB = 13
    TAG_PRIVATE = 14
    TAG_REQUEST = 15
    TAG_START = 20
    TAG_STOP = 21
    TAG_TURN = 22
    TAG_OPEN = 23
    TAG_CLOSE = 24
    TAG_FRAME = 25
    TAG_FETCHED = 26
    TAG_ANSWER = 27
    TAG_LOST = 28
    TAG_HALT = 29
    TAG_RESUME = 30
    TAG_DRAIN = 31
    TAG_RELOAD = 32
    TAG_CANCEL = 33
    TAG_STOPPED = 34
    TAG_CELL = 35
    TAG_INJECT = 36
    TAG_CHECK = 37
    TAG_OUT = 40
    TAG_SUM = 41
    TAG_LAPPED = 42


cdef inline bint is_time(int tag) noexcept nogil:
    """Whether an entry's number is a time."""
    return tag == TAG_CLOCK or tag == TAG_TURN or tag == TAG_FRAME or tag == TAG_TIME


cdef inline bint is_blob(int tag) noexcept nogil:
    """Whether bytes follow instead of a number."""
    return tag == TAG_BLOB or tag == TAG_PRIVATE or tag == TAG_REQUEST


@cython.final
cdef class InputLog:
    cdef uint8_t *_tags
    cdef int64_t *_values
    cdef Py_ssize_t _count
    cdef list _blobs
    cdef bytearray _done
    cdef Py_ssize_t _done_max
    cdef int64_t _last_ns
    cdef int64_t _offset_ns
    cdef bytes _secret
    cdef bytes _mask
    cdef readonly int64_t entries
    cdef readonly bint full

    cdef int put(self, int tag, int64_t value) except -1
    cdef int put_blob(self, int tag, object data) except -1
    cdef int _encode(self) except -1
