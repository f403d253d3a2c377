"""The metadata engine asks: sweep, new listings, retries, outages, who is asked about first."""

from metadata_kit import SECOND

from lowlat.core.interest import Interest
from lowlat.core.layout import (
    NO_MARKET,
    MarketStateReason,
)


def test_sweep_follows_every_page(make):
    rig = make(rows=8)
    for market in range(7):
        rig.venue.add(market)
    rig.start(4 * SECOND)
    assert rig.counts["metadata.markets"] == 7
    assert rig.counts["metadata.sweeps"] == 1


def test_new_listing_is_found_within_two_seconds_of_polls(make):
    rig = make()
    rig.start(4 * SECOND)
    rig.venue.add(3)
    rig.run(3 * SECOND)
    assert rig.row() is not None


def test_announced_market_without_a_row_asks_for_the_newest_at_once(make):
    rig = make(newest_ns=3600 * SECOND)
    rig.start(2 * SECOND)
    rig.venue.add(3)
    rig.push(MarketStateReason.LISTED, market=NO_MARKET)
    rig.run(SECOND)
    assert rig.row() is not None


def test_market_the_clob_does_not_know_yet_is_retried_until_it_does(make):
    rig = make()
    rig.venue.add(1)
    clob = rig.venue.clob.pop(rig.venue.cid(1))
    rig.start(30 * SECOND)
    assert rig.row() is None
    asked = sum("clob-markets" in path for path in rig.venue.asked)
    assert 2 <= asked <= 5
    assert rig.counts["metadata.not_yet_on_clob"] == asked
    rig.venue.clob[rig.venue.cid(1)] = clob
    rig.run(61 * SECOND)
    assert rig.row() is not None


def test_many_listings_at_once_are_found_without_waiting_for_the_sweep(make):
    rig = make(rows=64, newest_count=3)
    rig.start(4 * SECOND)
    for market in range(20):
        rig.venue.add(market)
    rig.run(int(1.9 * SECOND))
    assert len(rig.watched()) == 20


def test_the_age_of_the_sweep_is_a_metric(make):
    rig = make(sweep_ns=10 * SECOND)
    rig.venue.add(1)
    rig.start(5 * SECOND)
    assert 3 * SECOND <= rig.counts["metadata.sweep_age_ns"] <= 5 * SECOND
    rig.venue.down = True
    rig.run(50 * SECOND)
    assert rig.counts["metadata.sweep_age_ns"] > 40 * SECOND, "a sweep that fails grows old"


def test_trading_volume_alone_asks_the_clob_nothing(make):
    rig = make()
    rig.venue.add(1)
    rig.start()
    for step in range(5):
        rig.venue.events[1]["markets"][0]["volume24hr"] = step + 20
        rig.run(3 * SECOND)
    assert sum("clob-markets" in path for path in rig.venue.asked) == 1


def test_outage_is_counted_and_survived(make):
    rig = make()
    rig.venue.add(1)
    rig.venue.down = True
    rig.start(10 * SECOND)
    assert rig.counts["metadata.requests_failed"] > 0
    rig.venue.down = False
    rig.run(10 * SECOND)
    assert rig.row() is not None


def test_dead_cursor_begins_the_sweep_again(make):
    rig = make(rows=8, newest_ns=3600 * SECOND, newest_count=1)
    for market in range(5):
        rig.venue.add(market)
    page = rig.venue.page
    rig.venue.page = lambda query: b"{" if "after_cursor" in query else page(query)
    rig.start(20 * SECOND)
    assert rig.counts["metadata.malformed"] >= 3
    rig.venue.page = page
    rig.run(60 * SECOND)
    assert rig.counts["metadata.markets"] == 5
    first_pages = [path for path in rig.venue.asked if "after_cursor" not in path]
    assert len(first_pages) >= 2


def test_new_listing_is_asked_about_before_an_overdue_host_of_known_markets(make):
    rig = make(rows=64, asked_max=4, refresh_ns=2 * SECOND)
    for market in range(40):
        rig.venue.add(market)
    rig.start(30 * SECOND)
    assert rig.counts["metadata.markets"] == 40
    # Two hours without one answer: everything is overdue, and its questions fill their places.
    rig.slow = lambda _path: True
    rig.run(2 * 3600 * SECOND, 60 * SECOND)
    waiting = [path for path, _ in rig.pending if "/clob-markets/" in path]
    assert len(waiting) == 3, "one place of four stays free for new markets"
    rig.venue.add(50)
    rig.slow = lambda path: "/clob-markets/" in path and rig.venue.cid(50) not in path
    rig.run(2 * SECOND)
    assert b"market-50" in {rig.row(at).slug.rstrip(b"\0") for at in range(41) if rig.row(at)}


def test_new_markets_are_asked_about_by_the_priority_that_wants_them(make):
    rig = make(rows=64, asked_max=1)
    rig.want(Interest(100, slug_prefixes=("wanted",)))
    for market in range(20):
        rig.venue.add(market)
    rig.venue.add(30, slug="wanted-30")
    rig.start(4 * SECOND)
    asked = [path for path in rig.venue.asked if "/clob-markets/" in path]
    place = next(at for at, path in enumerate(asked) if rig.venue.cid(30) in path)
    assert place <= 3, "it overtakes what was listed a little before"


def test_question_that_failed_late_is_asked_again(make):
    rig = make()
    rig.venue.add(1)
    rig.slow = lambda path: "/clob-markets/" in path
    rig.start(20 * SECOND)
    [(path, done)] = [one for one in rig.pending if "/clob-markets/" in one[0]]
    rig.pending = [one for one in rig.pending if one[0] != path]
    rig.slow = lambda _path: False
    done(0, b"", rig.clock.monotonic_ns())
    rig.run(10 * SECOND)
    assert rig.row() is not None
