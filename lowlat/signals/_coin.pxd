"""Index of _coin.pyx: compiled looks read a coin's estimates as C numbers."""

cimport cython
from libc.stdint cimport int64_t

cdef enum:
    RING = 256
    S_NS = 1000000000

ctypedef struct second_t:
    int64_t second
    double price

ctypedef struct locked_t:
    double total
    int64_t seconds
    int64_t carried


@cython.final
cdef class CoinModel:
    cdef readonly double mid
    cdef readonly int64_t mid_wall_ns
    cdef readonly int64_t returns_count
    cdef readonly double basis
    cdef readonly double basis_variance
    cdef readonly double basis_noise
    cdef readonly int64_t basis_count
    cdef readonly int64_t last_print_s
    cdef readonly int64_t prints_version
    cdef readonly int64_t version
    cdef readonly double lead
    cdef readonly double lead_weight
    cdef readonly int64_t lead_count
    cdef readonly double ahead
    cdef double _lead_before
    cdef double _lead_xx
    cdef double _lead_xy
    cdef double _lead_yy
    cdef double _lead_doubt
    cdef int64_t _lead_count_min
    cdef int64_t _lead_count_max
    cdef double _volatility
    cdef double _basis_factor
    cdef double _fast
    cdef double _slow
    cdef double _decay_fast
    cdef double _decay_slow
    cdef double _decay_basis
    cdef double _fast_weight
    cdef double _volatility_floor
    cdef double _basis_noise_floor
    cdef int64_t _second
    cdef int64_t _live_s
    cdef int64_t _history_s
    cdef double _history_price
    cdef int64_t _generation
    cdef int64_t _warmup_s
    cdef int64_t _spot_lag_ns
    cdef int64_t _gap_s_max
    cdef int64_t _basis_prints_min
    cdef second_t _mids[RING]
    cdef second_t _prints[RING]
    cdef bint note_mid(
        self, double mid, int64_t wall_ns, int64_t connection_generation, double lead
    ) noexcept
    cdef void _learn_lead(self, double move) noexcept
    cdef void _cross(self, int64_t before, int64_t second) noexcept
    cdef void _learn_return(self, double move, int64_t gap) noexcept
    cdef bint found_mid(self, int64_t second, double *mid) noexcept
    cdef bint found_print(self, int64_t second, double *price) noexcept
    cdef bint knows_basis(self) noexcept
    cdef locked_t sum_prints(self, int64_t first_s, int64_t last_s) noexcept


cdef int64_t seconds_of(int64_t ns) noexcept
