"""The generated market: alive, conserving, deterministic; planted edges are bounded."""

import hashlib
import json

import pytest

from lowlat.sim.config import load_config
from lowlat.sim.feed_session import Session
from lowlat.sim.rules import fee_e6
from lowlat.sim.venue import Venue

MS = 1_000_000
S = 1_000 * MS
E6 = 1_000_000
START_NS = 1_795_305_600_000_000_000 + 280 * S
SMALL = {"markets": 12, "neg_risk_events": 2, "coins": ["BTC"]}


def lively(**changes):
    return Venue(load_config(SMALL | changes), START_NS)


def run(venue, seconds, step_ms=10):
    for _ in range(seconds * 1000 // step_ms):
        venue.step(venue.now_ns + step_ms * MS)


def watch(venue):
    frames = []
    session = Session(frames.append, lambda *_: None)
    venue.market_feed.connect(session)
    tokens = [token for market in venue.exchange.markets for token in market.tokens]
    first = {"type": "market", "assets_ids": tokens, "custom_feature_enabled": True}
    venue.market_feed.on_text(session, json.dumps(first).encode(), venue.now_ns)
    return frames


def audit(venue):
    venue.exchange.accounts.audit()
    venue.exchange.accounts.audit_tokens()


def test_market_is_lively_sees_births_and_resolutions_and_conserves_money():
    venue = lively()
    frames = watch(venue)
    run(venue, 30)
    kinds = [
        event["event_type"]
        for frame in map(json.loads, frames)
        for event in (frame if isinstance(frame, list) else [frame])
    ]
    assert kinds.count("price_change") > 1_000
    assert kinds.count("last_trade_price") > 100
    assert kinds.count("new_market") == 1
    assert kinds.count("market_resolved") == 1
    audit(venue)
    for market in venue.exchange.markets:
        bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
        # Near certainty one side of a price market is empty; never both.
        assert market.closed or bid is not None or ask is not None
        assert bid is None or ask is None or bid < ask
        assert market.closed or market.coin or (bid is not None and ask is not None)


def test_same_seed_same_bytes_and_another_seed_others():
    def digest(seed):
        venue = lively(seed=seed)
        frames = watch(venue)
        run(venue, 3)
        return hashlib.sha256(b"".join(frames)).hexdigest()

    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_coarser_steps_change_nothing():
    def digest(step_ms):
        venue = lively()
        frames = watch(venue)
        run(venue, 2, step_ms)
        return hashlib.sha256(b"".join(frames)).hexdigest()

    assert digest(1) == digest(100)


def set_cost_e6(event):
    asks = [market.ladder.best_ask_e4() for market in event.markets]
    rate = event.rules.fee_rate_e4
    return sum(ask * 100 + fee_e6(rate, ask, E6) for ask in asks)


def planted(venue, *, vanish):
    plan = venue.plant_edge(vanish=vanish)
    assert plan is not None
    return plan, next(e for e in venue.universe.events if e.slug == plan["name"])


def buy_leg(trader, market, dollars_e6=None, shares=50):
    ask_e4 = market.ladder.best_ask_e4()
    cost_e6 = -(-ask_e4 * shares // 100) * 10_000 if dollars_e6 is None else dollars_e6
    return trader.market_buy(market.tokens[0], cost_e6, ask_e4, neg_risk=True)


@pytest.mark.parametrize("seed", range(4))
def test_planted_edge_completes_at_a_profit(seed, trader_of):
    venue = lively(seed=seed, flow={"events_per_s": 100, "edges": []})
    run(venue, 1)
    trader = trader_of(venue)
    plan, event = planted(venue, vanish=False)
    assert set_cost_e6(event) <= E6 - 15_000
    before = trader.cash_e6()
    for market in event.markets:
        answer = buy_leg(trader, market)
        assert answer.status == 200, answer.json
    assert before - trader.cash_e6() < 50 * E6
    venue.step(venue.now_ns + plan["life_ms"] * MS)
    assert set_cost_e6(event) > E6
    audit(venue)


@pytest.mark.parametrize("seed", range(4))
def test_vanished_leg_leaves_a_group_that_unwinds_at_a_bounded_loss(seed, trader_of):
    venue = lively(seed=seed, flow={"events_per_s": 100, "edges": []})
    run(venue, 1)
    trader = trader_of(venue)
    _, event = planted(venue, vanish=True)
    first = event.markets[0]
    old_asks = [market.ladder.best_ask_e4() for market in event.markets]
    cost = first.ladder.best_ask_e4()
    assert buy_leg(trader, first).status == 200
    gone = [
        market
        for market, old in zip(event.markets[1:], old_asks[1:], strict=True)
        if market.ladder.best_ask_e4() > old
    ]
    assert len(gone) == 1
    # The complement of what was bought is for sale at one tick under the dollar.
    no_ask = 10_000 - first.ladder.best_bid_e4()
    assert cost + no_ask <= 10_000 + 2 * first.tick_e4
    answer = trader.market_buy(first.tokens[1], no_ask * 50 * 100, no_ask, neg_risk=True)
    assert answer.status == 200, answer.json
    assert answer.json["takingAmount"] == "50"
    audit(venue)


def test_edges_come_at_their_rate_and_end():
    venue = lively(flow={"edges": [{"kind": "neg_risk", "per_minute": 120.0}]})
    run(venue, 20)
    assert 25 <= venue.edges.totals["neg_risk"]["planted"] <= 60
    for event in venue.universe.events:
        if event.rules.neg_risk and event.slug not in venue.edges.active():
            assert set_cost_e6(event) > E6


def test_edge_that_ends_takes_every_offer_away_before_one_comes_back():
    """Makers cancel in one request and then quote: nobody meets half of an edge that has ended."""
    venue = lively(flow={"events_per_s": 0, "edges": []})
    run(venue, 1)
    plan, event = planted(venue, vanish=False)
    asks = []

    class Listener(type(venue.edges)):
        def __init__(self):
            pass

        def on_levels(self, market, changes, now_ns):
            if market.event is event:
                asks.append([each.ladder.best_ask_e4() for each in event.markets])

    venue.exchange.listeners.append(Listener())
    cheap = [market.ladder.best_ask_e4() for market in event.markets]
    venue.step(venue.now_ns + plan["life_ms"] * MS)
    assert set_cost_e6(event) > E6
    gone = asks.index([None] * len(event.markets))
    for before in asks[:gone]:
        assert all(ask in (None, was) for ask, was in zip(before, cheap, strict=True))


def test_null_market_offers_no_set_below_a_dollar():
    venue = lively(flow={"edges": [], "maker_delay_ms": [0, 0]})
    events = [event for event in venue.universe.events if event.rules.neg_risk]
    for _ in range(200):
        venue.step(venue.now_ns + 50 * MS)
        assert all(set_cost_e6(event) > E6 for event in events)


def test_makers_follow_a_jump_late_and_the_null_makers_at_once():
    def move_after(delay_ms, wait_ms):
        flow = {"maker_delay_ms": delay_ms, "jumps_per_minute": 0, "edges": []}
        venue = lively(flow=flow)
        run(venue, 1)
        market = next(m for m in venue.exchange.markets if m.kind == "candle")
        before = venue.flow.fair(market)
        venue.spots["BTC"].move(0.01)
        venue.step(venue.now_ns + 50 * MS)
        venue.step(venue.now_ns + wait_ms * MS)
        return venue.flow.fair(market) - before

    assert move_after([400, 400], 300) < 0.1
    assert move_after([400, 400], 450) > 0.2
    assert move_after([0, 0], 0) > 0.2


def test_recorded_book_stands_as_recorded_and_is_then_taken_over():
    venue = lively(tape_speed=20.0)
    market = venue.tape.market
    assert market.ladder.best_bid_e4() == 6_300
    assert market.ladder.best_ask_e4() == 6_370
    assert len(market.ladder.bid_levels()) == 57
    run(venue, 3)
    assert venue.tape.played == 9
    makers = {order.account for order in market.ladder.orders()}
    assert len(makers) > 1
    audit(venue)


def test_neg_risk_event_has_exactly_one_winner():
    venue = lively(event_life_s=5)
    run(venue, 8)
    for event in venue.universe.events:
        if event.rules.neg_risk:
            assert [m.winner for m in event.markets].count(0) == 1
    audit(venue)
