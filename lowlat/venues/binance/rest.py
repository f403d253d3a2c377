"""Binance REST answers that the feed needs: snapshot, candles, clock, trading filters.

Run by the feed engine off the hot path. Source: feeds.md 1.4.
"""

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec

from lowlat.core.errors import LocalProtocolError
from lowlat.core.layout import Action
from lowlat.core.units import NO_PRICE_E8
from lowlat.venues._fixed import fixed, fixed_pairs
from lowlat.venues.binance.events import DepthSnapshot, Kline, Top, Trade
from lowlat.venues.wire import BAD_JSON, Payload, malformed, ms_ns

__all__ = [
    "SymbolInfo",
    "decode_book_ticker",
    "decode_depth",
    "decode_exchange_info",
    "decode_klines",
    "decode_time",
    "decode_trades",
    "depth_path",
    "klines_path",
]

DEPTH_LIMITS: Final = (5, 10, 20, 50, 100, 500, 1000, 5000)
KLINES_MAX: Final = 1000

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_T = TypeVar("_T")


class SymbolInfo(msgspec.Struct, frozen=True, gc=False):
    """What a symbol trades in. None is unknown: the filter was not listed."""

    symbol: str
    trading: bool
    base_asset: str
    quote_asset: str
    tick_e8: int | None
    lot_e8: int | None


class _Depth(msgspec.Struct, gc=False):
    lastUpdateId: _Count  # noqa: N815 - the venue's name
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Ticker(msgspec.Struct, gc=False, rename="camel"):
    symbol: str
    bid_price: str
    bid_qty: str
    ask_price: str
    ask_qty: str


class _Trade(msgspec.Struct, gc=False, rename="camel"):
    id: _Count
    price: str
    qty: str
    time: _Count
    is_buyer_maker: bool


class _Time(msgspec.Struct, gc=False):
    serverTime: _Count  # noqa: N815 - the venue's name


class _Filter(msgspec.Struct, gc=False, rename="camel"):
    filter_type: str
    tick_size: str | None = None
    step_size: str | None = None


class _Symbol(msgspec.Struct, gc=False, rename="camel"):
    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[_Filter]


class _Info(msgspec.Struct, gc=False):
    symbols: list[_Symbol]


_Row = tuple[
    _Count, str, str, str, str, str, _Count, str, _Count, str, str, msgspec.Raw
]  # open time, o, h, l, c, volume, close time, quote volume, trades, taker base and quote, unused
_decode_depth: Final = msgspec.json.Decoder(_Depth).decode
_decode_ticker: Final = msgspec.json.Decoder(_Ticker).decode
_decode_trades: Final = msgspec.json.Decoder(list[_Trade]).decode
_decode_time: Final = msgspec.json.Decoder(_Time).decode
_decode_info: Final = msgspec.json.Decoder(_Info).decode
_decode_rows: Final = msgspec.json.Decoder(list[_Row]).decode


def depth_path(symbol: str, limit: int = 5000) -> str:
    """Return the path of the depth snapshot (weight 250 for 5000 levels)."""
    if limit not in DEPTH_LIMITS:
        raise LocalProtocolError(f"depth limit {limit}, expected one of {DEPTH_LIMITS}")
    return f"/api/v3/depth?symbol={symbol}&limit={limit}"


def klines_path(symbol: str, interval: str, start_ns: int, limit: int = 1) -> str:
    """Return the path of candles from start_ns on; rest answers are in milliseconds."""
    if not 0 < limit <= KLINES_MAX:
        raise LocalProtocolError(f"klines limit {limit}, expected 1 to {KLINES_MAX}")
    start_ms = start_ns // 1_000_000
    return f"/api/v3/klines?symbol={symbol}&interval={interval}&startTime={start_ms}&limit={limit}"


def decode_depth(payload: Payload, symbol: str) -> DepthSnapshot:
    """Decode the depth snapshot; the answer does not name its symbol."""
    wire = _read("depth", _decode_depth, payload)
    bids, asks = fixed_pairs(wire.bids, 8), fixed_pairs(wire.asks, 8)
    if any(not (price and size) for price, size in (*bids, *asks)):
        raise malformed("depth", payload, "a level of zero price or size in a snapshot")
    return DepthSnapshot(symbol, wire.lastUpdateId, bids, asks)


def decode_book_ticker(payload: Payload) -> Top:
    """Decode the best bid and ask of one symbol. The answer has no counter of updates: 0."""
    wire = _read("bookTicker", _decode_ticker, payload)
    return Top(
        wire.symbol, 0, fixed(wire.bid_price, 8) or NO_PRICE_E8, fixed(wire.bid_qty, 8),
        fixed(wire.ask_price, 8) or NO_PRICE_E8, fixed(wire.ask_qty, 8), None,
    )  # fmt: skip


def decode_trades(payload: Payload, symbol: str) -> list[Trade]:
    """Decode recent prints, oldest first; the answer does not name its symbol."""
    trades = []
    for wire in _read("trades", _decode_trades, payload):
        price_e8, size_e8 = fixed(wire.price, 8), fixed(wire.qty, 8)
        if not (price_e8 and size_e8):
            raise malformed("trades", payload, "a print of zero price or size")
        side = Action.SELL if wire.is_buyer_maker else Action.BUY
        at_ns = ms_ns(wire.time)
        trades.append(Trade(symbol, wire.id, price_e8, size_e8, side, at_ns, at_ns))
    return trades


def decode_time(payload: Payload) -> int:
    """Decode the server clock (asked for in milliseconds) to nanoseconds."""
    return ms_ns(_read("time", _decode_time, payload).serverTime)


def decode_klines(payload: Payload, symbol: str, interval: str, server_now_ns: int) -> list[Kline]:
    """Decode candles. One whose close time has not passed at the venue is not final."""
    klines = []
    for row in _read("klines", _decode_rows, payload):
        start_ns, close_ns = ms_ns(row[0]), ms_ns(row[6])
        opened, high, low, closed = (fixed(text, 8) for text in row[1:5])
        if close_ns <= start_ns or not (opened and high and low and closed):
            raise malformed("klines", payload, "a candle without duration or price")
        final = server_now_ns > close_ns
        klines.append(
            Kline(
                symbol,
                interval,
                start_ns,
                close_ns,
                opened,
                high,
                low,
                closed,
                final,
                server_now_ns,
            )
        )
    return klines


def decode_exchange_info(payload: Payload) -> dict[str, SymbolInfo]:
    """Decode what each symbol trades in, by symbol."""
    infos = {}
    for wire in _read("exchangeInfo", _decode_info, payload).symbols:
        filters = {one.filter_type: one for one in wire.filters}
        price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
        infos[wire.symbol] = SymbolInfo(
            wire.symbol,
            wire.status == "TRADING",
            wire.base_asset,
            wire.quote_asset,
            _step(price.tick_size if price else None),
            _step(lot.step_size if lot else None),
        )
    return infos


def _step(text: str | None) -> int | None:
    if text is None:
        return None
    # The venue writes 0 for a rule that is switched off, which tells nothing about the grid.
    return fixed(text, 8) or None


def _read(what: str, decoder: Callable[[Payload], _T], payload: Payload) -> _T:
    try:
        return decoder(payload)
    except BAD_JSON as error:
        raise malformed(what, payload, error) from error
