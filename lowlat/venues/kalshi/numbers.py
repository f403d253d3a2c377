"""Kalshi's numbers to integers: fixed-point text of today, cents and whole counts of before.

Used by this venue's codecs only. Prices and money are text in dollars (``*_dollars``), counts are
text with two decimals (``*_fp``); answers recorded before April 2026 say cents and contracts as
integers beside or instead of them. Text wins where both are given: cents are rounded on markets
that trade in tenths. Source: feeds.md 2.3.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Final, Literal

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action, Outcome
from lowlat.core.units import E4, E6, E8, NO_PRICE_E4
from lowlat.venues._fixed import fixed, fixed_pairs
from lowlat.venues.wire import iso_ns

__all__ = [
    "OUTCOMES",
    "ActionWord",
    "Count",
    "Levels",
    "OutcomeWord",
    "Result",
    "cash_e6",
    "decimal_e8",
    "direction_of",
    "known_ns",
    "levels",
    "multiplier_e8",
    "optional_cash_e6",
    "price_e4",
    "quote_e4",
    "result_of",
    "seconds_ns",
    "signed_e6",
    "size_e6",
    "ticker_of",
    "time_ns",
    "whole_price_e4",
]

OutcomeWord = Literal["yes", "no"]
ActionWord = Literal["buy", "sell"]
OUTCOMES: Final = {"yes": Outcome.YES, "no": Outcome.NO}
_ACTIONS: Final = {"buy": Action.BUY, "sell": Action.SELL}

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
"""Cents or contracts as an integer; a million times as much still fits 64 bits."""

Levels = tuple[tuple[int, int], ...]
"""(price_e4, size_e6) of bids, as sent: ascending, best last."""

_CENT_E4: Final = 100
_CENT_E6: Final = 10_000
_TICKER_MAX: Final = 128
_DIGITS_MAX: Final = 9
"""Of a plain number before its point."""
_NEVER: Final = "0001-01-01T00:00:00Z"
"""What the venue writes for a time that was never set. Seen in recorded markets of 2026-01."""
_S_2020: Final = 1_577_836_800
_S_2100: Final = 4_102_444_800
_I64_MAX: Final = 2**63 - 1


class Result(IntEnum):
    """How a market ended. Source: feeds.md 2.4, 2.7."""

    UNKNOWN = 0
    NONE = 1
    """Not decided yet."""
    YES = 2
    NO = 3
    SCALAR = 4
    VOID = 5


_RESULTS: Final = {
    "": Result.NONE, "yes": Result.YES, "no": Result.NO, "scalar": Result.SCALAR,
    "void": Result.VOID,
}  # fmt: skip


def result_of(text: str) -> Result:
    """Return the result a word means; UNKNOWN for a new word, which is no result."""
    return _RESULTS.get(text, Result.UNKNOWN)


def price_e4(dollars: str | None, cents: int | None = None) -> int:
    """Return a contract's price between 0 and 1 dollar; RemoteProtocolError outside or without."""
    value_e4 = whole_price_e4(dollars, cents)
    if not 0 < value_e4 < E4:
        raise RemoteProtocolError(f"price {_shown(dollars, cents)} is not between 0 and 1 dollar")
    return value_e4


def quote_e4(dollars: str | None, cents: int | None = None) -> int:
    """Return a best price or last trade, NO_PRICE_E4 where there is none.

    The venue writes 0 or 1 dollar for a side without quotes, and leaves the field out.
    """
    if dollars is None and cents is None:
        return NO_PRICE_E4
    value_e4 = whole_price_e4(dollars, cents)
    return NO_PRICE_E4 if value_e4 in {0, E4} else value_e4


def whole_price_e4(dollars: str | None, cents: int | None = None) -> int:
    """Return a price of 0 to 1 dollar, both included."""
    if dollars is not None:
        value_e4 = fixed(dollars, 4)
    elif cents is not None:
        value_e4 = cents * _CENT_E4
    else:
        raise RemoteProtocolError("price is missing, expected dollars or cents")
    if value_e4 > E4:
        raise RemoteProtocolError(f"price {_shown(dollars, cents)} is over 1 dollar")
    return value_e4


def size_e6(contracts: str | None, count: int | None = None) -> int:
    """Return a number of contracts, from fixed-point text or a whole count."""
    if contracts is not None:
        return fixed(contracts, 6)
    if count is None:
        raise RemoteProtocolError("count is missing, expected fixed-point text or an integer")
    return count * E6


def cash_e6(dollars: str | None, cents: int | None = None) -> int:
    """Return money of either sign, from text in dollars or integer cents."""
    if dollars is not None:
        return signed_e6(dollars)
    if cents is None:
        raise RemoteProtocolError("money is missing, expected dollars or cents")
    return cents * _CENT_E6


def optional_cash_e6(dollars: str | None, cents: int | None = None) -> int | None:
    """Return money, None where the answer names none."""
    return None if dollars is None and cents is None else cash_e6(dollars, cents)


def signed_e6(text: str) -> int:
    """Return fixed-point text of either sign in millionths."""
    return -fixed(text[1:], 6) if text.startswith("-") else fixed(text, 6)


def decimal_e8(value: Decimal | None) -> int | None:
    """Return a plain JSON number (a strike, a multiplier) in 1e-8, exactly."""
    if value is None:
        return None
    # By its digits first: any arithmetic overflows on an exponent of a billion.
    if not value.is_finite() or not -9 <= value.adjusted() <= _DIGITS_MAX:
        if value.is_zero() and value.is_finite():
            return 0
        raise RemoteProtocolError(f"number {str(value)[:40]} is out of bounds")
    scaled = value * E8
    if scaled != int(scaled):
        raise RemoteProtocolError(f"number {str(value)[:40]} has more than 8 decimals")
    return int(scaled)


def multiplier_e8(value: Decimal) -> int:
    """Return what a fee is multiplied by."""
    found_e8 = decimal_e8(value)
    if found_e8 is None or found_e8 < 0:
        raise RemoteProtocolError(f"fee multiplier {str(value)[:40]} is below 0")
    return found_e8


def levels(pairs: Sequence[tuple[str, str | int]] | None) -> Levels:
    """Return one side of a book; a side that is absent or null is empty."""
    out = []
    texts = [(price, size if type(size) is str else str(size)) for price, size in pairs or ()]
    for each_e6, contracts_e6 in fixed_pairs(texts, 6):
        value_e4, finer = divmod(each_e6, 100)
        if finer or not 0 < value_e4 < E4 or not contracts_e6:
            raise RemoteProtocolError(f"level {each_e6} x {contracts_e6} e-6 is no level of a book")
        out.append((value_e4, contracts_e6))
    return tuple(out)


def direction_of(
    side: OutcomeWord | None, action: ActionWord | None, outcome_side: OutcomeWord | None
) -> tuple[Outcome, Action]:
    """Return which outcome was bought or sold, from either pair of words.

    The older pair says ``side`` and ``action``; ``outcome_side`` alone is what was bought (a sale
    of YES is a purchase of NO). Source: feeds.md 2.6, 2.7.
    """
    if side is not None and action is not None:
        return OUTCOMES[side], _ACTIONS[action]
    if outcome_side is None:
        raise RemoteProtocolError("neither side with action nor outcome_side")
    return OUTCOMES[outcome_side], Action.BUY


def time_ns(text: str | None) -> int | None:
    """Return a time in unix nanoseconds; None where none was set."""
    if not text or text == _NEVER:
        return None
    value_ns = iso_ns(text)
    if not 0 <= value_ns <= _I64_MAX:
        raise RemoteProtocolError(f"time {text[:40]!r} is outside 1970 to 2262")
    return value_ns


def known_ns(text: str) -> int:
    """Return a time that the message must name."""
    value_ns = time_ns(text)
    if value_ns is None:
        raise RemoteProtocolError(f"time {text[:40]!r} is none, expected one")
    return value_ns


def ticker_of(text: str) -> str:
    """Return a ticker: opaque, but a name and not a sentence. Source: feeds.md 2.4."""
    if not (0 < len(text) <= _TICKER_MAX and text.isascii() and text.isprintable()) or " " in text:
        raise RemoteProtocolError(f"ticker {text[:60]!r} is no name of up to {_TICKER_MAX} letters")
    return text


def seconds_ns(value_s: int) -> int:
    """Return unix seconds as nanoseconds; refuse what lies outside 2020 to 2100."""
    if not _S_2020 <= value_s < _S_2100:
        raise RemoteProtocolError(f"timestamp {value_s} s is outside 2020 to 2100")
    return value_s * 1_000_000_000


def _shown(dollars: str | None, cents: int | None) -> str:
    return repr(dollars[:40]) if dollars is not None else f"of {cents} cents"
