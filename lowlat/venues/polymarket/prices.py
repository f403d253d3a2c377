"""Settlement price feeds: RTDS (legacy, public) and PolyBolt (authenticated) to price points.

Run by the price feed engine. The two write numbers in three ways, and mixing them is off by 1e18:

=========================  ==================================  ======================
RTDS ``crypto_prices``      plain decimal text, or a number     BINANCE_RELAYED
RTDS Chainlink topics       integer text, times 1e18            CHAINLINK_*
PolyBolt, every channel     plain decimal text                  CHAINLINK_*
=========================  ==================================  ======================

Each topic has one reader, and the rounded ``value`` beside the exact text must agree with it.
Every resubscription sends history again: keep ``PricePoint.key`` to drop what is known.
Source: polymarket.md 10.1, 10.2; feeds.md 3.5.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar

import msgspec

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Coin, SettleSeries
from lowlat.venues.wire import BAD_JSON, Ignored, Payload, malformed, ms_ns

__all__ = [
    "POLYBOLT_PING",
    "POLYBOLT_SUBSCRIPTIONS_MAX",
    "RTDS_PING",
    "RTDS_TOPICS",
    "Ack",
    "EquityPrices",
    "FeedError",
    "Ignored",
    "PricePoint",
    "Prices",
    "decode_polybolt",
    "decode_rtds",
    "polybolt_auth",
    "polybolt_subscribe",
    "rtds_subscribe",
]

RTDS_PING: Final = b"PING"
"""Text frame, every 5 s; gets no answer. No data for 5 to 10 s means a stalled socket."""
POLYBOLT_PING: Final = b'{"op":"ping"}'
"""Text frame, every 30 s; 90 s of silence means dead."""
POLYBOLT_SUBSCRIPTIONS_MAX: Final = 64

_ONE_E18: Final = 10**18
_REST: Final = 10**10
_PRICE_MAX_E18: Final = 10**9 * _ONE_E18
_PLAIN: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,40})?", re.ASCII)
_SCALED: Final = re.compile(r"[0-9]{1,40}", re.ASCII)
_T = TypeVar("_T")


class PricePoint(msgspec.Struct, frozen=True, gc=False):
    """One print. ``stamp_ns`` is the observation, ``event_ns`` the relay's send; both wall time.

    The price is ``price_e8`` plus ``price_rest_e18`` in 1e-18 (digits beyond 1e-8).
    """

    coin: Coin
    series: SettleSeries
    stamp_ns: int
    event_ns: int
    price_e8: int
    price_rest_e18: int
    history: bool
    carried_forward: bool
    """The relay repeats an older value: no observation of this second."""

    @property
    def key(self) -> tuple[int, int, int]:
        """What makes two points the same print."""
        return self.coin, self.series, self.stamp_ns


class Prices(msgspec.Struct, frozen=True, gc=False):
    """Points of one frame. ``seq`` counts per channel and connection; ``dropped`` were lost."""

    channel: str
    points: tuple[PricePoint, ...]
    seq: int | None = None
    dropped: int = 0


class EquityPrices(msgspec.Struct, frozen=True, gc=False):
    """Prices of a share, index or metal, (stamp_ns, price_e8) each; no market here settles on them.

    Its ``value`` is a number and the exact text a plain decimal. Source: feeds.md 3.5.
    """

    symbol: str
    points: tuple[tuple[int, int], ...]
    history: bool


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The relay's word on something we sent: authed, subscribed, unsubscribed, pong."""

    op: str
    rid: str | None = None


class FeedError(msgspec.Struct, frozen=True, gc=False):
    """The relay refused. On RTDS one unknown topic kills all subscriptions of its frame."""

    code: str
    message: str
    rid: str | None = None


class _Topic(NamedTuple):
    series: SettleSeries
    scaled: bool
    window_s: int | None


RTDS_TOPICS: Final = {
    "crypto_prices": _Topic(SettleSeries.BINANCE_RELAYED, scaled=False, window_s=None),
    "crypto_prices_chainlink": _Topic(SettleSeries.CHAINLINK_SPOT, scaled=True, window_s=None),
    "crypto_prices_twap_thirty": _Topic(SettleSeries.CHAINLINK_TWAP_30, scaled=True, window_s=30),
    "crypto_prices_twap_sixty": _Topic(SettleSeries.CHAINLINK_TWAP_60, scaled=True, window_s=60),
}
_TWAP_BY_WINDOW: Final = {30: SettleSeries.CHAINLINK_TWAP_30, 60: SettleSeries.CHAINLINK_TWAP_60}
_WINDOW_BY_TWAP: Final = {series: window for window, series in _TWAP_BY_WINDOW.items()}
_ACKS: Final = frozenset({"authed", "subscribed", "unsubscribed", "pong"})
_COINS: Final = {"btc": Coin.BTC, "eth": Coin.ETH, "sol": Coin.SOL}
_SYMBOLS: Final = {
    f"{name}{tail}": coin for name, coin in _COINS.items() for tail in ("usdt", "/usd", "usd")
}


class _Point(msgspec.Struct, gc=False):
    timestamp: int
    value: Decimal | None = None
    full_accuracy_value: str | None = None
    source: str | None = None
    is_carried_forward: bool | None = None
    window_seconds: int | None = None


class _Payload(msgspec.Struct, gc=False):
    symbol: str
    data: list[_Point] | None = None
    timestamp: int | None = None
    value: Decimal | None = None
    full_accuracy_value: str | None = None
    source: str | None = None
    is_carried_forward: bool | None = None
    window_s: int | None = None
    window_seconds: int | None = None


class _RtdsError(msgspec.Struct, gc=False):
    message: str = ""


class _Rtds(msgspec.Struct, gc=False, rename={"status_code": "statusCode"}):
    topic: str | None = None
    type: str | None = None
    timestamp: int | None = None
    payload: msgspec.Raw = msgspec.Raw()
    status_code: int | None = None
    body: _RtdsError | None = None


class _Bolt(msgspec.Struct, gc=False):
    op: str | None = None
    v: int | None = None
    channel: str | None = None
    seq: int | None = None
    ts: int | None = None
    snapshot: bool = False
    dropped: int = 0
    payload: msgspec.Raw = msgspec.Raw()
    rid: str | int | None = None
    code: str | None = None
    message: str = ""


_decode_rtds: Final = msgspec.json.Decoder(_Rtds).decode
_decode_bolt: Final = msgspec.json.Decoder(_Bolt).decode
_decode_payload: Final = msgspec.json.Decoder(_Payload).decode
_encode: Final = msgspec.json.Encoder().encode


def decode_rtds(payload: Payload) -> Prices | EquityPrices | Ack | FeedError | Ignored:
    """Decode one RTDS frame. Raises RemoteProtocolError."""
    if payload == b"PONG":
        return Ack("pong")
    wire = _read("rtds", _decode_rtds, payload)
    if wire.status_code is not None:
        return FeedError(str(wire.status_code), (wire.body or _RtdsError()).message[:200])
    if wire.topic is None or wire.type is None or wire.timestamp is None:
        raise malformed("rtds", payload, "neither data nor error")
    topic = RTDS_TOPICS.get(wire.topic)
    if wire.topic == "equity_prices" and wire.type in {"update", "subscribe"}:
        return _equity(wire, payload)
    if topic is None or wire.type not in {"update", "subscribe"}:
        return Ignored(f"{wire.topic[:40]} {wire.type[:20]}")
    body = _read("rtds", _decode_payload, wire.payload)
    coin = _SYMBOLS.get(body.symbol)
    if coin is None:
        return Ignored(f"{wire.topic} {body.symbol[:20]}")
    if body.window_s != topic.window_s:
        raise malformed("rtds", payload, f"window {body.window_s} s on {wire.topic}")
    history = wire.type == "subscribe"
    event_ns = ms_ns(wire.timestamp)
    return Prices(
        wire.topic,
        tuple(
            _point(coin, topic.series, topic.scaled, point, event_ns, history)
            for point in _points(body, history, payload)
        ),
    )


def _equity(wire: _Rtds, payload: Payload) -> EquityPrices:
    body = _read("rtds", _decode_payload, wire.payload)
    history = wire.type == "subscribe"
    points = []
    for point in _points(body, history, payload):
        text = point.full_accuracy_value
        if text is None and point.value is not None:
            text = _plain_text(point.value)
        if text is None:
            raise malformed("rtds", payload, "an equity price without a value")
        points.append((ms_ns(point.timestamp), _plain_e18(text) // _REST))
    return EquityPrices(body.symbol[:20], tuple(points), history)


def decode_polybolt(payload: Payload) -> Prices | Ack | FeedError | Ignored:
    """Decode one PolyBolt frame. Raises RemoteProtocolError."""
    wire = _read("polybolt", _decode_bolt, payload)
    rid = None if wire.rid is None else str(wire.rid)[:40]
    if wire.op == "error":
        return FeedError((wire.code or "unnamed")[:40], wire.message[:200], rid)
    if wire.op is not None:
        return Ack(wire.op, rid) if wire.op in _ACKS else Ignored(f"op {wire.op[:20]}")
    if wire.channel is None or wire.v is None or wire.ts is None or wire.seq is None:
        raise malformed("polybolt", payload, "neither data nor control")
    if wire.v != 1 or wire.channel not in {"price.crypto", "price.crypto.twap"}:
        return Ignored(f"v{wire.v} {wire.channel[:40]}")
    if wire.dropped < 0 or wire.seq < 0:
        raise malformed("polybolt", payload, "a negative count")
    body = _read("polybolt", _decode_payload, wire.payload)
    coin = _SYMBOLS.get(body.symbol)
    if coin is None:
        return Ignored(f"{wire.channel} {body.symbol[:20]}")
    event_ns = ms_ns(wire.ts)
    points = []
    for point in _points(body, wire.snapshot, payload):
        source = point.source or body.source
        series = _bolt_series(wire.channel, source, point.window_seconds or body.window_seconds)
        if series is None:
            return Ignored(f"{wire.channel} {str(source)[:20]} {body.window_seconds}")
        points.append(_point(coin, series, False, point, event_ns, wire.snapshot))
    return Prices(wire.channel, tuple(points), wire.seq, wire.dropped)


def _bolt_series(channel: str, source: str | None, window_s: int | None) -> SettleSeries | None:
    """Return the series, None for one we do not use. The default provider has changed before."""
    if channel == "price.crypto":
        if source is None:
            raise RemoteProtocolError("polybolt: a spot price that names no source")
        return SettleSeries.CHAINLINK_SPOT if source == "chainlink" else None
    if window_s is None:
        raise RemoteProtocolError("polybolt: an average that names no window")
    return _TWAP_BY_WINDOW.get(window_s) if source in {None, "chainlink"} else None


def _points(body: _Payload, history: bool, payload: Payload) -> Sequence[_Point]:
    if history:
        if body.data is None:
            raise malformed("price feed", payload, "a snapshot without data")
        return body.data
    if body.timestamp is None:
        raise malformed("price feed", payload, "an update without timestamp")
    return (
        _Point(body.timestamp, body.value, body.full_accuracy_value, body.source,
               body.is_carried_forward, body.window_seconds),
    )  # fmt: skip


def _point(
    coin: Coin, series: SettleSeries, scaled: bool, wire: _Point, event_ns: int, history: bool
) -> PricePoint:
    price_e8, rest_e18 = divmod(_price_e18(series, scaled, wire), _REST)
    return PricePoint(
        coin, series, ms_ns(wire.timestamp), event_ns, price_e8, rest_e18, history,
        carried_forward=wire.is_carried_forward or False,
    )  # fmt: skip


def _price_e18(series: SettleSeries, scaled: bool, wire: _Point) -> int:
    """Return the exact price in 1e-18 after comparing it with the rounded one beside it."""
    rounded = None if wire.value is None else _plain_e18(_plain_text(wire.value))
    text = wire.full_accuracy_value
    if text is not None:
        exact = _scaled_e18(text) if scaled else _plain_e18(text)
    elif series is SettleSeries.BINANCE_RELAYED and rounded is not None:
        # Its history has no exact text; nothing settles on this series.
        exact = rounded
    else:
        raise RemoteProtocolError(f"{series.name}: a point without full_accuracy_value")
    if not 0 < exact < _PRICE_MAX_E18:
        raise RemoteProtocolError(f"{series.name}: price {exact}e-18 is out of range")
    if rounded is not None and abs(exact - rounded) * 10_000 > exact:
        raise RemoteProtocolError(
            f"{series.name}: full_accuracy_value {str(text)[:50]!r} is not value {wire.value}"
        )
    return exact


def _plain_text(value: Decimal) -> str:
    if not value.is_finite() or not -40 < value.adjusted() < 12:
        raise RemoteProtocolError(f"price {str(value)[:50]!r} is out of range")
    return format(value, "f")


def _plain_e18(text: str) -> int:
    if not _PLAIN.fullmatch(text):
        raise RemoteProtocolError(f"price {text[:50]!r} is not a plain decimal")
    whole, _, fraction = text.partition(".")
    if fraction[18:].strip("0"):
        raise RemoteProtocolError(f"price {text[:50]!r} has more than 18 decimals")
    return int(whole + fraction[:18].ljust(18, "0"))


def _scaled_e18(text: str) -> int:
    if not _SCALED.fullmatch(text):
        raise RemoteProtocolError(f"price {text[:50]!r} is not an integer of 1e-18")
    return int(text)


def _read(what: str, decoder: Callable[..., _T], payload: Payload | msgspec.Raw) -> _T:
    try:
        return decoder(payload)
    except BAD_JSON as error:
        sample = bytes(payload) if isinstance(payload, msgspec.Raw) else payload
        raise malformed(what, sample, error) from error


def rtds_subscribe(topic: str) -> bytes:
    """Return the frame that subscribes one topic, all symbols.

    One topic a frame, because a bad one kills its neighbours; no filter, because a filter that is
    not byte-exact silences the topic. Source: feeds.md 3.5.
    """
    if topic not in RTDS_TOPICS:
        raise LocalProtocolError(f"rtds topic {topic[:40]!r}, expected one of {[*RTDS_TOPICS]}")
    return _encode({"action": "subscribe", "subscriptions": [{"topic": topic, "type": "update"}]})


def polybolt_auth(rid: str, api_key: str, secret: str, passphrase: str) -> bytes:
    """Return the frame that authenticates; it holds secrets: never log or record it."""
    auth = {"apiKey": api_key, "secret": secret, "passphrase": passphrase}
    return _encode({"op": "auth", "auth": auth, "rid": rid})


def polybolt_subscribe(
    rid: str, wanted: Sequence[tuple[Coin, SettleSeries]], op: str = "subscribe"
) -> bytes:
    """Return the frame that subscribes (or, by op, unsubscribes) series of coins."""
    if not 0 < len(wanted) <= POLYBOLT_SUBSCRIPTIONS_MAX:
        raise LocalProtocolError(f"1 to {POLYBOLT_SUBSCRIPTIONS_MAX} series, not {len(wanted)}")
    return _encode({"op": op, "rid": rid, "subscriptions": [_bolt_filter(*one) for one in wanted]})


def _bolt_filter(coin: Coin, series: SettleSeries) -> dict[str, object]:
    symbol = f"{coin.name.lower()}usd"
    chosen: dict[str, object] = {"symbol": symbol, "provider": "chainlink"}
    if series is SettleSeries.CHAINLINK_SPOT:
        return {"channel": "price.crypto", "filter": chosen}
    window_s = _WINDOW_BY_TWAP.get(series)
    if window_s is None:
        raise LocalProtocolError(f"polybolt has no {series.name}")
    return {"channel": "price.crypto.twap", "filter": chosen | {"window_seconds": window_s}}
