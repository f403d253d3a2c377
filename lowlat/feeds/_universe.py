"""Which markets are followed, and the row that says what is known about one. Pure.

Used by the metadata engine only. A fact that is unknown keeps its bit in ``known`` unset and its
field zero; where a zero could be taken for a fact, the guarded value is written instead.
"""

import hashlib
from typing import Final

from lowlat.core.dossier import Dossier
from lowlat.core.layout import (
    MARKET_ROW,
    NO_AMOUNT,
    Known,
    ListingReason,
    MarketRow,
    MarketStatus,
    SettleRule,
    SettleSeries,
)
from lowlat.feeds.params import UniverseParams
from lowlat.venues.polymarket.clob_markets import MarketFacts
from lowlat.venues.polymarket.market_info import MarketInfo
from lowlat.venues.polymarket.rules import RuleReading
from lowlat.venues.polymarket.wording import category_of, dispute_of, read_wording

__all__ = [
    "EMPTY_ROW",
    "ascii_text",
    "dossier_of",
    "facts_refusal",
    "market_row",
    "refusal",
    "start_key",
]

FEE_ANY_E6: Final = 1_000_000
DELAY_ANY_MS: Final = 60_000
"""Bounds that let anything in, also what is unknown."""
_RULES_KNOWN: Final = frozenset(
    {
        SettleRule.NOT_CRYPTO,
        SettleRule.TWAP_60_UP,
        SettleRule.BINANCE_CANDLE_UP,
        SettleRule.BINANCE_ABOVE,
        SettleRule.BINANCE_NOON_UP,
    }
)
_TWAP_BY_LOOKBACK: Final = {
    30: SettleSeries.CHAINLINK_TWAP_30,
    60: SettleSeries.CHAINLINK_TWAP_60,
}

EMPTY_ROW: Final = MARKET_ROW.unpack(bytearray(MARKET_ROW.size_bytes))._replace(
    volume_e6=NO_AMOUNT, liquidity_e6=NO_AMOUNT
)


def refusal(
    params: UniverseParams, info: MarketInfo, wall_ns: int, *, followed: bool = False
) -> ListingReason:
    """Return why a market is out; FOLLOWED (which is 0) when it is in.

    One that is ``followed`` may fall to half of what is asked of others.
    """
    slug = info.slug or ""
    share = 2 if followed else 1
    closed = info.closed or info.archived or info.active is False or info.order_book is False
    reasons = (
        (closed, ListingReason.NOT_OPEN),
        (params.tags and not set(params.tags) & set(info.tags or ()), ListingReason.NO_WANTED_TAG),
        (
            params.series and not set(params.series) & set(info.series or ()),
            ListingReason.NO_WANTED_SERIES,
        ),
        (
            params.slug_prefixes and not slug.startswith(params.slug_prefixes),
            ListingReason.NO_WANTED_SLUG,
        ),
        (slug.startswith(params.slug_prefixes_excluded), ListingReason.SLUG_EXCLUDED),
        (share * (info.liquidity_e6 or 0) < params.liquidity_e6_min, ListingReason.LIQUIDITY),
        (share * (info.volume_24h_e6 or 0) < params.volume_24h_e6_min, ListingReason.VOLUME),
        (_is_dear(params, info), ListingReason.FEE),
        ((info.seconds_delay or 0) * 1_000 > params.delay_ms_max, ListingReason.DELAY),
        (not _rules_fit(params, info), ListingReason.RULES_TEXT),
    )
    for applies, reason in reasons:
        if applies:
            return reason
    return _end_refusal(params, info.end_ns, wall_ns)


def facts_refusal(params: UniverseParams, facts: MarketFacts) -> ListingReason:
    """Return why a market is out by what only the order-book service says."""
    fee_unknown = not facts.known & Known.FEE
    if params.fee_rate_e6_max < FEE_ANY_E6 and (
        fee_unknown or facts.fee_rate_e6 > params.fee_rate_e6_max
    ):
        return ListingReason.FEE
    delay_unknown = not facts.known & Known.DELAY
    if params.delay_ms_max < DELAY_ANY_MS and (
        delay_unknown or facts.taker_delay_ms > params.delay_ms_max
    ):
        return ListingReason.DELAY
    return ListingReason.FOLLOWED


def _is_dear(params: UniverseParams, info: MarketInfo) -> bool:
    """Whether the listing shows a fee over the bound; one that it does not show is asked for."""
    return info.fee is not None and info.fee.rate_e6 > params.fee_rate_e6_max


def _rules_fit(params: UniverseParams, info: MarketInfo) -> bool:
    if not params.rules_words and not params.rules_words_excluded:
        return True
    text = " ".join((info.rules_text or "").lower().split())
    return (
        not params.rules_words or any(word.lower() in text for word in params.rules_words)
    ) and not any(word.lower() in text for word in params.rules_words_excluded)


def _end_refusal(params: UniverseParams, end_ns: int | None, wall_ns: int) -> ListingReason:
    if end_ns is None:
        bound = params.end_ns_min or params.end_ns_max
        return ListingReason.END_UNKNOWN if bound else ListingReason.FOLLOWED
    left_ns = end_ns - wall_ns
    if params.end_ns_min and left_ns < params.end_ns_min:
        return ListingReason.ENDS_TOO_SOON
    if params.end_ns_max and left_ns > params.end_ns_max:
        return ListingReason.ENDS_TOO_LATE
    return ListingReason.FOLLOWED


def market_row(
    before: MarketRow | None,
    market: int,
    generation: int,
    facts: MarketFacts,
    info: MarketInfo | None,
    reading: RuleReading | None,
) -> MarketRow:
    """Return the row of a market from both sources; ``before`` keeps what they do not say."""
    row = before or EMPTY_ROW
    known = facts.known
    if facts.status == MarketStatus.UNKNOWN:
        known &= ~Known.STATUS
    row = row._replace(
        condition_id=bytes.fromhex(facts.condition_id[2:]),
        yes_token_id=_u256(facts.yes_token_id),
        no_token_id=_u256(facts.no_token_id),
        market=market,
        generation=generation,
        tick_e4=facts.tick_e4,
        min_size_e6=facts.min_size_e6,
        fee_rate_e6=facts.fee_rate_e6,
        fee_exponent=facts.fee_exponent,
        fee_taker_only=int(facts.fee_taker_only),
        taker_delay_ms=facts.taker_delay_ms,
        neg_risk=int(facts.neg_risk),
        exchange=facts.exchange,
        status=MarketStatus.RESOLVED if row.winner else facts.status,
    )
    if info is not None:
        row = _weigh(_describe(row, info), info)
    if reading is not None:
        row = _settle(row, before or EMPTY_ROW, reading)
    kept = row.known & (Known.SETTLE_RULE | Known.START_PRICE)
    return row._replace(known=int(known) | kept)


def _describe(row: MarketRow, info: MarketInfo) -> MarketRow:
    """Add what only Gamma says."""
    # Not knowing whether outcomes are still being added means that a set may be incomplete.
    augmented = info.neg_risk_augmented is not False or bool(info.neg_risk_other)
    event = _event_id(info)
    return row._replace(
        event_id=event,
        correlation_id=_digest(event) if any(event) else 0,
        start_ns=info.start_ns or 0,
        end_ns=info.end_ns or 0,
        event_market_count=info.event_market_count or row.event_market_count,
        neg_risk_augmented=int(bool(row.neg_risk) and augmented),
        slug=ascii_text(info.slug, 64),
        question=ascii_text(info.question, 96),
    )


def _weigh(row: MarketRow, info: MarketInfo) -> MarketRow:
    """Add what follows from the rules, the oracle, tags and programmes."""
    dispute, dispute_count = dispute_of(info.dispute, info.disputes)
    rules_hash = _text_digest(info.rules_text)
    changed = rules_hash and row.rules_hash and rules_hash != row.rules_hash
    listed_ns = info.listed_ns or info.opened_ns or 0
    return row._replace(
        wording=int(read_wording(info.rules_text, info.resolution_source)),
        listed_ns=max(listed_ns, 0),
        rules_hash=rules_hash,
        source_hash=_text_digest(info.resolution_source),
        series_hash=_text_digest("\n".join(info.series or ())),
        volume_e6=_coarse(info.volume_e6),
        liquidity_e6=_coarse(info.liquidity_e6),
        dispute=int(dispute),
        # A later answer may leave out what an earlier one said; what happened stays.
        dispute_count=max(dispute_count, row.dispute_count),
        rules_changes=min(row.rules_changes + bool(changed), 255),
        category=int(category_of(info.tags)),
        reward_spread_e4=info.reward_spread_e4 or 0,
        reward_size_e6=info.reward_size_e6 or 0,
        reward_day_e6=info.reward_day_e6 or 0,
        rebate_rate_e6=(info.fee.rebate_e6 or 0) if info.fee is not None else 0,
    )


def dossier_of(info: MarketInfo) -> Dossier:
    """Return what a listing says in words."""
    return Dossier(
        info.condition_id,
        info.slug,
        info.question,
        info.outcomes,
        info.rules_text,
        info.resolution_source,
        info.tags,
        info.series,
        info.event_slug,
        info.group_item_title,
        info.listed_ns,
        info.opened_ns,
        info.start_ns,
        info.end_ns,
        info.closed_ns,
        info.disputes,
    )


def _coarse(amount_e6: int | None) -> int:
    """Round down to an eighth of its power of two, so that a trade does not change the row."""
    if amount_e6 is None:
        return NO_AMOUNT
    shift = max(amount_e6.bit_length() - 4, 0)
    return amount_e6 >> shift << shift


def _settle(row: MarketRow, before: MarketRow, reading: RuleReading) -> MarketRow:
    """Add how a crypto market settles; another window forgets the start price."""
    if reading.rule not in _RULES_KNOWN:
        return row._replace(
            settle_rule=SettleRule.UNKNOWN,
            rule_doubt=reading.doubt,
            known=row.known & ~(Known.SETTLE_RULE | Known.START_PRICE),
        )
    known = row.known | Known.SETTLE_RULE
    if reading.rule == SettleRule.NOT_CRYPTO:
        return row._replace(settle_rule=reading.rule, rule_doubt=reading.doubt, known=known)
    kept = row
    if (before.coin, before.start_ns, before.settle_rule) != (
        reading.coin,
        reading.start_ns,
        reading.rule,
    ):
        known &= ~Known.START_PRICE
        kept = row._replace(start_price_e8=0, start_price_rest_e18=0)
    return kept._replace(
        settle_rule=reading.rule,
        rule_doubt=reading.doubt,
        coin=reading.coin,
        settle_lookback_s=reading.lookback_s,
        start_ns=reading.start_ns,
        end_ns=reading.end_ns,
        strike_e8=reading.strike_e8,
        # All windows of a coin fall together: one bet, whatever their event.
        correlation_id=_digest(f"coin {int(reading.coin)}".encode()),
        known=known,
    )


def start_key(row: MarketRow) -> tuple[int, int, int] | None:
    """Return (coin, series, stamp) of the print that is the market's start price, if it has one."""
    if not row.known & Known.SETTLE_RULE:
        return None
    if row.settle_rule == SettleRule.TWAP_60_UP:
        series = _TWAP_BY_LOOKBACK.get(row.settle_lookback_s)
        return None if series is None else (row.coin, series, row.start_ns)
    if row.settle_rule == SettleRule.BINANCE_CANDLE_UP:
        return (row.coin, SettleSeries.BINANCE_KLINE_OPEN, row.start_ns)
    if row.settle_rule == SettleRule.BINANCE_NOON_UP:
        return (row.coin, SettleSeries.BINANCE_KLINE_CLOSE, row.start_ns)
    return None


def _event_id(info: MarketInfo) -> bytes:
    """Return the id that the outcomes of one event share; zeros when the market is alone."""
    if info.neg_risk_market_id is not None:
        text = info.neg_risk_market_id.removeprefix("0x")
        if len(text) == 64 and all(one in "0123456789abcdefABCDEF" for one in text):
            return bytes.fromhex(text)
    if info.event_id is not None and info.event_id.isascii() and info.event_id.isdigit():
        return (int(info.event_id) % 2**256).to_bytes(32, "big")
    return bytes(32)


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") or 1


def _text_digest(text: str | None) -> int:
    """Return the digest of a text; 0 of none."""
    return _digest(text.encode("utf-8", "replace")) if text else 0


def _u256(text: str) -> bytes:
    return int(text).to_bytes(32, "big")


def ascii_text(text: str | None, size_bytes: int) -> bytes:
    """Return text as NUL-padded ASCII of that size; what does not fit is cut."""
    return (text or "").encode("ascii", "replace")[:size_bytes].ljust(size_bytes, b"\0")
