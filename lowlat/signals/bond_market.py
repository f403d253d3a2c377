"""What ``bonds`` keeps of one market: its slow mid, what was bought, what wakes it. Pure, no I/O.

The mid is told of books that say something: the touches of both sides no further apart than
``gap_e4_max``. A side on which nobody stands counts as the end of the scale, 0 or 1: of a token at
0.97 that nobody offers, whoever would sell it below a dollar would be seen doing so. Nearly certain
outcomes are the very ones whose makers find no room on one side.
"""

from collections.abc import Callable
from typing import Final

from lowlat.book._view import BookView
from lowlat.core.layout import Action, BookFlag, MarketRow, Outcome
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._watch import Watch
from lowlat.signals.bond_value import BondsParams
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6, TICKS

__all__ = ["BondMarket", "mid_of"]

_MS_NS: Final = 1_000_000
_S_NS: Final = 1_000_000_000
_ODD: Final = int(BookFlag.CROSSED | BookFlag.LOCKED | BookFlag.DIVERGED)


def mid_of(book: BookView, gap_e4_max: int) -> float:
    """Return the mid of YES, below 0 when the book says nothing of what the market thinks."""
    bid_e4 = max(0, book.best_bid_e4(Outcome.YES))
    ask_e4 = book.best_ask_e4(Outcome.YES)
    ask_e4 = ask_e4 if ask_e4 > 0 else ONE_E4
    if book.flags & _ODD or ask_e4 - bid_e4 > gap_e4_max:
        return -1.0
    return (bid_e4 + ask_e4) / (2 * E4)


class BondMarket:
    """One market: an entry of ``Kept``."""

    __slots__ = (
        "bought_e6",
        "dips",
        "next_ns",
        "params",
        "row",
        "sampled_ns",
        "since_ns",
        "slow",
        "watch",
    )

    def __init__(
        self, row: MarketRow, look: Callable[[BookView, int], None], params: BondsParams
    ) -> None:
        """Begin to watch; ``look`` is called with every book that matters."""
        self.row = row
        self.params = params
        self.watch = Watch(row.market, look)
        self.slow = -1.0
        """Mid of YES, slowly; below 0 before the first."""
        self.since_ns = self.sampled_ns = self.next_ns = 0
        self.bought_e6 = [0, 0]
        self.dips: set[int] = set()
        """Outcomes whose dip is being watched."""

    def is_warm(self, now_ns: int) -> bool:
        """Whether it was seen for long enough to say what the market thinks."""
        return self.slow >= 0.0 and now_ns - self.since_ns >= self.params.warmup_s * _S_NS

    def slow_of(self, outcome: int) -> float:
        """Return the slow mid of a token."""
        return self.slow if outcome == Outcome.YES else 1.0 - self.slow

    def sample(self, mid: float, now_ns: int) -> None:
        """Let the slow mid follow, by the time that passed since the last sample."""
        if self.slow < 0.0:
            self.slow = mid
            self.since_ns = self.sampled_ns = now_ns
            return
        passed_ns = now_ns - self.sampled_ns
        if passed_ns < self.params.sample_ms * _MS_NS:
            return
        # A long silence is one sample: what stood before it may be anything.
        passed_s = min(passed_ns / _S_NS, self.params.consensus_half_life_s)
        share = 1.0 - 0.5 ** (passed_s / self.params.consensus_half_life_s)
        self.slow += share * (mid - self.slow)
        self.sampled_ns = now_ns

    def wait(self) -> None:
        """Set what wakes us: a dip of either token, a bid to sell to, the next sample."""
        params, watch = self.params, self.watch
        watch.rest()
        watch.due_ns = self.sampled_ns + params.sample_ms * _MS_NS
        watch.not_before_ns = 0
        if self.slow < 0.0:
            return
        watch.yes_max_e4 = self.dip_limit_e4(Outcome.YES)
        watch.no_max_e4 = self.dip_limit_e4(Outcome.NO)
        if self.bought_e6[Outcome.YES]:
            watch.bid_high_e4 = params.exit_bid_e4 - 1
        if self.bought_e6[Outcome.NO]:
            watch.ask_low_e4 = ONE_E4 - params.exit_bid_e4 + 1

    def skip(self, now_ns: int) -> None:
        """Wait for the next sample: this book says nothing."""
        self.watch.rest()
        self.watch.due_ns = now_ns + self.params.sample_ms * _MS_NS

    def dip_limit_e4(self, outcome: int) -> int:
        """Return the highest ask that is a dip of a nearly certain token, 0 for none."""
        slow_e4 = round(self.slow_of(outcome) * E4)
        most_e4 = min(slow_e4 - self.params.dip_e4, self.params.ask_max_e4)
        return most_e4 if slow_e4 >= self.params.ask_min_e4 else 0

    def size(
        self, book: BookView, outcome: int, limit_e4: int, worth: float, held_e6: int
    ) -> tuple[int, int, int] | None:
        """Return shares, their all-in cost, and the cash that Kelly's share and the caps leave.

        ``held_e6``: what the account holds of the token, whoever bought it; at today's price it
        counts against the caps.
        """
        params, row = self.params, self.row
        price = limit_e4 / E4
        cost = price + row.fee_rate_e6 / E6 * (price * (1.0 - price)) ** row.fee_exponent
        kelly = max(0.0, (worth - cost) / (1.0 - cost)) if cost < 1.0 else 0.0
        most_e6 = min(
            params.market_cash_e6_max, int(params.kelly_share * kelly * params.bankroll_usd * E6)
        )
        cash_e6 = min(params.order_cash_e6_max, most_e6 - held_e6 * limit_e4 // ONE_E4)
        if cash_e6 <= 0:
            return None
        step_e6 = TICKS[row.tick_e4].ladder_step_e6
        size_e6 = book.walk_cash(outcome, cash_e6, limit_e4).filled_e6
        size_e6 -= size_e6 % step_e6
        if size_e6 < max(row.min_size_e6, step_e6):
            return None
        walk = book.walk_size(
            outcome, Action.BUY, size_e6, limit_e4, row.fee_rate_e6, row.fee_exponent
        )
        if not walk.complete or walk.cost_e6 < MIN_NOTIONAL_E6:
            return None
        return size_e6, walk.cost_e6 + walk.fee_e6, cash_e6
