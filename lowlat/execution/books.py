"""The executor's own reading of markets and books: rows by version, freshness by one comparison.

Readers are ports; a view is valid until the next ``book`` call. Nothing here is written.
"""

from lowlat.book._view import BookView
from lowlat.core.instruments import Instrument, Instruments
from lowlat.core.layout import MARKET_ROW, SHARD_ROW, MarketRow
from lowlat.core.ports import READ_BUSY, READ_NEVER, TableReader

__all__ = ["MarketReader"]


class MarketReader:
    """Markets by row with their facts, books with their health."""

    def __init__(
        self, markets: TableReader, book: TableReader, shards: TableReader, instruments: Instruments
    ) -> None:
        self._markets = markets
        self._book = book
        self._shards = shards
        self._versions: dict[int, int] = {}
        self.instruments = instruments
        self._view = BookView(book.buffer)

    def market(self, market: int) -> MarketRow | None:
        """Return the market's newest row, None when there is none."""
        if not 0 <= market < self._markets.rows:
            return None
        version = self._markets.version(market)
        if version != self._versions.get(market):
            read = self._markets.read(market)
            if read == READ_NEVER:
                return None
            if read != READ_BUSY:
                self._versions[market] = read
                self.instruments.put(MARKET_ROW.unpack(self._markets.buffer))
        return self.instruments.markets.get(market)

    def instrument(self, index: int) -> Instrument | None:
        """Return the token behind an index, None when its market is not known."""
        return self.instruments.by_index.get(index) if self.market(index >> 1) else None

    def book_version(self, market: int) -> int:
        """Return the version of a market's book without copying it."""
        return self._book.version(market)

    def book(self, market: int) -> BookView | None:
        """Read a market's book; None when it was never written or is being overwritten."""
        if not 0 <= market < self._book.rows or self._book.read(market) <= 0:
            return None
        return self._view

    def alive(self, view: BookView) -> bool:
        """Whether the connection that fed this book is still the one that would change it."""
        shard = view.shard
        if shard >= self._shards.rows or self._shards.read(shard) <= 0:
            return False
        row = SHARD_ROW.unpack(self._shards.buffer)
        return bool(row.alive) and row.connection_generation == view.connection_generation

    def sweep(self) -> None:
        """Read every market row that changed; at start, so that tokens of old orders are known."""
        for market in range(self._markets.rows):
            if self._markets.version(market):
                self.market(market)
