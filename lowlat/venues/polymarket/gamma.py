"""Gamma metadata: pages of markets and events to typed MarketInfo.

Run by the metadata engine, off the hot path. A field that the venue did not send is None, which
means unknown: nothing here fills one in. A market that cannot be read is left out of its page and
named in ``rejected``, so that one bad row does not hide the others. Source: polymarket.md 11.1.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import msgspec

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.venues.polymarket.market_info import (
    CryptoConfig,
    FeeSchedule,
    MarketInfo,
    check_condition_id,
    check_token_ids,
    decimal_units,
)
from lowlat.venues.wire import BAD_JSON, Payload, iso_ns, malformed

__all__ = [
    "EVENTS_PAGE_MAX",
    "MARKETS_PAGE_MAX",
    "Page",
    "decode_events",
    "decode_markets",
    "events_path",
    "markets_path",
]

MARKETS_PAGE_MAX: Final = 100
EVENTS_PAGE_MAX: Final = 500
_END_CURSOR: Final = "LTE="
"""The CLOB's end marker; Gamma leaves the key out instead."""


class Page(msgspec.Struct, frozen=True):
    """One page: readable markets, why others were left out, and where to go on (None = end)."""

    markets: list[MarketInfo]
    rejected: list[str]
    next_cursor: str | None


class _Slug(msgspec.Struct, gc=False):
    slug: str | None = None


class _Reward(msgspec.Struct, gc=False, rename="camel"):
    rewards_daily_rate: Decimal | None = None


class _Fee(msgspec.Struct, gc=False, rename="camel"):
    rate: Decimal | None = None
    exponent: Decimal | None = None
    taker_only: bool | None = None
    rebate_rate: Decimal | None = None


class _Crypto(msgspec.Struct, gc=False, rename="camel"):
    asset: str | None = None
    duration: str | None = None
    twap_enabled: bool | None = None
    twap_lookback_seconds: int | None = None


class _Event(msgspec.Struct, rename="camel"):
    id: str | None = None
    slug: str | None = None
    neg_risk_market_id: str | None = msgspec.field(name="negRiskMarketID", default=None)
    neg_risk_augmented: bool | None = None
    series: list[_Slug] | None = None
    series_slug: str | None = None
    tags: list[_Slug] | None = None
    markets: list[msgspec.Raw] | None = None


class _Market(msgspec.Struct, rename="camel"):
    condition_id: str
    outcomes: str
    slug: str | None = None
    question: str | None = None
    clob_token_ids: str | None = None
    events: list[_Event] | None = None
    neg_risk: bool | None = None
    neg_risk_market_id: str | None = msgspec.field(name="negRiskMarketID", default=None)
    neg_risk_other: bool | None = None
    fees_enabled: bool | None = None
    fee_schedule: _Fee | None = None
    event_start_time: str | None = None
    game_start_time: str | None = None
    end_date: str | None = None
    active: bool | None = None
    closed: bool | None = None
    archived: bool | None = None
    accepting_orders: bool | None = None
    enable_order_book: bool | None = None
    order_min_size: Decimal | None = None
    order_price_min_tick_size: Decimal | None = None
    seconds_delay: int | None = None
    volume_num: Decimal | None = None
    volume24hr: Decimal | None = None
    liquidity_num: Decimal | None = None
    tags: list[_Slug] | None = None
    resolution_source: str | None = None
    description: str | None = None
    group_item_title: str | None = None
    crypto_market_config: _Crypto | None = None
    created_at: str | None = None
    start_date: str | None = None
    closed_time: str | None = None
    uma_resolution_status: str | None = None
    uma_resolution_statuses: str | None = None
    rewards_min_size: Decimal | None = None
    rewards_max_spread: Decimal | None = None
    clob_rewards: list[_Reward] | None = None


class _MarketsPage(msgspec.Struct):
    markets: list[msgspec.Raw]
    next_cursor: str | None = None


class _EventsPage(msgspec.Struct):
    events: list[msgspec.Raw]
    next_cursor: str | None = None


_NO_EVENT: Final = _Event()
_decode_market: Final = msgspec.json.Decoder(_Market).decode
_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_texts: Final = msgspec.json.Decoder(list[str]).decode
_decode_rows: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_markets_page: Final = msgspec.json.Decoder(_MarketsPage).decode
_decode_events_page: Final = msgspec.json.Decoder(_EventsPage).decode


def markets_path(after_cursor: str | None = None, **filters: str | int | Sequence[str]) -> str:
    """Return the path of a page of markets; a list repeats its key."""
    return _path("/markets/keyset", MARKETS_PAGE_MAX, after_cursor, filters)


def events_path(after_cursor: str | None = None, **filters: str | int | Sequence[str]) -> str:
    """Return the path of a page of events."""
    return _path("/events/keyset", EVENTS_PAGE_MAX, after_cursor, filters)


def _path(
    path: str, limit_max: int, cursor: str | None, filters: dict[str, str | int | Sequence[str]]
) -> str:
    limit = filters.setdefault("limit", limit_max)
    if not isinstance(limit, int) or not 0 < limit <= limit_max:
        raise LocalProtocolError(f"{path}: limit {limit!r}, expected 1 to {limit_max}")
    if cursor is not None:
        filters["after_cursor"] = cursor
    return f"{path}?{urlencode(filters, doseq=True)}"


def decode_markets(payload: Payload, sent_cursor: str | None = None) -> Page:
    """Decode a page, a bare array or a single object of markets.

    Raises RemoteProtocolError when the answer as a whole is none of these, or when its cursor is
    the one just sent, which would never end.
    """
    rows, cursor = _rows("/markets", payload, sent_cursor)
    markets: list[MarketInfo] = []
    rejected: list[str] = []
    for row in rows:
        _collect(row, None, markets, rejected)
    return Page(markets, rejected, cursor)


def decode_events(payload: Payload, sent_cursor: str | None = None) -> Page:
    """Decode a page, a bare array or a single object of events into their markets."""
    rows, cursor = _rows("/events", payload, sent_cursor)
    markets: list[MarketInfo] = []
    rejected: list[str] = []
    for row in rows:
        try:
            event = _decode_event(row)
        except BAD_JSON as error:
            rejected.append(str(malformed("gamma event", bytes(row), error)))
            continue
        for market in event.markets or []:
            _collect(market, event, markets, rejected)
    return Page(markets, rejected, cursor)


def _rows(
    what: str, payload: Payload, sent_cursor: str | None
) -> tuple[list[msgspec.Raw], str | None]:
    body = bytes(payload).lstrip()
    try:
        if body[:1] == b"[":
            return _decode_rows(body), None
        if what == "/markets":
            rows, cursor = _page_or_one(_decode_markets_page, body, "markets", "conditionId")
        else:
            rows, cursor = _page_or_one(_decode_events_page, body, "events", "id")
    except BAD_JSON as error:
        raise malformed(what, payload, error) from error
    if cursor is not None and cursor == sent_cursor:
        raise malformed(what, payload, f"cursor {cursor[:40]!r} leads to itself")
    return rows, None if cursor in {"", _END_CURSOR} else cursor


def _page_or_one(
    decode_page: Callable[[bytes], _MarketsPage | _EventsPage], body: bytes, key: str, mark: str
) -> tuple[list[msgspec.Raw], str | None]:
    keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    # A single event has "markets" too, so the mark of a single row is looked for first.
    if mark in keys and key not in keys:
        return [msgspec.Raw(body)], None
    page = decode_page(body)
    return (page.markets if isinstance(page, _MarketsPage) else page.events), page.next_cursor


def _collect(
    row: msgspec.Raw, event: _Event | None, markets: list[MarketInfo], rejected: list[str]
) -> None:
    try:
        markets.append(_market_info(_decode_market(row), event))
    except BAD_JSON as error:
        rejected.append(str(malformed("gamma market", bytes(row), error)))
    except RemoteProtocolError as error:
        rejected.append(str(malformed("gamma market", bytes(row), error)))


def _market_info(wire: _Market, parent: _Event | None) -> MarketInfo:
    event = parent or (wire.events[0] if wire.events else _NO_EVENT)
    outcomes = _two_texts(wire.outcomes, "outcomes")
    if outcomes is None:
        raise RemoteProtocolError("a market without outcomes")
    neg_risk_ids = {one for one in (wire.neg_risk_market_id, event.neg_risk_market_id) if one}
    if len(neg_risk_ids) > 1:
        raise RemoteProtocolError("negRiskMarketID of market and event differ")
    slugs = _slugs(event.series)
    return MarketInfo(
        condition_id=check_condition_id(wire.condition_id),
        slug=wire.slug or None,
        question=wire.question or None,
        outcomes=outcomes,
        token_ids=_token_ids(wire.clob_token_ids),
        event_id=event.id or None,
        event_slug=event.slug or None,
        event_market_count=None if event.markets is None else len(event.markets),
        neg_risk=wire.neg_risk,
        neg_risk_market_id=neg_risk_ids.pop() if neg_risk_ids else None,
        neg_risk_augmented=event.neg_risk_augmented,
        neg_risk_other=wire.neg_risk_other,
        fees_enabled=wire.fees_enabled,
        fee=_fee(wire.fees_enabled, wire.fee_schedule),
        start_ns=_time_ns(wire.event_start_time or wire.game_start_time),
        end_ns=_time_ns(wire.end_date),
        active=wire.active,
        closed=wire.closed,
        archived=wire.archived,
        accepting_orders=wire.accepting_orders,
        order_book=wire.enable_order_book,
        min_size_e6=decimal_units(wire.order_min_size, 6),
        tick_e4=_tick_e4(wire.order_price_min_tick_size),
        seconds_delay=_not_negative(wire.seconds_delay),
        volume_e6=decimal_units(wire.volume_num, 6, cut=True),
        volume_24h_e6=decimal_units(wire.volume24hr, 6, cut=True),
        liquidity_e6=decimal_units(wire.liquidity_num, 6, cut=True),
        tags=_slugs(wire.tags) or _slugs(event.tags),
        series=slugs or ((event.series_slug,) if event.series_slug else None),
        resolution_source=wire.resolution_source or None,
        rules_text=wire.description or None,
        group_item_title=wire.group_item_title or None,
        crypto=_crypto(wire.crypto_market_config),
        listed_ns=_time_ns(wire.created_at),
        opened_ns=_time_ns(wire.start_date),
        closed_ns=_time_ns(wire.closed_time),
        dispute=wire.uma_resolution_status,
        disputes=_steps(wire.uma_resolution_statuses),
        reward_size_e6=decimal_units(wire.rewards_min_size, 6, cut=True),
        # Cents in the venue's words.
        reward_spread_e4=decimal_units(wire.rewards_max_spread, 2, cut=True),
        reward_day_e6=_reward_day_e6(wire.clob_rewards),
    )


def _two_texts(text: str | None, what: str) -> tuple[str, str] | None:
    """Read JSON text inside a string; empty text and an empty list are None."""
    if not text:
        return None
    values = _decode_texts(text.encode("utf-8", "replace"))
    if not values:
        return None
    if len(values) != 2:
        raise RemoteProtocolError(f"{what} has {len(values)} entries, expected 2 (binary market)")
    return values[0], values[1]


def _steps(text: str | None) -> tuple[str, ...] | None:
    return tuple(_decode_texts(text.encode("utf-8", "replace"))) if text else None


def _reward_day_e6(programmes: list[_Reward] | None) -> int | None:
    if programmes is None:
        return None
    rates = [decimal_units(one.rewards_daily_rate, 6, cut=True) for one in programmes]
    return sum(rate for rate in rates if rate is not None)


def _token_ids(text: str | None) -> tuple[str, str] | None:
    tokens = _two_texts(text, "clobTokenIds")
    # A new market can have them empty for minutes. Source: polymarket.md 1.2.
    return None if tokens is None or not any(tokens) else check_token_ids(*tokens)


def _fee(enabled: bool | None, wire: _Fee | None) -> FeeSchedule | None:
    """Return the schedule, or None: half of one, or one that contradicts its switch, is unknown."""
    if wire is None:
        return FeeSchedule(0, 1, taker_only=True) if enabled is False else None
    rate_e6 = decimal_units(wire.rate, 6)
    exponent = decimal_units(wire.exponent, 0)
    if rate_e6 is None or exponent is None or wire.taker_only is None:
        return None
    if enabled is False and rate_e6:
        return None
    return FeeSchedule(rate_e6, exponent, wire.taker_only, decimal_units(wire.rebate_rate, 6))


def _crypto(wire: _Crypto | None) -> CryptoConfig | None:
    if wire is None:
        return None
    return CryptoConfig(
        wire.asset, wire.duration, wire.twap_enabled, _not_negative(wire.twap_lookback_seconds)
    )


def _tick_e4(value: Decimal | None) -> int | None:
    tick_e4 = decimal_units(value, 4)
    # Zero says that no tick is set, so none is known.
    if tick_e4 is not None and tick_e4 >= 10_000:
        raise RemoteProtocolError(f"tick {value} is a dollar or more")
    return tick_e4 or None


def _time_ns(text: str | None) -> int | None:
    return iso_ns(text) if text else None


def _not_negative(value: int | None) -> int | None:
    if value is not None and not 0 <= value < 2**31:
        raise RemoteProtocolError(f"number {str(value)[:40]} is negative or enormous")
    return value


def _slugs(rows: list[_Slug] | None) -> tuple[str, ...] | None:
    return None if rows is None else tuple(row.slug for row in rows if row.slug)
