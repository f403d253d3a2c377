"""What the account is worth if sold now: marks at the bid by depth, drawdowns, the day's bankroll.

Run by RiskEngine, a few positions a turn. Marks are pessimistic: what the bids take, nothing for a
book that was stale too long, but never less than what the worst outcome pays for certain.
Source: feeds.md 6.9, design 8.
"""

from collections import deque
from collections.abc import Callable, Iterable

from lowlat.core.layout import Action, BookFlag
from lowlat.risk.exposure import Bucket, Holding
from lowlat.risk.scores import Stake
from lowlat.risk.state import RiskState

__all__ = ["Equity"]

_DAY_NS = 86_400_000_000_000
_POSITIONS_A_TURN = 4
_SELL = int(Action.SELL)
_PPM = 1_000_000
_BLIND_NS_MAX = 15_000_000_000
"""Books are back some seconds after a start; one that is not then may never come."""


class Equity:
    """Equity, its peak since UTC midnight, and how often it was too far below."""

    def __init__(
        self,
        state: RiskState,
        owned_worth_e6: Callable[[Iterable[Stake], Callable[[int], int]], int],
    ) -> None:
        """``owned_worth_e6(stakes, marks)``: what stakes are worth, given the marks of tokens."""
        self._state = state
        self._owned_worth_e6 = owned_worth_e6
        self._marks: dict[int, tuple[int, int]] = {}
        """Instrument -> (value, when)."""
        self._todo: list[int] = []
        self._started_ns = 0
        self._restored_ns = -(10**18)
        """When this life took over what an earlier one measured."""
        self._running = False
        self._breaches: deque[int] = deque(maxlen=64)
        self.day = -1
        """Days since 1970 of the peak and the bankroll."""
        self.equity_e6 = 0
        self.peak_e6 = 0
        self.trailing_peak_e6 = 0
        """Highest since somebody lifted a halt."""
        self.passes = 0
        self.stopped = 0
        """How often a module was stopped."""

    @property
    def due_ns(self) -> int:
        """When ``step`` has something to do again."""
        if self._running or not self.passes:
            return 0
        return self._started_ns + self._state.limits.mark_interval_ns

    def step(self, now_ns: int, wall_ns: int, *, whole: bool = False) -> bool:
        """Mark some positions; True when a pass ended and the drawdown limit halts trading."""
        if not self._running:
            if self.passes and now_ns - self._started_ns < self._state.limits.mark_interval_ns:
                return False
            self._running = True
            self._started_ns = now_ns
            self._todo = [
                2 * market + outcome
                for market, holding in self._state.exposure.holdings.items()
                for outcome in (0, 1)
                if holding.shares_e6[outcome]
            ]
        for _ in range(len(self._todo) if whole else min(_POSITIONS_A_TURN, len(self._todo))):
            self._mark(self._todo.pop(), now_ns)
        return not self._todo and self._finish(now_ns, wall_ns)

    def _mark(self, instrument: int, now_ns: int) -> None:
        state = self._state
        holding = state.exposure.holdings.get(instrument >> 1)
        if holding is None:
            return
        size_e6 = holding.shares_e6[instrument & 1]
        view = state.book(instrument >> 1)
        if (
            view is not None
            and view.generation == holding.generation
            and not view.flags & (BookFlag.STALE | BookFlag.CROSSED | BookFlag.DIVERGED)
            and state.shards.is_fresh(view.shard, view.connection_generation, now_ns)
        ):
            value_e6 = view.walk_size(instrument & 1, _SELL, size_e6).cost_e6
            self._marks[instrument] = (value_e6, now_ns)

    def _finish(self, now_ns: int, wall_ns: int) -> bool:
        """Add up, take the day's bankroll, look at the drawdown."""
        state = self._state
        limits = state.limits
        self._running = False
        self.passes += 1
        self.equity_e6 = state.cash_e6 + sum(
            self._worth(bucket, now_ns) for bucket in state.exposure.buckets.values()
        )
        blind = self._is_blind(now_ns)
        if not blind:
            self._look_at_modules(now_ns)
        day = wall_ns // _DAY_NS
        if day != self.day:
            self.day = day
            self.peak_e6 = self.equity_e6
            self._breaches.clear()
            state.scores.begin_day()
            state.bankroll_e6 = max(0, min(limits.bankroll_cap_e6, self.equity_e6))
        self.peak_e6 = max(self.peak_e6, self.equity_e6)
        self.trailing_peak_e6 = max(self.trailing_peak_e6, self.equity_e6)
        state.drawdown_ppm = self._below_ppm(self.peak_e6)
        state.trailing_ppm = self._below_ppm(self.trailing_peak_e6)
        state.scale_kelly()
        if blind or (
            state.drawdown_ppm <= limits.drawdown_max_ppm
            and state.trailing_ppm <= limits.trailing_drawdown_max_ppm
        ):
            return False
        self._breaches.append(now_ns)
        recent = [at for at in self._breaches if now_ns - at <= limits.drawdown_window_ns]
        return len(recent) >= limits.drawdown_breaches

    def _is_blind(self, now_ns: int) -> bool:
        """Whether a start has not seen every held token's book yet: no mark is no loss.

        Sizes are cut as if it were one meanwhile; after some seconds it is one.
        """
        if now_ns - self._restored_ns > _BLIND_NS_MAX:
            return False
        return any(
            holding.shares_e6[outcome] and 2 * market + outcome not in self._marks
            for market, holding in self._state.exposure.holdings.items()
            for outcome in (0, 1)
        )

    def _below_ppm(self, peak_e6: int) -> int:
        return (peak_e6 - self.equity_e6) * _PPM // peak_e6 if peak_e6 > 0 else 0

    def _look_at_modules(self, now_ns: int) -> None:
        """Mark what each module owns, and stop those that lost too much today."""
        state = self._state

        def worth_e6(stakes: Iterable[Stake]) -> int:
            return self._owned_worth_e6(stakes, lambda token: self._marked(token, now_ns))

        self.stopped += len(state.scores.look(state.bankroll_e6, worth_e6))

    def _worth(self, bucket: Bucket, now_ns: int) -> int:
        """Return the marks of a bucket, or what its worst outcome pays when that is more."""
        marks_e6 = sum(self._value(holding, now_ns) for holding in bucket.holdings)
        return max(marks_e6, bucket.floor_e6())

    def _value(self, holding: Holding, now_ns: int) -> int:
        value_e6 = 0
        for outcome in (0, 1):
            if holding.shares_e6[outcome]:
                value_e6 += self._marked(2 * holding.market + outcome, now_ns)
        return value_e6

    def _marked(self, instrument: int, now_ns: int) -> int:
        """Return what all held shares of a token are worth; nothing once the mark is stale."""
        marked_e6, at_ns = self._marks.get(instrument, (0, 0))
        return marked_e6 if now_ns - at_ns <= self._state.limits.mark_stale_ns_max else 0

    def restore(self, day: int, bankroll_e6: int, peak_e6: int, trailing_peak_e6: int) -> None:
        """Go on with what an earlier life measured: a restart forgives no loss."""
        if day < 0:
            return
        self.day = day
        self._restored_ns = self._state.now_ns
        self.peak_e6, self.trailing_peak_e6 = peak_e6, trailing_peak_e6
        self._state.bankroll_e6 = min(bankroll_e6, self._state.limits.bankroll_cap_e6)

    def rebase(self) -> None:
        """Count losses from what the account is worth now: somebody looked at them."""
        self.peak_e6 = self.trailing_peak_e6 = self.equity_e6
        self._breaches.clear()
        self._state.scores.begin_day()

    def cap(self) -> None:
        """Apply a bankroll cap that was lowered, at once; a higher one waits for midnight."""
        state = self._state
        state.bankroll_e6 = min(state.bankroll_e6, state.limits.bankroll_cap_e6)
