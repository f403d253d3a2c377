"""The executor's own limits: the last look before a signature leaves, and how fast they may.

Called by ExecutorEngine for every order; the same hard limits as risk's, from the executor's own
state and its own reading of the tables. Numbers come from ``HardLimits`` (config) and from the
venue's response headers. Pure; time is an argument.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from lowlat.core.layout import Action, Outcome, Rule
from lowlat.core.units import NO_PRICE_E4, ONE_E4
from lowlat.execution.orders import Order

__all__ = [
    "TIERS",
    "Breaker",
    "HardLimits",
    "OpenOrders",
    "RateBucket",
    "Refused",
    "check_amounts",
    "check_band",
]

_SECOND_NS: Final = 1_000_000_000
TIERS: Final = {
    "standard": (40, 60, 80, 120),
    "copper": (60, 90, 120, 180),
    "bronze": (80, 120, 160, 240),
    "silver": (200, 300, 400, 600),
    "gold": (400, 600, 800, 1_200),
    "platinum": (450, 675, 900, 1_350),
    "diamond": (525, 787, 1_050, 1_575),
    "elite": (600, 900, 1_200, 1_800),
}
"""Orders/s, burst, cancels/s, burst of a signer. Source: polymarket.md 12.4."""


class HardLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds that no order may pass, whatever risk said."""

    order_shares_max_e6: int = 10_000_000_000
    """Fat finger: shares of one order."""
    order_notional_max_e6: int = 1_000_000_000
    """Cash of one order."""
    open_notional_max_e6: int = 5_000_000_000
    """Cash that open orders and unwind reserves may hold together."""
    price_band_e4: int = 500
    """How far past the touch an order may reach."""
    price_min_e4: int = 1
    price_max_e4: int = 9_999
    book_age_max_ns: int = 0
    """Oldest book row to trade on; 0 = while its connection lives (a quiet market is fresh)."""


class Refused(NamedTuple):
    """Why an intent was not sent: the rule, its bound and what met it."""

    rule: Rule
    bound: int = 0
    was: int = 0


def check_amounts(
    limits: HardLimits, size_e6: int, notional_e6: int, held_e6: int
) -> Refused | None:
    """Return the first size limit met, or None."""
    if size_e6 > limits.order_shares_max_e6:
        return Refused(Rule.FAT_FINGER, limits.order_shares_max_e6, size_e6)
    if notional_e6 > limits.order_notional_max_e6:
        return Refused(Rule.NOTIONAL, limits.order_notional_max_e6, notional_e6)
    if held_e6 + notional_e6 > limits.open_notional_max_e6:
        return Refused(Rule.NOTIONAL, limits.open_notional_max_e6, held_e6 + notional_e6)
    return None


def check_band(
    limits: HardLimits, action: int, price_e4: int, best_bid_e4: int, best_ask_e4: int
) -> Refused | None:
    """Return PRICE_BAND when the price reaches past the touch by more than the band.

    A BUY is measured from the ask, a SELL from the bid; a missing touch is no price to trade on.
    """
    if not limits.price_min_e4 <= price_e4 <= limits.price_max_e4:
        return Refused(Rule.PRICE_BAND, limits.price_max_e4, price_e4)
    if action == Action.BUY:
        touch_e4 = best_ask_e4 if best_ask_e4 != NO_PRICE_E4 else best_bid_e4
        bound_e4 = touch_e4 + limits.price_band_e4
        past = price_e4 > bound_e4
    else:
        touch_e4 = best_bid_e4 if best_bid_e4 != NO_PRICE_E4 else best_ask_e4
        bound_e4 = touch_e4 - limits.price_band_e4
        past = price_e4 < bound_e4
    if touch_e4 == NO_PRICE_E4:
        return Refused(Rule.BOOK_UNHEALTHY, 0, price_e4)
    return Refused(Rule.PRICE_BAND, bound_e4, price_e4) if past else None


class OpenOrders:
    """Own orders that may still trade, by market, for the self-cross check."""

    def __init__(self) -> None:
        self.by_market: dict[int, dict[int, Order]] = {}

    def __len__(self) -> int:
        return sum(len(each) for each in self.by_market.values())

    def add(self, order: Order) -> None:
        """Count an order in."""
        self.by_market.setdefault(order.market, {})[order.id] = order

    def discard(self, order: Order) -> None:
        """Count an order out; nothing when it was not in."""
        orders = self.by_market.get(order.market)
        if orders is not None:
            orders.pop(order.id, None)
            if not orders:
                del self.by_market[order.market]

    def of(self, market: int) -> Mapping[int, Order]:
        """Return the market's open orders."""
        return self.by_market.get(market, {})

    def all(self) -> list[Order]:
        """Return every open order."""
        return [order for orders in self.by_market.values() for order in orders.values()]

    def crossing(
        self, market: int, outcome: int, action: int, price_e4: int, *, resting: bool = False
    ) -> Order | None:
        """Return an own order that this one would trade with, in either token of the market.

        Both are put in YES terms: buying NO at q is selling YES at 1 - q. Source: design 8.
        ``resting``: leave out orders that never rest. An immediate order cannot meet them, and an
        unwinding must not wait until the fate of one that got no answer is known.
        """
        orders = self.by_market.get(market)
        if not orders:
            return None
        buys_yes, yes_e4 = _yes_terms(outcome, action, price_e4)
        for order in orders.values():
            other_buys, other_e4 = _yes_terms(order.instrument & 1, order.action, order.price_e4)
            if other_buys == buys_yes or (resting and order.immediate):
                continue
            if yes_e4 >= other_e4 if buys_yes else yes_e4 <= other_e4:
                return order
        return None

    def selling_e6(self, market: int, instrument: int) -> int:
        """Return shares of the instrument that open SELL orders may still give away."""
        return sum(
            order.rest_e6
            for order in self.by_market.get(market, {}).values()
            if order.instrument == instrument and order.action == Action.SELL
        )


def _yes_terms(outcome: int, action: int, price_e4: int) -> tuple[bool, int]:
    if outcome == Outcome.YES:
        return action == Action.BUY, price_e4
    return action != Action.BUY, ONE_E4 - price_e4


class RateBucket:
    """Token bucket of one kind of request, in the venue's terms; corrected by its headers.

    ``headroom`` tokens are kept for those who ask with ``reserve=True`` (unwinds).
    """

    def __init__(self, per_s: int, burst: int, headroom: int) -> None:
        assert 0 <= headroom < burst
        self.per_s = per_s
        self.burst = burst
        self.headroom = headroom
        self._tokens_e9 = burst * _SECOND_NS
        self._at_ns = 0
        self._blocked_ns = 0

    def set_tier(self, per_s: int, burst: int) -> None:
        """Take another tier's numbers."""
        self.per_s, self.burst = per_s, burst
        self.headroom = min(self.headroom, burst - 1)
        self._tokens_e9 = min(self._tokens_e9, burst * _SECOND_NS)

    def available(self, now_ns: int, *, reserve: bool = False) -> int:
        """Return how many requests may go now."""
        self._refill(now_ns)
        if now_ns < self._blocked_ns:
            return 0
        return max(0, self._tokens_e9 // _SECOND_NS - (0 if reserve else self.headroom))

    def take(self, count: int, now_ns: int, *, reserve: bool = False) -> bool:
        """Spend tokens when they are there; a batch that does not fit is refused whole."""
        self._refill(now_ns)
        need_e9 = (count if reserve else count + self.headroom) * _SECOND_NS
        if self._tokens_e9 < need_e9 or now_ns < self._blocked_ns:
            return False
        self._tokens_e9 -= count * _SECOND_NS
        return True

    def give_back(self, count: int) -> None:
        """Return tokens of requests that never left."""
        self._tokens_e9 = min(self.burst * _SECOND_NS, self._tokens_e9 + count * _SECOND_NS)

    def block(self, until_ns: int) -> None:
        """Stop until a time: 429 with Retry-After."""
        self._blocked_ns = max(self._blocked_ns, until_ns)

    def correct(self, remaining: int, now_ns: int) -> None:
        """Believe the venue when it counts fewer tokens than we do; never when more.

        Answers overtake each other, so a larger number may be older than our own count.
        """
        self._refill(now_ns)
        self._tokens_e9 = min(self._tokens_e9, max(0, remaining) * _SECOND_NS)

    def _refill(self, now_ns: int) -> None:
        if now_ns > self._at_ns:
            if self._at_ns:
                grown_e9 = self._tokens_e9 + (now_ns - self._at_ns) * self.per_s
                self._tokens_e9 = min(self.burst * _SECOND_NS, grown_e9)
            self._at_ns = now_ns


class Breaker:
    """Stops new orders after too many errors of one class, for a market or for all.

    Key (class, market), market -1 = everywhere. After ``open_ns`` one error opens it again.
    """

    EVERYWHERE: Final = -1

    def __init__(self, errors_max: int, window_ns: int, open_ns: int) -> None:
        self._errors_max = errors_max
        self._window_ns = window_ns
        self._open_ns = open_ns
        self._errors: dict[tuple[int, int], list[int]] = {}
        self.open_until: dict[int, int] = {}
        self.trips = 0

    def error(self, error_class: int, market: int, now_ns: int) -> bool:
        """Count an error; True when it opened the breaker."""
        times = self._errors.setdefault((error_class, market), [])
        times.append(now_ns)
        del times[: -self._errors_max]
        if len(times) < self._errors_max or now_ns - times[0] > self._window_ns:
            return False
        # The oldest stay, so that after the pause a single error is enough to open it again.
        self.open_for(market, now_ns + self._open_ns)
        self.trips += 1
        return True

    def open_for(self, market: int, until_ns: int) -> None:
        """Open it until a time, whatever was counted."""
        self.open_until[market] = max(until_ns, self.open_until.get(market, 0))

    def ok(self, market: int) -> None:
        """Forget a market's errors: the venue took an order there."""
        if self._errors:
            for key in [key for key in self._errors if key[1] == market]:
                del self._errors[key]

    def closed(self, market: int, now_ns: int) -> bool:
        """Whether new orders may go to the market."""
        until = self.open_until
        if not until:
            return True
        return now_ns >= until.get(self.EVERYWHERE, 0) and now_ns >= until.get(market, 0)
