"""The indexer: trades of every wallet, late; positions with their cost; leaders, holders."""

import json
from urllib.parse import parse_qs

import pytest

from lowlat.sim.config import load_config
from lowlat.sim.scenarios import read_scenario
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request
from lowlat.venues.polymarket.wallet import decode_activity_page, decode_holdings_page
from lowlat.venues.polymarket.wallets import (
    decode_holders,
    decode_leaders,
    decode_wallet_trades,
    holders_path,
    leaders_path,
    wallet_trades_path,
)

START_NS = 1_795_305_600_000_000_000
MS = 1_000_000
S = 1_000 * MS
SMALL = {"markets": 12, "neg_risk_events": 2, "coins": [], "tape": "none"}


@pytest.fixture(scope="module")
def lively():
    values = read_scenario("whales") | SMALL | {"index_lag_ms": [1000, 2000]}
    venue = Venue(load_config(values), START_NS)
    for _ in range(400):
        venue.step(venue.now_ns + 100 * MS)
    return venue


def ask(venue, path):
    target, _, query = path.partition("?")
    answers = []
    venue.data_request(Request("GET", target, parse_qs(query), {}, b""), answers.append)
    return answers[0]


def test_large_trades_of_all_wallets_are_found_and_then_those_of_one(lively):
    large = decode_wallet_trades(ask(lively, wallet_trades_path(cash_min=300)).body)
    assert large.rows
    assert not large.rejected
    assert all(row.size_e6 * row.price_e6 // 10**6 >= 290 * 10**6 for row in large.rows)
    whales = {each.wallet.lower() for each in lively.flow.takers.whales}
    assert {row.wallet for row in large.rows} & whales
    wallet = next(row.wallet for row in large.rows if row.wallet in whales)
    own = decode_wallet_trades(ask(lively, wallet_trades_path(wallet)).body).rows
    assert {row.wallet for row in own} == {wallet}
    assert [row.trade_ns for row in own] == sorted((r.trade_ns for r in own), reverse=True)


def test_pages_hold_every_trade_once(lively):
    keys, cursor, pages = [], "", 0
    while True:
        path = wallet_trades_path(taker_only=False, limit=50, cursor=cursor)
        page = decode_wallet_trades(ask(lively, path).body)
        keys += [(row.wallet, row.key[:2], row.size_e6, row.price_e6) for row in page.rows]
        pages, cursor = pages + 1, page.next_cursor
        if not cursor:
            break
    trades = [deed for deed in lively.indexer.deeds if deed.kind == "TRADE"]
    assert len(keys) == len(trades) > 100
    assert pages == -(-len(keys) // 50)


def test_leaders_by_volume_are_in_order(lively):
    leaders = decode_leaders(ask(lively, leaders_path(sort_by="VOLUME")).body).rows
    volumes = [row.volume_e6 for row in leaders]
    assert volumes == sorted(volumes, reverse=True)
    assert [row.rank for row in leaders] == list(range(1, len(leaders) + 1))


def test_holders_add_up_to_the_tokens_there_are(lively):
    market = lively.exchange.markets[0]
    rows = decode_holders(ask(lively, holders_path([market.condition_id])).body).rows
    held = sum(row.size_e6 for row in rows if row.token_id == market.tokens[0])
    real = sum(a.tokens_e6.get(0, 0) for a in lively.exchange.accounts.by_wallet.values())
    assert abs(held - real) < 50 * 10**6


def test_trade_shows_up_late_and_then_in_the_position(pair, plain, quiet_venue):
    alice, bob = pair
    alice.limit(plain.tokens[1], "BUY", 5_000, 20)
    bob.market_buy(plain.tokens[0], 10 * 10**6, 5_000)
    path = wallet_trades_path(bob.address)
    assert not decode_wallet_trades(ask(quiet_venue, path).body).rows
    quiet_venue.step(quiet_venue.now_ns + 12 * S)
    [trade] = decode_wallet_trades(ask(quiet_venue, path).body).rows
    assert (trade.size_e6, trade.price_e6) == (20_000_000, 500_000)
    body = ask(quiet_venue, f"/v2/positions?user={bob.address}").body
    [holding] = decode_holdings_page(200, body).rows
    assert (holding.token_id, holding.size_e6) == (plain.tokens[0], 20_000_000)
    row = json.loads(body)["data"][0]
    assert (row["avg_price"], row["total_cost_usdc"]) == ("0.500000", "10")
    [old] = json.loads(ask(quiet_venue, f"/positions?user={bob.address}").body)
    assert (old["size"], old["avgPrice"]) == (20.0, 0.5)
    quiet_venue.exchange.resolve(plain, 0, quiet_venue.now_ns)
    quiet_venue.step(quiet_venue.now_ns + 10 * S)
    activity = ask(quiet_venue, f"/v2/activity?user={bob.address}&sort_direction=ASC")
    rows = decode_activity_page(activity.status, activity.body).rows
    assert [row.kind for row in rows] == ["TRADE", "REDEEM"]
    assert rows[1].cash_e6 == 20_000_000
    assert quiet_venue.indexer.profit_e6(bob.address.lower()) == 10_000_000


@pytest.mark.parametrize(
    "path",
    [
        "/v2/activity",
        "/v2/positions",
        "/v2/holders",
        "/v2/trades?limit=x",
        "/v2/trades?cursor=!",
        "/v2/trades?condition_id=0x1&event_id=2",
        "/v2/trades?condition_id=" + ",".join(map(str, range(21))),
        "/v2/leaderboard?sort_by=LUCK",
    ],
)
def test_bad_question_is_a_400(lively, path):
    answer = ask(lively, path)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]


def test_too_many_questions_in_ten_seconds_are_told_to_wait():
    venue = Venue(load_config(SMALL | {"flow": {"events_per_s": 0, "edges": []}}), START_NS)
    statuses = [ask(venue, "/v2/trades").status for _ in range(201)]
    assert statuses == [200] * 200 + [429]
