"""Follow the markets table: which markets exist, changed or went, for engines that need tokens.

Reads the markets table and the metadata stream; owns a private ``Instruments``.
"""

from lowlat.core.instruments import Instruments
from lowlat.core.layout import MARKET_ROW, MARKET_STATE, MarketRow
from lowlat.core.ports import EMPTY, OVERRUN, READ_BUSY, StreamReader, TableReader

__all__ = ["MarketDirectory"]

ROWS_A_TURN: int = 64
"""Bound of the work of one poll; the rest waits for the next turn."""


class MarketDirectory:
    """Market rows as they change. ``poll`` returns the rows that did."""

    def __init__(self, markets: TableReader, metadata: StreamReader) -> None:
        self.instruments = Instruments()
        self._markets = markets
        self._metadata = metadata
        self._versions = [0] * markets.rows
        self._due: dict[int, None] = {}

    def start(self) -> None:
        """Take the whole table; what changes meanwhile comes through the stream."""
        self._sweep()

    def poll(self) -> list[MarketRow]:
        """Return rows that changed since the last call, at most ROWS_A_TURN."""
        metadata = self._metadata
        for _ in range(ROWS_A_TURN):
            kind = metadata.poll()
            if kind == MARKET_STATE.kind:
                self._due[MARKET_STATE.unpack(metadata.buffer).market] = None
            elif kind == OVERRUN:
                self._sweep()
            elif kind == EMPTY:
                break
        return self._read_due() if self._due else []

    def _sweep(self) -> None:
        for row, version in enumerate(self._versions):
            if self._markets.version(row) != version:
                self._due[row] = None

    def _read_due(self) -> list[MarketRow]:
        changed = []
        for row in list(self._due)[:ROWS_A_TURN]:
            version = self._markets.read(row)
            if version == READ_BUSY:
                continue
            del self._due[row]
            if version == self._versions[row] or version < 0:
                continue
            self._versions[row] = version
            record = MARKET_ROW.unpack(self._markets.buffer)
            self.instruments.put(record)
            changed.append(self.instruments.markets[record.market])
        return changed
