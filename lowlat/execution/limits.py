"""The executor's own limits: the last look before a signature leaves, and how fast they may.

Called by ExecutorEngine for every order; the same hard limits as risk's, from the executor's own
state and its own reading of the tables. Numbers come from ``HardLimits`` (config) and from the
venue's response headers. Pure; time is an argument.
"""

from typing import Final, NamedTuple

from lowlat.core.layout import Action, Rule
from lowlat.core.units import NO_PRICE_E4
from lowlat.execution._check import RateBucket
from lowlat.execution._desk import OpenOrders
from lowlat.execution.params import HardLimits

__all__ = [
    "TIERS",
    "Breaker",
    "OpenOrders",
    "RateBucket",
    "Refused",
    "check_amounts",
    "check_band",
]

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
