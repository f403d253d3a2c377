"""Kalshi books: numbering over a whole subscription, both price conventions, gaps and repair."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.book._book import ASK, BID, MarketBook
from lowlat.book.delta_book import GAP, DeltaBooks
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import BookFlag, Outcome, Venue

YES, NO = Outcome.YES, Outcome.NO


def subscription(*tickers, use_yes_price=False):
    books = DeltaBooks(use_yes_price=use_yes_price)
    markets = [MarketBook(at, 1, Venue.KALSHI) for at, _ in enumerate(tickers)]
    for ticker, book in zip(tickers, markets, strict=True):
        books.add(ticker, book)
    return books, *markets


def running():
    books, one, two = subscription("A", "B")
    books.snapshot(1, "A", [("0.4100", "10.00")], [("0.5600", "17.50")])
    books.snapshot(2, "B", [("0.2000", "1.00")], [])
    return books, one, two


def test_bids_of_both_sides_make_one_ladder():
    books, one, two = running()
    assert one.levels(YES, BID) == [(4100, 10_000_000)]
    assert one.levels(YES, ASK) == [(4400, 17_500_000)]
    assert one.best(NO, BID) == 5600
    assert two.count(YES, ASK) == 0
    assert (books.missing, one.flags, two.flags) == (set(), 0, 0)


def test_yes_priced_no_levels_are_asks_as_they_stand():
    books, one = subscription("A", use_yes_price=True)
    assert books.snapshot(1, "A", [("0.41", "10")], [("0.44", "17.5")]) == 3
    assert one.best(YES, ASK) == 4400
    assert books.delta(2, "A", "no", "0.44", "-17.50") == 2
    assert one.count(YES, ASK) == 0


def test_deltas_change_levels_and_zero_removes():
    books, one, _ = running()
    assert books.delta(3, "A", "yes", "0.4100", "5.25") == 1
    assert one.size_at(YES, BID, 4100) == 15_250_000
    assert books.delta(4, "A", "no", "0.5600", "-17.50") == 2
    assert one.count(YES, ASK) == 0
    assert books.delta(5, "A", "no", "0.5700", "1") == 2
    assert one.best(YES, ASK) == 4300


def test_gap_loses_every_market_until_its_own_snapshot():
    books, one, two = running()
    assert books.delta(4, "A", "yes", "0.4100", "5") == GAP
    assert books.missing == {"A", "B"}
    assert one.flags == two.flags == BookFlag.STALE
    assert one.count(YES, BID) == 0
    assert books.delta(5, "A", "yes", "0.4100", "5") == 0
    assert one.count(YES, BID) == 0
    assert books.snapshot(6, "A", [("0.42", "3")], []) == 3
    assert (books.missing, one.flags, two.flags) == ({"B"}, 0, BookFlag.STALE)
    assert books.delta(7, "A", "yes", "0.42", "1") == 1
    assert books.gaps == 1


def test_snapshot_that_reveals_a_gap_repairs_its_own_market():
    books, one, _ = running()
    assert books.snapshot(9, "A", [("0.42", "3")], []) == GAP
    assert (books.missing, one.flags) == ({"B"}, 0)
    assert one.best(YES, BID) == 4200


def test_answers_consume_numbers():
    books, one, _ = running()
    assert books.number(3) == 0
    assert books.delta(4, "A", "yes", "0.41", "1") == 1
    assert books.number(6) == GAP
    assert one.flags == BookFlag.STALE


def test_repeated_numbers_are_counted_and_change_nothing():
    books, one, _ = running()
    for call in (books.delta, lambda *args: books.snapshot(*args[:2], [], [])):
        assert call(2, "A", "yes", "0.41", "5") == 0
    assert one.levels(YES, BID) == [(4100, 10_000_000)]
    assert books.duplicates == 2


def test_foreign_ticker_consumes_its_number_and_is_counted():
    books, one, _ = running()
    books.remove("B")
    assert books.delta(3, "B", "yes", "0.2", "5") == 0
    assert books.snapshot(4, "C", [], []) == 0
    assert books.delta(5, "A", "yes", "0.41", "1") == 1
    assert (books.strangers, one.flags) == (2, 0)


@pytest.mark.parametrize(
    ("side", "price", "delta"),
    [
        ("yes", "0.41", "-10.01"),
        ("yes", "0.43", "-1"),
        ("maybe", "0.41", "1"),
        ("yes", "0.41001", "1"),
        ("yes", "1.00", "1"),
        ("no", "0.41", "NaN"),
        ("no", None, "1"),
        (None, "0.41", "1"),
    ],
)
def test_bad_delta_makes_that_market_unknown_and_no_other(side, price, delta):
    books, one, two = running()
    with pytest.raises(RemoteProtocolError):
        books.delta(3, "A", side, price, delta)
    assert (books.missing, one.flags, two.flags) == ({"A"}, BookFlag.STALE, 0)
    assert books.delta(4, "B", "yes", "0.2", "1") == 1


def test_bad_snapshot_leaves_the_market_missing():
    books, one, _ = running()
    for bad in ([("0.5", "-1")], [("0.5",)], None):
        with pytest.raises(RemoteProtocolError):
            books.snapshot(books.seq + 1, "A", bad, [])
        assert ("A" in books.missing, one.flags) == (True, BookFlag.STALE)


@pytest.mark.parametrize("seq", [0, -1, None, "3", 3.0, True])
def test_bad_number_raises(seq):
    books, *_ = running()
    with pytest.raises(RemoteProtocolError, match="seq was"):
        books.number(seq)
    assert books.seq == 2


def test_restart_begins_at_one_with_every_book_unknown():
    books, one, _ = running()
    books.restart()
    assert (books.missing, one.flags) == ({"A", "B"}, BookFlag.STALE)
    assert books.snapshot(1, "A", [("0.41", "1")], []) == 3


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(-3, 6)), max_size=40),
    st.sets(st.integers(0, 39), max_size=2),
)
def test_book_is_either_true_or_marked_stale_when_messages_are_lost(steps, lost):
    books, one = subscription("A")
    books.snapshot(1, "A", [], [])
    held = {}
    for at, (is_yes, tenth, wish) in enumerate(steps):
        key = (is_yes, tenth)
        change = max(wish, -held.get(key, 0))
        held[key] = held.get(key, 0) + change
        if at not in lost:
            books.delta(at + 2, "A", "yes" if is_yes else "no", f"0.{tenth}", str(change))
    books.number(len(steps) + 2)
    if lost & set(range(len(steps))):
        assert one.flags & BookFlag.STALE
        assert one.count(YES, BID) == one.count(NO, BID) == 0
    else:
        for token, is_yes in ((YES, True), (NO, False)):
            expected = {p * 1000: s * 10**6 for (y, p), s in held.items() if y == is_yes and s}
            assert dict(one.levels(token, BID)) == expected
