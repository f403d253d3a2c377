"""The simulated spot exchange: combined streams, depth diffs that add up, REST. Pure.

One update id counts all book changes of a coin; a bookTicker and a depth event with the same id
show the same top. Source: feeds.md 1.2-1.4, 1.6.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import orjson

from lowlat.core.units import E8
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.klines import INTERVALS_S, kline_events, kline_rows
from lowlat.sim.spot import SpotPath
from lowlat.sim.wire import UNREADABLE, Request, Respond, Response, failure, success

__all__ = ["Binance", "BinanceFeed"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
CENT_E8: Final = 1_000_000
LEVELS: Final = 20
MESSAGES_PER_S_MAX: Final = 5
PONG_LIMIT_NS: Final = 60 * NS

Levels = Sequence[tuple[int, int]]


class _Control(msgspec.Struct, gc=False):
    method: str
    params: list[Any] = []
    id: int | str | None = None


_decode: Final = msgspec.json.Decoder(_Control).decode


class _Book:
    """Levels of one coin around its price, with the changes since the last diff."""

    def __init__(self, spot: SpotPath, rng: Random) -> None:
        self.symbol = f"{spot.coin}USDT"
        self.update_id = rng.randrange(10**9, 10**10)
        self.flushed_id = self.update_id
        self.trade_id = rng.randrange(10**8, 10**9)
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.changes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._gap_e8 = max(CENT_E8, spot.price_e8 // 100_000 // CENT_E8 * CENT_E8)
        self._rng = rng
        self.follow(spot.price_e8)

    def follow(self, price_e8: int) -> None:
        """Move the book to a price: the bid there, the ask a cent above, a grid behind both."""
        for side, top_e8, step_e8 in (
            (0, price_e8, -self._gap_e8),
            (1, price_e8 + CENT_E8, self._gap_e8),
        ):
            first = top_e8 // self._gap_e8 * self._gap_e8 + (step_e8 if side else 0)
            if first == top_e8:
                first += step_e8
            wanted = {top_e8, *(first + step_e8 * i for i in range(LEVELS - 1))}
            levels, changes = self.sides[side], self.changes[side]
            for price in [p for p in levels if p not in wanted]:
                del levels[price]
                changes[price] = 0
            for price in sorted(wanted):
                if price not in levels or price == top_e8:
                    levels[price] = changes[price] = self._rng.randrange(1, 400) * 10**6
        self.update_id += 1

    def top(self, side: int) -> tuple[int, int]:
        """Return best price and quantity of a side."""
        levels = self.sides[side]
        price = min(levels) if side else max(levels)
        return price, levels[price]


class Binance:
    """All sockets and REST of the spot exchange. The venue's ticker drives it."""

    def __init__(self, spots: dict[str, SpotPath], rng: Random, faults: Faults) -> None:
        self._spots = spots
        self._rng = rng
        self._faults = faults
        self._books = {coin: _Book(spot, rng) for coin, spot in spots.items()}
        self._recorded: dict[str, tuple[int, dict[int, int], dict[int, int]]] = {}
        self._feeds: dict[Session, BinanceFeed] = {}
        self._by_stream: dict[str, dict[Session, None]] = {}

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        return list(self._feeds)

    def feed(self, path: str) -> "BinanceFeed | None":
        """Return the end of a socket opened on a path, None for an unknown one."""
        target, _, query = path.partition("?")
        values = parse_qs(query)
        unit = values.get("timeUnit", ["MILLISECOND"])[0].upper()
        if target == "/stream":
            names = values.get("streams", [""])[0].split("/")
            return BinanceFeed(self, names, unit, combined=True)
        if target == "/ws" or target.startswith("/ws/"):
            return BinanceFeed(self, target[4:].split("/"), unit, combined=False)
        return None

    # ----------------------------------------------------------------------------- market
    def on_move(self, coin: str, now_ns: int) -> None:
        """Follow the path: a new top, now and then a trade that hit it."""
        book = self._books[coin]
        before = book.top(0)[0]
        book.follow(self._spots[coin].price_e8)
        bid, ask = book.top(0), book.top(1)
        self.publish_top(book.symbol, (book.update_id, *bid, *ask), now_ns)
        if self._rng.random() < 0.5:
            self._trade(book, bought=bid[0] >= before, now_ns=now_ns)

    def flush(self, now_ns: int) -> None:
        """Send every coin's diff of the last interval; the gap fault swallows one."""
        for book in self._books.values():
            if book.update_id == book.flushed_id:
                continue
            first, book.flushed_id = book.flushed_id + 1, book.update_id
            sides = (
                sorted(book.changes[0].items(), reverse=True),
                sorted(book.changes[1].items()),
            )
            for changes in book.changes:
                changes.clear()
            if not self._faults.hit("binance_gap_e4"):
                self._send_diff(book.symbol, first, book.update_id, sides, now_ns)

    def on_second(self, second: int, now_ns: int) -> None:
        """Send what candle streams say at a whole second whose prices have been noted."""
        for coin, spot in self._spots.items():
            symbol = self._books[coin].symbol
            for interval in INTERVALS_S:
                stream = f"{symbol.lower()}@kline_{interval}"
                if self._by_stream.get(stream):
                    for event in kline_events(spot, symbol, interval, second, now_ns):
                        self._send(stream, event, ("E", "t", "T"), now_ns)

    def publish_top(self, symbol: str, top: tuple[int, int, int, int, int], now_ns: int) -> None:
        """Send one bookTicker: update id, bid and its size, ask and its size."""
        update_id, bid, bid_size, ask, ask_size = top
        value = {
            "u": update_id,
            "s": symbol,
            "b": _e8(bid),
            "B": _e8(bid_size),
            "a": _e8(ask),
            "A": _e8(ask_size),
        }
        self._send(f"{symbol.lower()}@bookTicker", value, (), now_ns)

    def open_recorded(self, symbol: str, update_id: int, bids: Levels, asks: Levels) -> None:
        """Offer a recorded symbol with its first snapshot."""
        self._recorded[symbol] = (update_id, dict(bids), dict(asks))

    def publish_diff(
        self, symbol: str, first: int, last: int, sides: tuple[Levels, Levels], now_ns: int
    ) -> None:
        """Apply and send a recorded diff; one the snapshot already holds is only sent."""
        update_id, bids, asks = self._recorded[symbol]
        if last > update_id:
            for book, changes in zip((bids, asks), sides, strict=True):
                for price, size in changes:
                    if size:
                        book[price] = size
                    else:
                        book.pop(price, None)
            self._recorded[symbol] = (last, bids, asks)
        self._send_diff(symbol, first, last, sides, now_ns)

    def _send_diff(
        self, symbol: str, first: int, last: int, sides: tuple[Levels, Levels], now_ns: int
    ) -> None:
        value = {
            "e": "depthUpdate",
            "E": now_ns,
            "s": symbol,
            "U": first,
            "u": last,
            "b": [[_e8(price), _e8(size)] for price, size in sides[0]],
            "a": [[_e8(price), _e8(size)] for price, size in sides[1]],
        }
        name = f"{symbol.lower()}@depth"
        self._send(f"{name}@100ms", value, ("E",), now_ns)
        self._send(name, value, ("E",), now_ns)

    def ping(self, now_ns: int) -> None:
        """Ping every socket; drop those that owe a pong for a minute."""
        for session in list(self._feeds):
            if now_ns - session.pong_ns > PONG_LIMIT_NS:
                session.close(1008, "Pong timeout")
            else:
                session.ping(str(now_ns // MS).encode())

    def _trade(self, book: _Book, *, bought: bool, now_ns: int) -> None:
        book.trade_id += 1
        price_e8, quantity_e8 = book.top(1 if bought else 0)
        value = {
            "e": "trade",
            "E": now_ns,
            "s": book.symbol,
            "t": book.trade_id,
            "p": _e8(price_e8),
            "q": _e8(max(10**4, quantity_e8 // 10)),
            "T": now_ns,
            "m": not bought,
            "M": True,
        }
        self._send(f"{book.symbol.lower()}@trade", value, ("E", "T"), now_ns)

    def _send(
        self, stream: str, value: dict[str, Any], times: tuple[str, ...], now_ns: int
    ) -> None:
        sessions = self._by_stream.get(stream)
        if not sessions or now_ns < self._faults.frozen_until_ns:
            return
        frames: dict[tuple[str, bool], bytes] = {}
        for session in list(sessions):
            feed = self._feeds[session]
            kind = (feed.unit, feed.combined)
            frame = frames.get(kind)
            if frame is None:
                divisor = 1000 if feed.unit == "MICROSECOND" else MS
                told = _in_unit(value, times, divisor)
                body: Any = {"stream": stream, "data": told} if feed.combined else told
                frame = frames[kind] = orjson.dumps(body)
            session.send(frame)

    # ----------------------------------------------------------------------------- sockets
    def attach(self, session: Session, feed: "BinanceFeed", streams: list[str]) -> None:
        """Take a socket with the streams of its path."""
        self._feeds[session] = feed
        self.subscribe(session, streams)

    def detach(self, session: Session) -> None:
        """Forget a socket."""
        self._feeds.pop(session, None)
        self.unsubscribe(session, list(session.subscriptions))

    def subscribe(self, session: Session, streams: list[str]) -> None:
        """Add streams; names that never emit are accepted, as live."""
        for stream in streams:
            if stream:
                session.subscriptions.add(stream)
                self._by_stream.setdefault(stream, {})[session] = None

    def unsubscribe(self, session: Session, streams: list[str]) -> None:
        """Remove streams."""
        for stream in streams:
            session.subscriptions.discard(stream)
            self._by_stream.get(stream, {}).pop(session, None)

    # ----------------------------------------------------------------------------- REST
    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        respond(self.answer(request, now_ns))

    def answer(self, request: Request, now_ns: int) -> Response:
        """Answer time, depth, klines and the top of the book."""
        weight = (("X-MBX-USED-WEIGHT-1M", "1"),)
        if request.path == "/api/v3/time":
            return success({"serverTime": self._faults.wall_ns(now_ns) // MS}, weight)
        if request.path == "/api/v3/ping":
            return success({}, weight)
        symbol = request.arg("symbol")
        coin = symbol.removesuffix("USDT")
        book = self._books.get(coin)
        if request.path == "/api/v3/depth" and (book is not None or symbol in self._recorded):
            if book is not None:
                update_id, bids, asks = book.update_id, *book.sides
            else:
                update_id, bids, asks = self._recorded[symbol]
            return success(
                {
                    "lastUpdateId": update_id,
                    "bids": [[_e8(p), _e8(q)] for p, q in sorted(bids.items(), reverse=True)],
                    "asks": [[_e8(p), _e8(q)] for p, q in sorted(asks.items())],
                },
                weight,
            )
        if book is None or not symbol.endswith("USDT"):
            return failure(400, "", code=-1121, msg="Invalid symbol.")
        if request.path == "/api/v3/klines":
            return self._klines(request, self._spots[coin], now_ns)
        return failure(404, "not found")

    def _klines(self, request: Request, spot: SpotPath, now_ns: int) -> Response:
        """Answer candles; the running one shows the last price as its close."""
        span_s = INTERVALS_S.get(request.arg("interval"))
        limit, start_ms = request.arg("limit", "500"), request.arg("startTime", "0")
        if span_s is None or not limit.isdecimal() or not start_ms.isdecimal():
            return failure(400, "", code=-1100, msg="Illegal characters found in a parameter.")
        since_s = -(-int(start_ms) // 1000)
        return success(kline_rows(spot, span_s, since_s, min(int(limit), 1000), now_ns))


class BinanceFeed:
    """One socket: its wrapping, its time unit, its message budget."""

    def __init__(self, exchange: Binance, streams: list[str], unit: str, *, combined: bool) -> None:
        self.unit = unit
        self.combined = combined
        self._exchange = exchange
        self._streams = streams
        self._recent: list[int] = []

    def connect(self, session: Session) -> None:
        """Attach to the exchange."""
        self._exchange.attach(session, self, self._streams)

    def disconnect(self, session: Session) -> None:
        """Leave the exchange."""
        self._exchange.detach(session)

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle a control message; more than five a second end the connection."""
        self._recent = [at_ns for at_ns in self._recent if now_ns - at_ns < NS] + [now_ns]
        if len(self._recent) > MESSAGES_PER_S_MAX:
            session.close(1008, "Too many requests")
            return
        try:
            control = _decode(text)
        except msgspec.ValidationError:
            session.send(orjson.dumps({"code": 2, "msg": "Invalid request"}))
            return
        except UNREADABLE:
            session.send(orjson.dumps({"code": 3, "msg": "Invalid JSON"}))
            return
        session.send(orjson.dumps(self._reply(session, control)))

    def _reply(self, session: Session, control: _Control) -> dict[str, Any]:
        names = [str(each) for each in control.params]
        result: Any = None
        if control.method == "SUBSCRIBE":
            self._exchange.subscribe(session, names)
        elif control.method == "UNSUBSCRIBE":
            self._exchange.unsubscribe(session, names)
        elif control.method == "LIST_SUBSCRIPTIONS":
            result = sorted(session.subscriptions)
        elif control.method == "SET_PROPERTY" and control.params[:1] == ["combined"]:
            self.combined = control.params[1:] == [True]
        elif control.method == "GET_PROPERTY" and names == ["combined"]:
            result = self.combined
        else:
            return {"code": 2, "msg": f"Invalid request: {control.method}", "id": control.id}
        return {"result": result, "id": control.id}


def _in_unit(value: dict[str, Any], times: tuple[str, ...], divisor: int) -> dict[str, Any]:
    """Return a message with its times in the socket's unit, those of its parts too."""
    return {
        name: each // divisor
        if name in times
        else (_in_unit(each, times, divisor) if isinstance(each, dict) else each)
        for name, each in value.items()
    }


def _e8(value: int) -> str:
    return f"{value // E8}.{value % E8:08d}"
