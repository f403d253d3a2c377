"""Fair value of a crypto up/down market: normal and fat-tailed probability, variance of an average.

The readable form of lowlat/signals/_fair.pyx and its oracle.
Source: feeds.md 6.2; tests repeat its numbers.
"""

from math import erfc, exp, sqrt
from typing import Final

from lowlat.core.units import E4, ONE_E4

__all__ = [
    "average_variance_s",
    "fat_probability",
    "limit_price_e4",
    "normal_density",
    "normal_probability",
]

_SQRT_2: Final = sqrt(2.0)
_SQRT_2PI: Final = 2.5066282746310002
_TAIL_Z: Final = 2.0
"""Beyond it a Student-t with 4 degrees of freedom replaces the normal. Source: feeds.md 6.2."""


def average_variance_s(left_s: float, average_s: int) -> float:
    """Return U: the variance, in seconds of spot variance, of a mean that ends in ``left_s``.

    The mean is over the last ``average_s`` whole-second prices; 0 seconds of averaging is the
    price itself. Never negative.
    """
    if left_s <= 0.0:
        return 0.0
    if average_s <= 1:
        return left_s
    span = float(average_s)
    if left_s >= span:
        return left_s - span + (span + 1.0) * (2.0 * span + 1.0) / (6.0 * span)
    return left_s * (left_s + 1.0) * (2.0 * left_s + 1.0) / (6.0 * span * span)


def normal_density(z: float) -> float:
    """Return the standard normal density."""
    return exp(-0.5 * z * z) / _SQRT_2PI


def normal_probability(z: float) -> float:
    """Return the chance that a standard normal is at most z."""
    return 0.5 * erfc(-z / _SQRT_2)


def fat_probability(z: float) -> float:
    """Return normal_probability, with Student-t tails of variance 1 beyond two deviations.

    Closed form for 4 degrees of freedom. In the tails it is never surer than the normal.
    """
    normal = 0.5 * erfc(-z / _SQRT_2)
    if -_TAIL_Z <= z <= _TAIL_Z:
        return normal
    # A t of 4 degrees has variance 2: scale to 1. F(t) = 1/2 + 3/8 w (1 - w*w/12), w = t/sqrt(..)
    t = z * _SQRT_2
    w = t / sqrt(1.0 + 0.25 * t * t)
    tail = 0.5 + 0.375 * w * (1.0 - w * w / 12.0)
    return min(normal, tail) if z > 0.0 else max(normal, tail)


def limit_price_e4(budget: float, rate: float, exponent: int, tick_e4: int) -> int:
    """Return the highest grid price whose cost with fee is within budget, 0 when there is none.

    ``budget`` is dollars a share, the fee ``rate * (p * (1 - p)) ** exponent``.
    """
    if budget <= 0.0:
        return 0
    if rate <= 0.0:
        price = budget
    elif exponent == 1:
        # p + r p (1 - p) = budget
        slope = 1.0 + rate
        price = (
            1.0
            if budget >= 1.0
            else ((slope - sqrt(slope * slope - 4.0 * rate * budget)) / (2.0 * rate))
        )
    else:
        low, high = 0.0, 1.0
        for _ in range(20):
            price = 0.5 * (low + high)
            if price + rate * (price * (1.0 - price)) ** exponent <= budget:
                low = price
            else:
                high = price
        price = low
    limit_e4 = int(min(1.0, price) * E4 + 1e-6)
    limit_e4 -= limit_e4 % tick_e4
    return min(limit_e4, ONE_E4 - tick_e4)
