"""Windows and slugs of the recurring crypto markets, computed from wall time.

Used to find markets before a listing shows them, and to check what their metadata says. Hours and
days are New York's: a window that daylight saving makes shorter or longer than its name, or whose
name would mean two hours, has no slug here. Source: feeds.md 3.1.
"""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from lowlat.core.layout import Coin

__all__ = [
    "COIN_NAMES",
    "COIN_TICKERS",
    "NEW_YORK",
    "Family",
    "Window",
    "above_event_slug",
    "local_year",
    "month_number",
    "noon_ns",
    "window_at",
    "window_slug",
]

NEW_YORK: Final = ZoneInfo("America/New_York")
COIN_TICKERS: Final = {Coin.BTC: "btc", Coin.ETH: "eth", Coin.SOL: "sol"}
COIN_NAMES: Final = {Coin.BTC: "bitcoin", Coin.ETH: "ethereum", Coin.SOL: "solana"}

_SECOND_NS: Final = 1_000_000_000
_HOUR_S: Final = 3_600
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip


class Family(Enum):
    """Recurring up/down markets by the length of their window."""

    M5 = "5m"
    M15 = "15m"
    H4 = "4h"
    H1 = "1h"
    D1 = "1d"


_FIXED_S: Final = {Family.M5: 300, Family.M15: 900, Family.H1: _HOUR_S}


class Window(NamedTuple):
    """From start to end, venue wall time."""

    start_ns: int
    end_ns: int


def window_at(family: Family, now_ns: int, offset: int = 0) -> Window:
    """Return the window that holds now_ns, or the one ``offset`` windows later."""
    now_s = now_ns // _SECOND_NS
    if family in _FIXED_S:
        length_s = _FIXED_S[family]
        start_s = (now_s // length_s + offset) * length_s
        return Window(start_s * _SECOND_NS, (start_s + length_s) * _SECOND_NS)
    local = datetime.fromtimestamp(now_s, NEW_YORK)
    if family is Family.H4:
        start = local.replace(hour=local.hour // 4 * 4, minute=0, second=0, microsecond=0, fold=0)
        step = timedelta(hours=4)
    else:
        start = local.replace(hour=12, minute=0, second=0, microsecond=0, fold=0)
        step = timedelta(days=1)
        if local < start:
            start -= step
    # Arithmetic on one zone's datetimes moves the wall clock, which is what the names follow.
    start += offset * step
    return Window(_unix_ns(start), _unix_ns(start + step))


def window_slug(coin: Coin, family: Family, start_ns: int) -> str | None:
    """Return the slug of the up/down market that starts at start_ns; None if none is listed."""
    window = window_at(family, start_ns)
    if window.start_ns != start_ns or coin not in COIN_TICKERS:
        return None
    if family in {Family.M5, Family.M15, Family.H4}:
        if family is Family.H4 and window.end_ns - start_ns != 4 * _HOUR_S * _SECOND_NS:
            return None
        return f"{COIN_TICKERS[coin]}-updown-{family.value}-{start_ns // _SECOND_NS}"
    if family is Family.D1:
        named = datetime.fromtimestamp(window.end_ns // _SECOND_NS, NEW_YORK)
        return f"{COIN_NAMES[coin]}-up-or-down-on-{_date(named)}"
    start = datetime.fromtimestamp(start_ns // _SECOND_NS, NEW_YORK)
    if start.replace(fold=0).utcoffset() != start.replace(fold=1).utcoffset():
        # On the autumn change two hours share this name, and neither is listed.
        return None
    half = "am" if start.hour < 12 else "pm"
    return f"{COIN_NAMES[coin]}-up-or-down-{_date(start)}-{start.hour % 12 or 12}{half}-et"


def above_event_slug(coin: Coin, year: int, month: int, day: int) -> str:
    """Return the slug of the daily event of strikes."""
    return f"{COIN_NAMES[coin]}-above-on-{_MONTHS[month - 1]}-{day}-{year}"


def noon_ns(year: int, month: int, day: int) -> int:
    """Return noon in New York on a date."""
    return _unix_ns(datetime(year, month, day, 12, tzinfo=NEW_YORK))


def local_year(moment_ns: int) -> int:
    """Return New York's year at a wall time."""
    return datetime.fromtimestamp(moment_ns // _SECOND_NS, NEW_YORK).year


def month_number(name: str, letters: int | None = None) -> int | None:
    """Return 1 to 12 for an English month name in lower case, or for so many letters of one."""
    names = [month[:letters] for month in _MONTHS]
    return names.index(name) + 1 if name in names else None


def _date(local: datetime) -> str:
    return f"{_MONTHS[local.month - 1]}-{local.day}-{local.year}"


def _unix_ns(local: datetime) -> int:
    return int((local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * (
        _SECOND_NS
    )
