"""Amounts: the venue's rounding in integers, the ladder, and nothing unrounded."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError
from lowlat.core.layout import Action
from lowlat.venues.polymarket.amounts import (
    CENT_E6,
    TICKS,
    Amounts,
    check_price,
    floor_to_ladder,
    floor_to_whole_cent,
    ladder_step_e6,
    limit_amounts,
    market_buy_amounts,
    market_sell_amounts,
    odd_lot_amounts,
)

SHARE = 1_000_000
GRID = st.sampled_from(sorted(TICKS)).flatmap(
    lambda tick: st.tuples(
        st.just(tick), st.integers(1, 10_000 // tick - 1).map(lambda n: n * tick)
    )
)


def scaled(number, scale):
    value = Decimal(str(number)) * scale
    return int(value)


def our_amounts(kind, side, tick, price, amount):
    """What we sign for a row of the vectors; sizes are cut to hundredths first, as the SDK does."""
    tick_e4, price_e4 = scaled(tick, 10_000), scaled(price, 10_000)
    cut_e6 = scaled(amount, 100) * CENT_E6
    if kind == "market" and side == "BUY":
        return market_buy_amounts(cut_e6, price_e4, tick_e4)
    return odd_lot_amounts(Action[side], price_e4, cut_e6, tick_e4)


def test_every_vector_gives_the_exact_amounts(vectors):
    for case in vectors["amounts"]:
        amount = case["size"] if case["kind"] == "limit" else case["amount"]
        ours = our_amounts(case["kind"], case["side"], case["tick"], case["price"], amount)
        exact = tuple(map(int, case["unified_decimal"]))
        if case["kind"] == "market" and case["side"] == "BUY" and exact[1] % 100:
            # The SDK sends five and more decimals; the venue takes four. polymarket.md 4.2.
            exact = (exact[0], exact[1] - exact[1] % 100)
        assert ours == exact, case


def test_signed_vectors_have_the_exact_amounts_where_floats_lost_a_tick(vectors):
    floats_wrong = 0
    for case in vectors["orders"]:
        given_ = case["input"]
        if given_["kind"] == "raw":
            continue
        amount = given_["size"] if given_["kind"] == "limit" else given_["amount"]
        ours = our_amounts(
            given_["kind"], given_["side"], given_["tick_size"], given_["price"], amount
        )
        assert ours == tuple(map(int, case["amounts_exact"])), case["name"]
        floats_wrong += case["amounts_exact"] != case["amounts_float"]
    assert floats_wrong == 1


def test_a_fok_buy_of_320_shares_signs_its_walked_cost():
    asks = [(4_600, 120 * SHARE), (4_700, 200 * SHARE)]
    cost = sum(price * size // 10_000 for price, size in asks)
    amounts = market_buy_amounts(cost, 4_700, 100)
    assert amounts.maker_e6 == 149_200_000
    # Shares at the worst price, four decimals: fewer than 320, the venue gives the rest for free.
    assert amounts.taker_e6 == 317_446_800
    assert amounts.maker_e6 != 320 * 4_700 * 100


def test_25_shares_at_a_tenth_of_a_cent_never_leave_unrounded():
    assert ladder_step_e6(10) == 10 * SHARE
    assert floor_to_ladder(25 * SHARE, 10) == 20 * SHARE
    with pytest.raises(LocalProtocolError, match=r"multiple of 10 at tick 0\.001"):
        limit_amounts(Action.BUY, 560, 25 * SHARE, 10)
    assert limit_amounts(Action.BUY, 560, 20 * SHARE, 10) == (1_120_000, 20 * SHARE)


@pytest.mark.parametrize(
    ("tick", "shares"), [(1_000, 1), (100, 1), (50, 2), (25, 4), (10, 10), (1, 100)]
)
def test_the_ladder_is_the_finest_whole_share_with_whole_cents(tick, shares):
    assert ladder_step_e6(tick) == shares * SHARE
    assert (shares * tick) % 100 == 0
    assert all(fewer * tick % 100 for fewer in range(1, shares))


@given(GRID, st.integers(0, 10**7), st.sampled_from(Action))
def test_a_rung_has_whole_cents_at_every_price_of_its_tick(grid, rungs, action):
    tick, price = grid
    size = rungs * ladder_step_e6(tick)
    cash = Fraction(price, 10_000) * size
    assert cash.denominator == 1
    assert cash % CENT_E6 == 0
    if size < 5 * SHARE or cash < SHARE:
        with pytest.raises(LocalProtocolError):
            limit_amounts(action, price, size, tick)
    else:
        maker, taker = limit_amounts(action, price, size, tick)
        assert (maker, taker) == ((cash, size) if action == Action.BUY else (size, cash))


@given(GRID, st.integers(1, 10**13), st.sampled_from(Action))
def test_a_limit_order_is_exact_or_refused(grid, size, action):
    tick, price = grid
    try:
        maker, taker = limit_amounts(action, price, size, tick)
    except LocalProtocolError:
        step = ladder_step_e6(tick)
        assert size % step or size < 5 * SHARE or price * size < SHARE * 10_000
        return
    cash, shares = (maker, taker) if action == Action.BUY else (taker, maker)
    assert shares == size
    assert Fraction(cash, shares) == Fraction(price, 10_000)


@given(GRID, st.integers(1, 10**13))
def test_a_market_buy_implies_its_price_and_never_the_next(grid, cost):
    tick, price = grid
    try:
        maker, taker = market_buy_amounts(cost, price, tick)
    except LocalProtocolError:
        assert cost < SHARE or tick == 1_000
        return
    assert maker >= SHARE
    assert maker % CENT_E6 == 0
    assert cost - CENT_E6 < maker <= cost
    assert taker % 100 == 0
    implied = Fraction(maker, taker)
    assert Fraction(price, 10_000) <= implied < Fraction(price + 1, 10_000)


@pytest.mark.parametrize("tick", sorted(set(TICKS) - {1_000}))
def test_the_smallest_market_buys_stay_under_the_next_price(tick):
    # Where cutting decimals weighs most: a dollar and a few cents, at every price of the grid.
    for price in range(tick, 10_000, tick):
        for cost in (1_000_000, 1_010_000, 1_070_000):
            maker, taker = market_buy_amounts(cost, price, tick)
            assert price * taker <= maker * 10_000 < (price + 1) * taker


def test_a_market_buy_whose_rounding_would_reach_the_next_price_is_refused():
    # Three decimals at tick 0.1: 1.04 / 0.9 = 1.15555… is cut to 1.155, which pays 0.90043.
    with pytest.raises(LocalProtocolError, match=r"pay over 0\.9"):
        market_buy_amounts(1_040_000, 9_000, 1_000)
    assert market_buy_amounts(10_040_000, 9_000, 1_000) == (10_040_000, 11_155_000)


@given(GRID, st.integers(0, 10**12))
def test_what_is_left_over_is_sold_in_whole_cents(grid, size):
    tick, price = grid
    sellable = floor_to_whole_cent(size, price)
    assert 0 <= size - sellable < CENT_E6 * 10_000
    if sellable:
        maker, taker = market_sell_amounts(sellable, price, tick)
        assert maker == sellable
        assert taker % CENT_E6 == 0
        assert Fraction(taker, maker) == Fraction(price, 10_000)
    with pytest.raises(LocalProtocolError):
        market_sell_amounts(sellable + 1, price, tick)


def test_sells_have_no_minimum_and_must_be_whole_cents():
    assert market_sell_amounts(20_000, 5_000, 100) == Amounts(20_000, 10_000)
    with pytest.raises(LocalProtocolError, match="whole-cent"):
        market_sell_amounts(21_040_000, 56, 1)
    assert floor_to_whole_cent(21_040_000, 56) == 12_500_000


@pytest.mark.parametrize(
    ("price", "tick"),
    [(0, 100), (10_000, 100), (-100, 100), (4_650, 100), (9_950, 100), (5, 10), (46, 25)],
)
def test_a_price_off_the_grid_is_refused(price, tick):
    for call in (
        lambda: check_price(price, tick),
        lambda: limit_amounts(Action.BUY, price, 100 * SHARE, tick),
        lambda: odd_lot_amounts(Action.SELL, price, 100 * SHARE, tick),
        lambda: market_buy_amounts(10 * SHARE, price, tick),
        lambda: market_sell_amounts(10 * SHARE, price, tick),
    ):
        with pytest.raises(LocalProtocolError, match="price was"):
            call()


@pytest.mark.parametrize("tick", [0, -1, 2, 99, 10_000])
def test_an_unknown_tick_is_refused(tick):
    with pytest.raises(LocalProtocolError, match="tick_e4 was"):
        floor_to_ladder(SHARE, tick)
    with pytest.raises(LocalProtocolError, match="tick_e4 was"):
        limit_amounts(Action.BUY, 5_000, 100 * SHARE, tick)


def test_minimums_are_five_shares_and_a_dollar_or_what_the_market_says():
    with pytest.raises(LocalProtocolError, match="at least 5"):
        limit_amounts(Action.BUY, 9_000, 4 * SHARE, 100)
    with pytest.raises(LocalProtocolError, match=r"\$0.98, expected at least \$1"):
        limit_amounts(Action.BUY, 1_400, 7 * SHARE, 100)
    with pytest.raises(LocalProtocolError, match="at least 15"):
        limit_amounts(Action.SELL, 5_000, 14 * SHARE, 100, min_size_e6=15 * SHARE)
    with pytest.raises(LocalProtocolError, match=r"\$0.99"):
        market_buy_amounts(999_999, 5_000, 100)
    for size in (-1, 0):
        with pytest.raises(LocalProtocolError):
            odd_lot_amounts(Action.BUY, 5_000, size, 100)
    with pytest.raises(LocalProtocolError):
        floor_to_ladder(-1, 100)
    for size, price in ((-1, 5_000), (1, 0), (1, 10_000)):
        with pytest.raises(LocalProtocolError):
            floor_to_whole_cent(size, price)
