"""Sets with a leg that rests: hand-computed prices, values and sizes, and what is left alone.

Three outcomes of one event: 0.32 and 0.20 are asked for two, the third is bid 0.40, asked 0.52.
Taking all three costs 1.04. A bid of 0.41 completes a set for 0.93: 7 cents; undoing it costs one
cent and two ticks, and at even odds 0.033 is asked for.
"""

import pytest
from engine_fakes import World
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_rig import ports

from lowlat.core.errors import ConfigError
from lowlat.core.layout import SIGNAL, Urgency
from lowlat.core.signal import decode_signal
from lowlat.core.units import E4, E6
from lowlat.signals.arbitrage import Arbitrage, ArbitrageParams
from lowlat.signals.engine import SignalsEngine
from lowlat.signals.module import Mode, make_module
from lowlat.signals.params import EngineParams

EVENT = b"\x07" * 32
S = 10**9
PASSIVE = ArbitrageParams(passive=True)
BOOKS = ((3200, 3000), (2000, 1800), (5200, 4000))
"""Ask and bid of each outcome."""


def play(books=BOOKS, params=PASSIVE, *, sizes=(200, 150, 500), turns=1, **changes):
    """Show the books, let time pass, return what was said."""
    world = World()
    facts = {"fee_rate_e6": 0} | changes
    listed = facts.pop("listed", len(books))
    for market in range(len(books)):
        common = {"event_id": EVENT, "neg_risk": 1, "event_market_count": listed}
        world.put_market(market, **common | facts)
    engine = SignalsEngine([(Arbitrage(params), Mode.PAPER)], ports(world), EngineParams())
    engine.start()
    for market, ((ask, bid), size) in enumerate(zip(books, sizes, strict=True)):
        world.put_book(market, [(bid, size)] if bid else [], [(ask, size)] if ask else [])
    for _ in range(turns):
        engine.turn(world.now)
        world.advance(S)
        world.shard()
    engine.turn(world.now)
    return [decode_signal(record) for record in world.signals.decoded(SIGNAL)]


def test_the_wide_leg_is_bid_for_and_the_others_wait():
    rests, one, two = play()
    assert int(rests.token_id) == 2000 + 2 * 2
    assert [each.urgency for each in (rests, one, two)] == [
        Urgency.LOW,
        Urgency.IMMEDIATE,
        Urgency.IMMEDIATE,
    ]
    assert [each.limit_price_e4 for each in (rests, one, two)] == [4100, 3200, 2000]
    assert [(each.leg, each.legs) for each in (rests, one, two)] == [(0, 3), (1, 3), (2, 3)]
    assert len({each.group for each in (rests, one, two)}) == 1
    # What stands at the touches of those that are to be taken: 200 and 150.
    assert {each.size_suggestion for each in (rests, one, two)} == {150 * E6}


def test_its_value_is_what_a_completed_set_earns_less_what_undoing_costs_at_the_odds():
    legs = play()
    # 150 * (0.5 * 0.07 - 0.5 * 0.03), a third on each leg.
    assert sum(each.expected_value for each in legs) == pytest.approx(150 * 0.02)
    assert legs[0].confidence == 0.5
    told = legs[0].metadata
    assert (told["cost_e6"], told["fees_e6"], told["undo_e6"]) == (150 * 930_000, 0, 30_000)


def test_fees_of_the_others_and_of_undoing_are_counted_and_none_of_the_leg_that_rests():
    legs = play(fee_rate_e6=50_000)
    told = legs[0].metadata
    # 0.05 * (0.32 * 0.68 + 0.20 * 0.80) = 0.01888 a set; 0.05 * 0.40 * 0.60 = 0.012 to undo.
    assert told["fees_e6"] == 150 * 18_880
    assert told["undo_e6"] == 42_000
    assert sum(each.expected_value for each in legs) == pytest.approx(
        150 * (0.5 * 0.05112 - 0.5 * 0.042)
    )


def test_it_is_off_by_default():
    assert ArbitrageParams().passive is False
    assert play(params=ArbitrageParams()) == []


@pytest.mark.parametrize(
    ("books", "why"),
    [
        (((3600, 3000), (2300, 1800), (5200, 4000)), "0.41 + 0.36 + 0.23 leaves nothing"),
        (((3500, 3000), (2300, 1800), (5200, 4000)), "2 cents at 0.40: 2.3 are asked for"),
        (((0, 3000), (2000, 1800), (5200, 4000)), "nobody offers one that is to be taken"),
        (((3200, 3000), (2000, 1800), (5200, 0)), "nobody bids: the price says nothing"),
        (((3200, 3000), (2000, 1800), (0, 4000)), "nobody asks: nothing to stay below"),
        (((3200, 3000), (2000, 1800), (4000, 4000)), "a locked book"),
    ],
)
def test_what_is_not_worth_its_risk_or_not_known_is_left_alone(books, why):
    assert play(books) == [], why


@pytest.mark.parametrize(
    "changes", [{"neg_risk_augmented": 1}, {"neg_risk": 0}, {"listed": 4}, {"known": 62}]
)
def test_only_whole_exclusive_events_are_bid_in(changes):
    assert play(**changes) == []


def test_without_room_before_the_best_bid_it_joins_it():
    # A dollar in all, so nothing is to be taken; 0.39 would be the ask of the first itself.
    books = ((3900, 3800), (2000, 1800), (4100, 4000))
    legs = play(books, ArbitrageParams(passive=True, passive_miss_ppm=0), sizes=(100, 100, 100))
    assert [each.limit_price_e4 for each in legs] == [3800, 2000, 4100]
    assert sum(each.expected_value for each in legs) == pytest.approx(100 * 0.01)


def test_a_set_that_can_be_taken_whole_is_taken_as_before():
    legs = play(((3200, 3000), (2000, 1800), (4200, 4000)))
    whole = [each for each in legs if "rests_e4" not in each.metadata]
    assert len(whole) == 3
    assert {each.urgency for each in whole} == {Urgency.IMMEDIATE}


def test_one_bid_an_event_at_a_time():
    params = ArbitrageParams(passive=True, passive_ms=2_500)
    legs = play(params=params, turns=6)
    # Seconds 0, 3 and 6: two and a half and the cooldown have passed.
    assert len({each.group for each in legs}) == 3


def test_too_little_for_an_order_of_the_venue_is_left_alone():
    assert play(sizes=(200, 4, 500)) == []


def test_parameters_that_make_no_sense_are_refused_by_name():
    for bad in ({"passive_miss_ppm": E6}, {"passive_ms": 10}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            make_module(Arbitrage, bad)


prices = st.integers(2, 97)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(prices, st.integers(1, 30)), min_size=2, max_size=6),
    st.sampled_from([0, 30_000, 70_000]),
    st.sampled_from([0, 250_000, 500_000, 900_000]),
)
def test_every_bid_stands_before_the_ask_and_pays_for_its_risk(quotes, rate_e6, miss_ppm):
    books = [(100 * min(99, bid + spread), 100 * bid) for bid, spread in quotes]
    params = ArbitrageParams(passive=True, passive_miss_ppm=miss_ppm)
    legs = play(books, params, sizes=(200,) * len(books), fee_rate_e6=rate_e6)
    legs = [each for each in legs if "rests_e4" in each.metadata]
    if not legs:
        return
    rests, *others = legs
    sets, payout = rests.size_suggestion, rests.metadata["payout_e4"]
    at, outcome = divmod(int(rests.token_id) - 2000, 2)
    ask, bid = books[at] if outcome == 0 else (10_000 - books[at][1], 10_000 - books[at][0])
    assert bid <= rests.limit_price_e4 < ask
    cost = sum(each.limit_price_e4 for each in legs)
    fees = sum(
        rate_e6 * each.limit_price_e4 * (10_000 - each.limit_price_e4) / 10**8 for each in others
    )
    earned = (payout - cost) * 100 - fees
    undo, miss = rests.metadata["undo_e6"], miss_ppm / E6
    assert earned >= params.margin_e6 - 1
    assert earned * (1 - miss) >= undo * miss - 1
    value = sum(each.expected_value for each in legs) * E6
    assert value == pytest.approx(sets / E6 * (earned * (1 - miss) - undo * miss), abs=sets / E4)
