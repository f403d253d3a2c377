"""The book that a signal saw, level by level, and what its wish would have taken of it.

For `lowlat explain`: every number can be worked out again from the levels that are printed.
"""

from typing import Any, Final

from lowlat.cli._evidence import Evidence
from lowlat.cli._words import age, dollars, price, shares
from lowlat.core.layout import Action, BookRow, MarketRow, SignalRecord
from lowlat.core.units import E4, E6, ONE_E4

__all__ = ["book_lines", "book_of"]

_LEVELS: Final = 10
"""Printed at most, beside those that the wish reaches."""


def book_of(
    evidence: Evidence, signal: SignalRecord, row: MarketRow | None
) -> dict[str, Any] | None:
    """Return the levels that the signal's side of its token offered; None when not kept."""
    book = evidence.books.get((signal.id, signal.decided_ns))
    if book is None:
        return None
    levels = _levels(book, is_no=bool(signal.instrument & 1), sells=signal.action == Action.SELL)
    taken = _taken(levels, signal)
    size_e6 = sum(each["takes_e6"] for each in taken)
    cost_e6 = sum(each["cost_e6"] for each in taken)
    known = row is not None and row.fee_exponent > 0
    return {
        "later_ns": max(0, book.published_ns - signal.decided_ns),
        "side": "bids" if signal.action == Action.SELL else "asks",
        "levels": [
            level | {"takes_e6": each["takes_e6"], "cost_e6": each["cost_e6"]}
            for level, each in zip(levels, taken, strict=True)
        ],
        "takes_e6": size_e6,
        "cost_e6": cost_e6,
        "fee_rate_e6": row.fee_rate_e6 if row is not None else None,
        "fee_exponent": row.fee_exponent if row is not None else None,
        "fee_e6": sum(_fee_e6(row, each) for each in taken) if known and row else None,
    }


def book_lines(book: dict[str, Any] | None) -> list[str]:
    """Return what is printed of it."""
    if book is None:
        return ["not kept: the recorder was not running, or another row took its place"]
    later = book["later_ns"]
    when = f"{age(later)} after the decision: it may have been another" if later else "as it stood"
    lines = [f"{book['side']} of the token, {when}"]
    for number, level in enumerate(book["levels"]):
        if number >= _LEVELS and not level["takes_e6"]:
            rest = len(book["levels"]) - number
            lines.append(f"  and {rest} more")
            break
        takes = ""
        if level["takes_e6"]:
            takes = f"  takes {shares(level['takes_e6'])}: {dollars(level['cost_e6'])}"
        lines.append(f"  {price(level['price_e4'])} x {shares(level['size_e6'])}{takes}")
    if not book["takes_e6"]:
        lines.append("  nothing within its price")
        return lines
    average = book["cost_e6"] / book["takes_e6"]
    total = f"  together {shares(book['takes_e6'])} for {dollars(book['cost_e6'])}"
    lines.append(f"{total}, {average:.4f} a share")
    if book["fee_e6"] is not None:
        power = "" if book["fee_exponent"] == 1 else f"^{book['fee_exponent']}"
        lines.append(
            f"  fee {book['fee_rate_e6'] / E6:g} x (p x (1 - p)){power} a share: "
            f"{dollars(book['fee_e6'])}"
        )
    return lines


def _levels(book: BookRow, *, is_no: bool, sells: bool) -> list[dict[str, int]]:
    """Return price and size of a token's asks, or of its bids for a sale, best first."""
    if is_no == sells:
        prices, sizes, count = book.ask_price_e4, book.ask_size_e6, book.ask_count
    else:
        prices, sizes, count = book.bid_price_e4, book.bid_size_e6, book.bid_count
    return [
        {"price_e4": ONE_E4 - price_e4 if is_no else price_e4, "size_e6": size_e6}
        for price_e4, size_e6 in zip(prices[:count], sizes[:count], strict=True)
    ]


def _taken(levels: list[dict[str, int]], signal: SignalRecord) -> list[dict[str, int]]:
    """Walk the levels within the limit, until the wanted size is found."""
    left_e6, found = signal.size_suggestion_e6, []
    for level in levels:
        price_e4, limit_e4 = level["price_e4"], signal.limit_price_e4
        within = price_e4 >= limit_e4 if signal.action == Action.SELL else price_e4 <= limit_e4
        takes_e6 = min(left_e6, level["size_e6"]) if within else 0
        left_e6 -= takes_e6
        cost_e6 = takes_e6 * price_e4 // E4
        found.append({"price_e4": price_e4, "takes_e6": takes_e6, "cost_e6": cost_e6})
    return found


def _fee_e6(row: MarketRow, level: dict[str, int]) -> int:
    spread = level["price_e4"] * (ONE_E4 - level["price_e4"]) / ONE_E4**2
    return round(row.fee_rate_e6 * spread**row.fee_exponent * level["takes_e6"] / E6)
