# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Compiled part of emitting: a plain wish becomes its record and is published.

Run by the emitter for Signals and by compiled looks, both through ``Outlet.send``: one writer of
the record, no I/O of its own. What is not plain is not sent: the checks of ``lowlat.signals.emit``
then name what is wrong. A test compares the bytes with those of ``core.signal.encode_signal``.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_Check
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from lowlat.book._slots cimport ll_row8
from lowlat.core._ends cimport clock_end, count_end, publish_end, record_end
from lowlat.core.layout cimport (
    LL_KIND_SIGNAL,
    LL_SIGNAL_METADATA_BYTES,
    ll_signal,
    ll_spot_top,
)

__all__ = ["Outlet"]

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    NAME_BYTES = 16
    ID_BYTES = 32
    ONE = 10000


@cython.final
cdef class Outlet:
    """The signals writer: its slot, its names, and what the callback under way is about."""

    def __init__(
        self, signals, dict by_token, clock, uint64_t name, emitted, dropped, latency
    ):
        """Bind a StreamWriter, the instruments by token, a clock, counters and a recorder."""
        self._buffer = signals.buffer
        if <size_t>self._buffer.shape[0] < sizeof(ll_signal) or <size_t>&self._buffer[0] & 7:
            raise ValueError(
                f"signal buffer was {self._buffer.shape[0]} bytes, expected "
                f"{sizeof(ll_signal)} or more on an 8-byte boundary"
            )
        self._raw = <ll_signal *>&self._buffer[0]
        self._by_token = by_token
        self._signals = publish_end(signals)
        self._clock = clock_end(clock)
        self._latency = record_end(latency)
        self._emitted = count_end(emitted)
        self._dropped = count_end(dropped)
        self._name = name

    def next_id(self):
        """Return a name that no other record or group of this writer has."""
        return self.next()

    cdef uint64_t next(self) noexcept:
        self._seq += 1
        return self._name | self._seq

    def emit(self, signal, bytes metadata):
        """Publish a plain signal: whether it was sent, or None for what is not plain."""
        cdef wish_t wish
        cdef int found
        try:
            if not self._read(signal, metadata, &wish):
                return None
        except (TypeError, OverflowError, UnicodeError):
            return None
        found = self.send(&wish)
        return None if found == NOT_PLAIN else found == SENT

    cdef bint _read(self, object signal, bytes metadata, wish_t *wish) except -1:
        """Take a signal apart; its ids and texts are borrowed. False for what is not plain."""
        cdef object confidence = signal.confidence, value = signal.expected_value
        cdef object module = signal.module, token = signal.token_id
        cdef object instrument, identity
        cdef bytes market_id, token_id
        cdef Py_ssize_t at
        wish.size_e6 = _integer(signal.size_suggestion)
        wish.expires_ns = _integer(signal.expires_ns)
        wish.limit_price_e4 = _integer(signal.limit_price_e4)
        wish.action = _integer(signal.action)
        wish.urgency = _integer(signal.urgency)
        wish.leg = _integer(signal.leg)
        wish.legs = _integer(signal.legs)
        wish.group = _name(signal.group)
        wish.cause = _name(signal.cause)
        if not (
            PyFloat_CheckExact(confidence)
            and PyFloat_CheckExact(value)
            and type(module) is str
            and type(token) is str
        ):
            return False
        wish.confidence = PyFloat_AS_DOUBLE(confidence)
        wish.expected_value = PyFloat_AS_DOUBLE(value)
        wish.module = PyUnicode_AsUTF8AndSize(module, &wish.module_bytes)
        for at in range(wish.module_bytes):
            if wish.module[at] & 0x80:
                return False
        instrument = self._by_token.get(token)
        if instrument is None or instrument.market_id != signal.market_id:
            return False
        identity = instrument.identity
        market_id = identity.market_id
        token_id = identity.token_id
        if PyBytes_GET_SIZE(market_id) != ID_BYTES or PyBytes_GET_SIZE(token_id) != ID_BYTES:
            return False
        wish.market_id = <const uint8_t *>PyBytes_AS_STRING(market_id)
        wish.token_id = <const uint8_t *>PyBytes_AS_STRING(token_id)
        wish.instrument = identity.instrument
        wish.generation = identity.generation
        wish.metadata = PyBytes_AS_STRING(metadata)
        wish.metadata_bytes = PyBytes_GET_SIZE(metadata)
        return True

    cdef int send(self, const wish_t *wish) except -2:
        """Publish one wish: SENT, DROPPED (counted) by a full gate, or NOT_PLAIN and untouched."""
        cdef ll_signal *raw = self._raw
        cdef int64_t decided_ns
        if not _plain(wish):
            return NOT_PLAIN
        assert self.called, "a signal was emitted outside a callback"
        decided_ns = self._clock.c_monotonic_ns()
        raw.id = self.next()
        raw.cause = wish.cause if wish.cause else self.stamps.id
        raw.event_ns = self.stamps.event_ns
        raw.recv_ns = self.stamps.recv_ns
        raw.decoded_ns = self.stamps.decoded_ns
        raw.published_ns = self.stamps.published_ns
        raw.decided_ns = decided_ns
        raw.expires_ns = wish.expires_ns
        raw.confidence = wish.confidence
        raw.expected_value = wish.expected_value
        raw.size_suggestion_e6 = wish.size_e6
        raw.group = wish.group
        memcpy(raw.market_id, wish.market_id, ID_BYTES)
        memcpy(raw.token_id, wish.token_id, ID_BYTES)
        memset(raw.module, 0, NAME_BYTES)
        memcpy(raw.module, wish.module, wish.module_bytes)
        raw.instrument = wish.instrument
        raw.generation = wish.generation
        raw.limit_price_e4 = <int32_t>wish.limit_price_e4
        raw.action = <uint8_t>wish.action
        raw.urgency = <uint8_t>wish.urgency
        raw.leg = <uint8_t>wish.leg
        raw.legs = <uint8_t>wish.legs
        raw.metadata_bytes = <uint16_t>wish.metadata_bytes
        raw.mode = <uint16_t>self.mode
        memcpy(raw.metadata, wish.metadata, wish.metadata_bytes)
        memset(
            &raw.metadata[wish.metadata_bytes], 0, LL_SIGNAL_METADATA_BYTES - wish.metadata_bytes
        )
        return SENT if self._sent(decided_ns) else DROPPED

    def about(self, source):
        """Say which record the callback is about: signals name it as their cause."""
        self.called = True
        self.stamps.id = source.id
        self.stamps.event_ns = source.event_ns
        self.stamps.recv_ns = source.recv_ns
        self.stamps.decoded_ns = source.decoded_ns
        self.stamps.published_ns = source.published_ns

    cdef void about_book(self, const ll_row8 *row) noexcept:
        self.called = True
        self.stamps.id = row.id
        self.stamps.event_ns = row.event_ns
        self.stamps.recv_ns = row.recv_ns
        self.stamps.decoded_ns = row.decoded_ns
        self.stamps.published_ns = row.published_ns

    cdef void about_spot(self, const ll_spot_top *top) noexcept:
        self.called = True
        self.stamps.id = top.id
        self.stamps.event_ns = top.event_ns
        self.stamps.recv_ns = top.recv_ns
        self.stamps.decoded_ns = top.decoded_ns
        self.stamps.published_ns = top.published_ns

    @property
    def cause(self):
        """Record the callback is about: id, event_ns, recv_ns, decoded_ns, published_ns."""
        assert self.called, "a signal was emitted outside a callback"
        return (
            self.stamps.id,
            self.stamps.event_ns,
            self.stamps.recv_ns,
            self.stamps.decoded_ns,
            self.stamps.published_ns,
        )

    def sent(self, int64_t decided_ns):
        """Publish what the slot holds and count it; False when the gate is full."""
        return self._sent(decided_ns)

    cdef bint _sent(self, int64_t decided_ns) except -1:
        if not self._signals.c_publish(LL_KIND_SIGNAL):
            self._dropped.c_add(1)
            return False
        self._emitted.c_add(1)
        self._latency.c_record(decided_ns - self.stamps.published_ns)
        return True


cdef bint _plain(const wish_t *wish) noexcept:
    return (
        0.0 <= wish.confidence <= 1.0
        and isfinite(wish.expected_value)
        and wish.size_e6 > 0
        and wish.expires_ns > 0
        and 0 < wish.limit_price_e4 < ONE
        and 0 <= wish.action <= 1
        and 0 <= wish.urgency <= 2
        and 0 <= wish.leg <= 255
        and 0 <= wish.legs <= 255
        and 0 < wish.module_bytes <= NAME_BYTES
        and 0 <= wish.metadata_bytes <= LL_SIGNAL_METADATA_BYTES
    )


cdef inline int64_t _integer(object value) except? -1:
    """Return an int that fits; TypeError or OverflowError for anything else."""
    if not PyLong_Check(value):
        raise TypeError("expected an int")
    return value


cdef inline uint64_t _name(object value) except? 0:
    """Return a record's or a group's name; TypeError or OverflowError for anything else."""
    if not PyLong_Check(value):
        raise TypeError("expected an int")
    return value


cdef char *put_field(char *at, const char *name, int64_t value) noexcept:
    """Write what introduces a number and the number, as JSON has it; return the end."""
    cdef char digits[20]
    cdef int count = 0
    cdef uint64_t rest = <uint64_t>value if value >= 0 else -<uint64_t>value
    while name[0]:
        at[0] = name[0]
        at += 1
        name += 1
    if value < 0:
        at[0] = c'-'
        at += 1
    while True:
        digits[count] = <char>(c'0' + rest % 10)
        rest //= 10
        count += 1
        if not rest:
            break
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
    return at
