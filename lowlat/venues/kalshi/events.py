"""Events of Kalshi's socket. Sizes are ``_e6``, prices those of YES, None is what was not sent.

Source: feeds.md 2.6.
"""

import msgspec

from lowlat.core.layout import Action, Outcome
from lowlat.venues.kalshi.numbers import OutcomeWord
from lowlat.venues.kalshi.order_values import OrderStatus
from lowlat.venues.wire import Ignored

__all__ = [
    "Delta",
    "Event",
    "OwnFill",
    "OwnOrder",
    "OwnPosition",
    "Reply",
    "Snapshot",
    "StreamTrade",
    "Ticker",
]


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Answer to a command. ``code`` is None when it succeeded; 10 and 25 end the channel.

    ``seq`` is None where the answer consumes no number.
    """

    kind: str
    id: int | None
    sid: int | None
    seq: int | None
    channel: str = ""
    code: int | None = None
    message: str = ""


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole book: bids of YES, and of NO by the convention that was subscribed to."""

    sid: int
    seq: int
    ticker: str
    yes: list[tuple[str, str]]
    no: list[tuple[str, str]]
    sent_ns: int | None


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A signed change of one level."""

    sid: int
    seq: int
    ticker: str
    side: OutcomeWord
    price: str
    delta: str
    is_own: bool
    """An order of ours made it."""
    event_ns: int | None
    sent_ns: int | None


class StreamTrade(msgspec.Struct, frozen=True, gc=False):
    """One print; the price is that of YES."""

    sid: int
    seq: int | None
    trade_id: str
    ticker: str
    yes_price_e4: int
    size_e6: int
    taker: Outcome | None
    """What the taker bought."""
    is_block: bool
    event_ns: int
    sent_ns: int | None


class Ticker(msgspec.Struct, frozen=True, gc=False):
    """Best prices and totals of a market, eventually consistent; NO_PRICE_E4 where there is none.

    A size of None was not sent.
    """

    ticker: str
    last_e4: int
    yes_bid_e4: int
    yes_ask_e4: int
    yes_bid_size_e6: int | None
    yes_ask_size_e6: int | None
    volume_e6: int | None
    open_interest_e6: int | None
    event_ns: int | None


class OwnFill(msgspec.Struct, frozen=True, gc=False):
    """A fill of ours. ``fee_e6`` is None where the message names none."""

    trade_id: str
    order_id: str
    client_order_id: str
    ticker: str
    outcome: Outcome
    action: Action
    yes_price_e4: int
    size_e6: int
    is_taker: bool
    fee_e6: int | None
    position_e6: int | None
    """Signed, after the fill; below 0 is NO."""
    event_ns: int


class OwnOrder(msgspec.Struct, frozen=True, gc=False):
    """An order of ours as it stands."""

    order_id: str
    client_order_id: str
    ticker: str
    status: OrderStatus
    status_text: str
    outcome: Outcome
    yes_price_e4: int
    initial_size_e6: int
    filled_size_e6: int
    remaining_size_e6: int
    reason: str
    event_ns: int | None


class OwnPosition(msgspec.Struct, frozen=True, gc=False):
    """What we hold of a market; below 0 is NO."""

    ticker: str
    size_e6: int


Event = Reply | Snapshot | Delta | StreamTrade | Ticker | OwnFill | OwnOrder | OwnPosition | Ignored
