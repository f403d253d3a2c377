"""Against the book as it is now: is the price still there, for how much, at what impact."""

from lowlat.core.layout import Rule
from lowlat.core.units import E4, NO_PRICE_E4
from lowlat.risk.case import Case, Unit, usd_e6
from lowlat.risk.state import RiskState

__all__ = ["check_band", "check_depth", "check_edge", "check_impact"]

_PRICE_BAND = int(Rule.PRICE_BAND)
_BOOK_UNHEALTHY = int(Rule.BOOK_UNHEALTHY)
_NO_EDGE = int(Rule.NO_EDGE)
_DEPTH = int(Rule.DEPTH)
_IMPACT = int(Rule.IMPACT)
_PPM = 1_000_000


def check_band(case: Case, state: RiskState) -> int:
    """Refuse a limit too far past the touch, and a post-only price that would take."""
    view = case.view
    if case.buys:
        touch_e4 = view.best_ask_e4(case.outcome)
        past_e4 = case.limit_price_e4 - touch_e4
    else:
        touch_e4 = view.best_bid_e4(case.outcome)
        past_e4 = touch_e4 - case.limit_price_e4
    if touch_e4 == NO_PRICE_E4:
        # A maker may be alone on a side; a taker has nothing to take.
        return case.refuse(_NO_EDGE, case.limit_price_e4, 0) if case.immediate else 0
    if not case.immediate and past_e4 > state.limits.price_band_e4:
        return case.refuse(_PRICE_BAND, state.limits.price_band_e4, past_e4)
    if case.urgency == 0 and past_e4 >= 0:
        return case.refuse(_PRICE_BAND, touch_e4, case.limit_price_e4)
    return 0


def check_depth(case: Case, state: RiskState) -> int:
    """Walk the book up to the limit; cut to what is there, refuse when nothing is."""
    if not case.immediate:
        case.unit_cost_e6 = state.unit_cost_e6(case)
        return 0
    facts = case.facts
    size_e6 = case.size_e6
    walk = state.walk(case, size_e6)
    share_ppm = state.limits.depth_share_max_ppm
    filled_e6 = walk.filled_e6
    if filled_e6 == 0:
        return case.refuse(_NO_EDGE, case.limit_price_e4, walk.touch_price_e4)
    if share_ppm < _PPM:
        seen_e6 = state.walk(case, 2**62).filled_e6 * share_ppm // _PPM
        filled_e6 = min(filled_e6, seen_e6)
    if filled_e6 < size_e6:
        smaller_e6 = state.floor_size(filled_e6, facts.step_e6)
        if smaller_e6 < facts.min_size_e6 or not smaller_e6:
            return case.refuse(_DEPTH, filled_e6, size_e6)
        case.cut(smaller_e6, _DEPTH, filled_e6, size_e6)
        walk = state.walk(case, smaller_e6)
    case.walk = walk
    past_e4 = abs(walk.worst_price_e4 - walk.touch_price_e4)
    if past_e4 > state.limits.price_band_e4:
        return case.refuse(_PRICE_BAND, state.limits.price_band_e4, past_e4)
    # The cap that is sent is the worst level walked, so a share never costs more than this.
    case.unit_cost_e6 = state.unit_cost_e6(case)
    return 0


def check_edge(unit: Unit, state: RiskState) -> int:
    """Refuse what is not worth it even before it is cut."""
    least_usd = state.limits.expected_value_usd_min
    if unit.is_exit:
        return 0
    if not unit.expected_value > least_usd:
        first = unit.cases[0]
        return first.refuse(_NO_EDGE, usd_e6(least_usd), usd_e6(unit.expected_value))
    return 0


def check_impact(unit: Unit, state: RiskState) -> int:
    """Refuse when the average is worse than max(1 %, one tick), or slippage eats the edge.

    The slippage of a group is compared with the edge of the group: its legs share both.
    """
    limits = state.limits
    slip_e6 = 0
    edge_usd = 0.0
    for case in unit.cases:
        walk = case.walk
        if walk is None:
            continue
        edge_usd += case.expected_value * case.size_e6 / case.suggested_e6
        if walk.levels == 1:
            continue
        touch_e4 = walk.touch_price_e4
        most_ppm = max(limits.impact_max_ppm, case.facts.tick_e4 * _PPM // touch_e4)
        impact_ppm = walk.impact_ppm()
        if impact_ppm > most_ppm:
            return case.refuse(_IMPACT, most_ppm, impact_ppm)
        slip_e6 += abs(walk.cost_e6 - touch_e4 * walk.filled_e6 // E4)
    if slip_e6:
        most_e6 = (usd_e6(edge_usd) + slip_e6) * limits.impact_share_max_ppm // _PPM
        if slip_e6 > most_e6:
            return unit.cases[0].refuse(_IMPACT, most_e6, slip_e6)
    return 0
