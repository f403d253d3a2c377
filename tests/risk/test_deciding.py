"""Each check by a case worked out by hand: one signal, and what is sent of it."""

import pytest
from engine_fakes import MS, S
from risk_rig import CALM, FREE, WIDE, Rig, rule

from lowlat.core.layout import (
    BookFlag,
    Exchange,
    Known,
    MarketStatus,
    OrderType,
    ReportKind,
    Rule,
    SettleRule,
)
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams


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


def test_an_executor_without_room_is_asked_once_a_second():
    """Each refusal of its own costs a slot of those kept for fills and cancels."""
    rig = Rig()
    rig.market()
    rig.market(1)
    assert rig.decide(0, 5, 4000).approved
    rig.report(ReportKind.DROPPED, rig.intended[0], reason=int(Rule.NO_ROOM))
    rig.turn()
    assert rule(rig.decide(0, 5, 4000)) == Rule.NO_ROOM
    rig.group((0, 5, 4000), (2, 5, 4000))
    rig.turn()
    assert {rule(each) for each in rig.decided[-2:]} == {Rule.NO_ROOM, Rule.GROUP_INCOMPLETE}
    rig.turn(S)
    rig.market()
    assert rig.decide(0, 5, 4000).approved
    assert len(rig.intended) == 2


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
