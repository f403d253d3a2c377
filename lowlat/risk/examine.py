"""Say of one order what every rule thinks of it: refused, cut to how much, or no objection. Pure.

For people who ask beforehand (``lowlat risk check``), never on the order path. Each check runs by
itself on the size that was asked for, so one refusal hides no other; what a check needs from
earlier ones (facts, book, walk) is made first, and where that is impossible the check says so.
The last word is the engine's own decision, which the caller gets by sending the signal through it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from lowlat.core.layout import Rule
from lowlat.risk._case import Case
from lowlat.risk.case import Unit
from lowlat.risk.checks import FINAL_CHECKS, LEG_CHECKS, UNIT_CHECKS, LegCheck, UnitCheck
from lowlat.risk.checks.depth import check_depth
from lowlat.risk.checks.gate import check_halted, check_owner
from lowlat.risk.checks.market import check_book, check_grid, check_market
from lowlat.risk.state import RiskState

__all__ = ["Opinion", "Use", "examine", "uses"]

_PPM: Final = 1_000_000
_NEEDS_MARKET: Final[tuple[LegCheck, ...]] = (check_owner, check_market)
_NEEDS_BOOK: Final[tuple[LegCheck, ...]] = (*_NEEDS_MARKET, check_book)
_NEEDS_ALL: Final[tuple[LegCheck, ...]] = (*_NEEDS_BOOK, check_depth)


class Opinion(NamedTuple):
    """What one check says. ``rule`` APPROVED: no objection; ``size_e6`` 0: refused."""

    check: str
    rule: Rule
    limit: int
    was: int
    size_e6: int
    missing: str = ""
    """Which earlier check left out what this one needs; it says nothing then."""


class Use(NamedTuple):
    """A limit of the bankroll, what is used of it, and what would be with the order."""

    name: str
    limit_e6: int
    used_e6: int
    with_order_e6: int


def examine(state: RiskState, fresh: Callable[[], Case]) -> list[Opinion]:
    """Run every check but the pace on a fresh case each; the pace is a matter of the moment."""
    found = []
    for leg in LEG_CHECKS:
        needs = _NEEDS_BOOK
        if leg in (check_halted, *_NEEDS_MARKET):
            needs = _NEEDS_MARKET[: _NEEDS_MARKET.index(leg)] if leg is check_market else ()
        elif leg in (check_book, check_grid):
            needs = _NEEDS_MARKET
        found.append(_ask_leg(state, leg, needs, fresh()))
    found += [_ask_unit(state, check, fresh()) for check in (*UNIT_CHECKS, *FINAL_CHECKS[:-1])]
    return found


def _prepared(state: RiskState, case: Case, needs: tuple[LegCheck, ...]) -> str:
    """Run what a check needs and forget what it cut; return what stopped it."""
    for need in needs:
        if not need(case, state):
            continue
        if need is not check_depth:
            return _name(need)
        # The book does not serve it now: what it would cost and lose at its limit is known.
        case.unit_cost_e6 = state.unit_cost_e6(case)
    case.size_e6 = case.suggested_e6
    case.rule = case.cut_rule = 0
    return ""


def _ask_leg(state: RiskState, check: LegCheck, needs: tuple[LegCheck, ...], case: Case) -> Opinion:
    missing = _prepared(state, case, needs)
    if missing:
        return _silent(check, case, missing)
    if check is not check_grid and needs == _NEEDS_BOOK:
        case.size_e6 = state.floor_size(case.suggested_e6, case.facts.step_e6)
    return _opinion(check, case, refused=bool(check(case, state)))


def _ask_unit(state: RiskState, check: UnitCheck, case: Case) -> Opinion:
    missing = _prepared(state, case, _NEEDS_ALL)
    if missing:
        return _silent(check, case, missing)
    facts = case.facts
    state.common_step_e6, state.common_min_e6 = facts.step_e6, facts.min_size_e6
    case.size_e6 = state.floor_size(case.suggested_e6, facts.step_e6)
    return _opinion(check, case, refused=bool(check(Unit(case, 0, state.now_ns), state)))


def _silent(check: LegCheck | UnitCheck, case: Case, missing: str) -> Opinion:
    return Opinion(_name(check), Rule.APPROVED, 0, 0, case.suggested_e6, missing)


def _opinion(check: LegCheck | UnitCheck, case: Case, *, refused: bool) -> Opinion:
    if refused:
        return Opinion(_name(check), Rule(case.rule), case.limit, case.was, 0)
    rule = Rule(case.cut_rule)
    return Opinion(_name(check), rule, case.cut_limit, case.cut_was, case.size_e6)


def _name(check: LegCheck | UnitCheck) -> str:
    return check.__name__.removeprefix("check_")


def uses(state: RiskState, case: Case) -> list[Use]:
    """List what is used of the limits that an order of this market counts against.

    Empty when the market or its book cannot be read.
    """
    if _prepared(state, case, _NEEDS_ALL):
        return []
    limits, bankroll_e6, exposure = state.limits, state.bankroll_e6, state.exposure
    holding, bucket = case.holding, case.holding.bucket
    need_e6 = -(-case.unit_cost_e6 * case.size_e6 // 1_000_000)
    held_e6 = state.held_e6
    bet_e6 = bucket.correlated_loss_e6
    rows = [
        ("loss of this market", limits.market_loss_max_ppm, holding.loss_e6),
        ("loss of its event or underlying", limits.correlated_loss_max_ppm, bet_e6),
        ("loss of all markets", limits.total_loss_max_ppm, exposure.total_e6),
        ("cash locked", limits.cash_locked_max_ppm, exposure.cost_e6 + held_e6),
        ("capital of its module", case.score.budget_ppm, case.score.used_e6),
    ]
    if bucket.series is not None:
        rows.append(("loss of its series", limits.series_loss_max_ppm, bucket.series.loss_e6))
    if bucket.source is not None:
        rows.append(("loss of its source", limits.source_loss_max_ppm, bucket.source.loss_e6))
    if holding.is_long:
        rows.append(("capital that ends late", limits.long_locked_max_ppm, exposure.long_e6))
    found = [Use(name, bankroll_e6 * ppm // _PPM, e6, e6 + need_e6) for name, ppm, e6 in rows]
    spent_e6 = limits.notional_window_e6_max - state.outlay.room_e6(state.now_ns)
    window = ("new orders of the window", limits.notional_window_e6_max, spent_e6)
    found.append(Use(*window, spent_e6 + need_e6))
    found.append(Use("cash", state.cash_e6, held_e6, held_e6 + need_e6))
    return found
