"""What the checks compare with: limits, facts, exposure, own orders, cash, pace, halts.

One object, written by RiskEngine and read by the checks. Pure; time is ``now_ns`` of the turn.
"""

from collections.abc import Callable

from lowlat.book._view import BookView, Walk
from lowlat.core.freshness import Shards
from lowlat.core.ports import TableReader
from lowlat.core.units import E6, ONE_E4
from lowlat.risk._case import Case
from lowlat.risk._cells import ByMarket, Outlay, Pace, StateCells
from lowlat.risk.exposure import Exposure
from lowlat.risk.facts import MarketFacts
from lowlat.risk.limits import LimitsParams
from lowlat.risk.reservations import OwnOrders
from lowlat.risk.scores import Scores

__all__ = ["LEGS_MAX", "RiskState", "fee_bound_e6"]

LEGS_MAX = 32


class RiskState(StateCells):
    """State that checks and the plain path read. Only RiskEngine changes it."""

    def __init__(
        self,
        limits: LimitsParams,
        books: TableReader,
        shards: TableReader,
        intents_free: Callable[[], int],
        decisions_free: Callable[[], int],
        decisions_reserve: int,
    ) -> None:
        self.limits = limits
        self.facts: ByMarket[MarketFacts] = ByMarket()
        self.exposure = Exposure()
        self.own = OwnOrders()
        self.shards = Shards(shards, limits.shard_silent_ns_max)
        self.intents_free = intents_free
        self.decisions_free = decisions_free
        self.decisions_reserve = decisions_reserve
        """Decision slots below which new orders stop; what is left is for refusals and turns."""
        self.waiting = True
        """Until the account is reconciled and a restart has heard of every old intent."""
        self.drawdown_ppm = 0
        self.common_step_e6 = E6
        self.common_min_e6 = 0
        """Ladder step and least size that fit all legs of the unit in hand."""
        self._books = books
        self.view = BookView(books.buffer)
        """Over the book that was read last."""
        self.pace = Pace(limits.orders_per_s, limits.orders_burst)
        self.outlay = Outlay(limits.notional_window_e6_max, limits.notional_window_ns)
        self.scores = Scores(limits)
        self.trailing_ppm = 0
        self.scale_kelly()
        self._leg_views: list[BookView] = []

    @property
    def held_e6(self) -> int:
        """Cash that orders in flight, resting orders and unwind reserves hold."""
        return self.exposure.in_flight_e6 + self.own.reserve_e6

    def read_book(self, case: Case) -> BookView | None:
        """Return the market's newest book; legs of a group get a copy each."""
        if self._books.read(case.market) <= 0:
            return None
        if case.legs == 1:
            return self.view
        views = self._leg_views
        leg: int = case.leg
        while len(views) <= leg:
            views.append(self.view.copy())
        views[leg].assign(self.view)
        return views[leg]

    def book(self, market: int) -> BookView | None:
        """Return a market's newest book, valid until the next read."""
        return self.view if self._books.read(market) > 0 else None

    def walk(self, case: Case, size_e6: int) -> Walk:
        """Walk the leg's book up to its limit, with the market's fee."""
        facts = case.facts
        return case.view.walk_size(
            case.outcome,
            case.action,
            size_e6,
            case.limit_price_e4,
            facts.rate_e6,
            facts.exponent,
        )

    def floor_size(self, size_e6: int, step_e6: int) -> int:
        """Round a size down onto the ladder, and onto a template's rung where there are rungs."""
        rungs = self.limits.size_rungs_e6
        if not rungs:
            return size_e6 - size_e6 % step_e6
        fitting = [rung for rung in rungs if rung <= size_e6 and not rung % step_e6]
        return fitting[-1] if fitting else 0

    def order_price_e4(self, case: Case) -> int:
        """Return the limit that will be sent: of a taker, the worst level it walks."""
        walk = case.walk
        return case.limit_price_e4 if walk is None else walk.worst_price_e4

    def unit_cost_e6(self, case: Case) -> int:
        """Return the most cash one share can take, fee included; 0 for a SELL."""
        if not case.buys:
            return 0
        cost_e6 = self.order_price_e4(case) * 100
        return cost_e6 + fee_bound_e6(cost_e6, case.facts.rate_e6)

    def price_unwind(self, case: Case) -> int:
        """Work out the worst price for the complement, should this leg have to be undone.

        Returns the cash that undoing one share may take, fee included.
        """
        bid_e4 = case.view.best_bid_e4(case.outcome)
        tick_e4 = case.facts.tick_e4
        dearest_e4 = ONE_E4 - tick_e4
        price_e4 = dearest_e4
        if bid_e4 > 0:
            price_e4 = ONE_E4 - bid_e4 + self.limits.unwind_slip_e4
            price_e4 = min(dearest_e4, price_e4 - price_e4 % tick_e4)
        case.unwind_price_e4 = price_e4
        cost_e6 = price_e4 * 100
        unit_e6 = case.unwind_unit_e6 = cost_e6 + fee_bound_e6(cost_e6, case.facts.rate_e6)
        return unit_e6

    @property
    def wall_ns(self) -> int:
        """The venue's time now."""
        return self.now_ns + self.wall_offset_ns

    def set_limits(self, limits: LimitsParams) -> None:
        """Take other limits, in all that compares with them."""
        self.limits = limits
        self.pace.set_limits(limits.orders_per_s, limits.orders_burst)
        self.outlay.set_limits(limits.notional_window_e6_max, limits.notional_window_ns)
        self.scores.set_limits(limits)
        self.scale_kelly()

    def scale_kelly(self) -> None:
        """Stake less the nearer a drawdown is to its limit. Source: feeds.md 6.9."""
        limits = self.limits
        if not limits.kelly_ppm:
            self.kelly_ppm = -1
            return
        left = 1_000_000
        for was, most in (
            (self.drawdown_ppm, limits.drawdown_max_ppm),
            (self.trailing_ppm, limits.trailing_drawdown_max_ppm),
        ):
            left = min(left, max(0, most - max(0, was)) * 1_000_000 // most)
        self.kelly_ppm = limits.kelly_ppm * left // 1_000_000

    def take_tokens(self, count: int) -> bool:
        """Spend order tokens; False, and none spent, when they are not there."""
        return self.pace.take(count, self.now_ns)


def fee_bound_e6(cash_e6: int, rate_e6: int) -> int:
    """Return the most that trading this much cash can cost in fees: at low prices, the rate."""
    return -(-cash_e6 * rate_e6 // E6)
