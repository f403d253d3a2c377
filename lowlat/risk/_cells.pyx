# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Fields that kernels and checks share, a table by market number, and the pace of orders.

Owned by risk; no I/O. The classes that the checks read derive from the cells here, so that both
ways of deciding look at the same words.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

__all__ = ["ByMarket", "FactCells", "Outlay", "Pace", "StateCells"]

cdef enum:
    # 65 536 instruments are 32 768 markets (design 6): a number beyond comes from no row of ours.
    MARKETS_MAX = 32768

cdef extern from *:
    """
    typedef __int128 ll_i128;
    """
    ctypedef long long i128 "ll_i128"

cdef int64_t SECOND_NS = 1000000000
cdef int64_t GROWTH_NS_MAX = 60000000000


cdef void *slot_at(const uint8_t[::1] buffer, size_t size_bytes) except NULL:
    if <size_t>buffer.shape[0] < size_bytes or <size_t>&buffer[0] & 7:
        raise ValueError(
            f"slot of {buffer.shape[0]} bytes, expected {size_bytes} on an 8-byte boundary"
        )
    return <void *>&buffer[0]


cdef class FactCells:
    """What kernels read of a market; lowlat.risk.facts says what the words mean."""


cdef class StateCells:
    """What kernels read of the state; lowlat.risk.state says what the words mean."""


@cython.final
cdef class ByMarket:
    """A dict by market number that kernels index like an array. Iterates as a dict does."""

    def __cinit__(self):
        self._known = {}
        self._slots = []

    def get(self, uint32_t market):
        """Return what is kept for a market, or None."""
        return self.at(market)

    def __getitem__(self, uint32_t market):
        return self._known[market]

    def __setitem__(self, uint32_t market, kept not None):
        cdef Py_ssize_t at = market
        cdef Py_ssize_t missing = at + 1 - len(self._slots)
        if market >= MARKETS_MAX:
            raise ValueError(f"market was {market}, expected below {MARKETS_MAX}")
        if missing > 0:
            self._slots.extend([None] * missing)
        self._known[market] = kept
        self._slots[at] = kept

    def __delitem__(self, uint32_t market):
        cdef Py_ssize_t at = market
        del self._known[market]
        self._slots[at] = None

    def __contains__(self, uint32_t market):
        return self.at(market) is not None

    def __len__(self):
        return len(self._known)

    def __iter__(self):
        return iter(self._known)

    def items(self):
        """Return the markets that are known with what is kept for them, oldest first."""
        return self._known.items()


@cython.final
cdef class Pace:
    """A bucket of order tokens: so many a second, so many at once. Begins full."""

    def __cinit__(self, int64_t per_s, int64_t burst):
        self.set_limits(per_s, burst)
        self._tokens_e9 = self._burst_e9

    def set_limits(self, int64_t per_s, int64_t burst):
        """Take another rate; tokens over the new burst are gone."""
        self._per_s = per_s
        self._burst_e9 = burst * SECOND_NS

    def take(self, int64_t count, int64_t now_ns):
        """Spend order tokens; False, and none spent, when they are not there."""
        if not self.has(count, now_ns):
            return False
        self.spend(count)
        return True

    cdef bint has(self, int64_t count, int64_t now_ns) noexcept:
        cdef int64_t grown_ns = now_ns - self._at_ns
        if grown_ns > 0:
            self._at_ns = now_ns
            self._tokens_e9 += min(grown_ns, GROWTH_NS_MAX) * self._per_s
        self._tokens_e9 = min(self._tokens_e9, self._burst_e9)
        return self._tokens_e9 >= count * SECOND_NS

    cdef void spend(self, int64_t count) noexcept:
        self._tokens_e9 -= count * SECOND_NS


@cython.final
cdef class Outlay:
    """Cash of new orders within a window: fills at once, drains evenly. Begins empty."""

    def __cinit__(self, int64_t most_e6, int64_t window_ns):
        self.set_limits(most_e6, window_ns)

    def set_limits(self, int64_t most_e6, int64_t window_ns):
        """Take another cap; what was spent already counts against it."""
        self._most_e6 = most_e6
        self._window_ns = max(1, window_ns)
        self._narrow_ns = INT64_MAX // most_e6 if most_e6 > 0 else 0
        self._narrow_e6 = most_e6 * self._narrow_ns // self._window_ns

    def room_e6(self, int64_t now_ns):
        """Return the cash that may be spent now."""
        return self.room(now_ns)

    def take(self, int64_t cash_e6):
        """Count cash as spent; ``room_e6`` was asked at the same moment."""
        self.spend(cash_e6)

    cdef int64_t room(self, int64_t now_ns) noexcept:
        cdef int64_t passed_ns = min(now_ns - self._at_ns, self._window_ns), drained_e6
        if passed_ns <= 0:
            return max(0, self._most_e6 - self._spent_e6)
        # Products of a short while stay in 64 bits, which divide fast; what drains in such a while
        # is gone after any longer one.
        if passed_ns <= self._narrow_ns:
            drained_e6 = self._most_e6 * passed_ns // self._window_ns
        elif self._spent_e6 <= self._narrow_e6:
            drained_e6 = self._spent_e6
        else:
            drained_e6 = <int64_t>(<i128>self._most_e6 * passed_ns // self._window_ns)
        if drained_e6 >= self._spent_e6:
            self._spent_e6 = 0
            self._at_ns = now_ns
        elif drained_e6 > 0:
            # Only the time that drained whole units is over: the rest counts next time.
            self._spent_e6 -= drained_e6
            if passed_ns <= self._narrow_ns:
                self._at_ns += drained_e6 * self._window_ns // self._most_e6
            else:
                self._at_ns += <int64_t>(<i128>drained_e6 * self._window_ns // self._most_e6)
        return max(0, self._most_e6 - self._spent_e6)

    cdef void spend(self, int64_t cash_e6) noexcept:
        self._spent_e6 += cash_e6


cdef int64_t edge_of(double expected_value, int64_t suggested_e6) noexcept:
    """Return the value of one share in 1e-6 dollar, within a dollar; 0 when it has none."""
    cdef double edge = expected_value * 1e12 / <double>suggested_e6
    if not edge > 0.0:
        return 0
    return MILLION if edge >= 1e6 else <int64_t>edge


cdef inline i128 kelly_worth(
    int64_t bankroll_e6, int64_t kelly_ppm, int64_t edge_e6
) noexcept:
    return <i128>bankroll_e6 * kelly_ppm * edge_e6 * edge_e6 * edge_e6


cdef inline i128 kelly_price(int64_t edge_e6, int64_t error_e6, int64_t unit_e6) noexcept:
    return <i128>unit_e6 * (MILLION - unit_e6) * (edge_e6 * edge_e6 + error_e6 * error_e6)


cdef bint kelly_fits(
    int64_t size_e6,
    int64_t bankroll_e6,
    int64_t kelly_ppm,
    int64_t edge_e6,
    int64_t error_e6,
    int64_t unit_e6,
) noexcept:
    """Whether a size is within what ``kelly_most`` returns, without dividing."""
    edge_e6 = min(edge_e6, MILLION - unit_e6)
    return edge_e6 > 0 and <i128>size_e6 * kelly_price(
        edge_e6, error_e6, unit_e6
    ) <= kelly_worth(bankroll_e6, kelly_ppm, edge_e6)


cdef int64_t kelly_most(
    int64_t bankroll_e6, int64_t kelly_ppm, int64_t edge_e6, int64_t error_e6, int64_t unit_e6
) noexcept:
    """Return the most shares; lowlat.risk.checks.kelly says how, and is the oracle."""
    edge_e6 = min(edge_e6, MILLION - unit_e6)
    if edge_e6 <= 0:
        return 0
    return <int64_t>(
        kelly_worth(bankroll_e6, kelly_ppm, edge_e6) // kelly_price(edge_e6, error_e6, unit_e6)
    )
