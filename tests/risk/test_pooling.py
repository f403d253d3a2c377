"""Modules that agree get one size from one value; modules that disagree are netted inside."""

from engine_fakes import MS, WALL0, S
from hypothesis import given
from hypothesis import strategies as st
from risk_rig import FREE, Rig, rule

from lowlat.core.layout import Rule
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams


def by_module(rig):
    return {each.module.rstrip(b"\0").decode(): each for each in rig.decided}


def test_the_worked_example_of_the_module():
    rig = Rig()
    rig.market(asks=((4000, 1_000), (4100, 1_000)))
    rig.signal(0, 100, 4000, expected_value=5.0, confidence=0.6, module=b"large")
    rig.signal(0, 40, 4100, expected_value=0.4, confidence=0.2, module=b"small")
    rig.turn()
    found = by_module(rig)
    assert (rule(found["small"]), found["small"].approved) == (Rule.MERGED, 0)
    assert (found["small"].limit, found["small"].was) == (5 * E6, 400_000)
    assert found["large"].approved
    assert abs(found["large"].expected_value - 4.25) < 1e-9
    assert [each.size_e6 for each in rig.intended] == [100 * E6]


def test_a_pool_that_finds_the_limit_too_dear_sends_nothing():
    rig = Rig()
    rig.market()
    rig.signal(0, 100, 4000, expected_value=1.0, confidence=0.1, module=b"large")
    rig.signal(0, 100, 4000, expected_value=-20.0, confidence=0.9, module=b"small")
    rig.turn()
    assert {rule(each) for each in rig.decided} == {Rule.MERGED, Rule.NO_EDGE}
    assert rig.intended == []


def test_agreement_in_the_next_turn_does_not_add_either():
    rig = Rig(limits=LimitsParams(**FREE | {"duplicate_window_ns": 100 * MS}))
    rig.market()
    assert rig.decide(0, 10, 4000).approved
    assert rule(rig.decide(0, 10, 4000, module=b"other")) == Rule.MERGED
    rig.turn(100 * MS)
    assert rig.decide(0, 10, 4000, module=b"other").approved


def test_kelly_counts_what_is_held_whoever_owns_it():
    rig = Rig(limits=LimitsParams(**FREE | {"kelly_ppm": 250_000}))
    rig.market()
    # 38.007 shares are what this edge is worth.
    first = rig.decide(0, 100, 4000, expected_value=5.0)
    assert first.size_e6 == 38 * E6
    rig.fill(rig.intended[0], 38, 15.8)
    rig.turn()
    second = rig.decide(0, 100, 4000, expected_value=5.0, module=b"other")
    assert (rule(second), second.approved) == (Rule.KELLY, 0)
    # A better edge is worth more, less what is there.
    third = rig.decide(0, 100, 4000, expected_value=10.0, module=b"other")
    assert (rule(third), third.size_e6 + 38 * E6 < 100 * E6) == (Rule.KELLY, True)


def test_opposite_wishes_meet_inside_and_the_rest_goes_out():
    rig = Rig()
    rig.market(bids=((3900, 1_000),), asks=((4000, 1_000),))
    rig.signal(0, 30, 4000, expected_value=3.0, module=b"up")
    rig.signal(1, 12, 6100, expected_value=1.0, module=b"down")
    rig.turn()
    found = by_module(rig)
    # YES .40 against NO .61, that is YES .39: the mid is .395, of NO .605.
    assert (rule(found["down"]), found["down"].limit, found["down"].was) == (
        Rule.CROSSED,
        6_050,
        12 * E6,
    )
    assert (rule(found["up"]), found["up"].approved, found["up"].size_e6) == (
        Rule.CROSSED,
        1,
        18 * E6,
    )
    assert (found["up"].limit, found["up"].was) == (3_950, 12 * E6)


def test_equal_opposites_send_nothing():
    rig = Rig()
    rig.market(bids=((3900, 1_000),), asks=((4000, 1_000),))
    rig.signal(0, 10, 4000, expected_value=2.0, module=b"up")
    rig.signal(1, 10, 6100, expected_value=1.0, module=b"down")
    rig.turn()
    assert rig.rules == [("CROSSED", 0)] * 2


def test_by_capital_hour_the_quick_payback_goes_first():
    limits = {**FREE, "orders_burst": 1, "orders_per_s": 1}
    for hourly, first in ((False, 0), (True, 2)):
        rig = Rig(limits=LimitsParams(**limits, rank_by_capital_hour=hourly))
        rig.market(0, end_ns=WALL0 + 6 * 86_400 * S)
        rig.market(1, end_ns=WALL0 + 3_600 * S)
        rig.signal(0, 10, 4000, expected_value=2.0)
        rig.signal(2, 10, 4000, expected_value=1.0)
        rig.turn()
        assert [each.instrument for each in rig.intended] == [first]
        assert rule(rig.decided[-1]) == Rule.RATE


MODULES = (b"test", b"other", b"up", b"down")
wishes = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(5, 60),
        st.floats(0.01, 10.0),
        st.floats(0.0, 1.0),
        st.sampled_from(MODULES),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
)


@given(wishes)
def test_what_is_sent_is_never_more_than_the_largest_wish_and_one_way(plan):
    rig = Rig()
    rig.market(0, bids=((3900, 10_000),), asks=((4000, 10_000),))
    rig.market(1, bids=((3900, 10_000),), asks=((4000, 10_000),))
    for outcome, size, value, confidence, module, market in plan:
        rig.signal(
            2 * market + outcome,
            size,
            6100 if outcome else 4000,
            expected_value=value,
            confidence=confidence,
            module=module,
        )
    rig.turn()
    assert len(rig.decided) == len(plan)
    for market in (0, 1):
        sent = [each for each in rig.intended if each.instrument >> 1 == market]
        assert len({each.instrument for each in sent}) <= 1
        for outcome in (0, 1):
            asked = [
                size for side, size, _, _, _, where in plan if (side, where) == (outcome, market)
            ]
            of_side = [each.size_e6 for each in sent if each.instrument & 1 == outcome]
            assert sum(of_side) <= max(asked, default=0) * E6
