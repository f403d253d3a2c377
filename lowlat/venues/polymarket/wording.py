"""What the rules of a market say and leave open, read from their words. Pure.

Run by the metadata engine when a text is new. Only phrases that the venue's rules use again and
again are looked for; a phrase that is missed leaves its flag unset, so whoever weighs the flags
must take TEXT without a source as a question mark, not as a blank cheque.
Source: feeds.md 6.9 (what makes resolution doubtful), 3.1 (feeds), polymarket.md 11.1 (tags).
"""

import re
from collections.abc import Sequence
from typing import Final

from lowlat.core.layout import Category, Dispute, Wording

__all__ = ["category_of", "dispute_of", "read_wording"]

_FEED: Final = re.compile(
    r"data\.chain\.link|data stream|\btwap\b|(?:minute|hour|day|daily) candle|closing price|"
    r"binance\.com/[a-z]+/trade|pyth\.network|finance\.yahoo|wunderground|weather\.gov"
)
_OFFICIAL: Final = re.compile(
    r"official (?:information|source|results?|website|statement|data|announcement)"
    r"|official(?:ly)? (?:released|published|reported) by|\.gov\b"
    r"|resolution source (?:for|of) (?:this|the) market (?:is|will be|shall be)"
)
_CONSENSUS: Final = re.compile(
    r"consensus of (?:credible |reliable |media )*report|credible report|"
    r"credible sources?|consensus of credible"
)
_MANY: Final = re.compile(
    r"(?:other|additional|various|multiple|any) (?:credible |official |reliable )*sources|"
    r"(?:resolution )?sources? (?:will be|are|include) [^.]{3,120}? (?:and|or) [^.]*(?:, | or )"
)
_SUBJECTIVE: Final = re.compile(
    r"discretion|in (?:its|the) spirit|spirit of (?:the|this)|substantial(?:ly)?|"
    r"generally (?:considered|understood|accepted)|widely (?:considered|regarded|reported)|"
    r"reasonabl[ey]|sole judg|unambiguous|deemed"
)
_TIME_LIMIT: Final = re.compile(
    r"\b(?:by|before|between|no later than|on or before) "
    r"(?:(?:january|february|march|april|may|june|july|august|september|october|november|december)"
    r"\b|the end of|[0-9]{1,2}[:/ ]|[0-9]{1,2}(?:st|nd|rd|th)\b|market creation)"
)
_ANNOUNCED: Final = re.compile(r"officially|announce|publicly (?:state|confirm)|confirmed by")
_CLARIFIED: Final = re.compile(
    r"additional context|clarification|\bnote \(?(?:added|updated)|update(?:d)? (?:on|made)|"
    r"this market was (?:updated|clarified)|erratum"
)
_SPLIT: Final = re.compile(r"50[-/ ]50|resolve (?:to )?50%|split")
_VOIDABLE: Final = re.compile(r"cancell?ed|postponed|abandon|rescheduled|forfeit|walkover")
_PHRASES: Final = (
    (_FEED, Wording.FEED),
    (_OFFICIAL, Wording.OFFICIAL),
    (_CONSENSUS, Wording.CONSENSUS),
    (_MANY, Wording.MANY_SOURCES),
    (_SUBJECTIVE, Wording.SUBJECTIVE),
    (_TIME_LIMIT, Wording.TIME_LIMIT),
    (_ANNOUNCED, Wording.ANNOUNCED),
    (_CLARIFIED, Wording.CLARIFIED),
    (_SPLIT, Wording.SPLIT),
    (_VOIDABLE, Wording.VOIDABLE),
)
_TEXT_MAX: Final = 16_384
"""Of a text that is longer, the beginning is read; a longer one is no rules text."""

_STEPS: Final = {
    "initialized": Dispute.NONE,
    "posted": Dispute.NONE,
    "proposed": Dispute.PROPOSED,
    "challenged": Dispute.DISPUTED,
    "resolved": Dispute.RESOLVED,
    "settled": Dispute.RESOLVED,
}
_FINAL: Final = frozenset({"resolved", "settled"})
_CATEGORIES: Final = (
    # The doubtful ones first: a market with two of these tags is of the first that is named.
    (Category.WAR, {"war", "geopolitics", "military", "ukraine", "israel", "iran", "middle-east"}),
    (Category.LEGAL, {"legal", "courts", "trials", "scotus", "law", "lawsuit"}),
    (Category.POLITICS, {"politics", "elections", "us-election", "trump", "congress", "world"}),
    (
        Category.ECONOMY,
        {"economy", "finance", "business", "fed", "inflation", "stocks", "earnings", "economics"},
    ),
    (Category.CRYPTO, {"crypto", "crypto-prices", "bitcoin", "ethereum", "solana", "up-or-down"}),
    (Category.SPORTS, {"sports", "games", "esports", "nba", "nfl", "soccer", "tennis", "mlb"}),
    (Category.WEATHER, {"weather", "climate", "daily-temperature"}),
    (Category.CULTURE, {"pop-culture", "culture", "movies", "music", "awards", "tech", "ai"}),
)


def read_wording(rules_text: str | None, resolution_source: str | None) -> Wording:
    """Return what rules and source say; Wording(0) while there is no text."""
    if not rules_text:
        return Wording(0)
    text = " ".join(rules_text[:_TEXT_MAX].lower().split())
    found = Wording.TEXT
    for pattern, flag in _PHRASES:
        if pattern.search(text):
            found |= flag
    source = (resolution_source or "").strip().lower()
    if source:
        found |= Wording.FEED if _FEED.search(source) else Wording.OFFICIAL
    return found


def dispute_of(status: str | None, history: Sequence[str] | None) -> tuple[Dispute, int]:
    """Return where the oracle stands and how often a proposal was disputed.

    UNKNOWN while the venue says nothing, or a word that nobody knows. Source: polymarket.md 11.1.
    """
    steps = [step.strip().lower() for step in history or ()]
    disputed = min(steps.count("disputed"), 255)
    last = (status or "").strip().lower() or (steps[-1] if steps else "")
    if not last:
        said = status is not None or history is not None
        return (Dispute.NONE if said else Dispute.UNKNOWN), disputed
    if last not in _FINAL and "disputed" in {last, *steps[-1:]}:
        # Status and history are not written together: a dispute that one of them shows counts.
        return Dispute.DISPUTED, max(disputed, 1)
    return _STEPS.get(last, Dispute.UNKNOWN), disputed


def category_of(tags: Sequence[str] | None) -> Category:
    """Return what a market is about; UNKNOWN without tags."""
    if not tags:
        return Category.UNKNOWN
    named = {tag.lower() for tag in tags}
    for category, words in _CATEGORIES:
        if named & words:
            return category
    return Category.OTHER
