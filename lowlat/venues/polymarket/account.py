"""Our orders and trades as the venue tells them, on the user channel and over REST alike.

Shared by replies.py and user.py, which decode the JSON; here the text becomes integers, enums and
32-byte ids. Unknown status words are values (UNKNOWN), a broken field is a RemoteProtocolError.
Source: polymarket.md 5.4, 5.5, 5.6, 9.
"""

import re
from enum import IntEnum
from typing import Final, Literal, NamedTuple

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action, OrderType
from lowlat.core.units import E4, ONE_E4, parse_fixed, parse_fixed_floor
from lowlat.venues.polymarket.rejects import RejectCode, classify
from lowlat.venues.wire import iso_ns, ms_ns

__all__ = [
    "NO_SIZE_E6",
    "NO_TIME_NS",
    "Account",
    "Fill",
    "OrderChange",
    "OrderStatus",
    "OrderUpdate",
    "OrderWire",
    "TradeStatus",
    "TradeUpdate",
    "TradeWire",
    "order_status",
    "order_update",
    "parse_hex_32",
    "trade_status",
    "trade_update",
]

NO_SIZE_E6: Final = -1
"""The venue left a size or an amount empty. Never 0: nothing matched is said with a number."""
NO_TIME_NS: Final = -1
"""The venue left a time empty."""

_HEX_32: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_DIGITS: Final = re.compile(r"[0-9]{1,78}", re.ASCII)
_TIME_DIGITS: Final = re.compile(r"[0-9]{1,13}", re.ASCII)
_MS_FROM: Final = 10**11
"""Times from here up are milliseconds, below seconds. Source: polymarket.md 9."""
_PRICE_DECIMALS: Final = 8
_PRICE_E8_PER_E4: Final = 10 ** (_PRICE_DECIMALS - 4)
_TEXT_MAX: Final = 200

Side = Literal["BUY", "SELL"]


class OrderStatus(IntEnum):
    """What the venue says an order is. The number is stored: append only."""

    UNKNOWN = 0
    LIVE = 1
    MATCHED = 2
    DELAYED = 3
    UNMATCHED = 4
    CANCELED = 5
    EXPIRED = 6
    INVALID = 7
    """With a CANCELLATION: removed by the venue, not refused."""


class TradeStatus(IntEnum):
    """Where a trade is on its way to the chain. Source: polymarket.md 5.6."""

    UNKNOWN = 0
    MATCHED = 1
    MINED = 2
    CONFIRMED = 3
    RETRYING = 4
    FAILED = 5
    MATCHED_NOT_BROADCASTED = 6


class OrderChange(IntEnum):
    """Why an order event came; NONE when it was read over REST."""

    UNKNOWN = 0
    NONE = 1
    PLACEMENT = 2
    UPDATE = 3
    CANCELLATION = 4


class Account(NamedTuple):
    """Who we are: the key our orders name as owner, and the wallet that trades (any case)."""

    api_key: str
    maker_address: str


class OrderUpdate(msgspec.Struct, frozen=True, gc=False):
    """State of one of our orders. ``matched_size_e6`` may be NO_SIZE_E6.

    ``reason`` explains a cancellation where its status carries words; ``price_e4`` is rounded
    down (a dollar-sized BUY has an implied price between two ticks).
    """

    order_id: bytes
    status: OrderStatus
    status_text: str
    change: OrderChange
    reason: RejectCode
    market_id: bytes
    token_id: int
    action: Action
    order_type: OrderType | None
    price_e4: int
    size_e6: int
    matched_size_e6: int
    expiration_s: int
    created_ns: int
    event_ns: int
    trade_ids: tuple[str, ...]


class Fill(msgspec.Struct, frozen=True, gc=False):
    """Our part of one match; its name is (trade_id, order_id). Cash is before fees.

    ``cash_e6`` is exact for a maker, and for a taker where the makers' amounts add up to his.
    """

    trade_id: str
    order_id: bytes
    token_id: int
    action: Action
    price_e4: int
    size_e6: int
    cash_e6: int
    maker: bool


class TradeUpdate(msgspec.Struct, frozen=True, gc=False):
    """A trade at one stage. Count ``fills`` once, at the first sight; reverse them on FAILED."""

    trade_id: str
    status: TradeStatus
    status_text: str
    market_id: bytes
    bucket_index: int
    match_ns: int
    event_ns: int
    transaction_hash: str
    fills: tuple[Fill, ...]


class OrderWire(msgspec.Struct, gc=False):
    """An order as JSON, on either channel."""

    id: str
    status: str
    market: str
    asset_id: str
    side: Side
    price: str
    original_size: str
    size_matched: str
    type: str | None = None
    order_type: str | None = None
    expiration: str | int | None = None
    created_at: str | int | None = None
    timestamp: str | int | None = None
    associate_trades: tuple[str, ...] | None = None


class MakerWire(msgspec.Struct, gc=False):
    """One maker's part of a trade."""

    order_id: str
    matched_amount: str
    price: str
    asset_id: str
    owner: str | None = None
    maker_address: str | None = None
    side: Side | None = None


class TradeWire(msgspec.Struct, gc=False):
    """A trade as JSON, on either channel. Top-level side, size and price are the taker's."""

    id: str
    taker_order_id: str
    market: str
    asset_id: str
    side: Side
    size: str
    price: str
    status: str
    owner: str | None = None
    trade_owner: str | None = None
    maker_address: str | None = None
    trader_side: str | None = None
    match_time: str | int | None = None
    matchtime: str | int | None = None
    timestamp: str | int | None = None
    bucket_index: int | None = None
    transaction_hash: str | None = None
    maker_orders: tuple[MakerWire, ...] | None = None


_ORDER_STATUSES: Final[dict[str, OrderStatus]] = {
    "LIVE": OrderStatus.LIVE,
    "MATCHED": OrderStatus.MATCHED,
    "DELAYED": OrderStatus.DELAYED,
    "UNMATCHED": OrderStatus.UNMATCHED,
    "INVALID": OrderStatus.INVALID,
    "CANCELED_EXPIRED_ORDER": OrderStatus.EXPIRED,
    "EXPIRED": OrderStatus.EXPIRED,
}
# Plain dicts: an enum's own look-up by name costs a microsecond.
_ACTIONS: Final = dict(Action.__members__)
_OPPOSITE: Final = {Action.BUY: Action.SELL, Action.SELL: Action.BUY}
_ORDER_TYPES: Final = dict(OrderType.__members__)
_TRADE_STATUSES: Final = dict(TradeStatus.__members__)
_CHANGES: Final = {
    "PLACEMENT": OrderChange.PLACEMENT,
    "UPDATE": OrderChange.UPDATE,
    "CANCELLATION": OrderChange.CANCELLATION,
}


def order_status(text: str) -> OrderStatus:
    """Read a status of either API: any case, with or without ORDER_STATUS_, words after CANCELED_.

    UNKNOWN for a word we do not know; that is a value to act on, not an error.
    """
    word = text.upper().removeprefix("ORDER_STATUS_")
    found = _ORDER_STATUSES.get(word)
    if found is not None:
        return found
    canceled = word in {"CANCELED", "CANCELLED"} or word.startswith(("CANCELED_", "CANCELLED_"))
    return OrderStatus.CANCELED if canceled else OrderStatus.UNKNOWN


def trade_status(text: str) -> TradeStatus:
    """Read a trade's status with or without TRADE_STATUS_; UNKNOWN for a new word."""
    word = text.upper().removeprefix("TRADE_STATUS_")
    return _TRADE_STATUSES.get(word, TradeStatus.UNKNOWN)


def order_update(wire: OrderWire) -> OrderUpdate:
    """Turn an order's JSON into values. Raises RemoteProtocolError."""
    change = OrderChange.NONE
    if wire.type is not None:
        change = _CHANGES.get(wire.type, OrderChange.UNKNOWN)
    matched_e6 = NO_SIZE_E6 if wire.size_matched == "" else parse_fixed(wire.size_matched, 6)
    return OrderUpdate(
        parse_hex_32(wire.id, "order id"),
        order_status(wire.status),
        wire.status[:_TEXT_MAX],
        change,
        _cancel_reason(wire.status),
        parse_hex_32(wire.market, "market"),
        _token(wire.asset_id),
        _ACTIONS[wire.side],
        _ORDER_TYPES.get(wire.order_type or ""),
        _price_e8(wire.price) // _PRICE_E8_PER_E4,
        parse_fixed(wire.original_size, 6),
        matched_e6,
        _expiration_s(wire.expiration),
        _time_ns(wire.created_at),
        _time_ns(wire.timestamp),
        wire.associate_trades or (),
    )


def trade_update(wire: TradeWire, account: Account) -> TradeUpdate:
    """Turn a trade's JSON into values and take our own fills out. Raises RemoteProtocolError."""
    return TradeUpdate(
        _trade_id(wire.id),
        trade_status(wire.status),
        wire.status[:_TEXT_MAX],
        parse_hex_32(wire.market, "market"),
        wire.bucket_index or 0,
        _time_ns(wire.match_time if wire.matchtime is None else wire.matchtime),
        _time_ns(wire.timestamp),
        (wire.transaction_hash or "")[:_TEXT_MAX],
        _own_fills(wire, account),
    )


def _own_fills(wire: TradeWire, account: Account) -> tuple[Fill, ...]:
    """Return our maker entries, or the taker's side if it is ours.

    The side decides where it is given: as MAKER the top level is a stranger's, even if it names
    our key as the receiver of the message. Nothing of ours gives no fills, which the caller
    counts. Source: polymarket.md 5.5.
    """
    makers = wire.maker_orders or ()
    fills = [
        _maker_fill(wire, entry)
        for entry in makers
        if _is_ours(account, entry.owner, entry.maker_address)
    ]
    taker = wire.trader_side != "MAKER" and _is_ours(
        account, wire.owner or wire.trade_owner, wire.maker_address
    )
    if taker and (wire.trader_side == "TAKER" or not fills):
        fills.insert(0, _taker_fill(wire))
    return tuple(fills)


def _is_ours(account: Account, owner: str | None, maker_address: str | None) -> bool:
    """Compare key and wallet: what another key of the wallet does changes our positions too."""
    return (owner or "").lower() == account.api_key.lower() or (
        maker_address or ""
    ).lower() == account.maker_address.lower()


def _taker_fill(wire: TradeWire) -> Fill:
    size_e6 = _fill_size_e6(wire.size)
    price_e8 = _fill_price_e8(wire.price)
    cash_e6 = _taker_cash_e6(wire, size_e6, price_e8)
    makers = wire.maker_orders or ()
    amounts = [(_fill_size_e6(entry.matched_amount), entry) for entry in makers]
    if makers and sum(amount for amount, _ in amounts) == size_e6:
        # Execution is at each maker's price; a mint or merge costs the complement of it.
        cash_e6 = sum(
            _taker_cash_e6(wire, amount, _taker_price_e8(wire, entry)) for amount, entry in amounts
        )
    return Fill(
        wire.id,
        parse_hex_32(wire.taker_order_id, "taker order id"),
        _token(wire.asset_id),
        _ACTIONS[wire.side],
        price_e8 // _PRICE_E8_PER_E4,
        size_e6,
        cash_e6,
        maker=False,
    )


def _taker_cash_e6(wire: TradeWire, size_e6: int, price_e8: int) -> int:
    """Return what a taker pays or gets: a fraction of a base unit is never its own.

    Both sides of a match are whole base units, and each maker's order is filled at its price or
    better (polymarket.md 12.1), so the fraction is the taker's to pay.
    """
    exact = size_e6 * price_e8
    unit = E4 * _PRICE_E8_PER_E4
    return -(-exact // unit) if _ACTIONS[wire.side] == Action.BUY else exact // unit


def _taker_price_e8(wire: TradeWire, entry: MakerWire) -> int:
    price_e8 = _fill_price_e8(entry.price)
    return price_e8 if entry.asset_id == wire.asset_id else ONE_E4 * _PRICE_E8_PER_E4 - price_e8


def _maker_fill(wire: TradeWire, entry: MakerWire) -> Fill:
    size_e6 = _fill_size_e6(entry.matched_amount)
    price_e8 = _fill_price_e8(entry.price)
    taker = _ACTIONS[wire.side]
    # Same token: someone bought what someone sold. Two tokens: both bought (mint) or both sold.
    action = _OPPOSITE[taker] if entry.asset_id == wire.asset_id else taker
    if entry.side is not None and _ACTIONS[entry.side] != action:
        raise RemoteProtocolError(
            f"trade {wire.id[:64]!r}: maker side {entry.side} against taker {wire.side}"
        )
    return Fill(
        wire.id,
        parse_hex_32(entry.order_id, "maker order id"),
        _token(entry.asset_id),
        action,
        price_e8 // _PRICE_E8_PER_E4,
        size_e6,
        size_e6 * price_e8 // (E4 * _PRICE_E8_PER_E4),
        maker=True,
    )


def _cancel_reason(status: str) -> RejectCode:
    """Read the free text behind CANCELED_, as in a killed FOK."""
    word, _, rest = status.partition("_")
    if not rest or word.upper() not in {"CANCELED", "CANCELLED"}:
        return RejectCode.NONE
    return classify(400, rest.replace("_", " ")).code


def parse_hex_32(text: str, name: str) -> bytes:
    """Turn 0x and 64 hex digits into 32 bytes; RemoteProtocolError otherwise."""
    if not _HEX_32.fullmatch(text):
        raise RemoteProtocolError(f"{name} {text[:80]!r} is not 0x and 64 hex digits")
    return bytes.fromhex(text[2:])


def _token(text: str) -> int:
    value = int(text) if _DIGITS.fullmatch(text) else 0
    if not 0 < value < 1 << 256:
        raise RemoteProtocolError(f"asset id {text[:90]!r} is not a 256-bit number")
    return value


def _trade_id(text: str) -> str:
    if not 0 < len(text) <= _TEXT_MAX:
        raise RemoteProtocolError(f"trade id {text[:40]!r} has {len(text)} characters")
    return text


def _price_e8(text: str) -> int:
    price_e8 = parse_fixed_floor(text, _PRICE_DECIMALS)
    if price_e8 > ONE_E4 * _PRICE_E8_PER_E4:
        raise RemoteProtocolError(f"price {text[:40]!r} is over 1")
    return price_e8


def _fill_price_e8(text: str) -> int:
    price_e8 = _price_e8(text)
    if not 0 < price_e8 < ONE_E4 * _PRICE_E8_PER_E4:
        raise RemoteProtocolError(f"fill price {text[:40]!r} is not inside (0, 1)")
    return price_e8


def _fill_size_e6(text: str) -> int:
    size_e6 = parse_fixed(text, 6)
    if not size_e6:
        raise RemoteProtocolError("fill of size 0")
    return size_e6


def _expiration_s(value: str | int | None) -> int:
    """Return 0 for "none", as the venue itself does."""
    if value is None or value == "":
        return 0
    text = str(value)
    if not _TIME_DIGITS.fullmatch(text):
        raise RemoteProtocolError(f"expiration {text[:40]!r} is not unix seconds")
    return int(text)


def _time_ns(value: str | int | None) -> int:
    """Read seconds, milliseconds (from 10**11 up) or ISO text; NO_TIME_NS where it is empty."""
    if value is None or value == "":
        return NO_TIME_NS
    text = str(value)
    if not _TIME_DIGITS.fullmatch(text):
        return iso_ns(text)
    number = int(text)
    return ms_ns(number if number >= _MS_FROM else number * 1_000)
