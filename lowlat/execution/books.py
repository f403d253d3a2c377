"""The executor's own reading of markets and books: rows by version, freshness by one comparison.

Readers are ports; a view is valid until the next ``book`` call. Nothing here is written.
"""

from typing import Final

from lowlat.book._view import BookView
from lowlat.book.fees import schedule_of
from lowlat.core.freshness import Shards
from lowlat.core.instruments import Instrument, Instruments
from lowlat.core.layout import (
    MARKET_ROW,
    Exchange,
    Known,
    MarketRow,
    MarketStatus,
)
from lowlat.core.ports import READ_BUSY, READ_NEVER, TableReader
from lowlat.execution._check import FactCells, MarketGate
from lowlat.venues.polymarket.amounts import TICKS

__all__ = ["Facts", "MarketReader"]

_TRADEABLE: Final = int(Known.TRADEABLE)
_TAKER_DECIMALS_MAX: Final = 4
# Plain ints: arithmetic on flag enums costs a microsecond each.


class Facts(FactCells):
    """What an order needs to know of its token, worked out once for each version of the row."""

    __slots__ = ("row", "token")

    def __init__(self, row: MarketRow, token: Instrument, version: int) -> None:
        self.version = version
        self.row = row
        self.token = token
        self.token_number = int(token.token_id)
        self.generation = row.generation
        self.tick_e4 = row.tick_e4
        fees = schedule_of(row)
        self.fees = fees
        self.tradeable = (
            row.known & _TRADEABLE == _TRADEABLE
            and row.status == MarketStatus.ACTIVE
            and row.exchange != Exchange.UNKNOWN
            and fees is not None
        )
        self.min_size_e6 = row.min_size_e6
        self.exchange = row.exchange
        self.rate_e6 = fees.rate_e6 if fees is not None else 0
        self.token_id = token.identity.token_id
        rule = TICKS.get(row.tick_e4)
        self.ladder_e6 = rule.ladder_step_e6 if rule is not None else 0
        self.cut_e6 = _cut_e6(rule.amount_decimals) if rule is not None else 0


def _cut_e6(amount_decimals: int) -> int:
    """Return the step of the shares of a FOK or FAK BUY. Source: polymarket.md 4.2."""
    step_e6: int = 10 ** (6 - min(amount_decimals, _TAKER_DECIMALS_MAX))
    return step_e6


class MarketReader:
    """Markets by row with their facts, books with their health."""

    def __init__(
        self,
        markets: TableReader,
        book: TableReader,
        shards: TableReader,
        instruments: Instruments,
        shard_silent_ns_max: int,
    ) -> None:
        """``shard_silent_ns_max``: a shard that said nothing for so long has no fresh book."""
        self._markets = markets
        self._book = book
        self._versions: dict[int, int] = {}
        self.instruments = instruments
        self._view = BookView(book.buffer)
        self._facts: dict[int, Facts] = {}
        self.shards = Shards(shards, shard_silent_ns_max)
        self.gate = MarketGate(self._facts, self.facts, markets, book, self._view, self.shards)
        self._market_rows = markets.rows
        self._swept = 0
        self._book_rows = book.rows

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

    def facts(self, instrument: int) -> Facts | None:
        """Return what is known of a token by the newest row, None when there is none. Hot."""
        market = instrument >> 1
        if not 0 <= market < self._market_rows:
            return None
        known = self._facts.get(instrument)
        if known is not None and known.version == self._markets.version(market):
            return known
        row = self.market(market)
        token = self.instruments.by_index.get(instrument)
        if row is None or token is None:
            return None
        facts = self._facts[instrument] = Facts(row, token, self._versions[market])
        return facts

    def instrument(self, index: int) -> Instrument | None:
        """Return the token behind an index, None when its market is not known."""
        return self.instruments.by_index.get(index) if self.market(index >> 1) else None

    def book_version(self, market: int) -> int:
        """Return the version of a market's book without copying it."""
        return self._book.version(market)

    def book(self, market: int) -> BookView | None:
        """Read a market's book; None when it was never written or is being overwritten."""
        if not 0 <= market < self._book_rows or self._book.read(market) <= 0:
            return None
        return self._view

    def alive(self, view: BookView, now_ns: int) -> bool:
        """Whether the connection that fed this book is still the one that would change it."""
        return self.shards.is_fresh(view.shard, view.connection_generation, now_ns)

    def sweep(self) -> None:
        """Read every market row that changed; at start, so that tokens of old orders are known."""
        self._swept = 0
        self.sweep_some(self._markets.rows)

    def sweep_some(self, count: int) -> None:
        """Read those of the next rows that changed, and begin again behind the last."""
        until = min(self._swept + count, self._markets.rows)
        for market in range(self._swept, until):
            if self._markets.version(market):
                self.market(market)
        self._swept = until if until < self._markets.rows else 0
