"""Markets without a socket: many read at a time by REST, fresh while they are, stale otherwise."""

import hashlib
import json

import pytest

from lowlat.core.layout import BookFlag, Watch
from lowlat.feeds.params import PolymarketFeedParams

SECOND = 1_000_000_000


@pytest.fixture
def polled(make_rig, make_row):
    rig = make_rig(markets=0)
    for market in range(3):
        rig.put_market(make_row(market)._replace(watch=Watch.POLL))
    return rig.start()


def asked_of(rig, path, done):
    """Return the markets that one question is about."""
    tokens = [each["token_id"] for each in json.loads(rig.fetch.bodies[path, done])]
    known = {rig.wire.rest_book(each)["asset_id"]: each for each in range(16)}
    return [known[token] for token in tokens]


def answer(rig, status=200, omit=(), hash_of=None, **book):
    """Answer every question for many books that is under way; return the markets asked about."""
    asked, rig.fetch.asked = rig.fetch.asked, []
    markets = []
    for path, done in asked:
        assert path == "/books"
        books = []
        for market in asked_of(rig, path, done):
            markets.append(market)
            body = {"bids": (("0.46", "5"),), "asks": (("0.49", "7"),)} | book
            text = rig.wire.rest_book(market, **body)
            text["hash"] = hash_of or hashlib.sha1(json.dumps(text).encode()).hexdigest()
            books += [] if market in omit else [text]
        done(status, json.dumps(books).encode(), rig.clock.monotonic_ns())
    take(rig)
    return markets


def take(rig):
    """Let the feed take apart what was answered, without time going by."""
    while rig.feed.turn(rig.clock.monotonic_ns()):
        pass


def test_polled_markets_need_no_socket_and_are_read_together_each_second(polled):
    assert polled.connections == []
    asked = []
    for _ in range(50):
        polled.turn(100_000_000)
        asked += answer(polled)
    for market in range(3):
        assert 4 <= asked.count(market) <= 6, "five seconds went by"
        assert polled.fresh(market)
        assert polled.books.row(market).bid_price_e4[0] == 4600


def test_questions_keep_to_their_size_and_rate(make_rig, make_row):
    rig = make_rig(markets=0, rows=16, sweep_books=2, sweep_per_s=10)
    for market in range(9):
        rig.put_market(make_row(market)._replace(watch=Watch.POLL))
    rig.start()
    questions, asked = 0, []
    for _ in range(100):
        rig.turn(100_000_000)
        questions += len(rig.fetch.asked)
        assert all(len(asked_of(rig, *each)) <= 2 for each in rig.fetch.asked)
        asked += answer(rig)
    assert 48 <= questions <= 52, "five a second"
    assert {asked.count(each) for each in range(9)} <= {10, 11, 12}, "all in turn"


def test_no_more_is_asked_while_answers_are_missing_or_not_taken(make_rig, make_row):
    rig = make_rig(markets=0, rows=16, sweep_books=1, sweep_per_s=40, sweep_in_flight_max=2)
    for market in range(9):
        rig.put_market(make_row(market)._replace(watch=Watch.POLL))
    rig.start()
    for _ in range(20):
        rig.turn(100_000_000)
    assert len(rig.fetch.asked) == 2


def test_failed_question_says_nothing_about_books_until_they_are_too_old(polled):
    polled.turn(SECOND)
    answer(polled)
    polled.turn(2 * SECOND)
    failing = answer(polled, status=503)
    assert sorted(failing) == [0, 1, 2]
    assert polled.counts["polymarket.swept_failed"] == 3
    assert all(polled.fresh(each) for each in range(3))
    for _ in range(12):
        polled.turn(SECOND)
        answer(polled, status=503)
    assert all(polled.books.row(each).book_flags & BookFlag.STALE for each in range(3))
    assert polled.counts["polymarket.swept_late"] == 3
    polled.turn(2 * SECOND)
    answer(polled, at_ms=5)
    assert all(polled.books.row(each).book_flags == 0 for each in range(3))


def test_book_that_the_venue_leaves_out_is_stale_at_once_though_others_are_read(polled):
    polled.turn(SECOND)
    answer(polled)
    polled.turn(2 * SECOND)
    assert 1 in answer(polled, omit=(1,), at_ms=5)
    assert polled.books.row(1).book_flags & BookFlag.STALE
    assert polled.fresh(0)
    assert polled.fresh(2)
    assert polled.counts["polymarket.swept_failed"] == 1


def test_book_of_the_same_hash_is_not_loaded_again_but_stays_fresh(polled):
    polled.turn(SECOND)
    answer(polled, hash_of="a")
    published = len(polled.tops())
    for _ in range(15):
        polled.turn(SECOND)
        # The levels would differ; the hash says that they do not.
        answer(polled, hash_of="a", bids=(("0.47", "5"),), at_ms=9)
    assert polled.tops() == []
    assert published >= 3
    assert all(polled.fresh(each) for each in range(3))
    polled.turn(SECOND)
    answer(polled, hash_of="b", bids=(("0.47", "5"),), at_ms=10)
    assert polled.books.row(0).bid_price_e4[0] == 4700


def test_hash_of_a_book_in_doubt_is_not_believed(polled):
    polled.turn(SECOND)
    answer(polled, hash_of="a", bids=(("0.50", "5"),), asks=(("0.49", "7"),))
    assert polled.books.row(0).book_flags & BookFlag.CROSSED
    polled.fetch.asked.clear()
    polled.turn(2 * SECOND)
    polled.fetch.asked = [each for each in polled.fetch.asked if each[0] == "/books"]
    answer(polled, hash_of="a", at_ms=5)
    assert not polled.books.row(0).book_flags & BookFlag.CROSSED


@pytest.mark.parametrize("body", [b"", b"{}", b'[{"asset_id":1}]', b'[{"hash":"x"}]', b"[7]"])
def test_answer_that_is_no_list_of_books_is_counted_and_loads_nothing(polled, body):
    polled.turn(SECOND)
    [(_, done)] = polled.fetch.asked
    polled.fetch.asked.clear()
    done(200, body, polled.clock.monotonic_ns())
    take(polled)
    assert polled.counts["polymarket.swept_failed"] == 3
    assert polled.notes
    assert polled.tops() == []


def test_an_answer_about_another_market_is_refused(polled):
    polled.turn(SECOND)
    [(_, done)] = polled.fetch.asked
    done(200, json.dumps([polled.wire.rest_book(7)]).encode(), 1)
    take(polled)
    assert polled.counts["polymarket.swept_failed"] == 4, "what came, and the three that did not"
    assert polled.counts["polymarket.swept"] == 0


def test_a_market_moves_between_sweep_and_socket(polled, make_row):
    polled.turn(SECOND)
    answer(polled)
    polled.announce(make_row(1)._replace(watch=Watch.SOCKET))
    polled.turn()
    polled.turn()
    assert len(polled.connections) == 1
    assert polled.books.row(1).book_flags & BookFlag.STALE, "until its socket brings a book"
    polled.connections[0].open()
    polled.dump(1)
    assert polled.fresh(1)
    for _ in range(8):
        polled.turn(500_000_000)
        assert 1 not in answer(polled)
    polled.announce(make_row(1)._replace(watch=Watch.POLL))
    polled.turn()
    assert polled.connections[0].closed
    polled.turn(200_000_000)
    answer(polled, at_ms=9)
    assert polled.fresh(1)
    polled.announce(make_row(1)._replace(watch=Watch.NONE))
    polled.turn()
    for _ in range(8):
        polled.turn(500_000_000)
        assert 1 not in answer(polled)


def test_rates_beyond_the_venue_are_refused():
    with pytest.raises(ValueError, match="sweep_books was 501, expected 1 to 500"):
        PolymarketFeedParams(sweep_books=501)
    with pytest.raises(ValueError, match="sweep_per_s was 2501, expected 1 to 50 times"):
        PolymarketFeedParams(sweep_per_s=2_501)
