"""Nested strikes and dates: which markets are, and that pairs below a dollar are bought."""

from datetime import UTC, datetime

import pytest
from engine_fakes import MARKET, World
from hypothesis import given
from hypothesis import strategies as st
from test_arbitrage import engine_of, signals_of

from lowlat.core.layout import Action, Known, SettleRule, Wording
from lowlat.core.units import E6, E8
from lowlat.signals.arbitrage import Arbitrage, ArbitrageParams
from lowlat.signals.nested import place_of

S = 1_000_000_000
READ = int(Known.TRADEABLE | Known.SETTLE_RULE)
ABOVE = {
    "settle_rule": int(SettleRule.BINANCE_ABOVE),
    "known": READ,
    "coin": 1,
    "start_ns": 100 * S,
    "end_ns": 160 * S,
    "fee_rate_e6": 40_000,
}


def day(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * S


DATES = {
    "settle_rule": int(SettleRule.NOT_CRYPTO),
    "known": READ,
    "event_id": b"\x09" * 32,
    "event_market_count": 2,
    "wording": int(Wording.TEXT | Wording.TIME_LIMIT | Wording.OFFICIAL),
    "fee_rate_e6": 40_000,
}
MARCH = DATES | {"question": b"Will the bridge open by March 31?", "end_ns": day(2026, 3, 31, 12)}
JUNE = DATES | {"question": b"Will the bridge open by June 30, 2026?", "end_ns": day(2026, 7, 1, 3)}


def place(**facts):
    return place_of(MARKET._replace(**facts))


def ladder(*strikes, engine=True, **changes):
    world = World()
    for market, strike in enumerate(strikes):
        world.put_market(market, **(ABOVE | changes), strike_e8=strike * E8)
    return (world, engine_of(world)) if engine else world


def bought(world):
    return [(int(leg.token_id), leg.limit_price_e4) for leg in signals_of(world)]


def test_yes_of_the_lower_and_no_of_the_higher_strike_below_a_dollar_are_bought():
    world, engine = ladder(110_000, 100_000)
    world.put_book(0, [(5_000, 300)], [(5_200, 300)])  # above 110k: NO costs 0.50
    world.put_book(1, [(4_500, 300)], [(4_700, 120)])  # above 100k: YES costs 0.47
    engine.turn(world.now)
    legs = signals_of(world)
    # By hand: 0.47 + 0.04 * 0.47 * 0.53 = 0.479964, 0.50 + 0.04 * 0.25 = 0.51: a pair costs
    # 0.989964 and pays at least 1; 120 pairs of the thinner leg earn 1.20432.
    assert {leg.size_suggestion for leg in legs} == {120 * E6}
    assert sum(leg.expected_value for leg in legs) == pytest.approx(1.20432, abs=1e-4)
    assert {leg.action for leg in legs} == {Action.BUY}
    yes, no = world.rows[1].yes_token_id, world.rows[0].no_token_id
    assert {(leg.token_id, leg.limit_price_e4) for leg in legs} == {
        (str(int.from_bytes(yes, "big")), 4_700),
        (str(int.from_bytes(no, "big")), 5_000),
    }
    assert len({leg.group for leg in legs}) == 1
    told = Arbitrage.describe(legs[0], world.rows[1])
    assert "pay at least 120.0000 and cost 116.4000 with 2.3957 fees: 1.2043" in told[0]


def test_prices_in_their_order_are_left_alone():
    world, engine = ladder(100_000, 110_000)
    world.put_book(0, [(6_000, 300)], [(6_200, 300)])
    world.put_book(1, [(4_000, 300)], [(4_200, 300)])
    engine.turn(world.now)
    # The higher strike's YES with the lower one's NO is no set, however cheap.
    assert signals_of(world) == []
    wrong, engine = ladder(110_000, 100_000)
    wrong.put_book(0, [(1_000, 300)], [(1_200, 300)])
    wrong.put_book(1, [(9_000, 300)], [(9_200, 300)])
    engine.turn(wrong.now)
    assert signals_of(wrong) == []


def test_a_pair_that_fees_eat_is_left_alone():
    world, engine = ladder(100_000, 110_000)
    world.put_book(0, [(4_700, 300)], [(4_900, 300)])
    world.put_book(1, [(5_000, 300)], [(5_200, 300)])
    engine.turn(world.now)
    # 0.49 + 0.50 = 0.99, and 0.009996 + 0.01 of fees: 1.009996.
    assert signals_of(world) == []


def test_the_cheapest_pair_of_a_chain_is_bought_once_a_pause():
    world, engine = ladder(100_000, 105_000, 110_000)
    world.put_book(0, [(4_400, 300)], [(4_600, 300)])
    world.put_book(1, [(4_600, 300)], [(4_800, 300)])
    engine.turn(world.now)
    assert signals_of(world) == []
    world.put_book(2, [(5_500, 300)], [(5_700, 300)])
    engine.turn(world.now)
    assert {price for _, price in bought(world)} == {4_600, 4_500}
    world.put_book(2, [(5_500, 300)], [(5_700, 299)])
    engine.turn(world.now)
    assert len(signals_of(world)) == 2
    world.advance(251 * 1_000_000)
    world.put_book(2, [(5_500, 300)], [(5_700, 298)])
    engine.turn(world.now)
    assert len(signals_of(world)) == 4


def test_equal_strikes_are_nested_both_ways():
    world, engine = ladder(100_000, 100_000)
    world.put_book(0, [(5_500, 300)], [(5_700, 300)])
    world.put_book(1, [(4_500, 300)], [(4_700, 300)])
    engine.turn(world.now)
    assert {price for _, price in bought(world)} == {4_500, 4_700}


@pytest.mark.parametrize(
    "change",
    [{"coin": 2}, {"end_ns": 220 * S}, {"start_ns": 99 * S}, {"settle_rule": 0}, {"known": 63}],
)
def test_another_candle_or_a_rule_that_was_not_read_is_no_chain(change):
    world = ladder(100_000, engine=False)
    world.put_market(1, **(ABOVE | change), strike_e8=110_000 * E8)
    engine = engine_of(world)
    world.put_book(0, [(4_500, 300)], [(4_700, 300)])
    world.put_book(1, [(6_000, 300)], [(6_200, 300)])
    engine.turn(world.now)
    assert signals_of(world) == []


def test_a_market_that_left_is_no_leg_any_more():
    world, engine = ladder(100_000, 110_000)
    world.put_book(1, [(6_000, 300)], [(6_200, 300)])
    engine.turn(world.now)
    world.put_market(1, **(ABOVE | {"status": 3}), strike_e8=110_000 * E8)
    engine.turn(world.now)
    world.put_book(0, [(4_500, 300)], [(4_700, 300)])
    engine.turn(world.now)
    assert signals_of(world) == []


def test_the_later_date_is_the_wider_one():
    assert place(**MARCH).chain == place(**JUNE).chain
    assert place(**JUNE).order < place(**MARCH).order
    world = World()
    world.put_market(0, **MARCH)
    world.put_market(1, **JUNE)
    engine = engine_of(world)
    world.put_book(0, [(5_500, 300)], [(5_700, 300)])
    world.put_book(1, [(4_500, 300)], [(4_700, 300)])
    engine.turn(world.now)
    assert {price for _, price in bought(world)} == {4_500, 4_700}


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": bytes(32)},
        {"event_market_count": 1},
        {"neg_risk": 1},
        {"wording": int(Wording.TEXT)},
        {"wording": 0},
        {"rules_changes": 1},
        {"end_ns": 0},
        {"end_ns": day(2026, 4, 2, 12)},
        {"question": b"Will the bridge open by March?"},
        {"question": b"Will the bridge open before March 31?"},
        {"question": b"Will the bridge open by March 31, 2027?"},
        {"question": b"Will the bridge " + b"really " * 9 + b"open, by March 31?"},
        {"settle_rule": 0},
        {"known": int(Known.TRADEABLE)},
    ],
)
def test_a_date_that_is_not_told_exactly_is_no_chain(change):
    assert place(**(MARCH | change)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": b"\x08" * 32},
        {"question": b"Will the tunnel open by March 31?"},
        {"wording": MARCH["wording"] | int(Wording.SUBJECTIVE)},
        {"source_hash": 5},
        {"series_hash": 5},
    ],
)
def test_another_question_or_source_is_another_chain(change):
    other = place(**(MARCH | change))
    assert other is not None
    assert other.chain != place(**JUNE).chain


@given(
    prices=st.lists(st.tuples(st.integers(5, 90), st.integers(1, 5)), min_size=4, max_size=4),
    rate=st.sampled_from([0, 40_000, 70_000]),
)
def test_whatever_is_bought_pays_in_every_state(prices, rate):
    strikes = (100, 110, 120, 130)
    world = ladder(*strikes, engine=False, fee_rate_e6=rate)
    engine = engine_of(world, ArbitrageParams(margin_e6=1, miss_ppm=0))
    for market, (bid, spread) in enumerate(prices):
        world.put_book(market, [(bid * 100, 500)], [((bid + spread) * 100, 500)])
    engine.turn(world.now)
    legs = signals_of(world)
    assert len(legs) % 2 == 0
    for group in {leg.group for leg in legs}:
        pair = [leg for leg in legs if leg.group == group]
        cost = sum(
            leg.limit_price_e4 / 1e4
            + rate / 1e6 * leg.limit_price_e4 / 1e4 * (1 - leg.limit_price_e4 / 1e4)
            for leg in pair
        )
        assert cost < 1.0
        wide = next(leg for leg in pair if int(leg.token_id) % 2 == 0)
        narrow = next(leg for leg in pair if int(leg.token_id) % 2 == 1)
        at = {tokens(world, market): strikes[market] for market in range(4)}
        low = next(strike for ids, strike in at.items() if wide.token_id in ids)
        high = next(strike for ids, strike in at.items() if narrow.token_id in ids)
        for price in range(95, 140):
            assert (price > low) + (price <= high) >= 1


def tokens(world, market):
    row = world.rows[market]
    return tuple(str(int.from_bytes(each, "big")) for each in (row.yes_token_id, row.no_token_id))
