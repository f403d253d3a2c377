"""Notifications of an API key's account: cancels, fills, failures, resolutions. Pure.

Source: polymarket.md 1.1 (types 1, 2, 4, 8).
"""

from collections import deque
from typing import Any, Final

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


class Notices(Listener):
    """Writes down what happens to each API key's orders until it is dropped."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._next_id = 1
        self._kept: dict[str, deque[dict[str, Any]]] = {}
        exchange.listeners.append(self)

    def on_order(self, order: Order, kind: str, status: str, now_ns: int) -> None:
        """Note a cancellation."""
        del status
        if kind == "CANCELLATION":
            self._note(order.owner, CANCELLATION, self._order_payload(order), now_ns)

    def on_trade(self, trade: Trade, now_ns: int) -> None:
        """Note a fill, or that one failed, for every order in it."""
        kind = {"MATCHED": FILL, "FAILED": FILL_FAILED}.get(trade.status)
        if kind is None:
            return
        for order in (trade.taker, *(fill.order for fill in trade.fills)):
            if order.owner:
                fields = {"transaction_hash": trade.transaction_hash, "trade_id": trade.id}
                self._note(order.owner, kind, self._order_payload(order) | fields, now_ns)

    def on_resolved(self, market: Market, now_ns: int) -> None:
        """Tell everyone who traded there."""
        owners = {
            owner
            for owner, trades in self._exchange.trades_of.items()
            if any(trade.market is market for trade in trades)
        }
        for owner in sorted(owners):
            self._note(owner, RESOLVED, long_market(market), now_ns)

    def read(self, key: ApiKey) -> Response:
        """GET /notifications."""
        return success(list(self._kept.get(key.key, ())))

    def drop(self, key: ApiKey, request: Request) -> Response:
        """DELETE /notifications?ids=1,2: without ids all of them."""
        text = request.arg("ids")
        ids = text.split(",") if text else []
        if not all(each.isascii() and each.isdecimal() for each in ids):
            return failure(400, "Invalid notification ids")
        kept = self._kept.get(key.key, deque())
        wanted = {int(each) for each in ids}
        left = [row for row in kept if wanted and row["id"] not in wanted]
        kept.clear()
        kept.extend(left)
        return success("OK")

    def _note(self, owner: str, kind: int, payload: dict[str, Any], now_ns: int) -> None:
        row = {
            "id": self._next_id,
            "owner": owner,
            "type": kind,
            "payload": payload,
            "timestamp": now_ns // NS,
        }
        self._next_id += 1
        self._kept.setdefault(owner, deque(maxlen=KEPT_MAX)).append(row)

    def _order_payload(self, order: Order) -> dict[str, Any]:
        market = self._exchange.markets[order.market]
        return {
            "asset_id": market.tokens[order.outcome],
            "market": market.condition_id,
            "order_id": order.id,
            "side": "BUY" if order.side == BUY else "SELL",
            "type": order.order_type,
            "price": format_fixed(order.price_e4, 4),
            "original_size": format_fixed(order.size_e6, 6),
            "matched_size": format_fixed(order.matched_e6, 6),
            "remaining_size": format_fixed(max(0, order.remaining_e6), 6),
            "outcome": market.outcomes[order.outcome],
            "outcome_index": order.outcome,
            "transaction_hash": "",
            "trade_id": "",
            "question": market.question,
            "market_slug": market.slug,
            "icon": "",
            "image": "",
            "eventSlug": market.event.slug,
            "seriesSlug": market.event.series,
        }
