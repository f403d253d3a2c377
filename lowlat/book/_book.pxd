"""Index of what _book.pyx shares with the compiled feed path."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from lowlat.book._side cimport side_t
from lowlat.book._slots cimport ll_row8, ll_top8


cdef class BookSlots:
    cdef Py_buffer _row
    cdef Py_buffer _top
    cdef int _held
    cdef uint32_t put(
        self, MarketBook book, uint64_t record_id, int64_t event_ns, int64_t recv_ns,
        int64_t decoded_ns, int64_t published_ns, int changed_sides,
    ) noexcept nogil
    cdef void written(self, MarketBook book, uint64_t version) noexcept nogil


cdef class MarketBook:
    cdef side_t _sides[2]
    cdef public int64_t snapshot_event_ns
    cdef public uint64_t version
    cdef public uint32_t market
    cdef public uint32_t generation
    cdef public uint32_t connection_generation
    cdef public uint32_t changes
    cdef public int32_t last_trade_price_e4
    cdef int32_t _tick
    cdef public uint16_t shard
    cdef uint16_t _sticky
    cdef public uint8_t venue
    cdef uint32_t _stale[4]
    cdef bint _on_grid(self) noexcept
    cdef void _drop(self) noexcept
    cdef int _flags(self) noexcept nogil
    cdef int64_t _price(self, object text) except -1
    cdef int64_t _size(self, object text) except -1
    cdef int _load(
        self, int first, object first_levels, int second, object second_levels, int second_action
    ) except -1
    cdef int _read(self, side_t *side, int which, int outcome, object levels) except -1
    cdef int64_t _best(self, int outcome, int side) except? -1
    cdef int64_t _stated(self, object text) except -1
    cdef uint32_t _take_lines(self) noexcept nogil
    cdef uint32_t stale_lines(self) noexcept nogil
    cdef void _image(
        self, ll_row8 *row, ll_top8 *top, uint64_t record_id, int64_t event_ns, int64_t recv_ns,
        int64_t decoded_ns, int64_t published_ns, int changed_sides, uint32_t lines,
    ) noexcept nogil
