"""Whether this market may be traded on what is known of it and its book."""

from lowlat.core.layout import BookFlag, Rule
from lowlat.core.units import ONE_E4
from lowlat.risk.case import Case
from lowlat.risk.state import RiskState

__all__ = ["check_book", "check_grid", "check_market", "check_share"]

_GENERATION_GONE = int(Rule.GENERATION_GONE)
_NOT_TRADEABLE = int(Rule.NOT_TRADEABLE)
_START_PRICE_UNKNOWN = int(Rule.START_PRICE_UNKNOWN)
_STALE_BOOK = int(Rule.STALE_BOOK)
_BOOK_UNHEALTHY = int(Rule.BOOK_UNHEALTHY)
_OFF_GRID = int(Rule.OFF_GRID)
_MIN_SIZE = int(Rule.MIN_SIZE)
_TOO_LATE = int(Rule.TOO_LATE)
_RESOLUTION_RISK = int(Rule.RESOLUTION_RISK)
_DAMPED = int(Rule.DAMPED)
_PPM = 1_000_000
_HALF_PPM = 500_000
_STALE = int(BookFlag.STALE)
_ODD = int(BookFlag.CROSSED | BookFlag.LOCKED | BookFlag.DIVERGED)
_CONFIRMED = int(BookFlag.CONFIRMED)
_DIVERGED = int(BookFlag.DIVERGED)


def check_market(case: Case, state: RiskState) -> int:
    """Refuse a market that is gone, not fully known, not active, or without its start price."""
    facts = state.facts.get(case.market)
    if facts is None or facts.generation != case.generation:
        return case.refuse(
            _GENERATION_GONE, case.generation, -1 if facts is None else facts.generation
        )
    case.facts = facts
    if not facts.tradeable:
        return case.refuse(_NOT_TRADEABLE, 1, 0)
    if not facts.start_known:
        return case.refuse(_START_PRICE_UNKNOWN, 1, 0)
    if case.buys and (_too_late(case, state) or _too_doubtful(case, state)):
        return case.rule
    if state.exposure.occupied(facts):
        return case.refuse(_GENERATION_GONE, facts.generation, case.generation)
    case.holding = state.exposure.holding(facts)
    return 0


def _too_late(case: Case, state: RiskState) -> int:
    limits = state.limits
    grace_ns = -limits.window_left_ns_min if case.facts.windowed else limits.past_end_ns_max
    over_ns = state.wall_ns - case.facts.end_ns
    return case.refuse(_TOO_LATE, grace_ns, over_ns) if over_ns >= grace_ns else 0


def _too_doubtful(case: Case, state: RiskState) -> int:
    """Refuse a market whose resolution is too doubtful; sets win whatever the outcome is."""
    limits = state.limits
    most = limits.resolution_score_set_max if case.legs > 1 else limits.resolution_score_max
    score = case.facts.risk_score
    return case.refuse(_RESOLUTION_RISK, most, score) if score > most else 0


def check_share(case: Case, state: RiskState) -> int:
    """Leave a doubtful market half of the size, and a damped module its share of that."""
    if not case.buys:
        return 0
    facts = case.facts
    size_e6 = case.size_e6
    if facts.risk_score > state.limits.resolution_score_full and case.legs == 1:
        cut_e6 = state.floor_size(size_e6 * _HALF_PPM // _PPM, facts.step_e6)
        limit, was = state.limits.resolution_score_full, facts.risk_score
        if cut_e6 < facts.min_size_e6 or not cut_e6:
            return case.refuse(_RESOLUTION_RISK, limit, was)
        case.cut(cut_e6, _RESOLUTION_RISK, limit, was)
    damp_ppm = case.score.damp_ppm
    if damp_ppm < _PPM:
        cut_e6 = state.floor_size(case.size_e6 * damp_ppm // _PPM, facts.step_e6)
        if cut_e6 < facts.min_size_e6 or not cut_e6:
            return case.refuse(_DAMPED, damp_ppm, _PPM)
        case.cut(cut_e6, _DAMPED, damp_ppm, _PPM)
    return 0


def check_book(case: Case, state: RiskState) -> int:
    """Refuse a book whose connection is gone, that is crossed, locked or diverged."""
    view = state.read_book(case)
    if view is None:
        return case.refuse(_STALE_BOOK, 0, -1)
    case.view = view
    flags = view.flags
    if (
        flags & _STALE
        or view.generation != case.generation
        or not state.shards.is_fresh(view.shard, view.connection_generation, state.now_ns)
    ):
        return case.refuse(_STALE_BOOK, state.now_ns, view.recv_ns)
    # A crossing that a REST re-read shows too is a price, not an error (design 7).
    if flags & _ODD and (flags & _DIVERGED or not flags & _CONFIRMED):
        return case.refuse(_BOOK_UNHEALTHY, 0, flags)
    if view.tick_e4 != case.facts.tick_e4:
        return case.refuse(_OFF_GRID, case.facts.tick_e4, view.tick_e4)
    return 0


def check_grid(case: Case, state: RiskState) -> int:
    """Refuse a limit off the price grid; round the size down onto the template ladder."""
    facts = case.facts
    tick_e4 = facts.tick_e4
    price_e4 = case.limit_price_e4
    if price_e4 % tick_e4 or not tick_e4 <= price_e4 <= ONE_E4 - tick_e4:
        return case.refuse(_OFF_GRID, tick_e4, price_e4)
    case.size_e6 = state.floor_size(case.size_e6, facts.step_e6)
    if case.size_e6 < facts.min_size_e6 or not case.size_e6:
        return case.refuse(_MIN_SIZE, facts.min_size_e6, case.suggested_e6)
    return 0
