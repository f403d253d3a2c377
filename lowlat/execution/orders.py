r"""One order: the table of its states, its fills, and what it still holds of the account.

Used by the executor's books; pure. HTTP answers, order events and trade events come in any order
and more than once, so a state only ever rises in RANK: every order of the same evidence ends in
the same state. What the table calls illegal is counted and, where it is better evidence, obeyed.

::

    state \ heard  LIVE  MATCHED DELAYED UNMATCHED REJECTED CANCELED EXPIRED LOST  PART  ALL   GONE
    SENDING        LIVE  MATCHED DELAYED UNMATCHED REJECTED CANCELED EXPIRED UNKN. LIVE  MATCH =!
    UNKNOWN        LIVE  MATCHED DELAYED UNMATCHED REJECTED CANCELED EXPIRED =     LIVE  MATCH CANC.
    DELAYED        LIVE  MATCHED =       UNMATCHED REJECTED CANCELED EXPIRED =     LIVE  MATCH CANC.
    REJECTED       LIVE! MATCH!  =       UNMATCHED =        CANCELED EXPIRED =     LIVE! MATCH! =
    LIVE           =     MATCHED =       UNMATCHED =!       CANCELED EXPIRED =     =     MATCH CANC.
    UNMATCHED      =     MATCH!  =       =         =        CANCELED EXPIRED =     =!    MATCH! =
    EXPIRED        =     MATCHED =       =         =!       CANCELED =       =     =     MATCH =
    CANCELED       =     MATCHED =       =         =!       =        =       =     =     MATCH =
    MATCHED        =     =       =       =!        =!       =        =       =     =     =     =!

    =  stays    !  illegal: counted    PART/ALL  a fill that leaves / does not leave a rest

A fill goes MATCHED → MINED → CONFIRMED, or from the first two to FAILED, which reverses it; it is
booked once, at whichever status is heard first. Source: polymarket.md 5.6, 9; design 9.
"""

from enum import IntEnum
from typing import Final

from lowlat.book.fees import FeeSchedule
from lowlat.core.layout import ORDER_ROW, OrderRow, OrderState
from lowlat.core.units import E6
from lowlat.execution._order import REST_DUST_E6, TERMINAL, Order

__all__ = [
    "ILLEGAL",
    "NEXT",
    "RANK",
    "REST_DUST_E6",
    "TERMINAL",
    "Fill",
    "FillState",
    "Heard",
    "Order",
    "advance_fill",
    "blank_row",
    "fee_bound_e6",
    "hear",
]

_RATE_UNKNOWN_E6: Final = 70_000
"""Crypto's, the highest. Source: polymarket.md 7.1."""


class Heard(IntEnum):
    """What an answer, an event or a look-up says about an order."""

    LIVE = 0
    MATCHED = 1
    DELAYED = 2
    UNMATCHED = 3
    REJECTED = 4
    CANCELED = 5
    EXPIRED = 6
    LOST = 7
    """No usable answer: connection lost, partial write, 5xx, garbage."""
    FILL_PART = 8
    FILL_ALL = 9
    GONE = 10
    """Canceled by id and not found for the whole look-up window."""


class FillState(IntEnum):
    """Settlement of one fill. Source: polymarket.md 5.6."""

    MATCHED = 1
    MINED = 2
    CONFIRMED = 3
    FAILED = 4


RANK: Final = (
    OrderState.NONE,
    OrderState.SENDING,
    OrderState.UNKNOWN,
    OrderState.DELAYED,
    OrderState.REJECTED,
    OrderState.LIVE,
    OrderState.UNMATCHED,
    OrderState.EXPIRED,
    OrderState.CANCELED,
    OrderState.MATCHED,
)
"""States by strength of evidence. REJECTED is below LIVE: an order seen resting was not refused."""
_SAYS: Final = {
    Heard.LIVE: OrderState.LIVE,
    Heard.MATCHED: OrderState.MATCHED,
    Heard.DELAYED: OrderState.DELAYED,
    Heard.UNMATCHED: OrderState.UNMATCHED,
    Heard.REJECTED: OrderState.REJECTED,
    Heard.CANCELED: OrderState.CANCELED,
    Heard.EXPIRED: OrderState.EXPIRED,
    Heard.LOST: OrderState.UNKNOWN,
    Heard.FILL_PART: OrderState.LIVE,
    Heard.FILL_ALL: OrderState.MATCHED,
    Heard.GONE: OrderState.CANCELED,
}
ILLEGAL: Final = frozenset(
    {
        (OrderState.SENDING, Heard.GONE),
        (OrderState.MATCHED, Heard.GONE),
        (OrderState.REJECTED, Heard.LIVE),
        (OrderState.REJECTED, Heard.MATCHED),
        (OrderState.REJECTED, Heard.FILL_PART),
        (OrderState.REJECTED, Heard.FILL_ALL),
        (OrderState.UNMATCHED, Heard.MATCHED),
        (OrderState.UNMATCHED, Heard.FILL_PART),
        (OrderState.UNMATCHED, Heard.FILL_ALL),
        (OrderState.LIVE, Heard.REJECTED),
        (OrderState.EXPIRED, Heard.REJECTED),
        (OrderState.CANCELED, Heard.REJECTED),
        (OrderState.MATCHED, Heard.REJECTED),
        (OrderState.MATCHED, Heard.UNMATCHED),
    }
)


def _next(state: OrderState, heard: Heard) -> OrderState:
    if heard == Heard.GONE and (state == OrderState.SENDING or state in TERMINAL):
        return state
    said = _SAYS[heard]
    return said if RANK.index(said) > RANK.index(state) else state


NEXT: Final = {(state, heard): _next(state, heard) for state in RANK[1:] for heard in Heard}
"""The table above: where each state goes on what is heard."""


class Fill:
    """One trade's part in one of our orders, keyed by (trade id, order id)."""

    __slots__ = ("cash_e6", "fee_e6", "final", "maker", "price_e4", "size_e6", "state", "trade_id")

    def __init__(
        self,
        trade_id: str,
        size_e6: int,
        cash_e6: int,
        fee_e6: int,
        price_e4: int,
        *,
        maker: bool,
        final: bool,
    ) -> None:
        self.trade_id = trade_id
        self.size_e6 = size_e6
        self.cash_e6 = cash_e6
        self.fee_e6 = fee_e6
        self.price_e4 = price_e4
        self.maker = maker
        self.state = FillState.MATCHED
        self.final = final
        """False while only an answer vouches for it: the trade event may correct the amounts."""


def fee_bound_e6(spend_e6: int, fees: FeeSchedule | None) -> int:
    """Return the most that spending this much can cost in fees: near price 0, the rate itself.

    An unknown schedule is bounded by the dearest one there is. Source: polymarket.md 7.1.
    """
    rate_e6 = _RATE_UNKNOWN_E6 if fees is None else fees.rate_e6
    return -(-spend_e6 * rate_e6 // E6)


def blank_row() -> OrderRow:
    """Return a row of nothing, state NONE, to be filled in by name."""
    return OrderRow._make(ORDER_ROW.codec.unpack(bytes(ORDER_ROW.codec.size)))


def hear(order: Order, heard: Heard) -> bool:
    """Move the order by the table; False when the table calls it illegal (count it)."""
    state = OrderState(order.state)
    order.state = NEXT[state, heard]
    return (state, heard) not in ILLEGAL


def advance_fill(fill: Fill, state: FillState) -> tuple[list[FillState], bool]:
    """Return the settlement steps that lead to ``state`` and whether the move is legal.

    Statuses that come late or again give no steps. CONFIRMED and FAILED end a fill: one after the
    other is illegal and ignored.
    """
    before = fill.state
    if before in (FillState.CONFIRMED, FillState.FAILED):
        contradicts = state in (FillState.CONFIRMED, FillState.FAILED) and state != before
        return [], not contradicts
    if state <= before:
        return [], True
    steps = (
        [FillState.FAILED]
        if state == FillState.FAILED
        else [FillState(value) for value in range(before + 1, state + 1)]
    )
    fill.state = state
    return steps, True
