"""Settlement prices each second, and RTDS, the public socket with two number formats. Pure.

The venue's ticker calls ``publish`` once a simulated second; delivery is about a second late and
some seconds never arrive. Source: polymarket.md 10.1, feeds.md 3.5, 3.7.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import orjson

from lowlat.core.units import E8
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.price_series import HISTORY_S, history, read_values
from lowlat.sim.spot import SpotPath
from lowlat.sim.timers import Timers
from lowlat.sim.wire import UNREADABLE

__all__ = ["PriceTicker", "Rtds"]

MS: Final = 1_000_000
E18_PER_E8: Final = 10**10
CHAINLINK_HISTORY_S: Final = 55
LATE_MS: Final = (900, 1600)
THIRTY: Final = "crypto_prices_twap_thirty"
TOPICS: Final = {
    "crypto_prices": "exchange",
    "crypto_prices_chainlink": "spot",
    "crypto_prices_twap_sixty": "twap",
    THIRTY: "twap",
}
WINDOWS_S: Final = {"crypto_prices_twap_sixty": 60, THIRTY: 30}
SILENT: Final = frozenset({"activity", "comments", "equity_prices"})
"""Topics the venue knows and of which nothing comes here; activity ended in March 2026."""


class _Subscription(msgspec.Struct, gc=False):
    topic: str
    type: str = "update"
    filters: str = ""


class _RtdsFrame(msgspec.Struct, gc=False):
    action: str
    subscriptions: list[_Subscription] = []


class _Filter(msgspec.Struct, gc=False):
    symbol: str


class _Wanted(NamedTuple):
    """What one subscription asks for; without symbols everything, ``mute`` only the past."""

    topic: str
    symbols: tuple[str, ...]
    mute: bool

    def names(self) -> list[str]:
        """Return what a socket remembers of it."""
        return [f"{self.topic} {symbol}" for symbol in self.symbols] or [self.topic]


class PriceFeed(Protocol):
    """A socket service that is told each value of each second."""

    def publish(self, coin: str, kind: str, second: int, price_e8: int, now_ns: int) -> None:
        """Send one value to whoever asked for it."""


_decode_rtds: Final = msgspec.json.Decoder(_RtdsFrame).decode
_decode_filter: Final = msgspec.json.Decoder(_Filter).decode


class PriceTicker:
    """Closes each second of every coin and hands its values to the sockets, late."""

    def __init__(
        self,
        spots: dict[str, SpotPath],
        timers: Timers,
        rng: Random,
        faults: Faults,
        feeds: Sequence[PriceFeed],
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
        if text.upper() == b"PING":
            # The vendor's TypeScript client writes it small.
            return
        try:
            frame = _decode_rtds(text)
            wanted = [_read_filter(each) for each in frame.subscriptions]
        except UNREADABLE:
            session.send(orjson.dumps({"body": {"message": "bad request"}, "statusCode": 400}))
            return
        for each in frame.subscriptions:
            if each.topic not in TOPICS and each.topic not in SILENT:
                session.send(orjson.dumps(_no_topic(each)))
                return
        for one in wanted:
            if frame.action == "unsubscribe":
                session.subscriptions.difference_update(one.names())
            elif one.topic in TOPICS:
                self._subscribe(session, one, now_ns)

    def _subscribe(self, session: Session, wanted: _Wanted, now_ns: int) -> None:
        """Note a subscription and send the past of its symbols, each time anew."""
        if not wanted.mute:
            session.subscriptions.update(wanted.names())
        for coin in self._spots:
            symbol = _rtds_symbol(coin, TOPICS[wanted.topic])
            if not wanted.symbols or symbol in wanted.symbols:
                self._history(session, wanted.topic, coin, now_ns)

    def publish(self, coin: str, kind: str, second: int, price_e8: int, now_ns: int) -> None:
        """Send one value to whoever subscribed to its topic."""
        for topic, of_kind in TOPICS.items():
            if of_kind != kind:
                continue
            names = {topic, f"{topic} {_rtds_symbol(coin, kind)}"}
            sessions = [each for each in self._sessions if not names.isdisjoint(each.subscriptions)]
            if not sessions:
                continue
            value_e8 = self._value_e8(topic, coin, second, price_e8)
            if value_e8 is None:
                continue
            frame = orjson.dumps(
                {
                    "connection_id": self._connection,
                    "payload": self._head(topic, coin) | _rtds_point(kind, second, value_e8),
                    "timestamp": now_ns // MS,
                    "topic": topic,
                    "type": "update",
                }
            )
            for session in sessions:
                session.send(frame)

    def _history(self, session: Session, topic: str, coin: str, now_ns: int) -> None:
        kind = TOPICS[topic]
        length_s = HISTORY_S if kind == "exchange" else CHAINLINK_HISTORY_S
        points = []
        for second, price_e8 in history(self._spots[coin], kind, length_s, now_ns):
            value_e8 = self._value_e8(topic, coin, second, price_e8)
            if value_e8 is None:
                continue
            point = _rtds_point(kind, second, value_e8)
            if kind == "exchange":
                del point["full_accuracy_value"]
            points.append(point)
        session.send(
            orjson.dumps(
                {
                    "payload": {"data": points} | self._head(topic, coin),
                    "timestamp": now_ns // MS,
                    "topic": topic,
                    "type": "subscribe",
                }
            )
        )

    def _value_e8(self, topic: str, coin: str, second: int, price_e8: int) -> int | None:
        return self._spots[coin].average_e8(second, 30) if topic == THIRTY else price_e8

    def _head(self, topic: str, coin: str) -> dict[str, Any]:
        head: dict[str, Any] = {"symbol": _rtds_symbol(coin, TOPICS[topic])}
        if topic in WINDOWS_S:
            head["window_s"] = WINDOWS_S[topic]
        return head


def _read_filter(wire: _Subscription) -> _Wanted:
    """Read a filter as the relay does; raises msgspec's errors for one that it refuses.

    The exchange's topic takes a comma list or an object, the others an object only. An object
    that is not spelled to the byte brings the past and then silence. Source: feeds.md 3.5.
    """
    text = wire.filters
    if not text or wire.topic not in TOPICS:
        return _Wanted(wire.topic, (), mute=False)
    if wire.topic == "crypto_prices" and not text.startswith("{"):
        return _Wanted(wire.topic, tuple(text.split(",")), mute=False)
    symbol = _decode_filter(text).symbol
    exact = orjson.dumps({"symbol": symbol}).decode() == text
    return _Wanted(wire.topic, (symbol,), mute=not exact)


def _no_topic(wire: _Subscription) -> dict[str, Any]:
    """Return the relay's word on an unknown topic, which ends its whole frame."""
    text = f"topic: {wire.topic} and type: {wire.type} not found"
    status = f"rpc error: code = NotFound desc = {text}"
    message = f"leger GetTopics error: {status}, status: {status}, message: {text}"
    return {"body": {"message": message}, "statusCode": 401}


def _rtds_symbol(coin: str, kind: str) -> str:
    return f"{coin.lower()}usdt" if kind == "exchange" else f"{coin.lower()}/usd"


def _rtds_point(kind: str, second: int, price_e8: int) -> dict[str, Any]:
    """Return a point: plain decimal for the exchange, an integer times 1e18 for the others."""
    exact = f"{price_e8 // E8}.{price_e8 % E8:08d}"
    if kind != "exchange":
        exact = str(price_e8 * E18_PER_E8)
    return {"full_accuracy_value": exact, "timestamp": second * 1000, "value": price_e8 / E8}
