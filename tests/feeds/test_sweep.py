"""Markets without a socket: read in turn by REST, fresh while answers come, stale otherwise."""

import json

import pytest

from lowlat.core.layout import BookFlag, Watch

SECOND = 1_000_000_000


@pytest.fixture
def polled(make_rig, make_row):
    rig = make_rig(markets=0, sweep_per_s=10)
    for market in range(3):
        rig.put_market(make_row(market)._replace(watch=Watch.POLL))
    return rig.start()


def answer(rig, status=200, **book):
    """Answer every question that is under way; return the markets asked about."""
    asked, rig.fetch.asked = rig.fetch.asked, []
    markets = []
    for path, done in asked:
        market = next(
            each for each in range(8) if path.endswith(rig.wire.rest_book(each)["asset_id"])
        )
        markets.append(market)
        body = rig.wire.rest_book(market, bids=(("0.46", "5"),), asks=(("0.49", "7"),), **book)
        done(status, json.dumps(body).encode(), rig.clock.monotonic_ns())
    return markets


def test_polled_markets_need_no_socket_and_are_read_in_turn(polled):
    assert polled.connections == []
    asked = []
    for _ in range(12):
        polled.turn(100_000_000)
        asked += answer(polled)
    assert set(asked) == {0, 1, 2}
    assert 10 <= len(asked) <= 17, "ten a second"
    assert max(asked.count(each) for each in range(3)) <= 6
    for market in range(3):
        assert polled.fresh(market)
        assert polled.books.row(market).bid_price_e4[0] == 4600


def test_a_book_that_cannot_be_read_again_is_stale_though_others_are_read(polled):
    polled.turn(400_000_000)
    answer(polled)
    polled.turn(SECOND)
    failing = answer(polled, status=503)
    assert failing
    for market in failing:
        assert polled.books.row(market).book_flags & BookFlag.STALE
    assert polled.counts["polymarket.swept_failed"] == len(failing)
    polled.turn(SECOND)
    answer(polled, at_ms=5)
    assert polled.books.row(failing[0]).book_flags == 0


def test_an_answer_about_another_market_is_refused(polled):
    polled.turn(100_000_000)
    (_, done), *_ = polled.fetch.asked
    done(200, json.dumps(polled.wire.rest_book(7)).encode(), 1)
    assert polled.counts["polymarket.swept_failed"] == 1


def test_a_market_moves_between_sweep_and_socket(polled, make_row):
    polled.turn(400_000_000)
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
        polled.turn(100_000_000)
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
        polled.turn(100_000_000)
        assert 1 not in answer(polled)
