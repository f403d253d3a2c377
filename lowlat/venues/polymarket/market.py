"""Polymarket market channel: frames to values, subscriptions to frames; books by REST: books.py.

Run by the feed engine. Pure: bytes in, values or RemoteProtocolError out. A price_change is
scanned by compiled code (_frames.pyx); everything else, and every surprise, goes to one msgspec
decoder. Prices and sizes stay decimal text, because the
book kernel turns them into integers in compiled code; the order of levels is as served (bids
ascending, asks descending: the best is the last). Source: polymarket.md 1.4, 8.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from lowlat.core.errors import LocalProtocolError
from lowlat.venues.polymarket._frames import Change, PriceChange, scan_price_change
from lowlat.venues.polymarket.bounds import SHARD_ASSETS_MAX
from lowlat.venues.wire import BAD_JSON, Ignored, Payload, malformed, ms_text_ns

__all__ = [
    "PING",
    "PONG",
    "BestBidAsk",
    "Book",
    "Change",
    "Event",
    "FeeScheduleText",
    "Ignored",
    "LastTrade",
    "Level",
    "MarketResolved",
    "MarketSession",
    "NewMarket",
    "PriceChange",
    "TickSizeChange",
    "decode",
    "decode_any",
    "event_ns",
    "pairs",
]

PING: Final = b"PING"
"""Text frame, every 10 s. Source: polymarket.md 8.1."""
PONG: Final = b"PONG"
"""Its answer; without one for 30 s the link is dead. A live PONG does not prove live data."""

Side = Literal["BUY", "SELL"]
"""BUY is the bid side of a book level, and the taker's direction of a trade."""


class Level(msgspec.Struct, frozen=True, gc=False):
    """One price level as served."""

    price: str
    size: str


_ABSENT: Final[tuple[Level, ...]] = (Level("", ""),)
"""Stands for a missing list; compared by identity, because an empty list is a real book."""


class Book(msgspec.Struct, frozen=True, gc=False, tag_field="event_type", tag="book"):
    """A whole book of one asset. Older servers said buys and sells for bids and asks."""

    market: str
    asset_id: str
    timestamp: str
    bids: tuple[Level, ...] = _ABSENT
    asks: tuple[Level, ...] = _ABSENT
    buys: tuple[Level, ...] = _ABSENT
    sells: tuple[Level, ...] = _ABSENT
    tick_size: str | None = None
    """Only in the initial dump."""
    last_trade_price: str | None = None
    """Only in the initial dump; empty text when there was no trade."""

    def __post_init__(self) -> None:
        for name, older in (("bids", "buys"), ("asks", "sells")):
            now, then = getattr(self, name), getattr(self, older)
            if (now is _ABSENT) == (then is _ABSENT):
                raise ValueError(f"book needs exactly one of {name} and {older}")
            if now is _ABSENT:
                msgspec.structs.force_setattr(self, name, then)
                msgspec.structs.force_setattr(self, older, _ABSENT)


class _ChangeWire(msgspec.Struct, frozen=True, gc=False):
    asset_id: str
    price: str
    size: str
    side: Side
    best_bid: str
    best_ask: str


class _PriceChangeWire(
    msgspec.Struct, frozen=True, gc=False, tag_field="event_type", tag="price_change"
):
    market: str
    timestamp: str
    price_changes: tuple[_ChangeWire, ...]


class LastTrade(
    msgspec.Struct, frozen=True, gc=False, tag_field="event_type", tag="last_trade_price"
):
    """One print; the venue gives no trade id."""

    market: str
    asset_id: str
    price: str
    size: str
    side: Side
    """The taker's."""
    timestamp: str
    transaction_hash: str | None = None


class TickSizeChange(
    msgspec.Struct, frozen=True, gc=False, tag_field="event_type", tag="tick_size_change"
):
    """The grid changed: drop the book and wait for the next one. Equal ticks occur: no change."""

    market: str
    asset_id: str
    old_tick_size: str
    new_tick_size: str
    timestamp: str


class BestBidAsk(msgspec.Struct, frozen=True, gc=False, tag_field="event_type", tag="best_bid_ask"):
    """Top of one asset's book."""

    market: str
    asset_id: str
    best_bid: str
    best_ask: str
    timestamp: str


class FeeScheduleText(msgspec.Struct, frozen=True, gc=False):
    """Fee schedule of a new market, numbers as text."""

    rate: str
    exponent: str
    taker_only: bool
    rebate_rate: str | None = None


class NewMarket(msgspec.Struct, frozen=True, gc=False, tag_field="event_type", tag="new_market"):
    """A listing, for the whole venue. A hint to fetch its metadata, never a source to trade on."""

    market: str
    slug: str
    question: str
    assets_ids: tuple[str, ...]
    outcomes: tuple[str, ...]
    timestamp: str
    order_price_min_tick_size: str | None = None
    active: bool | None = None
    fees_enabled: bool | None = None
    fee_schedule: FeeScheduleText | None = None


class MarketResolved(
    msgspec.Struct, frozen=True, gc=False, tag_field="event_type", tag="market_resolved"
):
    """A market's outcome is final."""

    market: str
    assets_ids: tuple[str, ...]
    winning_asset_id: str
    winning_outcome: str
    timestamp: str


class _Head(msgspec.Struct, gc=False):
    event_type: str


class _Subscribe(msgspec.Struct, omit_defaults=True):
    assets_ids: Sequence[str]
    type: str | None = None
    operation: str | None = None
    custom_feature_enabled: bool | None = None
    initial_dump: bool | None = None


Event = (
    Book
    | PriceChange
    | LastTrade
    | TickSizeChange
    | BestBidAsk
    | NewMarket
    | MarketResolved
    | Ignored
)
_Known = (
    Book | _PriceChangeWire | LastTrade | TickSizeChange | BestBidAsk | NewMarket | MarketResolved
)
_KINDS: Final = frozenset(
    {
        "book",
        "price_change",
        "last_trade_price",
        "tick_size_change",
        "best_bid_ask",
        "new_market",
        "market_resolved",
    }
)
_decode_known: Final = msgspec.json.Decoder(_Known | list[_Known]).decode
_decode_one: Final = msgspec.json.Decoder(_Known).decode
_decode_head: Final = msgspec.json.Decoder(_Head).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def decode(payload: Payload) -> Sequence[Event]:
    """Return the events of one frame, in order; nothing for PONG and ``[]``.

    About 0.5 us for a price_change of two levels. Raises RemoteProtocolError.
    """
    scanned = scan_price_change(payload)
    return (scanned,) if scanned is not None else decode_any(payload)


def decode_any(payload: Payload) -> Sequence[Event]:
    """Return the same as decode without the compiled scanner, whose oracle this is."""
    try:
        events = _decode_known(payload)
    except BAD_JSON as error:
        return _decode_rare(payload, error)
    if type(events) is list:
        return [_public(event) for event in events]
    return (_public(events),)


def _decode_rare(payload: Payload, error: Exception) -> Sequence[Event]:
    """Tell PONG and unknown kinds, which are fine, from a broken frame."""
    if payload == PONG:
        return ()
    frame = bytes(payload)
    try:
        pieces = _decode_list(frame) if frame.lstrip()[:1] == b"[" else [msgspec.Raw(frame)]
        return [_decode_piece(piece) for piece in pieces]
    except BAD_JSON as worse:
        raise malformed("market frame", frame, worse) from error


def _decode_piece(piece: msgspec.Raw) -> Event:
    kind = _decode_head(piece).event_type
    return _public(_decode_one(piece)) if kind in _KINDS else Ignored(kind[:40])


def _public(event: _Known) -> Event:
    if type(event) is not _PriceChangeWire:
        return event  # type: ignore[return-value]
    changes = [
        Change(one.asset_id, one.price, one.size, one.side, one.best_bid, one.best_ask)
        for one in event.price_changes
    ]
    return PriceChange(event.market, ms_text_ns(event.timestamp), tuple(changes))


def event_ns(timestamp: str) -> int:
    """Return an event's venue time (wall) from its ``timestamp`` text of milliseconds."""
    return ms_text_ns(timestamp)


def pairs(levels: Sequence[Level]) -> list[tuple[str, str]]:
    """Return levels as (price, size) text pairs, the form the book kernel loads."""
    return [(level.price, level.size) for level in levels]


class MarketSession:
    """Say what one connection may send next: a subscription must come before the first PING.

    Sending PING first closes the socket with 1008. Source: polymarket.md 8.1.
    """

    __slots__ = ("_assets", "_initial_dump", "_opened")

    def __init__(self, *, initial_dump: bool = True) -> None:
        self._assets: set[str] = set()
        self._initial_dump = initial_dump
        self._opened = False

    @property
    def assets(self) -> frozenset[str]:
        """Assets subscribed on this connection."""
        return frozenset(self._assets)

    def subscribe(self, assets: Sequence[str]) -> bytes:
        """Return the frame that adds assets; the first one opens the session."""
        wanted = _checked(assets)
        if len(self._assets | wanted) > SHARD_ASSETS_MAX:
            raise LocalProtocolError(
                f"a connection carries {SHARD_ASSETS_MAX} assets, asked for"
                f" {len(self._assets | wanted)}"
            )
        self._assets |= wanted
        if self._opened:
            return _encode(_Subscribe(assets, operation="subscribe", custom_feature_enabled=True))
        self._opened = True
        return _encode(
            _Subscribe(
                assets,
                type="market",
                custom_feature_enabled=True,
                initial_dump=None if self._initial_dump else False,
            )
        )

    def unsubscribe(self, assets: Sequence[str]) -> bytes:
        """Return the frame that drops assets."""
        unknown = _checked(assets) - self._assets
        if unknown:
            raise LocalProtocolError(f"asset {min(unknown)} is not subscribed")
        self._assets.difference_update(assets)
        return _encode(_Subscribe(assets, operation="unsubscribe"))

    def ping(self) -> bytes:
        """Return the PING text frame."""
        if not self._opened:
            raise LocalProtocolError("PING before the first subscription closes the socket")
        return PING


def _checked(assets: Sequence[str]) -> set[str]:
    if not assets:
        raise LocalProtocolError("a subscription names at least one asset")
    for asset in assets:
        if not (asset.isascii() and asset.isdigit() and len(asset) <= 78):
            raise LocalProtocolError(f"asset {asset[:80]!r} is not a decimal token id")
    return set(assets)
