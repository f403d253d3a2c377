"""How doubtful a market's resolution is: a number with its reasons. Pure; for risk and modules.

The score is a sum of points, 0 (a feed decides) to 100; higher is worse:

==========================================================================  ======
who decides: a published feed, or one official source                            0
several sources, or none that is named                                          15
a judgement, a consensus of reporting, or rules that we do not know              25
a judgement on top of a feed or of an official source                           10
words: a moment decides, or an announcement counts                              10
clarified, or its text changed, while it trades                                 15
outcomes can be added later (augmented neg-risk event)                          15
an outcome is proposed                                                          25
an outcome is disputed                                                          40
was disputed before                                                             15
where the oracle stands is not known                                             5
politics, war, courts                                                           10
what it is about is not known                                                    5
ends in over 30 days                                                             5
ends in over 90 days, or nobody says when                                       10
paused, or over its end by more than a day                                      15
less than 5 000 dollars rest in its book, or unknown                             5
less than 10 000 dollars were traded, or unknown                                 5
listed less than a day ago                                                       5
==========================================================================  ======

What a feed decides is not argued about: its volume, depth, age, words and oracle add nothing.
A market that is not followed by any of the kinds of doubt above can still be resolved wrongly; the
prior for that is ``loss_ppm``: 0.1 % at score 0, doubling each 12 points, at most 100 %.
Source: feeds.md 6.9 (points, thresholds, prior). The points are a judgement to be fitted, so they
stand in one table here and nowhere else.

Worked example. Politics, official source with consensus of reporting as the way out, "by March 31",
ends in 45 days, 60 000 dollars traded, 8 000 resting: 15 + 10 + 10 + 5 = 40, loss prior
1 000 * 2 ** (40 / 12) = 10 079 ppm, about 1 %.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from lowlat.core.layout import (
    NO_AMOUNT,
    Category,
    Dispute,
    MarketRow,
    MarketStatus,
    SettleRule,
    Wording,
)
from lowlat.core.units import E6

__all__ = ["SCORE_MAX", "Doubt", "ResolutionRisk", "assess"]

SCORE_MAX: Final = 100
_DAY_NS: Final = 86_400_000_000_000
_LOSS_FLOOR_PPM: Final = 1_000
_DOUBLES_EACH: Final = 12
_PPM: Final = 1_000_000
_DEPTH_E6_MIN: Final = 5_000 * E6
_VOLUME_E6_MIN: Final = 10_000 * E6
_FEED_RULES: Final = frozenset(
    {
        SettleRule.TWAP_60_UP,
        SettleRule.BINANCE_CANDLE_UP,
        SettleRule.BINANCE_ABOVE,
        SettleRule.BINANCE_NOON_UP,
    }
)
_ARGUED: Final = frozenset({Category.POLITICS, Category.WAR, Category.LEGAL})


class Doubt(NamedTuple):
    """One reason and its points."""

    points: int
    reason: str


class ResolutionRisk(NamedTuple):
    """The score and what it is made of, most points first."""

    score: int
    doubts: tuple[Doubt, ...]

    @property
    def loss_ppm(self) -> int:
        """Prior chance, in parts per million, that a sure outcome is resolved the other way."""
        return min(_PPM, int(_LOSS_FLOOR_PPM * 2 ** (self.score / _DOUBLES_EACH)))


def assess(row: MarketRow, wall_ns: int) -> ResolutionRisk:
    """Score a market by what its row says at a wall time. Unknown facts count as doubts."""
    # Flags of a text that is not known mean nothing.
    wording = Wording(row.wording if row.wording & Wording.TEXT else 0)
    by_feed = row.settle_rule in _FEED_RULES or bool(wording & Wording.FEED)
    doubts = [*_of_rules(row, wording, by_feed=by_feed), *_of_oracle(row, by_feed=by_feed)]
    doubts += _of_time(row, wall_ns)
    if not by_feed:
        doubts += _of_subject(row, wall_ns)
    doubts.sort(key=lambda doubt: -doubt.points)
    return ResolutionRisk(min(SCORE_MAX, sum(doubt.points for doubt in doubts)), tuple(doubts))


def _of_rules(row: MarketRow, wording: Wording, *, by_feed: bool) -> Iterator[Doubt]:
    who = _who_decides(wording, by_feed=by_feed)
    if who is not None:
        yield who
    if not by_feed and wording & (Wording.TIME_LIMIT | Wording.ANNOUNCED):
        yield Doubt(10, "depends on a moment or on an announcement")
    if wording & Wording.CLARIFIED or row.rules_changes:
        yield Doubt(15, "its rules were clarified or changed")
    if row.neg_risk_augmented:
        yield Doubt(15, "outcomes can be added to its event")


def _who_decides(wording: Wording, *, by_feed: bool) -> Doubt | None:
    others = wording & (Wording.CONSENSUS | Wording.MANY_SOURCES)
    if by_feed or (wording & Wording.OFFICIAL and not others):
        if wording & Wording.SUBJECTIVE:
            return Doubt(10, "asks for a judgement on top of its source")
        return None
    reasons = (
        (not wording & Wording.TEXT, 25, "its rules text is not known"),
        (wording & Wording.SUBJECTIVE, 25, "asks for a judgement"),
        (wording & Wording.OFFICIAL, 15, "names an official source and others beside it"),
        (wording & Wording.CONSENSUS, 25, "leaves it to a consensus of reporting"),
        (wording & Wording.MANY_SOURCES, 15, "names several sources"),
    )
    for applies, points, reason in reasons:
        if applies:
            return Doubt(points, reason)
    return Doubt(15, "names no source")


def _of_oracle(row: MarketRow, *, by_feed: bool) -> Iterator[Doubt]:
    if row.dispute == Dispute.DISPUTED:
        yield Doubt(40, "its outcome is disputed")
    elif row.dispute == Dispute.PROPOSED:
        yield Doubt(25, "an outcome is proposed")
    elif row.dispute == Dispute.UNKNOWN and not by_feed:
        yield Doubt(5, "where the oracle stands is not known")
    if row.dispute_count and row.dispute != Dispute.DISPUTED:
        yield Doubt(15, f"was disputed before ({row.dispute_count})")


def _of_time(row: MarketRow, wall_ns: int) -> Iterator[Doubt]:
    left_ns = row.end_ns - wall_ns
    if not row.end_ns:
        yield Doubt(10, "nobody says when it ends")
    elif left_ns > 90 * _DAY_NS:
        yield Doubt(10, "ends in over 90 days")
    elif left_ns > 30 * _DAY_NS:
        yield Doubt(5, "ends in over 30 days")
    if row.status == MarketStatus.PAUSED or (row.end_ns and left_ns < -_DAY_NS):
        yield Doubt(15, "is paused, or over its end by more than a day")


def _of_subject(row: MarketRow, wall_ns: int) -> Iterator[Doubt]:
    if row.category in _ARGUED:
        yield Doubt(10, "is about politics, war or courts")
    elif row.category == Category.UNKNOWN:
        yield Doubt(5, "what it is about is not known")
    if row.liquidity_e6 == NO_AMOUNT or row.liquidity_e6 < _DEPTH_E6_MIN:
        yield Doubt(5, "little rests in its book")
    if row.volume_e6 == NO_AMOUNT or row.volume_e6 < _VOLUME_E6_MIN:
        yield Doubt(5, "little was traded")
    if row.listed_ns and wall_ns - row.listed_ns < _DAY_NS:
        yield Doubt(5, "is younger than a day")
