"""The worked examples of feeds.md 6.2, and what must hold around them."""

from math import sqrt

import pytest
from fair_reference import (
    average_variance_s,
    fat_probability,
    limit_price_e4,
    normal_density,
    normal_probability,
)
from hypothesis import given
from hypothesis import strategies as st

from lowlat.signals import _fair

SIGMA = 98_000 * 0.5 / sqrt(365.25 * 86_400)
"""8.73 dollars per square root of a second: BTC at 98 000, 50 % a year."""


@pytest.mark.parametrize(
    ("left_s", "variance_s"),
    [(300, 260.5), (120, 80.5), (60, 20.5), (30, 2.63), (20, 0.80), (10, 0.11), (5, 0.015)],
)
def test_variance_of_the_average_is_the_table_of_the_reference(left_s, variance_s):
    assert average_variance_s(left_s, 60) == pytest.approx(variance_s, rel=0.03)


def test_the_two_branches_of_the_variance_meet():
    inside = average_variance_s(59.999999, 60)
    assert average_variance_s(60.0, 60) == pytest.approx(inside, rel=1e-5)


def test_a_point_settlement_has_the_variance_of_the_price():
    assert average_variance_s(17.5, 0) == 17.5


def test_long_before_the_end_the_average_is_nearer_than_the_point_rule_says():
    average = 40 / sqrt(SIGMA**2 * average_variance_s(120, 60))
    point = 40 / (SIGMA * sqrt(120))
    assert normal_probability(average) == pytest.approx(0.695, abs=0.001)
    assert normal_probability(point) == pytest.approx(0.662, abs=0.001)


def test_a_locked_average_is_nearly_sure():
    mean = (40 * 20 + 20 * 40) / 60
    deviation = sqrt(SIGMA**2 * average_variance_s(20, 60) + 5**2)
    assert normal_probability(mean / deviation) == pytest.approx(0.998, abs=0.0005)
    # Fat tails do not believe in 2.9 deviations that much.
    assert fat_probability(mean / deviation) == pytest.approx(0.992, abs=0.001)


def test_spot_below_the_strike_can_still_be_up():
    mean = (40 * 20 - 20 * 10) / 60
    deviation = sqrt(SIGMA**2 * average_variance_s(20, 60) + 5**2)
    assert fat_probability(mean / deviation) == pytest.approx(0.860, abs=0.001)
    assert normal_probability(-10 / (SIGMA * sqrt(20))) == pytest.approx(0.399, abs=0.001)


def test_a_fifth_more_or_less_volatility_moves_the_price_as_the_reference_says():
    def chance(factor):
        return normal_probability(40 / (factor * SIGMA * sqrt(average_variance_s(120, 60))))

    assert (chance(1.2), chance(0.8)) == pytest.approx((0.665, 0.738), abs=0.001)
    z = 40 / (SIGMA * sqrt(average_variance_s(120, 60)))
    assert 0.2 * normal_density(z) * z == pytest.approx((0.738 - 0.665) / 2, abs=0.002)


@given(st.floats(-40, 40))
def test_probabilities_of_both_sides_add_to_one(z):
    assert fat_probability(z) + fat_probability(-z) == pytest.approx(1.0, abs=1e-9)
    assert 0.0 <= fat_probability(z) <= 1.0


@given(st.floats(2.0, 20))
def test_tails_are_never_surer_than_the_normal(z):
    assert fat_probability(z) <= normal_probability(z)
    assert fat_probability(-z) >= normal_probability(-z)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_variance_grows_with_the_time_left(first_s, second_s):
    early, late = sorted((first_s, second_s))
    assert average_variance_s(early, 60) <= average_variance_s(late, 60) + 1e-9


@pytest.mark.parametrize(("ask_e4", "edge"), [(6000, 0.079), (6400, 0.039), (6600, 0.020)])
def test_edge_of_a_taker_is_the_table_of_the_reference(ask_e4, edge):
    # The limit at exactly this edge is this ask: one basis point more and it is a tick lower.
    price = ask_e4 / 10_000
    up = normal_probability(40 / (SIGMA * sqrt(average_variance_s(120, 60))))
    exact = up - price - 0.07 * price * (1 - price)
    assert exact == pytest.approx(edge, abs=0.0006)
    assert limit_price_e4(up - exact + 1e-9, 0.07, 1, 100) == ask_e4
    assert limit_price_e4(up - exact - 1e-4, 0.07, 1, 100) == ask_e4 - 100


@given(
    st.floats(-0.5, 1.5),
    st.sampled_from([0.0, 0.04, 0.05, 0.07]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 10, 25, 50, 100, 1000]),
)
def test_the_limit_is_the_dearest_grid_price_within_the_budget(budget, rate, exponent, tick_e4):
    limit_e4 = limit_price_e4(budget, rate, exponent, tick_e4)

    def cost(price_e4):
        price = price_e4 / 10_000
        return price + rate * (price * (1 - price)) ** exponent

    assert limit_e4 % tick_e4 == 0
    assert 0 <= limit_e4 <= 10_000 - tick_e4
    if limit_e4:
        assert cost(limit_e4) <= budget + 1e-5
    if limit_e4 < 10_000 - tick_e4:
        assert cost(limit_e4 + tick_e4) > budget - 1e-5


@given(
    st.floats(-40, 40),
    st.floats(-10, 1000),
    st.floats(-0.5, 1.5),
    st.sampled_from([0.0, 0.04, 0.07]),
    st.sampled_from([0, 1, 2, 3]),
    st.sampled_from([1, 10, 100]),
)
def test_the_compiled_twin_says_the_same(z, left_s, budget, rate, exponent, tick_e4):
    assert _fair.fat_probability(z) == pytest.approx(fat_probability(z), rel=1e-12)
    assert _fair.normal_probability(z) == pytest.approx(normal_probability(z), rel=1e-12)
    assert _fair.normal_density(z) == pytest.approx(normal_density(z), rel=1e-12)
    assert _fair.average_variance_s(left_s, 60) == average_variance_s(left_s, 60)
    twin = _fair.limit_price_e4(budget, rate, exponent, tick_e4)
    assert abs(twin - limit_price_e4(budget, rate, exponent, tick_e4)) <= tick_e4 * (exponent > 1)
