"""Order bodies and requests as bytes: the vectors' bodies, headers parsed back, HMACs checked."""

import base64
import hashlib
import hmac
import itertools
import json
import pickle
from urllib.parse import parse_qs, urlsplit

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import ConfigError, LocalProtocolError
from lowlat.core.layout import Action, Exchange, OrderType
from lowlat.venues.polymarket.orders import (
    OrderTemplate,
    PostParams,
    order_body,
    ready_batch,
    ready_order,
    sent_of,
    sign_template,
)
from lowlat.venues.polymarket.requests import AssetType, ClobRequests
from lowlat.venues.polymarket.signing import OrderFields, OrderSigner, exchange_for

TOKEN = 71321045679252212594626385532706912750332728571942532289631379312455583992563
MARKET = "0x" + "0f" * 32
NOW_S = 1_795_305_600


class Parsed:
    """A request as an HTTP server's parser sees it."""

    def __init__(self, wire):
        self.headers, self.body, self.done = {}, b"", False
        self.names = []
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(wire)
        self.method = parser.get_method().decode()
        self.keep_alive = parser.should_keep_alive()
        assert self.done, "the parser wants more bytes"

    def on_url(self, url):
        self.target = url.decode()

    def on_header(self, name, value):
        self.names.append(name.decode())
        self.headers[name.decode()] = value.decode()

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        assert not self.done, "one write holds one request"
        self.done = True

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def query(self):
        return {k: v for k, (v,) in parse_qs(urlsplit(self.target).query).items()}


def check_signed(wire, credentials, timestamp_s=NOW_S):
    """Verify the HMAC with the standard library, return the parsed request."""
    seen = Parsed(wire)
    assert seen.headers["POLY_TIMESTAMP"] == str(timestamp_s)
    text = f"{timestamp_s}{seen.method}{seen.path}".encode() + seen.body
    key = base64.urlsafe_b64decode(credentials.secret)
    expected = base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert seen.headers["POLY_SIGNATURE"] == expected
    assert seen.headers["POLY_API_KEY"] == credentials.api_key
    assert seen.headers["POLY_PASSPHRASE"] == credentials.passphrase
    assert seen.headers["Host"] == "clob.example.com"
    assert seen.keep_alive
    return seen


@pytest.fixture(scope="session")
def signer(private_key, vectors):
    return OrderSigner(private_key, 0, vectors["eoa"])


@pytest.fixture(scope="session")
def template(signer):
    order = OrderFields(7, TOKEN, 5_000_000, 10_000_000, Action.BUY, 1_710_000_000_000)
    return sign_template(signer, Exchange.STANDARD, order)


def template_of(case, private_key):
    message = case["message"]
    signer = OrderSigner(
        private_key, message["signatureType"], message["maker"], case["input"]["chain_id"]
    )
    token = int(message["tokenId"])
    raw = case["input"]["kind"] == "raw"
    exchange = Exchange.STANDARD if raw else exchange_for(case["input"]["neg_risk"], token)
    order = OrderFields(
        int(message["salt"]),
        token,
        int(message["makerAmount"]),
        int(message["takerAmount"]),
        Action(message["side"]),
        int(message["timestamp"]),
        bytes.fromhex(message["metadata"][2:]),
        bytes.fromhex(message["builder"][2:]),
    )
    return sign_template(signer, exchange, order)


def test_every_vector_renders_its_body_byte_for_byte(vectors, private_key, requests, credentials):
    for case in vectors["orders"]:
        template = template_of(case, private_key)
        post = case["post"]
        params = PostParams(OrderType[post["orderType"]], int(post["expiration"]), post["postOnly"])
        body = order_body(template, post["owner"], params)
        assert body.decode() == case["post_body_compact"], case["name"]
        assert "0x" + template.order_id.hex() == case["order_hash"]
        ready = ready_order(requests, template, params, NOW_S)
        seen = check_signed(ready.wire, credentials)
        assert seen.body == body
        assert (seen.method, seen.target) == ("POST", "/order")
        assert seen.headers["Content-Type"] == "application/json"


def test_a_batch_is_the_array_of_its_bodies(vectors, private_key, requests, credentials):
    # Some vectors differ in type alone: one signed order, so one id, and only once in a batch.
    cases = list({case["order_hash"]: case for case in vectors["orders"]}.values())[:15]
    legs = [
        (
            template_of(case, private_key),
            PostParams(OrderType[case["post"]["orderType"]], int(case["post"]["expiration"])),
        )
        for case in cases
    ]
    seen = check_signed(ready_batch(requests, legs, NOW_S).wire, credentials)
    assert seen.target == "/orders"
    assert seen.body.decode() == "[" + ",".join(c["post_body_compact"] for c in cases) + "]"
    with pytest.raises(LocalProtocolError, match="0 orders"):
        ready_batch(requests, [], NOW_S)
    with pytest.raises(LocalProtocolError, match="twice"):
        ready_batch(requests, [legs[0], legs[0]], NOW_S)
    with pytest.raises(LocalProtocolError, match="16 orders"):
        ready_batch(requests, [legs[0]] * 16, NOW_S)


def test_one_signature_serves_every_type_and_flag(template, credentials, requests):
    signatures = set()
    choices = [
        PostParams(OrderType.GTC),
        PostParams(OrderType.GTC, post_only=True),
        PostParams(OrderType.GTD, NOW_S + 180),
        PostParams(OrderType.GTD, NOW_S + 500, post_only=True),
        PostParams(OrderType.FOK),
        PostParams(OrderType.FAK),
    ]
    for params in choices:
        seen = check_signed(ready_order(requests, template, params, NOW_S).wire, credentials)
        body = json.loads(seen.body)
        assert body["orderType"] == params.order_type.name
        assert body["postOnly"] is params.post_only
        assert body["deferExec"] is False
        assert body["order"]["expiration"] == str(params.expiration_s)
        assert body["owner"] == credentials.api_key
        signatures.add(body["order"]["signature"])
    assert len(signatures) == 1


@pytest.mark.parametrize(
    "params",
    [
        PostParams(OrderType.GTC, NOW_S + 500),
        PostParams(OrderType.GTD),
        PostParams(OrderType.GTD, -1),
        PostParams(OrderType.GTD, NOW_S + 179),
        PostParams(OrderType.FOK, 0, post_only=True),
        PostParams(OrderType.FAK, 0, post_only=True),
        PostParams(OrderType.FAK, NOW_S + 500),
    ],
)
def test_what_the_venue_refuses_is_not_rendered(requests, template, params):
    with pytest.raises(LocalProtocolError):
        ready_order(requests, template, params, NOW_S)
    with pytest.raises(LocalProtocolError):
        ready_batch(requests, [(template, params)], NOW_S)


def test_renew_changes_the_second_and_the_signature_and_nothing_else(
    requests, template, credentials
):
    ready = ready_order(requests, template, PostParams(OrderType.FAK), NOW_S)
    first = ready.wire
    ready.renew(NOW_S + 1)
    second = ready.wire
    check_signed(first, credentials, NOW_S)
    check_signed(second, credentials, NOW_S + 1)
    assert ready.timestamp_s == NOW_S + 1
    assert len(first) == len(second)
    ready.renew(NOW_S)
    assert ready.wire == first
    # Bytes that a transport still holds are not changed by renewing.
    assert first != second
    head, _, body = second.partition(b"\r\n\r\n")
    assert body == first.partition(b"\r\n\r\n")[2]
    changed = [
        line.partition(b":")[0]
        for line, old in zip(head.split(b"\r\n"), first.split(b"\r\n"), strict=False)
        if line != old
    ]
    assert changed == [b"POLY_TIMESTAMP", b"POLY_SIGNATURE"]


@pytest.mark.parametrize("second", [0, -1, 999_999_999, 10**10, 1_795_305_600_000])
def test_a_second_that_is_none_is_refused_and_leaves_the_request_whole(requests, template, second):
    ready = ready_order(requests, template, PostParams(OrderType.FAK), NOW_S)
    before = ready.wire
    with pytest.raises(LocalProtocolError, match="timestamp_s"):
        ready.renew(second)
    assert ready.wire == before


def test_a_request_never_renewed_has_no_bytes_to_write(requests):
    assert requests.signed("GET", "/data/orders").wire == b""


def test_headers_come_in_one_fixed_order(requests, template):
    wire = ready_order(requests, template, PostParams(OrderType.FAK), NOW_S).wire
    assert Parsed(wire).names == [
        "Host",
        "User-Agent",
        "Accept",
        "Connection",
        "Content-Type",
        "Content-Length",
        "POLY_ADDRESS",
        "POLY_API_KEY",
        "POLY_PASSPHRASE",
        "POLY_TIMESTAMP",
        "POLY_SIGNATURE",
    ]


def test_private_calls_are_the_vectors_bytes(vectors, credentials):
    """Each l2 vector whose call we make must come out of the builder with that very signature."""
    first, second = b"\xab" * 32, b"\xcd" * 32
    calls = {
        ("GET", "/data/orders"): lambda r, t: r.orders(t),
        ("DELETE", "/order"): lambda r, t: r.cancel_order(t, first),
        ("DELETE", "/cancel-all"): lambda r, t: r.cancel_all(t),
        ("POST", "/v1/heartbeats"): lambda r, t: r.heartbeat(t, ""),
        ("GET", "/balance-allowance"): lambda r, t: r.balance(t, 3),
        ("DELETE", "/orders"): lambda r, t: r.cancel_orders(t, [first, second]),
        ("DELETE", "/cancel-market-orders"): lambda r, t: r.cancel_market(t, MARKET),
    }
    from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth

    words = vectors["l2_auth"]["creds"]
    made = set()
    for case in vectors["l2_auth"]["cases"]:
        call = calls.get((case["method"], case["path"]))
        if call is None:
            continue
        auth = L2Auth(
            vectors["eoa"], ApiCredentials(words["key"], case["secret"], words["passphrase"])
        )
        seen = Parsed(call(ClobRequests("clob.example.com", auth), case["timestamp"]))
        assert seen.body.decode() == (case["body"] or "")
        assert {k: v for k, v in seen.headers.items() if k.startswith("POLY_")} == case["headers"]
        made.add((case["method"], case["path"]))
    assert made == set(calls)


def test_queries_are_outside_the_signature(requests, credentials):
    seen = check_signed(
        requests.trades(
            NOW_S, market_id=MARKET, token_id=TOKEN, after_s=5, trade_id="a&b=c", cursor="MTAw"
        ),
        credentials,
    )
    assert seen.path == "/data/trades"
    assert seen.query == {
        "next_cursor": "MTAw",
        "market": MARKET,
        "asset_id": str(TOKEN),
        "after": "5",
        "id": "a&b=c",
    }
    assert seen.body == b""
    assert "Content-Length" not in seen.headers
    seen = check_signed(requests.orders(NOW_S), credentials)
    assert seen.query == {"next_cursor": "MA=="}
    seen = check_signed(
        requests.balance(NOW_S, 3, AssetType.CONDITIONAL, TOKEN, refresh=True), credentials
    )
    assert seen.path == "/balance-allowance/update"
    assert seen.query == {
        "asset_type": "CONDITIONAL",
        "signature_type": "3",
        "token_id": str(TOKEN),
    }
    seen = check_signed(requests.order(NOW_S, b"\xab" * 32), credentials)
    assert seen.target == "/data/order/0x" + "ab" * 32


def test_cancel_market_takes_a_market_a_token_or_both_but_never_nothing(requests, credentials):
    seen = check_signed(requests.cancel_market(NOW_S, MARKET, TOKEN), credentials)
    assert json.loads(seen.body) == {"market": MARKET, "asset_id": str(TOKEN)}
    seen = check_signed(requests.cancel_market(NOW_S, token_id=TOKEN), credentials)
    assert json.loads(seen.body) == {"asset_id": str(TOKEN)}
    with pytest.raises(LocalProtocolError):
        requests.cancel_market(NOW_S)


def test_public_calls_carry_no_credentials():
    requests = ClobRequests("127.0.0.1:8080", None)
    for wire, target in (
        (requests.server_time(), "/time"),
        (requests.book(TOKEN), f"/book?token_id={TOKEN}"),
    ):
        seen = Parsed(wire)
        assert (seen.method, seen.target) == ("GET", target)
        assert seen.headers["Host"] == "127.0.0.1:8080"
        assert not [name for name in seen.names if name.startswith("POLY")]
    for call in (
        lambda: requests.cancel_all(NOW_S),
        lambda: requests.orders(NOW_S),
        lambda: requests.api_key,
    ):
        with pytest.raises(LocalProtocolError, match="credentials"):
            call()


@pytest.mark.parametrize("text", ["a\r\nX: y", "", "a b", "a/b", "a:", "ünï"])
def test_a_host_that_would_break_the_headers_is_refused(text):
    with pytest.raises(ConfigError, match="host"):
        ClobRequests(text, None)
    if text not in {"a b", "a/b", "a:"}:
        with pytest.raises(ConfigError, match="user_agent"):
            ClobRequests("a", None, text)


@given(st.text(max_size=40))
def test_a_heartbeat_id_of_any_text_stays_inside_its_string(requests, credentials, text):
    seen = check_signed(requests.heartbeat(NOW_S, text), credentials)
    assert json.loads(seen.body) == {"heartbeat_id": text}


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.cancel_order(NOW_S, b"short"),
        lambda r: r.cancel_orders(NOW_S, []),
        lambda r: r.cancel_orders(NOW_S, [bytes(32)] * 1_001),
        lambda r: r.cancel_market(NOW_S, "0x12"),
        lambda r: r.cancel_market(NOW_S, MARKET + "\n"),
        lambda r: r.cancel_market(NOW_S, token_id=-1),
        lambda r: r.orders(NOW_S, cursor="LTE="),
        lambda r: r.orders(NOW_S, cursor="a b"),
        lambda r: r.orders(NOW_S, cursor=""),
        lambda r: r.order(NOW_S, b""),
        lambda r: r.book(2**300),
    ],
)
def test_malformed_arguments_never_become_a_request(requests, call):
    with pytest.raises(LocalProtocolError):
        call(requests)


def test_no_request_object_shows_what_it_signs_with(requests, template, credentials):
    ready = ready_order(requests, template, PostParams(OrderType.FAK), NOW_S)
    for holder in (ready, requests):
        assert credentials.secret not in repr(holder)
        assert credentials.passphrase not in repr(holder)
        assert not hasattr(holder, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(ready)
    signature = json.loads(ready.wire.partition(b"\r\n\r\n")[2])["order"]["signature"]
    assert signature[2:] not in repr(template)
    assert template.order_id.hex() in repr(template)


def test_an_answer_is_read_against_what_was_sent(template):
    assert sent_of(template, PostParams(OrderType.FAK)) == (
        template.order_id,
        Action.BUY,
        5_000_000,
        10_000_000,
        OrderType.FAK,
    )


def test_salts_make_ids(signer):
    order = OrderFields(7, TOKEN, 5_000_000, 10_000_000, Action.BUY, 1_710_000_000_000)
    made = [
        sign_template(signer, exchange, order._replace(salt=salt))
        for exchange, salt in itertools.product((Exchange.STANDARD, Exchange.NEG_RISK), (1, 2, 3))
    ]
    assert len({t.order_id for t in made}) == 6
    assert all(isinstance(t, OrderTemplate) for t in made)
