"""Sockets of the simulated spot exchange: combined streams, diffs that add up, JSON and SBE. Pure.

One update id counts all book changes of a coin; a bookTicker and a depth event with the same id
show the same top. Source: feeds.md 1.2-1.4, 1.6.
"""

from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import orjson

from lowlat.sim import sbe
from lowlat.sim.binance_book import Book, Levels, e8
from lowlat.sim.binance_info import ticker_event
from lowlat.sim.binance_rest import BinanceRest
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.klines import INTERVALS_S, kline_events
from lowlat.sim.spot import SpotPath
from lowlat.sim.wire import UNREADABLE

__all__ = ["Binance", "BinanceFeed"]

NS: Final = 1_000_000_000
US: Final = 1_000
MS: Final = 1_000_000
MESSAGES_PER_S_MAX: Final = 5
STREAMS_MAX: Final = 1024
ID_CHARS_MAX: Final = 36
PONG_LIMIT_NS: Final = 60 * NS
PARTIAL: Final = (5, 10, 20)


class _Control(msgspec.Struct, gc=False):
    method: str
    params: list[Any] = []
    id: int | str | None = None


_decode: Final = msgspec.json.Decoder(_Control).decode


class Binance:
    """All sockets and REST of the spot exchange. The venue's ticker drives it."""

    def __init__(
        self, spots: dict[str, SpotPath], rng: Random, faults: Faults, life_s: int
    ) -> None:
        self._spots = spots
        self._life_ns = life_s * NS
        self._rng = rng
        self._faults = faults
        self._books = {coin: Book(spot, rng) for coin, spot in spots.items()}
        self._recorded: dict[str, tuple[int, dict[int, int], dict[int, int]]] = {}
        self.rest = BinanceRest(spots, self._books, self._recorded, faults)
        self._feeds: dict[Session, BinanceFeed] = {}
        self._by_stream: dict[tuple[str, bool], dict[Session, None]] = {}
        """Sockets by stream name and whether they speak SBE."""

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        return list(self._feeds)

    def feed(self, path: str, *, binary: bool = False) -> "BinanceFeed | None":
        """Return the end of a socket opened on a path, None for an unknown one."""
        target, _, query = path.partition("?")
        values = parse_qs(query)
        unit = values.get("timeUnit", ["MILLISECOND"])[0].upper()
        if target == "/stream":
            names = values.get("streams", [""])[0].split("/")
            return BinanceFeed(self, names, unit, combined=True, binary=binary)
        if target == "/ws" or target.startswith("/ws/"):
            names = target[4:].split("/")
            return BinanceFeed(self, names, unit, combined=False, binary=binary)
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
            sides = book.take_changes()
            if self._faults.hit("binance_gap_e4"):
                continue
            self._send_diff("@depth@100ms", book.symbol, first, book.update_id, sides, now_ns)
            self._send_partial(book, now_ns)

    def on_second(self, second: int, now_ns: int) -> None:
        """Send what speaks each second: candles, tickers, the slow diff; end old sockets."""
        self.rest.remember()
        for coin, spot in self._spots.items():
            book = self._books[coin]
            name = book.symbol.lower()
            book.turnover.mark(second)
            first, last, sides = book.take_slow()
            if last >= first:
                self._send_diff("@depth", book.symbol, first, last, sides, now_ns)
            for stream, event in (("ticker", "24hrTicker"), ("miniTicker", "24hrMiniTicker")):
                if self._by_stream.get((f"{name}@{stream}", False)):
                    value = ticker_event(event, self.rest.day(book, now_ns), now_ns)
                    self._send(f"{name}@{stream}", value, ("E",), now_ns)
            for interval in INTERVALS_S:
                stream = f"{name}@kline_{interval}"
                if self._by_stream.get((stream, False)):
                    for each in kline_events(spot, book, interval, second, now_ns):
                        self._send(stream, each, ("E", "t", "T"), now_ns)
        for session, feed in list(self._feeds.items()):
            if feed.opened_ns and now_ns - feed.opened_ns >= self._life_ns:
                session.close(1001, "connection reached its longest life")

    def shut_down(self, now_ns: int) -> int:
        """Announce on every socket that the server will go down; return how many heard."""
        for session, feed in list(self._feeds.items()):
            at = now_ns // (US if feed.unit == "MICROSECOND" else MS)
            value: dict[str, Any] = {"e": "serverShutdown", "E": at}
            if feed.combined:
                value = {"stream": "!serverShutdown", "data": value}
            session.send(orjson.dumps(value))
        return len(self._feeds)

    def publish_top(self, symbol: str, top: tuple[int, int, int, int, int], now_ns: int) -> None:
        """Send one bookTicker: update id, bid and its size, ask and its size."""
        update_id, bid, bid_size, ask, ask_size = top
        value = {
            "u": update_id,
            "s": symbol,
            "b": e8(bid),
            "B": e8(bid_size),
            "a": e8(ask),
            "A": e8(ask_size),
        }
        self._send(f"{symbol.lower()}@bookTicker", value, (), now_ns)
        stream = f"{symbol.lower()}@bestBidAsk"
        if self._by_stream.get((stream, True)) and not self._faults.hit("binance_cull_e4"):
            self._send_binary(stream, sbe.best_bid_ask(symbol, now_ns, top), now_ns)

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
        for stream in ("@depth@100ms", "@depth"):
            self._send_diff(stream, symbol, first, last, sides, now_ns)

    def _send_diff(
        self,
        stream: str,
        symbol: str,
        first: int,
        last: int,
        sides: tuple[Levels, Levels],
        now_ns: int,
    ) -> None:
        value = {
            "e": "depthUpdate",
            "E": now_ns,
            "s": symbol,
            "U": first,
            "u": last,
            "b": [[e8(price), e8(size)] for price, size in sides[0]],
            "a": [[e8(price), e8(size)] for price, size in sides[1]],
        }
        self._send(symbol.lower() + stream, value, ("E",), now_ns)
        # The binary diff knows one rhythm only, the fast one.
        name = f"{symbol.lower()}@depth"
        if stream == "@depth@100ms" and self._by_stream.get((name, True)):
            frame = sbe.depth_diff(symbol, now_ns, first, last, *sides)
            self._send_binary(name, frame, now_ns)

    def _send_partial(self, book: Book, now_ns: int) -> None:
        """Send the best levels to those who want no more."""
        name = book.symbol.lower()
        for count in PARTIAL:
            for stream in (f"{name}@depth{count}", f"{name}@depth{count}@100ms"):
                if self._by_stream.get((stream, False)):
                    value = {
                        "lastUpdateId": book.update_id,
                        "bids": [[e8(p), e8(q)] for p, q in book.levels(0)[:count]],
                        "asks": [[e8(p), e8(q)] for p, q in book.levels(1)[:count]],
                    }
                    self._send(stream, value, (), now_ns)
        if self._by_stream.get((f"{name}@depth20", True)):
            sides = (book.levels(0)[:20], book.levels(1)[:20])
            frame = sbe.depth_snapshot(book.symbol, now_ns, book.update_id, *sides)
            self._send_binary(f"{name}@depth20", frame, now_ns)

    def ping(self, now_ns: int) -> None:
        """Ping every socket; drop those that owe a pong for a minute."""
        for session in list(self._feeds):
            if now_ns - session.pong_ns > PONG_LIMIT_NS:
                session.close(1008, "Pong timeout")
            else:
                session.ping(str(now_ns // MS).encode())

    def _trade(self, book: Book, *, bought: bool, now_ns: int) -> None:
        size = max(10**4, book.top(1 if bought else 0)[1] // 10)
        price = book.add_trade(size, now_ns, bought=bought)
        head = {"E": now_ns, "s": book.symbol, "p": e8(price), "q": e8(size), "T": now_ns}
        sides = {"m": not bought, "M": True}
        name, number = book.symbol.lower(), book.trade_id
        value = {"e": "trade", "t": number} | head | sides
        self._send(f"{name}@trade", value, ("E", "T"), now_ns)
        value = {"e": "aggTrade", "a": number, "f": number, "l": number} | head | sides
        self._send(f"{name}@aggTrade", value, ("E", "T"), now_ns)
        if self._by_stream.get((f"{name}@trade", True)):
            frame = sbe.trade(book.symbol, now_ns, number, price, size, buyer_makes=not bought)
            self._send_binary(f"{name}@trade", frame, now_ns)

    def _send_binary(self, stream: str, frame: bytes, now_ns: int) -> None:
        if now_ns >= self._faults.frozen_until_ns:
            for session in list(self._by_stream[stream, True]):
                session.send_binary(frame)

    def _send(
        self, stream: str, value: dict[str, Any], times: tuple[str, ...], now_ns: int
    ) -> None:
        sessions = self._by_stream.get((stream, False))
        if not sessions or now_ns < self._faults.frozen_until_ns:
            return
        frames: dict[tuple[str, bool], bytes] = {}
        for session in list(sessions):
            feed = self._feeds[session]
            kind = (feed.unit, feed.combined)
            frame = frames.get(kind)
            if frame is None:
                divisor = US if feed.unit == "MICROSECOND" else MS
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
        self.unsubscribe(session, list(session.subscriptions))
        self._feeds.pop(session, None)

    def subscribe(self, session: Session, streams: list[str]) -> None:
        """Add streams; names that never emit are accepted, as live."""
        binary = self._feeds[session].binary
        for stream in streams:
            if stream:
                session.subscriptions.add(stream)
                self._by_stream.setdefault((stream, binary), {})[session] = None

    def unsubscribe(self, session: Session, streams: list[str]) -> None:
        """Remove streams."""
        binary = self._feeds[session].binary
        for stream in streams:
            session.subscriptions.discard(stream)
            self._by_stream.get((stream, binary), {}).pop(session, None)


class BinanceFeed:
    """One socket: its wrapping, its time unit, its message budget, whether its events are SBE."""

    def __init__(
        self, exchange: Binance, streams: list[str], unit: str, *, combined: bool, binary: bool
    ) -> None:
        self.unit = unit
        self.combined = combined
        self.binary = binary
        self.opened_ns = 0
        self._exchange = exchange
        self._streams = streams
        self._recent: list[int] = []

    def connect(self, session: Session) -> None:
        """Attach to the exchange."""
        self.opened_ns = session.pong_ns
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
        if isinstance(control.id, str) and len(control.id) > ID_CHARS_MAX:
            return _refusal(2, "Invalid request: id is too long", None)
        if control.method == "SUBSCRIBE":
            if len(session.subscriptions | set(names)) > STREAMS_MAX:
                return _refusal(2, "Invalid request: too many streams", control.id)
            self._exchange.subscribe(session, names)
        elif control.method == "UNSUBSCRIBE":
            self._exchange.unsubscribe(session, names)
        elif control.method == "LIST_SUBSCRIPTIONS":
            result = sorted(session.subscriptions)
        elif control.method in {"SET_PROPERTY", "GET_PROPERTY"}:
            return self._property(control)
        else:
            return _refusal(2, f"Invalid request: {control.method}", control.id)
        return {"result": result, "id": control.id}

    def _property(self, control: _Control) -> dict[str, Any]:
        """Read or set the only property there is; each mistake has its code. Source: 1.2."""
        setting = control.method == "SET_PROPERTY"
        if len(control.params) != 1 + setting:
            return _refusal(2, f"Invalid request: {control.method}", control.id)
        if control.params[0] != "combined":
            return _refusal(0, "Unknown property", control.id)
        if not setting:
            return {"result": self.combined, "id": control.id}
        if not isinstance(control.params[1], bool):
            return _refusal(1, "Invalid value type: expected Boolean", control.id)
        self.combined = control.params[1]
        return {"result": None, "id": control.id}


def _refusal(code: int, text: str, request_id: int | str | None) -> dict[str, Any]:
    return {"code": code, "msg": text, "id": request_id}


def _in_unit(value: dict[str, Any], times: tuple[str, ...], divisor: int) -> dict[str, Any]:
    """Return a message with its times in the socket's unit, those of its parts too."""
    return {
        name: each // divisor
        if name in times
        else (_in_unit(each, times, divisor) if isinstance(each, dict) else each)
        for name, each in value.items()
    }
