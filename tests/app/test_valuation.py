"""Values by hand: what can be had for certain, and what the bids would bring."""

from types import SimpleNamespace

import numpy as np

from lowlat.app.valuation import certain_e6, marked_e6, results_by_module
from lowlat.core.layout import BookRow, MarketRow, MarketStatus


class Scores:
    """A scores table in which two of three rows were written."""

    def snapshot(self):
        rows = np.zeros(3, dtype=[("module", "S16"), ("realized_e6", "i8"), ("open_e6", "i8")])
        rows[0], rows[2] = (b"bonds", 5, -2), (b"arbitrage", -1, 9)
        return rows, np.array([4, 0, 2])


def market(index, **fields):
    row = MarketRow._make(0 for _ in MarketRow._fields)
    return row._replace(market=index, status=MarketStatus.ACTIVE, **fields)


def book(bids, asks):
    row = BookRow._make(0 for _ in BookRow._fields)
    pad = lambda levels, at: tuple(level[at] for level in levels) + (0,) * (32 - len(levels))  # noqa: E731
    return row._replace(
        bid_count=len(bids),
        ask_count=len(asks),
        bid_price_e4=pad(bids, 0),
        bid_size_e6=pad(bids, 1),
        ask_price_e4=pad(asks, 0),
        ask_size_e6=pad(asks, 1),
    )


def test_a_pair_of_one_market_pays_a_dollar_a_share():
    assert certain_e6([market(3)], {3: [7_000_000, 5_000_000]}) == 5_000_000


def test_a_resolved_market_pays_its_winner():
    resolved = [market(3)._replace(status=MarketStatus.RESOLVED, winner=2)]
    assert certain_e6(resolved, {3: [7_000_000, 5_000_000]}) == 5_000_000


def test_all_yes_of_an_event_pay_a_dollar_whoever_wins():
    event = [market(1), market(2), market(3)]
    sizes = {1: [10, 0], 2: [12, 0], 3: [11, 0]}
    assert certain_e6(event, sizes) == 10


def test_all_no_of_an_event_pay_all_but_one():
    event = [market(1), market(2), market(3)]
    assert certain_e6(event, {1: [0, 10], 2: [0, 10], 3: [0, 10]}) == 20


def test_a_missing_leg_makes_a_set_worth_nothing_for_certain():
    event = [market(1), market(2), market(3)]
    assert certain_e6(event, {1: [10, 0], 2: [12, 0]}) == 0


def test_marks_walk_the_bids_and_for_no_the_asks():
    ladder = book([(4600, 10_000_000), (4500, 10_000_000)], [(5000, 20_000_000)])
    assert marked_e6(ladder, 15_000_000, 0) == 4_600_000 + 2_250_000
    assert marked_e6(ladder, 0, 10_000_000) == 5_000_000


def test_what_no_bid_takes_is_worth_nothing():
    assert marked_e6(book([(4600, 1_000_000)], []), 5_000_000, 9_000_000) == 460_000


def test_results_are_told_by_module_where_risk_wrote_a_score():
    found = results_by_module(SimpleNamespace(tables={"scores": Scores()}))
    assert found == {
        "bonds": {"realized_e6": 5, "open_e6": -2},
        "arbitrage": {"realized_e6": -1, "open_e6": 9},
    }
