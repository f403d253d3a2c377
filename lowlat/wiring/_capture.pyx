# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""What a process is given, written down as it happens: the ends that engines see while capturing.

Each end does what the real one does and adds one entry to an ``InputLog``: two stores on the order
path, no copy, no system call. Entries become bytes between turns. Made by capture.py only.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from lowlat.core._ends cimport (
    ClockEnd,
    HaltEnd,
    PollEnd,
    SendEnd,
    clock_end,
    halt_end,
    poll_end,
    send_end,
)

import re
from zlib import crc32

from lowlat.core.ports import EMPTY, OVERRUN

__all__ = [
    "CapturedClock",
    "CapturedHalt",
    "CapturedLink",
    "CapturedSend",
    "InputLog",
    "Tails",
    "without_secrets",
]

cdef enum:
    WORDS = 8192
    RECORDS_A_LOOK = 4096

cdef object _SECRETS = re.compile(rb'"(signature|owner)":"[^"]*"')
cdef int _EMPTY = EMPTY
cdef int _OVERRUN = OVERRUN


def without_secrets(request):
    """Return a request's first line and body, without header lines, signature and owner."""
    head, _, body = bytes(request).partition(b"\r\n\r\n")
    return head.split(b"\r\n", 1)[0] + b"\n" + _SECRETS.sub(rb'"\1":""', body)


@cython.final
cdef class InputLog:
    """Entries of one process in order. ``take`` hands over what became bytes; bounded.

    ``full``: nobody took what was written for so long that the log has ended.
    """

    def __cinit__(self, Py_ssize_t bytes_max, bytes secret=b"", bytes mask=b""):
        """``secret`` is replaced by ``mask`` in private blobs, in its case and in lower case."""
        self._tags = <uint8_t *>malloc(WORDS)
        self._values = <int64_t *>malloc(WORDS * sizeof(int64_t))
        if self._tags == NULL or self._values == NULL:
            raise MemoryError
        self._blobs = []
        self._done = bytearray()
        self._done_max = bytes_max
        self._secret = secret
        self._mask = mask

    def __dealloc__(self):
        free(self._tags)
        free(self._values)

    cdef int put(self, int tag, int64_t value) except -1:
        if self._count == WORDS:
            self._encode()
        self._tags[self._count] = <uint8_t>tag
        self._values[self._count] = value
        self._count += 1
        self.entries += 1
        return 0

    cdef int put_blob(self, int tag, object data) except -1:
        # The bytes first: encoding in between finds as many blobs as entries for them.
        if self._count == WORDS:
            self._encode()
        self._blobs.append(data)
        return self.put(tag, 0)

    def add(self, int tag, int64_t value=0):
        """Write one entry."""
        self.put(tag, value)

    def blob(self, bytes data not None, bint private=False):
        """Write bytes that belong to the entry before."""
        self.put_blob(TAG_PRIVATE if private else TAG_BLOB, data)

    @property
    def waiting_bytes(self):
        """Bytes that ``take`` would return, entries of this turn included."""
        self._encode()
        return len(self._done)

    def take(self, Py_ssize_t bytes_max):
        """Return the oldest bytes, at most so many; b"" when there are none."""
        if self._count:
            self._encode()
        piece = bytes(memoryview(self._done)[:bytes_max])
        del self._done[: len(piece)]
        return piece

    cdef int _encode(self) except -1:
        cdef Py_ssize_t at, count = self._count
        cdef bytearray done = self._done
        cdef list blobs = self._blobs
        cdef int64_t value
        cdef int tag
        cdef bytes data
        cdef Py_ssize_t blob = 0
        cdef uint8_t room[12]
        self._count = 0
        self._blobs = []
        if self.full:
            return 0
        for at in range(count):
            tag = self._tags[at]
            if is_blob(tag):
                data = blobs[blob]
                blob += 1
                if tag == TAG_REQUEST:
                    data = without_secrets(data)
                if tag != TAG_BLOB and self._secret:
                    data = data.replace(self._secret, self._mask)
                    data = data.replace(self._secret.lower(), self._mask)
                room[0] = TAG_BLOB
                done += room[: 1 + _varint(&room[1], <uint64_t>len(data))]
                done += data
                continue
            value = self._values[at]
            if is_time(tag):
                value, self._last_ns = value - self._last_ns, value
            elif tag == TAG_WALL:
                value -= self._last_ns
                value, self._offset_ns = value - self._offset_ns, value
            room[0] = <uint8_t>tag
            done += room[: 1 + _varint(&room[1], _zigzag(value))]
        if len(done) > self._done_max:
            self.full = True
            done.clear()
        return 0


cdef inline uint64_t _zigzag(int64_t value) noexcept nogil:
    return (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)


cdef inline int _varint(uint8_t *room, uint64_t value) noexcept nogil:
    cdef int size = 0
    while value >= 128:
        room[size] = <uint8_t>(value & 127 | 128)
        value >>= 7
        size += 1
    room[size] = <uint8_t>value
    return size + 1


@cython.final
cdef class CapturedClock(ClockEnd):
    """A clock whose readings are written down."""

    cdef ClockEnd _clock
    cdef InputLog _log

    def __init__(self, clock, InputLog log not None):
        self._clock = clock_end(clock)
        self._log = log

    def monotonic_ns(self):
        """Read the monotonic clock."""
        return self.c_monotonic_ns()

    def wall_ns(self):
        """Read the wall clock."""
        return self.c_wall_ns()

    cdef int64_t c_monotonic_ns(self) except? -1:
        cdef int64_t now_ns = self._clock.c_monotonic_ns()
        self._log.put(TAG_CLOCK, now_ns)
        return now_ns

    cdef int64_t c_wall_ns(self) except? -1:
        cdef int64_t now_ns = self._clock.c_wall_ns()
        self._log.put(TAG_WALL, now_ns)
        return now_ns


@cython.final
cdef class CapturedHalt(HaltEnd):
    """Halt cells elsewhere; every look at them is written down."""

    cdef HaltEnd _halt
    cdef InputLog _log

    def __init__(self, halted, InputLog log not None):
        self._halt = halt_end(halted)
        self._log = log

    cdef int64_t c_halted(self) except? -1:
        cdef int64_t code = self._halt.c_halted()
        self._log.put(TAG_HALTED, code)
        return code


@cython.final
cdef class CapturedSend(SendEnd):
    """A transport; what it did with each request is written down behind the write."""

    cdef SendEnd _transport
    cdef InputLog _log

    def __init__(self, transport, InputLog log not None):
        self._transport = send_end(transport)
        self._log = log

    def send(self, request, int64_t key, *, bint urgent):
        """Send one request (see Transport)."""
        return self.c_send(request, key, urgent)

    def idle(self):
        """Count idle connections."""
        return self.c_idle()

    cdef int c_send(self, object request, int64_t key, bint urgent) except -9:
        cdef int result = self._transport.c_send(request, key, urgent)
        self._log.put(TAG_SENT, result)
        # Its secrets go when it becomes bytes. A buffer is copied: its owner may use it again.
        self._log.put_blob(TAG_REQUEST, bytes(request))
        return result

    cdef Py_ssize_t c_idle(self) except -1:
        cdef Py_ssize_t count = self._transport.c_idle()
        self._log.put(TAG_IDLE, count)
        return count


@cython.final
cdef class CapturedLink:
    """One socket: the engine's connection and the network's listener in one, both written down.

    ``number`` is the engine's name for it; ``private``: its frames name our API key.
    """

    cdef readonly Py_ssize_t number
    cdef InputLog _log
    cdef int64_t _link
    cdef int _blob
    cdef object _listener
    cdef object _deliver
    cdef object _connection

    def __init__(
        self, InputLog log not None, int64_t link, listener, Py_ssize_t number, bint private
    ):
        self.number = number
        self._log = log
        self._link = link
        self._blob = TAG_PRIVATE if private else TAG_BLOB
        self._listener = listener
        self._deliver = listener.on_frame

    def bind(self, connection):
        """Take the real connection, which was dialled with this for a listener."""
        self._connection = connection

    # ------------------------------------------------------------------ the engine's side
    def send_text(self, bytes payload not None):
        """Send a text frame; False when the link is down."""
        cdef bint sent = self._connection.send_text(payload)
        self._log.put(TAG_TEXT, sent)
        return sent

    def reconnect(self, reason):
        """Drop the link; a new one follows."""
        self._connection.reconnect(reason)

    def close(self):
        """Drop the link and stay down."""
        self._connection.close()

    # ------------------------------------------------------------------ the network's side
    def on_open(self, connection):
        """Say that frames can be sent."""
        self._log.put(TAG_OPEN, self._link)
        self._listener.on_open(self)

    def on_frame(self, connection, bytes payload not None, bint is_text, int64_t recv_ns):
        """Write a frame down and deliver it."""
        self._log.put(TAG_FRAME, recv_ns)
        self._log.put(TAG_ARG, self._link << 1 | is_text)
        self._log.put_blob(self._blob, payload)
        self._deliver(self, payload, is_text, recv_ns)

    def on_close(self, connection, reason):
        """Say that the link is gone."""
        self._log.put(TAG_CLOSE, self._link)
        self._log.put_blob(TAG_BLOB, reason.encode())
        self._listener.on_close(self, reason)


@cython.final
cdef class Tails:
    """Reads back what our own engines published: whole records of some kinds, sums of the rest.

    The order of ``readers`` is the number of a stream in the capture.
    """

    cdef list _ends
    cdef list _buffers
    cdef list _readers
    cdef list _sizes
    cdef frozenset _whole

    def __init__(self, readers, sizes, whole):
        """``sizes``: bytes of each record by its kind; ``whole``: kinds."""
        self._readers = list(readers)
        self._ends = [poll_end(reader) for reader in readers]
        self._buffers = [reader.buffer for reader in readers]
        self._sizes = [0] * (max(sizes) + 1)
        for kind, size in sizes.items():
            self._sizes[kind] = size
        self._whole = frozenset(whole)

    def look(self, take):
        """Call ``take(stream, kind, data)`` for each record since the last look.

        ``kind`` -1: so many records were lost (data is None).
        """
        cdef PollEnd end
        cdef Py_ssize_t stream
        cdef int kind, done
        for stream in range(len(self._ends)):
            end = self._ends[stream]
            kind = end.c_poll()
            done = 0
            while kind != _EMPTY:
                if kind == _OVERRUN:
                    take(stream, -1, None)
                else:
                    take(stream, kind, bytes(self._buffers[stream][16 : self._sizes[kind]]))
                done += 1
                if done == RECORDS_A_LOOK:
                    break
                kind = end.c_poll()

    def write(self, InputLog log not None):
        """Write what came since the last look into a log."""
        cdef PollEnd end
        cdef Py_ssize_t stream
        cdef int64_t count
        cdef object checksum
        cdef int kind, done
        for stream in range(len(self._ends)):
            end = self._ends[stream]
            kind = end.c_poll()
            if kind == _EMPTY:
                continue
            buffer = self._buffers[stream]
            done = 0
            count = 0
            checksum = 0
            while kind != _EMPTY:
                if kind == _OVERRUN:
                    log.put(TAG_LAPPED, stream)
                elif kind in self._whole:
                    log.put(TAG_OUT, stream)
                    log.put(TAG_ARG, kind)
                    log.put_blob(TAG_BLOB, bytes(buffer[16 : self._sizes[kind]]))
                else:
                    checksum = crc32(buffer[16 : self._sizes[kind]], checksum)
                    count += 1
                done += 1
                if done == RECORDS_A_LOOK:
                    break
                kind = end.c_poll()
            if count:
                log.put(TAG_SUM, stream)
                log.put(TAG_ARG, count)
                log.put(TAG_ARG, checksum)
