# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, freethreading_compatible=False
"""Read a published book: int properties, depth walks, complete-set walks.

Run by signal modules and risk over their private copies of BOOK_ROW; changes nothing, no I/O.
Prices 1e-4, sizes and cash 1e-6. Sums are exact in 128 bits and rounded once, against us: what is
paid up, what is received down, impact to the worse.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from lowlat.book._slots cimport LL_BOOK_LEVELS, NO_PRICE, ONE, ll_row8

from lowlat.core.layout import BOOK_ROW

__all__ = ["BookView", "Walk"]

cdef enum:
    EXPONENT_MAX = 4


cdef int check_fee(int64_t rate_e6, int exponent) except -1:
    """Refuse what the 128-bit sums were not sized for."""
    if not 0 <= rate_e6 <= 1000000:
        raise ValueError(f"fee_rate_e6 was {rate_e6}, expected 0 to 1000000")
    if not 0 <= exponent <= EXPONENT_MAX:
        raise ValueError(f"fee_exponent was {exponent}, expected 0 to {EXPONENT_MAX}")
    return 0


@cython.final
cdef class Walk:
    """What an order of some size would meet on the visible levels of one side."""

    @property
    def fee_e6(self):
        """Taker fee of the walk, rounded up; ValueError when the walk was given no fee rate."""
        if not self._fee_known:
            raise ValueError("fee_e6 was read from a walk without fee_rate_e6: unknown is not zero")
        return self._fee_e6

    def impact_ppm(self):
        """Return how much worse than the touch the average price is, in 1e-6, rounded up.

        Zero or positive for both actions. ValueError when nothing was filled.
        """
        cdef i128 at_touch
        if self.filled_e6 == 0:
            raise ValueError("impact_ppm of a walk that filled nothing is unknown")
        at_touch = <i128>self.filled_e6 * <i128>self.touch_price_e4
        if self.action == 0:
            return <int64_t>(up(self._cost_e10 * <i128>1000000, at_touch)) - 1000000
        return 1000000 - <int64_t>(self._cost_e10 * <i128>1000000 // at_touch)

    def __repr__(self):
        return (
            f"Walk(action={self.action}, filled_e6={self.filled_e6}, cost_e6={self.cost_e6}, "
            f"touch_price_e4={self.touch_price_e4}, worst_price_e4={self.worst_price_e4}, "
            f"levels={self.levels}, complete={self.complete})"
        )


@cython.final
cdef class BookView:
    """Read side over a private BOOK_ROW buffer, bound once.

    Values are those of the last read into that buffer, so a view is valid until the next one.
    Test builds ``poison`` it then: every later read raises RuntimeError until ``refresh``. The NO
    token's values are the YES ladder's mirrored: its ask is 1 minus the YES bid, same size.
    """

    def __cinit__(self, row):
        PyObject_GetBuffer(row, &self._buffer, PyBUF_SIMPLE)
        self._held = True
        if <size_t>self._buffer.len < sizeof(ll_row8) or <size_t>self._buffer.buf & 7:
            raise ValueError(
                f"row buffer was {self._buffer.len} bytes, expected {sizeof(ll_row8)} or more on "
                f"an 8-byte boundary"
            )
        self._row = <const ll_row8 *>self._buffer.buf

    def __dealloc__(self):
        if self._held:
            PyBuffer_Release(&self._buffer)

    cdef const ll_row8 *live(self) except NULL:
        if self._poisoned:
            raise RuntimeError("a view was read after the next poll; copy what must live longer")
        return self._row

    def poison(self):
        """Make every later read raise RuntimeError until refresh."""
        self._poisoned = True

    def refresh(self):
        """Say that the buffer holds a fresh row again."""
        self._poisoned = False

    def copy(self):
        """Return a view over a copy of its own; fit to keep."""
        cdef BookView view = BookView(bytearray(sizeof(ll_row8)))
        view.owned = True
        view.assign(self)
        return view

    def assign(self, BookView other not None):
        """Copy another view's row into this own copy (see copy)."""
        if not self.owned:
            raise ValueError("assign needs a view made by copy: this one reads a foreign buffer")
        memcpy(self._buffer.buf, other.live(), sizeof(ll_row8))

    def to_numpy(self):
        """Return the row as a numpy record of its own (core.layout BOOK_ROW); not for hot paths."""
        import numpy as np

        cdef const ll_row8 *row = self.live()
        return np.frombuffer((<const char *>row)[:sizeof(ll_row8)], dtype=BOOK_ROW.dtype)[0].copy()

    @property
    def id(self):
        """Record that wrote the row."""
        return self.live().id

    @property
    def market(self):
        """Market row."""
        return self.live().market

    @property
    def generation(self):
        """Life of the market in its row."""
        return self.live().generation

    @property
    def connection_generation(self):
        """Connection that fed the row; fresh while it equals its shard's."""
        return self.live().connection_generation

    @property
    def shard(self):
        """Connection shard that feeds the row."""
        return self.live().shard

    @property
    def flags(self):
        """BookFlag bits, zero is healthy."""
        return self.live().book_flags

    @property
    def tick_e4(self):
        """Price grid, 0 while unknown."""
        return self.live().tick_e4

    @property
    def event_ns(self):
        """Venue's wall time of the last change."""
        return self.live().event_ns

    @property
    def recv_ns(self):
        """When the bytes of the last change were read."""
        return self.live().recv_ns

    @property
    def decoded_ns(self):
        """When they were understood."""
        return self.live().decoded_ns

    @property
    def published_ns(self):
        """When the row was handed out."""
        return self.live().published_ns

    @property
    def snapshot_event_ns(self):
        """Venue's wall time of the last full snapshot."""
        return self.live().snapshot_event_ns

    @property
    def last_trade_price_e4(self):
        """Last print in YES terms, or NO_PRICE_E4."""
        return self.live().last_trade_price_e4

    @property
    def changes(self):
        """Effective changes since the writer started, modulo 2**32."""
        return self.live().changes

    def best_bid_e4(self, int outcome):
        """Return a token's best bid, or NO_PRICE_E4."""
        return self._touch(outcome, 0)

    def best_ask_e4(self, int outcome):
        """Return a token's best ask, or NO_PRICE_E4."""
        return self._touch(outcome, 1)

    def best_bid_size_e6(self, int outcome):
        """Return the size at a token's best bid, 0 when there is none."""
        return self._touch_size(outcome, 0)

    def best_ask_size_e6(self, int outcome):
        """Return the size at a token's best ask, 0 when there is none."""
        return self._touch_size(outcome, 1)

    def depth_e6(self, int outcome, int side):
        """Return the total size of a token's side (0 bids, 1 asks), also beyond the row."""
        cdef const ll_row8 *row = self.live()
        if (outcome | side) & ~1:
            raise ValueError(f"outcome, side were {outcome}, {side}, expected 0 or 1 each")
        return row.bid_depth_e6 if outcome == side else row.ask_depth_e6

    def levels(self, int outcome, int side):
        """Return a token's visible (price_e4, size_e6) pairs of a side, best first."""
        cdef side_view levels = self.side(outcome, side)
        return [(level_price(&levels, at), levels.size[at]) for at in range(levels.count)]

    cdef inline int32_t _touch(self, int outcome, int side) except? -1:
        cdef side_view levels = self.side(outcome, side)
        return level_price(&levels, 0) if levels.count else NO_PRICE

    cdef inline int64_t _touch_size(self, int outcome, int side) except? -1:
        cdef side_view levels = self.side(outcome, side)
        return levels.size[0] if levels.count else 0

    cdef side_view side(self, int outcome, int side) except *:
        """Find a token's side on the YES ladder: NO bids are YES asks mirrored."""
        cdef side_view view
        cdef const ll_row8 *row = self.live()
        if (outcome | side) & ~1:
            raise ValueError(f"outcome, side were {outcome}, {side}, expected 0 or 1 each")
        view.mirrored = outcome == 1
        # A row is read by this process's own copy, but a wrong count must not read beyond it.
        if outcome == side:
            view.price = <const int32_t *>row.bid_price_e4
            view.size = <const int64_t *>row.bid_size_e6
            view.count = min(<int>row.bid_count, LL_BOOK_LEVELS)
        else:
            view.price = <const int32_t *>row.ask_price_e4
            view.size = <const int64_t *>row.ask_size_e6
            view.count = min(<int>row.ask_count, LL_BOOK_LEVELS)
        return view

    def walk_size(
        self,
        int outcome,
        int action,
        int64_t size_e6,
        int64_t limit_price_e4=NO_PRICE,
        int64_t fee_rate_e6=-1,
        int fee_exponent=1,
    ):
        """Walk a token's side until size_e6 shares are met, no worse than the limit.

        BUY meets asks, SELL meets bids. ``cost_e6`` is paid (rounded up) or received (down).
        NO_PRICE_E4 is no limit. Without fee_rate_e6 the walk's fee is unknown.
        """
        if size_e6 < 0:
            raise ValueError(f"size_e6 was {size_e6}, expected 0 or more")
        return self._walk(outcome, action, size_e6, -1, limit_price_e4, fee_rate_e6, fee_exponent)

    def walk_cash(
        self,
        int outcome,
        int64_t cash_e6,
        int64_t limit_price_e4=NO_PRICE,
        int64_t fee_rate_e6=-1,
        int fee_exponent=1,
    ):
        """Walk a token's asks until cash_e6 dollars are spent, no worse than the limit.

        Never costs more than cash_e6 (fees come on top). ``complete`` when what is left buys no
        further base unit at the last price.
        """
        if cash_e6 < 0:
            raise ValueError(f"cash_e6 was {cash_e6}, expected 0 or more")
        return self._walk(outcome, 0, -1, cash_e6, limit_price_e4, fee_rate_e6, fee_exponent)

    cdef Walk _walk(
        self,
        int outcome,
        int action,
        int64_t size_e6,
        int64_t cash_e6,
        int64_t limit_price_e4,
        int64_t fee_rate_e6,
        int fee_exponent,
    ):
        cdef side_view side = self.side(outcome, 1 - action)
        cdef Walk walk = Walk.__new__(Walk)
        cdef int at
        cdef int32_t price
        cdef int64_t take, left = size_e6
        cdef i128 cost = 0, fee = 0, cash = <i128>cash_e6 * <i128>ONE
        cdef bint by_cash = cash_e6 >= 0
        cdef bint limited = limit_price_e4 != NO_PRICE
        walk.action = action
        walk._fee_known = fee_rate_e6 != -1
        if walk._fee_known:
            check_fee(fee_rate_e6, fee_exponent)
        walk.touch_price_e4 = level_price(&side, 0) if side.count else NO_PRICE
        walk.worst_price_e4 = NO_PRICE
        walk.complete = (cash_e6 if by_cash else size_e6) == 0
        for at in range(side.count):
            price = level_price(&side, at)
            if walk.complete or (
                limited and (price > limit_price_e4 if action == 0 else price < limit_price_e4)
            ):
                break
            take = side.size[at]
            if by_cash:
                if <i128>take * <i128>price > cash:
                    take = <int64_t>(cash // <i128>price)
                cash -= <i128>take * <i128>price
                walk.complete = cash < <i128>price
            else:
                if take >= left:
                    take = left
                    walk.complete = True
                left -= take
            if take == 0:
                break
            cost += <i128>take * <i128>price
            if walk._fee_known:
                fee += <i128>take * fee_e14(price, fee_rate_e6, fee_exponent)
            walk.filled_e6 += take
            walk.worst_price_e4 = price
            walk.levels += 1
        walk._cost_e10 = cost
        walk.cost_e6 = <int64_t>(up(cost, ONE) if action == 0 else cost // <i128>ONE)
        walk._fee_e6 = <int64_t>up(fee, <i128>FEE_UNIT)
        return walk
