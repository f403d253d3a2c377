"""Whatever is asked, the venue answers in its own shape: never a 500 by accident, never a crash."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.sim.wire import Request

LONG = settings(max_examples=3_000, derandomize=False)
CLOB = [
    *(
        ("GET", path)
        for path in (
            "/",
            "/ok",
            "/time",
            "/version",
            "/book",
            "/markets",
            "/simplified-markets",
            "/sampling-markets",
            "/sampling-simplified-markets",
            "/tick-size",
            "/neg-risk",
            "/fee-rate",
            "/midpoint",
            "/price",
            "/spread",
            "/last-trade-price",
            "/prices-history",
            "/rewards/markets/current",
            "/rewards/markets/multi",
            "/rewards/markets/0x12",
            "/rebates/current",
            "/builder/trades",
            "/clob-markets/0x12",
            "/markets/0x12",
            "/markets-by-token/7",
            "/markets/live-activity/0x1",
            "/fees/builder-fees/0x1",
            "/auth/derive-api-key",
            "/nowhere",
        )
    ),
    *(
        ("POST", path)
        for path in (
            "/books",
            "/midpoints",
            "/prices",
            "/spreads",
            "/last-trades-prices",
            "/auth/api-key",
        )
    ),
]
PRIVATE = [
    *(("GET", path) for path in (
        "/auth/api-keys", "/auth/ban-status/closed-only", "/auth/readonly-api-keys",
        "/auth/builder-api-key", "/v1/user/session-signers", "/data/orders", "/data/trades",
        "/data/order/0x12", "/data/pre-migration-orders", "/balance-allowance",
        "/balance-allowance/update", "/notifications", "/order-scoring", "/rewards/user",
        "/rewards/user/total", "/rewards/user/markets", "/rewards/user/percentages",
    )),
    *(("POST", path) for path in (
        "/order", "/orders", "/v1/heartbeats", "/orders-scoring", "/auth/readonly-api-key",
        "/auth/builder-api-key",
    )),
    *(("DELETE", path) for path in (
        "/order", "/orders", "/cancel-all", "/cancel-market-orders", "/notifications",
        "/auth/readonly-api-key", "/auth/builder-api-key",
    )),
]  # fmt: skip
RELAYER = [
    ("GET", "/deployed"),
    ("GET", "/v1/account/transactions/params"),
    ("GET", "/v1/account/transactions/1"),
    ("GET", "/relay-payload"),
    ("GET", "/transaction"),
    ("POST", "/submit"),
    ("POST", "/v1/session-signers/authorizations"),
    ("POST", "/v1/session-signers/revocations"),
    ("POST", "/rpc"),
]
NAMES = [
    "token_id",
    "market",
    "asset_id",
    "id",
    "next_cursor",
    "side",
    "interval",
    "startTs",
    "endTs",
    "fidelity",
    "date",
    "user",
    "type",
    "maker_address",
    "builder_code",
    "signature_type",
    "asset_type",
    "ids",
    "order_id",
    "after",
    "before",
    "page_size",
    "address",
]
TEXTS = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["MA==", "LTE=", "0x", "0x" + "00" * 20, "0x" + "ff" * 32, "²", "٣", "1e9"]),
)
QUERIES = st.dictionaries(st.sampled_from(NAMES), st.lists(TEXTS, max_size=2), max_size=4)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), TEXTS
)
FIELDS = [
    "order",
    "orderID",
    "owner",
    "orderType",
    "postOnly",
    "heartbeat_id",
    "key",
    "token_id",
    "market",
    "asset_id",
    "side",
    "type",
    "from",
    "to",
    "nonce",
    "signature",
    "metadata",
    "data",
    "depositWalletParams",
    "signatureParams",
    "calls",
    "target",
    "value",
    "deadline",
    "depositWallet",
    "proxyWallet",
    "scopes",
    "walletAddress",
    "sessionSignerAddress",
    "validUntil",
    "jsonrpc",
    "method",
    "params",
    "id",
    "salt",
    "maker",
    "signer",
    "tokenId",
    "makerAmount",
    "takerAmount",
    "expiration",
    "signatureType",
    "timestamp",
    "builder",
]
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
    ),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.just(b"[" * 5000),
)


def in_shape(answer):
    """Check an answer: success, or a refusal in the venue's words."""
    assert answer.status is not None, "no answer"
    assert answer.status == 200 or 400 <= answer.status < 500, (answer.status, answer.json)
    if answer.status != 200:
        words = answer.json.get("error") or answer.json.get("error_msg")
        assert isinstance(words, str)
        assert words


def ask(send, request):
    from types import SimpleNamespace

    answer = SimpleNamespace(status=None, json=None)

    def respond(response):
        answer.status = response.status
        answer.json = json.loads(response.body)

    send(request, respond)
    return answer


def public(venue, route, query, headers, body):
    in_shape(ask(venue.clob_request, Request(*route, query, headers, body)))


def private(trader, route, query, body):
    method, path = route
    headers = trader.headers(method, path, body)
    in_shape(trader.venue_call(Request(method, path, query, headers, body)))


def relayed(venue, route, query, body, *, known):
    owner = "0x" + "11" * 20
    headers = {"relayer_api_key_address": owner}
    headers["relayer_api_key"] = venue.credentials.relayer_key(owner) if known else "no"
    answer = ask(venue.relayer_request, Request(*route, query, headers, body))
    in_shape(answer)


@pytest.fixture
def open_venue(venue_of):
    limits = {"order_rate": 10**6, "order_burst": 10**6, "cancel_rate": 10**6}
    wide = {"cancel_burst": 10**6, "ip_limits": False, "relayer_submits_per_minute": 10**6}
    return venue_of(**limits, **wide)


@pytest.fixture
def key_holder(open_venue, trader_of):
    return trader_of(open_venue)


HEADERS = st.dictionaries(
    st.sampled_from(["poly_address", "poly_timestamp", "poly_nonce", "poly_signature"]),
    TEXTS,
    max_size=4,
)


@settings(max_examples=120)
@given(st.sampled_from(CLOB + PRIVATE), QUERIES, HEADERS, BODIES)
def test_strangers_are_answered_in_shape(open_venue, route, query, headers, body):
    public(open_venue, route, query, headers, body)


@settings(max_examples=120)
@given(route=st.sampled_from(PRIVATE), query=QUERIES, body=BODIES)
def test_key_holders_are_answered_in_shape(key_holder, route, query, body):
    private(key_holder, route, query, body)


@settings(max_examples=120)
@given(st.sampled_from(RELAYER), QUERIES, BODIES, st.booleans())
def test_the_relayer_answers_in_shape(open_venue, route, query, body, known):
    relayed(open_venue, route, query, body, known=known)


@pytest.mark.marathon
@pytest.mark.stress
@LONG
@given(st.sampled_from(CLOB + PRIVATE), QUERIES, HEADERS, BODIES)
def test_thousands_of_strangers_are_answered(open_venue, route, query, headers, body):
    public(open_venue, route, query, headers, body)


@pytest.mark.marathon
@pytest.mark.stress
@LONG
@given(route=st.sampled_from(PRIVATE), query=QUERIES, body=BODIES)
def test_thousands_of_key_holders_are_answered(key_holder, route, query, body):
    private(key_holder, route, query, body)


@pytest.mark.marathon
@pytest.mark.stress
@LONG
@given(st.sampled_from(RELAYER), QUERIES, BODIES, st.booleans())
def test_the_relayer_answers_thousands(open_venue, route, query, body, known):
    relayed(open_venue, route, query, body, known=known)


@settings(max_examples=120)
@given(st.data())
def test_spoiled_orders_are_refused_in_shape(key_holder, data):
    """A good order with a few of its fields replaced by anything."""
    trader = key_holder
    market = trader.venue.exchange.markets[0]
    neg_risk = market.rules.neg_risk
    body = trader.body(trader.sign(market.tokens[0], "BUY", 5_000_000, 10_000_000, neg_risk))
    for name in data.draw(st.lists(st.sampled_from(sorted(body["order"])), max_size=3)):
        body["order"][name] = data.draw(LEAVES)
    for name in data.draw(st.lists(st.sampled_from(sorted(body)), max_size=1)):
        body[name] = data.draw(LEAVES)
    in_shape(trader.post(body))
