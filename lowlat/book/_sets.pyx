# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, freethreading_compatible=False
"""Walk several tokens together for complete sets, stopping at the marginal set.

Run by signal modules and risk over their views; changes nothing, no I/O. Sums are exact in 128
bits and rounded once, against us.
"""

cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t

from lowlat.book._slots cimport NO_PRICE, ONE
from lowlat.book._view cimport (
    FEE_UNIT, BookView, check_fee, fee_e14, i128, level_price, side_view, up,
)

__all__ = ["SetWalk", "walk_sets"]

cdef enum:
    LEGS_MAX = 256

cdef int64_t E10 = 10000000000


@cython.final
cdef class SetWalk:
    """What complete sets the visible levels offer, after fees."""

    cdef readonly int64_t sets_e6
    cdef readonly int64_t cost_e6
    cdef readonly int64_t fees_e6
    cdef readonly int64_t profit_e6
    cdef readonly int levels
    cdef readonly bint complete
    cdef readonly tuple worst_prices_e4
    cdef readonly tuple touch_prices_e4

    def __repr__(self):
        return (
            f"SetWalk(sets_e6={self.sets_e6}, cost_e6={self.cost_e6}, fees_e6={self.fees_e6}, "
            f"profit_e6={self.profit_e6}, worst_prices_e4={self.worst_prices_e4})"
        )


cdef struct leg_t:
    side_view side
    int at
    int64_t left
    int64_t rate
    int exponent
    int32_t worst
    i128 fee


cdef inline void _step(leg_t *leg) noexcept nogil:
    """Load the level that leg.at points to."""
    leg.left = leg.side.size[leg.at]
    leg.fee = fee_e14(level_price(&leg.side, leg.at), leg.rate, leg.exponent)


def walk_sets(
    views,
    outcomes,
    int action,
    fee_rates_e6,
    fee_exponents,
    int64_t margin_e4=0,
    int64_t payout_e4=ONE,
    int64_t sets_max_e6=0x7FFFFFFFFFFFFFFF,
):
    """Walk one side of several tokens together, as many complete sets as each earns its margin.

    A set is one share of every leg. BUY pays their asks and is worth ``payout_e4``: 10 000 for
    YES + NO or for every YES of an exclusive event, (n - 1) x 10 000 for every NO. SELL receives
    their bids and costs ``payout_e4`` (the split). In each step n = the smallest remaining level;
    it stops at the first marginal set that earns less than ``margin_e4`` or nothing after fees.
    ``cost_e6`` of SELL is the proceeds. Fees are exact per share; the venue rounds each match to
    1e-5. Health, freshness and completeness of the set are the caller's to check.
    Source: feeds.md 6.1.
    """
    cdef Py_ssize_t legs = len(views)
    cdef leg_t leg[LEGS_MAX]
    cdef SetWalk walk = SetWalk.__new__(SetWalk)
    cdef Py_ssize_t at
    cdef int64_t take
    cdef i128 prices, fees, earned, cost = 0, fee = 0, margin = <i128>margin_e4 * <i128>E10
    cdef bint open_ = True
    if action & ~1:
        raise ValueError(f"action was {action}, expected 0 or 1")
    if not 1 <= legs <= LEGS_MAX:
        raise ValueError(f"walk_sets was given {legs} legs, expected 1 to {LEGS_MAX}")
    if not (len(outcomes) == legs == len(fee_rates_e6) == len(fee_exponents)):
        raise ValueError(f"outcomes, fee rates and exponents must be {legs} long, as views is")
    if margin_e4 < 0 or payout_e4 <= 0 or sets_max_e6 < 0:
        raise ValueError(
            f"margin_e4, payout_e4, sets_max_e6 were {margin_e4}, {payout_e4}, {sets_max_e6}, "
            f"expected none negative and a payout above 0"
        )
    for at in range(legs):
        leg[at].side = (<BookView?>views[at]).side(outcomes[at], 1 - action)
        leg[at].at = 0
        leg[at].rate = fee_rates_e6[at]
        leg[at].exponent = fee_exponents[at]
        leg[at].worst = NO_PRICE
        check_fee(leg[at].rate, leg[at].exponent)
        if leg[at].side.count:
            _step(&leg[at])
        else:
            open_ = False
    walk.touch_prices_e4 = tuple(
        [level_price(&leg[at].side, 0) if leg[at].side.count else NO_PRICE for at in range(legs)]
    )
    walk.complete = sets_max_e6 == 0
    while open_ and not walk.complete:
        take = sets_max_e6 - walk.sets_e6
        prices = fees = 0
        for at in range(legs):
            prices += <i128>level_price(&leg[at].side, leg[at].at)
            fees += leg[at].fee
            take = min(take, leg[at].left)
        earned = (<i128>payout_e4 - prices) * <i128>E10
        if action:
            earned = -earned
        earned -= fees
        if earned < margin or earned <= 0:
            break
        cost += prices * <i128>take
        fee += fees * <i128>take
        walk.sets_e6 += take
        walk.levels += 1
        walk.complete = walk.sets_e6 == sets_max_e6
        for at in range(legs):
            leg[at].worst = level_price(&leg[at].side, leg[at].at)
            leg[at].left -= take
            if leg[at].left == 0:
                leg[at].at += 1
                if leg[at].at == leg[at].side.count:
                    open_ = False
                else:
                    _step(&leg[at])
    walk.worst_prices_e4 = tuple([leg[at].worst for at in range(legs)])
    return _settle(walk, action, cost, fee, payout_e4)


cdef SetWalk _settle(SetWalk walk, int action, i128 cost, i128 fee, int64_t payout_e4):
    """Round once, against us, and draw the balance."""
    cdef i128 worth = <i128>walk.sets_e6 * <i128>payout_e4
    cdef i128 cost_e6 = cost // <i128>ONE if action else up(cost, <i128>ONE)
    cdef i128 fees_e6 = up(fee, FEE_UNIT)
    cdef i128 profit
    if action:
        profit = cost_e6 - up(worth, <i128>ONE) - fees_e6
    else:
        profit = worth // <i128>ONE - cost_e6 - fees_e6
    if cost_e6 > INT64_MAX or fees_e6 > INT64_MAX or profit > INT64_MAX or profit < INT64_MIN:
        raise OverflowError(f"{walk.sets_e6} sets are worth more than 64 bits of 1e-6 dollars")
    walk.cost_e6 = <int64_t>cost_e6
    walk.fees_e6 = <int64_t>fees_e6
    walk.profit_e6 = <int64_t>profit
    return walk
