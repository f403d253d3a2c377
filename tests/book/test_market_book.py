"""One ladder a market: what both tokens' messages do to it and what its image says."""

import sys
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.book._book import ASK, BID, BookSlots, MarketBook
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import BOOK_ROW, BOOK_TOP, Action, BookFlag, Outcome
from lowlat.core.units import NO_PRICE_E4, ONE_E4, parse_fixed

YES, NO = Outcome.YES, Outcome.NO
BUY, SELL = Action.BUY, Action.SELL
BIDS = [("0.4", "150"), ("0.44", "10.5"), ("0.45", "7")]
ASKS = [("0.99", "5000"), ("0.52", "12.5"), ("0.47", "30.000001")]


class Pair(NamedTuple):
    price: str
    size: str


class Level(msgspec.Struct):
    price: str
    size: str


def loaded() -> MarketBook:
    book = MarketBook(7, 3)
    book.load(YES, BIDS, ASKS)
    return book


def state(book):
    return book.levels(YES, BID), book.levels(YES, ASK)


def image_of(book, changed=3):
    """Return the row and the top as numpy records, written over garbage."""
    row = bytearray(b"\xa5" * BOOK_ROW.size_bytes)
    top = bytearray(b"\xa5" * BOOK_TOP.size_bytes)
    book.image(row, top, 99, 1, 2, 3, 4, changed)
    return np.frombuffer(row, BOOK_ROW.dtype)[0], np.frombuffer(top, BOOK_TOP.dtype)[0]


def test_new_book_is_stale_and_empty():
    book = MarketBook(7, 3)
    assert book.flags == BookFlag.STALE
    assert book.best(YES, BID) == book.best(NO, ASK) == NO_PRICE_E4


def test_snapshot_clears_stale_and_reports_both_sides():
    book = MarketBook(7, 3)
    assert book.load(YES, BIDS, ASKS) == 3
    assert book.flags == 0
    assert state(book) == (
        [(4500, 7_000_000), (4400, 10_500_000), (4000, 150_000_000)],
        [(4700, 30_000_001), (5200, 12_500_000), (9900, 5_000_000_000)],
    )
    assert book.depth_e6(YES, BID) == 167_500_000


def test_mirrored_snapshot_of_the_other_token_changes_nothing():
    book = loaded()
    mirrored = [
        [(f"{1 - float(price):.2f}", size) for price, size in side] for side in (ASKS, BIDS)
    ]
    assert book.load(NO, *mirrored) == 0
    assert state(book) == state(loaded())


@pytest.mark.parametrize("kind", [Pair, Level, lambda *pair: pair, lambda *pair: list(pair)])
def test_levels_may_be_pairs_or_have_attributes_in_any_order(kind):
    book = MarketBook(7, 3)
    book.load(YES, [kind(*level) for level in BIDS[::-1]], [kind(*level) for level in ASKS[::-1]])
    assert state(book) == state(loaded())


def test_last_of_two_levels_at_one_price_wins():
    book = MarketBook(7, 3)
    book.load(YES, [("0.4", "1"), ("0.3", "2"), ("0.40", "3"), ("0.30", "0")], [])
    assert state(book) == ([(4000, 3_000_000)], [])


def test_bid_of_no_is_ask_of_yes():
    book = loaded()
    assert book.change(NO, BUY, "0.55", "9") == 2
    assert book.best(YES, ASK) == 4500
    assert book.best(NO, BID) == 5500
    assert book.change(NO, SELL, "0.57", "9") == 1
    assert book.size_at(YES, BID, 4300) == book.size_at(NO, ASK, 5700) == 9_000_000


def test_mirrored_second_message_is_a_no_op():
    book = loaded()
    assert book.change(YES, BUY, "0.46", "8") == 1
    assert book.change(NO, SELL, "0.54", "8.0") == 0
    assert book.changes == 2


def test_removing_an_unknown_level_is_a_no_op():
    assert loaded().change(YES, SELL, "0.6", "0") == 0


BAD_PRICES = [
    "", "0", "1", "1.0", "0.0", "00", "2", "0.00001", "0.45001", "-0.4", "+0.4", " 0.4", "0.4 ",
    ".4", "0.", "4e-1", "NaN", "nan", "inf", "0,4", "0.4\0", "0.٤", "0x1", "0.4.1", "1_0",
    "99999999999999999999", "0" * 40, None, 0.4, b"0.4",
]  # fmt: skip
BAD_SIZES = ["", "-1", "+1", "1e3", "NaN", ".5", "5.", "0.0000001", "9" * 13, " 1", "١", None, 1]


@pytest.mark.parametrize("price", BAD_PRICES)
def test_bad_price_raises_and_changes_nothing(price):
    book = loaded()
    with pytest.raises(RemoteProtocolError):
        book.change(YES, BUY, price, "1")
    assert state(book) == state(loaded())
    assert book.flags == 0


@pytest.mark.parametrize("size", BAD_SIZES)
def test_bad_size_raises_and_changes_nothing(size):
    book = loaded()
    with pytest.raises(RemoteProtocolError):
        book.change(NO, SELL, "0.5", size)
    assert state(book) == state(loaded())


@given(st.text(alphabet="0123456789.-+eN _", max_size=24), st.text("0123456789.", max_size=24))
def test_text_is_read_exactly_as_the_units_do(price, size):
    book = MarketBook(1, 1)

    def expected(text, decimals):
        try:
            return parse_fixed(text, decimals)
        except RemoteProtocolError:
            return None

    price_e4, size_e6 = expected(price, 4), expected(size, 6)
    if price_e4 is None or not 0 < price_e4 < ONE_E4 or size_e6 is None:
        with pytest.raises(RemoteProtocolError):
            book.change(YES, BUY, price, size)
        assert book.count(YES, BID) == 0
    else:
        book.change(YES, BUY, price, size)
        assert book.levels(YES, BID) == ([(price_e4, size_e6)] if size_e6 else [])


@pytest.mark.parametrize(
    "bad", [("0.4", "-1"), ("1.4", "1"), ("0.4",), ("0.4", "1", "2"), None, 5, "04", ("0.4", None)]
)
@pytest.mark.parametrize("side", [0, 1])
def test_bad_snapshot_leaves_an_empty_stale_book(bad, side):
    book = loaded()
    sides = [list(BIDS), list(ASKS)]
    sides[side].insert(1, bad)
    with pytest.raises(RemoteProtocolError):
        book.load(YES, *sides)
    assert state(book) == ([], [])
    assert book.flags == BookFlag.STALE
    assert book.load(YES, BIDS, ASKS) == 3
    assert book.flags == 0


def test_total_beyond_64_bits_is_refused():
    book = MarketBook(1, 1)
    for at in range(9):
        book.change(YES, BUY, f"0.{at + 1}", "9" * 12)
    with pytest.raises(RemoteProtocolError, match="64 bits"):
        book.change(YES, BUY, "0.05", "9" * 12)
    assert book.depth_e6(YES, BID) == sum(size for _, size in book.levels(YES, BID)) < 2**63


def test_price_off_the_tick_is_refused_and_unknown_tick_takes_any():
    book = loaded()
    book.change(YES, BUY, "0.1234", "1")
    book.tick_e4 = 1
    book = loaded()
    book.tick_e4 = 100
    with pytest.raises(RemoteProtocolError, match="grid"):
        book.change(NO, BUY, "0.455", "1")
    assert book.change(NO, BUY, "0.45", "1") == 2


def test_finer_tick_keeps_levels():
    book = loaded()
    book.tick_e4 = 100
    book.tick_e4 = 10
    assert state(book) == state(loaded())
    assert book.change(YES, BUY, "0.451", "1") == 1


def test_coarser_tick_clears_the_book():
    book = loaded()
    book.tick_e4 = 10
    assert book.flags == 0
    book.tick_e4 = 100
    assert state(book) == ([], [])
    assert book.flags == BookFlag.STALE


def test_first_tick_clears_only_a_book_that_is_off_it():
    book = loaded()
    book.tick_e4 = 100
    assert (state(book), book.flags) == (state(loaded()), 0)
    book = loaded()
    book.tick_e4 = 1000
    assert (state(book), book.flags) == (([], []), BookFlag.STALE)


@pytest.mark.parametrize("tick", [-1, 3, 10_000, 7000])
def test_tick_that_does_not_divide_the_dollar_is_refused(tick):
    book = loaded()
    with pytest.raises(RemoteProtocolError):
        book.tick_e4 = tick
    assert book.tick_e4 == 0


def test_touch_agrees_with_what_the_venue_states_for_either_token():
    book = loaded()
    assert book.touch_agrees(YES, "0.45", "0.47")
    assert book.touch_agrees(NO, "0.530", "0.5500")
    assert not book.touch_agrees(YES, "0.44", "0.47")
    assert not book.touch_agrees(NO, "0.53", "0.56")
    assert not book.touch_agrees(YES, "", "0.47")


@pytest.mark.parametrize(("bid", "ask"), [("", ""), ("0", "1"), ("0.00", "0"), ("0", "1.00")])
def test_empty_sides_are_stated_in_any_convention(bid, ask):
    book = MarketBook(1, 1)
    book.load(YES, [], [])
    assert book.touch_agrees(YES, bid, ask)
    assert book.touch_agrees(NO, bid, ask)
    assert not loaded().touch_agrees(YES, bid, ask)


@pytest.mark.parametrize("text", ["-1", "2", "0.45001", "x", None])
def test_bad_stated_price_raises(text):
    with pytest.raises(RemoteProtocolError):
        loaded().touch_agrees(YES, text, "0.47")


@pytest.mark.parametrize(("outcome", "action"), [(2, 0), (0, 2), (-1, 0), (0, -1)])
def test_wrong_outcome_or_action_is_a_programming_fault(outcome, action):
    with pytest.raises(ValueError, match="expected 0 or 1"):
        loaded().change(outcome, action, "0.4", "1")


def test_crossed_and_locked_show_in_flags():
    book = loaded()
    book.change(YES, BUY, "0.47", "1")
    assert book.flags == BookFlag.LOCKED
    book.change(YES, BUY, "0.48", "1")
    assert book.flags == BookFlag.CROSSED
    assert image_of(book)[0]["book_flags"] == BookFlag.CROSSED
    book.flags = BookFlag.STALE | BookFlag.DIVERGED | BookFlag.TRUNCATED
    assert book.flags == BookFlag.STALE | BookFlag.DIVERGED | BookFlag.CROSSED


def test_image_writes_every_field_of_row_and_top():
    book = loaded()
    book.tick_e4, book.connection_generation, book.shard = 100, 5, 6
    book.snapshot_event_ns, book.last_trade_price_e4, book.version = 8, 4600, 41
    row, top = image_of(book, changed=2)
    for record in (row, top):
        assert [record[name] for name in ("id", "event_ns", "recv_ns", "decoded_ns")] == [
            99,
            1,
            2,
            3,
        ]
        assert (record["published_ns"], record["market"], record["generation"]) == (4, 7, 3)
        assert (record["bid_count"], record["ask_count"], record["book_flags"]) == (3, 3, 0)
        assert list(record["bid_price_e4"][:4]) == [4500, 4400, 4000, NO_PRICE_E4]
        assert list(record["ask_size_e6"][:4]) == [30_000_001, 12_500_000, 5_000_000_000, 0]
    assert set(row["ask_price_e4"][3:]) == {NO_PRICE_E4}
    assert set(row["bid_size_e6"][3:]) == {0}
    names = ("snapshot_event_ns", "connection_generation", "shard", "tick_e4", "changes")
    assert [row[name] for name in names] == [8, 5, 6, 100, 1]
    assert (row["last_trade_price_e4"], row["bid_depth_e6"]) == (4600, 167_500_000)
    assert row["ask_depth_e6"] == 5_042_500_001
    assert (top["version"], top["venue"], top["changed_sides"]) == (42, 1, 2)
    assert book.version == 42


def test_image_leaves_the_slot_heads_and_zeroes_the_tails():
    row = bytearray(b"\xa5" * BOOK_ROW.size_bytes)
    top = bytearray(b"\xa5" * BOOK_TOP.size_bytes)
    BookSlots(row, top).image(loaded(), 1, 2, 3, 4, 5, 3)
    for slot, record in ((row, BOOK_ROW), (top, BOOK_TOP)):
        end = 16 + record.codec.size
        assert slot[:16] == b"\xa5" * 16
        assert b"\xa5" * 4 not in slot[16:end]
        assert slot[end:] == bytes(len(slot) - end)


def test_more_levels_than_the_row_holds_are_flagged_and_still_counted_in_depth():
    book = MarketBook(1, 1)
    book.load(YES, [(f"0.{at:03}", "1") for at in range(1, 41)], [])
    row, top = image_of(book)
    assert row["book_flags"] == BookFlag.TRUNCATED
    assert (row["bid_count"], top["bid_count"]) == (32, 5)
    assert list(row["bid_price_e4"]) == list(range(400, 80, -10))
    assert row["bid_depth_e6"] == 40_000_000


@pytest.mark.parametrize("sizes", [(895, 256), (896, 255), (0, 0)])
def test_slots_that_are_too_small_are_refused(sizes):
    with pytest.raises(ValueError, match="slot was"):
        BookSlots(*map(bytearray, sizes))


def test_read_only_slots_are_refused():
    with pytest.raises(BufferError):
        BookSlots(bytes(896), bytearray(256))


def test_delta_moves_a_level_and_never_below_zero():
    book = loaded()
    assert book.delta(NO, BUY, "0.53", "-30.000001") == 2
    assert book.best(YES, ASK) == 5200
    assert book.delta(YES, BUY, "0.45", "3") == 1
    assert book.size_at(YES, BID, 4500) == 10_000_000
    assert book.delta(YES, BUY, "0.45", "-0.00") == 0
    before = state(book)
    with pytest.raises(RemoteProtocolError, match="below zero"):
        book.delta(YES, BUY, "0.45", "-10.01")
    for bad in ("--1", "-", "", "+1", "-+1", "1e1", None):
        with pytest.raises(RemoteProtocolError):
            book.delta(YES, BUY, "0.45", bad)
    assert state(book) == before


def test_an_empty_book_and_one_with_32_levels_are_small():
    book = MarketBook(1, 1)
    assert sys.getsizeof(book) < 300
    side = [f"0.{at}" for at in range(10, 42)]
    book.load(YES, [(at, "1") for at in side], [(f"0.{at}", "1") for at in range(50, 82)])
    assert sys.getsizeof(book) < 3 * 1024
