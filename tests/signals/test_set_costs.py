"""What a set's story says: the sums can be worked out again from what is printed."""

import pytest

from lowlat.core.layout import Action, Urgency
from lowlat.core.signal import Signal
from lowlat.core.units import E6
from lowlat.signals.set_costs import set_words


def leg(**changes):
    told = {"cost_e6": 186_400_000, "fees_e6": 6_029_200, "payout_e4": 10_000, "depth_e6": 300 * E6}
    told |= changes.pop("told", {})
    fields = {
        "module": "arbitrage",
        "market_id": "0x0",
        "token_id": "1",
        "action": Action.BUY,
        "confidence": 0.9,
        "expected_value": 7.2708 / 5,
        "size_suggestion": 200 * E6,
        "urgency": Urgency.IMMEDIATE,
        "metadata": told,
        "limit_price_e4": 2_230,
        "group": 8,
        "leg": 1,
        "legs": 5,
    }
    return Signal(**(fields | changes))


def test_what_missing_a_leg_takes_of_a_set_is_told():
    # 200 - 186.40 - 6.0292 = 7.5708; one set in ten is undone for 0.015 a share: 200 x 0.0015.
    assert set_words(leg()) == [
        (
            "200 sets of 5 legs pay 200.0000 and cost 186.4000 with 6.0292 fees: 7.5708 before "
            "leg risk"
        ),
        "a leg is missed by 10% of the sets, undoing the dearest costs 0.0150 a share: 0.3000",
        "worth 7.2708, 1.4542 a leg",
        "this is leg 2: 200 shares up to 0.223, 300 were offered there",
    ]


def test_without_leg_risk_none_is_told():
    words = set_words(leg(confidence=1.0, expected_value=7.5708 / 5))
    assert words[1] == "worth 7.5708, 1.5142 a leg"


@pytest.mark.parametrize("nested", [0, 1])
def test_a_nested_pair_pays_at_least_its_dollar(nested):
    words = set_words(leg(told={"nested": nested} if nested else {}))
    assert ("pay at least 200" in words[0]) is bool(nested)


def test_a_set_of_which_a_leg_rests_is_told_by_its_two_ends():
    # The example of passive_sets: 10 sets, 0.41 rests, 0.52 are taken, undoing costs 0.03.
    told = {"cost_e6": 9_300_000, "fees_e6": 0, "rests_e4": 4_100, "undo_e6": 30_000}
    words = set_words(
        leg(
            told=told | {"miss_ppm": 500_000},
            size_suggestion=10 * E6,
            confidence=0.5,
            expected_value=0.2 / 3,
            leg=0,
            legs=3,
            limit_price_e4=4_100,
        )
    )
    assert words[0].endswith("0.7000 before leg risk")
    assert words[1:] == [
        (
            "leg 1 rests at 0.41, the others are taken when it is filled; undoing it costs 0.0300 "
            "a share"
        ),
        "worth 50% of 0.7000 less 50% of 0.3000: 0.2000, 0.0667 a leg",
        "this is leg 1: 10 shares up to 0.41",
    ]
