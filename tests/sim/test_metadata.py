"""Metadata, reads and keys: shapes, paging, and that our own codecs read every market's rule."""

import base64
import collections
import json

import pytest

from lowlat.core.layout import SettleRule
from lowlat.sim.config import load_config
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request
from lowlat.venues.polymarket.clob_markets import decode_clob_market, market_facts
from lowlat.venues.polymarket.gamma import decode_events, decode_markets
from lowlat.venues.polymarket.rules import read_rule

START_NS = 1_795_305_600_000_000_000


@pytest.fixture(scope="module")
def venue():
    return Venue(load_config({"flow": {"events_per_s": 20}}), START_NS)


def ask(handler, path, **query):
    answers = []
    multi = {k: v if isinstance(v, list) else [v] for k, v in query.items()}
    handler(Request("GET", path, multi, {}, b""), answers.append)
    (answer,) = answers
    return answer.status, answer.body


def test_every_market_is_readable_and_tradeable_and_states_its_rule(venue):
    _, body = ask(venue.gamma_request, "/events/keyset", limit="500")
    page = decode_events(body)
    assert page.rejected == []
    assert len(page.markets) == len(venue.exchange.markets)
    found = collections.Counter()
    for info in page.markets:
        status, compact = ask(venue.clob_request, f"/clob-markets/{info.condition_id}")
        assert status == 200
        facts = market_facts(decode_clob_market(compact), info, START_NS)
        assert facts.tradeable, facts
        assert facts.conflicts == ()
        reading = read_rule(info)
        assert reading.reason == ""
        found[reading.rule] += 1
    assert found[SettleRule.TWAP_60_UP] == 6
    assert found[SettleRule.BINANCE_CANDLE_UP] == 3
    assert found[SettleRule.BINANCE_ABOVE] == 9


def test_keyset_pages_cover_everything_once(venue):
    cursor, seen = None, []
    while True:
        query = {"limit": "25"} | ({"after_cursor": cursor} if cursor else {})
        _, body = ask(venue.gamma_request, "/markets/keyset", **query)
        page = decode_markets(body)
        seen += [info.condition_id for info in page.markets]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(m.condition_id for m in venue.exchange.markets)


def test_event_by_slug_and_market_by_token(venue):
    market = venue.exchange.markets[0]
    status, body = ask(venue.gamma_request, f"/events/slug/{market.event.slug}")
    event = json.loads(body)
    assert status == 200
    assert event["markets"][0]["conditionId"] == market.condition_id
    assert event["negRisk"] is True
    assert event["negRiskAugmented"] is False
    _, body = ask(venue.clob_request, f"/markets-by-token/{market.tokens[1]}")
    assert json.loads(body)["condition_id"] == market.condition_id
    assert ask(venue.gamma_request, "/events/slug/none")[0] == 404


def test_public_reads_agree_with_the_book(venue):
    market = next(m for m in venue.exchange.markets if m.kind == "binary")
    token = market.tokens[1]
    book = json.loads(ask(venue.clob_request, "/book", token_id=token)[1])
    best_bid, best_ask = book["bids"][-1]["price"], book["asks"][-1]["price"]
    assert float(best_bid) == max(float(level["price"]) for level in book["bids"])
    for side, price in (("BUY", best_bid), ("SELL", best_ask)):
        assert json.loads(ask(venue.clob_request, "/price", token_id=token, side=side)[1]) == {
            "price": price
        }
    mid = json.loads(ask(venue.clob_request, "/midpoint", token_id=token)[1])["mid"]
    assert float(mid) == pytest.approx((float(best_bid) + float(best_ask)) / 2)
    tick = json.loads(ask(venue.clob_request, "/tick-size", token_id=token)[1])
    assert tick == {"minimum_tick_size": market.tick_e4 / 10_000}
    answers = []
    body = json.dumps([{"token_id": t} for t in (*market.tokens, "1")]).encode()
    venue.clob_request(Request("POST", "/books", {}, {}, body), answers.append)
    assert [b["asset_id"] for b in json.loads(answers[0].body)] == list(market.tokens)


def test_key_is_created_once_and_derived_after(quiet_venue, trader_of):
    alice = trader_of(quiet_venue)
    first = vars(alice.api)
    assert alice.l1("POST", "/auth/api-key").status == 400
    assert alice.l1("GET", "/auth/derive-api-key").json == first
    assert alice.l1("GET", "/auth/derive-api-key", nonce="7").status == 400
    assert alice.call("GET", "/auth/api-keys").json == {"apiKeys": [first["apiKey"]]}


def test_pages_end_with_the_marker_and_asking_for_it_is_an_error(pair, plain):
    alice, _ = pair
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    page = alice.call("GET", "/data/orders", query={"market": [plain.condition_id]}).json
    assert (page["count"], page["next_cursor"]) == (1, "LTE=")
    query = {"next_cursor": ["LTE="]}
    assert alice.call("GET", "/data/orders", query=query).status == 400
    query = {"next_cursor": [base64.b64encode(b"1").decode()]}
    assert alice.call("GET", "/data/orders", query=query).json["data"] == []


def test_positions_are_what_settled(pair, plain, quiet_venue):
    alice, bob = pair
    alice.limit(plain.tokens[0], "BUY", 6_000, 50)
    bob.limit(plain.tokens[1], "BUY", 4_000, 50)
    path = "/v2/positions"
    assert json.loads(ask(quiet_venue.data_request, path, user=bob.address)[1])["data"] == []
    trades = bob.call("GET", "/data/trades").json["data"]
    assert [(t["status"], t["size"]) for t in trades] == [("TRADE_STATUS_MATCHED", "50")]
    quiet_venue.step(quiet_venue.now_ns + 20 * 10**9)
    (row,) = json.loads(ask(quiet_venue.data_request, path, user=bob.address)[1])["data"]
    assert (row["token_id"], row["current_size"]) == (plain.tokens[1], "50")
    trades = bob.call("GET", "/data/trades").json["data"]
    assert [(t["status"], t["size"]) for t in trades] == [("TRADE_STATUS_CONFIRMED", "50")]
    query = {
        "asset_type": ["CONDITIONAL"],
        "token_id": [plain.tokens[1]],
        "signature_type": ["0"],
    }
    assert bob.call("GET", "/balance-allowance", query=query).json["balance"] == "50000000"


def test_all_prices_are_those_of_each_token(venue):
    """What the vendor's Rust client asks for without naming tokens."""
    status, body = ask(venue.clob_request, "/prices")
    found = json.loads(body)
    assert status == 200
    assert set(found) == {
        t for t, (market, _) in venue.exchange.tokens.items() if not market.closed
    }
    for token, sides in list(found.items())[:20]:
        for side, text in sides.items():
            _, one = ask(venue.clob_request, "/price", token_id=token, side=side)
            assert json.loads(one) == {"price": text}


def test_several_tokens_are_asked_for_by_post_only(venue):
    for path in ("/books", "/midpoints", "/spreads", "/last-trades-prices"):
        assert ask(venue.clob_request, path)[0] == 400


def test_region_is_told_and_a_blocked_one_gets_no_orders_in():
    shape = {"ip": "127.0.0.1", "country": "IE", "region": ""}
    for blocked in (False, True):
        changed = Venue(load_config({"geoblocked": blocked, "flow": {"events_per_s": 0}}), START_NS)
        _, body = ask(changed.clob_request, "/api/geoblock")
        assert json.loads(body) == {"blocked": blocked, **shape}
        answers = []
        for path in ("/order", "/orders"):
            changed.clob_request(Request("POST", path, {}, {}, b""), answers.append)
        changed.clob_request(Request("DELETE", "/cancel-all", {}, {}, b""), answers.append)
        assert [each.status for each in answers] == ([403, 403, 401] if blocked else [401] * 3)
        assert (b"restricted in your region" in answers[0].body) == blocked


def test_statuses_of_rest_have_a_prefix_or_none(venue_of, trader_of):
    for prefixed in (True, False):
        venue = venue_of(status_prefix=prefixed)
        alice, bob = trader_of(venue, 0), trader_of(venue, 1)
        market = next(m for m in venue.exchange.markets if m.kind == "binary")
        alice.limit(market.tokens[0], "BUY", 6000, 50)
        bob.limit(market.tokens[1], "BUY", 4000, 20)
        [order] = alice.call("GET", "/data/orders").json["data"]
        [trade] = bob.call("GET", "/data/trades").json["data"]
        wanted = ("ORDER_STATUS_LIVE", "TRADE_STATUS_MATCHED") if prefixed else ("LIVE", "MATCHED")
        assert (order["status"], trade["status"]) == wanted
