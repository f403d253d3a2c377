"""Match settlement prints with the windows that begin at their stamp.

Used by the metadata engine only. Exact or unknown: a print of another second is no start price,
and two prices for one stamp leave the window without one for good. A candle that no stream brought
is asked for (``_candles``).
"""

from typing import Final

from lowlat.core.layout import (
    SETTLE,
    Known,
    MarketRow,
    MarketStateReason,
    SettleSeries,
)
from lowlat.core.ports import EMPTY, OVERRUN, Clock, StreamReader
from lowlat.feeds._candles import CandleLookups, Key, Price
from lowlat.feeds._counters import FaultNotes, MetadataCells
from lowlat.feeds._rows import MarketRows
from lowlat.feeds._universe import start_key
from lowlat.feeds.ports import Fetch

__all__ = ["Key", "Price", "StartPrices", "Starts"]

POINTS_MAX: Final = 16_384
"""About half an hour of nine series that print each second, and two days of three coins' candles:
windows may be listed after their start."""
_CANDLES: Final = frozenset({SettleSeries.BINANCE_KLINE_OPEN, SettleSeries.BINANCE_KLINE_CLOSE})
_PRINTS_A_TURN: Final = 256


class StartPrices:
    """Prints by key, and the markets that wait for one."""

    def __init__(self) -> None:
        self._points: dict[Key, Price | None] = {}
        self._candles: dict[Key, Price | None] = {}
        """Apart, so that prints of each second do not push them out."""
        self._waiting: dict[Key, set[int]] = {}

    def want(self, key: Key, market: int) -> Price | None:
        """Return the print if it came already, and hear of it (again) when it comes."""
        self._waiting.setdefault(key, set()).add(market)
        return self._of(key).get(key)

    def forget(self, key: Key, market: int) -> None:
        """Stop waiting."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.discard(market)
            if not waiting:
                del self._waiting[key]

    def is_due(self, key: Key) -> bool:
        """Whether somebody waits for a print that never came; a contradicted one did."""
        return key in self._waiting and key not in self._of(key)

    def take(self, key: Key, price: Price) -> tuple[Price | None, list[int]] | None:
        """Take a print; return its price (None: contradicted) and whom it concerns, if anybody."""
        points, told = self._of(key), None
        if key not in points:
            if len(points) >= POINTS_MAX:
                del points[next(iter(points))]
            told = price
        elif points[key] == price:
            return None
        points[key] = told
        concerned = self._waiting.get(key)
        return (told, sorted(concerned)) if concerned else None

    def _of(self, key: Key) -> dict[Key, Price | None]:
        return self._candles if key[1] in _CANDLES else self._points


class Starts:
    """Start prices of rows, from settlement prints and old candles where there are any."""

    def __init__(
        self,
        settle: StreamReader | None,
        exchange: Fetch | None,
        rows: MarketRows,
        clock: Clock,
        cells: MetadataCells,
        notes: FaultNotes,
    ) -> None:
        """``exchange`` asks the spot exchange."""
        self._settle = settle
        self._rows = rows
        self._clock = clock
        self._cells = cells
        self._prices = StartPrices()
        self._candles: CandleLookups | None = None
        if exchange is not None:
            self._candles = CandleLookups(
                exchange, self._prices.is_due, self._take, clock, cells.failed, notes
            )

    def turn(self, now_ns: int) -> int:
        """Read prints, ask for what none brought; return how much was done."""
        asked = self._candles.turn(now_ns) if self._candles is not None else 0
        return asked + self._read()

    def _read(self) -> int:
        reader, work = self._settle, 0
        if reader is None:
            return 0
        for work in range(_PRINTS_A_TURN):
            kind = reader.poll()
            if kind == EMPTY:
                return work
            if kind == OVERRUN:
                # A print that was lost may be a start price: that window stays without one,
                # unless it is a candle's.
                self._cells.overruns.add(1)
            elif kind == SETTLE.kind:
                record = SETTLE.unpack(reader.buffer)
                if record.series == SettleSeries.BINANCE_SECOND_CLOSE:
                    continue
                self._take(
                    (record.coin, record.series, record.stamp_ns),
                    (record.price_e8, record.price_rest_e18),
                )
        return work + 1

    def wait(self, before: Key | None, row: MarketRow) -> Key | None:
        """Wait for the print of a row as it is now, not for another; return which it is."""
        key = start_key(row)
        if key != before and before is not None:
            self._prices.forget(before, row.market)
        if key is not None:
            price = self._prices.want(key, row.market)
            if row.known & Known.START_PRICE:
                return key
            if price is not None:
                self._write(row.market, price)
            elif self._candles is not None and key[1] in _CANDLES:
                self._candles.want(key)
        return key

    def forget(self, key: Key, market: int) -> None:
        """Wait for a market's print no more."""
        self._prices.forget(key, market)

    def _take(self, key: Key, price: Price) -> None:
        """Take the price of a stamp, wherever it came from."""
        told = self._prices.take(key, price)
        for market in told[1] if told is not None else ():
            self._write(market, told[0] if told is not None else None)

    def _write(self, market: int, price: Price | None) -> None:
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
