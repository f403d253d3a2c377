"""The markets table: which market has which row, writing rows, giving rows to new markets.

Used by the metadata engine only; sole writer of the table and the metadata stream. A row is given
away only an hour after its market resolved, when nothing of it is held, one generation higher.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from lowlat.core.instruments import Instruments, unlisted_markets
from lowlat.core.layout import (
    MARKET_ROW,
    MARKET_STATE,
    RESET,
    MarketRow,
    MarketStateChange,
    MarketStatus,
    Reset,
    Writer,
    record_id,
)
from lowlat.core.ports import StreamWriter, TableWriter

__all__ = ["MarketRows"]

RECYCLE_NS: Final = 3_600_000_000_000


class MarketRows:
    """Rows by number. ``held(market)`` says that orders or shares of a market are still ours."""

    def __init__(
        self,
        table: TableWriter,
        stream: StreamWriter,
        instruments: Instruments,
        held: Callable[[int], bool] = lambda _market: False,
    ) -> None:
        self.instruments = instruments
        self._table = table
        self._stream = stream
        self.held = held
        """Whether orders or shares of a market are still ours."""
        self._rows: dict[int, MarketRow] = {}
        self._generations: dict[int, int] = {}
        self._next = 0
        self.tradeable = 0
        """Rows whose market can be traded."""
        self._retired: deque[tuple[int, int]] = deque()
        self._ids = record_id(Writer.METADATA, stream.epoch, 0)

    @property
    def count(self) -> int:
        """Rows in use."""
        return len(self._rows)

    def start(self, now_ns: int) -> list[MarketRow]:
        """Load what an earlier life wrote; return the rows that still hold a market."""
        record = Reset(
            self._ids | self._stream.cursor, now_ns, max(self._stream.epoch - 1, 0), 0xFFFF_FFFF
        )
        RESET.pack(self._stream.buffer, record)
        self._stream.publish(RESET.kind)
        live = []
        for market in range(self._table.rows):
            if self._table.read(market) <= 0:
                continue
            row = MARKET_ROW.unpack(self._table.buffer)
            self._next = market + 1
            self._rows[market] = row
            self._generations[market] = row.generation
            self.instruments.put(row)
            self._count_tradeable(market, 1)
            if row.status == MarketStatus.RESOLVED:
                # When it resolved is not known any more: its hour begins again.
                self._retired.append((now_ns, market))
            else:
                live.append(row)
        return live

    def get(self, market: int) -> MarketRow | None:
        """Return a row as last written."""
        return self._rows.get(market)

    def generation(self, market: int) -> int:
        """Return the generation of the market that has the row now."""
        return self._generations[market]

    def allocate(self, now_ns: int) -> int | None:
        """Return a row for a new market: a fresh one, else one that may be given away."""
        if self._next < unlisted_markets(self._table.rows).start:
            market = self._next
            self._next += 1
            self._generations[market] = 1
            return market
        for _ in range(len(self._retired)):
            since_ns, market = self._retired[0]
            if now_ns - since_ns < RECYCLE_NS:
                return None
            self._retired.popleft()
            if self.held(market):
                self._retired.append((since_ns, market))
                continue
            self._count_tradeable(market, -1)
            del self._rows[market]
            self._generations[market] += 1
            return market
        return None

    def retire(self, market: int, now_ns: int) -> None:
        """Begin the hour after which the row may be given away."""
        self._retired.append((now_ns, market))

    def write(self, row: MarketRow, reason: int, now_ns: int) -> bool:
        """Write a row and tell of it; False when it says nothing new."""
        before = self._rows.get(row.market)
        if before is not None and before == row._replace(
            id=before.id, updated_ns=before.updated_ns
        ):
            return False
        row = row._replace(id=self._ids | self._stream.cursor, updated_ns=now_ns)
        MARKET_ROW.pack(self._table.buffer, row)
        version = self._table.write(row.market)
        self._count_tradeable(row.market, -1)
        self._rows[row.market] = row
        self.instruments.put(row)
        self._count_tradeable(row.market, 1)
        change = MarketStateChange(
            row.id, version, 0, now_ns, row.market, row.generation, reason, row.status, row.tick_e4
        )
        MARKET_STATE.pack(self._stream.buffer, change)
        self._stream.publish(MARKET_STATE.kind)
        return True

    def _count_tradeable(self, market: int, step: int) -> None:
        if self.instruments.tradeable(market):
            self.tradeable += step
