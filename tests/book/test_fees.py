"""Fees by the market's own schedule: cases of the venue notes and an exact twin."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.book.fees import FeeSchedule, fee_e6, schedule_of
from lowlat.core.layout import MARKET_ROW, Known
from lowlat.core.units import ONE_E4, parse_fixed

# (shares, price, rate, exponent, fee): the cases of the order vectors, then the table of rates.
CASES = [
    ("100", "0.50", "0.07", 1, "1.75"),
    ("100", "0.01", "0.07", 1, "0.0693"),
    ("100", "0.50", "0.05", 1, "1.25"),
    ("12.5", "0.625", "0.05", 1, "0.14648"),
    ("100", "0.5", "0", 1, "0"),
    ("100", "0.50", "0.04", 1, "1"),
    ("100", "0.50", "0.04", 2, "0.25"),
    ("0.04", "0.01", "0.04", 1, "0.00002"),
    ("0.01", "0.02", "0.04", 1, "0"),
]


@pytest.mark.parametrize(("shares", "price", "rate", "exponent", "fee"), CASES)
def test_fee_of_worked_cases(shares, price, rate, exponent, fee):
    schedule = FeeSchedule(parse_fixed(rate, 6), exponent, taker_only=True)
    got = fee_e6(parse_fixed(shares, 6), parse_fixed(price, 4), schedule)
    assert got == parse_fixed(fee, 6)


@given(st.integers(0, 10**13), st.integers(0, ONE_E4), st.integers(0, 10**6), st.integers(0, 4))
def test_fee_is_the_exact_value_rounded_half_up_to_five_decimals(shares, price, rate, exponent):
    spread = Fraction(price, ONE_E4) * (1 - Fraction(price, ONE_E4))
    exact = Fraction(shares, 10**6) * Fraction(rate, 10**6) * spread**exponent
    got = fee_e6(shares, price, FeeSchedule(rate, exponent, taker_only=True))
    assert got % 10 == 0
    if exact < Fraction(1, 10**5):
        assert got == 0
    else:
        assert -Fraction(1, 2 * 10**5) < Fraction(got, 10**6) - exact <= Fraction(1, 2 * 10**5)


def test_fee_is_the_same_for_both_tokens():
    schedule = FeeSchedule(70_000, 1, taker_only=True)
    assert fee_e6(10**8, 300, schedule) == fee_e6(10**8, ONE_E4 - 300, schedule)


def test_makers_pay_only_where_the_schedule_says_so():
    assert fee_e6(10**8, 5000, FeeSchedule(70_000, 1, taker_only=True), maker=True) == 0
    both = FeeSchedule(70_000, 1, taker_only=False)
    assert fee_e6(10**8, 5000, both, maker=True) == fee_e6(10**8, 5000, both) == 1_750_000


def test_unknown_fee_is_never_zero():
    with pytest.raises(ValueError, match="unknown"):
        fee_e6(10**6, 5000, None)


@pytest.mark.parametrize(("shares", "price"), [(-1, 5000), (1, -1), (1, ONE_E4 + 1)])
def test_impossible_trades_are_programming_faults(shares, price):
    with pytest.raises(ValueError, match="out of range"):
        fee_e6(shares, price, FeeSchedule(0, 1, taker_only=True))


@pytest.mark.parametrize(("rate", "exponent"), [(-1, 1), (10**6 + 1, 1), (0, -1), (0, 5)])
def test_impossible_schedules_are_refused(rate, exponent):
    with pytest.raises(ValueError, match="was"):
        FeeSchedule(rate, exponent, taker_only=True)


def test_schedule_of_a_row_is_unknown_unless_the_row_says_it():
    row = MARKET_ROW.unpack(bytes(MARKET_ROW.size_bytes))
    known = row._replace(known=Known.FEE, fee_rate_e6=70_000, fee_exponent=1, fee_taker_only=1)
    assert schedule_of(known) == FeeSchedule(70_000, 1, taker_only=True)
    assert schedule_of(known._replace(known=Known.TICK)) is None
    assert schedule_of(known._replace(fee_exponent=9)) is None
    assert schedule_of(known._replace(fee_rate_e6=2 * 10**6)) is None
    assert schedule_of(known._replace(fee_rate_e6=-1)) is None
