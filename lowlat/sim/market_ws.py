"""The market channel: books, level changes, prints, ticks, listings, resolutions. Pure.

Source: polymarket.md 8. One Session a socket; frames go out through ``Session.send``.
"""

from typing import Any, Final

import msgspec
import orjson

from lowlat.sim import events
from lowlat.sim.catalog import Market
from lowlat.sim.exchange import Exchange
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.listener import Listener
from lowlat.sim.trades import Trade
from lowlat.sim.wire import UNREADABLE

__all__ = ["MarketFeed"]

SUBSCRIPTIONS_MAX: Final = 500
"""Beyond it the venue sends no initial snapshots. Source: 8.1."""


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    operation: str = ""
    assets_ids: list[str] = []
    custom_feature_enabled: bool = False
    initial_dump: bool = True


_decode: Final = msgspec.json.Decoder(_Frame).decode


class MarketFeed(Listener):
    """All sockets of the market channel. Hears the exchange, writes frames."""

    def __init__(self, exchange: Exchange, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults
        self._sessions: dict[Session, None] = {}
        self._by_token: dict[str, dict[Session, None]] = {}
        self._best_sent: dict[int, tuple[int | None, int | None]] = {}
        self.frames = 0
        exchange.listeners.append(self)

    # ----------------------------------------------------------------------------- client
    def connect(self, session: Session) -> None:
        """Take a new socket; it says what it wants first."""
        self._sessions[session] = None

    def disconnect(self, session: Session) -> None:
        """Forget a socket."""
        self._sessions.pop(session, None)
        for token in session.subscriptions:
            self._by_token[token].pop(session, None)

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        return list(self._sessions)

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle one text frame from a client."""
        if text == b"PING":
            if session.ready:
                session.send(b"PONG")
            else:
                session.close(1008, "invalid subscription payload")
            return
        try:
            frame = _decode(text)
        except UNREADABLE:
            session.close(1008, "invalid subscription payload")
            return
        if frame.operation == "unsubscribe":
            self._unsubscribe(session, frame.assets_ids)
        elif frame.operation == "subscribe" or frame.type.lower() == "market":
            self._subscribe(session, frame, now_ns)
        else:
            session.close(1008, "invalid subscription payload")

    def _subscribe(self, session: Session, frame: _Frame, now_ns: int) -> None:
        first = not session.ready
        session.ready = True
        session.custom = session.custom or frame.custom_feature_enabled
        fresh = [t for t in dict.fromkeys(frame.assets_ids) if t not in session.subscriptions]
        dump: list[dict[str, Any]] = []
        for token in fresh:
            session.subscriptions.add(token)
            self._by_token.setdefault(token, {})[session] = None
            found = self._exchange.tokens.get(token)
            if found is None or found[0].closed:
                continue
            if len(session.subscriptions) <= SUBSCRIPTIONS_MAX:
                dump.append(events.book_event(*found, now_ns, dump=True))
        if frame.initial_dump and (dump or first):
            session.send(orjson.dumps(dump))

    def _unsubscribe(self, session: Session, tokens: list[str]) -> None:
        for token in tokens:
            if token in session.subscriptions:
                session.subscriptions.discard(token)
                self._by_token[token].pop(session, None)

    # ----------------------------------------------------------------------------- exchange
    def on_levels(self, market: Market, changes: list[tuple[bool, int]], now_ns: int) -> None:
        """Send a price_change to everybody who watches either token."""
        sessions = self._watchers(market)
        if not sessions or now_ns < self._faults.frozen_until_ns:
            return
        event = events.price_change_event(market, changes, now_ns)
        if self._faults.hit("market_stale_cross_e4"):
            _make_stale(event)
        self._send(sessions, event)
        self._send_best(market, sessions, now_ns)

    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """Send the prints and then the books of both tokens."""
        sessions = self._watchers(market)
        if not sessions or now_ns < self._faults.frozen_until_ns:
            return
        for trade in trades:
            self._send(sessions, events.last_trade_event(trade, now_ns))
        for outcome, token in enumerate(market.tokens):
            watchers = self._by_token.get(token)
            if watchers:
                self._send(watchers, events.book_event(market, outcome, now_ns, dump=False))
        self._send_best(market, sessions, now_ns)

    def on_tick(self, market: Market, old_tick_e4: int, now_ns: int) -> None:
        """Send the new grid and then a book, a token each."""
        for outcome, token in enumerate(market.tokens):
            watchers = self._by_token.get(token)
            if watchers:
                self._send(watchers, events.tick_event(market, outcome, old_tick_e4, now_ns))
                self._send(watchers, events.book_event(market, outcome, now_ns, dump=False))

    def on_new_market(self, market: Market, now_ns: int) -> None:
        """Tell every socket with the custom flag."""
        sessions = {session: None for session in self._sessions if session.custom}
        if sessions:
            self._send(sessions, events.new_market_event(market, now_ns))

    def on_resolved(self, market: Market, now_ns: int) -> None:
        """Tell the watchers; a socket with nothing left is closed. Source: feeds.md 3.2."""
        sessions = self._watchers(market)
        custom = {session: None for session in sessions if session.custom}
        if custom:
            self._send(custom, events.resolved_event(market, now_ns))
        for session in list(sessions):
            if all(self._is_closed(token) for token in session.subscriptions):
                session.close(1000, "all subscribed assets resolved")

    # ----------------------------------------------------------------------------- pieces
    def _is_closed(self, token: str) -> bool:
        found = self._exchange.tokens.get(token)
        return found is not None and found[0].closed

    def _watchers(self, market: Market) -> dict[Session, None]:
        yes = self._by_token.get(market.tokens[0])
        no = self._by_token.get(market.tokens[1])
        if yes and no:
            return yes | no
        return yes or no or {}

    def _send_best(self, market: Market, sessions: dict[Session, None], now_ns: int) -> None:
        custom = {session: None for session in sessions if session.custom}
        if not custom:
            return
        key = (market.ladder.best_bid_e4(), market.ladder.best_ask_e4())
        if self._best_sent.get(market.index) == key:
            return
        self._best_sent[market.index] = key
        for outcome, token in enumerate(market.tokens):
            watchers = self._by_token.get(token, {})
            wanted = {session: None for session in watchers if session.custom}
            if wanted:
                self._send(wanted, events.best_event(market, outcome, now_ns))

    def _send(self, sessions: dict[Session, None], event: dict[str, Any]) -> None:
        frame = orjson.dumps(event)
        for session in list(sessions):
            session.send(frame)
            self.frames += 1


def _make_stale(event: dict[str, Any]) -> None:
    """Plant a raw YES+NO < 1: the NO row shows an ask that is long gone."""
    for row in event["price_changes"]:
        if row["side"] == "SELL":
            row["price"] = row["best_ask"] = "0.01"
            row["size"] = "250"
            return
