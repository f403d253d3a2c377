"""Delays, windows, limits and faults of the venue, on its own clock."""

import json

import pytest

from lowlat.sim.control import Control
from lowlat.sim.feed_session import Session
from lowlat.sim.wire import LOST, RESET, Request

MS = 1_000_000
S = 1_000 * MS


def control(venue, **values):
    answers = []
    body = json.dumps(values).encode()
    Control(venue).handle(Request("POST", "/sim/control", {}, {}, body), answers.append)
    return answers[0].status, json.loads(answers[0].body)


def state(venue):
    answers = []
    Control(venue).handle(Request("GET", "/sim/state", {}, {}, b""), answers.append)
    return json.loads(answers[0].body)


@pytest.fixture
def held(venue_of, trader_of):
    """A market with the sub-second taker delay, an offer in it, and two traders."""
    venue = venue_of(coins=["BTC"], faults={"price_drop_e4": 0})
    market = next(m for m in venue.exchange.markets if m.rules.itode)
    alice, bob = trader_of(venue, 0), trader_of(venue, 1)
    alice.limit(market.tokens[1], "BUY", 5_000, 20)
    return venue, market, alice, bob


def test_taker_is_held_then_matched_against_the_book_of_that_moment(held):
    venue, market, alice, bob = held
    answer = bob.market_buy(market.tokens[0], 10 * 10**6, 5_000)
    assert answer.status is None
    assert alice.call("DELETE", "/cancel-all").json["canceled"]
    venue.step(venue.now_ns + 149 * MS)
    assert answer.status is None
    venue.step(venue.now_ns + 1 * MS)
    assert answer.json["error"].startswith("order couldn't be fully filled")


def test_held_order_cannot_be_canceled_or_repeated_and_reserves_its_money(held):
    venue, market, _, bob = held
    body = bob.body(bob.sign(market.tokens[0], "BUY", 10 * 10**6, 20 * 10**6), "FAK")
    first, again = bob.post(body), bob.post(body)
    assert again.json["error"].endswith("is invalid. Duplicated.")
    (order_id,) = (o.id for o in venue.exchange.orders.values() if o.state == "DELAYED")
    refused = bob.call("DELETE", "/order", {"orderID": order_id}).json["not_canceled"]
    assert refused == {order_id: "cannot cancel because the order is in delayed status"}
    account = venue.exchange.accounts.by_wallet[bob.address.lower()]
    assert account.cash_reserved_e6 == 10 * 10**6
    venue.step(venue.now_ns + 150 * MS)
    assert first.json["status"] == "matched"
    assert account.cash_reserved_e6 == 0


def test_maker_is_never_held(held):
    _, market, alice, _ = held
    assert alice.limit(market.tokens[0], "BUY", 4_000, 20).json["status"] == "live"


def test_sports_delay_answers_delayed_and_tells_the_user_socket(pair, plain, quiet_venue):
    alice, bob = pair
    plain.rules.sd_s = 3
    alice.limit(plain.tokens[1], "BUY", 5_000, 20)
    frames = bob.listen()
    answer = bob.market_buy(plain.tokens[0], 10 * 10**6, 5_000)
    plain.rules.sd_s = 0
    assert (answer.json["status"], answer.json["makingAmount"]) == ("delayed", "")
    quiet_venue.step(quiet_venue.now_ns + 3 * S)
    kinds = [(f["event_type"], f["type"], f["status"]) for f in frames]
    assert kinds == [
        ("order", "PLACEMENT", "DELAYED"),
        ("trade", "TRADE", "MATCHED"),
        ("order", "UPDATE", "MATCHED"),
    ]


@pytest.mark.parametrize(
    ("mode", "status", "text"),
    [
        ("restart", 425, "service not ready"),
        ("rate_limited", 429, "rate limit exceeded"),
        ("error", 500, "could not run the execution"),
        ("disabled", 503, "Trading is currently disabled."),
        ("cancel_only", 503, "Trading is currently cancel-only."),
        ("post_only", 503, "post-only mode: only post-only orders"),
    ],
)
def test_window_refuses_orders_and_then_ends(mode, status, text, pair, plain, quiet_venue):
    alice, _ = pair
    assert control(quiet_venue, op="mode", mode=mode, duration_ms=2_000)[0] == 200
    answer = alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    assert answer.status == status
    assert answer.json["error"].startswith(text)
    quiet_venue.step(quiet_venue.now_ns + 4 * S)
    assert alice.limit(plain.tokens[0], "BUY", 5_000, 10).status == 200


def test_restart_is_followed_by_post_only(pair, plain, quiet_venue):
    alice, _ = pair
    control(quiet_venue, op="mode", mode="restart", duration_ms=1_000)
    quiet_venue.step(quiet_venue.now_ns + S)
    answer = alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    assert (answer.json["code"], answer.headers["Retry-After"]) == ("post_only_mode", "1")
    assert alice.limit(plain.tokens[0], "BUY", 5_000, 10, postOnly=True).status == 200


def test_lost_answer_leaves_the_order_and_reset_does_not(pair, plain, quiet_venue):
    alice, _ = pair
    control(quiet_venue, op="arm", fault="answer_lost_e4")
    assert alice.limit(plain.tokens[0], "BUY", 5_000, 10).status == LOST
    assert len(alice.call("GET", "/data/orders").json["data"]) == 1
    control(quiet_venue, op="arm", fault="reset_mid_request_e4")
    assert alice.limit(plain.tokens[0], "BUY", 5_000, 10).status == RESET
    assert len(alice.call("GET", "/data/orders").json["data"]) == 1


def test_latency_delays_the_answer(pair, plain, quiet_venue):
    alice, _ = pair
    control(quiet_venue, op="faults", latency_ms=[30, 30])
    answer = alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    quiet_venue.step(quiet_venue.now_ns + 29 * MS)
    assert answer.status is None
    quiet_venue.step(quiet_venue.now_ns + 1 * MS)
    assert answer.status == 200


def test_old_signature_is_refused_when_a_maximum_age_is_set(pair, plain, quiet_venue):
    alice, _ = pair
    body = alice.body(alice.sign(plain.tokens[0], "BUY", 2_500_000, 5_000_000))
    control(quiet_venue, op="faults", order_age_max_ms=1_000)
    quiet_venue.step(quiet_venue.now_ns + 1_001 * MS)
    assert alice.post(body).json["error"].endswith("Timestamp too old.")


def test_user_events_may_come_twice_and_out_of_order(pair, plain, quiet_venue):
    alice, bob = pair
    control(quiet_venue, op="faults", user_duplicate_e4=10_000)
    frames = alice.listen()
    control(quiet_venue, op="arm", fault="user_reorder_e4")
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    bob.limit(plain.tokens[1], "BUY", 5_000, 10)
    quiet_venue.step(quiet_venue.now_ns + S)
    kinds = [(f["event_type"], f["status"]) for f in frames]
    assert kinds[0] == ("trade", "MATCHED")
    assert kinds.count(("order", "LIVE")) == 2
    assert kinds.count(("trade", "MATCHED")) == 2


def test_freeze_stops_data_but_not_pong(pair, plain, quiet_venue):
    alice, _ = pair
    frames = []
    session = Session(frames.append, lambda *_: None)
    quiet_venue.market_feed.connect(session)
    first = json.dumps({"type": "market", "assets_ids": list(plain.tokens)}).encode()
    quiet_venue.market_feed.on_text(session, first, quiet_venue.now_ns)
    frames.clear()
    control(quiet_venue, op="freeze", duration_ms=1_000)
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    quiet_venue.market_feed.on_text(session, b"PING", quiet_venue.now_ns)
    assert frames == [b"PONG"]
    quiet_venue.step(quiet_venue.now_ns + S)
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    assert len(frames) == 2


def test_silent_heartbeat_cancels_everything(pair, plain, quiet_venue):
    alice, _ = pair
    beat = alice.call("POST", "/v1/heartbeats", {"heartbeat_id": ""}).json["heartbeat_id"]
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    quiet_venue.step(quiet_venue.now_ns + 9 * S)
    wrong = alice.call("POST", "/v1/heartbeats", {"heartbeat_id": "else"})
    assert wrong.json == {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": beat}
    assert len(alice.call("GET", "/data/orders").json["data"]) == 1
    quiet_venue.step(quiet_venue.now_ns + 6 * S)
    assert alice.call("GET", "/data/orders").json["data"] == []


def test_the_old_heartbeat_without_ids_arms_the_same_timer(pair, plain, quiet_venue):
    alice, _ = pair
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    for _ in range(4):
        assert alice.call("POST", "/heartbeats").json == {"status": "ok"}
        quiet_venue.step(quiet_venue.now_ns + 9 * S)
    assert len(alice.call("GET", "/data/orders").json["data"]) == 1
    quiet_venue.step(quiet_venue.now_ns + 15 * S)
    assert alice.call("GET", "/data/orders").json["data"] == []


def test_gtd_leaves_a_minute_early(pair, plain, quiet_venue):
    alice, _ = pair
    expiration = str(quiet_venue.now_ns // 10**9 + 180)
    signed = alice.sign(plain.tokens[0], "BUY", 2_500_000, 5_000_000) | {"expiration": expiration}
    assert alice.post(alice.body(signed, "GTD")).json["status"] == "live"
    quiet_venue.step(quiet_venue.now_ns + 119 * S)
    assert len(plain.ladder.bid_levels()) == 1
    quiet_venue.step(quiet_venue.now_ns + 1 * S)
    assert plain.ladder.bid_levels() == []


def test_one_base_unit_shows_in_both_reads(pair, quiet_venue):
    alice, _ = pair
    query = {"asset_type": ["COLLATERAL"], "signature_type": ["0"]}
    before = int(alice.call("GET", "/balance-allowance", query=query).json["balance"])
    assert control(quiet_venue, op="skew", wallet=alice.address)[0] == 200
    after = int(alice.call("GET", "/balance-allowance", query=query).json["balance"])
    assert after - before == 1
    now = state(quiet_venue)
    (account,) = (a for a in now["accounts"] if a["wallet"] == alice.address)
    assert (account["cash_e6"], now["audit"]) == (after, "ok")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"op": "nonsense"}, "op is unknown, allowed: account, arm"),
        ({"op": "faults", "user_duplicate": 1}, "user_duplicate"),
        ({"op": "arm", "fault": "latency_ms"}, "cannot be armed"),
        ({"op": "mode", "mode": "sleep"}, "mode was 'sleep', allowed: normal"),
        ({"op": "tick", "market": "0x"}, "KeyError"),
    ],
)
def test_bad_control_is_refused_in_words(values, text, quiet_venue):
    status, answer = control(quiet_venue, **values)
    assert status == 400
    assert text in answer["error"]


def test_tick_change_is_announced_with_a_fresh_book(pair, plain, quiet_venue):
    frames = []
    session = Session(lambda raw: frames.append(json.loads(raw)), lambda *_: None)
    quiet_venue.market_feed.connect(session)
    first = json.dumps({"type": "market", "assets_ids": [plain.tokens[0]]}).encode()
    quiet_venue.market_feed.on_text(session, first, quiet_venue.now_ns)
    control(quiet_venue, op="tick", market=plain.condition_id, tick_e4=10)
    assert [f["event_type"] for f in frames[1:]] == ["tick_size_change", "book"]
    assert (frames[1]["old_tick_size"], frames[1]["new_tick_size"]) == ("0.01", "0.001")


def test_killed_fok_reaches_the_user_socket_with_its_reason(pair, plain):
    _, bob = pair
    frames = bob.listen()
    bob.market_buy(plain.tokens[0], 10 * 10**6, 5_000)
    (event,) = frames
    text = "order couldn't be fully filled. FOK orders are fully filled or killed."
    assert (event["type"], event["status"]) == ("CANCELLATION", f"CANCELED_{text}")
    assert (event["size_matched"], event["created_at"]) == ("", "")


def watch(venue, tokens):
    frames = []
    session = Session(lambda raw: frames.append(json.loads(raw)), lambda *why: frames.append(why))
    venue.market_feed.connect(session)
    first = json.dumps({"type": "market", "assets_ids": list(tokens)}).encode()
    venue.market_feed.on_text(session, first, venue.now_ns)
    frames.clear()
    return frames


def test_stale_message_shows_yes_and_no_under_a_dollar_once(pair, plain, quiet_venue):
    alice, _ = pair
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    alice.limit(plain.tokens[1], "BUY", 4_000, 10)
    frames = watch(quiet_venue, plain.tokens)
    control(quiet_venue, op="arm", fault="market_stale_cross_e4")
    for price_e4 in (4_900, 4_800):
        alice.limit(plain.tokens[0], "BUY", price_e4, 10)
    sums = [sum(float(row["best_ask"]) for row in frame["price_changes"]) for frame in frames]
    assert sums[0] < 1.0 < sums[1]


def test_resolution_closes_a_socket_with_nothing_left(plain, quiet_venue):
    frames = watch(quiet_venue, plain.tokens)
    control(quiet_venue, op="resolve", market=plain.condition_id, winner=1)
    assert frames[-1] == (1000, "all subscribed assets resolved")
    answers = []
    query = {"token_id": [plain.tokens[0]]}
    quiet_venue.clob_request(Request("GET", "/book", query, {}, b""), answers.append)
    assert answers[0].status == 404


def test_disconnect_drops_every_socket_of_a_feed(plain, quiet_venue):
    frames = watch(quiet_venue, plain.tokens)
    assert control(quiet_venue, op="disconnect", feed="market")[1]["result"] == 1
    assert frames[-1][0] == 1006
    assert control(quiet_venue, op="disconnect", feed="nope")[0] == 400


def test_rest_book_hash_verifies(pair, plain, quiet_venue):
    import hashlib

    alice, _ = pair
    alice.limit(plain.tokens[0], "BUY", 5_000, 10)
    answers = []
    query = {"token_id": [plain.tokens[0]]}
    quiet_venue.clob_request(Request("GET", "/book", query, {}, b""), answers.append)
    book = json.loads(answers[0].body)
    text = json.dumps(book | {"hash": ""}, separators=(",", ":"), ensure_ascii=False)
    assert book["hash"] == hashlib.sha1(text.encode()).hexdigest()
    assert book["bids"] == [{"price": "0.5", "size": "10"}]


def test_no_snapshots_beyond_five_hundred_assets_of_a_socket(venue_of):
    venue = venue_of(markets=260)
    tokens = list(venue.exchange.tokens)[:510]
    frames = []
    session = Session(lambda raw: frames.append(json.loads(raw)), lambda *why: frames.append(why))
    venue.market_feed.connect(session)
    first = json.dumps({"type": "market", "assets_ids": tokens}).encode()
    venue.market_feed.on_text(session, first, venue.now_ns)
    (dump,) = frames
    assert [book["asset_id"] for book in dump] == tokens[:500]
    frames.clear()
    market, outcome = venue.exchange.tokens[tokens[505]]
    control(venue, op="tick", market=market.condition_id, tick_e4=10)
    assert any(tokens[505] in json.dumps(frame) for frame in frames), outcome
