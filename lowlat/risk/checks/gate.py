"""Whether anything may be sent now at all: halts, the module's mode, room downstream, pace."""

from lowlat.core.layout import Rule
from lowlat.risk.case import Case, Unit
from lowlat.risk.state import RiskState

__all__ = ["check_halted", "check_module", "check_pace", "check_room"]

_HALTED = int(Rule.HALTED)
_DRAWDOWN = int(Rule.DRAWDOWN)
_NOT_RECONCILED = int(Rule.NOT_RECONCILED)
_MODULE_OFF = int(Rule.MODULE_OFF)
_NO_ROOM = int(Rule.NO_ROOM)
_OPEN_ORDERS = int(Rule.OPEN_ORDERS)
_RATE = int(Rule.RATE)


def check_halted(case: Case, state: RiskState) -> int:
    """Refuse everything while a halt cell is set, and what adds risk after a drawdown."""
    code = state.halt_code
    if code:
        return case.refuse(_HALTED, 0, code)
    if state.waiting:
        return case.refuse(_NOT_RECONCILED, 0, 1)
    if state.drawdown_halted and case.buys:
        return case.refuse(_DRAWDOWN, state.limits.drawdown_max_ppm, state.drawdown_ppm)
    return 0


def check_module(unit: Unit, state: RiskState) -> int:
    """Stop what a module only shadows: it passed everything else."""
    first = unit.cases[0]
    if first.mode < state.limits.mode_min:
        return first.refuse(_MODULE_OFF, state.limits.mode_min, first.mode)
    return 0


def check_room(unit: Unit, state: RiskState) -> int:
    """Refuse new orders while executor, ledger or the order table has no room for them."""
    first = unit.cases[0]
    count = len(unit.cases)
    if state.intents_free() < count:
        return first.refuse(_NO_ROOM, state.intents_free(), count)
    if state.decisions_free() < state.decisions_reserve:
        return first.refuse(_NO_ROOM, state.decisions_reserve, state.decisions_free())
    open_count = len(state.own) + count
    if open_count > state.limits.open_orders_max:
        return first.refuse(_OPEN_ORDERS, state.limits.open_orders_max, open_count)
    return 0


def check_pace(unit: Unit, state: RiskState) -> int:
    """Spend a token an order; a unit that does not fit is refused whole."""
    count = len(unit.cases)
    if not state.take_tokens(count):
        return unit.cases[0].refuse(_RATE, state.limits.orders_per_s, count)
    return 0
