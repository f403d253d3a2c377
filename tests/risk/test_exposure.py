"""Worst-case loss against a brute-force listing of every state of the world."""

from engine_fakes import MARKET, WALL0
from hypothesis import given
from hypothesis import strategies as st

from lowlat.risk.exposure import Exposure
from lowlat.risk.facts import MarketFacts

EVENT = b"\x07" * 32


def facts(market, count, *, augmented=0, correlation=0, event=EVENT):
    return MarketFacts(
        MARKET._replace(
            market=market,
            event_id=event,
            neg_risk=1,
            neg_risk_augmented=augmented,
            event_market_count=count,
            correlation_id=correlation,
        ),
        WALL0,
    )


amounts = st.integers(0, 1_000)
legs = st.lists(st.tuples(amounts, amounts, amounts, amounts), min_size=2, max_size=5)


@given(legs, st.integers(0, 2), st.integers(0, 1))
def test_an_event_loses_what_its_worst_outcome_loses(held, unheld, augmented):
    exposure = Exposure()
    count = len(held) + unheld
    for market, (yes, no, yes_cost, no_cost) in enumerate(held):
        holding = exposure.holding(facts(market, count, augmented=augmented))
        exposure.hold(holding, 0, yes, yes, yes_cost)
        exposure.hold(holding, 1, no, no, no_cost)
    cost = sum(leg[2] + leg[3] for leg in held)
    winners = list(range(count)) + ([None] if augmented else [])
    losses = []
    for winner in winners:
        paid = sum(
            (leg[0] if market == winner else 0) + (leg[1] if market != winner else 0)
            for market, leg in enumerate(held)
        )
        losses.append(cost - paid)
    assert exposure.total_e6 == max(0, *losses)


def test_buying_every_yes_of_an_event_can_not_lose_its_price():
    exposure = Exposure()
    for market in range(3):
        holding = exposure.holding(facts(market, 3))
        exposure.hold(holding, 0, 100, 100, 31)
    assert exposure.total_e6 == 0
    exposure.fly(holding, 50)
    assert exposure.total_e6 == 50


def test_correlated_markets_add_up_and_events_count_once():
    exposure = Exposure()
    for market, event in enumerate((b"a" * 32, b"b" * 32)):
        fact = facts(market, 2, correlation=5, event=event)
        exposure.fly(exposure.holding(fact), 70)
    assert exposure.holdings[0].bucket.correlated_loss_e6 == 140


def test_a_row_that_moves_to_another_event_takes_its_loss_along():
    exposure = Exposure()
    alone = MarketFacts(MARKET._replace(market=0), WALL0)
    holding = exposure.holding(alone)
    exposure.hold(holding, 0, 100, 100, 40)
    exposure.fly(holding, 10)
    other = exposure.holding(facts(1, 2, correlation=5))
    exposure.hold(other, 0, 100, 100, 50)
    assert exposure.total_e6 == 100
    exposure.rebase(facts(0, 2, correlation=5))
    # Together they are a complete set: only what is in flight can be lost.
    assert exposure.total_e6 == 10
    assert holding.bucket.correlated_loss_e6 == 10
