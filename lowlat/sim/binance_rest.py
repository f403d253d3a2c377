"""REST of the simulated spot exchange: books, prices, candles, trades, weights and bans. Pure.

Source: feeds.md 1.2-1.4, 1.6.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import orjson

from lowlat.core.units import E8
from lowlat.sim.binance_book import Book, Levels, e8
from lowlat.sim.binance_info import exchange_info
from lowlat.sim.faults import Faults
from lowlat.sim.klines import INTERVALS_S, kline_rows
from lowlat.sim.spot import SpotPath
from lowlat.sim.wire import Request, Respond, Response, failure, success

__all__ = ["BinanceRest"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
WEIGHT_MAX: Final = 6_000
MINUTE_NS: Final = 60 * NS
BAN_NS: Final = 120 * NS
REFUSED_MAX: Final = 10
"""So many requests after a 429 end in a ban."""
DAY_S: Final = 86_400
SNAPSHOT_AGE_S: Final = 5
DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1000, 50), (5000, 250))
OF_ONE: Final = frozenset(
    f"/api/v3/{name}"
    for name in (
        "aggTrades", "avgPrice", "depth", "historicalTrades", "klines", "trades", "uiKlines"
    )
)  # fmt: skip
MANDATORY: Final = {
    "symbol": OF_ONE,
    "interval": frozenset({"/api/v3/klines", "/api/v3/uiKlines"}),
}
TIMES: Final = frozenset({"T", "closeTime", "openTime", "serverTime", "time"})
LIMITS: Final = (
    ("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_MAX),
    ("RAW_REQUESTS", "MINUTE", 5, 300_000),
)


def _refused(
    status: int, code: int, text: str, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Answer an error in the exchange's shape."""
    return Response(status, orjson.dumps({"code": code, "msg": text}), headers)


INVALID_SYMBOL: Final = _refused(400, -1121, "Invalid symbol.")
BAD_PARAMETER: Final = _refused(400, -1100, "Illegal characters found in a parameter.")
Recorded = dict[str, tuple[int, dict[int, int], dict[int, int]]]


class BinanceRest:
    """Answers by path; counts the weight of each address."""

    def __init__(
        self,
        spots: dict[str, SpotPath],
        books: dict[str, Book],
        recorded: Recorded,
        faults: Faults,
    ) -> None:
        self._spots = spots
        self._books = {book.symbol: book for book in books.values()}
        self._coins = {book.symbol: coin for coin, book in books.items()}
        self._recorded = recorded
        self._faults = faults
        self._old: dict[str, deque[tuple[int, Levels, Levels]]] = {}
        self._used: dict[str, tuple[int, int]] = {}
        self._refused: dict[str, int] = {}
        self._banned_ns: dict[str, int] = {}
        self._routes: dict[str, Callable[[Request, int], tuple[Any, int]]] = {
            "/api/v3/ping": lambda _, __: ({}, 1),
            "/api/v3/time": lambda _, now: ({"serverTime": faults.wall_ns(now) // MS}, 1),
            "/api/v3/exchangeInfo": lambda request, now: (self._info(request, now), 20),
            "/api/v3/depth": self._depth,
            "/api/v3/klines": self._klines,
            "/api/v3/uiKlines": self._klines,
            "/api/v3/trades": lambda request, _: (self._trades(request), 25),
            "/api/v3/historicalTrades": lambda request, _: (self._trades(request), 25),
            "/api/v3/aggTrades": lambda request, _: (self._aggregates(request), 4),
            "/api/v3/ticker/price": lambda request, _: (self._each(request, _price), 2),
            "/api/v3/ticker/bookTicker": lambda request, _: (self._each(request, _book), 2),
            "/api/v3/ticker/24hr": lambda request, now: (
                self._each(request, lambda book: self.day(book, now)),
                2,
            ),
            "/api/v3/avgPrice": lambda request, now: (self._average(request, now), 2),
        }

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request within the limits of its address."""
        refusal = self._refusal(request.address, now_ns)
        if refusal is not None:
            respond(refusal)
            return
        route = self._routes.get(request.path) if request.method == "GET" else None
        if route is None:
            respond(failure(404, "Not Found"))
            return
        for name in ("symbol", "interval"):
            if request.path in MANDATORY[name] and not request.arg(name):
                text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
                respond(_refused(400, -1102, text))
                return
        value, weight = route(request, now_ns)
        if request.headers.get("x-mbx-time-unit", "").upper() == "MICROSECOND":
            value = _in_micros(value)
        used = self._spend(request.address, weight, now_ns)
        if isinstance(value, Response):
            respond(value)
        else:
            respond(success(value, (("X-MBX-USED-WEIGHT-1M", str(used)),)))

    # ----------------------------------------------------------------------------- limits
    def _refusal(self, address: str, now_ns: int) -> Response | None:
        """Return 418 for the banned, 429 for who has used up the minute."""
        left_ns = self._banned_ns.get(address, 0) - now_ns
        if left_ns > 0:
            return _limited(418, left_ns)
        minute, used = self._used.get(address, (0, 0))
        if minute != now_ns // MINUTE_NS or used < WEIGHT_MAX:
            self._refused.pop(address, None)
            return None
        refused = self._refused[address] = self._refused.get(address, 0) + 1
        if refused > REFUSED_MAX:
            self._banned_ns[address] = now_ns + BAN_NS
            return _limited(418, BAN_NS)
        return _limited(429, MINUTE_NS - now_ns % MINUTE_NS)

    def _spend(self, address: str, weight: int, now_ns: int) -> int:
        minute, used = self._used.get(address, (0, 0))
        if minute != now_ns // MINUTE_NS:
            minute, used = now_ns // MINUTE_NS, 0
        self._used[address] = (minute, used + weight)
        return used + weight

    # ----------------------------------------------------------------------------- answers
    def _depth(self, request: Request, now_ns: int) -> tuple[Any, int]:
        del now_ns
        symbol, limit = request.arg("symbol"), request.arg("limit", "100")
        if not _is_number(limit) or not int(limit):
            return BAD_PARAMETER, 1
        count = min(int(limit), 5000)
        weight = next(weight for most, weight in DEPTH_WEIGHTS if count <= most)
        found = self._book(symbol)
        if found is None:
            return INVALID_SYMBOL, weight
        update_id, bids, asks = found
        return {
            "lastUpdateId": update_id,
            "bids": [[e8(p), e8(q)] for p, q in bids[:count]],
            "asks": [[e8(p), e8(q)] for p, q in asks[:count]],
        }, weight

    def remember(self) -> None:
        """Keep what every book is at this second, as long as a snapshot may have to be old."""
        if not self._faults.may_hit("binance_snapshot_old_e4"):
            return
        for symbol, book in self._books.items():
            kept = self._old.setdefault(symbol, deque(maxlen=SNAPSHOT_AGE_S))
            kept.append((book.update_id, book.levels(0), book.levels(1)))

    def _book(self, symbol: str) -> tuple[int, Levels, Levels] | None:
        book = self._books.get(symbol)
        kept = self._old.get(symbol)
        if kept and self._faults.hit("binance_snapshot_old_e4"):
            return kept[0]
        if book is not None:
            return book.update_id, book.levels(0), book.levels(1)
        if symbol not in self._recorded:
            return None
        update_id, bids, asks = self._recorded[symbol]
        return update_id, sorted(bids.items(), reverse=True), sorted(asks.items())

    def _klines(self, request: Request, now_ns: int) -> tuple[Any, int]:
        """Answer candles; the running one shows the last price as its close."""
        symbol = request.arg("symbol")
        coin = self._coins.get(symbol)
        if coin is None:
            return INVALID_SYMBOL, 2
        span_s = INTERVALS_S.get(request.arg("interval"))
        limit, start_ms = request.arg("limit", "500"), request.arg("startTime", "")
        end_ms = request.arg("endTime", str(now_ns // MS))
        if span_s is None:
            return _refused(400, -1120, "Invalid interval."), 2
        if not (_is_number(limit) and _is_number(end_ms) and _is_number(start_ms or "0")):
            return BAD_PARAMETER, 2
        count = min(int(limit), 1000)
        last_s = min(int(end_ms) // 1000, now_ns // NS)
        # Without a start the newest are meant.
        since_s = -(-int(start_ms) // 1000) if start_ms else (last_s // span_s - count + 1) * span_s
        count = min(count, max(0, last_s // span_s - -(-since_s // span_s) + 1))
        return kline_rows(self._spots[coin], self._books[symbol], span_s, since_s, count, now_ns), 2

    def _trades(self, request: Request) -> Any:
        """Answer the last trades, or those from an id on."""
        found = self._found(request, "fromId")
        if isinstance(found, Response):
            return found
        return [
            {
                "id": trade_id,
                "price": e8(price),
                "qty": e8(size),
                "quoteQty": e8(price * size // E8),
                "time": at_ns // MS,
                "isBuyerMaker": buyer_makes,
                "isBestMatch": True,
            }
            for trade_id, at_ns, price, size, buyer_makes in found
        ]

    def _aggregates(self, request: Request) -> Any:
        """Answer the same trades under their short names: each taker meets one level here."""
        found = self._found(request, "fromId")
        if isinstance(found, Response):
            return found
        return [
            {
                "a": trade_id,
                "p": e8(price),
                "q": e8(size),
                "f": trade_id,
                "l": trade_id,
                "T": at_ns // MS,
                "m": buyer_makes,
                "M": True,
            }
            for trade_id, at_ns, price, size, buyer_makes in found
        ]

    def _found(
        self, request: Request, first: str
    ) -> Response | list[tuple[int, int, int, int, bool]]:
        """Return the trades that a request is about, oldest first."""
        book, limit = self._books.get(request.arg("symbol")), request.arg("limit", "500")
        if book is None:
            return INVALID_SYMBOL
        from_id, start_ms = request.arg(first, "0"), request.arg("startTime", "0")
        end_ms = request.arg("endTime", "9" * 15)
        if not all(map(_is_number, (limit, from_id, start_ms, end_ms))):
            return BAD_PARAMETER
        count = max(1, min(int(limit), 1000))
        kept = [
            trade
            for trade in book.trades
            if trade[0] >= int(from_id) and int(start_ms) <= trade[1] // MS <= int(end_ms)
        ]
        return kept[:count] if int(from_id) or int(start_ms) else kept[-count:]

    def _average(self, request: Request, now_ns: int) -> Any:
        coin = self._coins.get(request.arg("symbol"))
        if coin is None:
            return INVALID_SYMBOL
        second = now_ns // NS
        prices = [self._spots[coin].seconds[s][0] for s in range(second - 300, second)]
        mean = sum(prices) // len(prices)
        return {"mins": 5, "price": e8(mean), "closeTime": now_ns // MS}

    def _each(self, request: Request, shape: Callable[[Book], dict[str, Any]]) -> Any:
        """Answer for one symbol, a list of them, or all."""
        symbol, several = request.arg("symbol"), request.arg("symbols")
        if symbol:
            book = self._books.get(symbol)
            return INVALID_SYMBOL if book is None else shape(book)
        if not several:
            return [shape(book) for book in self._books.values()]
        names = _names(several)
        if not set(names) <= set(self._books):
            return INVALID_SYMBOL
        return [shape(self._books[name]) for name in names]

    def day(self, book: Book, now_ns: int) -> dict[str, Any]:
        """Return what is known of the last day: the path's history, two hours at first."""
        path = self._spots[self._coins[book.symbol]]
        first_s, last_s = min(path.seconds), max(path.seconds)
        candle = path.candle(first_s, last_s + 1)
        assert candle is not None, "the path has a history"
        first, high, low, _ = candle
        bid, ask, last = book.top(0), book.top(1), path.price_e8
        change = last - first
        sums = book.turnover.now
        return {
            "symbol": book.symbol,
            "priceChange": e8(change),
            "priceChangePercent": f"{100 * change / first:.3f}",
            "weightedAvgPrice": e8(sums.quote_e8 * E8 // sums.base_e8 if sums.base_e8 else last),
            "prevClosePrice": e8(first),
            "lastPrice": e8(last),
            "lastQty": e8(book.turnover.last_size_e8),
            "bidPrice": e8(bid[0]),
            "bidQty": e8(bid[1]),
            "askPrice": e8(ask[0]),
            "askQty": e8(ask[1]),
            "openPrice": e8(first),
            "highPrice": e8(max(high, last)),
            "lowPrice": e8(min(low, last)),
            "volume": e8(sums.base_e8),
            "quoteVolume": e8(sums.quote_e8),
            "openTime": now_ns // MS - DAY_S * 1000,
            "closeTime": now_ns // MS,
            "firstId": book.first_trade_id + 1 if sums.trades else -1,
            "lastId": book.trade_id if sums.trades else -1,
            "count": sums.trades,
        }

    def _info(self, request: Request, now_ns: int) -> Any:
        symbol, several = request.arg("symbol"), request.arg("symbols")
        wanted = _names(several) if several else [symbol] if symbol else list(self._coins)
        if not set(wanted) <= set(self._coins):
            return INVALID_SYMBOL
        coins = {name: self._coins[name] for name in wanted}
        return exchange_info(coins, self._faults.wall_ns(now_ns) // MS, LIMITS)


def _in_micros(value: Any) -> Any:
    """Return an answer with its times in microseconds, as a header may ask. Source: feeds.md 1.4.

    The end of a candle stays one unit before the next.
    """
    if isinstance(value, dict):
        return {k: v * 1000 if k in TIMES else v for k, v in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [[row[0] * 1000, *row[1:6], row[6] * 1000 + 999, *row[7:]] for row in value]
    return [_in_micros(row) for row in value] if isinstance(value, list) else value


def _names(text: str) -> list[str]:
    """Read a list of symbols as they come in a query: ["BTCUSDT","ETHUSDT"]."""
    return [name.strip('" ') for name in text.strip("[] ").split(",")]


def _price(book: Book) -> dict[str, Any]:
    return {"symbol": book.symbol, "price": e8(book.top(0)[0])}


def _book(book: Book) -> dict[str, Any]:
    bid, ask = book.top(0), book.top(1)
    return {
        "symbol": book.symbol,
        "bidPrice": e8(bid[0]),
        "bidQty": e8(bid[1]),
        "askPrice": e8(ask[0]),
        "askQty": e8(ask[1]),
    }


def _limited(status: int, wait_ns: int) -> Response:
    seconds = str(-(-wait_ns // NS))
    message = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
    return _refused(status, -1003, message, (("Retry-After", seconds),))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15
