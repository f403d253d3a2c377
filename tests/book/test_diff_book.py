"""Binance books: buffer, snapshot, join, gaps; against a venue that keeps the true book.

The worked messages have the shapes of feeds.md 1.3 with numbers of our own.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.book._book import ASK, BID, parse_levels
from lowlat.book.diff_book import DiffBook, DiffResult
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.units import NO_PRICE_E8

SNAPSHOT = ([(100, 5), (99, 7)], [(101, 3), (103, 9)])


def live(last_update_id=50):
    book = DiffBook()
    assert book.snapshot(last_update_id, *SNAPSHOT)
    return book


def test_worked_messages_from_text_to_book():
    book = DiffBook()
    bids = parse_levels([["98123.45", "1.2345"], ["98123.00", "0.00000000"]], 8, 8)
    asks = parse_levels([["98123.46", "0.678"]], 8, 8)
    assert book.diff(103, 107, bids, asks) == DiffResult.BUFFERED
    old = parse_levels([["98123.00", "2"], ["98122.99", "0.5"]], 8, 8)
    assert book.snapshot(104, old, [])
    assert book.update_id == 107
    assert book.ladder.levels(BID) == [
        (9_812_345_000_000, 123_450_000),
        (9_812_299_000_000, 50_000_000),
    ]
    assert book.ladder.best(ASK) == 9_812_346_000_000


def test_new_book_is_not_live_and_answers_no_price():
    book = DiffBook()
    assert (book.live, book.update_id, book.ladder.best(BID)) == (False, 0, NO_PRICE_E8)


def test_snapshot_older_than_the_first_diff_asks_for_another():
    book = DiffBook()
    book.diff(60, 61, [], [])
    assert not book.snapshot(58, *SNAPSHOT)
    assert not book.live
    assert book.snapshot(59, *SNAPSHOT)
    assert book.update_id == 61


def test_diffs_the_snapshot_holds_already_are_thrown_away():
    book = DiffBook()
    book.diff(40, 45, [(100, 1)], [])
    book.diff(46, 50, [(100, 2)], [])
    book.diff(51, 52, [(99, 8)], [])
    assert book.snapshot(50, *SNAPSHOT)
    assert book.ladder.levels(BID) == [(100, 5), (99, 8)]
    assert book.update_id == 52


def test_diff_that_spans_the_snapshot_is_applied():
    book = DiffBook()
    book.diff(45, 55, [(100, 2)], [(101, 0)])
    assert book.snapshot(50, *SNAPSHOT)
    assert (book.ladder.best_size(BID), book.ladder.best(ASK)) == (2, 103)


def test_live_diffs_apply_in_order_and_repeats_are_ignored():
    book = live()
    assert book.diff(51, 53, [(100, 0)], [(101, 0), (102, 4), (200, 0)]) == DiffResult.APPLIED
    assert (book.ladder.best(BID), book.ladder.best(ASK)) == (99, 102)
    assert book.diff(51, 53, [(100, 9)], []) == DiffResult.IGNORED
    assert book.diff(52, 54, [(100, 1)], []) == DiffResult.APPLIED
    assert (book.ladder.best(BID), book.update_id) == (100, 54)


def test_gap_starts_over_with_the_diff_that_showed_it():
    book = live()
    assert book.diff(52, 53, [(100, 9)], []) == DiffResult.GAP
    assert (book.live, book.gaps, book.ladder.count(BID)) == (False, 1, 0)
    assert book.snapshot(51, *SNAPSHOT)
    assert (book.update_id, book.ladder.best_size(BID)) == (53, 9)


def test_gap_inside_the_buffer_asks_for_a_newer_snapshot():
    book = DiffBook()
    book.diff(51, 52, [(100, 1)], [])
    book.diff(55, 56, [(100, 2)], [])
    assert not book.snapshot(50, *SNAPSHOT)
    assert (book.live, book.gaps, book.ladder.count(ASK)) == (False, 1, 0)
    assert book.snapshot(54, *SNAPSHOT)
    assert (book.update_id, book.ladder.best_size(BID)) == (56, 2)


def test_buffer_is_bounded_and_a_lost_head_only_asks_for_a_newer_snapshot():
    book = DiffBook(buffered_max=3)
    for at in range(51, 61):
        book.diff(at, at, [(100, at)], [])
    assert not book.snapshot(56, *SNAPSHOT)
    assert book.snapshot(57, *SNAPSHOT)
    assert (book.update_id, book.ladder.best_size(BID)) == (60, 60)


def test_snapshot_while_live_changes_nothing():
    book = live()
    assert book.snapshot(90, [(1, 1)], [])
    assert (book.update_id, book.ladder.best(BID)) == (50, 100)


def test_restart_forgets_the_buffer_too():
    book = live()
    book.restart()
    book.diff(70, 71, [], [])
    book.restart()
    assert book.snapshot(10, *SNAPSHOT)


def test_bad_level_in_a_diff_starts_over():
    book = live()
    with pytest.raises(RemoteProtocolError):
        book.diff(51, 51, [(100, 1), (99, -1)], [])
    assert (book.live, book.update_id, book.ladder.count(BID)) == (False, 0, 0)


def test_bad_level_in_a_snapshot_starts_over():
    book = DiffBook()
    with pytest.raises(RemoteProtocolError):
        book.snapshot(5, [(100, -1)], [])
    assert (book.live, book.ladder.count(BID)) == (False, 0)


@pytest.mark.parametrize("ids", [(0, 1), (5, 4), (-2, -1)])
def test_impossible_ids_raise_and_change_nothing(ids):
    book = live()
    with pytest.raises(RemoteProtocolError):
        book.diff(*ids, [(100, 1)], [])
    with pytest.raises(RemoteProtocolError):
        DiffBook().snapshot(min(ids[0], 0), [], [])
    assert (book.live, book.ladder.best_size(BID)) == (True, 5)


def test_levels_beyond_the_cap_start_over():
    book = DiffBook(levels_max=2)
    book.snapshot(50, *SNAPSHOT)
    with pytest.raises(RemoteProtocolError, match="full"):
        book.diff(51, 51, [(98, 1)], [])
    assert not book.live


UPDATES = st.lists(
    st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 12), st.integers(0, 4)), max_size=4
)


@settings(max_examples=60)
@given(st.lists(st.tuples(UPDATES, st.sampled_from("kkkkkdrs"), st.integers(0, 3)), max_size=40))
def test_a_live_book_is_always_the_true_book_at_its_update_id(steps):
    book, true, history, next_id = DiffBook(), ({}, {}), [], 1
    for updates, fate, back in steps:
        first = next_id
        next_id += max(len(updates), 1)
        for side, price, size in updates:
            true[side][price] = size
        history.append((next_id - 1, tuple(dict(side) for side in true)))
        diff = [[(p, s) for side, p, s in updates if side == which] for which in (BID, ASK)]
        if fate != "d":
            book.diff(first, next_id - 1, *diff)
        if fate == "r":
            book.diff(first, next_id - 1, *diff)
        if fate == "s":
            last_id, levels = history[-1 - min(back, len(history) - 1)]
            book.snapshot(last_id, *[list(side.items()) for side in levels])
        if book.live:
            levels = dict(history)[book.update_id]
            for side in (BID, ASK):
                held = {price: size for price, size in levels[side].items() if size}
                assert dict(book.ladder.levels(side)) == held
