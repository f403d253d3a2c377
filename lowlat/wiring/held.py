"""Whether anything of a market is still ours, read from the executor's tables.

Used by the metadata engine, which may not give such a market's row to another. It reads what any
process may read, so it works the same beside the executor and away from it.
"""

from typing import Final

from lowlat.core.layout import ORDER_ROW, POSITION_ROW, OrderRow, OrderState
from lowlat.core.ports import READ_BUSY, READ_NEVER, TableReader

__all__ = ["Held"]

_UNDER_WAY: Final = frozenset(
    {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
)


class Held:
    """Shares and orders by market. A look at all orders costs about a millisecond: rarely asked."""

    def __init__(self, positions: TableReader, orders: TableReader) -> None:
        self._positions = positions
        self._orders = orders

    def holds(self, market: int) -> bool:
        """Whether shares or an unfinished order of this market are ours, or may be."""
        tokens = (2 * market, 2 * market + 1)
        return any(self._has_shares(token) for token in tokens) or any(
            self._awaits(row, tokens) for row in range(self._orders.rows)
        )

    def _has_shares(self, token: int) -> bool:
        version = self._positions.read(token)
        if version == READ_NEVER:
            return False
        # A row that cannot be read now may hold something.
        return version == READ_BUSY or bool(POSITION_ROW.unpack(self._positions.buffer).size_e6)

    def _awaits(self, row: int, tokens: tuple[int, int]) -> bool:
        version = self._orders.read(row)
        if version == READ_NEVER:
            return False
        if version == READ_BUSY:
            return True
        order: OrderRow = ORDER_ROW.unpack(self._orders.buffer)
        return order.instrument in tokens and (
            order.state in _UNDER_WAY
            or order.confirmed_e6 != order.filled_e6
            or order.claimed_e6 > order.filled_e6
        )
