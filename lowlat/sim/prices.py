"""Settlement price sockets: RTDS (public, two number formats) and PolyBolt (authenticated). Pure.

The venue's ticker calls ``publish`` once a simulated second; delivery is about a second late and
some seconds never arrive. Source: polymarket.md 10, feeds.md 3.5, 3.7.
"""

from random import Random
from typing import Any, Final

import msgspec
import orjson

from lowlat.core.units import E8, format_fixed
from lowlat.sim.credentials import Credentials
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.spot import SpotPath
from lowlat.sim.timers import Timers
from lowlat.sim.wire import UNREADABLE

__all__ = ["PolyBolt", "PriceTicker", "Rtds"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
E18_PER_E8: Final = 10**10
HISTORY_S: Final = 120
CHAINLINK_HISTORY_S: Final = 55
SUBSCRIPTIONS_MAX: Final = 64
SUBSCRIBES_PER_S_MAX: Final = 20
FRAME_BYTES_MAX: Final = 65_536
LATE_MS: Final = (900, 1600)
TOPICS: Final = {
    "crypto_prices": "exchange",
    "crypto_prices_chainlink": "spot",
    "crypto_prices_twap_sixty": "twap",
}
CHANNELS: Final = {"price.crypto": "spot", "price.crypto.twap": "twap"}


class _Subscription(msgspec.Struct, gc=False):
    topic: str
    type: str = "update"
    filters: str = ""


class _RtdsFrame(msgspec.Struct, gc=False):
    action: str
    subscriptions: list[_Subscription] = []


class _BoltAuth(msgspec.Struct, gc=False):
    apiKey: str  # noqa: N815 - the venue's spelling
    secret: str
    passphrase: str


class _BoltFilter(msgspec.Struct, gc=False):
    symbol: str = ""
    provider: str = "chainlink"
    window_seconds: int = 0


class _BoltSubscription(msgspec.Struct, gc=False):
    channel: str
    filter: _BoltFilter = msgspec.field(default_factory=_BoltFilter)


class _BoltFrame(msgspec.Struct, gc=False):
    op: str
    rid: str | None = None
    auth: _BoltAuth | None = None
    subscriptions: list[_BoltSubscription] = []


_decode_rtds: Final = msgspec.json.Decoder(_RtdsFrame).decode
_decode_bolt: Final = msgspec.json.Decoder(_BoltFrame).decode


class PriceTicker:
    """Closes each second of every coin and hands its values to the sockets, late."""

    def __init__(
        self,
        spots: dict[str, SpotPath],
        timers: Timers,
        rng: Random,
        faults: Faults,
        feeds: "tuple[Rtds, PolyBolt]",
    ) -> None:
        self._spots = spots
        self._timers = timers
        self._rng = rng
        self._faults = faults
        self._feeds = feeds

    def on_second(self, second: int, now_ns: int) -> None:
        """Plan the delivery of a second's values; the fault knob drops some for good."""
        for coin, spot in self._spots.items():
            values = read_values(spot, second)
            for kind in ("exchange", "spot", "twap"):
                if kind != "exchange" and self._faults.hit("price_drop_e4"):
                    continue
                if kind not in values:
                    continue
                low, high = (80, 400) if kind == "exchange" else LATE_MS
                due_ns = now_ns + self._rng.randint(low, high) * MS
                self._timers.at(due_ns, self._delivery(coin, kind, second, values[kind]))

    def _delivery(self, coin: str, kind: str, second: int, price_e8: int) -> Any:
        def deliver(at_ns: int) -> None:
            if at_ns < self._faults.frozen_until_ns:
                return
            for feed in self._feeds:
                feed.publish(coin, kind, second, price_e8, at_ns)

        return deliver


class Rtds:
    """The legacy socket. Text PING gets no answer; a bad topic kills its whole frame."""

    def __init__(self, spots: dict[str, SpotPath], rng: Random) -> None:
        self._spots = spots
        self._connection = f"{rng.getrandbits(72):018x}="
        self._sessions: dict[Session, None] = {}

    def connect(self, session: Session) -> None:
        """Take a new socket."""
        self._sessions[session] = None

    def disconnect(self, session: Session) -> None:
        """Forget a socket."""
        self._sessions.pop(session, None)

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        return list(self._sessions)

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle a subscription."""
        if text == b"PING":
            return
        try:
            frame = _decode_rtds(text)
        except UNREADABLE:
            session.send(orjson.dumps({"body": {"message": "bad request"}, "statusCode": 400}))
            return
        for each in frame.subscriptions:
            if each.topic not in TOPICS:
                message = f"topic: {each.topic} and type: {each.type} not found"
                session.send(orjson.dumps({"body": {"message": message}, "statusCode": 401}))
                return
        for each in frame.subscriptions:
            if frame.action == "unsubscribe":
                session.subscriptions.discard(each.topic)
                continue
            session.subscriptions.add(each.topic)
            for coin in self._spots:
                self._history(session, each.topic, coin, now_ns)

    def publish(self, coin: str, kind: str, second: int, price_e8: int, now_ns: int) -> None:
        """Send one value to whoever subscribed to its topic."""
        topic = next(name for name, each in TOPICS.items() if each == kind)
        payload = {"symbol": _rtds_symbol(coin, kind), **_rtds_point(kind, second, price_e8)}
        if kind == "twap":
            payload["window_s"] = 60
        frame = orjson.dumps(
            {
                "connection_id": self._connection,
                "payload": payload,
                "timestamp": now_ns // MS,
                "topic": topic,
                "type": "update",
            }
        )
        for session in list(self._sessions):
            if topic in session.subscriptions:
                session.send(frame)

    def _history(self, session: Session, topic: str, coin: str, now_ns: int) -> None:
        kind = TOPICS[topic]
        length_s = HISTORY_S if kind == "exchange" else CHAINLINK_HISTORY_S
        points = []
        for second, price_e8 in history(self._spots[coin], kind, length_s, now_ns):
            point = _rtds_point(kind, second, price_e8)
            if kind == "exchange":
                del point["full_accuracy_value"]
            points.append(point)
        payload: dict[str, Any] = {"data": points, "symbol": _rtds_symbol(coin, kind)}
        if kind == "twap":
            payload["window_s"] = 60
        session.send(
            orjson.dumps(
                {
                    "payload": payload,
                    "timestamp": now_ns // MS,
                    "topic": topic,
                    "type": "subscribe",
                }
            )
        )


class PolyBolt:
    """The authenticated socket: acks, a sequence a channel and connection, exact decimals."""

    def __init__(self, spots: dict[str, SpotPath], credentials: Credentials) -> None:
        self._spots = spots
        self._credentials = credentials
        self._sessions: dict[Session, dict[str, int]] = {}
        self._asked: dict[Session, list[int]] = {}
        """When each socket subscribed within the last second."""

    def connect(self, session: Session) -> None:
        """Take a new socket."""
        self._sessions[session] = {}

    def disconnect(self, session: Session) -> None:
        """Forget a socket."""
        self._sessions.pop(session, None)
        self._asked.pop(session, None)

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        return list(self._sessions)

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle auth, subscribe, unsubscribe and ping."""
        if len(text) > FRAME_BYTES_MAX:
            session.close(4008, "frame too large")
            return
        try:
            frame = _decode_bolt(text)
        except UNREADABLE:
            _bolt_error(session, "bad_op", None)
            return
        if frame.op == "auth":
            self._authenticate(session, frame)
        elif frame.op == "ping":
            _bolt_reply(session, "pong", frame.rid)
        elif frame.op in {"subscribe", "unsubscribe"}:
            recent = [at for at in self._asked.get(session, ()) if now_ns - at < NS]
            self._asked[session] = [*recent, now_ns]
            if len(recent) >= SUBSCRIBES_PER_S_MAX:
                _bolt_error(session, "rate_limited", frame.rid)
            else:
                self._subscribe(session, frame, now_ns)
        else:
            _bolt_error(session, "bad_op", frame.rid)

    def publish(self, coin: str, kind: str, second: int, price_e8: int, now_ns: int) -> None:
        """Send one value to whoever subscribed to its channel and symbol."""
        channel = {"spot": "price.crypto", "twap": "price.crypto.twap"}.get(kind)
        if channel is None:
            return
        name = f"{channel} {coin.lower()}usd"
        payload = _bolt_head(coin, kind) | _bolt_point(second, price_e8)
        for session in list(self._sessions):
            if name in session.subscriptions:
                self._send(session, channel, payload, now_ns, snapshot=False)

    def _authenticate(self, session: Session, frame: _BoltFrame) -> None:
        auth = frame.auth
        key = None
        if auth is not None:
            key = self._credentials.socket(auth.apiKey, auth.secret, auth.passphrase)
        if key is None:
            _bolt_error(session, "auth_invalid", frame.rid)
            session.close(4001, "auth")
            return
        session.key = key.key
        session.ready = True
        _bolt_reply(session, "authed", frame.rid)

    def _subscribe(self, session: Session, frame: _BoltFrame, now_ns: int) -> None:
        wanted: list[tuple[str, str]] = []
        for each in frame.subscriptions:
            coin = each.filter.symbol.lower().removesuffix("usd").upper()
            error = ""
            if each.channel not in CHANNELS:
                error = "bad_channel"
            elif not session.ready:
                error = "auth_required"
            elif (
                coin not in self._spots
                or each.filter.provider != "chainlink"
                or (each.channel.endswith("twap") and each.filter.window_seconds != 60)
            ):
                error = "bad_filter"
            if error:
                _bolt_error(session, error, frame.rid, each.channel)
                return
            wanted.append((each.channel, coin))
        if len(session.subscriptions) + len(wanted) > SUBSCRIPTIONS_MAX:
            _bolt_error(session, "sub_limit", frame.rid)
            return
        _bolt_reply(session, frame.op + "d", frame.rid)
        for channel, coin in wanted:
            name = f"{channel} {coin.lower()}usd"
            if frame.op == "unsubscribe":
                session.subscriptions.discard(name)
                continue
            session.subscriptions.add(name)
            kind = CHANNELS[channel]
            points = history(self._spots[coin], kind, HISTORY_S, now_ns)
            payload = _bolt_head(coin, kind)
            payload["data"] = [_bolt_point(second, price_e8) for second, price_e8 in points]
            self._send(session, channel, payload, now_ns, snapshot=True)

    def _send(
        self,
        session: Session,
        channel: str,
        payload: dict[str, Any],
        now_ns: int,
        *,
        snapshot: bool,
    ) -> None:
        seqs = self._sessions[session]
        seqs[channel] = seqs.get(channel, 0) + 1
        frame = {"v": 1, "channel": channel, "seq": seqs[channel], "ts": now_ns // MS}
        if snapshot:
            frame["snapshot"] = True
        session.send(orjson.dumps({**frame, "payload": payload}))


def read_values(spot: SpotPath, second: int) -> dict[str, int]:
    """Return what the three series say about a closed second."""
    values: dict[str, int] = {}
    closed = spot.seconds.get(second)
    if closed is not None:
        values["exchange"], values["spot"] = closed
    average_e8 = spot.average_e8(second)
    if average_e8 is not None:
        values["twap"] = average_e8
    return values


def history(spot: SpotPath, kind: str, length_s: int, now_ns: int) -> list[tuple[int, int]]:
    """Return (second, price) of the last seconds that would have been delivered by now."""
    last = now_ns // NS - 2
    points = []
    for second in range(last - length_s + 1, last + 1):
        value = read_values(spot, second).get(kind)
        if value is not None:
            points.append((second, value))
    return points


def _rtds_symbol(coin: str, kind: str) -> str:
    return f"{coin.lower()}usdt" if kind == "exchange" else f"{coin.lower()}/usd"


def _rtds_point(kind: str, second: int, price_e8: int) -> dict[str, Any]:
    """Return a point: plain decimal for the exchange, an integer times 1e18 for the others."""
    exact = f"{price_e8 // E8}.{price_e8 % E8:08d}"
    if kind != "exchange":
        exact = str(price_e8 * E18_PER_E8)
    return {"full_accuracy_value": exact, "timestamp": second * 1000, "value": price_e8 / E8}


def _bolt_head(coin: str, kind: str) -> dict[str, Any]:
    head: dict[str, Any] = {"symbol": f"{coin.lower()}usd", "source": "chainlink"}
    if kind == "twap":
        head["window_seconds"] = 60
    return head


def _bolt_point(second: int, price_e8: int) -> dict[str, Any]:
    return {
        "timestamp": second * 1000,
        "value": price_e8 / E8,
        "full_accuracy_value": format_fixed(price_e8, 8),
    }


def _bolt_reply(session: Session, op: str, rid: str | None) -> None:
    session.send(orjson.dumps({"op": op} if rid is None else {"op": op, "rid": rid}))


def _bolt_error(session: Session, code: str, rid: str | None, channel: str = "") -> None:
    frame: dict[str, Any] = {"op": "error", "code": code}
    if rid is not None:
        frame["rid"] = rid
    if channel:
        frame["channel"] = channel
    session.send(orjson.dumps(frame))
