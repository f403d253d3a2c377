"""Index of _emit.pyx: compiled looks send a wish_t where modules in Python emit a Signal."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from lowlat.book._slots cimport ll_row8
from lowlat.core._ends cimport ClockEnd, CountEnd, PublishEnd, RecordEnd
from lowlat.core.layout cimport ll_signal, ll_spot_top

ctypedef struct wish_t:
    const uint8_t *market_id
    const uint8_t *token_id
    const char *module
    const char *metadata
    Py_ssize_t module_bytes
    Py_ssize_t metadata_bytes
    double confidence
    double expected_value
    int64_t size_e6
    int64_t limit_price_e4
    int64_t expires_ns
    int64_t action
    int64_t urgency
    int64_t leg
    int64_t legs
    uint64_t group
    uint64_t cause
    uint32_t instrument
    uint32_t generation

ctypedef struct stamps_t:
    uint64_t id
    int64_t event_ns
    int64_t recv_ns
    int64_t decoded_ns
    int64_t published_ns

cdef char *put_field(char *at, const char *name, int64_t value) noexcept

cdef enum:
    SENT = 1
    DROPPED = 0
    NOT_PLAIN = -1


@cython.final
cdef class Outlet:
    cdef uint8_t[::1] _buffer
    cdef ll_signal *_raw
    cdef dict _by_token
    cdef PublishEnd _signals
    cdef ClockEnd _clock
    cdef RecordEnd _latency
    cdef CountEnd _emitted
    cdef CountEnd _dropped
    cdef uint64_t _name
    cdef uint64_t _seq
    cdef stamps_t stamps
    cdef bint called
    cdef public int mode
    cdef uint64_t next(self) noexcept
    cdef int send(self, const wish_t *wish) except -2
    cdef bint _read(self, object signal, bytes metadata, wish_t *wish) except -1
    cdef void about_book(self, const ll_row8 *row) noexcept
    cdef void about_spot(self, const ll_spot_top *top) noexcept
    cdef bint _sent(self, int64_t decided_ns) except -1
