"""Whatever comes in: an answer or a closed socket, never an exception."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.sim.feed_session import Session
from lowlat.sim.wire import Request

PRIVATE = (
    ("POST", "/order"),
    ("POST", "/orders"),
    ("DELETE", "/order"),
    ("DELETE", "/orders"),
    ("DELETE", "/cancel-market-orders"),
    ("POST", "/v1/heartbeats"),
    ("POST", "/books"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
relaxed = settings(max_examples=60)


@relaxed
@given(st.sampled_from(PRIVATE), st.binary(max_size=64) | json_values.map(json.dumps))
def test_any_body_is_answered(pair, route, body):
    alice, _ = pair
    raw = body if isinstance(body, bytes) else body.encode()
    headers = alice.headers(*route, raw)
    answer = alice.venue_call(Request(*route, {}, headers, raw))
    assert answer.status in {200, 400, 429}


FIELDS = [
    "salt",
    "maker",
    "signer",
    "tokenId",
    "makerAmount",
    "takerAmount",
    "side",
    "expiration",
    "signatureType",
    "timestamp",
    "metadata",
    "builder",
    "signature",
]


@relaxed
@given(
    st.sampled_from(FIELDS),
    json_values | st.sampled_from(["", "0", "-1", "1e9", "0x", "0x" + "ff" * 65, "9" * 90, "NaN"]),
    st.sampled_from(["GTC", "GTD", "FOK", "FAK", "IOC"]),
)
def test_any_mutated_order_is_refused_in_words(pair, plain, field, value, kind):
    alice, _ = pair
    signed = alice.sign(plain.tokens[0], "BUY", 2_500_000, 5_000_000)
    if signed[field] == value or (field == "expiration" and kind == "GTD"):
        return
    answer = alice.post(alice.body(signed | {field: value}, kind))
    assert answer.status in {400, 404, 429}
    assert answer.json["error"]


@relaxed
@given(st.binary(max_size=64) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_socket_frame_is_survived(quiet_venue, raw):
    feeds = (
        quiet_venue.market_feed,
        quiet_venue.user_feed,
        quiet_venue.rtds,
        quiet_venue.polybolt,
        quiet_venue.binance.feed("/ws"),
    )
    for feed in feeds:
        session = Session(lambda _: None, lambda *_: None)
        feed.connect(session)
        feed.on_text(session, raw, quiet_venue.now_ns)
        feed.disconnect(session)


@pytest.mark.parametrize("opener", [b"[", b'{"order":'])
def test_deep_nesting_is_refused(opener, pair):
    # Hypothesis may have raised the limit, under which so many levels overrun the C stack.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    try:
        refuse_deep(opener, *pair)
    finally:
        sys.setrecursionlimit(limit)


def refuse_deep(opener, alice, _):
    raw = opener * 50_000
    for route in (("POST", "/order"), ("POST", "/orders"), ("POST", "/books")):
        answer = alice.venue_call(Request(*route, {}, alice.headers(*route, raw), raw))
        assert answer.status == 400
