"""Against the bankroll: what may be lost, in a market, together, in all; and the cash itself.

Each rule cuts to the room that is left, or refuses when that is below the minimum.
"""

from lowlat.core.layout import Rule
from lowlat.core.units import E6
from lowlat.risk._exposure import Bet
from lowlat.risk.case import Case, Unit
from lowlat.risk.state import RiskState

__all__ = ["check_budget", "check_cash", "check_exposure", "check_groups", "check_locked"]

_MARKET_LIMIT = int(Rule.MARKET_LIMIT)
_CORRELATED_LIMIT = int(Rule.CORRELATED_LIMIT)
_TOTAL_LIMIT = int(Rule.TOTAL_LIMIT)
_CASH = int(Rule.CASH)
_RESERVE = int(Rule.RESERVE)
_SERIES_LIMIT = int(Rule.SERIES_LIMIT)
_SOURCE_LIMIT = int(Rule.SOURCE_LIMIT)
_LONG_LOCKED = int(Rule.LONG_LOCKED)
_MODULE_BUDGET = int(Rule.MODULE_BUDGET)
_PPM = 1_000_000


def check_exposure(unit: Unit, state: RiskState) -> int:
    """Cut to the room under the three loss limits; refuse when the room is below the minimum.

    Cash in flight counts as lost in full. A SELL takes no cash and adds no loss.
    """
    cases = unit.cases
    limits = state.limits
    bankroll_e6 = state.bankroll_e6
    exposure = state.exposure
    total_unit_e6 = 0
    for case in cases:
        total_unit_e6 += case.unit_cost_e6
    if not total_unit_e6:
        return 0
    market_most_e6 = bankroll_e6 * limits.market_loss_max_ppm // _PPM
    correlated_most_e6 = bankroll_e6 * limits.correlated_loss_max_ppm // _PPM
    by_market: dict[int, int] = {}
    by_bet: dict[object, int] = {}
    for case in cases:
        bet = _bet(case)
        by_market[case.market] = by_market.get(case.market, 0) + case.unit_cost_e6
        by_bet[bet] = by_bet.get(bet, 0) + case.unit_cost_e6
    for case in cases:
        if not case.unit_cost_e6:
            continue
        holding = case.holding
        same_e6 = by_market[case.market]
        together_e6 = by_bet[_bet(case)]
        rule = _fit(case, state, _MARKET_LIMIT, market_most_e6, holding.loss_e6, same_e6) or _fit(
            case,
            state,
            _CORRELATED_LIMIT,
            correlated_most_e6,
            holding.bucket.correlated_loss_e6,
            together_e6,
        )
        if rule:
            return rule
    total_most_e6 = bankroll_e6 * limits.total_loss_max_ppm // _PPM
    return _fit(cases[0], state, _TOTAL_LIMIT, total_most_e6, exposure.total_e6, total_unit_e6)


def check_groups(unit: Unit, state: RiskState) -> int:
    """Cut to the room of the series and of the source that decides, each as one bet."""
    limits = state.limits
    for rule, ppm, bet_of in (
        (_SERIES_LIMIT, limits.series_loss_max_ppm, _series),
        (_SOURCE_LIMIT, limits.source_loss_max_ppm, _source),
    ):
        by_bet: dict[Bet, int] = {}
        for case in unit.cases:
            bet = bet_of(case)
            if bet is not None:
                by_bet[bet] = by_bet.get(bet, 0) + case.unit_cost_e6
        most_e6 = state.bankroll_e6 * ppm // _PPM
        for case in unit.cases:
            bet = bet_of(case)
            if bet is not None and case.unit_cost_e6:
                refused = _fit(case, state, rule, most_e6, bet.loss_e6, by_bet[bet])
                if refused:
                    return refused
    return 0


def check_locked(unit: Unit, state: RiskState) -> int:
    """Cut to the room for capital in markets that end late, or nobody knows when."""
    long = [case for case in unit.cases if case.holding.is_long and case.unit_cost_e6]
    if not long:
        return 0
    most_e6 = state.bankroll_e6 * state.limits.long_locked_max_ppm // _PPM
    unit_e6 = sum(case.unit_cost_e6 for case in long)
    return _fit(long[0], state, _LONG_LOCKED, most_e6, state.exposure.long_e6, unit_e6)


def check_budget(unit: Unit, state: RiskState) -> int:
    """Cut to the capital that the module may still take up."""
    first = unit.cases[0]
    unit_e6 = sum(case.unit_cost_e6 for case in unit.cases)
    if not unit_e6:
        return 0
    score = first.score
    most_e6 = state.bankroll_e6 * score.budget_ppm // _PPM
    return _fit(first, state, _MODULE_BUDGET, most_e6, score.used_e6, unit_e6)


def check_cash(unit: Unit, state: RiskState) -> int:
    """Cut to the cash that nothing else holds, unwind reserves included; keep some unlocked."""
    cases = unit.cases
    unit_e6 = unwind_e6 = 0
    for case in cases:
        unit_e6 += case.unit_cost_e6
        if unit.group:
            if not case.buys:
                # A leg that sold can not be undone by buying its complement.
                return case.refuse(_RESERVE, 0, case.action)
            unwind_e6 += state.price_unwind(case)
    if not unit_e6:
        return 0
    first = cases[0]
    free_e6 = state.cash_e6 - state.held_e6
    rule = _fit(first, state, _CASH, state.cash_e6, state.held_e6, unit_e6)
    if rule:
        return rule
    if unwind_e6:
        rule = _fit(first, state, _RESERVE, free_e6, 0, unit_e6 + unwind_e6)
        if rule:
            return rule
    locked_most_e6 = state.bankroll_e6 * state.limits.cash_locked_max_ppm // _PPM
    locked_e6 = state.exposure.cost_e6 + state.held_e6
    return _fit(first, state, _CASH, locked_most_e6, locked_e6, unit_e6)


def _series(case: Case) -> Bet | None:
    return case.holding.bucket.series


def _source(case: Case) -> Bet | None:
    return case.holding.bucket.source


def _bet(case: Case) -> object:
    """Return what makes legs one bet: a shared correlation, else the event or market itself."""
    bucket = case.holding.bucket
    return bucket.bet or bucket


def _fit(
    case: Case, state: RiskState, rule: int, most_e6: int, used_e6: int, unit_cost_e6: int
) -> int:
    """Cut the case to the room that is left at this cost a share; refuse below the minimum."""
    size_e6 = case.size_e6
    need_e6 = -(-size_e6 * unit_cost_e6 // E6)
    if used_e6 + need_e6 <= most_e6:
        return 0
    room_e6 = max(0, most_e6 - used_e6)
    smaller_e6 = state.floor_size(room_e6 * E6 // unit_cost_e6, state.common_step_e6)
    if smaller_e6 < state.common_min_e6 or not smaller_e6:
        return case.refuse(rule, most_e6, used_e6 + need_e6)
    case.cut(smaller_e6, rule, most_e6, used_e6 + need_e6)
    return 0
