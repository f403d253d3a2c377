"""Kalshi's answers about our own orders: listings, fills, and what became of a request.

Bytes in, values or RemoteProtocolError out. Two forms are read: the order object of the listings
(and of answers before the V2 order entry), and the short answer of V2. What the venue refuses is
a value: ``Refusal``. No answer, or one that cannot be read, is no refusal: the order's client id
tells later what became of it. Source: feeds.md 2.3, 2.7.
"""

from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.units import E4
from lowlat.venues.kalshi.numbers import (
    ActionWord,
    Count,
    OutcomeWord,
    cash_e6,
    direction_of,
    known_ns,
    optional_cash_e6,
    price_e4,
    size_e6,
    ticker_of,
    time_ns,
)
from lowlat.venues.kalshi.order_values import (
    ORDER_STATUSES,
    Amended,
    Canceled,
    Fill,
    FillsPage,
    OrderRow,
    OrdersPage,
    OrderStatus,
    Placed,
    Refusal,
)
from lowlat.venues.kalshi.reading import read
from lowlat.venues.wire import BAD_JSON, Payload, ms_ns

__all__ = [
    "decode_amend_reply",
    "decode_batch_cancel_reply",
    "decode_batch_create_reply",
    "decode_cancel_reply",
    "decode_create_reply",
    "decode_fills",
    "decode_order",
    "decode_orders",
    "decode_queue_position",
    "decode_refusal",
]

_TEXT_MAX: Final = 200


# ------------------------------------------------------------------------------------ wire
class _OrderWire(msgspec.Struct, gc=False):
    order_id: str
    ticker: str
    status: str
    side: OutcomeWord | None = None
    outcome_side: OutcomeWord | None = None
    action: ActionWord | None = None
    client_order_id: str | None = None
    type: str = ""
    yes_price_dollars: str | None = None
    no_price_dollars: str | None = None
    yes_price: Count | None = None
    no_price: Count | None = None
    initial_count_fp: str | None = None
    initial_count: Count | None = None
    fill_count_fp: str | None = None
    fill_count: Count | None = None
    remaining_count_fp: str | None = None
    remaining_count: Count | None = None
    taker_fill_cost_dollars: str | None = None
    taker_fill_cost: Count | None = None
    maker_fill_cost_dollars: str | None = None
    maker_fill_cost: Count | None = None
    taker_fees_dollars: str | None = None
    taker_fees: Count | None = None
    maker_fees_dollars: str | None = None
    maker_fees: Count | None = None
    queue_position: int | None = None
    order_group_id: str | None = None
    created_time: str | None = None
    last_update_time: str | None = None
    expiration_time: str | None = None


class _OrdersWire(msgspec.Struct, gc=False):
    orders: tuple[_OrderWire, ...]
    cursor: str = ""


class _OneOrderWire(msgspec.Struct, gc=False):
    order: _OrderWire


class _FillWire(msgspec.Struct, gc=False):
    order_id: str
    is_taker: bool
    created_time: str
    fill_id: str | None = None
    trade_id: str | None = None
    ticker: str | None = None
    market_ticker: str | None = None
    side: OutcomeWord | None = None
    outcome_side: OutcomeWord | None = None
    action: ActionWord | None = None
    yes_price_dollars: str | None = None
    yes_price_fixed: str | None = None
    yes_price: Count | None = None
    count_fp: str | None = None
    count: Count | None = None
    fee_cost: str | None = None


class _FillsWire(msgspec.Struct, gc=False):
    fills: tuple[_FillWire, ...]
    cursor: str = ""


class _RefusalWire(msgspec.Struct, gc=False):
    code: str | int | None = None
    message: str | None = None
    details: str | None = None
    error: "str | _RefusalWire | None" = None


class _PlacedWire(msgspec.Struct, gc=False):
    order: _OrderWire | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    ts_ms: int | None = None


class _CanceledWire(msgspec.Struct, gc=False):
    order: _OrderWire
    reduced_by_fp: str | None = None
    reduced_by: Count | None = None


class _AmendedWire(msgspec.Struct, gc=False):
    old_order: _OrderWire
    order: _OrderWire


class _LegWire(msgspec.Struct, gc=False):
    order: _OrderWire | None = None
    error: _RefusalWire | None = None
    reduced_by_fp: str | None = None
    reduced_by: Count | None = None


class _BatchWire(msgspec.Struct, gc=False):
    orders: tuple[_LegWire, ...]


class _QueueWire(msgspec.Struct, gc=False):
    queue_position_fp: str | None = None
    queue_position: Count | None = None


# -------------------------------------------------------------------------------- decoders
_read_order: Final = msgspec.json.Decoder(_OneOrderWire).decode
_read_orders: Final = msgspec.json.Decoder(_OrdersWire).decode
_read_fills: Final = msgspec.json.Decoder(_FillsWire).decode
_read_placed: Final = msgspec.json.Decoder(_PlacedWire).decode
_read_canceled: Final = msgspec.json.Decoder(_CanceledWire).decode
_read_amended: Final = msgspec.json.Decoder(_AmendedWire).decode
_read_batch: Final = msgspec.json.Decoder(_BatchWire).decode
_read_queue: Final = msgspec.json.Decoder(_QueueWire).decode
_read_refusal: Final = msgspec.json.Decoder(_RefusalWire).decode


def decode_order(payload: Payload) -> OrderRow:
    """Decode one order of ours, or the answer to a decrease, which holds just that."""
    return read("order", _read_order, payload, lambda wire: _order(wire.order))


def decode_orders(payload: Payload) -> OrdersPage:
    """Decode a page of our orders, whole or not at all."""
    return read(
        "orders",
        _read_orders,
        payload,
        lambda wire: OrdersPage(tuple(map(_order, wire.orders)), wire.cursor),
    )


def decode_fills(payload: Payload) -> FillsPage:
    """Decode a page of our fills, whole or not at all."""
    return read(
        "fills",
        _read_fills,
        payload,
        lambda wire: FillsPage(tuple(map(_fill, wire.fills)), wire.cursor),
    )


def decode_queue_position(payload: Payload) -> int:
    """Decode how many contracts (1e-6) stand before our order."""
    return read(
        "queue position",
        _read_queue,
        payload,
        lambda wire: size_e6(wire.queue_position_fp, wire.queue_position),
    )


def decode_create_reply(payload: Payload) -> Placed:
    """Decode the answer (201) to a new order, of V2 or before."""
    return read("create order", _read_placed, payload, _placed)


def decode_cancel_reply(payload: Payload) -> Canceled:
    """Decode the answer to a cancel."""
    return read("cancel order", _read_canceled, payload, _canceled)


def decode_amend_reply(payload: Payload) -> Amended:
    """Decode the answer to an amendment."""
    return read(
        "amend order",
        _read_amended,
        payload,
        lambda wire: Amended(_order(wire.old_order), _order(wire.order)),
    )


def decode_batch_create_reply(payload: Payload) -> tuple[OrderRow | Refusal, ...]:
    """Decode the answer to a batch of new orders, a value a leg, in the order sent."""
    return read(
        "batch create",
        _read_batch,
        payload,
        lambda wire: tuple(_leg(each) for each in wire.orders),
    )


def decode_batch_cancel_reply(payload: Payload) -> tuple[Canceled | Refusal, ...]:
    """Decode the answer to a batch of cancels, a value a leg, in the order sent."""
    return read("batch cancel", _read_batch, payload, _canceled_legs)


def decode_refusal(http_status: int, payload: Payload) -> Refusal:
    """Read the body of a refusal (4xx); words that are no JSON are the message."""
    try:
        return _refusal(http_status, _read_refusal(payload))
    except BAD_JSON:
        return Refusal(http_status, "", bytes(payload[:_TEXT_MAX]).decode("utf-8", "replace"))


def _order(wire: _OrderWire) -> OrderRow:
    yes_e4 = _yes_e4(
        wire.yes_price_dollars, wire.yes_price, wire.no_price_dollars, wire.no_price
    )  # fmt: skip
    outcome, action = direction_of(wire.side, wire.action, wire.outcome_side)
    return OrderRow(
        order_id=_id(wire.order_id, "order"),
        client_order_id=wire.client_order_id or "",
        ticker=ticker_of(wire.ticker),
        outcome=outcome,
        action=action,
        kind=wire.type,
        status=ORDER_STATUSES.get(wire.status, OrderStatus.UNKNOWN),
        status_text=wire.status[:_TEXT_MAX],
        yes_price_e4=yes_e4,
        initial_size_e6=size_e6(wire.initial_count_fp, wire.initial_count),
        filled_size_e6=size_e6(wire.fill_count_fp, wire.fill_count),
        remaining_size_e6=size_e6(wire.remaining_count_fp, wire.remaining_count),
        taker_cost_e6=optional_cash_e6(wire.taker_fill_cost_dollars, wire.taker_fill_cost),
        maker_cost_e6=optional_cash_e6(wire.maker_fill_cost_dollars, wire.maker_fill_cost),
        taker_fees_e6=optional_cash_e6(wire.taker_fees_dollars, wire.taker_fees),
        maker_fees_e6=optional_cash_e6(wire.maker_fees_dollars, wire.maker_fees),
        queue_position=wire.queue_position,
        group_id=wire.order_group_id or "",
        created_ns=time_ns(wire.created_time),
        updated_ns=time_ns(wire.last_update_time),
        expires_ns=time_ns(wire.expiration_time),
    )


def _fill(wire: _FillWire) -> Fill:
    trade_id = wire.trade_id or wire.fill_id
    ticker = wire.ticker or wire.market_ticker
    if trade_id is None or ticker is None:
        raise RemoteProtocolError("a fill without trade_id or ticker")
    found_e6 = size_e6(wire.count_fp, wire.count)
    if not found_e6:
        raise RemoteProtocolError("a fill of no contracts")
    outcome, action = direction_of(wire.side, wire.action, wire.outcome_side)
    return Fill(
        fill_id=wire.fill_id or trade_id,
        trade_id=trade_id,
        order_id=_id(wire.order_id, "order"),
        ticker=ticker_of(ticker),
        outcome=outcome,
        action=action,
        yes_price_e4=price_e4(wire.yes_price_dollars or wire.yes_price_fixed, wire.yes_price),
        size_e6=found_e6,
        is_taker=wire.is_taker,
        fee_e6=None if wire.fee_cost is None else cash_e6(wire.fee_cost),
        fill_ns=known_ns(wire.created_time),
    )


def _yes_e4(yes: str | None, yes_cents: int | None, no: str | None, no_cents: int | None) -> int:
    """Return the price of YES, from either outcome's; both must agree."""
    if yes is None and yes_cents is None:
        return E4 - price_e4(no, no_cents)
    yes_e4 = price_e4(yes, yes_cents)
    if (no is not None or no_cents is not None) and yes_e4 + price_e4(no, no_cents) != E4:
        raise RemoteProtocolError(f"price of YES is {yes_e4} e-4, and that of NO no complement")
    return yes_e4


def _id(text: str, what: str) -> str:
    if not 0 < len(text) <= 64 or not text.isascii():
        raise RemoteProtocolError(f"{what} id {text[:80]!r} is no id")
    return text


def _placed(wire: _PlacedWire) -> Placed:
    if wire.order is not None:
        row = _order(wire.order)
        return Placed(
            row.order_id, row.client_order_id, row.filled_size_e6, row.remaining_size_e6,
            row.created_ns, row,
        )  # fmt: skip
    if wire.order_id is None:
        raise RemoteProtocolError("neither order nor order_id")
    return Placed(
        _id(wire.order_id, "order"),
        wire.client_order_id or "",
        size_e6(wire.fill_count),
        size_e6(wire.remaining_count),
        None if wire.ts_ms is None else ms_ns(wire.ts_ms),
        None,
    )


def _canceled(wire: _CanceledWire) -> Canceled:
    return Canceled(_order(wire.order), size_e6(wire.reduced_by_fp, wire.reduced_by))


def _leg(wire: _LegWire) -> OrderRow | Refusal:
    if wire.error is not None:
        return _refusal(200, wire.error)
    if wire.order is None:
        raise RemoteProtocolError("a leg with neither order nor error")
    return _order(wire.order)


def _canceled_legs(wire: _BatchWire) -> tuple[Canceled | Refusal, ...]:
    out: list[Canceled | Refusal] = []
    for each in wire.orders:
        found = _leg(each)
        if isinstance(found, OrderRow):
            out.append(Canceled(found, size_e6(each.reduced_by_fp, each.reduced_by)))
        else:
            out.append(found)
    return tuple(out)


def _refusal(http_status: int, wire: _RefusalWire) -> Refusal:
    if isinstance(wire.error, _RefusalWire):
        return _refusal(http_status, wire.error)
    words = [text for text in (wire.message, wire.details, wire.error) if text]
    code = "" if wire.code is None else str(wire.code)
    return Refusal(http_status, code[:_TEXT_MAX], ": ".join(words)[:_TEXT_MAX])
