"""Values of Kalshi's answers about our own orders. None is what the venue did not say.

Source: feeds.md 2.7.
"""

from enum import IntEnum
from typing import Final

import msgspec

from lowlat.core.layout import Action, Outcome

__all__ = [
    "ORDER_STATUSES",
    "Amended",
    "Canceled",
    "Fill",
    "FillsPage",
    "OrderRow",
    "OrderStatus",
    "OrdersPage",
    "Placed",
    "Refusal",
]


class OrderStatus(IntEnum):
    """Source: feeds.md 2.6, user_order."""

    UNKNOWN = 0
    RESTING = 1
    CANCELED = 2
    EXECUTED = 3
    PENDING = 4
    """Only in older answers."""


ORDER_STATUSES: Final = {status.name.lower(): status for status in OrderStatus if status}


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """One of our orders. Fees and costs are the venue's word; None is what it did not say."""

    order_id: str
    client_order_id: str
    """Empty where none was given."""
    ticker: str
    outcome: Outcome
    action: Action
    kind: str
    status: OrderStatus
    status_text: str
    yes_price_e4: int
    initial_size_e6: int
    filled_size_e6: int
    remaining_size_e6: int
    taker_cost_e6: int | None
    maker_cost_e6: int | None
    taker_fees_e6: int | None
    maker_fees_e6: int | None
    queue_position: int | None
    group_id: str
    created_ns: int | None
    updated_ns: int | None
    expires_ns: int | None


class OrdersPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    rows: tuple[OrderRow, ...]
    cursor: str


class Fill(msgspec.Struct, frozen=True, gc=False):
    """Our part of one trade; ``fee_e6`` is None where the answer names no fee (look it up)."""

    fill_id: str
    trade_id: str
    order_id: str
    ticker: str
    outcome: Outcome
    action: Action
    yes_price_e4: int
    size_e6: int
    is_taker: bool
    fee_e6: int | None
    fill_ns: int


class FillsPage(msgspec.Struct, frozen=True, gc=False):
    """``cursor`` is "" on the last page."""

    rows: tuple[Fill, ...]
    cursor: str


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """What the venue said no to; ``code`` may be empty. Source: feeds.md 2.7, errors."""

    http_status: int
    code: str
    message: str


class Placed(msgspec.Struct, frozen=True, gc=False):
    """An order that got in. ``row`` is None in the short answer of V2."""

    order_id: str
    client_order_id: str
    filled_size_e6: int
    remaining_size_e6: int
    event_ns: int | None
    row: OrderRow | None


class Canceled(msgspec.Struct, frozen=True, gc=False):
    """What a cancel took away."""

    row: OrderRow
    reduced_size_e6: int


class Amended(msgspec.Struct, frozen=True, gc=False):
    """An order that took the place of another one."""

    before: OrderRow
    after: OrderRow
