"""Legs that stay together: decided as one, cut to one size, with the cash to undo them."""

from engine_fakes import MS
from risk_rig import FREE, Rig

from lowlat.core.layout import (
    GroupState,
    IntentFlag,
    OrderState,
    OrderType,
    ReportKind,
)
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams


def test_legs_wait_for_their_group_and_go_together():
    rig = Rig()
    rig.market(0)
    rig.market(1)
    first, second = (0, 10, 4000), (2, 10, 4000)
    rig.signal(*first, group=5, leg=0, legs=2)
    rig.turn()
    assert rig.decided == []
    rig.signal(*second, group=5, leg=1, legs=2)
    rig.turn(MS)
    assert rig.rules == [("APPROVED", 1), ("APPROVED", 1)]
    assert [(each.group, each.leg, each.order_type) for each in rig.intended] == [
        (5, 0, OrderType.FOK),
        (5, 1, OrderType.FOK),
    ]


def test_an_incomplete_group_ends_in_a_decision_a_leg():
    rig = Rig()
    rig.market(0)
    rig.signal(0, 10, 4000, group=5, leg=0, legs=2)
    rig.turn()
    rig.turn(3 * MS)
    assert rig.rules == [("GROUP_INCOMPLETE", 0)]
    rig.signal(2, 10, 4000, group=5, leg=1, legs=2)
    rig.turn()
    rig.turn(3 * MS)
    assert rig.rules == [("GROUP_INCOMPLETE", 0)] * 2


def test_one_refused_leg_refuses_its_group():
    rig = Rig()
    rig.market(0)
    rig.market(1)
    rig.world.put_book(1, [(3900, 100)], [(4200, 100)])
    rig.group((0, 10, 4000), (2, 10, 4000))
    rig.turn()
    assert rig.rules == [("GROUP_INCOMPLETE", 0), ("NO_EDGE", 0)]
    assert rig.intended == []


def test_legs_are_cut_to_one_size():
    rig = Rig()
    rig.market(0)
    rig.market(1, asks=((4000, 12),))
    rig.group((0, 20, 4000), (2, 20, 4000))
    rig.turn()
    assert [each.size_e6 for each in rig.intended] == [12 * E6, 12 * E6]
    assert rig.rules == [("DEPTH", 1), ("DEPTH", 1)]


def test_legs_of_unlike_ticks_share_the_coarser_ladder():
    rig = Rig()
    rig.market(0)
    rig.market(1, tick_e4=10)
    rig.group((0, 27, 4000), (2, 27, 4000))
    rig.turn()
    assert [each.size_e6 for each in rig.intended] == [20 * E6, 20 * E6]


def test_the_unwind_of_every_leg_is_reserved_before_the_first():
    rig = Rig()
    rig.market(0)
    rig.market(1)
    rig.group((0, 10, 4000), (2, 10, 4000))
    rig.turn()
    legs = rig.intended
    # The complement costs 1 - .39 now, .63 at worst, and its fee bound is 4 %.
    assert [each.unwind_price_e4 for each in legs] == [6300, 6300]
    assert [each.unwind_reserve_e6 for each in legs] == [6_552_000, 6_552_000]
    assert rig.engine.state.own.reserve_e6 == 13_104_000
    for leg in legs:
        rig.fill(leg, 10, 4.1)
    rig.turn()
    assert rig.engine.state.own.reserve_e6 == 13_104_000
    rig.report(ReportKind.GROUP, group=900, group_state=int(GroupState.COMPLETE))
    rig.turn()
    assert rig.engine.state.own.reserve_e6 == 0


def test_a_group_whose_legs_all_died_unfilled_gives_its_reserve_back():
    rig = Rig()
    rig.market(0)
    rig.market(1)
    rig.group((0, 10, 4000), (2, 10, 4000))
    rig.turn()
    rig.report(ReportKind.DROPPED, rig.intended[0])
    rig.report(ReportKind.REJECT, rig.intended[1], OrderState.UNMATCHED)
    rig.turn()
    assert rig.engine.state.held_e6 == 0


def test_a_group_without_the_cash_to_undo_it_is_cut_or_refused():
    rig = Rig(
        cash=16.0,
        limits=LimitsParams(
            **FREE,
            market_loss_max_ppm=1_000_000,
            correlated_loss_max_ppm=1_000_000,
            total_loss_max_ppm=1_000_000,
            cash_locked_max_ppm=1_000_000,
        ),
    )
    rig.market(0)
    rig.market(1)
    rig.group((0, 10, 4000), (2, 10, 4000))
    rig.turn()
    # A share of both takes .832, undoing both 1.3104: seven fit into 16.
    assert [each.size_e6 for each in rig.intended] == [7 * E6, 7 * E6]
    assert rig.rules == [("RESERVE", 1), ("RESERVE", 1)]


# ------------------------------------------------------------------ one leg rests
def three_legs(rig, **changes):
    for market in range(3):
        rig.market(market, event_id=b"\x07" * 32, neg_risk=1, event_market_count=3)
    legs = ((0, 10, 3900, 0), (2, 10, 4000, 2), (4, 10, 4000, 2))
    for at, (instrument, size, limit, urgency) in enumerate(legs):
        more = {"group": 900, "leg": at, "legs": 3, "urgency": urgency}
        rig.signal(instrument, size, limit, **more | changes)
    rig.turn()


def test_a_leg_may_rest_beside_legs_that_take_and_all_of_them_count():
    rig = Rig()
    three_legs(rig)
    rests, *others = rig.intended
    assert rests.order_type == OrderType.GTC
    assert rests.intent_flags & IntentFlag.POST_ONLY
    assert {each.order_type for each in others} == {OrderType.FOK}
    assert not any(each.intent_flags & IntentFlag.POST_ONLY for each in others)
    assert all(each.unwind_reserve_e6 > 0 for each in rig.intended)
    # Each leg counts as filled from the first moment, whether it has left or waits.
    assert rig.engine.state.exposure.total_e6 >= 10 * (390_000 + 400_000 + 400_000)


def test_a_leg_that_rests_is_not_taken_back_as_a_single_bid_is():
    rig = Rig()
    three_legs(rig)
    before = len(rig.intended)
    rig.signal(0, 0, 3900, urgency=0)
    rig.turn()
    assert len(rig.intended) == before


def test_a_leg_that_would_take_is_no_leg_that_rests():
    rig = Rig()
    for market in range(2):
        rig.market(market)
    rig.signal(0, 10, 4000, group=900, leg=0, legs=2, urgency=0)
    rig.signal(2, 10, 4000, group=900, leg=1, legs=2)
    rig.turn()
    assert rig.rules[-2:] == [("PRICE_BAND", 0), ("GROUP_INCOMPLETE", 0)]
    assert rig.intended == []
