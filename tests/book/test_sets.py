"""Complete-set walks: the worked examples of feeds.md 6.1 and a twin in fractions."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.book._book import BookView, MarketBook, walk_sets
from lowlat.core.layout import BOOK_ROW, BOOK_TOP, Action, Outcome
from lowlat.core.units import E6, NO_PRICE_E4, ONE_E4

YES, NO = Outcome.YES, Outcome.NO
BUY, SELL = Action.BUY, Action.SELL
RATE = 40_000


def view_of(bids=(), asks=(), no_asks=()):
    """Publish a book of (price_e4, shares) levels and return a view of its row."""
    book = MarketBook(1, 1)
    book.load(YES, [], [])
    for token, action, levels in ((YES, BUY, bids), (YES, SELL, asks), (NO, SELL, no_asks)):
        for price, count in levels:
            book.change(token, action, f"0.{price:04}", str(count))
    row = bytearray(BOOK_ROW.size_bytes)
    book.image(row, bytearray(BOOK_TOP.size_bytes), 1, 1, 1, 1, 1, 3)
    return BookView(row)


def fees_exact(levels):
    return sum(
        size * Fraction(RATE, E6) * Fraction(price, ONE_E4) * (1 - Fraction(price, ONE_E4))
        for price, size in levels
    )


PAIR = view_of(
    asks=[(4600, 120), (4700, 200), (4900, 500)], no_asks=[(4800, 100), (5000, 300), (5200, 400)]
)


def test_pair_walk_stops_at_the_marginal_set():
    walk = walk_sets([PAIR, PAIR], [YES, NO], BUY, [RATE] * 2, [1, 1])
    assert walk.sets_e6 == 320 * E6
    assert walk.cost_e6 == 307_200_000
    assert walk.fees_e6 == 6_383_520
    assert walk.profit_e6 == 6_416_480
    assert (walk.worst_prices_e4, walk.touch_prices_e4) == ((4700, 5000), (4600, 4800))
    assert (walk.levels, walk.complete) == (3, False)


def test_required_margin_stops_earlier():
    sets = [
        walk_sets([PAIR, PAIR], [YES, NO], BUY, [RATE] * 2, [1, 1], margin).sets_e6 // E6
        for margin in (100, 101, 200, 201, 400, 401)
    ]
    assert sets == [320, 120, 120, 100, 100, 0]


def test_sets_are_capped_and_the_caps_cost_is_exact():
    walk = walk_sets([PAIR, PAIR], [YES, NO], BUY, [RATE] * 2, [1, 1], 0, ONE_E4, 110 * E6)
    assert (walk.sets_e6, walk.complete) == (110 * E6, True)
    assert walk.cost_e6 == 94_000_000 + 9_600_000


def test_split_and_sell_both():
    view = view_of(bids=[(5300, 50)], asks=[(4900, 80)])
    walk = walk_sets([view, view], [YES, NO], SELL, [RATE] * 2, [1, 1])
    assert (walk.sets_e6, walk.cost_e6) == (50 * E6, 52_000_000)
    fees = fees_exact([(5300, 50 * E6), (5100, 50 * E6)])
    assert (walk.fees_e6, walk.profit_e6) == (ceil(fees), 2_000_000 - ceil(fees))


def test_uncrossed_market_never_offers_a_pair():
    view = view_of(bids=[(4500, 50)], asks=[(4600, 80)])
    for action in (BUY, SELL):
        walk = walk_sets([view, view], [YES, NO], action, [0, 0], [1, 1])
        assert walk.sets_e6 == walk.profit_e6 == 0
        assert walk.worst_prices_e4 == (NO_PRICE_E4, NO_PRICE_E4)


def test_locked_market_earns_nothing_and_is_left():
    view = view_of(bids=[(4600, 50)], asks=[(4600, 80)])
    assert walk_sets([view, view], [YES, NO], BUY, [0, 0], [1, 1]).sets_e6 == 0


def test_buying_every_yes_of_an_event():
    views = [view_of(asks=[(price, 100)]) for price in (3100, 2700, 2200, 1500)]
    walk = walk_sets(views, [YES] * 4, BUY, [RATE] * 4, [1] * 4)
    assert (walk.sets_e6, walk.cost_e6) == (100 * E6, 95_000_000)
    assert round(walk.profit_e6 / 100 / E6, 4) == 0.0216


def test_selling_every_yes_equals_buying_every_no():
    views = [view_of(bids=[(price, 100)]) for price in (3600, 3000, 2400, 1600)]
    sell = walk_sets(views, [YES] * 4, SELL, [RATE] * 4, [1] * 4)
    buy = walk_sets(views, [NO] * 4, BUY, [RATE] * 4, [1] * 4, 0, 3 * ONE_E4)
    assert sell.profit_e6 == buy.profit_e6
    assert (sell.cost_e6, buy.cost_e6) == (106_000_000, 294_000_000)
    assert round(sell.profit_e6 / 100 / E6, 4) == 0.0297


@given(bids=st.lists(st.integers(100, 6_000), min_size=3, max_size=8), data=st.data())
def test_every_way_through_convert_earns_the_same(bids, data):
    """NO of k outcomes converts into k - 1 dollars and YES of the others. Source: feeds.md 6.1."""
    views = [view_of(bids=[(price, 100)]) for price in bids]
    count = len(views)
    turned = data.draw(st.integers(1, count))

    def one_by_one(outcome, action, some):
        # A single leg is no set: this payout lets every level through.
        payout = 1 if action == SELL else ONE_E4
        walks = [
            walk_sets([view], [outcome], action, [RATE], [1], 0, payout, 100 * E6) for view in some
        ]
        return sum(walk.cost_e6 for walk in walks), sum(walk.fees_e6 for walk in walks)

    paid, fees = one_by_one(NO, BUY, views[:turned])
    got, more = one_by_one(YES, SELL, views[turned:])
    profit = 100 * E6 * (turned - 1) + got - paid - fees - more
    every_bid = sum(100 * price * 100 for price in bids)
    assert every_bid - 100 * E6 - profit == fees + more
    assert abs(fees + more - fees_exact([(price, 100 * E6) for price in bids])) <= count


def test_missing_side_offers_nothing():
    views = [view_of(asks=[(100, 5)]), view_of()]
    walk = walk_sets(views, [YES, YES], BUY, [0, 0], [1, 1])
    assert (walk.sets_e6, walk.touch_prices_e4) == (0, (100, NO_PRICE_E4))


ASKS = st.dictionaries(st.integers(1, 6000), st.integers(1, 10**6), max_size=6)


@settings(max_examples=80)
@given(
    st.lists(st.tuples(ASKS, st.integers(0, 10**5), st.integers(0, 3)), min_size=1, max_size=5),
    st.integers(0, 500),
    st.one_of(st.just(2**63 - 1), st.integers(0, 10**12)),
)
def test_walk_equals_the_twin_set_by_set(legs, margin, cap):
    views = [view_of(asks=list(asks.items())) for asks, _, _ in legs]
    rates, exponents = [leg[1] for leg in legs], [leg[2] for leg in legs]
    walk = walk_sets(views, [YES] * len(legs), BUY, rates, exponents, margin, ONE_E4, cap)
    queues = [[[price, size] for price, size in view.levels(YES, 1)] for view in views]
    sets, cost, fees = 0, Fraction(), Fraction()
    while all(queues) and sets < cap:
        prices = [queue[0][0] for queue in queues]
        fee = sum(
            Fraction(rate, E6) * (Fraction(price, ONE_E4) * (1 - Fraction(price, ONE_E4))) ** power
            for price, rate, power in zip(prices, rates, exponents, strict=True)
        )
        earned = 1 - Fraction(sum(prices), ONE_E4) - fee
        if earned < Fraction(margin, ONE_E4) or earned <= 0:
            break
        take = min(cap - sets, *(queue[0][1] for queue in queues))
        sets, cost, fees = (
            sets + take,
            cost + take * Fraction(sum(prices), ONE_E4),
            fees + take * fee,
        )
        for queue in queues:
            queue[0][1] -= take
            if not queue[0][1]:
                queue.pop(0)
    assert (walk.sets_e6, walk.cost_e6) == (sets, ceil(cost))
    assert 0 <= walk.fees_e6 - ceil(fees) <= 1
    assert walk.profit_e6 == floor(sets - walk.cost_e6 - walk.fees_e6)


@pytest.mark.parametrize(
    "arguments",
    [
        ([], [], BUY, [], []),
        ([PAIR], [YES, NO], BUY, [0], [1]),
        ([PAIR], [YES], BUY, [0, 0], [1]),
        ([PAIR], [YES], 2, [0], [1]),
        ([PAIR], [2], BUY, [0], [1]),
        ([PAIR], [YES], BUY, [-1], [1]),
        ([PAIR], [YES], BUY, [0], [5]),
        ([PAIR], [YES], BUY, [0], [1], -1),
        ([PAIR], [YES], BUY, [0], [1], 0, 0),
        ([PAIR] * 257, [YES] * 257, BUY, [0] * 257, [1] * 257),
    ],
)
def test_wrong_arguments_are_programming_faults(arguments):
    with pytest.raises(ValueError, match=r"was|were|must"):
        walk_sets(*arguments)


def test_what_is_not_a_view_is_a_programming_fault():
    with pytest.raises(TypeError):
        walk_sets([object()], [YES], BUY, [0], [1])
