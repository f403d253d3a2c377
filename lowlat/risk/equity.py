"""What the account is worth if sold now: marks at the bid by depth, drawdown, the day's bankroll.

Run by RiskEngine, a few positions a turn. Marks are pessimistic: what the bids take, nothing for a
book that was stale too long, but never less than what the worst outcome pays for certain.
Source: feeds.md 6.9, design 8.
"""

from collections import deque

from lowlat.core.layout import Action, BookFlag
from lowlat.risk.exposure import Bucket, Holding
from lowlat.risk.state import RiskState

__all__ = ["Equity"]

_DAY_NS = 86_400_000_000_000
_POSITIONS_A_TURN = 4
_SELL = int(Action.SELL)
_PPM = 1_000_000


class Equity:
    """Equity, its peak since UTC midnight, and how often it was too far below."""

    def __init__(self, state: RiskState) -> None:
        self._state = state
        self._marks: dict[int, tuple[int, int]] = {}
        """Instrument -> (value, when)."""
        self._todo: list[int] = []
        self._started_ns = 0
        self._running = False
        self._breaches: deque[int] = deque(maxlen=64)
        self.day = -1
        """Days since 1970 of the peak and the bankroll."""
        self.equity_e6 = 0
        self.peak_e6 = 0
        self.trailing_peak_e6 = 0
        """Highest since somebody lifted a halt."""
        self.passes = 0

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
        day = wall_ns // _DAY_NS
        if day != self.day:
            self.day = day
            self.peak_e6 = self.equity_e6
            self._breaches.clear()
            state.bankroll_e6 = max(0, min(limits.bankroll_cap_e6, self.equity_e6))
        self.peak_e6 = max(self.peak_e6, self.equity_e6)
        self.trailing_peak_e6 = max(self.trailing_peak_e6, self.equity_e6)
        below_e6 = self.peak_e6 - self.equity_e6
        state.drawdown_ppm = below_e6 * _PPM // self.peak_e6 if self.peak_e6 > 0 else 0
        if state.drawdown_ppm <= limits.drawdown_max_ppm:
            return False
        self._breaches.append(now_ns)
        recent = [at for at in self._breaches if now_ns - at <= limits.drawdown_window_ns]
        return len(recent) >= limits.drawdown_breaches

    def _worth(self, bucket: Bucket, now_ns: int) -> int:
        """Return the marks of a bucket, or what its worst outcome pays when that is more."""
        marks_e6 = sum(self._value(holding, now_ns) for holding in bucket.holdings)
        return max(marks_e6, bucket.floor_e6())

    def _value(self, holding: Holding, now_ns: int) -> int:
        value_e6 = 0
        for outcome in (0, 1):
            if holding.shares_e6[outcome]:
                marked_e6, at_ns = self._marks.get(2 * holding.market + outcome, (0, 0))
                if now_ns - at_ns <= self._state.limits.mark_stale_ns_max:
                    value_e6 += marked_e6
        return value_e6

    def rebase(self) -> None:
        """Count losses from what the account is worth now: somebody looked at them."""
        self.peak_e6 = self.trailing_peak_e6 = self.equity_e6
        self._breaches.clear()

    def cap(self) -> None:
        """Apply a bankroll cap that was lowered, at once; a higher one waits for midnight."""
        state = self._state
        state.bankroll_e6 = min(state.bankroll_e6, state.limits.bankroll_cap_e6)
