"""Kalshi's public reads about trading itself: books, prints, hours, fees to come, rewards.

Bytes in, values or RemoteProtocolError out; both forms of numbers are read.
Source: feeds.md 2.3 to 2.5.
"""

from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.units import E4
from lowlat.venues.kalshi.numbers import (
    OUTCOMES,
    Count,
    OutcomeWord,
    known_ns,
    levels,
    multiplier_e8,
    price_e4,
    size_e6,
    ticker_of,
    time_ns,
)
from lowlat.venues.kalshi.reading import read
from lowlat.venues.kalshi.values import (
    ExchangeStatus,
    FeeChange,
    Incentive,
    IncentivesPage,
    Print,
    RestBook,
    Schedule,
    TradesPage,
)
from lowlat.venues.wire import Payload

__all__ = [
    "decode_book",
    "decode_fee_changes",
    "decode_incentives",
    "decode_schedule",
    "decode_status",
    "decode_trades",
    "orderbook_path",
    "trades_path",
]

_DEPTH_MAX: Final = 100
_DAYS: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip


class _FeeChangeWire(msgspec.Struct, gc=False):
    series_ticker: str
    fee_type: str
    fee_multiplier: Decimal
    scheduled_ts: str


class _FeeChangesWire(msgspec.Struct, gc=False):
    series_fee_change_arr: tuple[_FeeChangeWire, ...]


class _PrintWire(msgspec.Struct, gc=False):
    trade_id: str
    ticker: str
    created_time: str
    yes_price_dollars: str | None = None
    no_price_dollars: str | None = None
    yes_price: Count | None = None
    no_price: Count | None = None
    count_fp: str | None = None
    count: Count | None = None
    taker_side: OutcomeWord | None = None
    taker_outcome_side: OutcomeWord | None = None
    is_block_trade: bool = False


class _TradesWire(msgspec.Struct, gc=False):
    trades: tuple[_PrintWire, ...]
    cursor: str = ""


_Pairs = list[tuple[str, str | int]]


class _SidesWire(msgspec.Struct, gc=False):
    yes_dollars: _Pairs | None = None
    no_dollars: _Pairs | None = None


class _BookWire(msgspec.Struct, gc=False):
    orderbook_fp: _SidesWire | None = None
    orderbook: _SidesWire | None = None


class _StatusWire(msgspec.Struct, gc=False):
    exchange_active: bool
    trading_active: bool
    exchange_estimated_resume_time: str | None = None


class _HoursWire(msgspec.Struct, gc=False):
    open_time: str
    close_time: str


_Day = tuple[_HoursWire, ...] | None


class _WeekWire(msgspec.Struct, gc=False):
    start_time: str
    end_time: str
    monday: _Day = None
    tuesday: _Day = None
    wednesday: _Day = None
    thursday: _Day = None
    friday: _Day = None
    saturday: _Day = None
    sunday: _Day = None


class _WindowWire(msgspec.Struct, gc=False):
    start_datetime: str
    end_datetime: str


class _ScheduleWire(msgspec.Struct, gc=False):
    standard_hours: tuple[_WeekWire, ...]
    maintenance_windows: tuple[_WindowWire, ...] | None = None


class _OneScheduleWire(msgspec.Struct, gc=False):
    schedule: _ScheduleWire


class _IncentiveWire(msgspec.Struct, gc=False):
    id: str
    market_ticker: str
    incentive_type: str
    start_date: str
    end_date: str
    period_reward: Count
    paid_out: bool
    discount_factor_bps: Count | None = None
    target_size_fp: str | None = None
    target_size: Count | None = None


class _IncentivesWire(msgspec.Struct, gc=False):
    incentive_programs: tuple[_IncentiveWire, ...]
    next_cursor: str = ""


_read_fee_changes: Final = msgspec.json.Decoder(_FeeChangesWire).decode
_read_trades: Final = msgspec.json.Decoder(_TradesWire).decode
_read_book: Final = msgspec.json.Decoder(_BookWire).decode
_read_status: Final = msgspec.json.Decoder(_StatusWire).decode
_read_schedule: Final = msgspec.json.Decoder(_OneScheduleWire).decode
_read_incentives: Final = msgspec.json.Decoder(_IncentivesWire).decode


def orderbook_path(ticker: str, depth: int = 0) -> str:
    """Return the path of a market's book; depth 0 is all of it."""
    if not 0 <= depth <= _DEPTH_MAX:
        raise LocalProtocolError(f"book depth {depth}, expected 0 to {_DEPTH_MAX}")
    return f"/trade-api/v2/markets/{quote(ticker, safe='')}/orderbook?depth={depth}"


def trades_path(ticker: str, cursor: str = "") -> str:
    """Return the path of a page of a market's prints."""
    after = f"&cursor={quote(cursor, safe='')}" if cursor else ""
    return f"/trade-api/v2/markets/trades?ticker={quote(ticker, safe='')}{after}"


def decode_fee_changes(payload: Payload) -> tuple[FeeChange, ...]:
    """Decode the fees that will change (or did, when history was asked for)."""
    return read(
        "fee changes",
        _read_fee_changes,
        payload,
        lambda wire: tuple(map(_fee_change, wire.series_fee_change_arr)),
    )


def decode_trades(payload: Payload) -> TradesPage:
    """Decode a page of prints, newest first as sent."""
    return read(
        "trades",
        _read_trades,
        payload,
        lambda wire: TradesPage(tuple(map(_print, wire.trades)), wire.cursor),
    )


def decode_book(payload: Payload) -> RestBook:
    """Decode the book of one market; a side without bids is null or absent."""
    return read("orderbook", _read_book, payload, _book)


def decode_status(payload: Payload) -> ExchangeStatus:
    """Decode whether the exchange trades."""
    return read(
        "exchange status",
        _read_status,
        payload,
        lambda wire: ExchangeStatus(
            wire.exchange_active,
            wire.trading_active,
            time_ns(wire.exchange_estimated_resume_time),
        ),
    )


def decode_schedule(payload: Payload) -> Schedule:
    """Decode the hours of trading and the windows of maintenance."""
    return read("exchange schedule", _read_schedule, payload, _schedule)


def decode_incentives(payload: Payload) -> IncentivesPage:
    """Decode a page of reward programmes."""
    return read(
        "incentives",
        _read_incentives,
        payload,
        lambda wire: IncentivesPage(
            tuple(map(_incentive, wire.incentive_programs)), wire.next_cursor
        ),
    )


def _fee_change(wire: _FeeChangeWire) -> FeeChange:
    return FeeChange(
        ticker_of(wire.series_ticker),
        wire.fee_type,
        multiplier_e8(wire.fee_multiplier),
        known_ns(wire.scheduled_ts),
    )


def _print(wire: _PrintWire) -> Print:
    yes_e4 = price_e4(wire.yes_price_dollars, wire.yes_price)
    if wire.no_price_dollars is not None or wire.no_price is not None:
        no_e4 = price_e4(wire.no_price_dollars, wire.no_price)
        if yes_e4 + no_e4 != E4:
            raise RemoteProtocolError(f"prices {yes_e4} and {no_e4} e-4 do not add up to 1 dollar")
    found_e6 = size_e6(wire.count_fp, wire.count)
    if not found_e6:
        raise RemoteProtocolError("a print of no contracts")
    side = wire.taker_outcome_side or wire.taker_side
    return Print(
        wire.trade_id,
        ticker_of(wire.ticker),
        yes_e4,
        found_e6,
        None if side is None else OUTCOMES[side],
        wire.is_block_trade,
        known_ns(wire.created_time),
    )


def _book(wire: _BookWire) -> RestBook:
    sides = wire.orderbook_fp or wire.orderbook
    if sides is None:
        raise RemoteProtocolError("neither orderbook_fp nor orderbook")
    return RestBook(levels(sides.yes_dollars), levels(sides.no_dollars))


def _schedule(wire: _OneScheduleWire) -> Schedule:
    said = wire.schedule
    windows = tuple(
        (known_ns(each.start_datetime), known_ns(each.end_datetime))
        for each in said.maintenance_windows or ()
    )
    weeks = tuple(
        (known_ns(week.start_time), known_ns(week.end_time), _hours(week))
        for week in said.standard_hours
    )
    return Schedule(windows, weeks)


def _hours(week: _WeekWire) -> tuple[tuple[int, int, int], ...]:
    return tuple(
        (day, _minute(each.open_time), _minute(each.close_time))
        for day, name in enumerate(_DAYS)
        for each in getattr(week, name) or ()
    )


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    digits = hours + minutes
    if len(hours) != 2 or len(minutes) != 2 or not (digits.isascii() and digits.isdigit()):
        raise RemoteProtocolError(f"hour {text[:20]!r} is not HH:MM")
    found = 60 * int(hours) + int(minutes)
    if int(minutes) > 59 or found > 24 * 60:
        raise RemoteProtocolError(f"hour {text[:20]!r} is not in a day")
    return found


def _incentive(wire: _IncentiveWire) -> Incentive:
    target = wire.target_size_fp is not None or wire.target_size is not None
    return Incentive(
        wire.id,
        ticker_of(wire.market_ticker),
        wire.incentive_type,
        known_ns(wire.start_date),
        known_ns(wire.end_date),
        wire.period_reward,
        wire.discount_factor_bps,
        size_e6(wire.target_size_fp, wire.target_size) if target else None,
        wire.paid_out,
    )
