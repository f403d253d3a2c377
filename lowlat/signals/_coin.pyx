# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""What one coin's prices say: volatility, the basis to the settlement series, its last minutes.

Owned by a signal module and fed by its callbacks; floats, no clock. Seconds are the venue's wall
seconds. ``tests/signals/coin_reference.py`` says the same in Python, and a test compares them.
Source: feeds.md 3.2, 6.2.
"""

cimport cython
from libc.math cimport exp, log, pow, sqrt
from libc.stdint cimport INT64_MIN, int64_t

__all__ = ["CoinModel"]

cdef enum:
    MS_NS = 1000000


cdef int64_t seconds_of(int64_t ns) noexcept:
    """Return whole seconds, rounded down."""
    return ns // S_NS - (ns % S_NS < 0)


@cython.final
cdef class CoinModel:
    """Estimates for one coin. ``version`` moves whenever a fair value could."""

    def __init__(self, params):
        """Start knowing nothing; ``params`` is a CoinParams."""
        cdef int at
        self._decay_fast = pow(0.5, 1.0 / <double>params.volatility_half_life_s)
        self._decay_slow = pow(0.5, 1.0 / <double>params.volatility_slow_half_life_s)
        self._decay_basis = pow(0.5, 1.0 / <double>params.basis_half_life_s)
        self._fast_weight = params.volatility_fast_weight
        self._volatility_floor = params.volatility_floor
        self._basis_noise_floor = params.basis_noise_floor
        self._warmup_s = params.warmup_s
        self._spot_lag_ns = <int64_t>params.spot_lag_ms * MS_NS
        self._gap_s_max = params.gap_s_max
        self._basis_prints_min = params.basis_prints_min
        self._lead_doubt = params.lead_doubt
        self._lead_count_min = params.lead_returns_min
        self._lead_count_max = <int64_t>(1.0 / (1.0 - self._decay_slow))
        self._generation = -1
        self._second = self._live_s = self._history_s = -1
        self._volatility = -1.0
        self._basis_factor = 1.0
        self.basis_noise = self._basis_noise_floor
        self.last_print_s = -1
        for at in range(RING):
            self._mids[at].second = INT64_MIN
            self._prints[at].second = INT64_MIN

    # ------------------------------------------------------------------------------- inputs
    def take_mid(
        self, double mid, int64_t wall_ns, int64_t connection_generation, double lead=0.0
    ):
        """Take the exchange's mid and lead; True when ``ahead`` moved. Each second adds a return.

        ``lead`` is -1 to 1: how far the exchange leans to its buyers.
        """
        return self.note_mid(mid, wall_ns, connection_generation, lead)

    cdef bint note_mid(
        self, double mid, int64_t wall_ns, int64_t connection_generation, double lead
    ) noexcept:
        cdef double ahead
        cdef int64_t second = seconds_of(wall_ns - self._spot_lag_ns)
        cdef int64_t before = self._second
        cdef int64_t gap = second - before
        if gap:
            if before < 0:
                self._second = self._live_s = second
            elif gap < 0 or gap > self._gap_s_max:
                self._second = second
            elif connection_generation == self._generation:
                self._cross(before, second)
            else:
                self._second = second
        self._generation = connection_generation
        self.mid_wall_ns = wall_ns
        self.mid = mid
        self.lead = lead
        ahead = mid * (1.0 + self.lead_weight * lead)
        if ahead == self.ahead:
            return False
        self.ahead = ahead
        self.version += 1
        return True

    cdef void _cross(self, int64_t before, int64_t second) noexcept:
        """Note the mid in force at each second boundary since before, and its return."""
        cdef double at_before, move
        cdef int64_t crossed, gap = second - before
        cdef bint known = self.found_mid(before, &at_before)
        for crossed in range(before + 1, second + 1):
            self._mids[crossed & (RING - 1)].price = self.mid
            self._mids[crossed & (RING - 1)].second = crossed
        self._second = second
        if not known:
            self._lead_before = self.lead
            return
        move = log(self.mid / at_before)
        if gap == 1:
            self._learn_lead(move)
        self._lead_before = self.lead
        self._learn_return(move, gap)

    cdef void _learn_return(self, double move, int64_t gap) noexcept:
        """Learn volatility from a return over some seconds."""
        cdef double square = move * move / gap
        cdef double share, fast, slow, variance
        self.returns_count += gap
        # A plain mean until the window is full: one early return must not stand for all of it.
        share = <double>gap / self.returns_count
        fast = max(1.0 - pow(self._decay_fast, gap), share)
        slow = max(1.0 - pow(self._decay_slow, gap), share)
        self._fast += fast * (square - self._fast)
        self._slow += slow * (square - self._slow)
        if self.returns_count >= self._warmup_s:
            variance = self._fast_weight * self._fast + (1.0 - self._fast_weight) * self._slow
            self._volatility = max(sqrt(variance), self._volatility_floor)

    def take_second(self, int64_t stamp_ns, double price):
        """Take the exchange's close of a second before the first mid: a return to learn from.

        In order; what live mids say of a second counts, and what has holes says nothing of them.
        """
        cdef int64_t second = seconds_of(stamp_ns)
        cdef int64_t gap = second - self._history_s
        if gap <= 0 or 0 <= self._live_s < second:
            return
        if self._history_s >= 0 and gap <= self._gap_s_max:
            self._learn_return(log(price / self._history_price), gap)
            self.version += 1
        self._history_s = second
        self._history_price = price

    cdef void _learn_lead(self, double move) noexcept:
        """Learn what a lead was worth a second later: a slope, believed as far as t goes.

        Forgetting means of products; the slope is shrunk by lead_doubt / t^2, to 0 below it. A
        lead that says nothing here (or is not sent) therefore weighs nothing.
        """
        cdef double lead = self._lead_before
        cdef double share, rest, count, square, doubt
        if lead == 0.0:
            return
        self.lead_count = min(self.lead_count + 1, self._lead_count_max)
        count = <double>self.lead_count
        share = 1.0 / count
        self._lead_xx += share * (lead * lead - self._lead_xx)
        self._lead_xy += share * (lead * move - self._lead_xy)
        self._lead_yy += share * (move * move - self._lead_yy)
        self.lead_weight = 0.0
        square = self._lead_xy * self._lead_xy
        rest = self._lead_xx * self._lead_yy - square
        if self.lead_count >= self._lead_count_min and rest > 0.0 and square > 0.0:
            doubt = self._lead_doubt * rest / (count * square)
            self.lead_weight = self._lead_xy / self._lead_xx * max(0.0, 1.0 - doubt)

    def take_print(self, int64_t stamp_ns, double price):
        """Take a settlement spot print; with the exchange's mid of its second it gives a basis."""
        cdef int64_t second = seconds_of(stamp_ns)
        cdef double mid, basis, off, weight
        cdef bint known
        if self.last_print_s - second >= RING:
            return
        self._prints[second & (RING - 1)].price = price
        self._prints[second & (RING - 1)].second = second
        self.prints_version += 1
        self.version += 1
        if second <= self.last_print_s:
            return
        self.last_print_s = second
        known = self.found_mid(second, &mid)
        if not known and 0 < second - self._second <= self._gap_s_max and self.mid:
            # No exchange update since: what stands now stood then.
            mid = self.mid
            known = True
        if not known:
            return
        basis = log(price / mid)
        self.basis_count += 1
        # As above: a print beside a jump is compared with the wrong mid, now and then the first.
        weight = max(1.0 - self._decay_basis, 1.0 / self.basis_count)
        off = basis - self.basis
        self.basis += weight * off
        self.basis_variance = (1.0 - weight) * (self.basis_variance + weight * off * off)
        self._basis_factor = exp(self.basis)
        self.basis_noise = max(sqrt(self.basis_variance), self._basis_noise_floor)

    # ------------------------------------------------------------------------------- answers
    @property
    def volatility(self):
        """Relative deviation per square root of a second; None until warm."""
        return self._volatility if self._volatility >= 0.0 else None

    @property
    def basis_known(self):
        """Whether enough prints met a mid."""
        return self.knows_basis()

    def mid_at(self, int64_t second):
        """Return the mid in force at a wall second, None when not seen."""
        cdef double mid
        return mid if self.found_mid(second, &mid) else None

    def settled_price(self, double mid):
        """Return what the settlement series would print while the exchange's mid is this."""
        return mid * self._basis_factor

    def locked(self, int64_t first_s, int64_t last_s):
        """Sum the prints of these seconds: (sum, seconds, how many of them were carried over).

        A second without a print takes the print before it (feeds.md 3.2: some 3 % never come).
        Seconds before the first known print are not counted in ``seconds``.
        """
        cdef locked_t found = self.sum_prints(first_s, last_s)
        return found.total, found.seconds, found.carried

    cdef bint knows_basis(self) noexcept:
        return self.basis_count >= self._basis_prints_min

    cdef bint found_mid(self, int64_t second, double *mid) noexcept:
        cdef const second_t *at = &self._mids[second & (RING - 1)]
        mid[0] = at.price
        return at.second == second

    cdef bint found_print(self, int64_t second, double *price) noexcept:
        cdef const second_t *at = &self._prints[second & (RING - 1)]
        price[0] = at.price
        return at.second == second

    cdef locked_t sum_prints(self, int64_t first_s, int64_t last_s) noexcept:
        cdef locked_t found
        cdef double price, last
        cdef int64_t second
        cdef bint known = self.found_print(first_s - 1, &last)
        found.total = 0.0
        found.seconds = found.carried = 0
        for second in range(first_s, last_s + 1):
            if self.found_print(second, &price):
                last = price
                known = True
            elif known:
                found.carried += 1
            else:
                continue
            found.total += last
            found.seconds += 1
        return found
