"""The user channel: order and trade events of one API key, no snapshot, no replay. Pure.

Source: polymarket.md 9.
"""

from typing import Any, Final

import msgspec
import orjson

from lowlat.sim import events
from lowlat.sim.credentials import Credentials
from lowlat.sim.exchange import Exchange
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.ladder import Order
from lowlat.sim.listener import Listener
from lowlat.sim.timers import Timers
from lowlat.sim.trades import Trade
from lowlat.sim.wire import UNREADABLE

__all__ = ["UserFeed"]

MS: Final = 1_000_000
REORDER_DELAY_NS: Final = 40 * MS


class _Auth(msgspec.Struct, gc=False):
    apiKey: str  # noqa: N815 - the venue's spelling
    secret: str
    passphrase: str


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    operation: str = ""
    auth: _Auth | None = None
    markets: list[str] = []


_decode: Final = msgspec.json.Decoder(_Frame).decode


class UserFeed(Listener):
    """All sockets of the user channel."""

    def __init__(
        self, exchange: Exchange, credentials: Credentials, timers: Timers, faults: Faults
    ) -> None:
        self._exchange = exchange
        self._credentials = credentials
        self._timers = timers
        self._faults = faults
        self._sessions: dict[Session, None] = {}
        self._by_key: dict[str, dict[Session, None]] = {}
        self.frames = 0
        exchange.listeners.append(self)

    def connect(self, session: Session) -> None:
        """Take a new socket; nothing flows before it proves who it is."""
        self._sessions[session] = None

    def disconnect(self, session: Session) -> None:
        """Forget a socket."""
        self._sessions.pop(session, None)
        self._by_key.get(session.key, {}).pop(session, None)

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        return list(self._sessions)

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle one text frame from a client."""
        del now_ns
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
        if not session.ready:
            self._authenticate(session, frame)
        elif frame.operation == "subscribe":
            session.subscriptions.update(frame.markets)
        elif frame.operation == "unsubscribe":
            session.subscriptions.difference_update(frame.markets)

    def _authenticate(self, session: Session, frame: _Frame) -> None:
        auth = frame.auth
        key = None
        if frame.type.lower() == "user" and auth is not None:
            key = self._credentials.socket(auth.apiKey, auth.secret, auth.passphrase)
        if key is None:
            session.close(1008, "invalid auth")
            return
        session.ready = True
        session.key = key.key
        session.subscriptions.update(frame.markets)
        self._by_key.setdefault(key.key, {})[session] = None

    # ----------------------------------------------------------------------------- exchange
    def on_order(self, order: Order, kind: str, status: str, now_ns: int) -> None:
        """Tell the order's owner."""
        if order.owner in self._by_key:
            market = self._exchange.markets[order.market]
            event = events.order_event(order, market, kind, status, now_ns)
            self._tell(order.owner, event, now_ns)

    def on_trade(self, trade: Trade, now_ns: int) -> None:
        """Tell every party, each from its own side."""
        for owner in sorted(trade.parties()):
            if owner in self._by_key:
                self._tell(owner, events.trade_event(trade, owner, now_ns), now_ns)

    # ----------------------------------------------------------------------------- pieces
    def _tell(self, owner: str, event: dict[str, Any], now_ns: int) -> None:
        """Send, twice or late when a fault says so."""
        frame = orjson.dumps(event)
        market = event["market"]
        if self._faults.hit("user_reorder_e4"):
            due_ns = now_ns + REORDER_DELAY_NS
            self._timers.at(due_ns, lambda at_ns: self._send(owner, market, frame, at_ns))
        else:
            self._send(owner, market, frame, now_ns)
        if self._faults.hit("user_duplicate_e4"):
            due_ns = now_ns + 2 * REORDER_DELAY_NS
            self._timers.at(due_ns, lambda at_ns: self._send(owner, market, frame, at_ns))

    def _send(self, owner: str, market: str, frame: bytes, now_ns: int) -> None:
        if now_ns < self._faults.frozen_until_ns:
            return
        for session in list(self._by_key.get(owner, {})):
            if not session.subscriptions or market in session.subscriptions:
                session.send(frame)
                self.frames += 1
