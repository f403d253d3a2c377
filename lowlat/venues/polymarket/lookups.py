"""Answers to our questions: open orders, trades, one order, balances, heartbeat, time.

Run by the executor when it reconciles. Whatever is not the venue's clear answer is a
RemoteProtocolError: a list must be whole, and silence about an order is not its absence.
Errors carry no sample of the body, which names our API key. Source: polymarket.md 5.4, 5.5, 5.7.
"""

from typing import Final, NamedTuple

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.polymarket.account import (
    Account,
    OrderUpdate,
    OrderWire,
    TradeUpdate,
    TradeWire,
    order_update,
    trade_update,
)
from lowlat.venues.polymarket.requests import LAST_CURSOR
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = [
    "Balance",
    "HeartbeatReply",
    "OrdersPage",
    "TradesPage",
    "decode_balance",
    "decode_fee_rate",
    "decode_heartbeat_reply",
    "decode_order",
    "decode_orders_page",
    "decode_server_time",
    "decode_trades_page",
]

_SECONDS_MIN: Final = 1_577_836_800
_SECONDS_MAX: Final = 4_102_444_800
"""2020 to 2100."""
_KNOWN_MAX: Final = 4_096
"""Rows of trades kept as they were read; a page more may come on top."""


class OrdersPage(msgspec.Struct, frozen=True, gc=False):
    """Open orders; ``next_cursor`` is "" on the last page."""

    rows: tuple[OrderUpdate, ...]
    next_cursor: str


class TradesPage(msgspec.Struct, frozen=True, gc=False):
    """Our trades; ``next_cursor`` is "" on the last page."""

    rows: tuple[TradeUpdate, ...]
    next_cursor: str


class Balance(msgspec.Struct, frozen=True, gc=False):
    """The venue's cached view of a balance and what each spender may take, in base units."""

    balance_e6: int
    allowances_e6: dict[str, int]


class HeartbeatReply(NamedTuple):
    """``accepted`` False: not counted, beat again at once with this id."""

    accepted: bool
    heartbeat_id: str


class _OrdersWire(msgspec.Struct, gc=False):
    data: tuple[OrderWire, ...]
    next_cursor: str


class _TradesWire(msgspec.Struct, gc=False):
    data: tuple[msgspec.Raw, ...]
    next_cursor: str


class _NotFoundWire(msgspec.Struct, gc=False):
    error: str


class _BalanceWire(msgspec.Struct, gc=False):
    balance: str
    allowances: dict[str, str] | None = None


class _FeeRateWire(msgspec.Struct, gc=False):
    base_fee: str | int


class _HeartbeatWire(msgspec.Struct, gc=False):
    heartbeat_id: str


_decode_orders: Final = msgspec.json.Decoder(_OrdersWire).decode
_decode_trades: Final = msgspec.json.Decoder(_TradesWire).decode
_decode_trade: Final = msgspec.json.Decoder(TradeWire).decode
_NOTHING: Final = (b"", b"null", b"{}")
_decode_not_found: Final = msgspec.json.Decoder(_NotFoundWire).decode
_decode_one_order: Final = msgspec.json.Decoder(OrderWire).decode
_decode_balance: Final = msgspec.json.Decoder(_BalanceWire).decode
_decode_heartbeat: Final = msgspec.json.Decoder(_HeartbeatWire).decode
_decode_fee: Final = msgspec.json.Decoder(_FeeRateWire).decode
_decode_int: Final = msgspec.json.Decoder(int).decode


def decode_orders_page(http_status: int, body: Payload) -> OrdersPage:
    """Read a page of GET /data/orders. One bad row spoils the page: a list must be whole."""
    _check_status("/data/orders", http_status)
    try:
        wire = _decode_orders(bytes(body))
        rows = tuple(order_update(row) for row in wire.data)
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed("/data/orders", None, error) from error
    return OrdersPage(rows, _next_cursor(wire.next_cursor))


def decode_trades_page(
    http_status: int, body: Payload, account: Account, known: dict[bytes, TradeUpdate] | None = None
) -> TradesPage:
    """Read a page of GET /data/trades with our own fills taken out.

    Listings that overlap repeat most rows byte for byte: what ``known`` has of this account is not
    read again, and what is new is put there. It holds some ``_KNOWN_MAX`` rows at most.
    """
    _check_status("/data/trades", http_status)
    if known is None:
        known = {}
    elif len(known) > _KNOWN_MAX:
        known.clear()
    try:
        wire = _decode_trades(bytes(body))
        rows = tuple([_known_trade(bytes(raw), account, known) for raw in wire.data])
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed("/data/trades", None, error) from error
    return TradesPage(rows, _next_cursor(wire.next_cursor))


def _known_trade(raw: bytes, account: Account, known: dict[bytes, TradeUpdate]) -> TradeUpdate:
    found = known.get(raw)
    if found is None:
        found = known[raw] = trade_update(_decode_trade(raw), account)
    return found


def decode_order(http_status: int, body: Payload) -> OrderUpdate | None:
    """Read GET /data/order/{id}; None is the venue's word that it knows no such open order.

    Older servers answer so for closed orders too: a None is settled by the trades.
    """
    raw = bytes(body)
    if http_status == 200 and raw.strip() in _NOTHING:
        return None
    try:
        if http_status == 404:
            # The venue's own 404 is JSON with words; some proxy's page says nothing.
            _decode_not_found(raw)
            return None
        _check_status("/data/order", http_status)
        return order_update(_decode_one_order(raw))
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed("/data/order", None, error) from error


def decode_balance(http_status: int, body: Payload) -> Balance:
    """Read GET /balance-allowance."""
    _check_status("/balance-allowance", http_status)
    try:
        wire = _decode_balance(bytes(body))
        allowances = {who: _base_units(text) for who, text in (wire.allowances or {}).items()}
        return Balance(_base_units(wire.balance), allowances)
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed("/balance-allowance", None, error) from error


def decode_fee_rate(http_status: int, body: Payload) -> int:
    """Read GET /fee-rate: the base fee in bps, 0 on CLOB V2. Fees come from market objects.

    Source: polymarket.md 1.1.
    """
    _check_status("/fee-rate", http_status)
    try:
        text = str(_decode_fee(bytes(body)).base_fee)
    except BAD_JSON as error:
        raise malformed("/fee-rate", body, error) from error
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise malformed("/fee-rate", body, "base_fee is not a number of bps")
    return int(text)


def decode_heartbeat_reply(http_status: int, body: Payload) -> HeartbeatReply:
    """Read POST /v1/heartbeats: the id to send next, also from the 400 that names it."""
    if http_status != 400:
        _check_status("/v1/heartbeats", http_status)
    try:
        wire = _decode_heartbeat(bytes(body))
    except BAD_JSON as error:
        raise malformed("/v1/heartbeats", None, error) from error
    return HeartbeatReply(http_status != 400, wire.heartbeat_id)


def decode_server_time(http_status: int, body: Payload) -> int:
    """Read GET /time: unix seconds."""
    _check_status("/time", http_status)
    try:
        value = _decode_int(bytes(body))
    except BAD_JSON as error:
        raise malformed("/time", None, error) from error
    if not _SECONDS_MIN <= value < _SECONDS_MAX:
        raise RemoteProtocolError(f"/time: {str(value)[:40]} s is outside 2020 to 2100")
    return value


def _check_status(what: str, http_status: int) -> None:
    if not 200 <= http_status < 300:
        raise malformed(what, None, f"HTTP {http_status}")


def _next_cursor(text: str) -> str:
    return "" if text == LAST_CURSOR else text


def _base_units(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 78):
        raise RemoteProtocolError(f"amount {text[:40]!r} is not base units")
    return int(text)
