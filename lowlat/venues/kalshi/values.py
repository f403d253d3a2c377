"""Values of Kalshi's public reads. Prices are those of YES; None is what the venue did not say.

Source: feeds.md 2.4, 2.5.
"""

from enum import IntEnum

import msgspec

from lowlat.core.layout import Outcome
from lowlat.venues.kalshi.numbers import Levels, Result

__all__ = [
    "EventInfo",
    "EventsPage",
    "ExchangeStatus",
    "FeeChange",
    "Incentive",
    "IncentivesPage",
    "Leg",
    "MarketInfo",
    "MarketStatus",
    "MarketsPage",
    "PriceRange",
    "Print",
    "RestBook",
    "Schedule",
    "Series",
    "TradesPage",
]


class MarketStatus(IntEnum):
    """Life of a market. Source: feeds.md 2.4."""

    UNKNOWN = 0
    INITIALIZED = 1
    INACTIVE = 2
    ACTIVE = 3
    CLOSED = 4
    DETERMINED = 5
    DISPUTED = 6
    AMENDED = 7
    FINALIZED = 8


class PriceRange(msgspec.Struct, frozen=True, gc=False):
    """Between which prices (``end_e4`` included) orders lie on which grid."""

    start_e4: int
    end_e4: int
    step_e4: int


class Leg(msgspec.Struct, frozen=True, gc=False):
    """One condition of a combined market."""

    event_ticker: str
    market_ticker: str
    outcome: Outcome


class MarketInfo(msgspec.Struct, frozen=True, gc=False):
    """A market. No quote and no trade are NO_PRICE_E4; None is what the venue did not say."""

    ticker: str
    event_ticker: str
    kind: str
    """binary or scalar."""
    status: MarketStatus
    status_text: str
    result: Result
    yes_bid_e4: int
    yes_ask_e4: int
    last_e4: int
    volume_e6: int
    open_interest_e6: int
    price_ranges: tuple[PriceRange, ...]
    """Empty is unknown: no order may be priced."""
    open_ns: int | None
    close_ns: int | None
    expected_expiration_ns: int | None
    settlement_timer_s: int | None
    can_close_early: bool | None
    strike_type: str
    floor_strike_e8: int | None
    cap_strike_e8: int | None
    notional_e6: int | None
    settlement_value_e6: int | None
    legs: tuple[Leg, ...]
    title: str
    rules: str
    """The primary and the secondary text, each on a line of its own."""


class MarketsPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    rows: tuple[MarketInfo, ...]
    cursor: str


class EventInfo(msgspec.Struct, frozen=True, gc=False):
    """A question with its markets (empty unless they were asked for)."""

    ticker: str
    series_ticker: str
    title: str
    sub_title: str
    category: str
    mutually_exclusive: bool
    collateral_return: str
    """MECNET, DIRECNET or nothing."""
    strike_ns: int | None
    strike_period: str
    markets: tuple[MarketInfo, ...]


class EventsPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    rows: tuple[EventInfo, ...]
    cursor: str


class Series(msgspec.Struct, frozen=True, gc=False):
    """What the events of a series share."""

    ticker: str
    title: str
    category: str
    frequency: str
    fee_type: str
    fee_multiplier_e8: int
    tags: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    """(name, url) of who settles."""
    contract_url: str
    contract_terms_url: str
    prohibitions: tuple[str, ...]


class FeeChange(msgspec.Struct, frozen=True, gc=False):
    """Fees of a series from a time on. Source: docs.kalshi.com, get-series-fee-changes."""

    series_ticker: str
    fee_type: str
    fee_multiplier_e8: int
    from_ns: int


class Print(msgspec.Struct, frozen=True, gc=False):
    """One public trade; the price is that of YES."""

    trade_id: str
    ticker: str
    yes_price_e4: int
    size_e6: int
    taker: Outcome | None
    """What the taker bought; None where the venue does not say."""
    is_block: bool
    trade_ns: int


class TradesPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    rows: tuple[Print, ...]
    cursor: str


class RestBook(msgspec.Struct, frozen=True, gc=False):
    """Bids of both outcomes, each at prices of its own. No number, no time: it seeds no book."""

    yes: Levels
    no: Levels


class ExchangeStatus(msgspec.Struct, frozen=True, gc=False):
    """Whether the exchange is up, and whether orders are taken."""

    exchange_active: bool
    trading_active: bool
    resume_ns: int | None


class Schedule(msgspec.Struct, frozen=True, gc=False):
    """Windows of maintenance, and hours of trading by week as (from_ns, until_ns, hours).

    ``hours`` holds (weekday, open minute, close minute), Monday 0, in the exchange's own zone
    (New York); open = close = 0 is the whole day.
    """

    maintenance: tuple[tuple[int, int], ...]
    weeks: tuple[tuple[int, int, tuple[tuple[int, int, int], ...]], ...]


class Incentive(msgspec.Struct, frozen=True, gc=False):
    """A reward programme of one market."""

    id: str
    market_ticker: str
    kind: str
    start_ns: int
    end_ns: int
    reward_raw: int
    """``period_reward`` as sent: the venue names no unit."""
    discount_bps: int | None
    target_size_e6: int | None
    paid_out: bool


class IncentivesPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    rows: tuple[Incentive, ...]
    cursor: str
