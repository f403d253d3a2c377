"""Judge one unit of signals: every check in order, one size for all legs. Sends nothing.

Called by whoever decides, and by a second opinion. All it changes are the cases of the unit, and
the pace, of which the last of the final checks takes its tokens.
"""

from collections.abc import Sequence
from math import lcm
from typing import Final

from lowlat.core.layout import Rule
from lowlat.core.units import E4
from lowlat.risk._case import Case
from lowlat.risk.case import Unit
from lowlat.risk.checks import FINAL_CHECKS, LEG_CHECKS, UNIT_CHECKS, UnitCheck
from lowlat.risk.state import LEGS_MAX, RiskState

__all__ = ["judge", "spend_e6"]

_CENT_E6: Final = 10_000


def judge(
    unit: Unit, state: RiskState, final_checks: Sequence[UnitCheck] = FINAL_CHECKS
) -> Case | None:
    """Run every check in order; return the leg that was refused, None when all may be sent."""
    cases = unit.cases
    for case in cases:
        for check in LEG_CHECKS:
            if check(case, state):
                return case
    refused = _size(unit, state)
    if refused is not None:
        return refused
    for final in final_checks:
        if final(unit, state):
            return next(case for case in cases if case.rule)
    return None


def _size(unit: Unit, state: RiskState) -> Case | None:
    """Bring all legs to one size that the money allows, and walk it; a refused leg or None."""
    cases = unit.cases
    first = cases[0]
    state.common_step_e6 = first.facts.step_e6
    state.common_min_e6 = first.facts.min_size_e6
    if len(cases) > 1:
        if len(cases) > LEGS_MAX:
            first.refuse(Rule.GROUP_INCOMPLETE, LEGS_MAX, len(cases))
            return first
        state.common_step_e6 = _common_step(cases)
        state.common_min_e6 = max(case.facts.min_size_e6 for case in cases)
        _level(cases, state)
    for check in UNIT_CHECKS:
        if check(unit, state):
            return next(case for case in cases if case.rule)
    if len(cases) > 1:
        _level(cases, state)
    for case in cases:
        if _settle_size(case, state):
            return case
    return None


def _settle_size(case: Case, state: RiskState) -> int:
    """Walk the leg at its final size; refuse what became too small."""
    if case.size_e6 < state.common_min_e6 or not case.size_e6:
        return case.refuse(Rule.MIN_SIZE, state.common_min_e6, case.size_e6)
    walk = case.walk
    if walk is not None and walk.filled_e6 != case.size_e6:
        walk = case.walk = state.walk(case, case.size_e6)
        if not walk.complete:
            return case.refuse(Rule.DEPTH, walk.filled_e6, case.size_e6)
    least_e6 = state.limits.order_notional_e6_min
    if case.buys and spend_e6(case) < least_e6:
        return case.refuse(Rule.MIN_SIZE, least_e6, spend_e6(case))
    return 0


def _level(cases: list[Case], state: RiskState) -> None:
    """Give all legs the size of the smallest; each keeps the rule that cut it most."""
    smallest = min(cases, key=_case_size)
    size_e6 = state.floor_size(smallest.size_e6, state.common_step_e6)
    for case in cases:
        if case.size_e6 > size_e6:
            rule = smallest.cut_rule or Rule.CUT
            case.cut(size_e6, rule, smallest.cut_limit, smallest.cut_was)


def spend_e6(case: Case) -> int:
    """Return the dollars a BUY signs: walked cost floored to the cent, or size times limit."""
    walk = case.walk
    cost_e6: int = case.limit_price_e4 * case.size_e6 // E4 if walk is None else walk.cost_e6
    return cost_e6 - cost_e6 % _CENT_E6


def _common_step(cases: list[Case]) -> int:
    """Return the ladder step that suits every leg."""
    return lcm(*(case.facts.step_e6 for case in cases))


def _case_size(case: Case) -> int:
    size_e6: int = case.size_e6
    return size_e6
