"""Views and walks against a twin in fractions, and the worked examples of the venue notes."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.book._book import ASK, BID, BookView, MarketBook, walk_sets
from lowlat.core.layout import BOOK_ROW, BOOK_TOP, Action, Outcome
from lowlat.core.units import E6, NO_PRICE_E4, ONE_E4

YES, NO = Outcome.YES, Outcome.NO
BUY, SELL = Action.BUY, Action.SELL


def view_of(bids=(), asks=(), *, no_asks=()):
    """Publish a book of (price_e4, size_e6) levels and return a view of its row."""
    book = MarketBook(7, 3)

    def text(levels):
        return [(f"0.{price:04}", f"{size // E6}.{size % E6:06}") for price, size in levels]

    book.load(YES, text(bids), text(asks))
    for price, size in text(no_asks):
        book.change(NO, SELL, price, size)
    row = bytearray(BOOK_ROW.size_bytes)
    book.image(row, bytearray(BOOK_TOP.size_bytes), 9, 1, 2, 3, 4, 3)
    return BookView(row)


def shares(*levels):
    return [(price, count * E6) for price, count in levels]


def twin_levels(view, outcome, action):
    """Levels an order meets, from the YES ladder alone."""
    asks = (outcome == YES) == (action == BUY)
    levels = view.levels(YES, ASK if asks else BID)
    return levels if outcome == YES else [(ONE_E4 - price, size) for price, size in levels]


def twin_fee(price, rate, exponent):
    spread = Fraction(price, ONE_E4) * (1 - Fraction(price, ONE_E4))
    return Fraction(rate, E6) * spread**exponent


LEVELS = st.dictionaries(
    st.integers(1, 9999), st.one_of(st.integers(1, 10**7), st.integers(1, 10**13)), max_size=12
).map(lambda levels: list(levels.items()))
TOKENS = st.sampled_from([YES, NO])
ACTIONS = st.sampled_from([BUY, SELL])
LIMITS = st.one_of(st.just(NO_PRICE_E4), st.integers(0, ONE_E4))
RATES = st.one_of(st.just(0), st.integers(0, 10**6))


@settings(max_examples=100)
@given(LEVELS, LEVELS, TOKENS, ACTIONS, st.integers(0, 10**14), LIMITS, RATES, st.integers(0, 4))
def test_walk_by_size_equals_the_twin(bids, asks, token, action, size, limit, rate, exponent):
    view = view_of(bids, asks)
    walk = view.walk_size(token, action, size, limit, rate, exponent)
    levels = twin_levels(view, token, action)
    left, cost, fee, worst, used = size, Fraction(), Fraction(), NO_PRICE_E4, 0
    for price, level in levels:
        beyond = price > limit if action == BUY else price < limit
        if not left or (limit != NO_PRICE_E4 and beyond):
            break
        take = min(left, level)
        left -= take
        cost += Fraction(take * price, ONE_E4)
        fee += take * twin_fee(price, rate, exponent)
        worst, used = price, used + 1
    filled = size - left
    assert (walk.filled_e6, walk.complete, walk.levels) == (filled, left == 0, used)
    assert walk.cost_e6 == (ceil(cost) if action == BUY else floor(cost))
    assert walk.worst_price_e4 == worst
    assert walk.touch_price_e4 == (levels[0][0] if levels else NO_PRICE_E4)
    assert 0 <= walk.fee_e6 - ceil(fee) <= (1 if exponent > 1 else 0)
    if filled:
        touch = Fraction(levels[0][0], ONE_E4)
        worse = cost / filled / touch - 1 if action == BUY else 1 - cost / filled / touch
        assert walk.impact_ppm() == ceil(worse * 10**6) >= 0


@settings(max_examples=100)
@given(LEVELS, LEVELS, TOKENS, st.integers(0, 10**14), LIMITS)
def test_walk_by_cash_spends_what_the_twin_spends(bids, asks, token, cash, limit):
    view = view_of(bids, asks)
    walk = view.walk_cash(token, cash, limit)
    left, filled, worst, used, done = Fraction(cash), 0, NO_PRICE_E4, 0, cash == 0
    for price, level in twin_levels(view, token, BUY):
        if done or (limit != NO_PRICE_E4 and price > limit):
            break
        each = Fraction(price, ONE_E4)
        take = min(level, floor(left / each))
        left -= take * each
        done = left < each
        if take:
            filled, worst, used = filled + take, price, used + 1
    assert (walk.filled_e6, walk.levels, walk.worst_price_e4) == (filled, used, worst)
    assert walk.complete == done
    assert walk.cost_e6 == ceil(cash - left) <= cash


def test_worked_walk_of_the_issue():
    view = view_of(asks=shares((4600, 120), (4700, 200)))
    walk = view.walk_size(YES, BUY, 320 * E6, 4700)
    assert (walk.cost_e6, walk.worst_price_e4, walk.complete) == (149_200_000, 4700, True)
    assert walk.impact_ppm() == 13_587
    back = view.walk_cash(YES, 149_200_000, 4700)
    assert (back.filled_e6, back.complete) == (320 * E6, True)


def test_cost_is_rounded_against_us():
    view = view_of(bids=[(3333, 10)], asks=[(3334, 10)])
    assert view.walk_size(YES, BUY, 1, 9999).cost_e6 == 1
    assert view.walk_size(YES, SELL, 1, 1).cost_e6 == 0


def test_fee_and_impact_of_nothing_are_unknown_not_zero():
    walk = view_of().walk_size(YES, BUY, 5, 9999)
    assert (walk.filled_e6, walk.complete, walk.touch_price_e4) == (0, False, NO_PRICE_E4)
    with pytest.raises(ValueError, match="unknown"):
        walk.fee_e6  # noqa: B018
    with pytest.raises(ValueError, match="unknown"):
        walk.impact_ppm()


@pytest.mark.parametrize(
    "call",
    [
        lambda view: view.walk_size(2, BUY, 1, 1),
        lambda view: view.walk_size(YES, 2, 1, 1),
        lambda view: view.walk_size(YES, -1, 1, 1),
        lambda view: view.walk_size(YES, BUY, -1, 1),
        lambda view: view.walk_cash(YES, -1, 1),
        lambda view: view.walk_size(YES, BUY, 1, 1, -2, 1),
        lambda view: view.walk_size(YES, BUY, 1, 1, 10**6 + 1, 1),
        lambda view: view.walk_size(YES, BUY, 1, 1, 1, 5),
        lambda view: view.best_bid_e4(2),
        lambda view: view.depth_e6(0, 2),
    ],
)
def test_wrong_arguments_are_programming_faults(call):
    with pytest.raises(ValueError, match=r"was|were"):
        call(view_of(asks=shares((4600, 120))))


def test_no_token_is_the_mirror_of_yes():
    view = view_of(shares((4400, 3), (4300, 1)), shares((4700, 5)))
    assert (view.best_bid_e4(YES), view.best_ask_e4(YES)) == (4400, 4700)
    assert (view.best_bid_e4(NO), view.best_ask_e4(NO)) == (5300, 5600)
    assert (view.best_bid_size_e6(NO), view.best_ask_size_e6(NO)) == (5 * E6, 3 * E6)
    assert view.levels(NO, ASK) == shares((5600, 3), (5700, 1))
    assert view.depth_e6(NO, ASK) == view.depth_e6(YES, BID) == 4 * E6


def test_properties_read_the_row():
    view = view_of(shares((4400, 3)))
    names = ("id", "event_ns", "recv_ns", "decoded_ns", "published_ns", "market", "generation")
    assert [getattr(view, name) for name in names] == [9, 1, 2, 3, 4, 7, 3]
    assert (view.flags, view.tick_e4, view.shard, view.changes) == (0, 0, 0, 1)
    assert view.last_trade_price_e4 == NO_PRICE_E4
    assert view.to_numpy()["bid_price_e4"][0] == 4400


def test_poisoned_view_raises_until_it_is_refreshed():
    view = view_of(shares((4400, 3)))
    kept = view.copy()
    view.poison()
    reads = [
        lambda: view.flags,
        lambda: view.best_bid_e4(YES),
        lambda: view.walk_size(YES, SELL, 1, 1),
        lambda: view.levels(YES, BID),
        view.to_numpy,
        view.copy,
        lambda: kept.assign(view),
        lambda: walk_sets([view], [YES], BUY, [0], [1]),
    ]
    for read in reads:
        with pytest.raises(RuntimeError, match="next poll"):
            read()
    view.refresh()
    assert view.best_bid_e4(YES) == kept.best_bid_e4(YES) == 4400


def test_copy_outlives_the_buffer_and_only_copies_are_assigned_to():
    view = view_of(shares((4400, 3)))
    kept = view.copy()
    kept.assign(view_of(shares((4500, 3))))
    assert (view.best_bid_e4(YES), kept.best_bid_e4(YES)) == (4400, 4500)
    with pytest.raises(ValueError, match="copy"):
        view.assign(kept)


def test_wrong_counts_in_a_row_never_read_beyond_it():
    row = bytearray(b"\xff" * BOOK_ROW.size_bytes)
    view = BookView(row)
    assert len(view.levels(YES, BID)) == len(view.levels(NO, BID)) == 32


def test_buffer_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="row buffer"):
        BookView(bytes(BOOK_ROW.size_bytes - 1))
