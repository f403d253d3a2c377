"""The book that a signal saw, level by level, and what its wish takes of it or stands behind.

For `lowlat explain`: every number can be worked out again from the levels that are printed.
"""

from typing import Any, Final

from lowlat.cli._evidence import Evidence
from lowlat.cli._words import age, dollars, price, shares
from lowlat.core.layout import Action, BookRow, MarketRow, SignalRecord, Urgency
from lowlat.core.units import E4, E6, ONE_E4

__all__ = ["book_lines", "book_of", "group_lines", "group_of", "worth_lines"]

_LEVELS: Final = 10
"""Printed at most, beside those that the wish reaches."""
_TOGETHER_NS: Final = 1_000_000_000


def book_of(
    evidence: Evidence, signal: SignalRecord, row: MarketRow | None
) -> dict[str, Any] | None:
    """Return the levels that the wish takes, or among which it rests; None when not kept."""
    book = evidence.books.get((signal.id, signal.decided_ns))
    if book is None:
        return None
    is_no, sells = bool(signal.instrument & 1), signal.action == Action.SELL
    rests = signal.urgency == Urgency.LOW
    levels = _levels(book, is_no=is_no, bids=sells != rests)
    others = _levels(book, is_no=is_no, bids=sells == rests)
    taken = _taken(levels, signal, rests=rests)
    size_e6 = sum(each["takes_e6"] for each in taken)
    cost_e6 = sum(each["cost_e6"] for each in taken)
    known = row is not None and row.fee_exponent > 0
    return {
        "later_ns": max(0, book.published_ns - signal.decided_ns),
        "side": "bids" if sells != rests else "asks",
        "rests": rests,
        "facing_e4": others[0]["price_e4"] if others else None,
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
    lines = [f"{book['side']} of the token, {when}; best {_facing(book)}"]
    for number, level in enumerate(book["levels"]):
        if number >= _LEVELS and not level["takes_e6"]:
            rest = len(book["levels"]) - number
            lines.append(f"  and {rest} more")
            break
        takes = ""
        if level["takes_e6"]:
            takes = f"  takes {shares(level['takes_e6'])}: {dollars(level['cost_e6'])}"
        lines.append(f"  {price(level['price_e4'])} x {shares(level['size_e6'])}{takes}")
    if book["rests"]:
        return lines
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


def worth_lines(story: dict[str, Any]) -> list[str]:
    """Work a lone buyer's wish out again from the book it saw: what is left, and how much of it.

    The rest of its value is the chance that an order is filled, which the module knows.
    """
    book = story["book"]
    lone = story["legs"] == 1 and story["action"] == "BUY" and story["urgency"] != "low"
    if not lone or book is None or book["later_ns"] or not book["takes_e6"]:
        return []
    if book["fee_e6"] is None:
        return []
    pays = story["confidence"] * book["takes_e6"] / E6
    left = pays - (book["cost_e6"] + book["fee_e6"]) / E6
    if left <= 0.0:
        return []
    return [
        (
            f"  {shares(book['takes_e6'])} x {story['confidence']:.4f} less price and fee: "
            f"${left:.4f}; worth ${story['expected_value']:.4f}, "
            f"{story['expected_value'] / left:.0%} of it: the part of its orders that is filled"
        )
    ]


def group_of(evidence: Evidence, signal: SignalRecord) -> list[dict[str, Any]]:
    """Return what each leg of the signal's group takes of its own book, in their order."""
    if signal.legs < 2:
        return []
    # Numbers of groups begin anew after a reboot; legs of one are decided within microseconds.
    legs = [
        each
        for each in evidence.signals.values()
        if each.group == signal.group and abs(each.decided_ns - signal.decided_ns) < _TOGETHER_NS
    ]
    found = []
    for leg in sorted(legs, key=lambda each: each.leg):
        book = book_of(evidence, leg, evidence.market_of(leg))
        found.append(
            {
                "leg": leg.leg,
                "signal": f"{leg.id:#x}",
                "market": evidence.market_name(leg),
                "outcome": "NO" if leg.instrument & 1 else "YES",
                "rests": leg.urgency == Urgency.LOW,
                "size_e6": leg.size_suggestion_e6,
                "limit_price_e4": leg.limit_price_e4,
                "cost_e6": None if book is None else book["cost_e6"],
                "fee_e6": None if book is None else book["fee_e6"],
            }
        )
    return found


def group_lines(legs: list[dict[str, Any]]) -> list[str]:
    """Return what is printed of the legs: each one's price, and their sum where all are known."""
    lines = []
    for leg in legs:
        size, limit = shares(leg["size_e6"]), price(leg["limit_price_e4"])
        took = ": its book was not kept"
        if leg["rests"]:
            took = " rests"
        elif leg["cost_e6"] is not None:
            fee = "unknown" if leg["fee_e6"] is None else f"${leg['fee_e6'] / E6:,.4f}"
            took = f": {dollars(leg['cost_e6'])}, fee {fee}"
        lines.append(
            f"{leg['leg'] + 1}  {leg['signal']}  {size} {leg['outcome']} of {leg['market']} up to "
            f"{limit}{took}"
        )
    if legs and all(leg["fee_e6"] is not None and not leg["rests"] for leg in legs):
        cost_e6 = sum(leg["cost_e6"] for leg in legs)
        fee_e6 = sum(leg["fee_e6"] for leg in legs)
        lines.append(f"   together {dollars(cost_e6)}, fees ${fee_e6 / E6:,.4f}")
    return lines


def _facing(book: dict[str, Any]) -> str:
    """Return the best price of the other side, in words."""
    side = "ask" if book["side"] == "bids" else "bid"
    found = book["facing_e4"]
    return f"{side} {'none' if found is None else price(found)}"


def _levels(book: BookRow, *, is_no: bool, bids: bool) -> list[dict[str, int]]:
    """Return price and size of a token's bids, or of its asks, best first."""
    if is_no == bids:
        prices, sizes, count = book.ask_price_e4, book.ask_size_e6, book.ask_count
    else:
        prices, sizes, count = book.bid_price_e4, book.bid_size_e6, book.bid_count
    return [
        {"price_e4": ONE_E4 - price_e4 if is_no else price_e4, "size_e6": size_e6}
        for price_e4, size_e6 in zip(prices[:count], sizes[:count], strict=True)
    ]


def _taken(
    levels: list[dict[str, int]], signal: SignalRecord, *, rests: bool
) -> list[dict[str, int]]:
    """Walk the levels within the limit, until the wanted size is found; what rests takes none."""
    left_e6, found = 0 if rests else signal.size_suggestion_e6, []
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
