"""Follow the markets table: which markets exist, changed or went, for engines that need tokens.

Every process that looks tokens up owns one, over its own readers. Pure: readers are ports.
"""

from typing import Final

from lowlat.core.instruments import Instruments
from lowlat.core.layout import MARKET_ROW, MARKET_STATE, MarketRow
from lowlat.core.ports import EMPTY, OVERRUN, READ_BUSY, READ_NEVER, StreamReader, TableReader

__all__ = ["ROWS_A_TURN", "MarketDirectory"]

ROWS_A_TURN: Final = 64
"""Bound of the work of one poll; the rest waits for the next turn."""


class MarketDirectory:
    """Market rows as they change, and the instruments they name."""

    def __init__(self, markets: TableReader, metadata: StreamReader) -> None:
        self.instruments = Instruments()
        self._markets = markets
        self._metadata = metadata
        self._versions = [0] * markets.rows
        self.poll_metadata = metadata.poll
        """With ``due``: whoever turns often asks both by itself before it calls ``take``."""
        self.due: dict[int, None] = {}
        """Rows to look at; always the same dict."""

    @property
    def position(self) -> int:
        """Position of the metadata record that comes next."""
        return self._metadata.position

    def start(self) -> list[MarketRow]:
        """Read the whole table; what changes meanwhile comes through the stream."""
        self._sweep()
        return self._read_due(len(self.due))

    def touch(self, market: int) -> None:
        """Look at a row again: another stream said it changed."""
        if market < len(self._versions):
            self.due[market] = None

    def poll(self) -> list[MarketRow]:
        """Return rows that changed since the last call, at most ROWS_A_TURN. Idle: 40 ns."""
        kind = self.poll_metadata()
        if kind == EMPTY and not self.due:
            return []
        return self.take(kind)

    def take(self, kind: int) -> list[MarketRow]:
        """Return what ``poll`` does, given the kind that ``poll_metadata`` returned."""
        metadata = self._metadata
        taken = 0
        while kind != EMPTY:
            if kind == MARKET_STATE.kind:
                self.touch(MARKET_STATE.unpack(metadata.buffer).market)
            elif kind == OVERRUN:
                self._sweep()
            taken += 1
            if taken == ROWS_A_TURN:
                break
            kind = metadata.poll()
        return self._read_due(ROWS_A_TURN)

    def _sweep(self) -> None:
        version = self._markets.version
        for row, known in enumerate(self._versions):
            if version(row) != known:
                self.due[row] = None

    def _read_due(self, most: int) -> list[MarketRow]:
        changed = []
        for row in list(self.due)[:most]:
            version = self._markets.read(row)
            if version == READ_BUSY:
                continue
            del self.due[row]
            if version in (self._versions[row], READ_NEVER):
                continue
            self._versions[row] = version
            record = MARKET_ROW.unpack(self._markets.buffer)
            if record.market != row:
                continue
            self.instruments.put(record)
            changed.append(self.instruments.markets[row])
        return changed
