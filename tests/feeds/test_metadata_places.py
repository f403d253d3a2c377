"""The metadata engine chooses: which markets get a row, how each is followed, why others do not."""

import pytest
from metadata_kit import SECOND, START_S

from lowlat.core.interest import Interest
from lowlat.core.layout import (
    ListingReason,
    MarketStateReason,
    MarketStatus,
    Watch,
)
from lowlat.feeds.params import UniverseParams


def test_filters_keep_markets_out_and_say_why(make):
    universe = UniverseParams(
        tags=("crypto",), slug_prefixes=("a", "b"), slug_prefixes_excluded=("b",),
        liquidity_e6_min=500_000_000,
    )  # fmt: skip
    rig = make(universe=universe)
    rig.venue.add(1, slug="a-1", tags=("crypto",))
    rig.venue.add(2, slug="a-2", tags=("sport",))
    rig.venue.add(3, slug="b-3", tags=("crypto",))
    rig.venue.add(4, slug="c-4", tags=("crypto",))
    rig.venue.add(5, slug="a-5", tags=("crypto",), liquidityNum=499.99)
    rig.start(4 * SECOND)
    assert rig.counts["metadata.markets"] == 1
    expected = {
        rig.venue.cid(2): ListingReason.NO_WANTED_TAG,
        rig.venue.cid(3): ListingReason.SLUG_EXCLUDED,
        rig.venue.cid(4): ListingReason.NO_WANTED_SLUG,
        rig.venue.cid(5): ListingReason.LIQUIDITY,
    }
    # The sweep asks for the wanted tag only; without it the newest listings show the others.
    expected = {one: why for one, why in expected.items() if one in rig.engine.news.refused}
    assert len(expected) >= 3
    assert expected == rig.engine.news.refused
    assert rig.told() == expected


def test_cap_on_markets_holds(make):
    rig = make(universe=UniverseParams(markets_max=2), rows=8)
    for market in range(5):
        rig.venue.add(market)
    rig.start(4 * SECOND)
    assert rig.counts["metadata.markets"] == 2
    assert ListingReason.OUTRANKED in rig.engine.news.refused.values()


def test_what_a_module_wants_takes_the_places_of_what_nobody_wants(make):
    rig = make(universe=UniverseParams(markets_max=2, stay_ns=5 * SECOND), rows=8)
    for market in range(3):
        rig.venue.add(market, liquidityNum=1000 * (3 - market))
    rig.start(4 * SECOND)
    assert rig.watched() == {"market-0": Watch.SOCKET, "market-1": Watch.SOCKET}
    rig.want(Interest(100, slug_prefixes=("market-2",)))
    rig.run(10 * SECOND)
    assert rig.watched() == {
        "market-0": Watch.SOCKET, "market-1": Watch.NONE, "market-2": Watch.SOCKET,
    }  # fmt: skip
    row = rig.row(2)
    assert (row.priority, row.score_usd) == (100, 960)
    assert row.end_ns, "a market is only followed with its listing, also when it gets in late"


def test_what_becomes_ours_gets_its_place_back_and_keeps_it(make):
    held = set()
    rig = make(
        universe=UniverseParams(markets_max=1, stay_ns=0), rows=8, held=lambda row: row in held
    )
    rig.venue.add(0)
    rig.start(4 * SECOND)
    rig.want(Interest(5, slug_prefixes=("market-1",)))
    rig.venue.add(1)
    rig.run(4 * SECOND)
    assert rig.watched() == {"market-0": Watch.NONE, "market-1": Watch.SOCKET}
    held.add(0)
    rig.ours = {0}
    rig.run(7 * SECOND)
    assert rig.watched() == {"market-0": Watch.SOCKET, "market-1": Watch.NONE}
    rig.want(Interest(900, slug_prefixes=("market-1",)))
    rig.run(20 * SECOND)
    assert rig.watched()["market-0"] is Watch.SOCKET


def test_an_ended_market_of_which_we_hold_shares_gets_a_row_whatever_the_filters_say(make):
    rig = make(universe=UniverseParams(tags=("sports",), fee_rate_e6_max=0), rows=8)
    rig.venue.add(0)
    rig.venue.close(0, winner=1)
    rig.start(4 * SECOND)
    assert rig.row() is None
    rig.unlisted = {rig.tools.token(0, 1)}
    rig.run(SECOND)
    row = rig.row()
    assert "0x" + row.condition_id.hex() == rig.venue.cid(0)
    assert row.status != MarketStatus.ACTIVE
    rig.unlisted = set()
    rig.run(30 * SECOND)
    assert (rig.row().status, rig.row().winner) == (MarketStatus.RESOLVED, 2)


def test_a_running_market_that_no_filter_wants_gets_a_row_for_what_is_held(make):
    rig = make(universe=UniverseParams(tags=("sports",)), rows=8)
    rig.venue.add(0)
    rig.unlisted = {rig.tools.token(0, 0)}
    rig.start(SECOND)
    assert rig.row().status == MarketStatus.ACTIVE
    assert rig.engine.instruments.by_token[rig.tools.token(0, 0)].index == 0


def test_a_token_that_the_venue_does_not_know_is_asked_for_now_and_then(make):
    rig = make(rows=8)
    rig.unlisted = {"12345"}
    rig.start(21 * SECOND)
    asked = [path for path in rig.venue.asked if "clob_token_ids=12345" in path]
    assert 8 <= len(asked) <= 12
    assert rig.row() is None


def test_the_last_rows_are_no_markets(make):
    rig = make(rows=8)
    for market in range(9):
        rig.venue.add(market)
    rig.start(20 * SECOND)
    assert rig.row(6) is not None
    assert rig.row(7) is None


def test_beyond_the_sockets_markets_are_read_by_rest(make):
    rig = make(universe=UniverseParams(markets_max=3, socket_tokens_max=4), rows=8)
    for market in range(4):
        rig.venue.add(market, liquidityNum=1000 * (4 - market))
    rig.start(6 * SECOND)
    assert rig.watched() == {
        "market-0": Watch.SOCKET, "market-1": Watch.SOCKET, "market-2": Watch.POLL,
    }  # fmt: skip


def test_a_window_gets_its_place_when_it_comes_near(make):
    rig = make(universe=UniverseParams(markets_max=1, stay_ns=0), rows=8)
    rig.want(Interest(100, slug_prefixes=("btc-updown",), ends_within_ns=600 * SECOND))
    rig.venue.add(0)
    rig.venue.add(1, crypto=True)
    rig.start(10 * SECOND)
    assert rig.watched() == {"market-0": Watch.SOCKET}, "it ends in 900 s"
    rig.run(300 * SECOND, step_ns=SECOND)
    assert rig.watched()[f"btc-updown-5m-{START_S}"] is Watch.SOCKET
    assert rig.watched()["market-0"] is Watch.NONE


@pytest.mark.parametrize(
    ("filters", "changes", "reason"),
    [
        ({"fee_rate_e6_max": 0}, {"feesEnabled": True}, ListingReason.FEE),
        ({"delay_ms_max": 999}, {"secondsDelay": 1}, ListingReason.DELAY),
        ({"rules_words": ("Signed",)}, {"description": "if passed"}, ListingReason.RULES_TEXT),
        ({"rules_words": ("signed",)}, {}, ListingReason.RULES_TEXT),
        (
            {"rules_words_excluded": ("consensus of",)},
            {"description": "by a Consensus  of reporting"},
            ListingReason.RULES_TEXT,
        ),
        ({"series": ("nba",)}, {}, ListingReason.NO_WANTED_SERIES),
        ({"wanted_only": True}, {}, ListingReason.NO_MODULE),
    ],
)
def test_each_filter_keeps_out_what_it_says(make, filters, changes, reason):
    rig = make(universe=UniverseParams(**filters))
    rig.venue.add(1, **changes)
    if "feesEnabled" in changes:
        rig.venue.clob[rig.venue.cid(1)]["fd"] = {"r": 0.05, "e": 1, "to": True}
    rig.start(3 * SECOND)
    assert rig.row() is None
    assert rig.told() == {rig.venue.cid(1): reason}


def test_a_market_refused_for_its_facts_is_not_asked_about_all_the_time(make):
    rig = make(universe=UniverseParams(fee_rate_e6_max=0))
    rig.venue.add(1, feesEnabled=True)
    rig.venue.clob[rig.venue.cid(1)]["fd"] = {"r": 0.05, "e": 1, "to": True}
    rig.start(60 * SECOND)
    assert sum("clob-markets" in path for path in rig.venue.asked) == 1


def test_a_reason_is_published_once_and_again_after_each_sweep(make):
    universe = UniverseParams(slug_prefixes=("a",))
    rig = make(universe=universe, sweep_ns=10 * SECOND)
    rig.venue.add(1, slug="b-1")
    rig.start(5 * SECOND)
    told = rig.listings.take()
    assert {each.condition_id.hex() for each in told} == {rig.venue.cid(1)[2:]}
    assert [each.reason for each in told[-1:]] == [ListingReason.NO_WANTED_SLUG]
    assert told[-1].slug.rstrip(b"\0") == b"b-1"
    rig.run(2 * SECOND)
    assert rig.listings.take() == [], "polls of the newest listings repeat nothing"
    rig.run(10 * SECOND)
    assert [each.reason for each in rig.listings.take()] == [ListingReason.NO_WANTED_SLUG]


def test_a_market_that_waits_for_its_trading_facts_is_out_until_they_come(make):
    rig = make()
    rig.venue.add(1)
    facts = rig.venue.clob.pop(rig.venue.cid(1))
    rig.start(3 * SECOND)
    assert rig.told() == {rig.venue.cid(1): ListingReason.NOT_ON_CLOB}
    rig.venue.clob[rig.venue.cid(1)] = facts
    rig.run(60 * SECOND)
    assert rig.told() == {rig.venue.cid(1): ListingReason.FOLLOWED}
    assert rig.engine.news.refused == {}


def test_row_is_given_away_only_after_an_hour_and_with_nothing_held(make):
    held = [True]
    rig = make(rows=1, held=lambda _market: held[0], retry_ns_max=60 * SECOND)
    rig.venue.add(1)
    rig.start()
    rig.venue.close(1, winner=0)
    rig.push(MarketStateReason.RESOLVED)
    rig.run(2 * SECOND)
    assert rig.row().winner == 1
    rig.venue.add(2)
    rig.run(3_000 * SECOND, SECOND)
    assert rig.row().generation == 1
    rig.run(1_000 * SECOND, SECOND)
    assert rig.row().generation == 1
    held[0] = False
    rig.run(120 * SECOND, SECOND)
    row = rig.row()
    assert (row.generation, row.winner, row.status) == (2, 0, MarketStatus.ACTIVE)
    assert row.condition_id == rig.tools.condition(2)
    assert rig.tools.token(1) not in rig.instruments.by_token
    assert rig.tools.token(2) in rig.instruments.by_token
