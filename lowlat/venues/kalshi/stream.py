"""Kalshi's socket: frames to events.

Run by a feed. Pure: bytes in, an event, Ignored or RemoteProtocolError out. ``seq`` numbers all
markets of one subscription (``sid``); answers consume numbers too, so every numbered value carries
its own: ``book.DeltaBooks`` keeps the order. Levels stay text, as the ladder reads them; all else
is integers. Source: feeds.md 2.6.
"""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.units import E4
from lowlat.venues._fixed import fixed
from lowlat.venues.kalshi.events import (
    Delta,
    Event,
    OwnFill,
    OwnOrder,
    OwnPosition,
    Reply,
    Snapshot,
    StreamTrade,
    Ticker,
)
from lowlat.venues.kalshi.numbers import (
    OUTCOMES,
    ActionWord,
    OutcomeWord,
    direction_of,
    levels,
    optional_cash_e6,
    price_e4,
    quote_e4,
    signed_e6,
    ticker_of,
)
from lowlat.venues.kalshi.order_values import ORDER_STATUSES, OrderStatus
from lowlat.venues.wire import BAD_JSON, Ignored, Payload, malformed, ms_ns

__all__ = ["decode"]

_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_TEXT_MAX: Final = 120


# ------------------------------------------------------------------------------------ wire
class _ReplyMsg(msgspec.Struct, gc=False):
    channel: str = ""
    sid: _Number | None = None
    code: int | None = None
    msg: str = ""


class _SnapshotMsg(msgspec.Struct, gc=False):
    market_ticker: str
    yes_dollars_fp: list[tuple[str, str]] | None = None
    no_dollars_fp: list[tuple[str, str]] | None = None


class _DeltaMsg(msgspec.Struct, gc=False):
    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: OutcomeWord
    ts_ms: int | None = None
    client_order_id: str | None = None


class _TradeMsg(msgspec.Struct, gc=False):
    trade_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    ts_ms: int
    no_price_dollars: str | None = None
    taker_side: OutcomeWord | None = None
    taker_outcome_side: OutcomeWord | None = None
    is_block_trade: bool = False


class _TickerMsg(msgspec.Struct, gc=False):
    market_ticker: str
    price_dollars: str | None = None
    yes_bid_dollars: str | None = None
    yes_ask_dollars: str | None = None
    yes_bid_size_fp: str | None = None
    yes_ask_size_fp: str | None = None
    volume_fp: str | None = None
    open_interest_fp: str | None = None
    ts_ms: int | None = None


class _FillMsg(msgspec.Struct, gc=False):
    trade_id: str
    order_id: str
    market_ticker: str
    is_taker: bool
    yes_price_dollars: str
    count_fp: str
    ts_ms: int
    side: OutcomeWord | None = None
    outcome_side: OutcomeWord | None = None
    action: ActionWord | None = None
    client_order_id: str | None = None
    fee_cost: str | None = None
    post_position_fp: str | None = None


class _OrderMsg(msgspec.Struct, gc=False):
    order_id: str
    ticker: str
    status: str
    outcome_side: OutcomeWord
    yes_price_dollars: str
    initial_count_fp: str
    fill_count_fp: str
    remaining_count_fp: str
    client_order_id: str | None = None
    last_update_reason: str | None = None
    last_updated_ts_ms: int | None = None


class _PositionMsg(msgspec.Struct, gc=False):
    market_ticker: str
    position_fp: str


class _Frame(msgspec.Struct, gc=False):
    type: str
    msg: msgspec.Raw = msgspec.Raw(b"{}")
    id: _Number | None = None
    sid: _Number | None = None
    seq: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None
    sending_ts_ms: int | None = None


_frame: Final = msgspec.json.Decoder(_Frame).decode
_reply_msg: Final = msgspec.json.Decoder(_ReplyMsg).decode
_snapshot_msg: Final = msgspec.json.Decoder(_SnapshotMsg).decode
_delta_msg: Final = msgspec.json.Decoder(_DeltaMsg).decode
_trade_msg: Final = msgspec.json.Decoder(_TradeMsg).decode
_ticker_msg: Final = msgspec.json.Decoder(_TickerMsg).decode
_fill_msg: Final = msgspec.json.Decoder(_FillMsg).decode
_order_msg: Final = msgspec.json.Decoder(_OrderMsg).decode
_position_msg: Final = msgspec.json.Decoder(_PositionMsg).decode


def decode(payload: Payload) -> Event:
    """Return the event of one frame. A delta takes about 3 us. Raises RemoteProtocolError."""
    try:
        frame = _frame(payload)
        make = _MAKERS.get(frame.type)
        if make is None:
            return Ignored(frame.type[:40])
        return make(frame)
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed("kalshi frame", payload, error) from error


def _reply(frame: _Frame) -> Reply:
    # An answer to a listing has a list for its message; nothing of it is used.
    said = _reply_msg(frame.msg) if bytes(frame.msg)[:1] == b"{" else _ReplyMsg()
    sid = said.sid if frame.sid is None else frame.sid
    if frame.type == "error" and said.code is None:
        raise RemoteProtocolError("an error without its code")
    return Reply(
        frame.type, frame.id, sid, frame.seq, said.channel[:_TEXT_MAX], said.code,
        said.msg[:_TEXT_MAX],
    )  # fmt: skip


def _snapshot(frame: _Frame) -> Snapshot:
    wire = _snapshot_msg(frame.msg)
    yes, no = wire.yes_dollars_fp or [], wire.no_dollars_fp or []
    for side in (yes, no):
        levels(side)
    return Snapshot(*_numbered(frame), ticker_of(wire.market_ticker), yes, no, _sent_ns(frame))


def _delta(frame: _Frame) -> Delta:
    wire = _delta_msg(frame.msg)
    price_e4(wire.price_dollars)
    if not signed_e6(wire.delta_fp):
        raise RemoteProtocolError("a delta of nothing")
    return Delta(
        *_numbered(frame),
        ticker_of(wire.market_ticker),
        wire.side,
        wire.price_dollars,
        wire.delta_fp,
        wire.client_order_id is not None,
        None if wire.ts_ms is None else ms_ns(wire.ts_ms),
        _sent_ns(frame),
    )


def _trade(frame: _Frame) -> StreamTrade:
    wire = _trade_msg(frame.msg)
    yes_e4 = price_e4(wire.yes_price_dollars)
    if wire.no_price_dollars is not None and yes_e4 + price_e4(wire.no_price_dollars) != E4:
        raise RemoteProtocolError(f"price of YES is {yes_e4} e-4, and that of NO no complement")
    side = wire.taker_outcome_side or wire.taker_side
    if frame.sid is None:
        raise RemoteProtocolError("no sid")
    return StreamTrade(
        frame.sid, frame.seq, wire.trade_id, ticker_of(wire.market_ticker), yes_e4,
        _some_e6(wire.count_fp), None if side is None else OUTCOMES[side], wire.is_block_trade,
        ms_ns(wire.ts_ms), _sent_ns(frame),
    )  # fmt: skip


def _ticker(frame: _Frame) -> Ticker:
    wire = _ticker_msg(frame.msg)
    return Ticker(
        ticker_of(wire.market_ticker),
        quote_e4(wire.price_dollars),
        quote_e4(wire.yes_bid_dollars),
        quote_e4(wire.yes_ask_dollars),
        _optional_e6(wire.yes_bid_size_fp),
        _optional_e6(wire.yes_ask_size_fp),
        _optional_e6(wire.volume_fp),
        _optional_e6(wire.open_interest_fp),
        None if wire.ts_ms is None else ms_ns(wire.ts_ms),
    )


def _fill(frame: _Frame) -> OwnFill:
    wire = _fill_msg(frame.msg)
    outcome, action = direction_of(wire.side, wire.action, wire.outcome_side)
    return OwnFill(
        wire.trade_id, wire.order_id, wire.client_order_id or "", ticker_of(wire.market_ticker),
        outcome, action, price_e4(wire.yes_price_dollars),
        _some_e6(wire.count_fp), wire.is_taker, optional_cash_e6(wire.fee_cost),
        None if wire.post_position_fp is None else signed_e6(wire.post_position_fp),
        ms_ns(wire.ts_ms),
    )  # fmt: skip


def _order(frame: _Frame) -> OwnOrder:
    wire = _order_msg(frame.msg)
    return OwnOrder(
        wire.order_id, wire.client_order_id or "", ticker_of(wire.ticker),
        ORDER_STATUSES.get(wire.status, OrderStatus.UNKNOWN), wire.status[:_TEXT_MAX],
        OUTCOMES[wire.outcome_side], price_e4(wire.yes_price_dollars),
        fixed(wire.initial_count_fp, 6), fixed(wire.fill_count_fp, 6),
        fixed(wire.remaining_count_fp, 6), (wire.last_update_reason or "")[:_TEXT_MAX],
        None if wire.last_updated_ts_ms is None else ms_ns(wire.last_updated_ts_ms),
    )  # fmt: skip


def _position(frame: _Frame) -> OwnPosition:
    wire = _position_msg(frame.msg)
    return OwnPosition(ticker_of(wire.market_ticker), signed_e6(wire.position_fp))


_MAKERS: Final[dict[str, Callable[[_Frame], Event]]] = {
    "subscribed": _reply,
    "unsubscribed": _reply,
    "ok": _reply,
    "error": _reply,
    "orderbook_snapshot": _snapshot,
    "orderbook_delta": _delta,
    "trade": _trade,
    "ticker": _ticker,
    "fill": _fill,
    "user_order": _order,
    "market_position": _position,
}


def _numbered(frame: _Frame) -> tuple[int, int]:
    if frame.sid is None or frame.seq is None:
        raise RemoteProtocolError("no sid or no seq on a numbered message")
    return frame.sid, frame.seq


def _sent_ns(frame: _Frame) -> int | None:
    return None if frame.sending_ts_ms is None else ms_ns(frame.sending_ts_ms)


def _some_e6(text: str) -> int:
    found_e6 = fixed(text, 6)
    if not found_e6:
        raise RemoteProtocolError("a trade of no contracts")
    return found_e6


def _optional_e6(text: str | None) -> int | None:
    return None if text is None else fixed(text, 6)
