"""Match settlement prints with the windows that begin at their stamp, and write their start price.

Used by the metadata engine only. Exact or unknown: a print of another second is no start price,
and two prices for one stamp leave the window without one for good.
"""

from typing import Final

from lowlat.core.layout import SETTLE, Known, MarketRow, MarketStateReason, Settle
from lowlat.core.ports import EMPTY, OVERRUN, Clock, StreamReader
from lowlat.feeds._counters import MetadataCells
from lowlat.feeds._rows import MarketRows
from lowlat.feeds._universe import start_key

__all__ = ["Key", "StartPrices", "Starts"]

Key = tuple[int, int, int]
"""(coin, series, stamp_ns)."""

POINTS_MAX: Final = 16_384
"""About half an hour of nine series: windows may be listed after their start."""
_PRINTS_A_TURN: Final = 256


class StartPrices:
    """Prints by key, and the markets that wait for one."""

    def __init__(self) -> None:
        self._points: dict[Key, tuple[int, int] | None] = {}
        self._waiting: dict[Key, set[int]] = {}

    def want(self, key: Key, market: int) -> tuple[int, int] | None:
        """Return the print if it came already, and hear of it (again) when it comes."""
        self._waiting.setdefault(key, set()).add(market)
        return self._points.get(key)

    def forget(self, key: Key, market: int) -> None:
        """Stop waiting."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.discard(market)
            if not waiting:
                del self._waiting[key]

    def take(self, record: Settle) -> tuple[tuple[int, int] | None, list[int]] | None:
        """Take a print; return its price (None: contradicted) and whom it concerns, if anybody."""
        key = (record.coin, record.series, record.stamp_ns)
        price: tuple[int, int] | None = (record.price_e8, record.price_rest_e18)
        if key in self._points:
            if self._points[key] == price:
                return None
            price = None
        elif len(self._points) >= POINTS_MAX:
            del self._points[next(iter(self._points))]
        self._points[key] = price
        concerned = self._waiting.get(key)
        return (price, sorted(concerned)) if concerned else None


class Starts:
    """Start prices of rows, from the stream of settlement prints when there is one."""

    def __init__(
        self, settle: StreamReader | None, rows: MarketRows, clock: Clock, cells: MetadataCells
    ) -> None:
        self._settle = settle
        self._rows = rows
        self._clock = clock
        self._cells = cells
        self._prices = StartPrices()

    def turn(self) -> int:
        """Read prints; return how many."""
        reader, work = self._settle, 0
        if reader is None:
            return 0
        for work in range(_PRINTS_A_TURN):
            kind = reader.poll()
            if kind == EMPTY:
                return work
            if kind == OVERRUN:
                # A print that was lost may be a start price: that window stays without one.
                self._cells.overruns.add(1)
            elif kind == SETTLE.kind:
                told = self._prices.take(SETTLE.unpack(reader.buffer))
                for market in told[1] if told is not None else ():
                    self._write(market, told[0] if told is not None else None)
        return work + 1

    def wait(self, before: Key | None, row: MarketRow) -> Key | None:
        """Wait for the print of a row as it is now, not for another; return which it is."""
        key = start_key(row)
        if key != before and before is not None:
            self._prices.forget(before, row.market)
        if key is not None:
            price = self._prices.want(key, row.market)
            if price is not None and not row.known & Known.START_PRICE:
                self._write(row.market, price)
        return key

    def forget(self, key: Key, market: int) -> None:
        """Wait for a market's print no more."""
        self._prices.forget(key, market)

    def _write(self, market: int, price: tuple[int, int] | None) -> None:
        """Write a window's start price, or that it is contradicted and so unknown."""
        row = self._rows.get(market)
        if row is None:
            return
        if price is None:
            row = row._replace(
                known=row.known & ~Known.START_PRICE, start_price_e8=0, start_price_rest_e18=0
            )
        else:
            self._cells.start_prices.add(1)
            row = row._replace(
                known=row.known | Known.START_PRICE,
                start_price_e8=price[0],
                start_price_rest_e18=price[1],
            )
        self._rows.write(row, MarketStateReason.START_PRICE, self._clock.monotonic_ns())
