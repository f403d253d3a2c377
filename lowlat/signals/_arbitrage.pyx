# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""How ``arbitrage`` looks at one market, compiled: its part of the event's sums.

Called by the engine for each book; no I/O. The module acts, in Python, when a book crosses or the
sums of a complete event are below what it pays: rare. A market of no event costs one test of flags.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t

from lowlat.book._slots cimport LL_BOOKFLAG_CROSSED, ll_row8
from lowlat.book._view cimport BookView
from lowlat.signals._look cimport Look

from lowlat.venues.polymarket.amounts import TICKS

__all__ = ["Chain", "Event", "Leg"]

cdef enum:
    ONE_E4 = 10000
    E6 = 1000000
    # Stands for a missing side: no set with it can look cheap.
    UNKNOWN_COST_E6 = 10000000


@cython.final
cdef class Event:
    """The legs of one event and the sums of their touches, kept as the legs change."""

    cdef readonly list legs
    cdef readonly bint complete
    cdef readonly int64_t yes_e6
    cdef readonly int64_t no_e6
    cdef readonly int64_t payout_no_e6
    cdef readonly list next_ns

    def __init__(self):
        """Start without legs."""
        self.legs = []
        self.next_ns = [0, 0]

    def add(self, Leg leg not None):
        """Take a leg in, in order of their markets."""
        leg._event = self
        self.legs.append(leg)
        self.legs.sort(key=_market)
        self._sum()

    def remove(self, Leg leg not None):
        """Give a leg up: the event is incomplete without it."""
        leg._event = None
        self.legs.remove(leg)
        self._sum()

    cdef _sum(self):
        """Count the legs again: complete only with every market that the venue lists."""
        cdef Leg leg
        count = len(self.legs)
        self.yes_e6 = self.no_e6 = 0
        self.complete = count >= 2
        self.payout_no_e6 = (count - 1) * E6
        for leg in self.legs:
            self.complete = self.complete and leg.row.event_market_count == count
            self.yes_e6 += leg.yes_e6
            self.no_e6 += leg.no_e6


@cython.final
cdef class Chain:
    """Markets of which the wider one is YES whenever the narrower one is; lowest order widest."""

    cdef readonly list legs
    cdef public int64_t next_ns

    def __init__(self):
        """Start without legs."""
        self.legs = []

    def add(self, Leg leg not None, int64_t order):
        """Take a leg in at its place."""
        leg._chain = self
        leg._order = order
        self.legs.append(leg)

    def remove(self, Leg leg not None):
        """Give a leg up."""
        leg._chain = None
        self.legs.remove(leg)

    cdef int look(self, Leg leg, int64_t now_ns) except -1:
        """Let the module act on the cheapest pair with this leg that costs less than it pays."""
        cdef Leg other, wide = None, narrow = None
        cdef int64_t cost_e6, least_e6 = E6 - leg._margin_e6
        for other in self.legs:
            if other is leg:
                continue
            cost_e6 = leg.yes_e6 + other.no_e6
            if leg._order <= other._order and cost_e6 < least_e6:
                wide, narrow, least_e6 = leg, other, cost_e6
            cost_e6 = other.yes_e6 + leg.no_e6
            if other._order <= leg._order and cost_e6 < least_e6:
                wide, narrow, least_e6 = other, leg, cost_e6
        if wide is not None:
            leg._module.buy_nested(wide, narrow, now_ns)
        return 0


@cython.final
cdef class Leg(Look):
    """One market: its all-in costs at the touch, in 1e-6 dollar a share."""

    cdef readonly object row
    cdef readonly object market
    cdef readonly object costs
    cdef readonly int64_t rate_e6
    cdef readonly int exponent
    cdef readonly int64_t tick_e4
    cdef readonly int64_t step_e6
    cdef readonly int64_t min_size_e6
    cdef readonly int64_t yes_e6
    cdef readonly int64_t no_e6
    cdef public int64_t next_ns
    cdef Event _event
    cdef Chain _chain
    cdef int64_t _order
    cdef object _module
    cdef const int64_t *_costs
    cdef int64_t _margin_e6

    def __init__(self, row, costs, int64_t margin_e6, module):
        """Take a MarketRow, the cost of a share at each price, and the module that acts."""
        cdef const int64_t[::1] prices = costs
        if prices.shape[0] != ONE_E4 + 1:
            raise ValueError(f"costs of {prices.shape[0]} prices, expected {ONE_E4 + 1}")
        # Not the view: one for each of thousands of markets would be a megabyte of views over one
        # table, which ``costs`` keeps alive and nobody resizes.
        self._costs = &prices[0]
        self.row = row
        self.market = row.market
        self.costs = costs
        self.rate_e6 = row.fee_rate_e6
        self.exponent = row.fee_exponent
        self.tick_e4 = row.tick_e4
        self.step_e6 = TICKS[row.tick_e4].ladder_step_e6
        self.min_size_e6 = row.min_size_e6
        self.yes_e6 = self.no_e6 = UNKNOWN_COST_E6
        self._margin_e6 = margin_e6
        self._module = module

    @property
    def event(self):
        """The event it is of, or None."""
        return self._event

    @property
    def chain(self):
        """The chain of nested markets it is of, or None."""
        return self._chain

    cdef int at(self, BookView book, int64_t now_ns) except -1:
        """Renew this market's part of the sums; let the module act when a sum pays."""
        cdef const ll_row8 *row = book.live()
        cdef Event event
        cdef int64_t yes_e6, no_e6
        if row.book_flags & LL_BOOKFLAG_CROSSED:
            self._module.crossed(self, book, now_ns)
            return 0
        event = self._event
        if event is None and self._chain is None:
            return 0
        yes_e6 = self._cost_e6(row.ask_price_e4[0]) if row.ask_count else UNKNOWN_COST_E6
        no_e6 = self._cost_e6(ONE_E4 - row.bid_price_e4[0]) if row.bid_count else UNKNOWN_COST_E6
        if event is None:
            self.yes_e6 = yes_e6
            self.no_e6 = no_e6
            return self._chain.look(self, now_ns)
        event.yes_e6 += yes_e6 - self.yes_e6
        event.no_e6 += no_e6 - self.no_e6
        self.yes_e6 = yes_e6
        self.no_e6 = no_e6
        if not event.complete:
            return 0
        if event.yes_e6 + self._margin_e6 < E6:
            self._module.buy_event(event, 0, now_ns)
        elif event.no_e6 + self._margin_e6 < event.payout_no_e6:
            self._module.buy_event(event, 1, now_ns)
        return 0

    cdef int64_t _cost_e6(self, int32_t price_e4) noexcept:
        return self._costs[price_e4] if 0 < price_e4 < ONE_E4 else UNKNOWN_COST_E6


def _market(Leg leg):
    return leg.market
