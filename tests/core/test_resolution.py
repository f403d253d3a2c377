"""The resolution score by hand-computed markets, and what must never make it smaller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import (
    MARKET_ROW,
    NO_AMOUNT,
    Category,
    Dispute,
    MarketStatus,
    SettleRule,
    Wording,
)
from lowlat.core.resolution import SCORE_MAX, assess
from lowlat.core.units import E6

DAY = 86_400 * 10**9
NOW = 1_795_305_600 * 10**9
CALM = MARKET_ROW.unpack(bytes(MARKET_ROW.size_bytes))._replace(
    status=int(MarketStatus.ACTIVE),
    wording=int(Wording.TEXT | Wording.OFFICIAL),
    dispute=int(Dispute.NONE),
    category=int(Category.SPORTS),
    liquidity_e6=8_000 * E6,
    volume_e6=60_000 * E6,
    listed_ns=NOW - 9 * DAY,
    end_ns=NOW + 3 * DAY,
)


def score(**changes):
    return assess(CALM._replace(**changes), NOW).score


def test_one_official_source_soon_is_no_doubt():
    assert assess(CALM, NOW) == (0, ())
    assert assess(CALM, NOW).loss_ppm == 1_000


def test_the_worked_example_of_the_module():
    risk = assess(
        CALM._replace(
            wording=int(Wording.TEXT | Wording.OFFICIAL | Wording.CONSENSUS | Wording.TIME_LIMIT),
            category=int(Category.POLITICS),
            end_ns=NOW + 45 * DAY,
        ),
        NOW,
    )
    assert (risk.score, risk.loss_ppm) == (40, 10_079)
    assert [doubt.points for doubt in risk.doubts] == [15, 10, 10, 5]


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({"wording": int(Wording.TEXT | Wording.CONSENSUS)}, 25),
        ({"wording": int(Wording.TEXT | Wording.MANY_SOURCES)}, 15),
        ({"wording": int(Wording.TEXT)}, 15),
        ({"wording": int(Wording.TEXT | Wording.SUBJECTIVE)}, 25),
        ({"wording": int(Wording.TEXT | Wording.OFFICIAL | Wording.SUBJECTIVE)}, 10),
        ({"wording": int(Wording.TEXT | Wording.OFFICIAL | Wording.ANNOUNCED)}, 10),
        ({"wording": int(Wording.TEXT | Wording.OFFICIAL | Wording.CLARIFIED)}, 15),
        ({"rules_changes": 1}, 15),
        ({"wording": 0}, 25),
        ({"neg_risk_augmented": 1}, 15),
        ({"dispute": int(Dispute.PROPOSED)}, 25),
        ({"dispute": int(Dispute.DISPUTED), "dispute_count": 1}, 40),
        ({"dispute_count": 2}, 15),
        ({"dispute": int(Dispute.UNKNOWN)}, 5),
        ({"category": int(Category.WAR)}, 10),
        ({"category": int(Category.UNKNOWN)}, 5),
        ({"end_ns": NOW + 31 * DAY}, 5),
        ({"end_ns": NOW + 91 * DAY}, 10),
        ({"end_ns": 0}, 10),
        ({"end_ns": NOW - 2 * DAY}, 15),
        ({"status": int(MarketStatus.PAUSED)}, 15),
        ({"liquidity_e6": NO_AMOUNT}, 5),
        ({"liquidity_e6": 4_999 * E6}, 5),
        ({"volume_e6": NO_AMOUNT}, 5),
        ({"listed_ns": NOW - DAY // 2}, 5),
    ],
)
def test_each_doubt_has_its_points(changes, points):
    assert score(**changes) == points


def test_what_a_feed_decides_is_not_argued_about():
    fresh = {
        "settle_rule": int(SettleRule.TWAP_60_UP),
        "wording": 0,
        "dispute": 0,
        "category": 0,
        "liquidity_e6": NO_AMOUNT,
        "volume_e6": NO_AMOUNT,
        "listed_ns": NOW,
    }
    assert score(**fresh) == 0
    assert score(**fresh | {"settle_rule": 0, "wording": int(Wording.TEXT | Wording.FEED)}) == 0
    # A flag means nothing while the text is not known.
    assert score(**fresh | {"settle_rule": 0, "wording": int(Wording.FEED)}) > 40
    # A dispute is one whoever decides.
    assert score(**fresh | {"dispute": int(Dispute.DISPUTED)}) == 40


ROWS = st.fixed_dictionaries(
    {
        "wording": st.integers(0, 2047),
        "dispute": st.integers(0, 4),
        "dispute_count": st.integers(0, 3),
        "rules_changes": st.integers(0, 3),
        "category": st.integers(0, 9),
        "neg_risk_augmented": st.integers(0, 1),
        "settle_rule": st.integers(0, 4),
        "liquidity_e6": st.integers(-1, 10**11),
        "volume_e6": st.integers(-1, 10**11),
        "listed_ns": st.integers(0, NOW),
        "end_ns": st.integers(0, 2 * NOW),
        "status": st.integers(0, 4),
    }
)


@given(ROWS)
def test_the_score_is_the_sum_of_its_reasons_and_bounded(changes):
    risk = assess(CALM._replace(**changes), NOW)
    total = sum(doubt.points for doubt in risk.doubts)
    assert risk.score == min(SCORE_MAX, total)
    assert all(doubt.points > 0 and doubt.reason for doubt in risk.doubts)
    assert 1_000 <= risk.loss_ppm <= 1_000_000


@given(ROWS)
def test_not_knowing_is_never_better_than_the_best_that_could_be_known(changes):
    row = CALM._replace(**changes)
    known = assess(row._replace(liquidity_e6=10**11, volume_e6=10**11, dispute=1), NOW).score
    unknown = assess(row._replace(liquidity_e6=-1, volume_e6=-1, dispute=0), NOW).score
    assert unknown >= known


@given(ROWS)
def test_a_dispute_never_makes_a_market_safer(changes):
    row = CALM._replace(**changes | {"dispute": 1, "dispute_count": 0})
    calm = assess(row, NOW).score
    for state in (Dispute.PROPOSED, Dispute.DISPUTED):
        assert assess(row._replace(dispute=int(state), dispute_count=1), NOW).score >= calm
