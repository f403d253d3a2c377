"""The authenticated price socket: acks, the past, sequences, limits and what breaking them costs.

Source: docs.polymarket.com/api-reference/live-data/overview.
"""

import json

import pytest

from lowlat.sim import polybolt
from lowlat.sim.config import load_config
from lowlat.sim.feed_session import Session
from lowlat.sim.venue import Venue

MS = 1_000_000
START_NS = 1_795_305_600_000_000_000
QUIET = {
    "coins": ["BTC"],
    "windows_s": [],
    "markets": 8,
    "neg_risk_events": 1,
    "flow": {"events_per_s": 0, "edges": []},
    "faults": {"price_drop_e4": 0},
}
BTC = {"channel": "price.crypto", "filter": {"symbol": "btcusd"}}
AVERAGE = {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}}


class Client:
    def __init__(self, venue, pongs=True):
        self.venue, self.frames, self.closed = venue, [], []
        self.session = Session(lambda raw: self.frames.append(json.loads(raw)), self._close)
        self.session.pong_ns = venue.now_ns
        if pongs:
            self.session.ping = lambda _: setattr(self.session, "pong_ns", venue.now_ns)
        venue.polybolt.connect(self.session)

    def _close(self, code, reason):
        self.closed.append(code)
        self.venue.polybolt.disconnect(self.session)

    def send(self, frame):
        raw = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        self.venue.polybolt.on_text(self.session, raw, self.venue.now_ns)

    def ask(self, *wanted, op="subscribe"):
        """Send one frame; return (op or code, channel) of each answer that is no data."""
        start = len(self.frames)
        self.send({"op": op, "rid": "7", "subscriptions": wanted})
        acks = [f for f in self.frames[start:] if "op" in f]
        assert {f["rid"] for f in acks} == {"7"}
        return [(f.get("code") or f["op"], f.get("channel")) for f in acks]

    def data(self, channel):
        return [f for f in self.frames if "v" in f and f["channel"] == channel]

    def wait(self, milliseconds):
        self.venue.step(self.venue.now_ns + milliseconds * MS)


@pytest.fixture
def venue():
    return Venue(load_config(QUIET), START_NS)


@pytest.fixture
def member(venue):
    """A client that gave its credentials."""
    client = Client(venue)
    key = venue.credentials.create("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")
    auth = {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}
    client.send({"op": "auth", "rid": "1", "auth": auth})
    assert client.frames == [{"op": "authed", "rid": "1"}]
    return client


def test_each_subscription_of_a_frame_is_answered_with_its_channel(member):
    nonsense = {"channel": "price.tulips", "filter": {"symbol": "btcusd"}}
    no_window = {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd"}}
    strange = {"channel": "price.crypto", "filter": {"symbol": "btcusd", "provider": "me"}}
    assert member.ask(BTC, nonsense, AVERAGE, no_window, strange) == [
        ("subscribed", "price.crypto"),
        ("bad_channel", "price.tulips"),
        ("subscribed", "price.crypto.twap"),
        ("bad_filter", "price.crypto.twap"),
        ("bad_filter", "price.crypto"),
    ]
    member.wait(4_000)
    assert not member.closed
    for channel in ("price.crypto", "price.crypto.twap"):
        frames = member.data(channel)
        assert len(frames) > 2
        assert [f.get("snapshot", False) for f in frames] == [True] + [False] * (len(frames) - 1)
        assert [f["seq"] for f in frames] == list(range(1, len(frames) + 1))
        assert {f["payload"]["source"] for f in frames} == {"chainlink"}


def test_asking_again_is_acked_without_the_past_and_leaving_ends_the_values(member):
    member.ask(BTC)
    assert member.ask(BTC) == [("subscribed", "price.crypto")]
    assert len(member.data("price.crypto")) == 1
    member.frames.clear()
    member.send({"op": "unsubscribe", **BTC})
    assert member.frames == [{"op": "unsubscribed", "channel": "price.crypto"}]
    member.wait(3_000)
    assert not member.data("price.crypto")


def test_equities_have_an_empty_past_and_name_their_provider(member):
    gold = {"channel": "price.equity", "filter": {"symbol": "xauusd", "provider": "pyth"}}
    tulip = {"channel": "price.equity", "filter": {"symbol": "tulip"}}
    assert member.ask(gold, tulip) == [
        ("subscribed", "price.equity"),
        ("bad_filter", "price.equity"),
    ]
    assert [f["provider"] for f in member.frames if f.get("op") == "subscribed"] == ["pyth"]
    assert member.data("price.equity")[0]["payload"]["data"] == []


def test_best_prices_of_a_token_need_no_key(venue):
    client = Client(venue)
    market = venue.exchange.markets[0]
    yes = market.tokens[0]
    touch = {"channel": "price.polymarket", "filter": {"asset_id": yes}}
    nobody = {"channel": "price.polymarket", "filter": {"asset_id": "1"}}
    assert client.ask(touch, nobody, BTC) == [
        ("subscribed", "price.polymarket"),
        ("bad_filter", "price.polymarket"),
        ("auth_required", "price.crypto"),
    ]
    before = client.data("price.polymarket")[0]["payload"]
    assert (before["market"], before["asset_id"]) == (market.condition_id, yes)
    venue.flow.quote_all(market, 0.3, venue.now_ns)
    frames = client.data("price.polymarket")
    assert len(frames) > 1
    now = frames[-1]["payload"]
    assert (now["best_bid"], now["best_ask"]) != (before["best_bid"], before["best_ask"])
    book = venue.exchange.markets[0].ladder
    assert float(now["best_bid"]) == book.best_bid_e4() / 10_000
    assert len({(f["payload"]["best_bid"], f["payload"]["best_ask"]) for f in frames}) == len(
        frames
    )


def test_wrong_credentials_leave_the_socket_open_eight_times(venue):
    client = Client(venue)
    wrong = {"op": "auth", "rid": "1", "auth": {"apiKey": "a", "secret": "b", "passphrase": "c"}}
    for _ in range(8):
        client.send(wrong)
    assert [f["code"] for f in client.frames] == ["auth_invalid"] * 8
    assert not client.closed
    client.send(wrong)
    assert (client.frames[-1]["code"], client.closed) == ("auth_attempts", [4008])


def test_too_many_subscriptions_close_the_socket(member, monkeypatch):
    monkeypatch.setattr(polybolt, "SUBSCRIPTIONS_MAX", 1)
    assert member.ask(BTC, BTC, AVERAGE)[-1] == ("sub_limit", "price.crypto.twap")
    assert member.closed == [4008]


def test_too_many_frames_or_bytes_close_the_socket(venue):
    client = Client(venue)
    for _ in range(20):
        assert client.ask() == [("bad_channel", None)]
    client.wait(1_000)
    for _ in range(20):
        client.ask()
    assert not client.closed
    assert client.ask() == [("rate_limited", None)]
    assert client.closed == [4008]
    big = Client(venue)
    big.send(b" " * 65_537)
    assert big.closed == [4008]


def test_two_missed_pongs_close_the_socket():
    venue = Venue(load_config(QUIET | {"coins": []}), START_NS)
    alive, mute = Client(venue), Client(venue, pongs=False)
    alive.wait(74_000)
    assert not mute.closed
    alive.wait(2_000)
    assert (alive.closed, mute.closed) == ([], [4002])


def test_small_words_are_answered(venue):
    client = Client(venue)
    client.send({"op": "ping", "rid": "p"})
    client.send({"op": "challenge", "rid": "c"})
    client.send({"op": "dance", "rid": "d"})
    client.send(b"{")
    assert client.frames[0] == {"op": "pong", "rid": "p"}
    assert len(client.frames[1]["nonce"]) == 36
    assert [f.get("code") for f in client.frames[2:]] == ["bad_op", "bad_op"]
