"""Each rule by a case worked out by hand; what is sent, held and given back."""

import pytest
from engine_fakes import MS, S
from risk_rig import CALM, Rig

from lowlat.core.layout import (
    EXPOSURE_ROW,
    RESET,
    STAKE_ROW,
    TURN,
    BookFlag,
    Exchange,
    GroupState,
    IntentFlag,
    Known,
    MarketStatus,
    OrderState,
    OrderType,
    ReportKind,
    Rule,
    SettleRule,
    Writer,
    record_id,
)
from lowlat.core.ports import EMPTY
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams

FREE = {"duplicate_window_ns": 0, "orders_per_s": 1_000, "kelly_ppm": 0}
WIDE = {**FREE, "bankroll_cap_e6": 1_000_000 * E6, "order_notional_e6_max": 100_000 * E6}


def rule(decision):
    return Rule(decision.rule)


def test_a_good_signal_becomes_one_intent_and_one_approval():
    rig = Rig()
    rig.market()
    signal = rig.signal(0, 25, 4000)
    rig.turn()
    (intent,) = rig.intended
    (decision,) = rig.decided
    assert (decision.approved, rule(decision)) == (1, Rule.APPROVED)
    assert (decision.signal, decision.intent) == (signal.id, intent.id)
    assert (intent.size_e6, intent.spend_e6) == (25 * E6, 10 * E6)
    assert (intent.limit_price_e4, intent.touch_price_e4) == (4000, 4000)
    assert intent.order_type == OrderType.FAK
    assert (intent.config_generation, intent.cause, intent.signal) == (3, 77, signal.id)
    assert intent.expires_ns == signal.expires_ns


def test_a_fok_buy_spends_the_walked_cost_floored_to_the_cent():
    # The case: 320 shares over asks .46 x 120 and .47 x 200 spend 149.20.
    rig = Rig(limits=LimitsParams(**WIDE, single_fill_or_kill=True), cash=100_000)
    rig.market(asks=((4600, 120), (4700, 200)), bids=((4500, 500),))
    rig.signal(0, 320, 4700, expected_value=60.0)
    rig.turn()
    (intent,) = rig.intended
    assert intent.order_type == OrderType.FOK
    assert (intent.size_e6, intent.spend_e6, intent.limit_price_e4) == (
        320 * E6,
        149_200_000,
        4700,
    )


def test_25_shares_at_tick_0_001_are_sent_as_20():
    rig = Rig()
    rig.market(0, bids=((3900, 500),), asks=((4010, 500),), tick_e4=10)
    decision = rig.decide(0, 25, 4010)
    assert (rule(decision), decision.approved, decision.size_e6) == (Rule.CUT, 1, 20 * E6)
    assert rig.intended[0].size_e6 == 20 * E6


def test_sizes_are_rounded_down_onto_the_rungs_that_templates_have():
    rig = Rig(limits=LimitsParams(**FREE, size_rungs_e6=(10 * E6, 20 * E6, 50 * E6)))
    rig.market()
    assert rig.decide(0, 45, 4000).size_e6 == 20 * E6
    assert rule(rig.decide(0, 9, 4000)) == Rule.MIN_SIZE


def test_an_expired_signal_is_never_sent():
    rig = Rig()
    rig.market()
    signal = rig.signal(0, 10, 4000)
    rig.turn(20 * MS)
    (decision,) = rig.decided
    assert rule(decision) == Rule.EXPIRED
    assert (decision.limit, decision.was) == (signal.expires_ns, rig.world.now)
    assert rig.intended == []


def test_a_halt_refuses_everything():
    rig = Rig()
    rig.market()
    rig.halt = 4
    decision = rig.decide()
    assert (rule(decision), decision.was) == (Rule.HALTED, 4)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"known": int(Known.TRADEABLE) & ~int(Known.FEE)}, Rule.NOT_TRADEABLE),
        ({"known": int(Known.TRADEABLE) & ~int(Known.DELAY)}, Rule.NOT_TRADEABLE),
        ({"status": int(MarketStatus.PAUSED)}, Rule.NOT_TRADEABLE),
        ({"exchange": int(Exchange.UNKNOWN)}, Rule.NOT_TRADEABLE),
        ({"tick_e4": 20}, Rule.NOT_TRADEABLE),
        ({"generation": 2}, Rule.GENERATION_GONE),
        ({"coin": 1, "settle_rule": int(SettleRule.TWAP_60_UP)}, Rule.START_PRICE_UNKNOWN),
        ({"coin": 1, "settle_rule": int(SettleRule.UNKNOWN)}, Rule.START_PRICE_UNKNOWN),
    ],
)
def test_what_is_not_known_of_a_market_blocks_it(facts, expected):
    rig = Rig()
    rig.market(0, **facts)
    assert rule(rig.decide()) == expected


def test_exchange_settled_markets_trade_without_a_start_price():
    rig = Rig()
    rig.market(0, coin=1, settle_rule=int(SettleRule.BINANCE_CANDLE_UP))
    assert rig.decide().approved


def test_an_unknown_market_is_gone():
    rig = Rig()
    assert rule(rig.decide(6)) == Rule.GENERATION_GONE


def test_a_book_of_a_lost_connection_is_stale():
    rig = Rig()
    rig.market()
    rig.world.shard(generation=2)
    assert rule(rig.decide()) == Rule.STALE_BOOK


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (BookFlag.STALE, Rule.STALE_BOOK),
        (BookFlag.DIVERGED, Rule.BOOK_UNHEALTHY),
        (BookFlag.CROSSED, Rule.BOOK_UNHEALTHY),
        (BookFlag.LOCKED, Rule.BOOK_UNHEALTHY),
        (BookFlag.CROSSED | BookFlag.CONFIRMED, Rule.APPROVED),
        (BookFlag.CROSSED | BookFlag.CONFIRMED | BookFlag.DIVERGED, Rule.BOOK_UNHEALTHY),
        (BookFlag.TRUNCATED, Rule.APPROVED),
    ],
)
def test_unhealthy_books_are_not_traded(flags, expected):
    rig = Rig()
    rig.market()
    rig.world.put_book(0, [(3900, 1000)], [(4000, 1000)], flags=int(flags))
    assert rule(rig.decide()) == expected


@pytest.mark.parametrize("limit_e4", [4050, 50, 9999, 10_000, -100])
def test_limits_off_the_grid_are_refused(limit_e4):
    rig = Rig()
    rig.market()
    assert rule(rig.decide(0, 10, limit_e4)) == Rule.OFF_GRID


def test_a_book_on_another_grid_than_the_market_waits():
    rig = Rig()
    rig.world.put_market(0, **CALM)
    rig.world.put_book(0, [(3900, 100)], [(4000, 100)], tick_e4=10)
    assert rule(rig.decide()) == Rule.OFF_GRID


@pytest.mark.parametrize(("size", "ask"), [(4, 4000), (20, 400)])
def test_orders_the_venue_would_refuse_as_too_small(size, ask):
    rig = Rig()
    rig.market(asks=((ask, 1000),), bids=((ask - 100, 1000),))
    assert rule(rig.decide(0, size, ask)) == Rule.MIN_SIZE


def test_the_price_must_still_be_there():
    rig = Rig()
    rig.market()
    rig.world.put_book(0, [(3900, 100)], [(4100, 100)])
    decision = rig.decide(0, 10, 4000)
    assert (rule(decision), decision.limit, decision.was) == (Rule.NO_EDGE, 4000, 4100)


def test_a_signal_without_value_is_refused():
    rig = Rig()
    rig.market()
    assert rule(rig.decide(expected_value=0.0)) == Rule.NO_EDGE
    assert rule(rig.decide(expected_value=float("nan"))) == Rule.NO_EDGE


def test_depth_cuts_to_what_is_there():
    rig = Rig()
    rig.market(asks=((4000, 17.5),))
    decision = rig.decide(0, 40, 4000)
    assert (rule(decision), decision.approved, decision.size_e6) == (Rule.DEPTH, 1, 17 * E6)
    assert (decision.limit, decision.was) == (17_500_000, 40 * E6)
    rig.market(1, asks=((4000, 4),))
    assert rule(rig.decide(2, 40, 4000)) == Rule.DEPTH


def test_impact_of_the_reference_is_refused():
    # feeds.md 6.9: 800 shares into .50 x 300, .51 x 200, .53 x 1000: impact 2.75 % > one tick, 2 %.
    rig = Rig(limits=LimitsParams(**WIDE), cash=100_000)
    rig.market(asks=((5000, 300), (5100, 200), (5300, 1000)), bids=((4800, 100),))
    decision = rig.decide(0, 800, 5300, expected_value=500.0)
    assert (rule(decision), decision.limit, decision.was) == (Rule.IMPACT, 20_000, 27_500)


def test_one_tick_of_impact_is_allowed_where_ticks_are_coarse():
    rig = Rig()
    rig.market(asks=((500, 30), (600, 30)), bids=((400, 10),))
    assert rig.decide(0, 40, 600, expected_value=20.0).approved


def test_slippage_may_eat_a_third_of_the_edge_at_the_touch():
    # 200 at .40 and 100 at .41: a dollar slips.
    for value, expected in ((1.9, Rule.IMPACT), (2.1, Rule.APPROVED)):
        rig = Rig(limits=LimitsParams(**WIDE), cash=100_000)
        rig.market(asks=((4000, 200), (4100, 100)))
        assert rule(rig.decide(0, 300, 4100, expected_value=value)) == expected


def test_five_percent_a_market_in_flight_counted():
    # Bankroll 1000: 50 a market; 10 shares at .40 hold 4 and a fee bound of 0.16.
    rig = Rig()
    rig.market()
    assert rig.decide(0, 100, 4000).approved  # 41.60
    decision = rig.decide(0, 100, 4000)
    assert (rule(decision), decision.approved) == (Rule.MARKET_LIMIT, 1)
    assert decision.size_e6 == 20 * E6  # 8.40 is left, 0.416 a share
    assert (decision.limit, decision.was) == (50 * E6, 83_200_000)
    decision = rig.decide(0, 100, 4000)
    assert (rule(decision), decision.approved) == (Rule.MARKET_LIMIT, 0)


def test_fifteen_percent_of_what_is_correlated():
    rig = Rig()
    for market in range(4):
        rig.market(market, correlation_id=9)
        rig.decide(2 * market, 115, 4000)
    # 47.84 each: three fit under 150, the fourth is cut to 6.48.
    assert [decision.approved for decision in rig.decided] == [1, 1, 1, 1]
    last = rig.decided[-1]
    assert (rule(last), last.size_e6) == (Rule.CORRELATED_LIMIT, 15 * E6)
    rig.market(5, correlation_id=8)
    assert rule(rig.decide(10, 100, 4000)) == Rule.APPROVED


def test_half_of_the_bankroll_in_all():
    rig = Rig()
    for market in range(12):
        rig.market(market)
        rig.decide(2 * market, 115, 4000)
    # 47.84 each: ten are 478.40; 21.60 is left for the eleventh.
    assert [decision.approved for decision in rig.decided] == [1] * 11 + [0]
    assert (rule(rig.decided[10]), rig.decided[10].size_e6) == (Rule.TOTAL_LIMIT, 51 * E6)
    assert rule(rig.decided[11]) == Rule.TOTAL_LIMIT


def test_opposite_sides_of_one_market_are_worth_one_dollar_a_pair():
    rig = Rig()
    rig.market()
    rig.hold(0, 100, 45.0)
    rig.hold(1, 100, 50.0)
    holding = rig.engine.state.exposure.holdings[0]
    assert (holding.cost_e6, holding.loss_e6) == (95 * E6, 0)


def test_cash_that_orders_hold_is_not_there_twice():
    rig = Rig(
        cash=20.0,
        limits=LimitsParams(
            **FREE,
            bankroll_cap_e6=10_000 * E6,
            market_loss_max_ppm=1_000_000,
            correlated_loss_max_ppm=1_000_000,
            total_loss_max_ppm=1_000_000,
            cash_locked_max_ppm=1_000_000,
        ),
    )
    rig.market()
    assert rig.decide(0, 30, 4000).approved  # 12.48
    decision = rig.decide(0, 30, 4000)
    assert decision.size_e6 == 18 * E6  # 7.52 is left
    assert decision.approved


def test_before_the_account_is_reconciled_nothing_is_sent():
    rig = Rig(cash=None)
    rig.market()
    assert rule(rig.decide()) == Rule.NOT_RECONCILED
    rig.world.put_cash(rig.cash, 1_000.0, reconciled_ns=0)
    rig.report(ReportKind.ACK)
    rig.turn()
    assert rule(rig.decide()) == Rule.NOT_RECONCILED
    rig.world.put_cash(rig.cash, 1_000.0)
    rig.report(ReportKind.ACK)
    rig.turn()
    assert rig.decide().approved


def test_sells_need_settled_shares_that_no_other_order_sells():
    rig = Rig()
    rig.market()
    rig.hold(0, 100, 40.0, confirmed=30)
    decision = rig.decide(0, 50, 3900, action=1)
    assert (rule(decision), decision.approved, decision.size_e6) == (Rule.POSITION, 1, 30 * E6)
    assert rig.intended[0].spend_e6 == 0
    assert rule(rig.decide(0, 50, 3900, action=1)) == Rule.POSITION
    assert rig.engine.state.held_e6 == 0


def test_no_order_crosses_our_own_in_either_token():
    # Resting: we bid .35 for NO, which is an offer of YES at .65.
    rig = Rig()
    rig.market(bids=((3900, 1000),), asks=((6500, 1000),))
    assert rig.decide(1, 10, 3500, urgency=0).approved
    decision = rig.decide(0, 10, 6500)
    assert (rule(decision), decision.limit, decision.was) == (Rule.SELF_CROSS, 3500, 6500)
    # A bid of .64 for YES does not meet it.
    assert rig.decide(0, 10, 6400, urgency=0).approved


def test_maker_orders_rest_at_their_limit():
    rig = Rig()
    rig.market()
    rig.decide(0, 10, 3900, urgency=0)
    rig.decide(0, 10, 3950 - 50, urgency=1)
    low, normal = rig.intended
    assert (low.order_type, low.intent_flags & 1, low.limit_price_e4) == (OrderType.GTC, 1, 3900)
    assert (normal.order_type, normal.intent_flags & 1) == (OrderType.GTC, 0)
    assert rule(rig.decide(0, 10, 4000, urgency=0)) == Rule.PRICE_BAND


def test_a_limit_far_past_the_touch_is_a_fat_finger():
    rig = Rig()
    rig.market()
    assert rule(rig.decide(0, 10, 4600, urgency=1)) == Rule.PRICE_BAND
    assert rule(rig.decide(0, 20_000, 4000)) == Rule.FAT_FINGER


def test_notional_of_one_order_is_capped():
    rig = Rig(limits=LimitsParams(**{**FREE, "order_notional_e6_max": 10 * E6}))
    rig.market()
    decision = rig.decide(0, 100, 4000)
    assert (rule(decision), decision.size_e6) == (Rule.NOTIONAL, 25 * E6)


def test_the_rate_is_a_bucket():
    rig = Rig(limits=LimitsParams(duplicate_window_ns=0, orders_per_s=2, orders_burst=3))
    rig.market()
    for _ in range(4):
        rig.decide(0, 5, 4000)
    assert [each.approved for each in rig.decided] == [1, 1, 1, 0]
    assert rule(rig.decided[-1]) == Rule.RATE
    rig.turn(S // 2)
    assert rig.decide(0, 5, 4000).approved


def test_open_orders_are_counted():
    rig = Rig(limits=LimitsParams(**FREE, open_orders_max=2))
    rig.market()
    for _ in range(3):
        rig.decide(0, 5, 4000)
    assert rule(rig.decided[-1]) == Rule.OPEN_ORDERS


def test_a_full_intents_gate_is_no_room():
    rig = Rig()
    rig.market()
    rig.intents.slots = 1
    assert rig.decide(0, 5, 4000).approved
    assert rule(rig.decide(0, 5, 4000)) == Rule.NO_ROOM


def test_half_full_decisions_stop_new_orders_and_full_ones_stop_polling():
    rig = Rig(decision_slots=10)
    rig.market()
    assert rig.decide(0, 5, 4000).approved
    assert rule(rig.decide(0, 5, 4000)) == Rule.NO_ROOM
    for _ in range(20):
        rig.signal(0, 5, 4000)
    for _ in range(30):
        rig.turn()
    before = len(rig.decided)
    assert rig.counts["risk.decisions_full"] > 0
    rig.ledger_gate.at = len(rig.decisions.records)
    rig.ledger_gate.release()
    for _ in range(30):
        rig.turn()
        rig.ledger_gate.at = len(rig.decisions.records)
        rig.ledger_gate.release()
    assert len(rig.decided) == 22 > before


def test_shadow_passes_every_check_and_is_not_sent():
    rig = Rig()
    rig.market()
    decision = rig.decide(mode=0)
    assert (rule(decision), decision.limit, decision.was) == (Rule.MODULE_OFF, 1, 0)
    assert rig.intended == []
    rig = Rig(limits=LimitsParams(**FREE, mode_min=2))
    rig.market()
    assert rule(rig.decide(mode=1)) == Rule.MODULE_OFF
    assert rig.decide(mode=2).approved


# ------------------------------------------------------------------------------- aggregation
def test_the_same_wish_within_the_window_is_a_duplicate():
    rig = Rig(limits=LimitsParams(duplicate_window_ns=100 * MS))
    rig.market()
    assert rig.decide(0, 5, 4000).approved
    rig.turn(99 * MS)
    decision = rig.decide(0, 5, 4000)
    assert (rule(decision), decision.limit, decision.was) == (Rule.DUPLICATE, 100 * MS, 99 * MS)
    merged = rig.decide(0, 5, 4000, module=b"other")
    assert (rule(merged), merged.limit, merged.was) == (Rule.MERGED, 100 * MS, 99 * MS)
    rig.turn(MS)
    assert rig.decide(0, 5, 4000).approved


def test_the_dearest_goes_first_and_takes_the_token():
    rig = Rig()
    rig.market()
    rig.signal(0, 10, 4000, expected_value=1.0)
    rig.signal(0, 20, 4000, expected_value=9.0)
    rig.turn()
    large, small = rig.decided
    assert (large.size_e6, large.approved) == (20 * E6, 1)
    assert (rule(small), small.limit, small.was) == (Rule.OUTRANKED, 9 * E6, 1 * E6)


def test_opposite_wishes_of_one_module_in_one_turn_conflict():
    rig = Rig()
    rig.market(bids=((3900, 1000),), asks=((4000, 1000),))
    rig.signal(0, 10, 4000, expected_value=2.0)
    rig.signal(1, 10, 6100, expected_value=1.0)
    rig.turn()
    assert rig.rules == [("APPROVED", 1), ("CONFLICT", 0)]


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


# ------------------------------------------------------------------------------- reports
def test_reports_give_cash_back_and_positions_take_its_place():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    (intent,) = rig.intended
    state = rig.engine.state
    assert state.held_e6 == 41_600_000
    rig.report(ReportKind.SENDING, intent, OrderState.SENDING, reserved_e6=41_600_000)
    rig.report(ReportKind.ACK, intent, OrderState.MATCHED, reserved_e6=41_600_000)
    rig.turn()
    assert state.held_e6 == 41_600_000
    rig.fill(intent, 100, 40.96)
    rig.turn()
    assert state.held_e6 == 0
    assert state.exposure.total_e6 == 40_960_000
    assert state.cash_e6 == 1_000 * E6 - 40_960_000
    decision = rig.decide(0, 100, 4000)
    assert (decision.limit, decision.was) == (50 * E6, 40_960_000 + 41_600_000)


def test_unknown_stays_in_exposure_until_it_is_resolved():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    (intent,) = rig.intended
    rig.report(ReportKind.UNKNOWN, intent, OrderState.UNKNOWN, reserved_e6=41_600_000)
    for _ in range(20):
        rig.turn(S)
    assert rig.engine.state.held_e6 == 41_600_000
    rig.report(ReportKind.RESOLVED_UNKNOWN, intent, OrderState.CANCELED, reserved_e6=0)
    rig.turn()
    assert rig.engine.state.held_e6 == 0
    assert len(rig.engine.state.own) == 0


def test_a_failed_fill_is_undone():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    rig.fill(rig.intended[0], 100, 40.96)
    rig.turn()
    rig.world.put_position(rig.positions, 0, 0, 0.0)
    rig.world.put_cash(rig.cash, 1_000.0)
    rig.report(ReportKind.FAILED, rig.intended[0], OrderState.MATCHED)
    rig.turn()
    assert rig.engine.state.exposure.total_e6 == 0
    assert rig.engine.state.cash_e6 == 1_000 * E6


def test_an_intent_that_was_never_sent_is_found_in_no_table_and_let_go():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    rig.decide(0, 10, 4000)
    sent, lost = rig.intended[1], rig.intended[0]
    rig.put_order(0, id=sent.id, state=int(OrderState.LIVE), reserved_e6=4_160_000, size_e6=1)
    for _ in range(7):
        rig.turn(S)
    assert rig.counts["risk.intents_never_sent"] == 1
    assert lost.id not in rig.engine.state.own
    assert rig.engine.state.held_e6 == 4_160_000


def test_orders_the_executor_makes_by_itself_count_too():
    rig = Rig()
    rig.market()
    rig.decide(0, 10, 4000)
    unwind = rig.intended[0]._replace(id=123, instrument=1, limit_price_e4=6300)
    rig.report(ReportKind.SENDING, unwind, OrderState.SENDING, reserved_e6=7 * E6)
    rig.turn()
    assert rig.engine.state.held_e6 == 4_160_000 + 7 * E6
    assert rule(rig.decide(0, 10, 4000)) == Rule.SELF_CROSS


def test_tokens_without_a_market_count_as_lost_and_never_as_a_complete_set():
    rig = Rig()
    rig.hold(28, 100, 40.0, generation=0)
    rig.hold(30, 100, 50.0, generation=0)
    state = rig.engine.state
    assert state.exposure.total_e6 == 90 * E6
    assert state.exposure.cost_e6 == 90 * E6
    # The first moved to its market's row, and only that is told.
    rig.market()
    rig.world.put_position(rig.positions, 28, 0, 0.0, generation=0)
    rig.hold(0, 100, 40.0)
    assert state.exposure.total_e6 == 90 * E6
    assert state.exposure.holdings[0].shares_e6[0] == 100 * E6


# ------------------------------------------------------------------------------- restart
def test_a_restart_rebuilds_from_the_tables_and_ends_what_was_left():
    rig = Rig(start=False, intents_epoch=2)
    rig.world.put_market(0, **CALM)
    rig.world.put_book(0, [(3900, 1000)], [(4000, 1000)])
    rig.world.put_position(rig.positions, 0, 50, 20.0)
    rig.put_order(
        0,
        id=55,
        state=int(OrderState.LIVE),
        reserved_e6=5 * E6,
        instrument=0,
        size_e6=10 * E6,
        price_e4=3900,
    )
    rig.put_order(1, id=56, state=int(OrderState.CANCELED), instrument=0)
    reader_at_zero = rig.signals.reader
    rig.signal(0, 10, 4000)
    rig.signals.reader = lambda gate: _rewound(reader_at_zero(gate=gate))
    rig.start()
    assert rig.rules == [("DROPPED_EPOCH", 0)]
    state = rig.engine.state
    assert state.exposure.total_e6 == 25 * E6
    assert [own.intent for own in state.own] == [55]
    assert rule(rig.decide(0, 10, 4000)) == Rule.NOT_RECONCILED
    # The executor is asked, and what it said to an earlier life is no answer.
    epoch = rig.intents.epoch
    assert [each.previous_epoch for each in rig.intents.decoded(RESET)] == [epoch - 1]
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, epoch - 1, 0))
    rig.turn()
    assert rule(rig.decide(0, 10, 4000)) == Rule.NOT_RECONCILED
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, epoch, 0))
    rig.turn()
    assert rig.decide(0, 10, 4000).approved


def test_an_order_in_a_market_that_nobody_lists_any_more_counts_after_a_restart():
    # World seeds 184 and 268: the market ended before the reboot, its order was still in doubt.
    rig = Rig(start=False, intents_epoch=2)
    doubtful = {"instrument": 14, "size_e6": 10 * E6, "price_e4": 3900, "reserved_e6": 4 * E6}
    rig.put_order(0, id=55, state=int(OrderState.UNKNOWN), **doubtful)
    rig.start()
    assert [own.intent for own in rig.engine.state.own] == [55]
    assert rig.engine.state.exposure.total_e6 == 4 * E6
    rig.turn()
    rows = [EXPOSURE_ROW.unpack(image) for image in rig.exposure.images[1:] if image is not None]
    (told,) = [row for row in rows if row.market == 7]
    assert (told.market, told.generation, told.worst_loss_e6) == (7, 0, 4 * E6)


def test_shares_of_a_market_that_nobody_lists_any_more_are_kept_for_nobody():
    # World seed 303: they come back from the journal behind our start.
    rig = Rig(cash=None)
    rig.world.put_position(rig.positions, 28, 150, 42.6, generation=0)
    rig.world.put_cash(rig.cash, 1_000)
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, rig.intents.epoch, 0))
    rig.turn()
    assert rig.engine.state.exposure.total_e6 == 42_600_000
    written = [STAKE_ROW.unpack(image) for image in rig.stakes.images if image is not None]
    assert [(each.size_e6, each.generation, each.owner) for each in written] == [
        (150 * E6, 0, bytes(16))
    ]


def test_what_a_journal_brings_back_after_a_reboot_counts_once_the_account_is_known():
    # The executor fills its tables behind our start, and reports none of what it had before.
    rig = Rig(cash=None)
    rig.market(bids=((3900, 1_000),), asks=((4000, 10_000),))
    rig.world.put_position(rig.positions, 0, 50, 20.0)
    resting = {"instrument": 0, "size_e6": 10 * E6, "price_e4": 3900}
    rig.put_order(0, id=55, state=int(OrderState.LIVE), reserved_e6=4 * E6, **resting)
    rig.put_order(1, id=56, state=int(OrderState.CANCELED), instrument=0)
    rig.world.put_cash(rig.cash, 1_000, reconciled_ns=0)
    rig.report(ReportKind.SENDING, 55, OrderState.LIVE, reserved_e6=4 * E6)
    rig.turn()
    assert rule(rig.decide(0, 10, 4000)) == Rule.NOT_RECONCILED
    rig.world.put_cash(rig.cash, 1_000)
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, rig.intents.epoch, 0))
    rig.turn()
    state = rig.engine.state
    assert state.exposure.holdings[0].loss_e6 == 24 * E6
    assert [own.intent for own in state.own] == [55]
    assert [stake.size_e6 for stake in state.scores.of_token(0)] == [50 * E6]
    # 26 dollars are left of the 50 that this market may lose.
    assert rig.decide(0, 100, 4000).size_e6 < 65 * E6


def test_a_signal_decided_just_before_a_death_is_not_decided_again():
    rig = Rig()
    rig.market()
    reader_at_zero = rig.signals.reader
    assert rig.decide(0, 10, 4000).approved
    # Death between the decision and giving the signal's slot back.
    rig.signals.reader = lambda gate: _rewound(reader_at_zero(gate=gate))
    rig.decided_before = _rewound(rig.decisions.reader())
    rig.start()
    assert rig.rules == [("APPROVED", 1)]


def die(rig):
    """Start another life of risk over what the last one left in the streams, which are full."""
    reader_at_zero = rig.signals.reader
    rig.signals.reader = lambda gate: _rewound(reader_at_zero(gate=gate))
    rig.decided_before = _of_a_full_ring(_rewound(rig.decisions.reader()))
    rig.intended_before = _of_a_full_ring(_rewound(rig.intents.reader()))
    rig.intents.epoch = rig.decisions.epoch = rig.intents.epoch + 1
    rig.start()


def _of_a_full_ring(reader):
    """Let what is published from here on overtake a reader: it finds the newest record only."""
    records, poll = reader.stream.records, reader.poll
    full = len(records)

    def poll_a_ring():
        if len(records) > full:
            reader.at = max(reader.at, len(records) - 1)
        return poll()

    reader.poll = poll_a_ring
    return reader


@pytest.mark.parametrize("size", [10, 12.5])
def test_an_intent_that_left_before_its_decision_is_told_as_approved(size):
    rig = Rig()
    rig.market()
    rig.market(1)
    rig.decide(2, 10, 4000)
    signal = rig.signal(0, size, 4000)
    rig.engine.advance(rig.world.now)
    die(rig)
    assert len(rig.intended) == 2
    intent, decision = rig.intended[-1], rig.decided[-1]
    assert len(rig.decided) == 2
    assert (decision.signal, decision.intent, decision.approved) == (signal.id, intent.id, 1)
    assert decision.size_e6 == intent.size_e6 == int(size) * E6
    assert (decision.checked_ns, decision.config_generation) == (intent.checked_ns, 3)
    assert rule(decision) == (Rule.APPROVED if size == 10 else Rule.CUT)
    die(rig)
    assert len(rig.decided) == 2


def test_left_overs_that_find_no_room_for_their_decisions_are_ended_as_such_later():
    rig = Rig(decision_slots=12)
    rig.market()
    rig.ledger_gate.release()
    sent = rig.signal(0, 10, 4000)
    rig.engine.advance(rig.world.now)
    assert len(rig.intended) == 1
    others = [rig.signal(0, 10, 4000) for _ in range(3)]
    # The ledger reads nothing: the ring of decisions is full when the next life begins.
    while rig.decisions.free() > 0:
        rig.decisions.publish(TURN.kind)
    die(rig)
    assert rig.decided == []
    while rig.ledger_gate.poll() != EMPTY:
        pass
    rig.ledger_gate.release()
    rig.report(ReportKind.EPOCH_SEEN, intent=record_id(Writer.RISK, rig.intents.epoch, 0))
    for _ in range(5):
        rig.turn()
    ended = {each.signal: Rule(each.rule) for each in rig.decided}
    assert ended.pop(sent.id) == Rule.APPROVED
    assert ended == {each.id: Rule.DROPPED_EPOCH for each in others}
    assert len(rig.decided) == 4
    assert len(rig.intended) == 1, "what had left is not sent again"
    while rig.ledger_gate.poll() != EMPTY:
        pass
    rig.ledger_gate.release()
    rig.market(1)
    assert rig.decide(2, 10, 4000).approved


def test_of_a_group_cut_short_by_death_the_legs_that_left_are_approved():
    rig = Rig()
    rig.market(0)
    rig.market(1)
    publish = rig.intents.publish

    def die_after_one(kind):
        position = publish(kind)
        raise SystemExit(position)

    rig.intents.publish = die_after_one
    rig.start()
    rig.group((0, 10, 4000), (2, 10, 4000))
    with pytest.raises(SystemExit):
        rig.engine.advance(rig.world.now)
    rig.intents.publish = publish
    assert rig.decided == []
    die(rig)
    assert rig.rules == [("APPROVED", 1), ("DROPPED_EPOCH", 0)]
    assert rig.decided[0].intent == rig.intended[0].id


def _rewound(reader):
    reader.at = 0
    return reader


def test_after_a_restart_old_intents_expire_before_new_ones_go():
    rig = Rig(intents_epoch=2)
    rig.market()
    assert rule(rig.decide()) == Rule.NOT_RECONCILED
    rig.turn(S + MS)
    assert rig.decide().approved


def test_signals_of_an_older_writer_are_dropped():
    rig = Rig()
    rig.market()
    rig.signal(0, 10, 4000)
    rig.signals.epoch = 2
    rig.signal(0, 20, 4000)
    rig.turn()
    assert sorted(rig.rules) == [("APPROVED", 1), ("DROPPED_EPOCH", 0)]


# ------------------------------------------------------------------------------- equity
def test_three_breaches_in_two_seconds_halt():
    rig = Rig()
    rig.hold(0, 1_000, 390.0)
    rig.market(bids=((3900, 2_000),), asks=((4000, 1_000),))
    rig.turn(S)
    assert rig.engine.equity.equity_e6 == 1_390 * E6
    rig.world.put_book(0, [(2000, 2_000)], [(4000, 1_000)])
    rig.turn(S // 2)
    rig.turn(S // 2)
    assert rig.pulled == []
    rig.turn(S // 2)
    assert rig.pulled == [(int(Rule.DRAWDOWN), b"drawdown")]
    assert rule(rig.decide(0, 10, 4000)) == Rule.DRAWDOWN
    assert rig.decide(0, 10, 2000, action=1).approved
    rig.turn(S // 2)
    assert len(rig.pulled) == 1


def test_one_bad_mark_is_no_drawdown():
    rig = Rig()
    rig.hold(0, 1_000, 390.0)
    rig.market(bids=((3900, 2_000),), asks=((4000, 1_000),))
    rig.turn(S)
    for bid in (2000, 3900, 2000, 3900, 3900, 3900, 2000, 3900):
        rig.world.put_book(0, [(bid, 2_000)], [(4000, 1_000)])
        rig.turn(S // 2)
    assert rig.pulled == []


def test_a_complete_set_is_worth_its_payout_whatever_the_bids_say():
    rig = Rig()
    event = {"event_id": b"\x07" * 32, "neg_risk": 1, "event_market_count": 2}
    for market in range(2):
        rig.hold(2 * market, 100, 47.0)
        rig.market(market, bids=((100, 10),), asks=((9000, 10),), **event)
    rig.turn(S)
    assert rig.engine.equity.equity_e6 == 1_100 * E6
    assert rig.engine.state.exposure.total_e6 == 0


def test_bankroll_is_taken_at_midnight_and_capped():
    rig = Rig(limits=LimitsParams(**FREE, bankroll_cap_e6=800 * E6))
    assert rig.engine.state.bankroll_e6 == 800 * E6
    rig.world.put_cash(rig.cash, 500.0)
    rig.report(ReportKind.ACK)
    rig.turn(S)
    assert rig.engine.state.bankroll_e6 == 800 * E6
    rig.turn(24 * 3_600 * S)
    rig.turn(S)
    assert rig.engine.state.bankroll_e6 == 500 * E6


def test_exposure_is_published():
    rig = Rig()
    rig.market()
    rig.decide(0, 100, 4000)
    rig.turn(MS)
    total = rig.exposure.record.unpack(rig.exposure.images[0])
    assert (total.worst_loss_e6, total.limit_e6) == (41_600_000, 500 * E6)
    rows = [rig.exposure.record.unpack(raw) for raw in rig.exposure.images[1:] if raw]
    assert [(row.market, row.worst_loss_e6) for row in rows] == [(0, 41_600_000)]


def test_reload_tightens_at_once():
    rig = Rig()
    rig.market()
    assert rig.decide(0, 100, 4000).approved
    rig.engine.reload(LimitsParams(**FREE, bankroll_cap_e6=500 * E6), 4)
    decision = rig.decide(0, 100, 4000)
    assert (rule(decision), decision.limit) == (Rule.MARKET_LIMIT, 25 * E6)
    assert decision.config_generation == 4


def test_decision_and_slot_of_a_lone_signal_wait_for_settle_and_no_longer():
    rig = Rig()
    rig.market()
    rig.market(1)
    (gate,) = [reader for reader in rig.signals.readers if reader.gate]
    rig.turn()
    rig.signal(0, 10, 4000)
    before, released = len(rig.decisions.records), gate.released
    assert rig.engine.advance(rig.world.advance(0)) == 1
    assert len(rig.intents.records) == 1
    assert (len(rig.decisions.records), gate.released) == (before, released)
    rig.engine.settle()
    rig.engine.settle()
    assert rig.rules == [("APPROVED", 1)]
    assert len(rig.decisions.records) == before + 2
    assert gate.released == released + 1
    # Whoever forgets to settle is settled by the next turn before it takes anything.
    rig.signal(2, 10, 4000)
    assert rig.engine.advance(rig.world.advance(0)) == 1
    assert rig.rules == [("APPROVED", 1)]
    assert rig.turn() == 0
    assert rig.rules == [("APPROVED", 1)] * 2
    assert gate.released == released + 2


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
