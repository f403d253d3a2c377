# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""A capture read back: the ends that engines see in a replay, each answering what was recorded.

``Playback`` is the only cursor. An end that is asked for what the recording does not have there
raises ``Astray``: from that point on the engines do something else than they did.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from lowlat.core._ends cimport ClockEnd, HaltEnd, SendEnd
from lowlat.wiring._capture cimport (
    TAG_ARG,
    TAG_ASKED,
    TAG_BLOB,
    TAG_CLOCK,
    TAG_DIAL,
    TAG_HALTED,
    TAG_IDLE,
    TAG_SALT,
    TAG_SENT,
    TAG_TEXT,
    TAG_WALL,
    is_time,
)

from zlib import crc32

from lowlat.wiring._capture import without_secrets

from lowlat.wiring.capture_tags import Tag

__all__ = ["Astray", "Ended", "PlayedClock", "PlayedHalt", "PlayedLink", "PlayedSend", "Playback"]


class Astray(BaseException):
    """The engines ask for something else than they did. Not an Exception: no engine handles it."""


class Ended(BaseException):
    """Nothing more was recorded: the process died here, or its last block is lost."""


cdef object _name(int tag):
    return Tag(tag).name if tag in Tag.__members__.values() else f"damage ({tag})"


@cython.final
cdef class Playback:
    """A cursor over the bytes of a capture."""

    cdef object _data
    cdef const uint8_t[::1] _view
    cdef Py_ssize_t _at, _end
    cdef int64_t _last_ns, _offset_ns
    cdef readonly int64_t now_ns
    cdef readonly list requests

    def __init__(self, data not None):
        """``requests`` gets each request that the engines send, as the capture has it."""
        self._data = data
        self._view = data
        self._end = len(data)
        self.requests = []

    @property
    def position(self):
        """Bytes read so far."""
        return self._at

    @property
    def tag(self):
        """Tag of the next entry, 0 at the end."""
        return self._view[self._at] if self._at < self._end else 0

    def next(self):
        """Read an entry: its tag and its number or bytes. Ended at a torn end."""
        cdef int tag = self._view[self._at] if self._at < self._end else 0
        if not tag:
            return 0, 0
        if tag == TAG_BLOB:
            return tag, self._blob()
        return tag, self.expect(tag)

    def arg(self):
        """Read a number that belongs to the entry before."""
        return self.next()[1]

    cdef uint64_t _varint(self) except? 0:
        cdef uint64_t value = 0
        cdef int shift = 0
        cdef uint8_t byte
        while True:
            if self._at >= self._end or shift > 63:
                raise Ended(f"capture ends inside a number at byte {self._at}")
            byte = self._view[self._at]
            self._at += 1
            value |= <uint64_t>(byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    cdef bytes _blob(self):
        cdef Py_ssize_t at, size
        self._at += 1
        size = <Py_ssize_t>self._varint()
        at = self._at
        if size < 0 or size > self._end - at:
            raise Ended(f"capture ends inside {size} bytes at byte {at}")
        self._at = at + size
        return bytes(self._data[at : at + size])

    cdef int64_t expect(self, int tag) except? -1:
        """Read an entry of this kind, or say that we went astray."""
        cdef int found = self._view[self._at] if self._at < self._end else 0
        cdef uint64_t raw
        cdef int64_t value
        if found == 0:
            raise Ended(f"capture ends before {_name(tag)}")
        if found != tag:
            raise Astray(f"the engines asked for {_name(tag)}, recorded is {_name(found)}")
        self._at += 1
        raw = self._varint()
        value = <int64_t>(raw >> 1) ^ -<int64_t>(raw & 1)
        if is_time(tag):
            self._last_ns += value
            self.now_ns = self._last_ns
            return self._last_ns
        if tag == TAG_WALL:
            self._offset_ns += value
            return self._last_ns + self._offset_ns
        return value

    # ------------------------------------------------------------------ what Python ends ask
    def salt(self):
        """Return the recorded salt."""
        return self.expect(TAG_SALT)

    def asked(self, bytes path not None):
        """Return whether a REST client took a request for a path."""
        cdef bint accepted = self.expect(TAG_ASKED)
        if self.expect(TAG_ARG) != crc32(path):
            raise Astray(f"the engines asked for {path[:200]!r}, recorded is another path")
        return accepted

    def dialled(self, int64_t number):
        """Take note of a dial."""
        cdef int64_t recorded = self.expect(TAG_DIAL)
        if recorded != number:
            raise Astray(f"the engines dialled connection {number}, recorded is {recorded}")


@cython.final
cdef class PlayedClock(ClockEnd):
    """A clock that reads what it read."""

    cdef Playback _playback

    def __init__(self, Playback playback not None):
        self._playback = playback

    def monotonic_ns(self):
        """Return the next recorded reading."""
        return self._playback.expect(TAG_CLOCK)

    def wall_ns(self):
        """Return the next recorded reading of the wall clock."""
        return self._playback.expect(TAG_WALL)

    cdef int64_t c_monotonic_ns(self) except? -1:
        return self._playback.expect(TAG_CLOCK)

    cdef int64_t c_wall_ns(self) except? -1:
        return self._playback.expect(TAG_WALL)


@cython.final
cdef class PlayedHalt(HaltEnd):
    """Halt cells elsewhere, as they were."""

    cdef Playback _playback

    def __init__(self, Playback playback not None):
        self._playback = playback

    cdef int64_t c_halted(self) except? -1:
        return self._playback.expect(TAG_HALTED)


@cython.final
cdef class PlayedSend(SendEnd):
    """A transport that does what it did, and keeps what it is given and what it was given."""

    cdef Playback _playback

    def __init__(self, Playback playback not None):
        self._playback = playback

    def send(self, request, int64_t key, *, bint urgent):
        """Return what became of the recorded request."""
        return self.c_send(request, key, urgent)

    def idle(self):
        """Return how many connections were idle."""
        return self.c_idle()

    cdef int c_send(self, object request, int64_t key, bint urgent) except -9:
        cdef int result = <int>self._playback.expect(TAG_SENT)
        cdef object recorded = self._playback.next()[1]
        self._playback.requests.append((without_secrets(request), recorded))
        return result

    cdef Py_ssize_t c_idle(self) except -1:
        return <Py_ssize_t>self._playback.expect(TAG_IDLE)


@cython.final
cdef class PlayedLink:
    """A socket without a network: its events come from the recording."""

    cdef readonly Py_ssize_t number
    cdef readonly object listener
    cdef Playback _playback

    def __init__(self, Playback playback not None, listener, Py_ssize_t number):
        self.number = number
        self.listener = listener
        self._playback = playback

    def send_text(self, payload):
        """Return whether the frame could be sent."""
        return bool(self._playback.expect(TAG_TEXT))

    def reconnect(self, reason):
        """What follows is in the recording."""

    def close(self):
        """What follows is in the recording."""
