# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""The last instant before an order leaves: connection, halt cells, watchdogs, write, in one call.

Between the check and ``send(2)`` there is no interpreter, no allocation and no lock, so nothing
can be halted "while the order was being sent" by anything slower than the hardware. Knows words
at addresses, not what they mean. Run by the executor only.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport errno
from libc.stdint cimport int64_t, uint64_t, uintptr_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <sys/socket.h>
    #define LL_SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
    static inline uint64_t gate_load(const uint64_t *word)
    {
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    """
    uint64_t gate_load(const uint64_t *word) noexcept nogil
    int LL_SEND_FLAGS

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void *data, size_t size, int flags)

from lowlat.core._ends cimport ClockEnd, HaltEnd, SendEnd

from collections import deque

from lowlat.core.clock import RealClock

__all__ = ["HotConnection", "HotSender", "SendGate", "send_now"]

cdef ClockEnd CLOCK = RealClock()

cdef enum:
    SENT = 1
    SEND_NONE = 0
    SEND_PARTIAL = -1
    SEND_HALTED = -2
    WORDS_MAX = 32
    STATE_DOWN = 0
    STATE_IDLE = 1
    STATE_BUSY = 2


@cython.final
cdef class _Pins:
    """Buffer exports held for the life of the gate."""

    cdef Py_buffer views[WORDS_MAX]
    cdef int count

    def __dealloc__(self):
        cdef int at
        for at in range(self.count):
            PyBuffer_Release(&self.views[at])

    cdef const uint64_t *word(self, buffer, Py_ssize_t offset) except NULL:
        if self.count == WORDS_MAX:
            raise ValueError(f"a gate holds at most {WORDS_MAX} words")
        PyObject_GetBuffer(buffer, &self.views[self.count], PyBUF_SIMPLE)
        cdef Py_buffer *view = &self.views[self.count]
        self.count += 1
        if offset < 0 or offset + 8 > view.len:
            raise ValueError(f"word at {offset} does not lie in a segment of {view.len} bytes")
        if (<uintptr_t>view.buf + <size_t>offset) % 8:
            raise ValueError(f"offset {offset} is not aligned to 8 bytes")
        return <const uint64_t *>(<char *>view.buf + offset)


cdef int _send(int fd, object request, int *error) except -3:
    """Hand request to the kernel in one call; what did not fit is never sent."""
    cdef Py_buffer view
    cdef ssize_t sent
    PyObject_GetBuffer(request, &view, PyBUF_SIMPLE)
    sent = send(fd, view.buf, <size_t>view.len, LL_SEND_FLAGS)
    error[0] = errno if sent < 0 else 0
    cdef Py_ssize_t wanted = view.len
    PyBuffer_Release(&view)
    if sent == wanted:
        return SENT
    return SEND_PARTIAL if sent > 0 else SEND_NONE


def send_now(int fd, request):
    """Send without a gate: SENT, SEND_NONE (nothing left) or SEND_PARTIAL. One system call."""
    cdef int error
    return _send(fd, request, &error)


@cython.final
cdef class SendGate(HaltEnd):
    """Refuses to send while a halt word is not zero or a heartbeat is older than its limit.

    ``halt_words``: (buffer, offset) of u64 cells. ``watch``: (buffer, offset, limit_ns) of i64
    heartbeats in the clock of ``now_ns``. At most 32 words in all.
    """

    cdef const uint64_t *halts[WORDS_MAX]
    cdef const uint64_t *beats[WORDS_MAX]
    cdef int64_t limits[WORDS_MAX]
    cdef int halt_count
    cdef int beat_count
    cdef _Pins pins
    cdef readonly int error
    """errno of the last send that left nothing, 0 otherwise."""

    def __init__(self, halt_words, watch):
        self.pins = _Pins()
        for buffer, offset in halt_words:
            self.halts[self.halt_count] = self.pins.word(buffer, offset)
            self.halt_count += 1
        for buffer, offset, limit_ns in watch:
            if limit_ns <= 0:
                raise ValueError(f"limit_ns of a heartbeat was {limit_ns}, expected above 0")
            self.beats[self.beat_count] = self.pins.word(buffer, offset)
            self.limits[self.beat_count] = limit_ns
            self.beat_count += 1

    cdef inline int _blocked(self, int64_t now_ns) noexcept nogil:
        cdef int at
        for at in range(self.halt_count):
            if gate_load(self.halts[at]):
                return at + 1
        for at in range(self.beat_count):
            # A heartbeat that was never written is zero, and as old as the machine.
            if now_ns - <int64_t>gate_load(self.beats[at]) > self.limits[at]:
                return -(at + 1)
        return 0

    def blocked(self, int64_t now_ns):
        """Return 0, n for the n-th halt word that is set, or -n for the n-th heartbeat too old."""
        return self._blocked(now_ns)

    cdef int64_t c_halted(self) except? -1:
        # Halt words only: no beat is older than the beginning of time.
        return self._blocked(0)

    def send(self, int fd, request, int64_t now_ns):
        """Check, then send(2): SENT, SEND_NONE, SEND_PARTIAL or SEND_HALTED."""
        if self._blocked(now_ns):
            return SEND_HALTED
        return _send(fd, request, &self.error)

    def write(self, write, request, int64_t now_ns):
        """Check, then ``write(request)`` (TLS): SEND_HALTED, or the bytes it took.

        The write's exceptions pass through.
        """
        if self._blocked(now_ns):
            return SEND_HALTED
        return write(request)


@cython.final
cdef class HotConnection:
    """One socket: DOWN until dialled, IDLE, BUSY while a request is out."""

    DOWN = STATE_DOWN
    IDLE = STATE_IDLE
    BUSY = STATE_BUSY

    cdef public object sock
    cdef public object reader
    cdef public object backoff
    cdef public object task
    cdef public int fd
    cdef public int state
    cdef public int64_t key
    cdef public int64_t requests
    cdef public int64_t sent_ns
    cdef public int64_t ping_due_ns
    cdef public int64_t dial_due_ns

    def __init__(self, reader, backoff):
        self.reader = reader
        self.backoff = backoff
        self.fd = -1


cdef class HotSender(SendEnd):
    """The sending end of HotConnections: which sockets are idle, which owe an answer.

    ``gate`` stands before urgent requests. ``write_tls(connection, request, gate, now_ns)`` stands
    for the system call where there is TLS. ``retire(connection)`` closes one.
    """

    cdef readonly list _idle
    cdef readonly dict _busy
    cdef readonly object _lost
    cdef readonly SendGate _gate
    cdef object _write_tls
    cdef object _retire

    def __cinit__(self, *_args, **_kwargs):
        self._idle = []
        self._busy = {}
        self._lost = deque()

    def bind(self, SendGate gate, write_tls, retire not None):
        """Set what sending needs; ``gate`` and ``write_tls`` may be None."""
        self._gate = gate
        self._write_tls = write_tls
        self._retire = retire

    def idle(self):
        """Return how many connections could take a request now."""
        return len(self._idle)

    def send(self, request, int64_t key, *, bint urgent):
        """Write one request in one call; see Transport. Keys are not negative."""
        return self.c_send(request, key, urgent)

    cdef Py_ssize_t c_idle(self) except -1:
        return len(self._idle)

    cdef int c_send(self, object request, int64_t key, bint urgent) except -9:
        cdef HotConnection connection
        cdef int result
        while self._idle:
            connection = self._idle.pop()
            result = self._write(connection, request, urgent)
            if result == SENT:
                connection.key = key
                return SENT
            if result == SEND_HALTED:
                self._idle.append(connection)
                return SEND_HALTED
            if result == SEND_PARTIAL:
                # The rest is never sent: closing keeps the peer from acting on a late tail.
                self._lost.append(key)
                self._retire(connection)
                return SEND_PARTIAL
            self._retire(connection)
        return SEND_NONE

    def write(self, HotConnection connection not None, request, *, bint urgent):
        """Write one request on a connection that is idle, and make it busy when all of it left."""
        return self._write(connection, request, urgent)

    cdef int _write(self, HotConnection connection, object request, bint urgent) except -3:
        cdef int64_t now_ns = CLOCK.c_monotonic_ns()
        cdef SendGate gate = self._gate if urgent else None
        cdef int result, error = 0
        if self._write_tls is not None:
            result = self._write_tls(connection, request, gate, now_ns)
        elif gate is None:
            result = _send(connection.fd, request, &error)
        elif gate._blocked(now_ns):
            result = SEND_HALTED
        else:
            result = _send(connection.fd, request, &gate.error)
        if result == SENT:
            connection.state = STATE_BUSY
            connection.sent_ns = now_ns
            connection.requests += 1
            self._busy[connection.fd] = connection
        return result
