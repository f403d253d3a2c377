# cython: language_level=3, boundscheck=False, wraparound=False
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""Deliver WebSocket frames from picows to their owner without a Python call of our own.

Used by ws.py only. Stamps, joins fragments, delivers; opening, closing and faults are the
connection's business. ``PollWatch`` bounds how long bytes waited before that stamp.
"""

cimport cython
from libc.stdint cimport int64_t
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from lowlat.core.clock import monotonic_ns

__all__ = ["FrameLink", "PollWatch"]


@cython.final
cdef class PollWatch:
    """Bound how long bytes waited before their first stamp: receive minus the last empty poll.

    The loop calls ``turned`` once an iteration, every connection ``received`` once a frame. A
    frame cannot have waited longer than since the last iteration that found no frame;
    ``empty_ns`` is when that was, 0 before the first.
    """

    def __init__(self, wait_ns_max):
        self._keep_max = wait_ns_max.max

    def received(self, int64_t recv_ns):
        """Take note of a frame; only the first one since the last empty poll is measured."""
        self.note(recv_ns)

    def turned(self, int64_t now_ns):
        """End an iteration of the loop: without a frame in it, the sockets were empty."""
        self.end(now_ns)

    cdef int note(self, int64_t recv_ns) except -1:
        if self._frames == self._frames_before and self.empty_ns:
            self._keep_max(recv_ns - self.empty_ns)
        self._frames += 1
        return 0

    cdef void end(self, int64_t now_ns) noexcept:
        if self._frames == self._frames_before:
            self.empty_ns = now_ns
        else:
            self._frames_before = self._frames


@cython.final
cdef class FrameLink(WSListener):
    """One life of the socket: joins fragments, stamps, delivers."""

    cdef object _connection
    cdef object _deliver
    cdef object _opened
    cdef object _lost
    cdef object _failed
    cdef object _now_ns
    cdef PollWatch _watch
    cdef Py_ssize_t _bytes_max
    cdef list _pieces
    cdef Py_ssize_t _pieces_bytes
    cdef bint _pieces_text

    def __init__(
        self, connection, deliver, opened, lost, failed, PollWatch watch, Py_ssize_t bytes_max
    ):
        """``opened`` and ``lost`` take the transport, ``failed`` an exception of the listener."""
        self._connection = connection
        self._deliver = deliver
        self._opened = opened
        self._lost = lost
        self._failed = failed
        self._now_ns = monotonic_ns
        self._watch = watch
        self._bytes_max = bytes_max
        self._pieces = []

    cpdef on_ws_connected(self, WSTransport transport):
        """Hand the transport over."""
        self._opened(transport)

    cpdef on_ws_disconnected(self, WSTransport transport):
        """Say that the link is gone."""
        self._lost(transport)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        """Stamp and deliver a message; a fault of the listener is the connection's."""
        cdef int64_t recv_ns = self._now_ns()
        cdef WSMsgType kind = frame.msg_type
        try:
            if self._watch is not None:
                self._watch.note(recv_ns)
            if frame.fin and (kind == WSMsgType.TEXT or kind == WSMsgType.BINARY):
                if frame.payload_size > self._bytes_max:
                    # picows says MESSAGE_TOO_BIG, and may deliver the message all the same.
                    self._connection.reconnect(f"message of {frame.payload_size} bytes")
                else:
                    self._deliver(
                        self._connection, frame.get_payload_as_bytes(), kind == WSMsgType.TEXT,
                        recv_ns,
                    )
            elif kind == WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
                self._join(frame, kind, recv_ns)
        except Exception as error:
            # picows would hide it from the process.
            self._failed(error)

    cdef int _join(self, WSFrame frame, WSMsgType kind, int64_t recv_ns) except -1:
        if kind != WSMsgType.CONTINUATION:
            self._pieces.clear()
            self._pieces_bytes = 0
            self._pieces_text = kind == WSMsgType.TEXT
        self._pieces.append(frame.get_payload_as_bytes())
        self._pieces_bytes += frame.payload_size
        if self._pieces_bytes > self._bytes_max:
            self._pieces.clear()
            self._connection.reconnect(f"message over {self._pieces_bytes} bytes")
        elif frame.fin:
            payload = b"".join(self._pieces)
            self._pieces.clear()
            self._deliver(self._connection, payload, self._pieces_text, recv_ns)
        return 0
