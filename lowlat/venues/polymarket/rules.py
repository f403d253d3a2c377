"""How a crypto market settles, read from the market itself; anything that does not fit is UNKNOWN.

Run by the metadata engine on each crypto market. The rule is never inferred from the duration:
slug, cryptoMarketConfig, resolutionSource, description and times must all say the same, else the
reading carries the reason and nothing trades on it. Wording checks need the phrases that decide
(source, comparison, tie), not the whole text. Source: feeds.md 3.1, 3.2.
"""

import re
from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Coin, RuleDoubt, SettleRule
from lowlat.core.units import parse_fixed
from lowlat.venues.polymarket.market_info import MarketInfo
from lowlat.venues.polymarket.windows import (
    COIN_NAMES,
    COIN_TICKERS,
    Family,
    local_year,
    month_number,
    noon_ns,
    window_at,
    window_slug,
)

__all__ = ["RuleReading", "read_rule"]

_SECOND_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _SECOND_NS
_YEAR_2020_NS: Final = 1_577_836_800 * _SECOND_NS
_YEAR_2100_NS: Final = 4_102_444_800 * _SECOND_NS
_LOOKBACK_S: Final = 60
_TWAP_SINCE_NS: Final = {
    Family.M5: 1_786_665_600 * _SECOND_NS,  # 2026-08-14 00:00 UTC
    Family.M15: 1_786_060_800 * _SECOND_NS,  # 2026-08-07 00:00 UTC
    Family.H4: 1_786_060_800 * _SECOND_NS,
}
"""Windows that start earlier settled by another rule. Source: feeds.md 3.1."""

_UPDOWN: Final = re.compile(r"([a-z]+)-updown-(5m|15m|4h)-([0-9]{10})")
_HOURLY: Final = re.compile(r"([a-z]+)-up-or-down-[a-z]+-[0-9]+(-[0-9]{4})?-[0-9]+(am|pm)-et")
_DAILY: Final = re.compile(r"([a-z]+)-up-or-down-on-([a-z]+)-([0-9]{1,2})(?:-([0-9]{4}))?")
_DAY: Final = r"([a-z]{3,9}) ([0-9]{1,2}),? '([0-9]{2})"
_TWO_NOONS: Final = re.compile(
    r'"up" if the "close" price for the binance 1 minute candle for [a-z]+/usdt '
    + _DAY
    + r' 12:00 in the et timezone \(noon\) is lower than the final "close" price for the '
    + _DAY
    + r" 12:00 et candle"
)
_TIE_HALF: Final = re.compile(r"exactly equal on binance,? this market will resolve (?:to )?50-50")
_ABBREVIATED: Final = 3
"""Letters of a month in the text of the daily rules."""
_ABOVE: Final = re.compile(
    r"([a-z]+)-above-([0-9]+(?:pt[0-9]+)?k?)-on-([a-z]+)-([0-9]{1,2})(?:-([0-9]{4}))?"
)
_STRIKE: Final = re.compile(r"\$?([0-9]{1,3}(?:,[0-9]{3})*|[0-9]+)(\.[0-9]{1,8})?")
_CRYPTO_WORDS: Final = re.compile(r"updown|up-or-down|bitcoin|ethereum|solana")
_COIN_BY_TICKER: Final = {ticker: coin for coin, ticker in COIN_TICKERS.items()}
_COIN_BY_NAME: Final = {name: coin for coin, name in COIN_NAMES.items()}
_UP_DOWN: Final = {"up", "down"}
_YES_NO: Final = {"yes", "no"}


class RuleReading(msgspec.Struct, frozen=True, gc=False):
    """What decides a market. With rule UNKNOWN or NOT_CRYPTO only ``reason`` means anything.

    TWAP_60_UP: averages of ``lookback_s`` stamped at start_ns and end_ns. BINANCE_CANDLE_UP: the
    candle from start_ns to end_ns. BINANCE_ABOVE: the 1 m candle from start_ns to end_ns closes
    above strike_e8. BINANCE_NOON_UP: the 1 m candle that ends at end_ns closes above the one that
    ends at start_ns.
    """

    rule: SettleRule
    coin: Coin = Coin.NONE
    lookback_s: int = 0
    start_ns: int = 0
    end_ns: int = 0
    strike_e8: int = 0
    reason: str = ""
    doubt: RuleDoubt = RuleDoubt.NONE
    """What kind of reason that is."""


class _Mismatch(Exception):
    """What did not fit; stays inside this module."""

    def __init__(self, reason: str, doubt: RuleDoubt) -> None:
        super().__init__(reason)
        self.doubt = doubt


def read_rule(info: MarketInfo) -> RuleReading:
    """Return how the market settles; UNKNOWN with a reason when anything disagrees."""
    slug = info.slug or ""
    for pattern, read in (
        (_UPDOWN, _read_twap),
        (_HOURLY, _read_hourly),
        (_ABOVE, _read_above),
        (_DAILY, _read_daily),
    ):
        if match := pattern.fullmatch(slug):
            try:
                return read(info, match)
            except _Mismatch as mismatch:
                return _unknown(str(mismatch), mismatch.doubt)
    if info.crypto is not None or _CRYPTO_WORDS.search(slug):
        return _unknown(f"slug {slug[:80]!r} is of no known family", RuleDoubt.FAMILY)
    return RuleReading(SettleRule.NOT_CRYPTO)


def _unknown(reason: str, doubt: RuleDoubt) -> RuleReading:
    return RuleReading(SettleRule.UNKNOWN, reason=reason, doubt=doubt)


def _read_twap(info: MarketInfo, match: re.Match[str]) -> RuleReading:
    ticker, name, start_s = match.groups()
    coin = _known_coin(_COIN_BY_TICKER, ticker)
    family = Family(name)
    start_ns, end_ns = _times(info)
    _expect(
        start_ns == int(start_s) * _SECOND_NS,
        "eventStartTime is not the slug's start",
        RuleDoubt.TIMES,
    )
    _expect(
        (start_ns, end_ns) == window_at(family, start_ns)
        and window_slug(coin, family, start_ns) == info.slug,
        f"start and end are no {name} window",
        RuleDoubt.TIMES,
    )
    _expect(
        start_ns >= _TWAP_SINCE_NS[family],
        "the window is older than the averaging rule",
        RuleDoubt.OLD,
    )
    crypto = info.crypto
    if crypto is None:
        raise _Mismatch("cryptoMarketConfig is missing", RuleDoubt.CONFIG)
    _expect(
        crypto.asset == ticker, f"config asset {crypto.asset!r} is not {ticker}", RuleDoubt.CONFIG
    )
    _expect(
        crypto.duration == name,
        f"config duration {crypto.duration!r} is not {name}",
        RuleDoubt.CONFIG,
    )
    _expect(
        crypto.twap_enabled is True,
        "config does not say that the average decides",
        RuleDoubt.CONFIG,
    )
    _expect(
        crypto.lookback_s == _LOOKBACK_S,
        f"config averages over {crypto.lookback_s} s",
        RuleDoubt.CONFIG,
    )
    _source(info, f"https://data.chain.link/streams/{ticker}-usd-twap-60s-streams")
    _labels(info, _UP_DOWN)
    text = _rules_text(info)
    _expect(
        "greater than or equal to" in text, "rules do not say that a tie is Up", RuleDoubt.WORDS
    )
    _expect(
        "chainlink" in text and "binance" not in text, "rules name another source", RuleDoubt.WORDS
    )
    _names_coin(text, coin)
    return RuleReading(SettleRule.TWAP_60_UP, coin, _LOOKBACK_S, start_ns, end_ns)


def _read_hourly(info: MarketInfo, match: re.Match[str]) -> RuleReading:
    coin = _known_coin(_COIN_BY_NAME, match.group(1))
    start_ns, end_ns = _times(info)
    _expect(end_ns - start_ns == 60 * _MINUTE_NS, "start and end are no hour", RuleDoubt.TIMES)
    slug = window_slug(coin, Family.H1, start_ns)
    older = None if slug is None else re.sub(r"-[0-9]{4}(?=-[0-9]+(am|pm))", "", slug)
    _expect(
        info.slug in {slug, older},
        "eventStartTime is not the hour that the slug names",
        RuleDoubt.TIMES,
    )
    _binance(info, coin)
    _labels(info, _UP_DOWN)
    text = _rules_text(info)
    _expect("1 hour candle" in text, "rules do not name the 1 hour candle", RuleDoubt.WORDS)
    _expect(
        "close price is greater than or equal to the open price" in text,
        "rules do not say close at or above open",
        RuleDoubt.WORDS,
    )
    return RuleReading(SettleRule.BINANCE_CANDLE_UP, coin, 0, start_ns, end_ns)


def _read_above(info: MarketInfo, match: re.Match[str]) -> RuleReading:
    name, short, month_name, day, year = match.groups()
    coin = _known_coin(_COIN_BY_NAME, name)
    strike_e8 = _strike_e8(info.group_item_title)
    _expect(
        strike_e8 == _short_strike_e8(short),
        "groupItemTitle is not the slug's strike",
        RuleDoubt.STRIKE,
    )
    end_ns = _sane(info.end_ns, "endDate")
    month = month_number(month_name)
    _expect(month is not None, f"slug month {month_name!r}", RuleDoubt.TIMES)
    candle_ns = _noon_of(month or 0, int(day), year, end_ns)
    _expect(
        end_ns in {candle_ns, candle_ns + _MINUTE_NS},
        "endDate is not noon of the day",
        RuleDoubt.TIMES,
    )
    _binance(info, coin)
    _labels(info, _YES_NO)
    text = _rules_text(info)
    _expect(
        "binance 1 minute candle" in text, "rules do not name the 1 minute candle", RuleDoubt.WORDS
    )
    _expect(
        "12:00 in the et timezone (noon)" in text,
        "rules do not name noon in New York",
        RuleDoubt.WORDS,
    )
    _expect(
        '"close" price higher than' in text, "rules do not say strictly higher", RuleDoubt.WORDS
    )
    return RuleReading(
        SettleRule.BINANCE_ABOVE, coin, 0, candle_ns, candle_ns + _MINUTE_NS, strike_e8
    )


def _read_daily(info: MarketInfo, match: re.Match[str]) -> RuleReading:
    """Read the closes of two noons; the words must name both days. Source: feeds.md 3.1."""
    name, month_name, day, year = match.groups()
    coin = _known_coin(_COIN_BY_NAME, name)
    end_ns = _sane(info.end_ns, "endDate")
    month = month_number(month_name)
    _expect(month is not None, f"slug month {month_name!r}", RuleDoubt.TIMES)
    noon = _noon_of(month or 0, int(day), year, end_ns)
    _expect(end_ns in {noon, noon + _MINUTE_NS}, "endDate is not noon of the day", RuleDoubt.TIMES)
    # The noon of the calendar day before: 23 or 25 hours earlier where the clock changes.
    before = window_at(Family.D1, noon, -1).start_ns
    if info.start_ns is not None:
        started = info.start_ns in {before, before + _MINUTE_NS}
        _expect(started, "eventStartTime is not noon of the day before", RuleDoubt.TIMES)
    _binance(info, coin)
    _labels(info, _UP_DOWN)
    text = _rules_text(info)
    told = _TWO_NOONS.search(text)
    if told is None:
        raise _Mismatch("rules do not compare the closes of two noons", RuleDoubt.WORDS)
    _expect(
        _noon_told(*told.group(1, 2, 3)) == before,
        "rules do not name the day before",
        RuleDoubt.WORDS,
    )
    _expect(
        _noon_told(*told.group(4, 5, 6)) == noon,
        "rules do not name the day of the slug",
        RuleDoubt.WORDS,
    )
    _expect(
        _TIE_HALF.search(text) is not None,
        "rules do not say that equal closes pay half",
        RuleDoubt.WORDS,
    )
    return RuleReading(SettleRule.BINANCE_NOON_UP, coin, 0, before + _MINUTE_NS, noon + _MINUTE_NS)


def _noon_told(month_name: str, day: str, year: str) -> int:
    """Return the noon that words like "mar 14 '26" mean."""
    month = month_number(month_name) or month_number(month_name, _ABBREVIATED)
    if month is None:
        raise _Mismatch(f"rules name the month {month_name!r}", RuleDoubt.WORDS)
    return _noon_of(month, int(day), f"20{year}", 0)


def _noon_of(month: int, day: int, year: str | None, end_ns: int) -> int:
    """Return the noon a slug names; older slugs leave the year to the end time."""
    named = int(year) if year else local_year(end_ns)
    try:
        return noon_ns(named, month, day)
    except ValueError as error:
        raise _Mismatch(f"slug names no date: {named}-{month}-{day}", RuleDoubt.TIMES) from error


def _expect(holds: bool, reason: str, doubt: RuleDoubt) -> None:
    if not holds:
        raise _Mismatch(reason, doubt)


def _known_coin(coins: dict[str, Coin], name: str) -> Coin:
    coin = coins.get(name)
    if coin is None:
        raise _Mismatch(f"coin {name[:20]!r} has no price feed here", RuleDoubt.COIN)
    return coin


def _times(info: MarketInfo) -> tuple[int, int]:
    return _sane(info.start_ns, "eventStartTime"), _sane(info.end_ns, "endDate")


def _sane(moment_ns: int | None, name: str) -> int:
    """Return a time that calendars can be computed for."""
    if moment_ns is None:
        raise _Mismatch(f"{name} is missing", RuleDoubt.TIMES)
    _expect(
        _YEAR_2020_NS <= moment_ns < _YEAR_2100_NS,
        f"{name} is outside 2020 to 2100",
        RuleDoubt.TIMES,
    )
    return moment_ns


def _source(info: MarketInfo, wanted: str) -> None:
    was = info.resolution_source
    _expect(
        was is not None and was.rstrip("/") == wanted,
        f"resolutionSource {str(was)[:100]!r}",
        RuleDoubt.SOURCE,
    )


def _binance(info: MarketInfo, coin: Coin) -> None:
    text = _rules_text(info)
    address = f"https://www.binance.com/en/trade/{coin.name}_USDT"
    if info.resolution_source is not None or address.lower() not in text:
        _source(info, address)
    _expect(
        "binance" in text and "chainlink" not in text, "rules name another source", RuleDoubt.WORDS
    )
    pair = f"{coin.name.lower()}/usdt"
    _expect(pair in text, f"rules do not name the pair {pair}", RuleDoubt.WORDS)
    others = [one for one in COIN_TICKERS.values() if f"{one}/usdt" in text]
    _expect(others == [COIN_TICKERS[coin]], "rules name another pair", RuleDoubt.WORDS)
    _expect(
        info.crypto is None or not info.crypto.twap_enabled,
        "config says an average decides",
        RuleDoubt.CONFIG,
    )


def _names_coin(text: str, coin: Coin) -> None:
    named = {
        other
        for other in COIN_TICKERS
        if COIN_NAMES[other] in text or f"{COIN_TICKERS[other]}/usd" in text
    }
    _expect(named == {coin}, "rules name another coin, or none", RuleDoubt.WORDS)


def _labels(info: MarketInfo, wanted: set[str]) -> None:
    _expect(
        {label.lower() for label in info.outcomes} == wanted,
        f"outcomes {info.outcomes}",
        RuleDoubt.OUTCOMES,
    )


def _rules_text(info: MarketInfo) -> str:
    if not info.rules_text:
        raise _Mismatch("description is missing", RuleDoubt.WORDS)
    straight = info.rules_text.lower().translate(
        {0x201C: '"', 0x201D: '"', 0x2018: "'", 0x2019: "'"}
    )
    return " ".join(straight.split())


def _strike_e8(title: str | None) -> int:
    match = _STRIKE.fullmatch((title or "").strip())
    if not match:
        raise _Mismatch(f"groupItemTitle {str(title)[:40]!r} is no strike", RuleDoubt.STRIKE)
    try:
        strike_e8 = parse_fixed(match.group(1).replace(",", "") + (match.group(2) or ""), 8)
    except RemoteProtocolError as error:
        raise _Mismatch(str(error), RuleDoubt.STRIKE) from error
    _expect(strike_e8 > 0, "strike is zero", RuleDoubt.STRIKE)
    return strike_e8


def _short_strike_e8(short: str) -> int:
    """Read a slug's strike: 64k, 2500, 1pt5k."""
    decimals = 11 if short.endswith("k") else 8
    try:
        return parse_fixed(short.removesuffix("k").replace("pt", "."), decimals)
    except RemoteProtocolError as error:
        raise _Mismatch(f"slug strike {short[:20]!r}", RuleDoubt.STRIKE) from error
