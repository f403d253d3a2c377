"""The metadata service at its real size: caps, serial cursors, filters, limits, late listings."""

import base64
import json
from urllib.parse import parse_qs

import pytest

from lowlat.sim.config import load_config
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request
from lowlat.venues.polymarket.gamma import decode_events, decode_markets, events_path, markets_path

START_NS = 1_795_305_600_000_000_000
S = 1_000_000_000
QUIET = {"coins": [], "markets": 8, "neg_risk_events": 1, "tape": "none"}
NO_FLOW = {"events_per_s": 0, "edges": []}


def venue_of(**changes):
    return Venue(load_config(QUIET | {"flow": NO_FLOW} | changes), START_NS)


@pytest.fixture(scope="module")
def big():
    return venue_of(catalogue=30_000)


def get(venue, path):
    target, _, query = path.partition("?")
    values = parse_qs(query, keep_blank_values=True)
    answers = []
    venue.gamma_request(Request("GET", target, values, {}, b""), answers.append)
    return answers[0].status, json.loads(answers[0].body)


def test_engine_reads_thirty_thousand_markets_page_by_page_each_once(big):
    cursor, pages, seen = None, 0, []
    while True:
        _, page = get(big, events_path(cursor))
        answer = decode_events(json.dumps(page).encode(), cursor)
        assert not answer.rejected
        seen += [market.condition_id for market in answer.markets]
        pages += 1
        big.step(big.now_ns + S)
        cursor = answer.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == len(big.exchange.markets) > 30_000
    assert pages == -(-len(big.universe.events) // 500)


@pytest.mark.parametrize(("name", "cap"), [("events", 500), ("markets", 100)])
def test_page_is_cut_at_its_cap(big, name, cap):
    _, page = get(big, f"/{name}/keyset?limit=9999")
    assert len(page[name]) == cap


def test_newest_first_begins_with_the_last_listed(big):
    _, page = get(big, "/events/keyset?limit=3&order=id&ascending=false")
    ids = [int(event["id"]) for event in page["events"]]
    assert ids == sorted((int(event.id) for event in big.universe.events), reverse=True)[:3]
    _, more = get(
        big,
        f"/events/keyset?limit=3&order=id&ascending=false&after_cursor={page['next_cursor']}",
    )
    assert int(more["events"][0]["id"]) == ids[-1] - 1


def test_old_path_has_an_offset_up_to_two_thousand(big):
    status, rows = get(big, "/markets?limit=5&offset=2000")
    assert (status, len(rows)) == (200, 5)
    assert rows[0]["id"] == big.exchange.markets[2000].id
    assert get(big, "/markets?offset=2001")[0] == 422


@pytest.mark.parametrize("cursor", ["x", "k", "LTE=", base64.b64encode(b"k:x").decode(), "%00"])
def test_foreign_cursor_is_refused(big, cursor):
    assert get(big, f"/events/keyset?after_cursor={cursor}")[0] == 422


@pytest.mark.parametrize(
    ("query", "check"),
    [
        ("volume_num_min=1000000", lambda m: m["volumeNum"] >= 1e6),
        ("tag_slug=weather", lambda m: m["category"] == "Weather"),
        ("end_date_max=2026-12-24T00:00:00Z", lambda m: m["endDate"] <= "2026-12-24T00:00:00Z"),
        ("end_date_min=2027-06-01", lambda m: m["endDate"] >= "2027-06-01"),
        ("version=v2", lambda m: m["version"] == "v2"),
    ],
)
def test_filter_keeps_what_it_says_and_something(big, query, check):
    _, page = get(big, f"/markets/keyset?limit=100&{query}")
    assert all(map(check, page["markets"]))
    assert page["markets"] or query == "version=v2"


def test_volume_is_sorted_as_text_and_volume_num_as_a_number(big):
    def volumes(order):
        _, page = get(big, f"/markets/keyset?limit=100&order={order}&ascending=false")
        return [market["volumeNum"] for market in page["markets"]]

    assert volumes("volumeNum") == sorted(volumes("volumeNum"), reverse=True)
    assert volumes("volume") != sorted(volumes("volume"), reverse=True)
    assert get(big, "/markets/keyset?order=colour")[0] == 422


def test_lists_inside_a_market_are_json_in_a_string(big):
    _, page = get(big, "/markets/keyset?limit=1")
    [market] = page["markets"]
    for name in ("outcomes", "outcomePrices", "clobTokenIds"):
        assert isinstance(market[name], str)
        assert len(json.loads(market[name])) == 2


def test_liquidity_is_the_money_that_rests(big):
    for index, fair in enumerate((0.2, 0.4, 0.5, 0.7)):
        big.flow.quote_all(big.exchange.markets[index], fair, big.now_ns)
    _, page = get(big, "/markets/keyset?limit=100&order=liquidityNum&ascending=false")
    found = [market["liquidityNum"] for market in page["markets"]]
    assert found == sorted(found, reverse=True)
    row = page["markets"][0]
    market = big.exchange.conditions[row["conditionId"]]
    money = sum(order.remaining_e6 * order.price_e4 for order in market.ladder.orders()) // 10_000
    assert row["liquidityNum"] == money / 1e6 > 0
    assert float(row["liquidity"]) == row["liquidityClob"] == row["liquidityNum"]
    least = found[3]
    _, page = get(big, f"/markets/keyset?limit=100&liquidity_num_min={least}")
    assert len(page["markets"]) == sum(each >= least for each in found)
    _, page = get(big, f"/events?slug={market.event.slug}")
    assert page[0]["liquidity"] >= row["liquidityNum"]


def test_one_row_by_id_and_by_slug(big):
    market = big.exchange.markets[20_000]
    for path in (f"/markets/{market.id}", f"/markets/slug/{market.slug}"):
        assert get(big, path)[1]["conditionId"] == market.condition_id
    event = market.event
    assert get(big, f"/events/slug/{event.slug}")[1]["id"] == event.id
    assert get(big, f"/events/{event.id}/tags")[1][0]["slug"] == event.rules.category.lower()
    assert get(big, "/markets/slug/none")[0] == get(big, "/events/9")[0] == 404


def test_too_many_pages_in_ten_seconds_are_told_to_wait():
    venue = venue_of(ip_limits=True)
    seen = [get(venue, "/markets/keyset?limit=1")[0] for _ in range(301)]
    assert seen == [200] * 300 + [429]
    venue.step(venue.now_ns + 20 * S)
    assert get(venue, "/markets/keyset?limit=1")[0] == 200


def test_new_listing_is_unknown_to_the_order_book_for_minutes():
    venue = venue_of(listings_per_minute=60.0, listing_delay_s=[60, 120])
    known = len(venue.exchange.markets)
    while len(venue.exchange.markets) == known:
        venue.step(venue.now_ns + S)
    market = venue.exchange.markets[known]
    listed_ns = venue.now_ns

    def book():
        answers = []
        query = {"token_id": [market.tokens[0]]}
        venue.clob_request(Request("GET", "/book", query, {}, b""), answers.append)
        return answers[0].status

    _, page = get(venue, f"/markets/keyset?slug={market.slug}")
    assert decode_markets(json.dumps(page).encode()).markets[0].condition_id == market.condition_id
    assert not page["markets"][0]["acceptingOrders"]
    assert book() == 404
    while book() == 404:
        venue.step(venue.now_ns + S)
    assert 59 <= (venue.now_ns - listed_ns) // S <= 121
    assert market.accepting


def test_engine_asks_in_ways_the_service_knows(big):
    for path in (markets_path(limit=3), events_path(limit=3, order="id", ascending="false")):
        assert get(big, path)[0] == 200
