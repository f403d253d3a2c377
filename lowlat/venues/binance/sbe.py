"""Binance SBE streams: binary frames to the same values as the JSON streams.

Run by the feed engine for binary frames; text frames of the same connection go to StreamCodec.
The decoder advances by the lengths in the frame, so fields that the venue appends later are
skipped, and it skips templates it does not know.

::

    header  blockLength u16 | templateId u16 | schemaId u16 | version u16
    10001   eventTime i64 | updateId i64 | pe i8 | qe i8 | bid px, qty | ask px, qty (i64 each)
    10000   eventTime i64 | transactTime i64 | pe i8 | qe i8 ; trades (u16, u32 head)
    10002   eventTime i64 | updateId i64 | pe i8 | qe i8 ; bids, asks (u16, u16 heads)
    10003   eventTime i64 | firstId i64 | lastId i64 | pe i8 | qe i8 ; bids, asks
    tail    symbol: length u8 | UTF-8

Source: feeds.md 1.5 (stream_1_0.xml).
"""

import struct
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action
from lowlat.core.units import NO_PRICE_E8
from lowlat.venues.binance.events import Depth, DepthSnapshot, Event, Ignored, Top, Trade
from lowlat.venues.wire import Payload, malformed, us_ns

__all__ = ["SCHEMA_ID", "decode_sbe"]

SCHEMA_ID: Final = 1
_TRADES: Final = 10000
_BEST_BID_ASK: Final = 10001
_DEPTH_SNAPSHOT: Final = 10002
_DEPTH_DIFF: Final = 10003
_HEADER_BYTES: Final = 8
_header: Final = struct.Struct("<HHHH").unpack_from
_best: Final = struct.Struct("<qqbbqqqq")
_two_ids: Final = struct.Struct("<qqbb")
_three_ids: Final = struct.Struct("<qqqbb")
_trade: Final = struct.Struct("<qqqB")
_level: Final = struct.Struct("<qq")
_group16: Final = struct.Struct("<HH")
_group32: Final = struct.Struct("<HI")
_SCALE: Final[dict[int, int]] = {exponent: int(10 ** (8 + exponent)) for exponent in range(-8, 9)}
_ID_MAX: Final = 2**63 - 1


def decode_sbe(payload: Payload) -> tuple[Event, ...]:
    """Return the events of one binary frame: one, or as many as it has trades.

    Raises RemoteProtocolError.
    """
    try:
        block, template, schema, _version = _header(payload)
        if schema != SCHEMA_ID:
            return (Ignored(f"sbe schema {schema}"),)
        if template == _BEST_BID_ASK:
            return (_decode_best(payload, block),)
        if template == _TRADES:
            return _decode_trades(payload, block)
        if template == _DEPTH_DIFF:
            return (_decode_diff(payload, block),)
        if template == _DEPTH_SNAPSHOT:
            return (_decode_snapshot(payload, block),)
    except struct.error as error:
        raise malformed("sbe frame", payload, error) from error
    return (Ignored(f"sbe template {template}"),)


def _decode_best(payload: Payload, block: int) -> Top:
    _fits(block, _best.size)
    event_us, update_id, pe, qe, bid, bid_qty, ask, ask_qty = _best.unpack_from(
        payload, _HEADER_BYTES
    )
    return Top(
        _symbol(payload, _HEADER_BYTES + block),
        _id(update_id),
        _scaled(bid, pe) or NO_PRICE_E8,
        _scaled(bid_qty, qe),
        _scaled(ask, pe) or NO_PRICE_E8,
        _scaled(ask_qty, qe),
        us_ns(event_us),
    )


def _decode_trades(payload: Payload, block: int) -> tuple[Trade, ...]:
    _fits(block, _two_ids.size)
    event_us, trade_us, pe, qe = _two_ids.unpack_from(payload, _HEADER_BYTES)
    at = _HEADER_BYTES + block
    step, count = _group32.unpack_from(payload, at)
    at += _group32.size
    # The symbol comes last; a count beyond the frame must not start a long loop.
    symbol = _symbol(payload, _group_end(payload, at, step, count, _trade.size))
    trades = []
    for _ in range(count):
        trade_id, price, qty, buyer_is_maker = _trade.unpack_from(payload, at)
        at += step
        if buyer_is_maker > 1 or price <= 0 or qty <= 0:
            raise RemoteProtocolError(
                f"sbe trade {trade_id}: maker flag {buyer_is_maker}, price {price}, qty {qty}"
            )
        trades.append(
            Trade(
                symbol,
                _id(trade_id),
                _scaled(price, pe),
                _scaled(qty, qe),
                Action.SELL if buyer_is_maker else Action.BUY,
                us_ns(trade_us),
                us_ns(event_us),
            )
        )
    return tuple(trades)


def _decode_diff(payload: Payload, block: int) -> Depth:
    _fits(block, _three_ids.size)
    event_us, first, last, pe, qe = _three_ids.unpack_from(payload, _HEADER_BYTES)
    if first > last:
        raise RemoteProtocolError(f"update ids run backwards: first {first}, last {last}")
    bids, at = _decode_levels(payload, _HEADER_BYTES + block, pe, qe)
    asks, at = _decode_levels(payload, at, pe, qe)
    return Depth(_symbol(payload, at), _id(first), _id(last), bids, asks, us_ns(event_us))


def _decode_snapshot(payload: Payload, block: int) -> DepthSnapshot:
    _fits(block, _two_ids.size)
    event_us, last, pe, qe = _two_ids.unpack_from(payload, _HEADER_BYTES)
    bids, at = _decode_levels(payload, _HEADER_BYTES + block, pe, qe)
    asks, at = _decode_levels(payload, at, pe, qe)
    return DepthSnapshot(_symbol(payload, at), _id(last), bids, asks, us_ns(event_us))


def _decode_levels(
    payload: Payload, at: int, price_exponent: int, qty_exponent: int
) -> tuple[list[tuple[int, int]], int]:
    step, count = _group16.unpack_from(payload, at)
    at += _group16.size
    end = _group_end(payload, at, step, count, _level.size)
    levels = []
    for offset in range(at, end, step or 1):
        price, qty = _level.unpack_from(payload, offset)
        levels.append((_scaled(price, price_exponent), _scaled(qty, qty_exponent)))
    return levels, end


def _fits(block: int, needed: int) -> None:
    if block < needed:
        raise RemoteProtocolError(f"sbe block of {block} bytes, expected at least {needed}")


def _group_end(payload: Payload, at: int, step: int, count: int, needed: int) -> int:
    if count and step < needed:
        raise RemoteProtocolError(f"sbe group entry of {step} bytes, expected at least {needed}")
    if at + step * count > len(payload):
        raise RemoteProtocolError(f"sbe group of {count} entries is longer than its frame")
    return at + step * count


def _symbol(payload: Payload, at: int) -> str:
    if at >= len(payload):
        raise RemoteProtocolError("sbe frame ends before its symbol")
    text = bytes(payload[at + 1 : at + 1 + payload[at]])
    if not text or len(text) != payload[at] or not text.isalnum():
        raise RemoteProtocolError(f"sbe symbol {text[:40]!r} is cut off or no symbol")
    return text.decode("ascii")


def _id(value: int) -> int:
    if value < 0:
        raise RemoteProtocolError(f"sbe id {value} is negative")
    return value


def _scaled(mantissa: int, exponent: int) -> int:
    """Return mantissa times 10**exponent in 1e-8, exactly."""
    if mantissa < 0:
        raise RemoteProtocolError(f"sbe mantissa {mantissa} is negative")
    scale = _SCALE.get(exponent)
    if scale is None:
        raise RemoteProtocolError(f"sbe exponent {exponent} is outside -8 to 8")
    value = mantissa * scale
    if value > _ID_MAX:
        raise RemoteProtocolError(f"sbe number {mantissa}e{exponent} is over 63 bits")
    return value
