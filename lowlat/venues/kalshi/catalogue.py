"""Kalshi's catalogue: series, events, markets.

Bytes in, values or RemoteProtocolError out. A page is read whole or refused: a list with holes is
no list. Unknown words (a new status, a new strike type) are values that say so. Both forms are
read: fixed-point text, and the cents and counts of recordings before April 2026.
Source: feeds.md 2.3, 2.4.
"""

from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.units import E4
from lowlat.venues._fixed import fixed
from lowlat.venues.kalshi.numbers import (
    OUTCOMES,
    Count,
    OutcomeWord,
    decimal_e8,
    multiplier_e8,
    optional_cash_e6,
    quote_e4,
    result_of,
    size_e6,
    ticker_of,
    time_ns,
)
from lowlat.venues.kalshi.reading import read
from lowlat.venues.kalshi.values import (
    EventInfo,
    EventsPage,
    Leg,
    MarketInfo,
    MarketsPage,
    MarketStatus,
    PriceRange,
    Series,
)
from lowlat.venues.wire import Payload

__all__ = [
    "decode_event",
    "decode_events",
    "decode_market",
    "decode_markets",
    "decode_series",
    "markets_path",
]

_MARKETS_MAX: Final = 1000
_TEXT_MAX: Final = 120
_STATUSES: Final = {status.name.lower(): status for status in MarketStatus if status}


# ------------------------------------------------------------------------------------ wire
class _RangeWire(msgspec.Struct, gc=False):
    start: str
    end: str
    step: str


class _LegWire(msgspec.Struct, gc=False):
    event_ticker: str
    market_ticker: str
    side: OutcomeWord


class _MarketWire(msgspec.Struct, gc=False):
    ticker: str
    event_ticker: str
    status: str
    market_type: str = ""
    result: str = ""
    yes_bid_dollars: str | None = None
    yes_ask_dollars: str | None = None
    last_price_dollars: str | None = None
    yes_bid: Count | None = None
    yes_ask: Count | None = None
    last_price: Count | None = None
    volume_fp: str | None = None
    volume: Count | None = None
    open_interest_fp: str | None = None
    open_interest: Count | None = None
    price_ranges: tuple[_RangeWire, ...] | None = None
    open_time: str | None = None
    close_time: str | None = None
    expected_expiration_time: str | None = None
    settlement_timer_seconds: Count | None = None
    can_close_early: bool | None = None
    strike_type: str = ""
    floor_strike: Decimal | None = None
    cap_strike: Decimal | None = None
    notional_value_dollars: str | None = None
    notional_value: Count | None = None
    settlement_value_dollars: str | None = None
    mve_selected_legs: tuple[_LegWire, ...] | None = None
    title: str = ""
    rules_primary: str = ""
    rules_secondary: str = ""


class _OneMarketWire(msgspec.Struct, gc=False):
    market: _MarketWire


class _MarketsWire(msgspec.Struct, gc=False):
    markets: tuple[_MarketWire, ...]
    cursor: str = ""


class _EventWire(msgspec.Struct, gc=False):
    event_ticker: str
    series_ticker: str
    mutually_exclusive: bool
    title: str = ""
    sub_title: str = ""
    category: str = ""
    collateral_return_type: str = ""
    strike_date: str | None = None
    strike_period: str | None = None
    markets: tuple[_MarketWire, ...] | None = None


class _OneEventWire(msgspec.Struct, gc=False):
    event: _EventWire
    markets: tuple[_MarketWire, ...] | None = None


class _EventsWire(msgspec.Struct, gc=False):
    events: tuple[_EventWire, ...]
    cursor: str = ""


class _SourceWire(msgspec.Struct, gc=False):
    name: str = ""
    url: str = ""


class _SeriesWire(msgspec.Struct, gc=False):
    ticker: str
    fee_type: str
    fee_multiplier: Decimal
    title: str = ""
    category: str = ""
    frequency: str = ""
    tags: tuple[str, ...] | None = None
    settlement_sources: tuple[_SourceWire, ...] | None = None
    contract_url: str = ""
    contract_terms_url: str = ""
    additional_prohibitions: tuple[str, ...] | None = None


class _OneSeriesWire(msgspec.Struct, gc=False):
    series: _SeriesWire


# -------------------------------------------------------------------------------- decoders
_read_market: Final = msgspec.json.Decoder(_OneMarketWire).decode
_read_markets: Final = msgspec.json.Decoder(_MarketsWire).decode
_read_event: Final = msgspec.json.Decoder(_OneEventWire).decode
_read_events: Final = msgspec.json.Decoder(_EventsWire).decode
_read_series: Final = msgspec.json.Decoder(_OneSeriesWire).decode


def markets_path(series_ticker: str, cursor: str = "", limit: int = _MARKETS_MAX) -> str:
    """Return the path of a page of the open markets of a series."""
    if not 0 < limit <= _MARKETS_MAX:
        raise LocalProtocolError(f"markets limit {limit}, expected 1 to {_MARKETS_MAX}")
    after = f"&cursor={quote(cursor, safe='')}" if cursor else ""
    name = quote(series_ticker, safe="")
    return f"/trade-api/v2/markets?series_ticker={name}&status=open&limit={limit}{after}"


def decode_market(payload: Payload) -> MarketInfo:
    """Decode one market."""
    return read("market", _read_market, payload, lambda wire: _market(wire.market))


def decode_markets(payload: Payload) -> MarketsPage:
    """Decode a page of markets."""
    return read(
        "markets",
        _read_markets,
        payload,
        lambda wire: MarketsPage(tuple(map(_market, wire.markets)), wire.cursor),
    )


def decode_event(payload: Payload) -> EventInfo:
    """Decode one event; its markets stand inside it or, as older answers have it, beside it."""
    return read("event", _read_event, payload, lambda wire: _event(wire.event, wire.markets))


def decode_events(payload: Payload) -> EventsPage:
    """Decode a page of events."""
    return read(
        "events",
        _read_events,
        payload,
        lambda wire: EventsPage(tuple(_event(each, None) for each in wire.events), wire.cursor),
    )


def decode_series(payload: Payload) -> Series:
    """Decode one series."""
    return read("series", _read_series, payload, lambda wire: _series(wire.series))


def _market(wire: _MarketWire) -> MarketInfo:
    return MarketInfo(
        ticker=ticker_of(wire.ticker),
        event_ticker=ticker_of(wire.event_ticker),
        kind=wire.market_type,
        status=_STATUSES.get(wire.status, MarketStatus.UNKNOWN),
        status_text=wire.status[:_TEXT_MAX],
        result=result_of(wire.result),
        yes_bid_e4=quote_e4(wire.yes_bid_dollars, wire.yes_bid),
        yes_ask_e4=quote_e4(wire.yes_ask_dollars, wire.yes_ask),
        last_e4=quote_e4(wire.last_price_dollars, wire.last_price),
        volume_e6=size_e6(wire.volume_fp, wire.volume),
        open_interest_e6=size_e6(wire.open_interest_fp, wire.open_interest),
        price_ranges=tuple(map(_range, wire.price_ranges or ())),
        open_ns=time_ns(wire.open_time),
        close_ns=time_ns(wire.close_time),
        expected_expiration_ns=time_ns(wire.expected_expiration_time),
        settlement_timer_s=wire.settlement_timer_seconds,
        can_close_early=wire.can_close_early,
        strike_type=wire.strike_type,
        floor_strike_e8=decimal_e8(wire.floor_strike),
        cap_strike_e8=decimal_e8(wire.cap_strike),
        notional_e6=optional_cash_e6(wire.notional_value_dollars, wire.notional_value),
        settlement_value_e6=optional_cash_e6(wire.settlement_value_dollars or None),
        legs=tuple(
            Leg(ticker_of(leg.event_ticker), ticker_of(leg.market_ticker), OUTCOMES[leg.side])
            for leg in wire.mve_selected_legs or ()
        ),
        title=wire.title,
        rules="\n".join(text for text in (wire.rules_primary, wire.rules_secondary) if text),
    )


def _range(wire: _RangeWire) -> PriceRange:
    found = PriceRange(fixed(wire.start, 4), fixed(wire.end, 4), fixed(wire.step, 4))
    if not (0 <= found.start_e4 < found.end_e4 <= E4 and found.step_e4):
        raise RemoteProtocolError(f"price range {found} is no range of prices")
    return found


def _event(wire: _EventWire, beside: tuple[_MarketWire, ...] | None) -> EventInfo:
    return EventInfo(
        ticker=ticker_of(wire.event_ticker),
        series_ticker=ticker_of(wire.series_ticker),
        title=wire.title,
        sub_title=wire.sub_title,
        category=wire.category,
        mutually_exclusive=wire.mutually_exclusive,
        collateral_return=wire.collateral_return_type,
        strike_ns=time_ns(wire.strike_date),
        strike_period=wire.strike_period or "",
        markets=tuple(map(_market, wire.markets or beside or ())),
    )


def _series(wire: _SeriesWire) -> Series:
    return Series(
        ticker=ticker_of(wire.ticker),
        title=wire.title,
        category=wire.category,
        frequency=wire.frequency,
        fee_type=wire.fee_type,
        fee_multiplier_e8=multiplier_e8(wire.fee_multiplier),
        tags=wire.tags or (),
        sources=tuple((each.name, each.url) for each in wire.settlement_sources or ()),
        contract_url=wire.contract_url,
        contract_terms_url=wire.contract_terms_url,
        prohibitions=wire.additional_prohibitions or (),
    )
