"""What the account is worth at least, from the engine's tables. Read from outside, for display.

A holding is worth the larger of two amounts that can really be had: what selling it into the bids
shown would bring, and what it pays for certain at resolution. For certain pays a share of YES with
a share of NO of one market, and in a complete neg-risk event the worst of its outcomes. Without
fees of a sale; nothing is guessed where no book is known.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from lowlat.core.layout import BOOK_ROW, MARKET_ROW, BookFlag, BookRow, MarketRow, MarketStatus
from lowlat.core.units import ONE_E4
from lowlat.shm.attach import Attached

__all__ = ["Worth", "certain_e6", "marked_e6", "results_by_module", "worth"]

_NO_EVENT: Final = bytes(32)
_TRIES: Final = 8


class Worth(NamedTuple):
    """The account now."""

    cash_e6: int
    holdings_e6: int
    """What the tokens held are worth at least."""
    tokens: int
    """Number of tokens held."""
    unlisted: int = 0
    """How many of them are of a market that the venue does not list: worth nothing here."""

    @property
    def total_e6(self) -> int:
        """Cash and holdings together."""
        return self.cash_e6 + self.holdings_e6


def worth(attached: Attached) -> Worth | None:
    """Value the account; None before the executor wrote its cash."""
    cash = attached.tables["cash"].read(0)
    if cash is None:
        return None
    cash_e6 = int(cash["cash_e6"])
    rows, versions = attached.tables["positions"].snapshot()
    held = rows[(versions > 0) & (rows["size_e6"] != 0)]
    sizes: dict[int, list[int]] = {}
    for instrument, size_e6 in zip(
        held["instrument"].tolist(), held["size_e6"].tolist(), strict=True
    ):
        sizes.setdefault(instrument >> 1, [0, 0])[instrument & 1] = size_e6
    if not sizes:
        return Worth(cash_e6, 0, 0)
    holdings_e6 = sum(_value_e6(attached, event, sizes) for event in _events(attached, sizes))
    return Worth(cash_e6, holdings_e6, len(held), int((held["generation"] == 0).sum()))


def results_by_module(attached: Attached) -> dict[str, dict[str, int]]:
    """Return what each module realized and what its open positions are up, as risk counts it.

    Open ones at the bids by depth, or at what they pay for certain: sets, pairs.
    """
    rows, versions = attached.tables["scores"].snapshot()
    return {
        row["module"].tobytes().rstrip(b"\0").decode(): {
            "realized_e6": int(row["realized_e6"]),
            "open_e6": int(row["open_e6"]),
        }
        for row in rows[versions > 0]
    }


def certain_e6(event: Iterable[MarketRow], sizes: dict[int, list[int]]) -> int:
    """Return what holdings of one complete neg-risk event, or of one market, pay at least."""
    markets = list(event)
    if len(markets) == 1:
        yes_e6, no_e6 = sizes.get(markets[0].market, (0, 0))
        winner = markets[0].winner
        if markets[0].status == MarketStatus.RESOLVED and winner:
            return yes_e6 if winner == 1 else no_e6
        return min(yes_e6, no_e6)
    held = [sizes.get(row.market, (0, 0)) for row in markets]
    no_all_e6 = sum(no_e6 for _, no_e6 in held)
    return min(no_all_e6 - no_e6 + yes_e6 for yes_e6, no_e6 in held)


def marked_e6(book: BookRow, yes_e6: int, no_e6: int) -> int:
    """Return what selling both holdings into the levels shown would bring."""
    bids = list(zip(book.bid_price_e4, book.bid_size_e6, strict=True))[: book.bid_count]
    asks = list(zip(book.ask_price_e4, book.ask_size_e6, strict=True))[: book.ask_count]
    # A bid for NO at 1 - p is an offer of YES at p: the same ladder.
    return _sold_e6(bids, yes_e6) + _sold_e6([(ONE_E4 - p, s) for p, s in asks], no_e6)


def _sold_e6(levels: list[tuple[int, int]], size_e6: int) -> int:
    brought = 0
    for price_e4, depth_e6 in levels:
        part_e6 = min(size_e6, depth_e6)
        brought += price_e4 * part_e6
        size_e6 -= part_e6
        if size_e6 <= 0:
            break
    return brought // ONE_E4


def _events(attached: Attached, sizes: dict[int, list[int]]) -> list[list[MarketRow]]:
    """Return the held markets, those of complete neg-risk events together with their siblings."""
    table = attached.tables["markets"]
    rows, versions = table.snapshot()
    by_event: dict[bytes, list[MarketRow]] = {}
    alone: list[list[MarketRow]] = []
    found: dict[int, MarketRow] = {}
    for index in (versions > 0).nonzero()[0].tolist():
        row = MARKET_ROW.unpack(memoryview(rows[index].tobytes()))
        found[row.market] = row
        if row.neg_risk and not row.neg_risk_augmented and row.event_id != _NO_EVENT:
            by_event.setdefault(row.event_id, []).append(row)
    seen: set[bytes] = set()
    for market in sizes:
        known = found.get(market)
        if known is None:
            continue
        siblings = by_event.get(known.event_id, []) if known.neg_risk else []
        complete = len(siblings) == known.event_market_count > 1
        running = all(each.status != MarketStatus.RESOLVED for each in siblings)
        if not (complete and running):
            alone.append([known])
        elif known.event_id not in seen:
            seen.add(known.event_id)
            alone.append(siblings)
    return alone


def _value_e6(attached: Attached, event: list[MarketRow], sizes: dict[int, list[int]]) -> int:
    marked = 0
    for row in event:
        yes_e6, no_e6 = sizes.get(row.market, (0, 0))
        book = _read_book(attached, row.market) if yes_e6 or no_e6 else None
        if book is not None and book.generation == row.generation:
            marked += marked_e6(book, yes_e6, no_e6)
    return max(certain_e6(event, sizes), marked)


def _read_book(attached: Attached, market: int) -> BookRow | None:
    reader: Any = attached.tables["book"].reader
    for _ in range(_TRIES):
        version = reader.read(market)
        if version >= 0:
            book = BOOK_ROW.unpack(reader.buffer) if version else None
            return None if book is None or book.book_flags & BookFlag.STALE else book
    return None
