"""Show the book records of core/layout.h to the compiled modules of this package."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stddef.h>
    #include "layout.h"
    /* Slots are private copies on 8-byte boundaries, also if the header promises whole lines. */
    typedef ll_book_row ll_row8 __attribute__((aligned(8)));
    typedef ll_book_top ll_top8 __attribute__((aligned(8)));
    #define ROW_TAIL sizeof(((ll_book_row *)0)->tail_reserved)
    #define TOP_TAIL sizeof(((ll_book_top *)0)->tail_reserved)
    #define ROW_LINES ((1u << sizeof(ll_book_row) / 64) - 1)
    #define BID_PRICE_AT ((int)offsetof(ll_book_row, bid_price_e4))
    #define ASK_PRICE_AT ((int)offsetof(ll_book_row, ask_price_e4))
    #define BID_SIZE_AT ((int)offsetof(ll_book_row, bid_size_e6))
    #define ASK_SIZE_AT ((int)offsetof(ll_book_row, ask_size_e6))
    _Static_assert(BID_PRICE_AT <= 128, "the first two lines hold what every image changes");
    _Static_assert(BID_PRICE_AT % 4 == 0 && BID_SIZE_AT % 8 == 0 && ASK_SIZE_AT % 8 == 0,
                   "no level lies on two lines");
    """
    ctypedef struct ll_row8:
        uint64_t id
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t snapshot_event_ns
        uint32_t market
        uint32_t generation
        uint32_t connection_generation
        uint16_t shard
        uint16_t book_flags
        uint32_t tick_e4
        uint16_t bid_count
        uint16_t ask_count
        int32_t last_trade_price_e4
        uint32_t changes
        int64_t bid_depth_e6
        int64_t ask_depth_e6
        int32_t bid_price_e4[32]
        int32_t ask_price_e4[32]
        int64_t bid_size_e6[32]
        int64_t ask_size_e6[32]
        uint8_t tail_reserved[1]
    ctypedef struct ll_top8:
        uint64_t id
        uint64_t version
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        uint32_t market
        uint32_t generation
        uint16_t book_flags
        uint16_t bid_count
        uint16_t ask_count
        uint8_t venue
        uint8_t changed_sides
        int32_t bid_price_e4[5]
        int32_t ask_price_e4[5]
        int64_t bid_size_e6[5]
        int64_t ask_size_e6[5]
        uint8_t tail_reserved[1]
    const size_t ROW_TAIL
    const size_t TOP_TAIL
    const uint32_t ROW_LINES
    const int BID_PRICE_AT
    const int ASK_PRICE_AT
    const int BID_SIZE_AT
    const int ASK_SIZE_AT
    const int LL_BOOK_LEVELS
    const int LL_BOOK_TOP_LEVELS
    const int LL_BOOKFLAG_STALE
    const int LL_BOOKFLAG_CROSSED
    const int LL_BOOKFLAG_LOCKED
    const int LL_BOOKFLAG_DIVERGED
    const int LL_BOOKFLAG_TRUNCATED
    const int LL_BOOKFLAG_CONFIRMED

cdef enum:
    ONE = 10000
    NO_PRICE = -2147483648
