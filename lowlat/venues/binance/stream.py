"""Binance JSON streams: text frames to values, subscriptions to frames and paths.

Run by the feed engine; the hot path is bookTicker on a combined connection. Frames are told apart
by their first bytes as the server writes them; any other order of keys takes a slower way to the
same value. Source: feeds.md 1.2, 1.3.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action, Coin
from lowlat.core.units import NO_PRICE_E8
from lowlat.venues._fixed import fixed, fixed_pairs
from lowlat.venues.binance.events import (
    SYMBOLS,
    AggTrade,
    Depth,
    DepthSnapshot,
    Event,
    Ignored,
    Kline,
    Reply,
    Shutdown,
    Ticker,
    Top,
    Trade,
)
from lowlat.venues.binance.units import TimeUnit
from lowlat.venues.wire import BAD_JSON, Payload, malformed, ms_ns, us_ns

__all__ = [
    "SBE_KINDS",
    "STREAMS_MAX",
    "StreamCodec",
    "control_frame",
    "stream_names",
    "stream_path",
]

STREAMS_MAX: Final = 1024
"""Streams a connection carries. Source: feeds.md 1.2."""

"""What ``?timeUnit`` asked for; the frames do not say which they use."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Ticker(msgspec.Struct, gc=False):
    u: _Count
    s: str
    b: str
    B: str
    a: str
    A: str


class _Trade(msgspec.Struct, gc=False, tag_field="e", tag="trade"):
    E: _Count
    s: str
    t: _Count
    p: str
    q: str
    T: _Count
    m: bool


class _AggTrade(msgspec.Struct, gc=False, tag_field="e", tag="aggTrade"):
    E: _Count
    s: str
    a: _Count
    p: str
    q: str
    f: _Count
    l: _Count  # noqa: E741 - the venue's name
    T: _Count
    m: bool


class _Depth(msgspec.Struct, gc=False, tag_field="e", tag="depthUpdate"):
    E: _Count
    s: str
    U: _Count
    u: _Count
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Candle(msgspec.Struct, gc=False):
    t: _Count
    T: _Count
    i: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    c: str
    x: bool


class _Kline(msgspec.Struct, gc=False, tag_field="e", tag="kline"):
    E: _Count
    s: str
    k: _Candle


class _Ticker24(msgspec.Struct, gc=False, tag_field="e", tag="24hrTicker"):
    E: _Count
    s: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    c: str
    v: str
    O: _Count  # noqa: E741 - the venue's name
    C: _Count
    n: _Count


class _Shutdown(msgspec.Struct, gc=False, tag_field="e", tag="serverShutdown"):
    E: _Count


class _Partial(msgspec.Struct, gc=False):
    lastUpdateId: _Count  # noqa: N815 - the venue's name
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Refusal(msgspec.Struct, gc=False):
    code: int
    msg: str


_ABSENT: Final = msgspec.Raw()
"""Stands for a missing key; compared by identity."""


class _Any(msgspec.Struct, gc=False):
    """Enough of any frame to name its kind."""

    stream: str | None = None
    data: msgspec.Raw = _ABSENT
    e: str | None = None
    u: msgspec.Raw = _ABSENT
    lastUpdateId: msgspec.Raw = _ABSENT  # noqa: N815 - the venue's name
    id: int | str | msgspec.UnsetType | None = msgspec.UNSET
    result: msgspec.Raw = _ABSENT
    error: _Refusal | None = None
    code: int | None = None
    msg: str = ""


_Tagged = _Trade | _AggTrade | _Depth | _Kline | _Ticker24 | _Shutdown


class _WrappedTicker(msgspec.Struct, gc=False):
    stream: str
    data: _Ticker


class _WrappedTagged(msgspec.Struct, gc=False):
    stream: str
    data: _Tagged


_KINDS: Final = frozenset(
    {"trade", "aggTrade", "depthUpdate", "kline", "24hrTicker", "serverShutdown"}
)
_wrapped_ticker: Final = msgspec.json.Decoder(_WrappedTicker).decode
_wrapped_tagged: Final = msgspec.json.Decoder(_WrappedTagged).decode
_ticker: Final = msgspec.json.Decoder(_Ticker).decode
_tagged: Final = msgspec.json.Decoder(_Tagged).decode
_partial: Final = msgspec.json.Decoder(_Partial).decode
_any: Final = msgspec.json.Decoder(_Any).decode
_encode: Final = msgspec.json.Encoder().encode


class StreamCodec:
    """Decode the text frames of one connection.

    ``time_unit`` must be what the connection's URL asked for: a wrong one is noticed, because the
    times leave their range.
    """

    __slots__ = ("_time_ns",)

    def __init__(self, time_unit: TimeUnit = "us") -> None:
        self._time_ns: Callable[[int], int] = ms_ns if time_unit == "ms" else us_ns

    def decode(self, payload: Payload) -> Event:
        """Return the event of one frame. A bookTicker takes about 0.7 us.

        Raises RemoteProtocolError.
        """
        frame = payload if type(payload) is bytes else bytes(payload)
        try:
            if frame.startswith(b'{"stream":"'):
                end = frame.find(b'"', 11)
                if frame.endswith(b"@bookTicker", 11, end):
                    return _top(_wrapped_ticker(frame).data)
                if frame.startswith(b'","data":{"e":"', end):
                    return self._event(_wrapped_tagged(frame).data)
            elif frame.startswith(b'{"u":'):
                return _top(_ticker(frame))
            elif frame.startswith(b'{"e":"'):
                return self._event(_tagged(frame))
        except BAD_JSON:
            # The slow way finds the exact fault, or a kind that is merely unknown.
            return self._decode_any(frame)
        return self._decode_any(frame)

    def _decode_any(self, frame: bytes) -> Event:
        try:
            outer = _any(frame)
            if outer.stream is None or outer.data is _ABSENT:
                return self._decode_bare(frame, outer, None)
            symbol = outer.stream.partition("@")[0].upper()
            return self._decode_bare(outer.data, _any(outer.data), symbol)
        except BAD_JSON as error:
            raise malformed("stream frame", frame, error) from error

    def _decode_bare(self, data: bytes | msgspec.Raw, head: _Any, symbol: str | None) -> Event:
        if head.e is not None:
            return self._event(_tagged(data)) if head.e in _KINDS else Ignored(head.e[:40])
        if head.u is not _ABSENT:
            return _top(_ticker(data))
        if head.lastUpdateId is not _ABSENT:
            partial = _partial(data)
            return DepthSnapshot(
                symbol, partial.lastUpdateId, fixed_pairs(partial.bids, 8),
                fixed_pairs(partial.asks, 8),
            )  # fmt: skip
        refusal = head.error or (None if head.code is None else _Refusal(head.code, head.msg))
        reply_id = None if head.id is msgspec.UNSET else head.id
        if refusal is not None:
            return Reply(reply_id, refusal.code, refusal.msg[:120])
        if head.id is not msgspec.UNSET and head.result is not _ABSENT:
            return Reply(reply_id)
        raise malformed("stream frame", bytes(data), "no kind of frame we know")

    def _event(self, wire: _Tagged) -> Event:
        time_ns = self._time_ns
        if type(wire) is _Trade:
            return Trade(
                wire.s, wire.t, _positive(wire.p), _positive(wire.q),
                Action.SELL if wire.m else Action.BUY, time_ns(wire.T), time_ns(wire.E),
            )  # fmt: skip
        if type(wire) is _Depth:
            return Depth(
                wire.s, *_id_range(wire.U, wire.u), fixed_pairs(wire.b, 8),
                fixed_pairs(wire.a, 8), time_ns(wire.E),
            )  # fmt: skip
        if type(wire) is _AggTrade:
            return AggTrade(
                wire.s, wire.a, *_id_range(wire.f, wire.l), _positive(wire.p),
                _positive(wire.q), Action.SELL if wire.m else Action.BUY, time_ns(wire.T),
                time_ns(wire.E),
            )  # fmt: skip
        if type(wire) is _Kline:
            return _kline(wire, time_ns)
        if type(wire) is _Ticker24:
            return Ticker(
                wire.s, fixed(wire.o, 8), fixed(wire.h, 8), fixed(wire.l, 8), fixed(wire.c, 8),
                fixed(wire.v, 8), wire.n, time_ns(wire.O), time_ns(wire.C), time_ns(wire.E),
            )  # fmt: skip
        return Shutdown(time_ns(wire.E))


def _top(wire: _Ticker) -> Top:
    return Top(
        wire.s, wire.u,
        fixed(wire.b, 8) or NO_PRICE_E8, fixed(wire.B, 8),
        fixed(wire.a, 8) or NO_PRICE_E8, fixed(wire.A, 8),
        None,
    )  # fmt: skip


def _kline(wire: _Kline, time_ns: Callable[[int], int]) -> Kline:
    candle = wire.k
    start_ns, close_ns = time_ns(candle.t), time_ns(candle.T)
    if close_ns <= start_ns:
        raise RemoteProtocolError(f"kline of {wire.s[:20]} closes at or before its start")
    return Kline(
        wire.s, candle.i, start_ns, close_ns, _positive(candle.o), _positive(candle.h),
        _positive(candle.l), _positive(candle.c), candle.x, time_ns(wire.E),
    )  # fmt: skip


def _positive(text: str) -> int:
    value = fixed(text, 8)
    if not value:
        raise RemoteProtocolError(f"number {text[:40]!r} of a print or candle is zero")
    return value


def _id_range(first: int, last: int) -> tuple[int, int]:
    if first > last:
        raise RemoteProtocolError(f"update ids run backwards: first {first}, last {last}")
    return first, last


SBE_KINDS: Final = ("bestBidAsk", "trade", "depth")
"""The binary streams of a coin; times are always microseconds. Source: feeds.md 1.5."""


def stream_names(
    coins: Sequence[Coin], kinds: Sequence[str] = ("bookTicker", "trade", "depth@100ms")
) -> list[str]:
    """Return the names of the streams of these coins, e.g. ``btcusdt@bookTicker``."""
    return [f"{SYMBOLS[coin].lower()}@{kind}" for coin in coins for kind in kinds]


def stream_path(names: Sequence[str], time_unit: TimeUnit = "us") -> str:
    """Return the path and query of a combined connection that carries these streams."""
    if not 0 < len(names) <= STREAMS_MAX:
        raise LocalProtocolError(f"a connection carries 1 to {STREAMS_MAX} streams: {len(names)}")
    unit = "&timeUnit=MICROSECOND" if time_unit == "us" else ""
    return f"/stream?streams={'/'.join(names)}{unit}"


class _Control(msgspec.Struct):
    method: str
    params: Sequence[str]
    id: int


def control_frame(method: Literal["SUBSCRIBE", "UNSUBSCRIBE"], names: Sequence[str],
                  request_id: int) -> bytes:  # fmt: skip
    """Return a control frame; at most five messages a second may leave, pongs counted."""
    return _encode(_Control(method, names, request_id))
