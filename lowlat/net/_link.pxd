"""Index of what _link.pyx shares with the compiled loop."""

from libc.stdint cimport int64_t


cdef class PollWatch:
    cdef object _keep_max
    cdef int64_t _frames
    cdef int64_t _frames_before
    cdef readonly int64_t empty_ns
    cdef int note(self, int64_t recv_ns) except -1
    cdef void end(self, int64_t now_ns) noexcept
