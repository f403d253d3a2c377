"""The compiled ladder against a dictionary: random changes, loads and garbage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.book._book import ASK, BID, LEVELS_MAX, Ladder, parse_levels
from lowlat.core.errors import RemoteProtocolError

NONE = -(2**63)
SIDES = st.sampled_from([BID, ASK])
PRICES = st.one_of(st.integers(1, 30), st.integers(1, 10**6))
SIZES = st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 2**40))


class Twin:
    """What a ladder means, written as slowly and plainly as possible."""

    def __init__(self):
        self.sides = ({}, {})

    def set(self, side, price, size):
        before = self.sides[side].get(price, 0)
        self.sides[side].pop(price, None)
        if size:
            self.sides[side][price] = size
        return before != size

    def levels(self, side):
        return sorted(self.sides[side].items(), reverse=side == BID)


def assert_same(ladder, twin):
    for side in (BID, ASK):
        levels = twin.levels(side)
        assert ladder.levels(side) == levels
        assert ladder.levels(side, 3) == levels[:3]
        assert ladder.count(side) == len(levels)
        assert ladder.depth(side) == sum(size for _, size in levels)
        best = levels[0] if levels else (NONE, 0)
        assert (ladder.best(side), ladder.best_size(side)) == best
        for price, size in levels:
            assert ladder.size_at(side, price) == size
            assert ladder.size_at(side, price + 1) == twin.sides[side].get(price + 1, 0)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.booleans(), SIDES, PRICES, SIZES), max_size=80))
def test_changes_equal_the_twin(steps):
    ladder, twin = Ladder(), Twin()
    for is_delta, side, price, size in steps:
        if is_delta:
            held = twin.sides[side].get(price, 0)
            delta = size - held // 2
            if held + delta < 0:
                with pytest.raises(RemoteProtocolError):
                    ladder.add(side, price, delta)
            else:
                assert ladder.add(side, price, delta) == twin.set(side, price, held + delta)
        else:
            assert ladder.set(side, price, size) == twin.set(side, price, size)
    assert_same(ladder, twin)


@settings(max_examples=60)
@given(*[st.lists(st.tuples(PRICES, SIZES), max_size=60)] * 2, st.randoms())
def test_loads_in_any_order_equal_the_twin(bids, asks, random):
    ladder, twin = Ladder(), Twin()
    ladder.set(BID, 5, 5)
    for levels in (bids, asks):
        levels.sort(reverse=random.random() < 0.5)
    ladder.load(bids, asks)
    for side, levels in ((BID, bids), (ASK, asks)):
        for price, size in levels:
            twin.set(side, price, size)
    assert_same(ladder, twin)


def test_delta_below_zero_leaves_the_level():
    ladder = Ladder()
    ladder.set(BID, 10, 5)
    with pytest.raises(RemoteProtocolError, match="below zero"):
        ladder.add(BID, 10, -6)
    with pytest.raises(RemoteProtocolError, match="below zero"):
        ladder.add(ASK, 10, -1)
    assert ladder.levels(BID) == [(10, 5)]
    assert ladder.count(ASK) == 0


def test_negative_size_is_refused():
    with pytest.raises(RemoteProtocolError, match="was -1"):
        Ladder().set(BID, 10, -1)


def test_bad_level_in_a_load_leaves_an_empty_ladder():
    ladder = Ladder()
    ladder.set(BID, 10, 5)
    with pytest.raises(RemoteProtocolError):
        ladder.load([(1, 1)], [(2, 1), (3, -1)])
    assert ladder.count(BID) == ladder.count(ASK) == 0


def test_side_holds_at_most_its_cap():
    ladder = Ladder(levels_max=3)
    for price in (1, 2, 3):
        ladder.set(ASK, price, 1)
    with pytest.raises(RemoteProtocolError, match="full"):
        ladder.set(ASK, 4, 1)
    assert ladder.set(ASK, 3, 9)
    with pytest.raises(RemoteProtocolError, match="full"):
        ladder.load([(price, 1) for price in range(1, 5)], [])
    with pytest.raises(ValueError, match="levels_max"):
        Ladder(levels_max=LEVELS_MAX + 1)


def test_depth_beyond_64_bits_is_refused_and_changes_nothing():
    ladder = Ladder()
    ladder.set(BID, 1, 2**63 - 1)
    for act in (ladder.set, ladder.add):
        with pytest.raises(RemoteProtocolError, match="64 bits"):
            act(BID, 2, 1)
    with pytest.raises(RemoteProtocolError, match="64 bits"):
        ladder.add(BID, 1, 1)
    assert ladder.levels(BID) == [(1, 2**63 - 1)]
    with pytest.raises(RemoteProtocolError, match="64 bits"):
        ladder.load([(1, 2**62), (2, 2**62)], [])


@pytest.mark.parametrize("side", [-1, 2])
def test_wrong_side_is_a_programming_fault(side):
    for call in (lambda: Ladder().best(side), lambda: Ladder().set(side, 1, 1)):
        with pytest.raises(ValueError, match="side was"):
            call()


def test_price_that_means_none_is_a_programming_fault():
    for price in (NONE, -5):
        with pytest.raises(ValueError, match="no price"):
            Ladder(-5).set(ASK, price, 1)


def test_parse_levels_is_exact_or_raises():
    rows = [["98123.45", "1.2345"], ("0.00000001", "0")]
    assert parse_levels(rows, 8, 8) == [(9_812_345_000_000, 123_450_000), (1, 0)]
    for bad in ([["1"]], [["1", "2", "3"]], [["1", "-2"]], [["0.000000001", "1"]], [3], None):
        with pytest.raises(RemoteProtocolError):
            parse_levels(bad, 8, 8)
