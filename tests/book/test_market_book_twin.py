"""A market fed from both tokens against a dictionary twin, and garbage against its promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.book._book import ASK, BID, BookSlots, BookView, MarketBook
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import BOOK_LEVELS, BOOK_ROW, BOOK_TOP, Action, BookFlag, Outcome
from lowlat.core.units import NO_PRICE_E4, ONE_E4, format_fixed

YES, NO = Outcome.YES, Outcome.NO
TOKENS = st.sampled_from([YES, NO])
ACTIONS = st.sampled_from([Action.BUY, Action.SELL])
PRICES = st.one_of(st.integers(1, 9999), st.integers(4990, 5010))
SIZES = st.one_of(st.just(0), st.integers(1, 10**4), st.integers(1, 10**15))


class Twin:
    """Both tokens' books in YES terms: price to size, one dictionary a side."""

    def __init__(self):
        self.sides = ({}, {})

    def change(self, token, action, price, size):
        """Set a level; return the sides changed as the book does."""
        side = action if token == YES else 1 - action
        price = price if token == YES else ONE_E4 - price
        before = self.sides[side].pop(price, 0)
        if size:
            self.sides[side][price] = size
        return 0 if before == size else 1 << side

    def levels(self, token, side):
        own = side if token == YES else 1 - side
        pairs = self.sides[own].items()
        if token == NO:
            pairs = [(ONE_E4 - price, size) for price, size in pairs]
        return sorted(pairs, reverse=side == BID)

    def flags(self):
        bids, asks = (self.levels(YES, side) for side in (BID, ASK))
        flags = BookFlag(0)
        if max(len(bids), len(asks)) > BOOK_LEVELS:
            flags |= BookFlag.TRUNCATED
        if bids and asks and bids[0][0] > asks[0][0]:
            flags |= BookFlag.CROSSED
        if bids and asks and bids[0][0] == asks[0][0]:
            flags |= BookFlag.LOCKED
        return flags


def text(price, size):
    return format_fixed(price, 4), format_fixed(size, 6)


def padded(values, length, filler):
    return (list(values) + [filler] * length)[:length]


def assert_image(record, twin, slots):
    for side, name in ((BID, "bid"), (ASK, "ask")):
        levels = twin.levels(YES, side)[:slots]
        assert record[f"{name}_count"] == len(levels)
        prices, sizes = [price for price, _ in levels], [size for _, size in levels]
        assert list(record[f"{name}_price_e4"]) == padded(prices, slots, NO_PRICE_E4)
        assert list(record[f"{name}_size_e6"]) == padded(sizes, slots, 0)
    assert record["book_flags"] == twin.flags()


@settings(max_examples=60)
@given(st.lists(st.tuples(TOKENS, ACTIONS, PRICES, SIZES), max_size=100))
def test_changes_through_either_token_equal_the_twin(steps):
    book, twin = MarketBook(1, 1), Twin()
    book.load(YES, [], [])
    row, top = bytearray(BOOK_ROW.size_bytes), bytearray(BOOK_TOP.size_bytes)
    slots, view, effective = BookSlots(row, top), BookView(row), 0
    for token, action, price, size in steps:
        changed = book.change(token, action, *text(price, size))
        assert changed == twin.change(token, action, price, size)
        effective += bool(changed)
    slots.image(book, 1, 2, 3, 4, 5, 3)
    assert_image(np.frombuffer(row, BOOK_ROW.dtype)[0], twin, 32)
    assert_image(np.frombuffer(top, BOOK_TOP.dtype)[0], twin, 5)
    assert book.changes == effective
    for token in (YES, NO):
        for side in (BID, ASK):
            levels = twin.levels(token, side)
            best, size = levels[0] if levels else (NO_PRICE_E4, 0)
            assert book.levels(token, side) == levels
            assert view.levels(token, side) == levels[:BOOK_LEVELS]
            assert book.best(token, side) == best
            total = sum(size for _, size in levels)
            assert book.depth_e6(token, side) == view.depth_e6(token, side) == total
            touch = (view.best_ask_e4, view.best_ask_size_e6)
            if side == BID:
                touch = (view.best_bid_e4, view.best_bid_size_e6)
            assert [read(token) for read in touch] == [best, size]
        stated = [book.best(token, side) for side in (BID, ASK)]
        stated = ["" if price == NO_PRICE_E4 else format_fixed(price, 4) for price in stated]
        assert book.touch_agrees(token, *stated)


LINE_BYTES = 64
STEPS = st.one_of(
    st.tuples(TOKENS, ACTIONS, PRICES, SIZES),
    st.tuples(TOKENS, ACTIONS, st.integers(4950, 5050), SIZES),
    st.sampled_from(["image", "image", "load", "clear"]),
)


@settings(max_examples=100)
@given(st.lists(STEPS, max_size=120))
def test_lines_written_over_the_row_of_four_versions_ago_make_the_whole_row(steps):
    """Play the table: each image's lines go over the cell of its version, as write_lines does."""
    book, twin = MarketBook(1, 1), Twin()
    book.load(YES, [], [])
    row, top = bytearray(BOOK_ROW.size_bytes), bytearray(BOOK_TOP.size_bytes)
    slots, cells = BookSlots(row, top), [bytearray(b"\xaa" * len(row)) for _ in range(4)]
    for step in [*steps, *["image"] * 4]:
        if step == "image":
            # What stands in the slot is of another market: only the lines count.
            row[16:] = b"\x55" * (len(row) - 16)
            lines = slots.image_lines(book, 1, 2, 3, 4, 5, 3)
            cell = cells[book.version & 3]
            for at in range(0, len(row), LINE_BYTES):
                if lines >> at // LINE_BYTES & 1:
                    cell[at : at + LINE_BYTES] = row[at : at + LINE_BYTES]
            record = np.frombuffer(bytes(cell), BOOK_ROW.dtype)[0]
            assert_image(record, twin, 32)
            assert record["bid_depth_e6"] == sum(twin.sides[BID].values())
            assert_image(np.frombuffer(top, BOOK_TOP.dtype)[0], twin, 5)
        elif step == "load":
            twin.sides = ({5000: 7, 4000: 8}, {6000: 9})
            book.load(YES, [("0.5", "0.000007"), ("0.4", "0.000008")], [("0.6", "0.000009")])
        elif step == "clear":
            twin.sides = ({}, {})
            book.clear()
            book.flags = 0
        else:
            token, action, price, size = step
            book.change(token, action, *text(price, size))
            twin.change(token, action, price, size)


def test_small_change_writes_few_lines():
    book = MarketBook(1, 1)
    levels = [(f"0.{i}", "5") for i in range(10, 42)]
    book.load(YES, levels, [])
    slots = BookSlots(bytearray(BOOK_ROW.size_bytes), bytearray(BOOK_TOP.size_bytes))
    whole = (1 << BOOK_ROW.size_bytes // LINE_BYTES) - 1
    assert [slots.image_lines(book, 1, 2, 3, 4, 5, 3) for _ in range(4)] == [whole] * 4
    book.change(YES, Action.BUY, "0.41", "6")
    lines = [slots.image_lines(book, 1, 2, 3, 4, 5, 3).bit_count() for _ in range(5)]
    assert lines == [3, 3, 3, 3, 2]


@settings(max_examples=60)
@given(TOKENS, *[st.lists(st.tuples(PRICES, SIZES), max_size=50, unique_by=lambda row: row[0])] * 2)
def test_snapshot_equals_its_levels_set_one_by_one(token, bids, asks):
    book, twin = MarketBook(1, 1), Twin()
    book.load(token, [text(*level) for level in bids], [text(*level) for level in asks])
    for action, levels in ((Action.BUY, bids), (Action.SELL, asks)):
        for level in levels:
            twin.change(token, action, *level)
    for side in (BID, ASK):
        assert book.levels(YES, side) == twin.levels(YES, side)
    mirrored = [[text(*level) for level in twin.levels(1 - token, side)] for side in (BID, ASK)]
    assert book.load(1 - token, *mirrored) == 0


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.integers(),
        st.floats(),
        st.text(max_size=6),
        st.binary(max_size=6),
        st.sampled_from(["0.5", "0.4", "1", "100", "-1", "NaN", "1e3", "0.00001"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.tuples(inner, inner)),
    max_leaves=8,
)


@settings(max_examples=100)
@given(JUNK, JUNK)
def test_junk_is_a_protocol_error_or_a_whole_book(bids, asks):
    book = MarketBook(1, 1)
    book.load(YES, [("0.4", "1")], [("0.6", "1")])
    try:
        book.load(YES, bids, asks)
    except RemoteProtocolError:
        assert book.flags == BookFlag.STALE
        assert book.count(YES, BID) == book.count(YES, ASK) == 0
    else:
        assert not book.flags & BookFlag.STALE


@settings(max_examples=100)
@given(JUNK, JUNK)
def test_junk_change_is_a_protocol_error_or_one_level(price, size):
    book = MarketBook(1, 1)
    for act in (book.change, book.delta):
        book.load(YES, [("0.4", "1")], [("0.6", "1")])
        try:
            changed = act(YES, Action.BUY, price, size)
        except RemoteProtocolError:
            assert book.levels(YES, BID) == [(4000, 10**6)]
        else:
            assert changed in {0, 1}
            assert book.levels(YES, ASK) == [(6000, 10**6)]


def test_side_of_every_price_fits_and_is_the_cap_of_a_market():
    book = MarketBook(1, 1)
    book.load(YES, [(f"0.{price:04}", "1") for price in range(1, 10_000)], [])
    assert (book.count(YES, BID), book.best(YES, BID)) == (9999, 9999)
    assert book.best(NO, ASK) == 1
    assert book.flags == BookFlag.TRUNCATED


@pytest.mark.parametrize("bad", [-1, 2])
def test_wrong_token_in_a_load_is_a_programming_fault_and_empties_the_book(bad):
    book = MarketBook(1, 1)
    book.load(YES, [("0.4", "1")], [])
    with pytest.raises(ValueError, match="outcome"):
        book.load(bad, [], [])
    assert book.flags == BookFlag.STALE
