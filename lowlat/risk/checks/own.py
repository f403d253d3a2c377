"""Against what we hold and have sent: sells need shares, sizes have caps, no self-cross."""

from lowlat.core.layout import Action, Rule
from lowlat.core.units import E4
from lowlat.risk.case import Case, Unit
from lowlat.risk.reservations import yes_terms
from lowlat.risk.state import RiskState

__all__ = ["check_position", "check_self_cross", "check_size_caps"]

_POSITION = int(Rule.POSITION)
_NOT_OWNED = int(Rule.NOT_OWNED)
_BUY = int(Action.BUY)
_FAT_FINGER = int(Rule.FAT_FINGER)
_NOTIONAL = int(Rule.NOTIONAL)
_SELF_CROSS = int(Rule.SELF_CROSS)
_MIN_SIZE = int(Rule.MIN_SIZE)


def check_position(case: Case, state: RiskState) -> int:
    """Sell only settled shares that no other order sells, the module's own or orphaned ones.

    Source: polymarket.md 15, row 5.
    """
    if case.buys:
        return 0
    holding = case.holding
    free_e6 = holding.confirmed_e6[case.outcome] - holding.selling_e6[case.outcome]
    mine = [order for order in state.own if order.score is case.score]
    selling_e6 = sum(
        order.size_e6
        for order in mine
        if order.instrument == case.instrument and order.action != _BUY
    )
    own_e6 = state.scores.for_sale_e6(case.module, case.instrument) - selling_e6
    for rule, room_e6 in ((_POSITION, free_e6), (_NOT_OWNED, own_e6)):
        if room_e6 < case.size_e6:
            size_e6 = state.floor_size(max(0, room_e6), case.facts.step_e6)
            if size_e6 < case.facts.min_size_e6 or not size_e6:
                return case.refuse(rule, room_e6, case.size_e6)
            case.cut(size_e6, rule, room_e6, case.size_e6)
    return 0


def check_size_caps(case: Case, state: RiskState) -> int:
    """Refuse absurd share counts; cut to the notional cap of one order."""
    limits = state.limits
    size_e6 = case.size_e6
    if size_e6 > limits.order_shares_e6_max:
        return case.refuse(_FAT_FINGER, limits.order_shares_e6_max, size_e6)
    notional_e6 = case.limit_price_e4 * size_e6 // E4
    most_e6 = limits.order_notional_e6_max
    if notional_e6 > most_e6:
        smaller_e6 = state.floor_size(most_e6 * E4 // case.limit_price_e4, case.facts.step_e6)
        if smaller_e6 < case.facts.min_size_e6 or not smaller_e6:
            return case.refuse(_NOTIONAL, most_e6, notional_e6)
        case.cut(smaller_e6, _NOTIONAL, most_e6, notional_e6)
    elif notional_e6 < limits.order_notional_e6_min and case.buys:
        return case.refuse(_MIN_SIZE, limits.order_notional_e6_min, notional_e6)
    return 0


def check_self_cross(unit: Unit, state: RiskState) -> int:
    """Refuse what would trade with an own order of either token, or with its own group."""
    cases = unit.cases
    for at, case in enumerate(cases):
        price_e4 = state.order_price_e4(case)
        if state.own.orders_in(case.market):
            other = state.own.crossing(case.market, case.outcome, case.action, price_e4)
            if other is not None:
                return case.refuse(_SELF_CROSS, other.price_e4, price_e4)
        for sibling in cases[:at]:
            if sibling.market == case.market:
                buys, yes_e4 = yes_terms(case.outcome, case.action, price_e4)
                other_buys, other_e4 = yes_terms(
                    sibling.outcome, sibling.action, state.order_price_e4(sibling)
                )
                if buys != other_buys and (yes_e4 >= other_e4 if buys else yes_e4 <= other_e4):
                    return case.refuse(_SELF_CROSS, other_e4, yes_e4)
    return 0
