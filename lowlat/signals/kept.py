"""What a module keeps of each market it takes part in, as long as that market lives.

For modules that wait by ``Watch``: a changed row of the same market leaves what was learned and
asks for a look at once; a new market in the place of an old one begins anew. No I/O.
"""

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from lowlat.core.layout import MarketRow
from lowlat.signals._watch import Watch
from lowlat.signals.own import OwnOrder

__all__ = ["Entry", "Kept"]


class Entry(Protocol):
    """What every entry has: the newest row of its market, and what waits for its books."""

    row: MarketRow
    watch: Watch


E = TypeVar("E", bound=Entry)


class Kept(Generic[E]):
    """Entries by market index; iterates over entries."""

    def __init__(self, make: Callable[[MarketRow], E]) -> None:
        """Call ``make(row)`` for a market that was not here."""
        self._make = make
        self._entries: dict[int, E] = {}

    def take(self, row: MarketRow) -> bool:
        """Take a new or changed row; True when its market is new here."""
        found = self._entries.get(row.market)
        if found is not None and found.row.generation == row.generation:
            found.row = row
            found.watch.due_ns = 0
            return False
        self._entries[row.market] = self._make(row)
        return True

    def drop(self, market: int) -> E | None:
        """Forget a market; return what was kept of it."""
        return self._entries.pop(market, None)

    def get(self, market: int, generation: int) -> E | None:
        """Return a market's entry unless it is gone or another one's by now."""
        found = self._entries.get(market)
        return found if found is not None and found.row.generation == generation else None

    def of_order(self, order: OwnOrder) -> E | None:
        """Return the entry of an order's market, None when that market is gone."""
        return self.get(order.instrument >> 1, order.generation)

    def __getitem__(self, market: int) -> E:
        """Return the entry of a market that is here."""
        return self._entries[market]

    def __iter__(self) -> Iterator[E]:
        """Iterate over every entry."""
        return iter(self._entries.values())
