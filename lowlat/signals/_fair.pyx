# cython: language_level=3, cdivision=True
# cython: auto_pickle=False
"""Compiled twin of lowlat/signals/fair.py, which explains it; a test compares every function."""

from libc.math cimport erfc, exp, pow, sqrt

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
    """Return U: the variance, in seconds of spot variance, of a mean that ends in left_s."""
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
    """Return normal_probability, with Student-t tails beyond two deviations."""
    cdef double normal = 0.5 * erfc(-z / sqrt(2.0))
    cdef double t, w, tail
    if -2.0 <= z <= 2.0:
        return normal
    t = z * sqrt(2.0)
    w = t / sqrt(1.0 + 0.25 * t * t)
    tail = 0.5 + 0.375 * w * (1.0 - w * w / 12.0)
    return min(normal, tail) if z > 0.0 else max(normal, tail)


cpdef long limit_price_e4(double budget, double rate, int exponent, long tick_e4) except -1:
    """Return the highest grid price whose cost with fee is within budget, 0 if there is none."""
    cdef double price, slope, low, high
    cdef long limit_e4
    cdef int _halving
    if tick_e4 <= 0:
        raise ValueError(f"tick_e4 was {tick_e4}, expected above 0")
    if budget <= 0.0:
        return 0
    if rate <= 0.0:
        price = budget
    elif exponent == 1:
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
    limit_e4 = <long>(price * ONE + 1e-6)
    limit_e4 -= limit_e4 % tick_e4
    return min(limit_e4, ONE - tick_e4)
