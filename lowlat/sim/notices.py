"""Notifications of an API key's account: cancels, fills, failures, resolutions. Pure.

Source: polymarket.md 1.1 (types 1, 2, 4, 8).
"""

from collections import deque
from typing import Any, Final, NamedTuple

from lowlat.core.units import format_fixed
from lowlat.sim.catalog import Market
from lowlat.sim.credentials import ApiKey
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import BUY, Order
from lowlat.sim.listener import Listener
from lowlat.sim.market_rows import long_market
from lowlat.sim.trades import Trade
from lowlat.sim.wire import Request, Response, failure, success

__all__ = ["Notices"]

NS: Final = 1_000_000_000
CANCELLATION: Final = 1
FILL: Final = 2
RESOLVED: Final = 4
FILL_FAILED: Final = 8
KEPT_MAX: Final = 200
"""An account that never reads its notifications keeps the latest ones."""


class _OrderThen(NamedTuple):
    """An order as it stood when something happened to it."""

    order: Order
    matched_e6: int
    remaining_e6: int
    trade_id: str
    transaction_hash: str


class _Note(NamedTuple):
    """One notification, not yet written out."""

    number: int
    owner: str
    kind: int
    about: _OrderThen | Market
    at_ns: int


class Notices(Listener):
    """Writes down what happens to each API key's orders until it is dropped."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._next_id = 1
        self._kept: dict[str, deque[_Note]] = {}
        exchange.listeners.append(self)

    def on_order(self, order: Order, kind: str, status: str, now_ns: int) -> None:
        """Note a cancellation."""
        del status
        if kind == "CANCELLATION":
            self._note(order.owner, CANCELLATION, self._snapshot(order), now_ns)

    def on_trade(self, trade: Trade, now_ns: int) -> None:
        """Note a fill, or that one failed, for every order in it."""
        kind = {"MATCHED": FILL, "FAILED": FILL_FAILED}.get(trade.status)
        if kind is None:
            return
        for order in (trade.taker, *(fill.order for fill in trade.fills)):
            if order.owner:
                self._note(order.owner, kind, self._snapshot(order, trade), now_ns)

    def on_resolved(self, market: Market, now_ns: int) -> None:
        """Tell everyone who traded there."""
        owners = {
            owner
            for owner, trades in self._exchange.trades_of.items()
            if any(trade.market is market for trade in trades)
        }
        for owner in sorted(owners):
            self._note(owner, RESOLVED, market, now_ns)

    def read(self, key: ApiKey) -> Response:
        """GET /notifications."""
        return success([self._row(note) for note in self._kept.get(key.key, ())])

    def drop(self, key: ApiKey, request: Request) -> Response:
        """DELETE /notifications?ids=1,2: without ids all of them."""
        text = request.arg("ids")
        ids = text.split(",") if text else []
        if not all(each.isascii() and each.isdecimal() for each in ids):
            return failure(400, "Invalid notification ids")
        kept: deque[_Note] = self._kept.get(key.key, deque())
        wanted = {int(each) for each in ids}
        left = [note for note in kept if wanted and note.number not in wanted]
        kept.clear()
        kept.extend(left)
        return success("OK")

    def _note(self, owner: str, kind: int, about: _OrderThen | Market, now_ns: int) -> None:
        """Keep what is needed to write the notification when somebody reads it."""
        note = _Note(self._next_id, owner, kind, about, now_ns)
        self._next_id += 1
        self._kept.setdefault(owner, deque(maxlen=KEPT_MAX)).append(note)

    def _snapshot(self, order: Order, trade: Trade | None = None) -> _OrderThen:
        name = "" if trade is None else trade.id
        transaction = "" if trade is None else trade.transaction_hash
        return _OrderThen(order, order.matched_e6, order.remaining_e6, name, transaction)

    def _row(self, note: _Note) -> dict[str, Any]:
        about = note.about
        payload = (
            self._order_payload(about) if isinstance(about, _OrderThen) else long_market(about)
        )
        return {
            "id": note.number,
            "owner": note.owner,
            "type": note.kind,
            "payload": payload,
            "timestamp": note.at_ns // NS,
        }

    def _order_payload(self, then: _OrderThen) -> dict[str, Any]:
        order = then.order
        market = self._exchange.markets[order.market]
        return {
            "asset_id": market.tokens[order.outcome],
            "market": market.condition_id,
            "order_id": order.id,
            "side": "BUY" if order.side == BUY else "SELL",
            "type": order.order_type,
            "price": format_fixed(order.price_e4, 4),
            "original_size": format_fixed(order.size_e6, 6),
            "matched_size": format_fixed(then.matched_e6, 6),
            "remaining_size": format_fixed(max(0, then.remaining_e6), 6),
            "outcome": market.outcomes[order.outcome],
            "outcome_index": order.outcome,
            "transaction_hash": then.transaction_hash,
            "trade_id": then.trade_id,
            "question": market.question,
            "market_slug": market.slug,
            "icon": "",
            "image": "",
            "eventSlug": market.event.slug,
            "seriesSlug": market.event.series,
        }
