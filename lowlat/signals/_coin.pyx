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
        self._generation = -1
        self._second = -1
        self._volatility = -1.0
        self._basis_factor = 1.0
        self.basis_noise = self._basis_noise_floor
        self.last_print_s = -1
        for at in range(RING):
            self._mids[at].second = INT64_MIN
            self._prints[at].second = INT64_MIN

    # ------------------------------------------------------------------------------- inputs
    def take_mid(self, double mid, int64_t wall_ns, int64_t connection_generation):
        """Take the exchange's mid; True when it moved. Each second crossed adds a return."""
        return self.note_mid(mid, wall_ns, connection_generation)

    cdef bint note_mid(
        self, double mid, int64_t wall_ns, int64_t connection_generation
    ) noexcept:
        cdef int64_t second = seconds_of(wall_ns - self._spot_lag_ns)
        cdef int64_t before = self._second
        cdef int64_t gap = second - before
        if gap:
            if before < 0 or gap < 0 or gap > self._gap_s_max:
                self._second = second
            elif connection_generation == self._generation:
                self._cross(before, second)
            else:
                self._second = second
        self._generation = connection_generation
        self.mid_wall_ns = wall_ns
        if mid == self.mid:
            return False
        self.mid = mid
        self.version += 1
        return True

    cdef void _cross(self, int64_t before, int64_t second) noexcept:
        """Note the mid in force at each second boundary since before, and its return."""
        cdef double at_before, move, square, share, fast, slow, variance
        cdef int64_t crossed, gap = second - before
        cdef bint known = self.found_mid(before, &at_before)
        for crossed in range(before + 1, second + 1):
            self._mids[crossed & (RING - 1)].price = self.mid
            self._mids[crossed & (RING - 1)].second = crossed
        self._second = second
        if not known:
            return
        move = log(self.mid / at_before)
        square = move * move / gap
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
