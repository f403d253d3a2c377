"""Complete sets over list-backed ports: what is bought, in which order, and what is left alone."""

import random

import pytest
from engine_fakes import World
from hypothesis import event, given, settings
from hypothesis import strategies as st
from signals_rig import ports

from lowlat.core.layout import MARKET_ROW, SIGNAL, Action, BookFlag, MarketStatus
from lowlat.core.signal import decode_signal
from lowlat.core.units import E6
from lowlat.signals.arbitrage import Arbitrage, ArbitrageParams
from lowlat.signals.engine import SignalsEngine
from lowlat.signals.module import Mode
from lowlat.signals.params import EngineParams

EVENT = b"\x07" * 32
NO_RISK = ArbitrageParams(margin_e6=1, miss_ppm=0)


def ports_of(world):
    return ports(world)


def engine_of(world, params=NO_RISK):
    engine = SignalsEngine([(Arbitrage(params), Mode.PAPER)], ports_of(world), EngineParams())
    engine.start()
    return engine


def put_event(world, count, listed=None, **changes):
    for market in range(count):
        world.put_market(
            market,
            event_id=EVENT,
            neg_risk=1,
            event_market_count=listed or count,
            **changes,
        )


def signals_of(world):
    return [decode_signal(record) for record in world.signals.decoded(SIGNAL)]


def test_buys_every_yes_of_an_event_that_costs_less_than_one():
    world = World()
    put_event(world, 4)
    engine = engine_of(world)
    for market, ask in enumerate((3100, 2700, 2200, 1500)):
        world.put_book(market, [(ask - 200, 100)], [(ask, 100 + market)])
    engine.turn(world.now)
    legs = signals_of(world)
    assert [leg.leg for leg in legs] == [0, 1, 2, 3]
    assert {leg.size_suggestion for leg in legs} == {100 * E6}
    assert {leg.action for leg in legs} == {Action.BUY}
    assert {leg.limit_price_e4 for leg in legs} == {3100, 2700, 2200, 1500}
    # feeds.md 6.1: sum 0.950, fees 0.0284, profit 0.0216 a set.
    assert sum(leg.expected_value for leg in legs) == pytest.approx(2.16, abs=0.01)
    assert len({leg.group for leg in legs}) == 1
    assert legs[0].group != 0


def test_thinnest_leg_comes_first():
    world = World()
    put_event(world, 3)
    engine = engine_of(world)
    for market, (ask, size) in enumerate(((3000, 300), (3000, 50), (3000, 100))):
        world.put_book(market, [(ask - 100, 10)], [(ask, size)])
    engine.turn(world.now)
    assert [leg.metadata["depth_e6"] for leg in signals_of(world)] == [50 * E6, 100 * E6, 300 * E6]
    assert {leg.size_suggestion for leg in signals_of(world)} == {50 * E6}


def test_buys_every_no_when_the_bids_add_to_more_than_one():
    world = World()
    put_event(world, 4)
    engine = engine_of(world)
    for market, bid in enumerate((3600, 3000, 2400, 1600)):
        world.put_book(market, [(bid, 60)], [(bid + 200, 60)])
    engine.turn(world.now)
    legs = signals_of(world)
    # feeds.md 6.1: sum 1.060, fees 0.0303, profit 0.0297 a set.
    assert sum(leg.expected_value for leg in legs) == pytest.approx(60 * 0.0297, abs=0.01)
    assert {leg.limit_price_e4 for leg in legs} == {6400, 7000, 7600, 8400}
    assert [int(leg.token_id) % 2 for leg in legs] == [1, 1, 1, 1]


def test_fees_are_the_bar_not_one_dollar():
    world = World()
    put_event(world, 2, fee_rate_e6=70_000)
    engine = engine_of(world)
    # 0.50 + 0.47 = 0.97 looks cheap and costs 1.0049 with its fees.
    world.put_book(0, [(4800, 100)], [(5000, 100)])
    world.put_book(1, [(4500, 100)], [(4700, 100)])
    engine.turn(world.now)
    assert signals_of(world) == []


@pytest.mark.parametrize(
    "spoil",
    [
        {"neg_risk_augmented": 1},
        {"neg_risk": 0},
        {"status": int(MarketStatus.PAUSED)},
        {"known": 62},
    ],
)
def test_augmented_unknown_or_incomplete_events_are_left_alone(spoil):
    world = World()
    put_event(world, 3)
    world.put_market(2, **({"event_id": EVENT, "neg_risk": 1, "event_market_count": 3} | spoil))
    engine = engine_of(world)
    for market in range(3):
        world.put_book(market, [(1900, 100)], [(2000, 100)])
    engine.turn(world.now)
    assert signals_of(world) == []


def test_a_listed_market_that_is_not_known_makes_the_event_incomplete():
    world = World()
    put_event(world, 3, listed=4)
    engine = engine_of(world)
    for market in range(3):
        world.put_book(market, [(1900, 100)], [(2000, 100)])
    engine.turn(world.now)
    assert signals_of(world) == []
    for market in range(4):
        world.put_market(market, event_id=EVENT, neg_risk=1, event_market_count=4)
    world.put_book(3, [(1900, 100)], [(2000, 100)])
    engine.turn(world.now)
    assert len(signals_of(world)) == 4


def test_a_stale_leg_stops_the_set():
    world = World()
    put_event(world, 2)
    engine = engine_of(world)
    world.put_book(0, [(3900, 100)], [(4000, 100)], connection=1)
    engine.turn(world.now)
    world.shard(generation=2)
    world.put_book(1, [(3900, 100)], [(4000, 100)], connection=2)
    engine.turn(world.now)
    assert signals_of(world) == []
    assert world.counts["signals.arbitrage.unfit_leg"] == 1
    world.put_book(0, [(3900, 100)], [(4000, 100)], connection=2)
    engine.turn(world.now)
    assert len(signals_of(world)) == 2


def test_a_crossed_book_is_counted_and_not_traded():
    world = World()
    world.put_market(0)
    engine = engine_of(world)
    world.put_book(0, [(5200, 100)], [(4600, 100)])
    engine.turn(world.now)
    assert world.counts["signals.arbitrage.raw_violations"] == 1
    assert signals_of(world) == []


def test_a_crossed_book_that_a_reread_confirmed_buys_both_tokens():
    world = World()
    world.put_market(0)
    engine = engine_of(world)
    world.put_book(0, [(5200, 100)], [(4600, 100)], flags=int(BookFlag.CONFIRMED))
    engine.turn(world.now)
    legs = signals_of(world)
    assert {(int(leg.token_id) % 2, leg.limit_price_e4) for leg in legs} == {(0, 4600), (1, 4800)}
    assert sum(leg.expected_value for leg in legs) > 0


def test_sizes_lie_on_the_coarsest_ladder_of_the_legs():
    world = World()
    put_event(world, 2)
    world.put_market(1, event_id=EVENT, neg_risk=1, event_market_count=2, tick_e4=10)
    engine = engine_of(world)
    world.put_book(0, [(3900, 100)], [(4000, 87.5)])
    world.put_book(1, [(3900, 100)], [(4005 + 5, 200)], tick_e4=10)
    engine.turn(world.now)
    assert {leg.size_suggestion for leg in signals_of(world)} == {80 * E6}


def test_slippage_that_eats_a_third_of_the_edge_shrinks_to_the_touch():
    world = World()
    put_event(world, 2)
    engine = engine_of(world)
    # feeds.md 6.1 by depth: 320 sets earn, but two cents of four are slippage.
    world.put_book(0, [(4400, 10)], [(4600, 120), (4700, 200), (4900, 500)])
    world.put_book(1, [(4600, 10)], [(4800, 100), (5000, 300), (5200, 400)])
    engine.turn(world.now)
    assert {leg.size_suggestion for leg in signals_of(world)} == {100 * E6}


def test_the_same_set_is_not_offered_again_within_the_cooldown():
    world = World()
    put_event(world, 2)
    engine = engine_of(world)
    for _ in range(3):
        for market in range(2):
            world.put_book(market, [(3900, 100)], [(4000, 100)])
        engine.turn(world.advance(50_000_000))
    assert len(signals_of(world)) == 2
    world.put_book(0, [(3900, 100)], [(4000, 90)])
    engine.turn(world.advance(250_000_000))
    assert len(signals_of(world)) == 4


def quiet_event(taken):
    """Show a set, let a part of it be taken at once, then nothing but time."""
    world = World()
    put_event(world, 2)
    engine = engine_of(world)
    for market in range(2):
        world.put_book(market, [(3900, 100)], [(4000, 100)])
    engine.turn(world.now)
    for market in range(2):
        world.put_book(market, [(3900, 100)], [(4000, 100 - taken)])
    engine.turn(world.advance(1_000_000))
    assert len(signals_of(world)) == 2
    for _ in range(20):
        world.shard()
        engine.turn(world.advance(100_000_000))
    return signals_of(world)


def test_what_was_left_of_a_set_is_wished_again_though_the_books_are_quiet():
    wished = quiet_event(taken=60)
    assert [leg.size_suggestion // E6 for leg in wished] == [100, 100, 40, 40]


def test_a_set_that_nobody_touched_is_not_wished_over_and_over():
    assert len(quiet_event(taken=0)) == 2


def test_a_full_gate_drops_the_whole_set_and_counts_it():
    world = World()
    put_event(world, 2)
    reader = world.signals.reader(gate=True)
    world.signals.slots = 1
    engine = engine_of(world)
    for market in range(2):
        world.put_book(market, [(3900, 100)], [(4000, 100)])
    engine.turn(world.now)
    assert world.signals.records == []
    assert world.counts["signals.dropped_gate_full"] == 2
    assert reader.poll() == 0


class Plain(Arbitrage):
    """Arbitrage that keeps no sums: adds every leg's touches up again for each book."""

    def __init__(self, params):
        super().__init__(params)
        self.touches = {}

    def look(self, market):
        self.touches[market] = None

    def on_book(self, book, now_ns):
        leg = self._legs[book.market]
        if book.flags & BookFlag.CROSSED:
            self.crossed(leg, book, now_ns)
            return
        ask_e4, bid_e4 = book.best_ask_e4(0), book.best_bid_e4(0)
        self.touches[leg.market] = (
            leg.costs[ask_e4] if ask_e4 > 0 else 10 * E6,
            leg.costs[10_000 - bid_e4] if bid_e4 > 0 else 10 * E6,
        )
        event = leg.event
        if event is None or any(
            other.row.event_market_count != len(event.legs) for other in event.legs
        ):
            return
        legs = [self.touches[other.market] or (10 * E6, 10 * E6) for other in event.legs]
        margin_e6 = self.params.margin_e6
        if sum(yes for yes, _ in legs) + margin_e6 < E6:
            self.buy_event(event, 0, now_ns)
        elif sum(no for _, no in legs) + margin_e6 < (len(legs) - 1) * E6:
            self.buy_event(event, 1, now_ns)


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_the_sums_that_are_kept_are_those_added_up_again(seed):
    chance = random.Random(seed)
    worlds = [World(), World()]
    params = ArbitrageParams(margin_e6=1, miss_ppm=0, cooldown_ms=0)
    engines = []
    for world, kind in zip(worlds, (Arbitrage, Plain), strict=True):
        put_event(world, 3)
        world.put_market(3)
        engine = SignalsEngine([(kind(params), Mode.PAPER)], ports_of(world), EngineParams())
        engine.start()
        engines.append(engine)
    for _ in range(60):
        market, what = chance.randrange(4), chance.randrange(40)
        bid = chance.randrange(2_800, 3_700, 100)
        bids, asks = [(bid, chance.choice([9, 60]))], [(bid + chance.choice([-100, 100, 200]), 60)]
        changes = {"tick_e4": chance.choice([10, 100]), "fee_rate_e6": chance.choice([0, 40_000])}
        by_ns = chance.randrange(10**9)
        for world in worlds:
            world.advance(by_ns)
            world.shard()
            if what == 0 and market < 3:
                world.put_market(
                    market, event_id=EVENT, neg_risk=1, event_market_count=3, **changes
                )
            elif what == 1:
                world.put_market(market, generation=by_ns % 1_000 + 2, **changes)
            elif what < 6:
                bids = []
            world.put_book(market, bids, asks, generation=world_generation(world, market))
        for world, engine in zip(worlds, engines, strict=True):
            engine.turn(world.now)
            assert engine.errors == {}
        assert worlds[0].signals.records == worlds[1].signals.records
        assert worlds[0].counts == worlds[1].counts
    event(f"{min(len(worlds[0].signals.records), 9)} records or more")


def world_generation(world, market):
    return MARKET_ROW.unpack(world.markets.images[market]).generation
