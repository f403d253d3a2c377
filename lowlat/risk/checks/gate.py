"""Whether anything may be sent now at all: halts, the module, room downstream, pace, outlay."""

from lowlat.core.layout import Rule
from lowlat.core.units import E6
from lowlat.risk.case import Case, Unit
from lowlat.risk.state import RiskState

__all__ = [
    "check_halted",
    "check_module",
    "check_outlay",
    "check_owner",
    "check_pace",
    "check_room",
]

_HALTED = int(Rule.HALTED)
_DRAWDOWN = int(Rule.DRAWDOWN)
_NOT_RECONCILED = int(Rule.NOT_RECONCILED)
_MODULE_OFF = int(Rule.MODULE_OFF)
_NO_ROOM = int(Rule.NO_ROOM)
_OPEN_ORDERS = int(Rule.OPEN_ORDERS)
_RATE = int(Rule.RATE)
_NOTIONAL_RATE = int(Rule.NOTIONAL_RATE)
_MODULE_LOSS = int(Rule.MODULE_LOSS)
_PPM = 1_000_000


def check_halted(case: Case, state: RiskState) -> int:
    """Refuse everything while a halt cell is set, and what adds risk after a drawdown."""
    code = state.halt_code
    if code:
        return case.refuse(_HALTED, 0, code)
    if state.waiting:
        return case.refuse(_NOT_RECONCILED, 0, 1)
    if state.drawdown_halted and case.buys:
        limits = state.limits
        if state.trailing_ppm > limits.trailing_drawdown_max_ppm:
            return case.refuse(_DRAWDOWN, limits.trailing_drawdown_max_ppm, state.trailing_ppm)
        return case.refuse(_DRAWDOWN, limits.drawdown_max_ppm, state.drawdown_ppm)
    return 0


def check_owner(case: Case, state: RiskState) -> int:
    """Find the module's words; a module that lost too much today may only sell."""
    case.score = state.scores.score(case.module)
    if case.score.stopped and case.buys:
        most_e6 = state.bankroll_e6 * state.limits.module_loss_max_ppm // _PPM
        lost_e6 = state.scores.records[case.module].loss_today_e6
        return case.refuse(_MODULE_LOSS, most_e6, lost_e6)
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
    if state.now_ns < state.full_until_ns:
        return first.refuse(_NO_ROOM, 0, count)
    open_count = len(state.own) + count
    if open_count > state.limits.open_orders_max:
        return first.refuse(_OPEN_ORDERS, state.limits.open_orders_max, open_count)
    return 0


def check_outlay(unit: Unit, state: RiskState) -> int:
    """Refuse what the cash of new orders within the window has no room for."""
    need_e6 = sum(-(-case.unit_cost_e6 * case.size_e6 // E6) for case in unit.cases)
    room_e6 = state.outlay.room_e6(state.now_ns)
    if need_e6 > room_e6:
        most_e6 = state.limits.notional_window_e6_max
        return unit.cases[0].refuse(_NOTIONAL_RATE, most_e6, most_e6 - room_e6 + need_e6)
    return 0


def check_pace(unit: Unit, state: RiskState) -> int:
    """Spend a token an order; a unit that does not fit is refused whole."""
    count = len(unit.cases)
    if not state.take_tokens(count):
        return unit.cases[0].refuse(_RATE, state.limits.orders_per_s, count)
    return 0
