"""Order entry over the pure API: worked examples, the venue's words, the order of its checks.

Signatures come from eth_account's own typed-data code, a second opinion on lowlat.sim.verify.
"""

import pytest

from lowlat.core.errors import ConfigError

MS = 1_000_000


def audit(venue):
    venue.exchange.accounts.audit()
    venue.exchange.accounts.audit_tokens()


def test_fok_buy_spends_dollars_over_two_levels(pair, plain):
    alice, bob = pair
    token = plain.tokens[0]
    alice.limit(plain.tokens[1], "BUY", 5400, 120)
    alice.limit(plain.tokens[1], "BUY", 5300, 200)
    before = bob.cash_e6()
    answer = bob.market_buy(token, 149_200_000, 4700)
    assert answer.status == 200, answer.json
    assert answer.json["status"] == "matched"
    assert (answer.json["makingAmount"], answer.json["takingAmount"]) == ("149.2", "320")
    assert before - bob.cash_e6() == 149_200_000
    audit(bob.venue)


def test_resting_order_is_live_and_shows_in_both_books(pair, plain, quiet_venue):
    alice, _ = pair
    answer = alice.limit(plain.tokens[1], "BUY", 5400, 120)
    assert answer.json["status"] == "live"
    assert answer.json["makingAmount"] == ""
    assert plain.ladder.ask_levels() == [(4600, 120_000_000)]


def test_complementary_match_moves_tokens_and_mint_makes_them(pair, plain, quiet_venue):
    alice, bob = pair
    alice.limit(plain.tokens[0], "BUY", 6000, 50)
    assert bob.limit(plain.tokens[1], "BUY", 4000, 50).json["status"] == "matched"
    assert quiet_venue.exchange.accounts.collateral_e6[plain.index] == 50_000_000
    quiet_venue.step(quiet_venue.now_ns + 20_000 * MS)
    # Both now hold a leg; selling the two legs to each other merges them again.
    alice.limit(plain.tokens[0], "SELL", 5500, 50)
    assert bob.limit(plain.tokens[1], "SELL", 4500, 50).json["status"] == "matched"
    assert plain.index not in quiet_venue.exchange.accounts.collateral_e6
    quiet_venue.step(quiet_venue.now_ns + 20_000 * MS)
    total = alice.cash_e6() + bob.cash_e6()
    assert total == 2 * quiet_venue.config.account_cash_e6
    audit(quiet_venue)


def test_bought_tokens_are_sellable_only_once_mined(pair, plain, quiet_venue):
    alice, bob = pair
    alice.limit(plain.tokens[0], "BUY", 6000, 50)
    bob.limit(plain.tokens[1], "BUY", 4000, 50)
    early = bob.limit(plain.tokens[1], "SELL", 5000, 50)
    assert early.status == 400
    assert early.json["error"].startswith("not enough balance / allowance: the balance")
    quiet_venue.step(quiet_venue.now_ns + 6_000 * MS)
    assert bob.limit(plain.tokens[1], "SELL", 5000, 50).status == 200


def test_trade_goes_matched_mined_confirmed_to_both_parties(pair, plain, quiet_venue):
    alice, bob = pair
    mine, theirs = alice.listen(), bob.listen()
    alice.limit(plain.tokens[0], "BUY", 6000, 50)
    bob.limit(plain.tokens[1], "BUY", 4000, 50)
    quiet_venue.step(quiet_venue.now_ns + 20_000 * MS)
    for frames, side in ((mine, "MAKER"), (theirs, "TAKER")):
        trades = [f for f in frames if f["event_type"] == "trade"]
        assert [t["status"] for t in trades] == ["MATCHED", "MINED", "CONFIRMED"]
        assert {t["trader_side"] for t in trades} == {side}
        assert trades[0]["maker_orders"][0]["matched_amount"] == "50"
    orders = [
        (f["type"], f["status"], f["size_matched"]) for f in mine if f["event_type"] == "order"
    ]
    assert orders == [("PLACEMENT", "LIVE", "0"), ("UPDATE", "MATCHED", "50")]


def test_match_time_has_both_names_on_the_socket(pair, plain, quiet_venue):
    alice, bob = pair
    frames = bob.listen()
    alice.limit(plain.tokens[0], "BUY", 6000, 50)
    bob.limit(plain.tokens[1], "BUY", 4000, 50)
    [trade] = [f for f in frames if f["event_type"] == "trade"]
    assert trade["match_time"] == trade["matchtime"] == str(quiet_venue.now_ns // 10**9)


def test_failed_settlement_gives_everything_back(pair, plain, quiet_venue):
    alice, bob = pair
    cash = alice.cash_e6(), bob.cash_e6()
    quiet_venue.faults.arm("settlement_failed_e4", 1)
    alice.limit(plain.tokens[0], "BUY", 6000, 50)
    bob.limit(plain.tokens[1], "BUY", 4000, 50)
    frames = bob.listen()
    quiet_venue.step(quiet_venue.now_ns + 20_000 * MS)
    assert [f["status"] for f in frames if f["event_type"] == "trade"] == ["FAILED"]
    assert (alice.cash_e6(), bob.cash_e6()) == cash
    audit(quiet_venue)


REFUSALS = [
    ("owner", 400, "the order owner has to be the owner of the API KEY"),
    ("signer", 400, "the order signer address has to be the address of the API KEY"),
    ("token", 404, "No orderbook exists for the requested token id"),
    ("exchange", 400, "invalid signature"),
    ("grid", 400, "order {id} is invalid. Price (0.555) breaks minimum tick size rule: 0.01"),
    ("size", 400, "order {id} is invalid. Size (4) lower than the minimum: 5"),
    ("dollar", 400, "invalid amount for a marketable BUY order ($0.98), min size: $1"),
    ("decimals", 400, "invalid amounts, the market buy orders maker amount supports a max"),
    ("expiration", 400, "invalid expiration"),
    ("balance", 400, "not enough balance / allowance: the balance is not enough -> balance: "),
    ("cross", 400, "invalid post-only order: order crosses book"),
    ("fok", 400, "order couldn't be fully filled. FOK orders are fully filled or killed."),
    ("fak", 400, "no orders found to match with FAK order. FAK orders are partially filled"),
]


@pytest.mark.parametrize(("case", "status", "text"), REFUSALS)
def test_refusal_has_the_venues_words(case, status, text, pair, plain):
    alice, bob = pair
    token = plain.tokens[0]
    bob.limit(plain.tokens[1], "BUY", 4000, 10)
    sign = alice.sign
    body = {
        "owner": lambda: alice.body(sign(token, "BUY", 2_500_000, 5_000_000), owner="else"),
        "signer": lambda: alice.body(sign(token, "BUY", 2_500_000, 5_000_000, signer=bob.address)),
        "token": lambda: alice.body(sign("12345", "BUY", 2_500_000, 5_000_000)),
        "exchange": lambda: alice.body(sign(token, "BUY", 2_500_000, 5_000_000, neg_risk=True)),
        "grid": lambda: alice.body(sign(token, "BUY", 5_550_000, 10_000_000)),
        "size": lambda: alice.body(sign(token, "BUY", 2_000_000, 4_000_000)),
        "dollar": lambda: alice.body(sign(token, "BUY", 980_000, 1_400_000), "FAK"),
        "decimals": lambda: alice.body(sign(token, "BUY", 5_000_001, 10_000_000), "FAK"),
        "expiration": lambda: alice.body(sign(token, "BUY", 2_500_000, 5_000_000), "GTD"),
        "balance": lambda: alice.body(sign(token, "BUY", 50_000_000_000, 100_000_000_000)),
        "cross": lambda: alice.body(sign(token, "BUY", 6_000_000, 10_000_000), postOnly=True),
        "fok": lambda: alice.body(sign(token, "BUY", 60_000_000, 100_000_000), "FOK"),
        "fak": lambda: alice.body(sign(token, "BUY", 5_000_000, 10_000_000), "FAK"),
    }[case]()
    answer = alice.post(body)
    assert answer.status == status
    shown = answer.json["error"]
    if "{id}" in text:
        shown = shown.replace(shown.split()[1], "{id}")
    assert shown.startswith(text)


def test_same_order_twice_is_a_duplicate(pair, plain):
    alice, _ = pair
    body = alice.body(alice.sign(plain.tokens[0], "BUY", 2_500_000, 5_000_000))
    first = alice.post(body)
    second = alice.post(body)
    assert second.json["error"] == f"order {first.json['orderID']} is invalid. Duplicated."


def test_wrong_hmac_or_old_clock_is_unauthorized(pair, plain):
    alice, _ = pair
    body = alice.body(alice.sign(plain.tokens[0], "BUY", 2_500_000, 5_000_000))
    alice.api.secret, good = alice.api.secret[::-1].replace("=", "A"), alice.api.secret
    assert alice.post(body).json == {"error": "Unauthorized/Invalid api key"}
    alice.api.secret = good
    assert alice.post(body).status == 200


def test_batch_answers_each_leg_in_order(pair, plain):
    alice, _ = pair
    token = plain.tokens[0]
    legs = [
        alice.body(alice.sign(token, "BUY", 2_500_000, 5_000_000)),
        alice.body(alice.sign(token, "BUY", 2_000_000, 4_000_000)),
        {"nonsense": True},
    ]
    answer = alice.call("POST", "/orders", legs)
    assert [bool(leg["orderID"]) for leg in answer.json] == [True, False, False]
    assert "lower than the minimum" in answer.json[1]["errorMsg"]
    assert answer.json[2]["errorMsg"] == "Invalid order payload"
    many = alice.call("POST", "/orders", [legs[0]] * 16)
    assert many.json["error"] == "Too many orders in payload: 16, max allowed: 15"


def test_cancel_says_why_not(pair, plain):
    alice, bob = pair
    order_id = alice.limit(plain.tokens[0], "BUY", 5000, 10).json["orderID"]
    first = bob.call("DELETE", "/order", {"orderID": order_id}).json
    assert first == {"canceled": [], "not_canceled": {order_id: "order not found"}}
    assert alice.call("DELETE", "/order", {"orderID": order_id}).json["canceled"] == [order_id]
    again = alice.call("DELETE", "/orders", [order_id]).json
    assert again["not_canceled"] == {order_id: "already canceled or matched"}


def test_rate_headers_count_down_and_refuse(pair, plain):
    alice, _ = pair
    body = alice.body(alice.sign(plain.tokens[0], "BUY", 2_500_000, 5_000_000))
    answers = [alice.post(body) for _ in range(61)]
    assert answers[0].headers["Poly-RateLimit-Remaining"] == "59"
    assert answers[-1].status == 429
    assert answers[-1].headers["Retry-After"] == "1"


def test_rejection_of_a_v1_order_names_the_version(pair):
    alice, _ = pair
    body = {"order": {"salt": 1, "nonce": "0", "feeRateBps": "0"}, "owner": alice.api.apiKey}
    assert alice.post(body).json["error"] == "order_version_mismatch"


def test_who_is_banned_or_may_only_close_is_told_so(pair, plain, quiet_venue):
    alice, bob = pair
    token = plain.tokens[0]
    alice.limit(token, "BUY", 6000, 50)
    bob.limit(plain.tokens[1], "BUY", 4000, 50)
    quiet_venue.step(quiet_venue.now_ns + 20_000 * MS)
    owner = alice.address
    for kind, words in (("banned", "banned"), ("closed_only", "in closed only mode")):
        quiet_venue.credentials.restrict(owner, kind)
        answer = alice.limit(token, "BUY", 1000, 50)
        assert answer.status == 400
        assert answer.json["error"].lower() == f"'{owner.lower()}' address {words}"
        told = alice.call("GET", "/auth/ban-status/closed-only").json
        assert told == {"closed_only": kind == "closed_only"}
    assert alice.limit(token, "SELL", 9000, 10).json["status"] == "live"
    quiet_venue.credentials.restrict(owner, "")
    assert alice.limit(token, "BUY", 1000, 10).status == 200
    with pytest.raises(ConfigError, match="kind was 'shunned', allowed: '', 'banned'"):
        quiet_venue.credentials.restrict(owner, "shunned")
