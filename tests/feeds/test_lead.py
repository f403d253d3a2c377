"""The lead of a spot exchange: hand-computed flow and lean, bounds, forgetting, restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import Action
from lowlat.feeds._lead import Lead

S = 1_000_000_000
BTC = 10**8


def busy(seconds=600):
    """An exchange where one unit is bought and one sold each second."""
    lead = Lead()
    for second in range(1, seconds):
        lead.trade(BTC, Action.BUY, second * S)
        lead.trade(BTC, Action.SELL, second * S)
    return lead, seconds * S


def test_sizes_near_the_touch_lean():
    lead = Lead()
    lead.depth([3 * BTC], [1 * BTC], S)
    # (3 - 1) / (3 + 1) = 0.5, and no flow yet: half of it.
    assert lead.ppb == 250_000_000
    lead.depth([1 * BTC], [3 * BTC], 2 * S)
    assert lead.ppb == -250_000_000
    lead.depth([], [], 3 * S)
    assert lead.ppb == 0


def test_takers_of_one_side_are_a_flow():
    lead, now_ns = busy()
    # 2 a second stand for 2 * 60 / ln 2 = 173.1 in the long sum, 173.1 / 60 = 2.885 in the short:
    # buying 5 more is 5 / (3 * 2.97) with what it adds to the usual; half of that is told.
    lead.trade(5 * BTC, Action.BUY, now_ns)
    assert lead.ppb / 1e9 == pytest.approx(0.5 * 5 / (3 * 2.98), rel=0.02)
    lead.trade(0, Action.BUY, now_ns + S)
    assert lead.ppb / 1e9 == pytest.approx(0.25 * 5 / (3 * 2.98), rel=0.04)
    lead.trade(1_000 * BTC, Action.SELL, now_ns + S)
    assert lead.ppb == -500_000_000


def test_flow_is_unknown_before_anything_is_usual_and_after_a_restart():
    lead = Lead()
    lead.trade(BTC, Action.BUY, S)
    lead.trade(BTC, Action.BUY, 60 * S)
    assert lead.ppb == 0
    lead, now_ns = busy()
    lead.trade(50 * BTC, Action.BUY, now_ns)
    assert lead.ppb > 0
    lead.restart()
    assert lead.ppb == 0
    lead.trade(BTC, Action.BUY, now_ns + S)
    assert lead.ppb == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 10**15), st.sampled_from(Action), st.integers(-S, 100 * S)),
        max_size=40,
    )
)
def test_a_lead_stays_within_one(prints):
    lead, now_ns = Lead(), S
    for size, side, step_ns in prints:
        now_ns += step_ns
        lead.trade(size, side, now_ns)
        lead.depth([size], [BTC], now_ns)
        assert -(10**9) <= lead.ppb <= 10**9
