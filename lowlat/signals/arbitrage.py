"""Complete sets that cost less than they pay: every YES, or every NO, of an exclusive event.

Acts on neg-risk events only, never augmented ones, and only while every market the venue lists in
the event is known, active and fresh. After each market's own fee; sized by walking all books
together while the marginal set still earns its margin; equal shares a leg, thinnest leg first.

Nested strikes and dates (``nested``) are sets of two: YES of the wider, NO of the narrower.

With ``passive`` one leg of an exclusive event may rest as a bid (``passive_sets``).

YES + NO of one market share a ladder, so "both for less than 1" is a crossed book: a data-quality
count. It is acted on only when the feed says that a REST re-read shows it too (BookFlag.CONFIRMED).
Selling sets is the same trade as buying the complements: a NO ask is 1 minus the YES bid and the
fee is symmetric. Source: feeds.md 6.1; design 7.
"""

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from math import lcm
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from lowlat.book._sets import SetWalk, walk_sets
from lowlat.book._view import BookView
from lowlat.core.interest import Interest
from lowlat.core.layout import (
    Action,
    BookFlag,
    Known,
    MarketRow,
    MarketStatus,
    Outcome,
    Urgency,
)
from lowlat.core.signal import Signal
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._arbitrage import Chain, Event, Leg
from lowlat.signals.arbitrage_params import ArbitrageParams
from lowlat.signals.module import Module
from lowlat.signals.nested import place_of
from lowlat.signals.passive_sets import find_bid, legs_of, next_events
from lowlat.signals.set_costs import cost_table, set_words, unwind_cost_e6
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6, TICKS
from lowlat.venues.polymarket.windows import COIN_NAMES

__all__ = ["Arbitrage", "ArbitrageParams"]

_MS_NS: Final = 1_000_000
_BUY: Final = int(Action.BUY)
_NO_EVENT: Final = bytes(32)
_ODD: Final = int(BookFlag.CROSSED | BookFlag.LOCKED | BookFlag.DIVERGED)
_CONFIRMED: Final = int(BookFlag.CONFIRMED)
_Touches: TypeAlias = list[tuple[int, int]]
"""Price and size of each leg's best ask."""


class Arbitrage(Module):
    """Buys complete sets below their payout."""

    name: ClassVar[str] = "arbitrage"
    Params: ClassVar[type[msgspec.Struct]] = ArbitrageParams
    turn_every_ns: ClassVar[int] = 50 * _MS_NS
    params: ArbitrageParams

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self._legs: dict[int, Leg] = {}
        self._events: dict[bytes, Event] = {}
        self._chains: dict[tuple[object, ...], Chain] = {}
        self._costs: dict[tuple[int, int], array[int]] = {}
        self._again: deque[tuple[int, Callable[[int], None]]] = deque()
        """Sets that were wished, and when to look at what was left of them: their books may be
        quiet by then, and risk may have let through less than was there."""
        self._bids_due: deque[Event] = deque()
        """Events that are still to be looked at for a leg to bid for, in this round."""
        self._bid_next_ns: dict[bytes, int] = {}

    @classmethod
    def describe(cls, signal: Signal, row: MarketRow) -> list[str]:
        """Tell what the set costs and pays, what missing a leg takes of it, what this leg is."""
        del row
        return set_words(signal)

    # ------------------------------------------------------------------------------- callbacks
    def wants(self) -> Sequence[Interest]:
        """Want exclusive events, whole: a set with an outcome missing is none; and strikes."""
        strikes = tuple(f"{name}-above" for name in COIN_NAMES.values())
        return (
            Interest(self.params.priority, neg_risk=True),
            Interest(self.params.priority, slug_prefixes=strikes),
        )

    def interest(self, row: MarketRow) -> bool:
        """Want markets that trade; single ones only to see crossed books."""
        return (
            row.known & Known.TRADEABLE == Known.TRADEABLE
            and row.status == MarketStatus.ACTIVE
            and row.tick_e4 in TICKS
            and (self.params.single_markets or _exclusive(row) or place_of(row) is not None)
        )

    def on_market(self, row: MarketRow) -> None:
        """Take the market's facts and see whether its event is complete now."""
        before = self._legs.get(row.market)
        self.on_gone(row.market)
        schedule = (row.fee_rate_e6, row.fee_exponent)
        costs = self._costs.get(schedule)
        if costs is None:
            costs = self._costs[schedule] = cost_table(*schedule)
        leg = self._legs[row.market] = Leg(row, costs, self.params.margin_e6, self)
        if before is not None:
            leg.next_ns = before.next_ns
        if _exclusive(row):
            self._events.setdefault(row.event_id, Event()).add(leg)
        elif (place := place_of(row)) is not None:
            self._chains.setdefault(place.chain, Chain()).add(leg, place.order)

    def on_gone(self, market: int) -> None:
        """Forget a market; its event is incomplete without it."""
        leg = self._legs.pop(market, None)
        event = leg.event if leg is not None else None
        if leg is not None and event is not None:
            event.remove(leg)
            if not event.legs:
                del self._events[leg.row.event_id]
                self._bid_next_ns.pop(leg.row.event_id, None)
        if leg is not None and leg.chain is not None:
            leg.chain.remove(leg)
            place = place_of(leg.row)
            assert place is not None, "a leg of a chain has a place"
            if not self._chains[place.chain].legs:
                del self._chains[place.chain]

    def look(self, market: int) -> Leg:
        """Return the market's leg: it keeps the sums, and calls ``crossed`` and ``buy_event``."""
        return self._legs[market]

    def on_turn(self, now_ns: int) -> None:
        """Look again at the sets whose cooldown is over, and for a leg to bid for."""
        again = self._again
        while again and again[0][0] <= now_ns:
            again.popleft()[1](now_ns)
        if self.params.passive:
            for event in next_events(self._bids_due, lambda: list(self._events.values())):
                if event.complete and len(event.legs) <= self.params.legs_max:
                    self._bid(event, now_ns)

    # ------------------------------------------------------------------------------- acting
    def crossed(self, leg: Leg, book: BookView, now_ns: int) -> None:
        """Count a raw violation; buy both tokens only when a re-read confirmed it."""
        self.ctx.count("raw_violations")
        if not book.flags & _CONFIRMED or now_ns < leg.next_ns:
            return
        legs, outcomes = [leg, leg], [int(Outcome.YES), int(Outcome.NO)]
        if self._buy_set(legs, outcomes, [book, book], ONE_E4, now_ns):
            leg.next_ns = now_ns + self.params.cooldown_ms * _MS_NS

    def buy_event(self, event: Event, outcome: int, now_ns: int) -> None:
        """Buy one outcome of every market of the event, if each book is fresh and healthy."""
        if now_ns < event.next_ns[outcome] or len(event.legs) > self.params.legs_max:
            return
        views = self._fit_views(event.legs)
        if not views:
            return
        payout_e4 = ONE_E4 if outcome == Outcome.YES else event.payout_no_e6 // 100
        if self._buy_set(event.legs, [outcome] * len(views), views, payout_e4, now_ns):
            due_ns = event.next_ns[outcome] = now_ns + self.params.cooldown_ms * _MS_NS
            seen = _touches(views, [outcome] * len(views))
            self._again.append((due_ns, partial(self._event_again, event, outcome, seen)))

    def _bid(self, event: Event, now_ns: int) -> None:
        """Bid for one leg of the event, where that is worth its risk."""
        params, key = self.params, event.legs[0].row.event_id
        if now_ns < self._bid_next_ns.get(key, 0):
            return
        views = self._fit_views(event.legs)
        outcomes = (int(Outcome.YES), int(Outcome.NO)) if views else ()
        for outcome in outcomes:
            bid = find_bid(
                event,
                views,
                outcome,
                margin_e6=params.margin_e6,
                miss_ppm=params.passive_miss_ppm,
                cash_e6_max=params.sets_cash_e6_max,
            )
            if bid is None:
                continue
            by_index = self.ctx.instruments.by_index
            found = [by_index[2 * leg.market + outcome] for leg in event.legs]
            tokens = [(each.market_id, each.token_id) for each in found]
            ends_ns = now_ns + params.passive_ms * _MS_NS
            group = self.ctx.next_group()
            told = (self.name, params.passive_miss_ppm, group, ends_ns)
            if self.ctx.emit_group(legs_of(bid, event, tokens, *told)):
                self.ctx.count("bids")
                # The executor has given it up by then, or the account holds it.
                self._bid_next_ns[key] = ends_ns + params.cooldown_ms * _MS_NS
                return

    def _event_again(self, event: Event, outcome: int, seen: _Touches, now_ns: int) -> None:
        outcomes = [outcome] * len(event.legs)
        if event.complete and self._was_taken(event.legs, outcomes, seen):
            self.buy_event(event, outcome, now_ns)

    def buy_nested(self, wide: Leg, narrow: Leg, now_ns: int) -> None:
        """Buy YES of the wider and NO of the narrower market, if both books are fit."""
        chain = wide.chain
        assert chain is not None, "a nested pair has a chain"
        if now_ns < chain.next_ns:
            return
        legs = [wide, narrow]
        views = self._fit_views(legs)
        outcomes = [int(Outcome.YES), int(Outcome.NO)]
        if views and self._buy_set(legs, outcomes, views, ONE_E4, now_ns, nested=True):
            chain.next_ns = now_ns + self.params.cooldown_ms * _MS_NS
            seen = _touches(views, outcomes)
            self._again.append((chain.next_ns, partial(self._nested_again, wide, narrow, seen)))

    def _nested_again(self, wide: Leg, narrow: Leg, seen: _Touches, now_ns: int) -> None:
        outcomes = [int(Outcome.YES), int(Outcome.NO)]
        nested = wide.chain is not None and wide.chain is narrow.chain
        if nested and self._was_taken([wide, narrow], outcomes, seen):
            self.buy_nested(wide, narrow, now_ns)

    def _was_taken(self, legs: Sequence[Leg], outcomes: Sequence[int], seen: _Touches) -> bool:
        """Whether a touch changed since the wish; else it was refused, and would be again."""
        views = [self.ctx.book(leg.market) for leg in legs]
        found = [view for view in views if view is not None]
        return len(found) == len(legs) and _touches(found, outcomes) != seen

    def _fit_views(self, legs: Sequence[Leg]) -> list[BookView]:
        """Return the book of each leg; none when one is not fresh and healthy."""
        views = []
        for leg in legs:
            view = self.ctx.book(leg.market)
            if view is None or view.flags & _ODD or view.tick_e4 not in (0, leg.tick_e4):
                self.ctx.count("unfit_leg")
                return []
            views.append(view)
        return views

    def _buy_set(
        self,
        legs: Sequence[Leg],
        outcomes: Sequence[int],
        views: Sequence[BookView],
        payout_e4: int,
        now_ns: int,
        *,
        nested: bool = False,
    ) -> bool:
        """Size the set and emit its legs; False when nothing worth sending is there."""
        unwind_e6 = max(
            unwind_cost_e6(leg, view, outcome)
            for leg, view, outcome in zip(legs, views, outcomes, strict=True)
        )
        leg_risk_e6 = unwind_e6 * self.params.miss_ppm // E6
        margin_e4 = -(-(self.params.margin_e6 + leg_risk_e6) // 100)
        walk = self._sized(legs, outcomes, views, payout_e4, margin_e4)
        if walk is None:
            return False
        sets_e6 = walk.sets_e6
        value_e6 = walk.profit_e6 - leg_risk_e6 * sets_e6 // E6
        if value_e6 <= 0:
            return False
        count = len(legs)
        group = self.ctx.next_group()
        expires_ns = now_ns + self.params.latency_budget_us * 1_000
        depth = [
            view.walk_size(outcome, _BUY, 2**62, limit).filled_e6
            for view, outcome, limit in zip(views, outcomes, walk.worst_prices_e4, strict=True)
        ]
        order = sorted(range(count), key=lambda at: (depth[at], legs[at].market, outcomes[at]))
        by_index = self.ctx.instruments.by_index
        signals = []
        for number, at in enumerate(order):
            instrument = by_index[2 * legs[at].market + outcomes[at]]
            told: dict[str, str | int | float | bool | None] = {
                "sets": sets_e6 // E6,
                "cost_e6": walk.cost_e6,
                "fees_e6": walk.fees_e6,
                "payout_e4": payout_e4,
                "depth_e6": depth[at],
            }
            if nested:
                told["nested"] = 1
            signals.append(
                Signal(
                    module=self.name,
                    market_id=instrument.market_id,
                    token_id=instrument.token_id,
                    action=Action.BUY,
                    confidence=1.0 - self.params.miss_ppm / E6,
                    expected_value=value_e6 / E6 / count,
                    size_suggestion=sets_e6,
                    urgency=Urgency.IMMEDIATE,
                    metadata=told,
                    limit_price_e4=walk.worst_prices_e4[at],
                    expires_ns=expires_ns,
                    group=group,
                    leg=number,
                    legs=count,
                )
            )
        return self.ctx.emit_group(signals)

    def _sized(
        self,
        legs: Sequence[Leg],
        outcomes: Sequence[int],
        views: Sequence[BookView],
        payout_e4: int,
        margin_e4: int,
    ) -> SetWalk | None:
        """Walk all books together, on the coarsest ladder; else only what rests at the touches."""
        rates = [leg.rate_e6 for leg in legs]
        exponents = [leg.exponent for leg in legs]
        step_e6 = lcm(*(leg.step_e6 for leg in legs))
        least_e6 = max(leg.min_size_e6 for leg in legs)
        sets_e6 = self.params.sets_cash_e6_max * E4 // payout_e4
        for _ in range(3):
            walk = walk_sets(views, outcomes, _BUY, rates, exponents, margin_e4, payout_e4, sets_e6)
            sets_e6 = walk.sets_e6 - walk.sets_e6 % step_e6
            if sets_e6 < least_e6 or not sets_e6:
                return None
            if sets_e6 != walk.sets_e6:
                continue
            verdict = self._fits(legs, outcomes, views, walk)
            if verdict is not None:
                return walk if verdict else None
            sets_e6 = min(
                view.best_ask_size_e6(outcome)
                for view, outcome in zip(views, outcomes, strict=True)
            )
            sets_e6 -= sets_e6 % step_e6
        return None

    def _fits(
        self,
        legs: Sequence[Leg],
        outcomes: Sequence[int],
        views: Sequence[BookView],
        walk: SetWalk,
    ) -> bool | None:
        """Whether each leg is an order the venue takes; None when the impact is too large."""
        slip_e6 = 0
        limits = walk.worst_prices_e4
        for leg, outcome, view, limit_e4 in zip(legs, outcomes, views, limits, strict=True):
            part = view.walk_size(outcome, _BUY, walk.sets_e6, limit_e4)
            if not part.complete or part.cost_e6 < MIN_NOTIONAL_E6:
                return False
            one_tick_ppm = leg.tick_e4 * E6 // part.touch_price_e4
            if part.impact_ppm() > max(self.params.impact_max_ppm, one_tick_ppm):
                return None
            slip_e6 += part.cost_e6 - part.touch_price_e4 * walk.sets_e6 // E4
        # The slippage of all legs may eat a third of what the set earns at the touches.
        if slip_e6 > (walk.profit_e6 + slip_e6) * self.params.impact_share_max:
            return None
        return True


def _touches(views: Sequence[BookView], outcomes: Sequence[int]) -> _Touches:
    return [
        (view.best_ask_e4(outcome), view.best_ask_size_e6(outcome))
        for view, outcome in zip(views, outcomes, strict=True)
    ]


def _exclusive(row: MarketRow) -> bool:
    """Whether exactly one market of the event will be YES, for sure."""
    return (
        row.neg_risk == 1
        and row.neg_risk_augmented == 0
        and row.event_id != _NO_EVENT
        and row.event_market_count >= 2
    )
