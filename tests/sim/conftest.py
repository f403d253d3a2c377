"""A venue, wallets that sign with eth_account, and a client that needs no socket."""

import base64
import hashlib
import hmac
import json
from types import SimpleNamespace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from lowlat.sim.config import load_config
from lowlat.sim.contracts import EXCHANGES
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request

START_NS = 1_795_305_600_000_000_000
KEYS = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
)
ZERO = "0x" + "00" * 32
ORDER_FIELDS = [
    ("salt", "uint256"),
    ("maker", "address"),
    ("signer", "address"),
    ("tokenId", "uint256"),
    ("makerAmount", "uint256"),
    ("takerAmount", "uint256"),
    ("side", "uint8"),
    ("signatureType", "uint8"),
    ("timestamp", "uint256"),
    ("metadata", "bytes32"),
    ("builder", "bytes32"),
]


class Trader:
    """One EOA: signs orders (type 0) by the public library and every call by HMAC."""

    def __init__(self, venue, key):
        self.venue = venue
        self.account = Account.from_key(key)
        self.address = self.account.address
        self.salt = 1000
        self.api = None

    def l1(self, method, path, nonce="0"):
        stamp = str(self.venue.now_ns // 10**9)
        message = {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                ],
                "ClobAuth": [
                    {"name": "address", "type": "address"},
                    {"name": "timestamp", "type": "string"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "message", "type": "string"},
                ],
            },
            "primaryType": "ClobAuth",
            "domain": {"name": "ClobAuthDomain", "version": "1", "chainId": 137},
            "message": {
                "address": self.address,
                "timestamp": stamp,
                "nonce": int(nonce),
                "message": "This message attests that I control the given wallet",
            },
        }
        signed = self.account.sign_message(encode_typed_data(full_message=message))
        headers = {
            "poly_address": self.address,
            "poly_signature": "0x" + signed.signature.hex().removeprefix("0x"),
            "poly_timestamp": stamp,
            "poly_nonce": nonce,
        }
        answer = self.venue_call(Request(method, path, {}, headers, b""))
        if answer.status == 200:
            self.api = SimpleNamespace(**answer.json)
        return answer

    def headers(self, method, path, body=b"", now_ns=None):
        stamp = str((self.venue.now_ns if now_ns is None else now_ns) // 10**9)
        key = base64.urlsafe_b64decode(self.api.secret)
        digest = hmac.new(key, (stamp + method + path).encode() + body, hashlib.sha256).digest()
        return {
            "poly_address": self.address,
            "poly_api_key": self.api.apiKey,
            "poly_passphrase": self.api.passphrase,
            "poly_timestamp": stamp,
            "poly_signature": base64.urlsafe_b64encode(digest).decode(),
        }

    def sign(self, token, side, maker, taker, neg_risk=False, **changes):
        self.salt += 1
        order = {
            "salt": self.salt,
            "maker": self.address,
            "signer": self.address,
            "tokenId": token,
            "makerAmount": str(maker),
            "takerAmount": str(taker),
            "side": side,
            "expiration": "0",
            "signatureType": 0,
            "timestamp": str(self.venue.now_ns // 10**6),
            "metadata": ZERO,
            "builder": ZERO,
        } | changes
        version, contract = EXCHANGES["neg_risk" if neg_risk else "standard"]
        message = {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Order": [{"name": name, "type": kind} for name, kind in ORDER_FIELDS],
            },
            "primaryType": "Order",
            "domain": {
                "name": "Polymarket CTF Exchange",
                "version": version,
                "chainId": 137,
                "verifyingContract": contract,
            },
            "message": {
                name: (0 if side == "BUY" else 1)
                if name == "side"
                else (order[name] if kind in {"address", "bytes32"} else int(order[name]))
                for name, kind in ORDER_FIELDS
            },
        }
        signed = self.account.sign_message(encode_typed_data(full_message=message))
        order["signature"] = "0x" + signed.signature.hex().removeprefix("0x")
        return order

    def body(self, order, kind="GTC", **changes):
        return {
            "order": order,
            "owner": self.api.apiKey,
            "orderType": kind,
            "deferExec": False,
        } | changes

    def limit(self, token, side, price_e4, shares, kind="GTC", neg_risk=False, **changes):
        cash, size = price_e4 * shares * 100, shares * 1_000_000
        maker, taker = (cash, size) if side == "BUY" else (size, cash)
        signed = self.sign(token, side, maker, taker, neg_risk)
        return self.post(self.body(signed, kind, **changes))

    def market_buy(self, token, dollars_e6, price_e4, kind="FOK", neg_risk=False):
        shares = dollars_e6 * 10_000 // price_e4 // 100 * 100
        return self.post(self.body(self.sign(token, "BUY", dollars_e6, shares, neg_risk), kind))

    def post(self, body):
        return self.call("POST", "/order", body)

    def call(self, method, path, body=None, query=None):
        raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = self.headers(method, path, raw)
        return self.venue_call(Request(method, path, query or {}, headers, raw))

    def venue_call(self, request):
        answer = SimpleNamespace(status=None, json=None, headers={})

        def respond(response):
            assert answer.status is None, "answered twice"
            answer.status = response.status
            answer.json = json.loads(response.body) if response.body else None
            answer.headers = dict(response.headers)

        self.venue.clob_request(request, respond)
        return answer

    def cash_e6(self):
        return self.venue.exchange.accounts.by_wallet[self.address.lower()].cash_e6

    def listen(self):
        """Open a user socket; return the list its frames arrive in."""
        from lowlat.sim.feed_session import Session

        frames = []
        session = Session(lambda raw: frames.append(json.loads(raw)), lambda *a: frames.append(a))
        self.venue.user_feed.connect(session)
        auth = vars(self.api)
        first = json.dumps({"type": "user", "auth": auth}).encode()
        self.venue.user_feed.on_text(session, first, self.venue.now_ns)
        return frames


QUIET = {
    "coins": [],
    "markets": 8,
    "neg_risk_events": 1,
    "tape": "none",
    "flow": {"events_per_s": 0, "edges": []},
}


@pytest.fixture
def quiet_venue():
    """A venue without any flow: books are empty until a test fills them."""
    return make_venue()


def make_venue(**changes):
    return Venue(load_config(QUIET | changes), START_NS)


@pytest.fixture
def venue_of():
    return make_venue


@pytest.fixture
def trader_of():
    def make(venue, index=0):
        trader = Trader(venue, KEYS[index])
        assert trader.l1("POST", "/auth/api-key").status == 200
        return trader

    return make


@pytest.fixture
def pair(quiet_venue, trader_of):
    return trader_of(quiet_venue, 0), trader_of(quiet_venue, 1)


@pytest.fixture
def plain(quiet_venue):
    """A binary market with tick 0.01 and no fee."""
    return next(
        m
        for m in quiet_venue.exchange.markets
        if m.kind == "binary" and m.tick_e4 == 100 and not m.rules.fee_rate_e4
    )
