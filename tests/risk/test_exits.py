"""Exits that risk executes: who is sold, when, how much, and what is never sold."""

import pytest
from engine_fakes import S
from risk_rig import FREE, Rig

from lowlat.core.errors import ConfigError
from lowlat.core.layout import Action, IntentFlag, OrderType, Rule
from lowlat.core.units import E6
from lowlat.risk.limits import ExitParams, LimitsParams


def holding(*, sell=True, plan=None, **more):
    """A rig whose module "test" bought 25 YES at 0.40, settled."""
    limits = LimitsParams(
        **FREE, orphans_sell=sell, exits={} if plan is None else {"test": plan}, **more
    )
    rig = Rig(limits=limits)
    rig.market()
    own(rig, 0)
    return rig


def own(rig, instrument, module=b"test"):
    limit_e4 = 4_000 if not instrument & 1 else 6_100
    rig.signal(instrument, 25, limit_e4, module=module)
    rig.turn()
    intent = rig.intended[-1]
    rig.fill(intent, 25, 25 * limit_e4 / 1e4)
    rig.turn()
    rig.hold(instrument, 25, 25 * limit_e4 / 1e4, confirmed=25)


def live(rig, seconds, *, book=True):
    for _ in range(seconds):
        rig.world.advance(S)
        if book:
            rig.world.shard()
        rig.turn()


def off(rig, *modules):
    rig.modules = tuple(name for name in rig.modules if name not in modules)
    rig.engine.reload(rig.limits, 4, rig.modules)


def sales(rig):
    return [
        (intent, decision)
        for intent, decision in zip(rig.intended, rig.decided, strict=True)
        if intent.action == Action.SELL
    ]


def test_what_a_module_left_behind_is_sold_at_the_touch_once_it_is_off():
    rig = holding()
    live(rig, 10)
    assert sales(rig) == []
    off(rig, "test")
    live(rig, 1)
    [(intent, decision)] = sales(rig)
    assert (intent.size_e6, intent.limit_price_e4) == (25 * E6, 3_900)
    assert intent.intent_flags & IntentFlag.REDUCE_ONLY
    assert intent.order_type == OrderType.FAK
    assert intent.module.rstrip(b"\0") == b"test"
    assert (Rule(decision.rule), decision.approved) == (Rule.EXIT_ORPHAN, 1)
    assert decision.signal
    # While that order is under way the same shares are not sold again.
    live(rig, 3)
    assert len(sales(rig)) == 1


def test_by_default_orphans_are_held():
    rig = holding(sell=False)
    off(rig, "test")
    live(rig, 10)
    assert sales(rig) == []


def test_shares_of_nobody_are_never_sold():
    rig = Rig(limits=LimitsParams(**FREE, orphans_sell=True))
    rig.market()
    rig.hold(0, 40, 16.0, confirmed=40)
    live(rig, 5)
    assert rig.intended == []


def test_only_what_is_settled_and_what_rests_at_the_touch_is_sold():
    rig = holding()
    off(rig, "test")
    rig.world.put_book(0, [(3_900, 12), (3_800, 500)], [(4_000, 500)])
    rig.turn()
    live(rig, 1)
    [(intent, _)] = sales(rig)
    assert intent.size_e6 == 12 * E6
    unsettled = holding()
    unsettled.hold(0, 25, 10.0, confirmed=0)
    off(unsettled, "test")
    live(unsettled, 5)
    assert sales(unsettled) == []


def test_nothing_is_sold_into_a_book_that_is_not_fresh_or_has_no_bid():
    rig = holding()
    off(rig, "test")
    live(rig, 1, book=False)
    before = len(sales(rig))
    silent = holding()
    silent.world.advance(60 * S)
    off(silent, "test")
    live(silent, 5, book=False)
    assert sales(silent) == []
    assert before == 1
    empty = holding()
    empty.world.put_book(0, [], [(4_000, 500)])
    empty.turn()
    off(empty, "test")
    live(empty, 5)
    assert sales(empty) == []


def test_a_stop_needs_three_looks_below_it():
    # Bought at 0.40 without a fee: 10 % below is 0.36.
    rig = holding(plan=ExitParams(stop_ppm=100_000))
    rig.world.put_book(0, [(3_700, 500)], [(3_800, 500)])
    live(rig, 5)
    assert sales(rig) == []
    rig.world.put_book(0, [(3_600, 500)], [(3_700, 500)])
    live(rig, 2)
    assert sales(rig) == []
    rig.world.put_book(0, [(3_700, 500)], [(3_800, 500)])
    live(rig, 1)
    rig.world.put_book(0, [(3_600, 500)], [(3_700, 500)])
    live(rig, 2)
    assert sales(rig) == []
    live(rig, 1)
    [(intent, decision)] = sales(rig)
    assert intent.limit_price_e4 == 3_600
    assert (Rule(decision.rule), decision.limit, decision.was) == (Rule.EXIT_STOP, 3_600, 3_600)


def test_a_target_and_a_time_are_executed():
    rig = holding(plan=ExitParams(target_e4=5_000))
    rig.world.put_book(0, [(4_900, 500)], [(5_100, 500)])
    live(rig, 3)
    assert sales(rig) == []
    rig.world.put_book(0, [(5_000, 500)], [(5_100, 500)])
    live(rig, 1)
    [(_, decision)] = sales(rig)
    assert (Rule(decision.rule), decision.limit) == (Rule.EXIT_TARGET, 5_000)
    timed = holding(plan=ExitParams(hold_ns_max=8 * S))
    live(timed, 6)
    assert sales(timed) == []
    live(timed, 4)
    [(_, decision)] = sales(timed)
    assert Rule(decision.rule) == Rule.EXIT_TIME
    assert decision.was >= 8 * S


def test_a_leg_beside_another_of_its_event_is_left_alone():
    rig = holding()
    own(rig, 1)
    off(rig, "test")
    live(rig, 5)
    assert sales(rig) == []


def test_a_refused_exit_waits_a_minute():
    rig = holding()
    off(rig, "test")
    rig.halt = 4
    live(rig, 30)
    refused = [each for each in rig.decided if not each.approved]
    assert [Rule(each.rule) for each in refused] == [Rule.HALTED]
    rig.halt = 0
    live(rig, 32)
    assert len(sales_of(rig)) == 1


def sales_of(rig):
    return [intent for intent in rig.intended if intent.action == Action.SELL]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (ExitParams(), "limits.exits.test was empty"),
        (ExitParams(stop_ppm=1_000_000), "stop_ppm was 1000000"),
        (ExitParams(target_e4=10_000), "target_e4 was 10000"),
        (ExitParams(hold_ns_max=-1), "hold_ns_max was -1"),
    ],
)
def test_a_plan_that_means_nothing_is_refused_by_name(plan, words):
    with pytest.raises(ConfigError, match=words):
        LimitsParams(exits={"test": plan}).validate()
