"""Kalshi's answers about our money: balance, positions, settlements.

Bytes in, values or RemoteProtocolError out. A position is one signed number, below 0 is NO.
Balances and a settlement's revenue are integer cents to this day. Source: feeds.md 2.3, 2.7.
"""

from typing import Annotated, Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.kalshi.numbers import (
    Count,
    Result,
    cash_e6,
    known_ns,
    optional_cash_e6,
    result_of,
    seconds_ns,
    signed_e6,
    size_e6,
    ticker_of,
    time_ns,
)
from lowlat.venues.kalshi.reading import read
from lowlat.venues.wire import Payload

__all__ = [
    "Balance",
    "EventPosition",
    "Position",
    "PositionsPage",
    "Settlement",
    "SettlementsPage",
    "decode_balance",
    "decode_positions",
    "decode_settlements",
]

_CENT_E6: Final = 10_000
_Signed = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]


class Balance(msgspec.Struct, frozen=True, gc=False):
    """Cash and what the positions are worth to the venue.

    The total of all shards: money of one does not back orders of another. Source: feeds.md 2.7.
    """

    cash_e6: int
    portfolio_e6: int
    updated_ns: int


class Position(msgspec.Struct, frozen=True, gc=False):
    """What we hold of a market."""

    ticker: str
    size_e6: int
    """Below 0 is NO."""
    exposure_e6: int
    realized_e6: int
    fees_e6: int
    traded_e6: int
    resting_orders: int | None
    updated_ns: int | None


class EventPosition(msgspec.Struct, frozen=True, gc=False):
    """The same over all markets of an event."""

    event_ticker: str
    exposure_e6: int
    realized_e6: int
    fees_e6: int
    cost_e6: int


class PositionsPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    markets: tuple[Position, ...]
    events: tuple[EventPosition, ...]
    cursor: str


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What a market paid when it ended."""

    ticker: str
    event_ticker: str
    result: Result
    result_text: str
    yes_size_e6: int
    no_size_e6: int
    yes_cost_e6: int | None
    no_cost_e6: int | None
    revenue_e6: int
    fee_e6: int | None
    settled_ns: int


class SettlementsPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    rows: tuple[Settlement, ...]
    cursor: str


class _BalanceWire(msgspec.Struct, gc=False):
    balance: _Signed
    portfolio_value: _Signed
    updated_ts: int


class _PositionWire(msgspec.Struct, gc=False):
    ticker: str
    position_fp: str | None = None
    position: _Signed | None = None
    market_exposure_dollars: str | None = None
    market_exposure: _Signed | None = None
    realized_pnl_dollars: str | None = None
    realized_pnl: _Signed | None = None
    fees_paid_dollars: str | None = None
    fees_paid: _Signed | None = None
    total_traded_dollars: str | None = None
    total_traded: _Signed | None = None
    resting_orders_count: Count | None = None
    last_updated_ts: str | None = None


class _EventPositionWire(msgspec.Struct, gc=False):
    event_ticker: str
    event_exposure_dollars: str | None = None
    event_exposure: _Signed | None = None
    realized_pnl_dollars: str | None = None
    realized_pnl: _Signed | None = None
    fees_paid_dollars: str | None = None
    fees_paid: _Signed | None = None
    total_cost_dollars: str | None = None
    total_cost: _Signed | None = None


class _PositionsWire(msgspec.Struct, gc=False):
    market_positions: tuple[_PositionWire, ...]
    event_positions: tuple[_EventPositionWire, ...] = ()
    cursor: str = ""


class _SettlementWire(msgspec.Struct, gc=False):
    ticker: str
    market_result: str
    revenue: _Signed
    settled_time: str
    event_ticker: str = ""
    yes_count_fp: str | None = None
    yes_count: Count | None = None
    no_count_fp: str | None = None
    no_count: Count | None = None
    yes_total_cost_dollars: str | None = None
    yes_total_cost: _Signed | None = None
    no_total_cost_dollars: str | None = None
    no_total_cost: _Signed | None = None
    fee_cost: str | None = None


class _SettlementsWire(msgspec.Struct, gc=False):
    settlements: tuple[_SettlementWire, ...]
    cursor: str = ""


_read_balance: Final = msgspec.json.Decoder(_BalanceWire).decode
_read_positions: Final = msgspec.json.Decoder(_PositionsWire).decode
_read_settlements: Final = msgspec.json.Decoder(_SettlementsWire).decode


def decode_balance(payload: Payload) -> Balance:
    """Decode cash and worth."""
    return read("balance", _read_balance, payload, _balance)


def decode_positions(payload: Payload) -> PositionsPage:
    """Decode a page of positions, whole or not at all."""
    return read(
        "positions",
        _read_positions,
        payload,
        lambda wire: PositionsPage(
            tuple(map(_position, wire.market_positions)),
            tuple(map(_event_position, wire.event_positions)),
            wire.cursor,
        ),
    )


def decode_settlements(payload: Payload) -> SettlementsPage:
    """Decode a page of settlements, whole or not at all."""
    return read(
        "settlements",
        _read_settlements,
        payload,
        lambda wire: SettlementsPage(tuple(map(_settlement, wire.settlements)), wire.cursor),
    )


def _balance(wire: _BalanceWire) -> Balance:
    return Balance(
        wire.balance * _CENT_E6, wire.portfolio_value * _CENT_E6, seconds_ns(wire.updated_ts)
    )


def _position(wire: _PositionWire) -> Position:
    if wire.position_fp is not None:
        found_e6 = signed_e6(wire.position_fp)
    elif wire.position is not None:
        found_e6 = (1 if wire.position >= 0 else -1) * size_e6(None, abs(wire.position))
    else:
        raise RemoteProtocolError(f"position of {wire.ticker[:60]!r} is missing")
    return Position(
        ticker=ticker_of(wire.ticker),
        size_e6=found_e6,
        exposure_e6=cash_e6(wire.market_exposure_dollars, wire.market_exposure),
        realized_e6=cash_e6(wire.realized_pnl_dollars, wire.realized_pnl),
        fees_e6=cash_e6(wire.fees_paid_dollars, wire.fees_paid),
        traded_e6=cash_e6(wire.total_traded_dollars, wire.total_traded),
        resting_orders=wire.resting_orders_count,
        updated_ns=time_ns(wire.last_updated_ts),
    )


def _event_position(wire: _EventPositionWire) -> EventPosition:
    return EventPosition(
        event_ticker=ticker_of(wire.event_ticker),
        exposure_e6=cash_e6(wire.event_exposure_dollars, wire.event_exposure),
        realized_e6=cash_e6(wire.realized_pnl_dollars, wire.realized_pnl),
        fees_e6=cash_e6(wire.fees_paid_dollars, wire.fees_paid),
        cost_e6=cash_e6(wire.total_cost_dollars, wire.total_cost),
    )


def _settlement(wire: _SettlementWire) -> Settlement:
    return Settlement(
        ticker=ticker_of(wire.ticker),
        event_ticker=wire.event_ticker,
        result=result_of(wire.market_result),
        result_text=wire.market_result[:40],
        yes_size_e6=size_e6(wire.yes_count_fp, wire.yes_count),
        no_size_e6=size_e6(wire.no_count_fp, wire.no_count),
        yes_cost_e6=optional_cash_e6(wire.yes_total_cost_dollars, wire.yes_total_cost),
        no_cost_e6=optional_cash_e6(wire.no_total_cost_dollars, wire.no_total_cost),
        revenue_e6=wire.revenue * _CENT_E6,
        fee_e6=None if wire.fee_cost is None else cash_e6(wire.fee_cost),
        settled_ns=known_ns(wire.settled_time),
    )
