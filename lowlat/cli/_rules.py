"""The limits of each risk rule in words: what the two numbers of a decision mean."""

from collections.abc import Callable
from typing import Final

from lowlat.cli._words import count, dollars, duration, price, shares
from lowlat.core.layout import DecisionRecord, Rule
from lowlat.core.units import NO_PRICE_E4

__all__ = ["FACTS", "MEANINGS", "explain", "nearness"]

Words = Callable[[int], str]


def _ppm(value: int) -> str:
    return f"{value / 10_000:.2f} %"


def _price(value: int) -> str:
    return "none" if value == NO_PRICE_E4 else price(value)


_UNITS: Final[dict[int, Words]] = {
    Rule.MARKET_LIMIT: dollars,
    Rule.TOTAL_LIMIT: dollars,
    Rule.CORRELATED_LIMIT: dollars,
    Rule.SERIES_LIMIT: dollars,
    Rule.SOURCE_LIMIT: dollars,
    Rule.LONG_LOCKED: dollars,
    Rule.NOTIONAL_RATE: dollars,
    Rule.MODULE_LOSS: dollars,
    Rule.MODULE_BUDGET: dollars,
    Rule.MERGED: dollars,
    Rule.KELLY: shares,
    Rule.NOT_OWNED: shares,
    Rule.DAMPED: _ppm,
    Rule.RESOLUTION_RISK: count,
    Rule.CASH: dollars,
    Rule.RESERVE: dollars,
    Rule.NOTIONAL: dollars,
    Rule.OUTRANKED: dollars,
    Rule.DRAWDOWN: _ppm,
    Rule.DUPLICATE: duration,
    Rule.DEPTH: shares,
    Rule.POSITION: shares,
    Rule.FAT_FINGER: shares,
    Rule.CUT: shares,
    Rule.PRICE_BAND: _price,
    Rule.OFF_GRID: _price,
    Rule.SELF_CROSS: _price,
    Rule.EXIT_STOP: _price,
    Rule.EXIT_TARGET: _price,
    Rule.EXIT_TIME: duration,
    Rule.RATE: count,
    Rule.OPEN_ORDERS: count,
    Rule.NO_ROOM: count,
}
_SPANS: Final[dict[int, str]] = {
    Rule.TOO_LATE: "its end is over by {was}, at most {limit} is allowed"
}
"""Two spans of time from a market's end; negative: before it."""
_TIMES: Final = frozenset({Rule.EXPIRED, Rule.STALE_BOOK})
"""Their limit and value are two moments: only the difference means something."""
FACTS: Final[dict[int, str]] = {
    Rule.HALTED: "new orders are halted",
    Rule.NOT_TRADEABLE: "a fact that trading needs is unknown, or it takes no orders",
    Rule.START_PRICE_UNKNOWN: "the start price of its window is not known exactly",
    Rule.NOT_RECONCILED: "the account was not yet compared with the venue",
    Rule.GENERATION_GONE: "the market ended; its row is another one's",
    Rule.BOOK_UNHEALTHY: "its book is crossed, locked or diverged",
    Rule.GROUP_INCOMPLETE: "another leg of its group was refused or missing",
    Rule.MODULE_OFF: "its module may not send",
    Rule.CONFLICT: "it contradicts another signal",
    Rule.EXIT_ORPHAN: "its module is off, so risk sells what it left",
    Rule.DROPPED_EPOCH: "the engine was restarted before it was decided",
}
"""Facts without a distance, in words."""
MEANINGS: Final[dict[int, str]] = FACTS | {
    Rule.APPROVED: "sent as it was wished",
    Rule.CUT: "sent smaller: the decision says by which rule",
    Rule.EXPIRED: "its latency budget was spent before it was decided",
    Rule.DUPLICATE: "the same wish again within the window",
    Rule.OUTRANKED: "better wishes of the same turn took the room",
    Rule.STALE_BOOK: "the connection behind its book is gone or silent",
    Rule.NO_EDGE: "not worth enough after fees, slippage and delay",
    Rule.OFF_GRID: "its price is not on the tick",
    Rule.MIN_SIZE: "below the venue's least order, often after a cut",
    Rule.MARKET_LIMIT: "loss limit of its market or event",
    Rule.TOTAL_LIMIT: "loss limit of everything held",
    Rule.CORRELATED_LIMIT: "loss limit of markets that fall together",
    Rule.SERIES_LIMIT: "loss limit of its series",
    Rule.SOURCE_LIMIT: "loss limit of all that one source resolves",
    Rule.LONG_LOCKED: "share of capital in what ends late, or nobody knows when",
    Rule.CASH: "cash that nothing else holds, or its share of the bankroll",
    Rule.RESERVE: "cash for the unwind of its group",
    Rule.DRAWDOWN: "the account is too far below its peak",
    Rule.DEPTH: "more than its share of what the book shows",
    Rule.IMPACT: "it would move the price too far",
    Rule.RATE: "orders a second",
    Rule.NOTIONAL: "dollars of one order",
    Rule.NOTIONAL_RATE: "dollars of new orders within the window",
    Rule.FAT_FINGER: "shares of one order",
    Rule.PRICE_BAND: "too far from the touch",
    Rule.SELF_CROSS: "it would meet an order of our own",
    Rule.POSITION: "more than is held and settled",
    Rule.NOT_OWNED: "its module sells only what it owns",
    Rule.RESOLUTION_RISK: "how its market resolves is too uncertain",
    Rule.BREAKER: "too many errors of one kind, or the venue takes none now",
    Rule.NO_CONNECTION: "no warm idle connection: nothing left the machine",
    Rule.NO_ROOM: "no free order row, or the ledger is too far behind",
    Rule.OPEN_ORDERS: "orders open at the same time",
    Rule.KELLY: "share of the bankroll that its edge is worth",
    Rule.TOO_LATE: "its market ends too soon, or ended",
    Rule.MODULE_LOSS: "its module lost too much today",
    Rule.MODULE_BUDGET: "capital that its module may hold",
    Rule.DAMPED: "its module's promises did not come true",
    Rule.MERGED: "it went into a better wish of the same token",
    Rule.CROSSED: "it met another module's opposite wish inside",
    Rule.EXIT_STOP: "risk sells: so far below cost",
    Rule.EXIT_TARGET: "risk sells: the bid reached the target",
    Rule.EXIT_TIME: "risk sells: held for long enough",
}
"""What each rule looks at, for whoever reads its name the first time."""


def explain(decision: DecisionRecord) -> str:
    """Say the limit of a decision and what met it, in the unit of its rule."""
    rule, limit, was = decision.rule, decision.limit, decision.was
    if rule in _TIMES:
        return f"late by {duration(was - limit)}" if rule == Rule.EXPIRED else "book too old"
    if rule in FACTS:
        return FACTS[rule]
    if rule == Rule.CROSSED and decision.size_e6 and not decision.approved:
        return f"{shares(was)} changed owner inside at {price(limit)}: nothing went to the venue"
    if rule == Rule.CROSSED:
        return f"{shares(was)} met another module's opposite wish at {price(limit)}"
    if rule in _SPANS:
        return _SPANS[rule].format(was=duration(was), limit=duration(limit))
    words = _words_of(decision)
    return f"limit {words(limit)}, was {words(was)}"


def nearness(decision: DecisionRecord) -> float | None:
    """Return how far off a refusal was as a share of its limit; None where that means nothing."""
    rule = decision.rule
    if decision.approved or rule in FACTS or rule in _TIMES or not decision.limit:
        return None
    return abs(decision.was - decision.limit) / abs(decision.limit)


def _words_of(decision: DecisionRecord) -> Words:
    """Pick the unit; three rules compare in two units and tell by what they compare."""
    rule = decision.rule
    if rule == Rule.NO_EDGE:
        return _price if decision.limit == decision.limit_price_e4 else dollars
    if rule == Rule.MIN_SIZE:
        return shares if decision.was == decision.size_suggestion_e6 else dollars
    if rule == Rule.IMPACT:
        # Either average over touch in ppm, or slippage in base units: the record does not say.
        return lambda value: f"{count(value)} (ppm of the price, or millionths of a dollar)"
    return _UNITS.get(rule, count)
