# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Compiled part of signals: write a plain signal's record, take a row into a market's own copy.

Run by the emitter and the engine; no I/O. ``SignalSlot.write`` fills the slot only when every
check of ``lowlat.signals.emit`` would pass; for anything else it says nothing and those checks
name what is wrong. A test runs both over the same signals and compares bytes.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_Check
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from lowlat.book._slots cimport ll_row8
from lowlat.book._view cimport BookView

__all__ = ["RowCopier", "SignalSlot"]

cdef extern from *:
    """
    #include "layout.h"
    typedef ll_signal ll_signal8 __attribute__((aligned(8)));
    """
    ctypedef struct ll_signal8:
        uint64_t id
        uint64_t cause
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t expires_ns
        double confidence
        double expected_value
        int64_t size_suggestion_e6
        uint64_t group
        uint8_t market_id[32]
        uint8_t token_id[32]
        uint8_t module[16]
        uint32_t instrument
        uint32_t generation
        int32_t limit_price_e4
        uint8_t action
        uint8_t urgency
        uint8_t leg
        uint8_t legs
        uint16_t metadata_bytes
        uint16_t mode
        uint8_t metadata[300]

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    NAME_BYTES = 16
    METADATA_BYTES = 300
    ID_BYTES = 32
    ONE = 10000


cdef inline int64_t _integer(object value) except? -1:
    """Return an int that fits; TypeError or OverflowError for anything else."""
    if not PyLong_Check(value):
        raise TypeError("expected an int")
    return value


@cython.final
cdef class SignalSlot:
    """The signals writer's private slot, bound once."""

    cdef uint8_t[::1] _buffer
    cdef ll_signal8 *_raw
    cdef dict _by_token

    def __init__(self, buffer, dict by_token):
        """Bind the buffer of a StreamWriter for signals, and the instruments by token."""
        self._buffer = buffer
        if <size_t>self._buffer.shape[0] < sizeof(ll_signal8) or <size_t>&self._buffer[0] & 7:
            raise ValueError(
                f"signal buffer was {self._buffer.shape[0]} bytes, expected "
                f"{sizeof(ll_signal8)} or more on an 8-byte boundary"
            )
        self._raw = <ll_signal8 *>&self._buffer[0]
        self._by_token = by_token

    def write(
        self, signal, bytes metadata, source, uint64_t record, int64_t decided_ns, int mode
    ):
        """Fill the slot and return True; False for what is not plain: then it is not to be sent."""
        try:
            return self._write(signal, metadata, source, record, decided_ns, mode)
        except (TypeError, OverflowError, UnicodeError):
            return False

    cdef bint _write(
        self, signal, bytes metadata, source, uint64_t record, int64_t decided_ns, int mode
    ) except -1:
        cdef ll_signal8 *raw = self._raw
        cdef object confidence = signal.confidence, value = signal.expected_value
        cdef object module = signal.module, token = signal.token_id, cause = signal.cause
        cdef object instrument, identity
        cdef bytes market_id, token_id
        cdef int64_t size_e6 = _integer(signal.size_suggestion)
        cdef int64_t expires_ns = _integer(signal.expires_ns)
        cdef int64_t price_e4 = _integer(signal.limit_price_e4)
        cdef int64_t action = _integer(signal.action), urgency = _integer(signal.urgency)
        cdef int64_t leg = _integer(signal.leg), legs = _integer(signal.legs)
        cdef uint64_t group = signal.group, named
        cdef Py_ssize_t name_bytes = 0, at
        cdef Py_ssize_t metadata_bytes = PyBytes_GET_SIZE(metadata)
        cdef const char *name
        cdef bint ascii = True
        if not (
            PyFloat_CheckExact(confidence)
            and 0.0 <= PyFloat_AS_DOUBLE(confidence) <= 1.0
            and PyFloat_CheckExact(value)
            and isfinite(PyFloat_AS_DOUBLE(value))
            and size_e6 > 0
            and expires_ns > 0
            and 0 < price_e4 < ONE
            and 0 <= action <= 1
            and 0 <= urgency <= 2
            and 0 <= leg <= 255
            and 0 <= legs <= 255
            and metadata_bytes <= METADATA_BYTES
            and PyLong_Check(signal.group)
            and PyLong_Check(cause)
            and type(module) is str
            and type(token) is str
        ):
            return False
        instrument = self._by_token.get(token)
        if instrument is None or instrument.market_id != signal.market_id:
            return False
        name = PyUnicode_AsUTF8AndSize(module, &name_bytes)
        if not 0 < name_bytes <= NAME_BYTES:
            return False
        for at in range(name_bytes):
            ascii = ascii and not name[at] & 0x80
        identity = instrument.identity
        market_id = identity.market_id
        token_id = identity.token_id
        if (
            not ascii
            or PyBytes_GET_SIZE(market_id) != ID_BYTES
            or PyBytes_GET_SIZE(token_id) != ID_BYTES
        ):
            return False
        named = cause
        self._stamp(source, named)
        raw.id = record
        raw.decided_ns = decided_ns
        raw.expires_ns = expires_ns
        raw.confidence = PyFloat_AS_DOUBLE(confidence)
        raw.expected_value = PyFloat_AS_DOUBLE(value)
        raw.size_suggestion_e6 = size_e6
        raw.group = group
        memcpy(raw.market_id, PyBytes_AS_STRING(market_id), ID_BYTES)
        memcpy(raw.token_id, PyBytes_AS_STRING(token_id), ID_BYTES)
        memset(raw.module, 0, NAME_BYTES)
        memcpy(raw.module, name, name_bytes)
        raw.instrument = identity.instrument
        raw.generation = identity.generation
        raw.limit_price_e4 = <int32_t>price_e4
        raw.action = <uint8_t>action
        raw.urgency = <uint8_t>urgency
        raw.leg = <uint8_t>leg
        raw.legs = <uint8_t>legs
        raw.metadata_bytes = <uint16_t>metadata_bytes
        raw.mode = <uint16_t>mode
        memcpy(raw.metadata, PyBytes_AS_STRING(metadata), metadata_bytes)
        memset(&raw.metadata[metadata_bytes], 0, METADATA_BYTES - metadata_bytes)
        return True

    cdef int _stamp(self, source, uint64_t cause) except -1:
        """Copy the stamps of the record that a callback is about, and its name unless given."""
        cdef ll_signal8 *raw = self._raw
        cdef const ll_row8 *row
        if type(source) is BookView:
            row = (<BookView>source).live()
            raw.cause = cause if cause else row.id
            raw.event_ns = row.event_ns
            raw.recv_ns = row.recv_ns
            raw.decoded_ns = row.decoded_ns
            raw.published_ns = row.published_ns
            return 0
        raw.cause = cause if cause else <uint64_t>source.id
        raw.event_ns = source.event_ns
        raw.recv_ns = source.recv_ns
        raw.decoded_ns = source.decoded_ns
        raw.published_ns = source.published_ns
        return 0


@cython.final
cdef class RowCopier:
    """Brings views over copies of book rows up to the row that a table reader holds."""

    cdef const uint8_t[::1] _row

    def __init__(self, row):
        """Bind the buffer of a TableReader for books."""
        self._row = row
        if <size_t>self._row.shape[0] < sizeof(ll_row8):
            raise ValueError(
                f"row buffer was {self._row.shape[0]} bytes, expected {sizeof(ll_row8)} or more"
            )

    def copy_to(self, BookView view not None):
        """Copy the row that was read into the view's own buffer."""
        memcpy(view._buffer.buf, &self._row[0], sizeof(ll_row8))
