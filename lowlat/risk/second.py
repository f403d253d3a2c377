"""Ask what other limits would say of each unit, at the moment at which it is decided.

For replays (``lowlat replay --config``), never in a process that trades. Both judge the same
positions, cash, orders and books: those that there were. So each answer stands for itself; what
would have come of an order that was never sent is not guessed. Left as they were are what depends
on the orders before: duplicates, rank, pace, the outlay of the window, drawdown halts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from lowlat.core.layout import Rule
from lowlat.core.units import E6
from lowlat.risk.case import Case, Unit
from lowlat.risk.checks import FINAL_CHECKS
from lowlat.risk.checks.gate import check_outlay, check_pace
from lowlat.risk.deciding import Decide
from lowlat.risk.judging import judge
from lowlat.risk.limits import LimitsParams
from lowlat.risk.state import RiskState

__all__ = ["LEFT_AS_THEY_WERE", "Choice", "Heard", "SecondOpinion"]

LEFT_AS_THEY_WERE: Final = frozenset(
    {
        "drawdown_max_ppm",
        "trailing_drawdown_max_ppm",
        "drawdown_breaches",
        "drawdown_window_ns",
        "mark_interval_ns",
        "mark_stale_ns_max",
        "single_fill_or_kill",
        "orders_per_s",
        "orders_burst",
        "notional_window_e6_max",
        "notional_window_ns",
        "module_loss_max_ppm",
        "orphans_sell",
        "duplicate_window_ns",
        "group_wait_ns",
        "rank_by_capital_hour",
        "intent_life_ns_max",
        "reports_lag_ns_max",
        "shard_silent_ns_max",
    }
)
"""Limits that are about what went before or comes after, and exits besides: not about one wish."""

_OF_THE_MOMENT = (check_outlay, check_pace)
_FINAL = tuple(check for check in FINAL_CHECKS if check not in _OF_THE_MOMENT)
_PACED = frozenset({Rule.RATE, Rule.NOTIONAL_RATE})


class Choice(NamedTuple):
    """What became of one leg: refused by ``rule`` (size 0), else what cut it, if anything."""

    rule: Rule
    limit: int
    was: int
    size_e6: int
    cost_e6: int
    """Cash that it may take, fees included; 0 for what is sold or refused."""


Heard = Callable[[Case, Choice, Choice], None]
"""Gets each leg, what was decided, and what the other limits would have decided."""


class SecondOpinion:
    """Stands around a decider and lets it decide as ever."""

    def __init__(
        self, state: RiskState, limits: LimitsParams, decide: Decide, heard: Heard
    ) -> None:
        limits.validate()
        self._state = state
        self._limits = limits
        self._decide = decide
        self._heard = heard

    def decide(self, unit: Unit, now_ns: int) -> None:
        """Ask the other limits, then have the unit decided."""
        other = _copy(unit)
        with self._other_limits():
            refused = judge(other, self._state, _FINAL)
        seconds = _choices(other, refused)
        self._decide(unit, now_ns)
        # Who was refused keeps its rule; an approved leg has none.
        firsts = [_refusal(case) if case.rule else _approval(case) for case in unit.cases]
        if any(choice.rule in _PACED for choice in firsts):
            # Too many at once: that there were, and is no matter of these limits.
            seconds = firsts
        for case, first, second in zip(unit.cases, firsts, seconds, strict=True):
            self._heard(case, first, second)

    @contextmanager
    def _other_limits(self) -> Iterator[None]:
        """Put the other limits where checks look, and back to the unit what was there."""
        state, other = self._state, self._limits
        scores, exposure = state.scores, state.exposure
        own, kelly_ppm, long_from_ns = state.limits, state.kelly_ppm, exposure.long_from_ns
        bankroll_e6 = state.bankroll_e6
        shares = [(score, score.budget_ppm, score.damp_ppm) for score in scores.scores]
        state.limits = other
        # As a reload does: a higher cap waits for midnight.
        state.bankroll_e6 = min(bankroll_e6, other.bankroll_cap_e6)
        scores.set_limits(other)
        state.scale_kelly()
        exposure.set_horizon(long_from_ns + other.long_horizon_ns - own.long_horizon_ns)
        try:
            yield
        finally:
            state.limits, state.kelly_ppm, state.bankroll_e6 = own, kelly_ppm, bankroll_e6
            scores.set_limits(own)
            for score, budget_ppm, damp_ppm in shares:
                score.budget_ppm, score.damp_ppm = budget_ppm, damp_ppm
            exposure.set_horizon(long_from_ns)


def _copy(unit: Unit) -> Unit:
    first, *rest = (case.copy() for case in unit.cases)
    other = Unit(first, unit.order, unit.seen_ns, is_exit=unit.is_exit)
    other.cases += rest
    other.expected_value, other.expires_ns = unit.expected_value, unit.expires_ns
    return other


def _choices(unit: Unit, refused: Case | None) -> list[Choice]:
    if refused is None:
        return [_approval(case) for case in unit.cases]
    for case in unit.cases:
        if case is not refused:
            case.refuse(Rule.GROUP_INCOMPLETE, case.legs, refused.leg)
    return [_refusal(case) for case in unit.cases]


def _refusal(case: Case) -> Choice:
    return Choice(Rule(case.rule), case.limit, case.was, 0, 0)


def _approval(case: Case) -> Choice:
    cost_e6 = -(-case.unit_cost_e6 * case.size_e6 // E6)
    if not case.cut_rule:
        return Choice(Rule.APPROVED, 0, 0, case.size_e6, cost_e6)
    return Choice(Rule(case.cut_rule), case.cut_limit, case.cut_was, case.size_e6, cost_e6)
