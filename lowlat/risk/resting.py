"""What modules rest at the venue, by module, token and side, so that a module can take it back.

Owned by risk. A wish of urgency low and size 0 takes back what its module rests on that side of
that token. It frees money and adds no risk: no limit and no halt stops it.
"""

from typing import Final

from lowlat.core.layout import ORDER_ROW, OrderType
from lowlat.core.ports import TableReader
from lowlat.risk._case import Case
from lowlat.risk.reservations import OwnOrders

__all__ = ["Resting"]

_IMMEDIATE: Final = frozenset({OrderType.FOK, OrderType.FAK})
_Key = tuple[bytes, int, int]


class Resting:
    """Intents of orders that may rest; those that ended are forgotten when somebody looks."""

    def __init__(self, own: OwnOrders) -> None:
        self._own = own
        self._intents: dict[_Key, list[int]] = {}

    def restore(self, orders: TableReader) -> None:
        """Take in what an earlier life left resting; call it once own orders are known."""
        for row in range(orders.rows):
            if not orders.version(row) or orders.read(row) <= 0:
                continue
            order = ORDER_ROW.unpack(orders.buffer)
            if order.id in self._own and order.order_type not in _IMMEDIATE and order.legs < 2:
                key = (order.module, order.instrument, order.action)
                self._intents.setdefault(key, []).append(order.id)

    def add(self, case: Case, intent: int) -> None:
        """Note an intent that may rest."""
        key = (case.module, case.instrument, case.action)
        self._intents.setdefault(key, []).append(intent)

    def of(self, case: Case) -> list[int]:
        """Return the open intents of the case's module on its side of its token."""
        key = (case.module, case.instrument, case.action)
        found = [intent for intent in self._intents.pop(key, ()) if intent in self._own]
        if found:
            self._intents[key] = found
        return found
