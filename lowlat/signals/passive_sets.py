"""Sets of which one leg is bid for, and the others are taken when that bid is filled.

Used by ``arbitrage`` when ``passive`` is on, for exclusive events. Per set, with p the price that
rests (no fee for makers), a_j and f_j ask and taker fee of the others, U what undoing the leg costs
and h the chance that the others are gone when its fill is heard::

    m  = payout - p - sum(a_j + f_j)                 what a completed set earns
    EV = (1 - h) * m - h * U                         asked for: m >= margin + U * h / (1 - h)
    U  = p - best bid + two ticks + fee at the bid   the bid may have been filled through

Example: asks 0.32 and 0.20 without fees, the third outcome bid 0.40, asked 0.52, tick 0.01: bid
0.41 rests, m = 1 - 0.41 - 0.52 = 0.07, U = 0.01 + 0.02 = 0.03; with h = 1/2 and a margin of 0.003,
0.033 is asked for and EV is 0.02 a set. Taking all three would cost 1.04.

A bid stands one tick before everybody else, or with the best where there is no room; behind it, it
would be filled only by what makes the others dearer (ADR 0009). The size is what stands at the
touches of the others. Rebates are not counted: they are paid for what is filled, later, in part.
The executor keeps the legs that wait, and takes the bid back when an ask is gone or time is over.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import lcm
from typing import Final, NamedTuple

from lowlat.book._sets import SetWalk, walk_sets
from lowlat.book._view import BookView
from lowlat.core.layout import Action, Outcome, Urgency
from lowlat.core.signal import Signal
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._arbitrage import Event, Leg
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6

__all__ = ["Bid", "find_bid", "legs_of", "next_events"]

_BUY: Final = int(Action.BUY)
_UNDO_TICKS: Final = 2
EVENTS_A_TURN: Final = 2
"""Some microseconds each, in turns that a trigger may have to wait for."""


class Bid(NamedTuple):
    """One leg to bid for, and the walk over the others."""

    at: int
    """Which leg of the event rests."""
    outcome: int
    price_e4: int
    payout_e4: int
    undo_e6: int
    """What undoing one share of it costs."""
    walk: SetWalk

    def value_e6(self, miss_ppm: int) -> int:
        """Return what the sets are worth, should the bid be filled."""
        kept = self.walk.profit_e6 * (E6 - miss_ppm)
        return (kept - self.undo_e6 * self.walk.sets_e6 // E6 * miss_ppm) // E6


def next_events(waiting: "deque[Event]", events: Callable[[], Sequence[Event]]) -> list[Event]:
    """Return the events that are due: all in turn, few at a time."""
    if not waiting:
        waiting.extend(events())
    return [waiting.popleft() for _ in range(min(EVENTS_A_TURN, len(waiting)))]


def find_bid(
    event: Event,
    views: Sequence[BookView],
    outcome: int,
    *,
    margin_e6: int,
    miss_ppm: int,
    cash_e6_max: int,
) -> Bid | None:
    """Return the bid that is worth most if it is filled; None when none is worth its risk."""
    legs = event.legs
    payout_e4 = ONE_E4 if outcome == Outcome.YES else event.payout_no_e6 // 100
    costs = [leg.yes_e6 if outcome == Outcome.YES else leg.no_e6 for leg in legs]
    total_e6 = sum(costs)
    best: Bid | None = None
    for at, view in enumerate(views):
        bid_e4, ask_e4 = view.best_bid_e4(outcome), view.best_ask_e4(outcome)
        tick_e4 = legs[at].tick_e4
        # An empty side says nothing about what somebody would pay, or what we would pass.
        if bid_e4 <= 0 or ask_e4 <= 0:
            continue
        for price_e4 in (bid_e4 + tick_e4, bid_e4):
            undo_e6 = _undo_e6(legs[at], price_e4, bid_e4)
            asked_e6 = margin_e6 - -undo_e6 * miss_ppm // (E6 - miss_ppm)
            earned_e6 = payout_e4 * 100 - price_e4 * 100 - (total_e6 - costs[at])
            if price_e4 >= ask_e4 or earned_e6 < asked_e6:
                continue
            found = _size(legs, views, outcome, at, price_e4, payout_e4, asked_e6, cash_e6_max)
            if found is None:
                continue
            bid = Bid(at, outcome, price_e4, payout_e4, undo_e6, found)
            value_e6 = bid.value_e6(miss_ppm)
            if value_e6 > 0 and (best is None or value_e6 > best.value_e6(miss_ppm)):
                best = bid
            break
    return best


def _undo_e6(leg: Leg, price_e4: int, bid_e4: int) -> int:
    """Return what selling one share back costs after the book gave way by two ticks."""
    fee_e6: int = leg.costs[bid_e4] - bid_e4 * 100
    return (price_e4 - bid_e4 + _UNDO_TICKS * leg.tick_e4) * 100 + fee_e6


def _size(
    legs: Sequence[Leg],
    views: Sequence[BookView],
    outcome: int,
    at: int,
    price_e4: int,
    payout_e4: int,
    asked_e6: int,
    cash_e6_max: int,
) -> SetWalk | None:
    """Walk the others at their touches; None when no size is one the venue takes."""
    others = [each for number, each in enumerate(legs) if number != at]
    books = [each for number, each in enumerate(views) if number != at]
    step_e6 = lcm(*(leg.step_e6 for leg in legs))
    least_e6 = max(leg.min_size_e6 for leg in legs)
    sets_e6 = min(view.best_ask_size_e6(outcome) for view in books)
    sets_e6 = min(sets_e6, cash_e6_max * E4 // payout_e4)
    sets_e6 -= sets_e6 % step_e6
    cheapest_e4 = min(price_e4, *(view.best_ask_e4(outcome) for view in books))
    if sets_e6 < least_e6 or cheapest_e4 * sets_e6 // E4 < MIN_NOTIONAL_E6:
        return None
    walk = walk_sets(
        books,
        [outcome] * len(books),
        _BUY,
        [leg.rate_e6 for leg in others],
        [leg.exponent for leg in others],
        -(-asked_e6 // 100),
        payout_e4 - price_e4,
        sets_e6,
    )
    return walk if walk.sets_e6 == sets_e6 else None


def legs_of(
    bid: Bid,
    event: Event,
    tokens: Sequence[tuple[str, str]],
    module: str,
    miss_ppm: int,
    group: int,
    expires_ns: int,
) -> list[Signal]:
    """Return the signals of the set: the leg that rests first, then the others."""
    count, walk = len(event.legs), bid.walk
    order = [bid.at, *(number for number in range(count) if number != bid.at)]
    limits = [bid.price_e4, *walk.worst_prices_e4]
    told: dict[str, str | int | float | bool | None] = {
        "sets": walk.sets_e6 // E6,
        "cost_e6": walk.cost_e6 + bid.price_e4 * walk.sets_e6 // E4,
        "fees_e6": walk.fees_e6,
        "payout_e4": bid.payout_e4,
        "depth_e6": walk.sets_e6,
        "rests_e4": bid.price_e4,
        "undo_e6": bid.undo_e6,
        "miss_ppm": miss_ppm,
    }
    return [
        Signal(
            module=module,
            market_id=tokens[at][0],
            token_id=tokens[at][1],
            action=Action.BUY,
            confidence=1.0 - miss_ppm / E6,
            expected_value=bid.value_e6(miss_ppm) / E6 / count,
            size_suggestion=walk.sets_e6,
            urgency=Urgency.IMMEDIATE if number else Urgency.LOW,
            metadata=told,
            limit_price_e4=limit_e4,
            expires_ns=expires_ns,
            group=group,
            leg=number,
            legs=count,
        )
        for number, (at, limit_e4) in enumerate(zip(order, limits, strict=True))
    ]
