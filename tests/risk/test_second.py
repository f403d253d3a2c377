"""What other limits would have said: worked out by hand, and without a trace in what is decided."""

import msgspec
from engine_fakes import MS
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_rig import FREE, WIDE, Rig

from lowlat.core.layout import Rule
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams
from lowlat.risk.second import SecondOpinion


def listen(rig, limits):
    """Let other limits be asked; return what is heard: instrument, and both choices."""
    heard = []

    def hear(case, first, second):
        heard.append((case.instrument, first, second))

    state = rig.engine.state
    rig.engine.decide_through(lambda decide: SecondOpinion(state, limits, decide, hear).decide)
    return heard


def test_a_tighter_cap_would_have_cut_what_was_sent():
    rig = Rig(limits=LimitsParams(**FREE))
    heard = listen(rig, LimitsParams(**FREE, order_notional_e6_max=4 * E6))
    rig.market()
    assert rig.decide(0, 25, 4000).size_e6 == 25 * E6
    ((_, first, second),) = heard
    assert (first.rule, first.size_e6, first.cost_e6) == (Rule.APPROVED, 25 * E6, 10_400_000)
    # 10 at 0.40 are 4 dollars; with the fee's bound of 4 % 4.16.
    assert (second.rule, second.limit, second.was) == (Rule.NOTIONAL, 4 * E6, 10 * E6)
    assert (second.size_e6, second.cost_e6) == (10 * E6, 4_160_000)


def test_wider_limits_would_have_sent_what_was_refused():
    rig = Rig(limits=LimitsParams(**FREE, price_band_e4=0, order_notional_e6_min=20 * E6))
    heard = listen(rig, LimitsParams(**FREE))
    rig.market()
    assert not rig.decide(0, 25, 4000).approved
    ((_, first, second),) = heard
    assert (first.rule, first.size_e6, first.cost_e6) == (Rule.MIN_SIZE, 0, 0)
    assert (second.rule, second.size_e6) == (Rule.APPROVED, 25 * E6)
    assert rig.intended == []


def test_legs_are_refused_together_by_both():
    rig = Rig(limits=LimitsParams(**WIDE))
    heard = listen(rig, LimitsParams(**WIDE, order_shares_e6_max=5 * E6))
    rig.market()
    rig.market(1)
    rig.group((0, 10, 4000), (2, 10, 4000))
    rig.turn()
    assert [(instrument, first.rule, second.rule) for instrument, first, second in heard] == [
        (0, Rule.APPROVED, Rule.FAT_FINGER),
        (2, Rule.APPROVED, Rule.GROUP_INCOMPLETE),
    ]


def test_a_lower_bankroll_counts_at_once_and_only_in_the_second_opinion():
    rig = Rig(limits=LimitsParams(**FREE))
    heard = listen(rig, LimitsParams(**FREE, bankroll_cap_e6=100 * E6))
    rig.market()
    # 5 % of 1 000 and of 100 dollars in one market, at 0.416 a share.
    assert rig.decide(0, 25, 4000).approved
    assert heard[0][2][0] == Rule.MARKET_LIMIT
    assert heard[0][2].limit == 5 * E6
    assert rig.engine.state.bankroll_e6 == 1_000 * E6


def test_what_came_too_fast_then_is_no_matter_of_other_limits():
    limits = LimitsParams(duplicate_window_ns=0, kelly_ppm=0, orders_per_s=1, orders_burst=1)
    rig = Rig(limits=limits)
    heard = listen(rig, msgspec.structs.replace(limits, orders_per_s=1_000, orders_burst=1_000))
    rig.market()
    rig.market(1)
    assert rig.decide(0, 5, 4000).approved
    assert rig.decide(2, 5, 4000).rule == Rule.RATE
    assert heard[1][1] == heard[1][2]


OTHERS = st.builds(
    LimitsParams,
    bankroll_cap_e6=st.sampled_from([50 * E6, 800 * E6, 5_000 * E6]),
    market_loss_max_ppm=st.sampled_from([5_000, 50_000, 150_000]),
    long_horizon_ns=st.sampled_from([10**9, 10**18]),
    long_locked_max_ppm=st.sampled_from([1_000, 900_000]),
    order_notional_e6_max=st.sampled_from([3 * E6, 250 * E6]),
    kelly_ppm=st.sampled_from([0, 20_000, 900_000]),
    module_budget_max_ppm=st.sampled_from([1_000, 1_000_000]),
    depth_share_max_ppm=st.sampled_from([100_000, 1_000_000]),
    price_band_e4=st.sampled_from([1, 500]),
    mode_min=st.sampled_from([1, 2]),
)
WISHES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(1, 300),
        st.sampled_from([3900, 4000, 4100, 6100]),
        st.floats(-1, 60),
        st.integers(0, 1),
        st.sampled_from(["lone", "set", "fill", "wait"]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(OTHERS, WISHES)
def test_being_asked_changes_no_byte_and_who_is_asked_the_same_says_the_same(other, wishes):
    limits = LimitsParams(**FREE | {"kelly_ppm": 250_000})
    told = []
    for asked in (None, other, limits):
        rig = Rig(limits=limits)
        heard = [] if asked is None else listen(rig, asked)
        for market in (0, 1):
            rig.market(market, asks=((4000, 30), (4100, 40)))
        for number, (token, size, limit_e4, value, action, then) in enumerate(wishes):
            if then == "set":
                rig.group((0, size, limit_e4), (2, size, 4100), group=900 + number)
            else:
                rig.signal(token, size, limit_e4, expected_value=value, action=action)
            rig.turn(MS)
            if then == "fill" and rig.intended and rig.decided[-1].approved:
                rig.fill(rig.intended[-1], 1, 0.5)
            rig.turn(1_100 * MS if then == "wait" else 0)
        tables = (rig.exposure, rig.scores, rig.stakes)
        told.append(
            (rig.decided, rig.intended, [bytes(image or b"") for t in tables for image in t.images])
        )
        if asked is limits:
            assert all(first == second for _, first, second in heard)
    assert told[0] == told[1] == told[2]
    assert heard
