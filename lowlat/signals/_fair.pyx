# cython: language_level=3, cdivision=True
# cython: auto_pickle=False
"""Fair value of a crypto up/down market: normal and fat-tailed probability, variance of an average.

Floats, for models only: nothing here is signed, limited or booked. Called by ``_latency.pyx``;
``tests/signals/fair_reference.py`` says the same in Python, and a test compares every function.
Source: feeds.md 6.2; tests repeat its numbers.
"""

from libc.math cimport erfc, exp, pow, sqrt
from libc.stdint cimport int64_t

__all__ = [
    "average_variance_s",
    "fat_probability",
    "limit_price_e4",
    "normal_density",
    "normal_probability",
]

cdef enum:
    ONE = 10000
    HALVINGS = 20


cpdef double average_variance_s(double left_s, int average_s) noexcept:
    """Return U: the variance, in seconds of spot variance, of a mean that ends in left_s.

    The mean is over the last average_s whole-second prices; 0 seconds of averaging is the price
    itself. Never negative.
    """
    cdef double span = average_s
    if left_s <= 0.0:
        return 0.0
    if average_s <= 1:
        return left_s
    if left_s >= span:
        return left_s - span + (span + 1.0) * (2.0 * span + 1.0) / (6.0 * span)
    return left_s * (left_s + 1.0) * (2.0 * left_s + 1.0) / (6.0 * span * span)


cpdef double normal_density(double z) noexcept:
    """Return the standard normal density."""
    return exp(-0.5 * z * z) / 2.5066282746310002


cpdef double normal_probability(double z) noexcept:
    """Return the chance that a standard normal is at most z."""
    return 0.5 * erfc(-z / sqrt(2.0))


cpdef double fat_probability(double z) noexcept:
    """Return normal_probability, with Student-t tails of variance 1 beyond two deviations.

    Closed form for 4 degrees of freedom. In the tails it is never surer than the normal.
    """
    cdef double normal = 0.5 * erfc(-z / sqrt(2.0))
    cdef double t, w, tail
    if -2.0 <= z <= 2.0:
        return normal
    # A t of 4 degrees has variance 2: scale to 1. F(t) = 1/2 + 3/8 w (1 - w*w/12), w = t/sqrt(..)
    t = z * sqrt(2.0)
    w = t / sqrt(1.0 + 0.25 * t * t)
    tail = 0.5 + 0.375 * w * (1.0 - w * w / 12.0)
    return min(normal, tail) if z > 0.0 else max(normal, tail)


cpdef int64_t limit_price_e4(double budget, double rate, int exponent, int64_t tick_e4) except -1:
    """Return the highest grid price whose cost with fee is within budget, 0 when there is none.

    budget is dollars a share, the fee rate * (p * (1 - p)) ** exponent.
    """
    cdef double price, slope, low, high
    cdef int64_t limit_e4
    cdef int _halving
    if tick_e4 <= 0:
        raise ValueError(f"tick_e4 was {tick_e4}, expected above 0")
    if budget <= 0.0:
        return 0
    if rate <= 0.0:
        price = budget
    elif exponent == 1:
        # p + r p (1 - p) = budget
        slope = 1.0 + rate
        if budget >= 1.0:
            price = 1.0
        else:
            price = (slope - sqrt(slope * slope - 4.0 * rate * budget)) / (2.0 * rate)
    else:
        low, high = 0.0, 1.0
        for _halving in range(HALVINGS):
            price = 0.5 * (low + high)
            if price + rate * pow(price * (1.0 - price), exponent) <= budget:
                low = price
            else:
                high = price
        price = low
    if price > 1.0:
        price = 1.0
    limit_e4 = <int64_t>(price * ONE + 1e-6)
    limit_e4 -= limit_e4 % tick_e4
    return min(limit_e4, ONE - tick_e4)
