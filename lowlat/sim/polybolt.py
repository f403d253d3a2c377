"""PolyBolt, the authenticated price socket: an ack a subscription, exact decimals, limits. Pure.

Each op is answered; only broken limits close a socket (4008), and two pings without pong (4002).
The simulated market has no equities: their channels answer with an empty past and stay silent.
Source: polymarket.md 10.2; docs.polymarket.com/api-reference/live-data/overview (Nov 2026).
"""

from random import Random
from typing import Any, Final
from uuid import UUID

import msgspec
import orjson

from lowlat.core.units import E8, format_fixed
from lowlat.sim import events
from lowlat.sim.catalog import Market
from lowlat.sim.credentials import Credentials
from lowlat.sim.exchange import Exchange
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.listener import Listener
from lowlat.sim.price_series import HISTORY_S, history
from lowlat.sim.spot import SpotPath
from lowlat.sim.trades import Trade
from lowlat.sim.wire import UNREADABLE

__all__ = ["PING_NS", "PolyBolt"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
PING_NS: Final = 25 * NS
SUBSCRIPTIONS_MAX: Final = 64
SUBSCRIBES_PER_S_MAX: Final = 20
FRAME_BYTES_MAX: Final = 65_536
AUTHS_MAX: Final = 8
TOUCH: Final = "price.polymarket"
CRYPTO: Final = {"price.crypto": "spot", "price.crypto.twap": "twap"}
CHANNEL_BY_KIND: Final = {kind: channel for channel, kind in CRYPTO.items()}
STOCKS: Final = frozenset(
    {"aapl", "abnb", "amzn", "cc3m", "cll", "coin", "crcl", "ewy", "googl", "gbpusd", "eurusd",
     "hn", "hood", "intc", "meta", "msft", "mstr", "mu", "nflx", "nvda", "open", "pltr", "qqq",
     "rklb", "spcx", "spy", "tsla", "usdcad", "usdjpy", "usdkrw", "vxx", "xagusd", "xauusd"}
)  # fmt: skip
EQUITIES: Final = {"price.equity": STOCKS, "price.equity.twap": frozenset({"eurusd", "usdjpy"})}
PROVIDERS: Final = frozenset({"", "chainlink", "pyth"})


class _Auth(msgspec.Struct, gc=False):
    apiKey: str  # noqa: N815 - the venue's spelling
    secret: str
    passphrase: str


class _Filter(msgspec.Struct, gc=False):
    symbol: str = ""
    asset_id: str = ""
    provider: str = ""
    window_seconds: int = 0


class _Subscription(msgspec.Struct, gc=False):
    channel: str
    filter: _Filter = msgspec.field(default_factory=_Filter)


class _Frame(msgspec.Struct, gc=False):
    op: str
    rid: str | None = None
    auth: _Auth | None = None
    subscriptions: list[_Subscription] = []
    channel: str = ""
    filter: _Filter = msgspec.field(default_factory=_Filter)

    def wanted(self) -> list[_Subscription]:
        """Return the subscriptions: a list of them, or the one that the frame itself is."""
        alone = [_Subscription(self.channel, self.filter)] if self.channel else []
        return self.subscriptions or alone


class _Client:
    """What the service keeps of one socket."""

    __slots__ = ("asked_ns", "auths", "seqs")

    def __init__(self) -> None:
        self.seqs: dict[str, int] = {}
        self.asked_ns: list[int] = []
        """When it subscribed or unsubscribed within the last second."""
        self.auths = 0


_decode: Final = msgspec.json.Decoder(_Frame).decode


class PolyBolt(Listener):
    """All sockets of the service; hears the exchange for the best prices of tokens."""

    def __init__(
        self,
        spots: dict[str, SpotPath],
        credentials: Credentials,
        exchange: Exchange,
        faults: Faults,
        rng: Random,
    ) -> None:
        self._spots = spots
        self._credentials = credentials
        self._exchange = exchange
        self._faults = faults
        self._rng = rng
        self._clients: dict[Session, _Client] = {}
        self._watched: dict[str, int] = {}
        """How many sockets watch a token."""
        self._touches: dict[str, tuple[str, str]] = {}
        exchange.listeners.append(self)

    # ----------------------------------------------------------------------------- client
    def connect(self, session: Session) -> None:
        """Take a new socket."""
        self._clients[session] = _Client()

    def disconnect(self, session: Session) -> None:
        """Forget a socket."""
        if self._clients.pop(session, None) is not None:
            for name in session.subscriptions:
                self._unwatch(name)

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        return list(self._clients)

    def ping(self, now_ns: int) -> None:
        """Ping every socket; drop those that owe two pongs."""
        for session in list(self._clients):
            if now_ns - session.pong_ns > 2 * PING_NS:
                session.close(4002, "pong timeout")
            else:
                session.ping(b"")

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle auth, challenge, subscribe, unsubscribe and ping."""
        if len(text) > FRAME_BYTES_MAX:
            session.close(4008, "frame too large")
            return
        try:
            frame = _decode(text)
        except UNREADABLE:
            _fail(session, "bad_op", None)
            return
        if frame.op == "auth":
            self._authenticate(session, frame)
        elif frame.op == "ping":
            _reply(session, "pong", frame.rid)
        elif frame.op == "challenge":
            nonce = str(UUID(int=self._rng.getrandbits(128), version=4))
            _reply(session, "challenge", frame.rid, nonce=nonce)
        elif frame.op in {"subscribe", "unsubscribe"}:
            client = self._clients[session]
            recent = [at for at in client.asked_ns if now_ns - at < NS]
            client.asked_ns = [*recent, now_ns]
            if len(recent) >= SUBSCRIBES_PER_S_MAX:
                _fail(session, "rate_limited", frame.rid)
                session.close(4008, "rate limited")
            else:
                self._change(session, frame, now_ns)
        else:
            _fail(session, "bad_op", frame.rid)

    def _authenticate(self, session: Session, frame: _Frame) -> None:
        client = self._clients[session]
        client.auths += 1
        if client.auths > AUTHS_MAX:
            _fail(session, "auth_attempts", frame.rid)
            session.close(4008, "auth attempts")
            return
        auth = frame.auth
        key = None
        if auth is not None:
            key = self._credentials.socket(auth.apiKey, auth.secret, auth.passphrase)
        if key is None:
            _fail(session, "auth_invalid", frame.rid)
            return
        session.key = key.key
        session.ready = True
        _reply(session, "authed", frame.rid)

    # ----------------------------------------------------------------------------- subscriptions
    def _change(self, session: Session, frame: _Frame, now_ns: int) -> None:
        """Answer each subscription of a frame by itself, in their order."""
        wanted = frame.wanted()
        if not wanted:
            _fail(session, "bad_channel", frame.rid)
        for each in wanted:
            error = self._error(session, each)
            name = f"{each.channel} {each.filter.asset_id or each.filter.symbol.lower()}"
            fresh = name not in session.subscriptions
            if not error and fresh and frame.op == "subscribe":
                error = "sub_limit" * (len(session.subscriptions) >= SUBSCRIPTIONS_MAX)
            if error:
                _fail(session, error, frame.rid, each.channel)
                if error == "sub_limit":
                    session.close(4008, "subscription limit")
                    return
                continue
            extra = {"channel": each.channel}
            if each.channel in EQUITIES:
                extra["provider"] = each.filter.provider or "chainlink"
            _reply(session, frame.op + "d", frame.rid, **extra)
            if frame.op == "unsubscribe":
                if not fresh:
                    session.subscriptions.discard(name)
                    self._unwatch(name)
            elif fresh:
                self._begin(session, each, name, now_ns)

    def _error(self, session: Session, wanted: _Subscription) -> str:
        """Return why a subscription is refused, empty when it is not."""
        asked = wanted.filter
        if wanted.channel == TOUCH:
            return "" if asked.asset_id in self._exchange.tokens else "bad_filter"
        if wanted.channel not in CRYPTO and wanted.channel not in EQUITIES:
            return "bad_channel"
        if not session.ready:
            return "auth_required"
        symbol = asked.symbol.lower()
        known = EQUITIES.get(wanted.channel)
        if known is None:
            known = frozenset(f"{coin.lower()}usd" for coin in self._spots)
        window_s = 60 if wanted.channel.endswith("twap") else asked.window_seconds
        if (
            symbol not in known
            or asked.provider not in PROVIDERS
            or asked.window_seconds != window_s
        ):
            return "bad_filter"
        return ""

    def _begin(self, session: Session, wanted: _Subscription, name: str, now_ns: int) -> None:
        """Note a new subscription and send its first message."""
        session.subscriptions.add(name)
        channel = wanted.channel
        if channel == TOUCH:
            token = wanted.filter.asset_id
            self._watched[token] = self._watched.get(token, 0) + 1
            market, outcome = self._exchange.tokens[token]
            self._touches[token] = events.best_bid_ask(market, outcome)
            self._send(session, channel, _touch(market, outcome, now_ns), now_ns, snapshot=True)
            return
        payload: dict[str, Any] = {"symbol": wanted.filter.symbol.lower(), "source": "chainlink"}
        points: list[tuple[int, int]] = []
        if channel in CRYPTO:
            coin = payload["symbol"].removesuffix("usd").upper()
            points = history(self._spots[coin], CRYPTO[channel], HISTORY_S, now_ns)
        if channel.endswith("twap"):
            payload["window_seconds"] = 60
        payload["data"] = [_point(second, price_e8) for second, price_e8 in points]
        self._send(session, channel, payload, now_ns, snapshot=True)

    def _unwatch(self, name: str) -> None:
        channel, _, token = name.partition(" ")
        if channel == TOUCH:
            self._watched[token] -= 1
            if not self._watched[token]:
                del self._watched[token]

    # ----------------------------------------------------------------------------- data
    def publish(self, coin: str, kind: str, second: int, price_e8: int, now_ns: int) -> None:
        """Send one value to whoever subscribed to its channel and symbol."""
        channel = CHANNEL_BY_KIND.get(kind)
        if channel is None:
            return
        symbol = f"{coin.lower()}usd"
        payload: dict[str, Any] = {"symbol": symbol, "source": "chainlink"}
        if kind == "twap":
            payload["window_seconds"] = 60
        payload |= _point(second, price_e8)
        self._tell(channel, symbol, payload, now_ns)

    def on_levels(self, market: Market, changes: list[tuple[bool, int]], now_ns: int) -> None:
        """Tell who watches a token of its new best prices."""
        del changes
        if self._watched:
            self._on_book(market, now_ns)

    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """Tell who watches a token of its new best prices."""
        del trades
        if self._watched:
            self._on_book(market, now_ns)

    def _on_book(self, market: Market, now_ns: int) -> None:
        if now_ns < self._faults.frozen_until_ns:
            return
        for outcome, token in enumerate(market.tokens):
            if token in self._watched:
                best = events.best_bid_ask(market, outcome)
                if self._touches[token] != best:
                    self._touches[token] = best
                    self._tell(TOUCH, token, _touch(market, outcome, now_ns), now_ns)

    def _tell(self, channel: str, of: str, payload: dict[str, Any], now_ns: int) -> None:
        name = f"{channel} {of}"
        for session in list(self._clients):
            if name in session.subscriptions:
                self._send(session, channel, payload, now_ns, snapshot=False)

    def _send(
        self,
        session: Session,
        channel: str,
        payload: dict[str, Any],
        now_ns: int,
        *,
        snapshot: bool,
    ) -> None:
        seqs = self._clients[session].seqs
        seqs[channel] = seqs.get(channel, 0) + 1
        frame = {"v": 1, "channel": channel, "seq": seqs[channel], "ts": now_ns // MS}
        if snapshot:
            frame["snapshot"] = True
        session.send(orjson.dumps({**frame, "payload": payload}))


def _touch(market: Market, outcome: int, now_ns: int) -> dict[str, Any]:
    bid, ask = events.best_bid_ask(market, outcome)
    return {
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "best_bid": bid,
        "best_ask": ask,
        "hash": events.book(market, outcome, now_ns)["hash"],
        "timestamp": now_ns // MS,
    }


def _point(second: int, price_e8: int) -> dict[str, Any]:
    return {
        "timestamp": second * 1000,
        "value": price_e8 / E8,
        "full_accuracy_value": format_fixed(price_e8, 8),
    }


def _reply(session: Session, op: str, rid: str | None, **extra: str) -> None:
    frame = {"op": op, **extra}
    session.send(orjson.dumps(frame if rid is None else {**frame, "rid": rid}))


def _fail(session: Session, code: str, rid: str | None, channel: str = "") -> None:
    if channel:
        _reply(session, "error", rid, code=code, channel=channel)
    else:
        _reply(session, "error", rid, code=code)
