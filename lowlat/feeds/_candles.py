"""Ask the exchange for candles that start prices rest on and that no stream brought.

Used by the metadata engine only. A window that began before this process did, or whose print was
lost, has its start price in a minute candle that is long over: REST still has it. One question is
under way at a time, and what fails is asked ever more rarely. Source: feeds.md 1.4, 3.2.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Coin, SettleSeries
from lowlat.core.ports import Cell, Clock
from lowlat.feeds._counters import FaultNotes
from lowlat.feeds.ports import Fetch
from lowlat.venues.binance.events import SYMBOLS, Kline
from lowlat.venues.binance.rest import decode_klines, klines_path

__all__ = ["CandleLookups", "Key", "Price"]

Key = tuple[int, int, int]
"""(coin, series, stamp_ns)."""
Price = tuple[int, int]
"""(price_e8, price_rest_e18)."""

_MINUTE_NS: Final = 60_000_000_000
_LOOK_NS: Final = 1_000_000_000
_STREAM_NS: Final = 5_000_000_000
"""So long after its stamp a print may still come by stream; then it is asked for."""
_STEP_NS_MIN: Final = 5_000_000_000
_STEP_NS_MAX: Final = 300_000_000_000
_HTTP_OK: Final = 200
_INTERVAL: Final = "1m"


class CandleLookups:
    """What is wanted, and when it is asked for. ``take`` is told each price that was found."""

    def __init__(
        self,
        fetch: Fetch,
        is_due: Callable[[Key], bool],
        take: Callable[[Key, Price], None],
        clock: Clock,
        failed: Cell,
        notes: FaultNotes,
    ) -> None:
        """``is_due``: whether a print is still waited for and never came."""
        self._fetch = fetch
        self._is_due = is_due
        self._take = take
        self._clock = clock
        self._failed = failed
        self._notes = notes
        self._steps: dict[Key, tuple[int, int]] = {}
        """Earliest next question, monotonic, and the wait after it."""
        self._asked = False
        self._due_ns = 0

    def want(self, key: Key) -> None:
        """Ask for the candle of a stamp when it is over, unless a stream brings it before."""
        self._steps.setdefault(key, (0, _STEP_NS_MIN))

    def turn(self, now_ns: int) -> int:
        """Ask for at most one candle; return whether it did."""
        if now_ns < self._due_ns or self._asked:
            return 0
        self._due_ns = now_ns + _LOOK_NS
        wall_ns = self._clock.wall_ns()
        for key in [key for key in self._steps if not self._is_due(key)]:
            del self._steps[key]
        for key, (due_ns, step_ns) in self._steps.items():
            if now_ns >= due_ns and wall_ns >= key[2] + _STREAM_NS:
                self._steps[key] = (now_ns + step_ns, min(2 * step_ns, _STEP_NS_MAX))
                return self._ask(key, wall_ns)
        return 0

    def _ask(self, key: Key, wall_ns: int) -> int:
        coin, series, stamp_ns = key
        symbol = SYMBOLS[Coin(coin)]
        is_close = series == SettleSeries.BINANCE_KLINE_CLOSE
        start_ns = stamp_ns - _MINUTE_NS if is_close else stamp_ns

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._asked = False
            if status != _HTTP_OK:
                self._fail(f"{symbol} status {status}", recv_ns)
                return
            try:
                candles = decode_klines(body, symbol, _INTERVAL, wall_ns)
            except RemoteProtocolError as error:
                self._fail(str(error), recv_ns)
                return
            price_e8 = _price_e8(candles, start_ns, is_close=is_close)
            if price_e8 is None:
                self._fail(f"{symbol} has no minute at {start_ns}", recv_ns)
                return
            self._take(key, (price_e8, 0))

        self._asked = self._fetch(klines_path(symbol, _INTERVAL, start_ns), done)
        return int(self._asked)

    def _fail(self, sample: str, now_ns: int) -> None:
        self._failed.add(1)
        self._notes.add("start candle", sample, now_ns)


def _price_e8(candles: list[Kline], start_ns: int, *, is_close: bool) -> int | None:
    """Return the open, or the final close, of the minute that begins at start_ns.

    The venue answers with the first candle at or after the time asked for: a hole in its list must
    not become another minute's price.
    """
    for candle in candles:
        if candle.start_ns == start_ns and (candle.final or not is_close):
            return candle.close_e8 if is_close else candle.open_e8
    return None
