"""What is known of one binary market, and how every source of it reads ids and numbers.

Filled by gamma.py (pages of metadata) and clob_markets.py (the order book's own word); used by the
metadata engine. None is unknown. Knows no answer of a server and fills nothing in.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError

__all__ = [
    "CryptoConfig",
    "FeeSchedule",
    "MarketInfo",
    "check_condition_id",
    "check_token_ids",
    "decimal_units",
    "yes_index",
]

_CONDITION: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_TOKEN: Final = re.compile(r"[0-9]{1,78}")
_YES_LABELS: Final = frozenset({"yes", "up"})
_NO_LABELS: Final = frozenset({"no", "down"})


class FeeSchedule(msgspec.Struct, frozen=True, gc=False):
    """``fee = shares * rate * (price * (1 - price)) ** exponent``. Source: polymarket.md 7.1."""

    rate_e6: int
    exponent: int
    taker_only: bool
    rebate_e6: int | None = None


class CryptoConfig(msgspec.Struct, frozen=True, gc=False):
    """How a crypto up/down market is configured. Source: feeds.md 3.1."""

    asset: str | None
    duration: str | None
    twap_enabled: bool | None
    lookback_s: int | None


class MarketInfo(msgspec.Struct, frozen=True):
    """What a venue says about one binary market. None is unknown."""

    condition_id: str
    slug: str | None
    question: str | None
    outcomes: tuple[str, str]
    token_ids: tuple[str, str] | None
    """In the order of ``outcomes``; None while the venue has not made them yet."""
    event_id: str | None
    event_slug: str | None
    event_market_count: int | None
    """Markets the venue lists in the event, closed ones too."""
    neg_risk: bool | None
    neg_risk_market_id: str | None
    neg_risk_augmented: bool | None
    neg_risk_other: bool | None
    fees_enabled: bool | None
    fee: FeeSchedule | None
    start_ns: int | None
    """Window start of an up/down market, game start of a sports market."""
    end_ns: int | None
    active: bool | None
    closed: bool | None
    archived: bool | None
    accepting_orders: bool | None
    order_book: bool | None
    min_size_e6: int | None
    tick_e4: int | None
    seconds_delay: int | None
    volume_e6: int | None
    volume_24h_e6: int | None
    liquidity_e6: int | None
    tags: tuple[str, ...] | None
    series: tuple[str, ...] | None
    resolution_source: str | None
    rules_text: str | None
    group_item_title: str | None
    crypto: CryptoConfig | None
    listed_ns: int | None = None
    """When the venue made it."""
    opened_ns: int | None = None
    closed_ns: int | None = None
    dispute: str | None = None
    """Where the oracle stands; empty text while nobody proposed an outcome."""
    disputes: tuple[str, ...] | None = None
    """Each step of the oracle so far, oldest first."""
    reward_size_e6: int | None = None
    reward_spread_e4: int | None = None
    reward_day_e6: int | None = None
    """Dollars a day for resting orders; None when the venue lists no programme."""

    def tokens_yes_no(self) -> tuple[str, str] | None:
        """Return the tokens as (YES, NO), mapped by label; None while unknown."""
        if self.token_ids is None:
            return None
        yes = yes_index(self.outcomes)
        return self.token_ids[yes], self.token_ids[1 - yes]


def yes_index(outcomes: Sequence[str]) -> int:
    """Return which outcome is YES: the one labelled Yes or Up, else the first.

    For other labels (team names) YES is a name only, and the venue's order is kept.
    """
    first, second = (label.strip().lower() for label in outcomes)
    return 1 if second in _YES_LABELS and first in _NO_LABELS else 0


def check_condition_id(text: str) -> str:
    """Return a condition id in lower case; raise RemoteProtocolError if it is none."""
    if not _CONDITION.fullmatch(text):
        raise RemoteProtocolError(f"condition id {text[:80]!r} is not 0x and 64 hex digits")
    return text.lower()


def check_token_ids(first: str, second: str) -> tuple[str, str]:
    """Return two token ids; raise RemoteProtocolError unless they are distinct u256 decimals."""
    for text in (first, second):
        if not _TOKEN.fullmatch(text) or text[0] == "0" or int(text) >= 2**256:
            raise RemoteProtocolError(f"token id {text[:80]!r} is not a decimal u256")
    if first == second:
        raise RemoteProtocolError("both outcomes have the same token")
    return first, second


def decimal_units(value: Decimal | None, decimals: int, *, cut: bool = False) -> int | None:
    """Turn a number into an integer of ``10**-decimals`` units, exactly; None stays None.

    ``cut`` drops digits beyond the unit (display values). Raises RemoteProtocolError for negative,
    NaN, infinite or enormous numbers.
    """
    if value is None:
        return None
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) > 60 or not -60 < exponent < 20:
        raise RemoteProtocolError(f"number {str(value)[:40]!r} is out of range")
    whole = int("".join(map(str, digits)))
    if sign and whole:
        raise RemoteProtocolError(f"number {str(value)[:40]!r} is negative")
    shift = exponent + decimals
    if shift >= 0:
        scaled = whole * int(10**shift)
    else:
        scaled, rest = divmod(whole, int(10**-shift))
        if rest and not cut:
            raise RemoteProtocolError(f"number {str(value)[:40]!r} has over {decimals} decimals")
    if scaled >= 10**18:
        raise RemoteProtocolError(f"number {str(value)[:40]!r} is over 18 digits in its unit")
    return scaled
