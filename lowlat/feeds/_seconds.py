"""Ask the exchange for the closes of its last seconds: what volatility can be learned from at once.

Used by the price feed only. An engine that just started has seen no returns, and one that learned
its volatility from the first half minute has learned little; the exchange still has the seconds
before. They are asked for at the start, and from then on those that were added, so that the ring
always holds the last minutes for a module that starts later. A few are published a turn: nobody
who trades waits behind a batch. Source: feeds.md 1.4 (1 s candles, 1 000 an answer, weight 2).
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Coin, SettleSeries
from lowlat.core.ports import Cell, Clock
from lowlat.feeds._counters import FaultNotes
from lowlat.feeds.params import SECONDS_BACK_MAX
from lowlat.feeds.ports import Fetch
from lowlat.venues.binance.events import SYMBOLS, Kline
from lowlat.venues.binance.rest import decode_klines, klines_path
from lowlat.venues.polymarket.prices import PricePoint

__all__ = ["SecondCloses"]

_S_NS: Final = 1_000_000_000
_STEP_NS_MIN: Final = 1_000_000_000
_FIRST_A_TURN: Final = 64
"""Nobody trades on what is not warm yet."""
_LATER_A_TURN: Final = 2
_HTTP_OK: Final = 200
_INTERVAL: Final = "1s"


class SecondCloses:
    """Whom to ask, and what waits to be published. ``publish(point, recv_ns)`` takes each once."""

    def __init__(
        self,
        fetch: Fetch,
        coins: tuple[Coin, ...],
        back_s: int,
        every_ns: int,
        publish: Callable[[PricePoint, int], None],
        clock: Clock,
        failed: Cell,
        notes: FaultNotes,
    ) -> None:
        self._fetch = fetch
        self._back_s = back_s
        self._every_ns = every_ns
        self._publish = publish
        self._clock = clock
        self._failed = failed
        self._notes = notes
        self._waiting: deque[tuple[PricePoint, int]] = deque()
        self._last_s = dict.fromkeys(coins, 0)
        """The newest second that was taken, by coin; 0 before the first answer."""
        self._due_ns = dict.fromkeys(coins, 0)
        self._step_ns = dict.fromkeys(coins, _STEP_NS_MIN)
        self._asked: Coin | None = None
        self._told = False
        """Whether the first seconds of every coin are out."""

    def turn(self, now_ns: int) -> int:
        """Publish a few, ask for those of at most one coin; return how much was done."""
        waiting = self._waiting
        if waiting:
            done = min(len(waiting), _LATER_A_TURN if self._told else _FIRST_A_TURN)
            for _ in range(done):
                self._publish(*waiting.popleft())
            self._told = self._told or (not waiting and all(self._last_s.values()))
            return done
        if self._asked is None:
            for coin, due_ns in self._due_ns.items():
                if now_ns >= due_ns:
                    return self._ask(coin, now_ns)
        return 0

    def _ask(self, coin: Coin, now_ns: int) -> int:
        wall_s = self._clock.wall_ns() // _S_NS
        since_s = max(self._last_s[coin], wall_s - self._back_s)
        symbol = SYMBOLS[coin]
        # One more than can be over: a clock that is a second behind loses nothing.
        count = min(SECONDS_BACK_MAX, max(1, wall_s - since_s + 1))
        path = klines_path(symbol, _INTERVAL, since_s * _S_NS, count)
        if not self._fetch(path, lambda *answer: self._take(coin, *answer)):
            return 0
        self._asked = coin
        self._due_ns[coin] = now_ns + self._every_ns
        return 1

    def _take(self, coin: Coin, status: int, body: bytes, recv_ns: int) -> None:
        self._asked = None
        symbol = SYMBOLS[coin]
        if status != _HTTP_OK:
            self._fail(coin, f"{symbol} status {status}")
            return
        try:
            candles = decode_klines(body, symbol, _INTERVAL, self._clock.wall_ns())
        except RemoteProtocolError as error:
            self._fail(coin, str(error))
            return
        self._step_ns[coin] = _STEP_NS_MIN
        for candle in candles:
            self._take_candle(coin, candle, recv_ns)

    def _take_candle(self, coin: Coin, candle: Kline, recv_ns: int) -> None:
        start_s, rest_ns = divmod(candle.start_ns, _S_NS)
        if rest_ns or candle.close_ns - candle.start_ns >= _S_NS:
            self._fail(coin, f"{candle.symbol} candle {start_s} is not of a second")
            return
        end_s = start_s + 1
        if not candle.final or end_s <= self._last_s[coin]:
            return
        self._last_s[coin] = end_s
        point = PricePoint(
            coin,
            SettleSeries.BINANCE_SECOND_CLOSE,
            end_s * _S_NS,
            candle.event_ns,
            candle.close_e8,
            0,
            history=True,
            carried_forward=False,
        )
        self._waiting.append((point, recv_ns))

    def _fail(self, coin: Coin, sample: str) -> None:
        """Ask again sooner than usual, ever more rarely while it fails."""
        now_ns = self._clock.monotonic_ns()
        self._failed.add(1)
        self._notes.add("second closes", sample, now_ns)
        step_ns = self._step_ns[coin]
        self._step_ns[coin] = min(2 * step_ns, self._every_ns)
        self._due_ns[coin] = min(self._due_ns[coin], now_ns + step_ns)
