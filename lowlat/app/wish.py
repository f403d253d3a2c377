"""What somebody asks to buy by hand, and the markets it can be had in. For inject, risk check."""

import time
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from lowlat.core.errors import SegmentError
from lowlat.core.layout import (
    BOOK_ROW,
    MARKET_ROW,
    BookFlag,
    Known,
    MarketRow,
    MarketStatus,
)
from lowlat.core.resolution import assess
from lowlat.core.units import NO_PRICE_E4, ONE_E4
from lowlat.risk.limits import LimitsParams
from lowlat.shm.attach import Attached

__all__ = ["Offer", "Wish", "offers", "slug_of"]

_UNHEALTHY: Final = 0xFFFF & ~int(BookFlag.TRUNCATED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to buy: the best offer of an outcome, or at another price."""

    market: str = ""
    """Part of a slug or a row number; '' leaves the choice to ``offers`` and to risk."""
    outcome: int = 0
    """0 YES, 1 NO."""
    size_e6: int = 10_000_000
    price_e4: int = NO_PRICE_E4


class Offer(NamedTuple):
    """A market that can be traded now, and what to pay there."""

    row: MarketRow
    price_e4: int


def offers(attached: Attached, wish: Wish, limits: LimitsParams) -> list[Offer]:
    """List markets and the price to pay, tightest first. Raises SegmentError when there is none.

    A market nobody named is none of those that risk refuses or halves for how they may resolve,
    and those that lock money for long come last.
    """
    found: list[tuple[bool, int, int, int, MarketRow]] = []
    wall_ns = time.time_ns()
    rows, versions = attached.tables["markets"].snapshot()
    for index in (versions > 0).nonzero()[0].tolist():
        row = MARKET_ROW.unpack(memoryview(rows[index].tobytes()))
        if wish.market and wish.market != str(row.market) and wish.market not in slug_of(row):
            continue
        if not wish.market and assess(row, wall_ns).score > limits.resolution_score_full:
            continue
        touch = _touch(attached, row, wish.outcome)
        if touch is not None:
            bid_e4, ask_e4 = touch
            locks = not 0 < row.end_ns <= wall_ns + limits.long_horizon_ns
            found.append((locks, ask_e4 - bid_e4, row.market, ask_e4, row))
    if not found:
        which = f"no market like {wish.market!r}" if wish.market else "no market"
        raise SegmentError(
            f"{which} of {attached.instance!r} is tradeable now with a fresh, healthy book"
        )
    found.sort(key=lambda each: each[:3])
    return [
        Offer(row, ask_e4 if wish.price_e4 == NO_PRICE_E4 else wish.price_e4)
        for *_, ask_e4, row in found
    ]


def slug_of(row: MarketRow) -> str:
    """Return the market's name in its address at the venue."""
    return row.slug.rstrip(b"\0").decode("utf-8", "replace")


def _touch(attached: Attached, row: MarketRow, outcome: int) -> tuple[int, int] | None:
    """Return bid and ask of an outcome, None when the market cannot be traded now."""
    tradeable = row.known & Known.TRADEABLE == Known.TRADEABLE
    if not tradeable or row.status != MarketStatus.ACTIVE:
        return None
    reader: Any = attached.tables["book"].reader
    if reader.read(row.market) <= 0:
        return None
    book = BOOK_ROW.unpack(reader.buffer)
    if book.book_flags & _UNHEALTHY or book.generation != row.generation:
        return None
    if not book.bid_count or not book.ask_count:
        return None
    bid_e4, ask_e4 = book.bid_price_e4[0], book.ask_price_e4[0]
    # NO is the same ladder from the other side.
    return (ONE_E4 - ask_e4, ONE_E4 - bid_e4) if outcome else (bid_e4, ask_e4)
