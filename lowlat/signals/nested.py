"""Which markets are nested: whenever the narrower one is YES, so is the wider one.

Used by ``arbitrage``. YES of the wider and NO of the narrower together pay a dollar in every
outcome, and two in between, so below a dollar after fees they are a set like any other.

* strikes: the same candle of the same coin above a lower and a higher price. Coin, candle and
  strike are what the rule reader found and cross-checked (BINANCE_ABOVE). Equal strikes are nested
  both ways;
* dates: markets of one event that ask the same question by an earlier and a later date. Question
  and end time must name the same day, and wording, source and series be the same; else they are
  two questions.

Nothing else is guessed. Source: feeds.md 6.1 (nested events: test P(>a) >= P(>b), not their sum).
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from lowlat.core.layout import Known, MarketRow, SettleRule, Wording
from lowlat.venues.polymarket.windows import NEW_YORK, month_number

__all__ = ["Place", "place_of"]

_NONE: Final = bytes(32)
_S_NS: Final = 1_000_000_000
_BY: Final = re.compile(
    r"(?P<stem>.{8,}) by (?P<month>[a-z]+) (?P<day>[0-9]{1,2})(?:, (?P<year>[0-9]{4}))?\?"
)
_SIZE_MAX: Final = 95
"""A question this long may have lost its end: the row keeps 96 bytes."""


class Place(NamedTuple):
    """Where a market stands in its chain: YES of a lower order holds whenever a higher one does."""

    chain: tuple[object, ...]
    order: int


def place_of(row: MarketRow) -> Place | None:
    """Return a market's chain and its place in it; None when it is in none for sure."""
    if not row.known & Known.SETTLE_RULE or row.neg_risk:
        return None
    if row.settle_rule == SettleRule.BINANCE_ABOVE:
        if row.strike_e8 <= 0:
            return None
        return Place(("above", row.coin, row.start_ns, row.end_ns), row.strike_e8)
    if row.settle_rule == SettleRule.NOT_CRYPTO:
        return _by_date(row)
    return None


def _by_date(row: MarketRow) -> Place | None:
    needed = Wording.TEXT | Wording.TIME_LIMIT
    alone = row.event_id == _NONE or row.event_market_count < 2
    if alone or row.wording & needed != needed or not row.end_ns or row.rules_changes:
        return None
    question = row.question.rstrip(b"\0").decode("ascii", "replace").lower()
    match = _BY.fullmatch(question)
    if match is None or len(question) >= _SIZE_MAX or not _names_end(match, row.end_ns):
        return None
    chain = (
        "by",
        row.event_id,
        match["stem"],
        row.wording,
        row.source_hash,
        row.series_hash,
        row.category,
    )
    # The latest date is the widest.
    return Place(chain, -row.end_ns)


def _names_end(match: re.Match[str], end_ns: int) -> bool:
    """Whether the date in the question is the day on which the market ends, here or in UTC."""
    month = month_number(match["month"])
    days = [datetime.fromtimestamp(end_ns // _S_NS, zone) for zone in (UTC, NEW_YORK)]
    return any(
        (day.month, day.day) == (month, int(match["day"]))
        and match["year"] in {None, str(day.year)}
        for day in days
    )
