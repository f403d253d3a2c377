"""Neg-risk events: the sum of every YES means something only for a whole, healthy, plain set."""

import pytest

from lowlat.book._book import BookView, MarketBook
from lowlat.book.event_book import EventBook, EventMember, EventVerdict, member_of
from lowlat.book.fees import FeeSchedule
from lowlat.core.layout import (
    BOOK_ROW,
    BOOK_TOP,
    MARKET_ROW,
    Action,
    BookFlag,
    Known,
    MarketStatus,
    Outcome,
)
from lowlat.core.units import E6, NO_PRICE_E4

YES, NO = Outcome.YES, Outcome.NO
BUY, SELL = Action.BUY, Action.SELL
FEE = FeeSchedule(40_000, 1, taker_only=True)
ALIVE = {0: 1}


def member(market, **changes):
    facts = {
        "market": market, "generation": 1, "known": Known.TRADEABLE, "status": MarketStatus.ACTIVE,
        "neg_risk": True, "augmented": False, "event_market_count": 4, "fee": FEE,
    }  # fmt: skip
    return EventMember(**facts | changes)


def view_of(market, bid=None, ask=None, generation=1, flags=0):
    book = MarketBook(market, generation)
    book.load(YES, [(f"0.{bid:04}", "100")] if bid else [], [(f"0.{ask:04}", "100")] if ask else [])
    book.flags = flags
    book.connection_generation = 1
    row = bytearray(BOOK_ROW.size_bytes)
    book.image(row, bytearray(BOOK_TOP.size_bytes), 1, 1, 1, 1, 1, 3)
    return BookView(row)


def event(bids=(3600, 3000, 2400, 1600), asks=(3700, 3100, 2500, 1700)):
    book = EventBook(b"\1" * 32)
    for market, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        book.set_member(member(market))
        book.update(view_of(market, bid, ask))
    return book


def test_whole_healthy_set_is_tradeable_and_summed():
    book = event()
    assert book.verdict(ALIVE) == EventVerdict.TRADEABLE
    assert (book.bid_sum_e4(), book.ask_sum_e4()) == (10_600, 11_000)
    assert book.markets == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"augmented": True}, EventVerdict.AUGMENTED),
        ({"known": Known.TRADEABLE & ~Known.NEG_RISK}, EventVerdict.UNKNOWN),
        ({"known": Known.TRADEABLE & ~Known.FEE, "fee": None}, EventVerdict.UNKNOWN),
        ({"neg_risk": False}, EventVerdict.NOT_NEG_RISK),
        ({"event_market_count": 5}, EventVerdict.INCOMPLETE),
        ({"event_market_count": 0}, EventVerdict.INCOMPLETE),
        ({"status": MarketStatus.PAUSED}, EventVerdict.INACTIVE),
        ({"status": MarketStatus.UNKNOWN}, EventVerdict.INACTIVE),
        ({"generation": 2}, EventVerdict.NO_BOOK),
    ],
)
def test_one_market_spoils_the_set(changes, verdict):
    book = event()
    book.set_member(member(2, **changes))
    assert book.verdict(ALIVE) == verdict


def test_fee_that_the_integers_cannot_hold_is_unknown():
    book = event()
    book.set_member(member(2, fee=None))
    assert book.verdict(ALIVE) == EventVerdict.UNKNOWN
    with pytest.raises(ValueError, match="not complete"):
        book.walk(YES, BUY, 0)


def test_once_augmented_stays_so():
    book = event()
    book.set_member(member(9, augmented=True))
    book.remove(9)
    book.set_member(member(2))
    assert book.verdict(ALIVE) == EventVerdict.AUGMENTED


def test_missing_market_makes_the_set_incomplete_not_cheap():
    book = event()
    book.remove(3)
    assert book.verdict(ALIVE) == EventVerdict.INCOMPLETE
    assert EventBook(b"\1" * 32).verdict(ALIVE) == EventVerdict.INCOMPLETE


@pytest.mark.parametrize("shards", [{}, {0: 2}, {1: 1}])
def test_book_of_another_connection_is_stale(shards):
    assert event().verdict(shards) == EventVerdict.STALE


@pytest.mark.parametrize("flag", [BookFlag.STALE, BookFlag.DIVERGED])
def test_flagged_book_is_unhealthy(flag):
    book = event()
    book.update(view_of(1, 3000, 3100, flags=flag))
    assert book.verdict(ALIVE) == EventVerdict.UNHEALTHY


@pytest.mark.parametrize("ask", [3000, 2900])
def test_crossed_or_locked_book_is_unhealthy(ask):
    book = event()
    book.update(view_of(1, 3000, ask))
    assert book.verdict(ALIVE) == EventVerdict.UNHEALTHY


def test_sum_with_an_empty_side_is_no_price_and_comes_back():
    book = event()
    book.update(view_of(1, 3000, None))
    assert (book.bid_sum_e4(), book.ask_sum_e4()) == (10_600, NO_PRICE_E4)
    book.update(view_of(1, None, 3200))
    assert (book.bid_sum_e4(), book.ask_sum_e4()) == (NO_PRICE_E4, 11_100)
    book.update(view_of(1, 2900, 3200))
    assert (book.bid_sum_e4(), book.ask_sum_e4()) == (10_500, 11_100)


def test_empty_event_has_no_sum():
    book = EventBook(b"\1" * 32)
    assert book.ask_sum_e4() == book.bid_sum_e4() == NO_PRICE_E4


def test_book_of_a_foreign_market_or_generation_is_not_taken():
    book = event()
    assert not book.update(view_of(8, 100, 200))
    assert not book.update(view_of(1, 100, 200, generation=2))
    assert book.bid_sum_e4() == 10_600


def test_new_generation_forgets_the_old_book():
    book = event()
    book.set_member(member(1, generation=2))
    assert book.bid_sum_e4() == NO_PRICE_E4
    assert book.update(view_of(1, 3000, 3100, generation=2))
    assert book.bid_sum_e4() == 10_600


def test_selling_every_yes_and_buying_every_no_earn_the_same():
    book = event()
    sell, buy = book.walk(YES, SELL, 0), book.walk(NO, BUY, 0)
    assert sell.sets_e6 == buy.sets_e6 == 100 * E6
    assert sell.profit_e6 == buy.profit_e6
    assert round(sell.profit_e6 / 100 / E6, 4) == 0.0297


def test_buying_every_yes_is_walked_to_one_dollar():
    walk = event((3000, 2600, 2100, 1400), (3100, 2700, 2200, 1500)).walk(YES, BUY, 0)
    assert round(walk.profit_e6 / 100 / E6, 4) == 0.0216


def test_kept_book_does_not_follow_the_readers_buffer():
    book, view = event(), view_of(1, 2000, 2100)
    book.update(view)
    view.poison()
    assert book.walk(YES, SELL, 0).touch_prices_e4[1] == 2000


def test_member_of_takes_the_facts_of_a_row():
    row = MARKET_ROW.unpack(bytes(MARKET_ROW.size_bytes))._replace(
        market=5, generation=6, known=Known.FEE, status=1, neg_risk=1, neg_risk_augmented=1,
        event_market_count=7, fee_rate_e6=40_000, fee_exponent=1, fee_taker_only=1,
    )  # fmt: skip
    assert member_of(row) == EventMember(5, 6, Known.FEE, 1, True, True, 7, FEE)
