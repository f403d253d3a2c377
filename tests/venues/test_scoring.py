"""Reward scores against the worked example of the reference (feeds.md 6.8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.venues.polymarket.scoring import maker_score, order_score, side_score


def test_the_worked_example():
    assert order_score(100, 1, 300) == pytest.approx(0.444, abs=5e-4)
    assert order_score(200, 1, 300) == pytest.approx(0.111, abs=5e-4)
    one = side_score([(4_900, 200_000_000), (4_800, 100_000_000)], 5_000, 300, 0)
    two = side_score([(5_100, 100_000_000)], 5_000, 300, 0)
    assert (one, two) == (pytest.approx(100.0), pytest.approx(44.44, abs=0.01))
    assert maker_score(one, two, 5_000) == pytest.approx(44.44, abs=0.01)
    assert maker_score(one, 0.0, 5_000) == pytest.approx(33.33, abs=0.01)


def test_one_side_earns_nothing_at_the_ends():
    assert maker_score(100.0, 0.0, 999) == 0.0
    assert maker_score(100.0, 0.0, 9_001) == 0.0


def test_too_small_or_too_far_earns_nothing():
    assert side_score([(4_900, 4_000_000)], 5_000, 300, 5_000_000) == 0.0
    assert order_score(300, 10, 300) == order_score(10, 10, 0) == 0.0


@given(
    near=st.floats(0, 299), step=st.floats(0, 300), shares=st.floats(1, 1e6), v=st.integers(1, 900)
)
def test_nearer_never_scores_less(near, step, shares, v):
    assert order_score(near, shares, v) >= order_score(near + step, shares, v) >= 0.0
