"""Index of _fair.pyx."""

from libc.stdint cimport int64_t

cpdef double average_variance_s(double left_s, int average_s) noexcept
cpdef double normal_density(double z) noexcept
cpdef double normal_probability(double z) noexcept
cpdef double fat_probability(double z) noexcept
cpdef int64_t limit_price_e4(double budget, double rate, int exponent, int64_t tick_e4) except -1
