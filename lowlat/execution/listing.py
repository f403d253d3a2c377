"""The venue's listings of open orders and of trades, and what our orders learn from them.

Part of the reconciler, which reads both whole before anything is compared. What we know of an order
only rises by it: a listing may be older than a message. Nothing here asks or sends.
"""

from collections.abc import Callable

from lowlat.execution.adoption import Adoption
from lowlat.execution.answers import VenueListener
from lowlat.execution.desk import OrderDesk
from lowlat.execution.orders import FillState
from lowlat.execution.unlisted import Unlisted
from lowlat.execution.untold import Untold
from lowlat.venues.polymarket.account import Fill, OrderUpdate, TradeUpdate

__all__ = ["Listing"]


class Listing:
    """What the venue listed in this round, as far as it has been read."""

    def __init__(
        self,
        desk: OrderDesk,
        unlisted: Unlisted,
        adoption: Adoption,
        listener: VenueListener,
        untold: Untold,
        name: Callable[[str, str, int], None],
    ) -> None:
        """``name(resolution, what, now_ns)`` reports, once a life, what no amount tells."""
        self._desk = desk
        self._unlisted = unlisted
        self._adoption = adoption
        self._listener = listener
        self._untold = untold
        self._name = name
        self.orders: dict[bytes, OrderUpdate] = {}
        """Open orders by id."""
        self.trades: list[TradeUpdate] = []

    def clear(self) -> None:
        """Forget what was listed."""
        self.orders, self.trades = {}, []

    def tokens(self) -> list[int]:
        """Return the numbers of the tokens that were traded."""
        return sorted({fill.token_id for trade in self.trades for fill in trade.fills})

    def compare(self, now_ns: int, *, fresh: bool, cancel_foreign: bool) -> None:
        """Bring our orders in line with both listings.

        ``fresh``: there are no books yet, and what was traded is in the balances.
        ``cancel_foreign``: orders that nobody sent are canceled, else they are left at rest.
        """
        for update in self.orders.values():
            if update.order_id in self._desk.by_order_id:
                self._listener.order_update(update, now_ns)
        if not fresh:
            self._compare_trades(now_ns)
        for order in list(self._desk.unsettled.values()):
            if order.order_id not in self.orders and order.open:
                # Not resting: filled, canceled, or still on its way. Its own id tells.
                order.lookup_ns = now_ns
        word = "canceled" if cancel_foreign else "left"
        for order_id in self._foreign():
            self._name(word, "0x" + order_id.hex(), now_ns)
            if not self._desk.strangers.is_over(order_id):
                self._desk.strangers.meet(order_id)

    def unwatched(self, *, cancel_foreign: bool) -> list[bytes]:
        """Return resting orders to cancel: nobody's, and ours where there is no book to watch."""
        known = self._desk.by_order_id
        found = self._foreign() if cancel_foreign else []
        return found + [
            order_id
            for order_id in self.orders
            if order_id in known and self._unlisted.is_without_market(known[order_id])
        ]

    def _foreign(self) -> list[bytes]:
        known = self._desk.by_order_id
        return [order_id for order_id in self.orders if order_id not in known]

    def _compare_trades(self, now_ns: int) -> None:
        self._untold.settle(self.trades, self._listener, now_ns)
        rebased: dict[int, list[tuple[Fill, FillState]]] = {}
        for trade in self.trades:
            for fill in trade.fills:
                order = self._desk.by_order_id.get(fill.order_id)
                if order is None:
                    order = self._adoption.adopt(trade, fill, now_ns)
                if order is None:
                    continue
                if order.filled_e6 and not order.fills and not order.sealed:
                    rebased.setdefault(order.id, [])
        for trade in self.trades:
            self._listener.trade_listed(trade, rebased, now_ns)
        for order_id, fills in rebased.items():
            order = self._desk.by_id[order_id]
            self._listener.rebase(order, fills, now_ns, self._untold.told_of(order))
        self._untold.end()
