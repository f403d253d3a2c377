"""Whether anything of a market is still ours, read from the executor's tables.

Used by the metadata engine, which may not give such a market's row to another. It reads what any
process may read, so it works the same beside the executor and away from it.
"""

from typing import Final

from lowlat.core.instruments import token_text, unlisted_markets
from lowlat.core.layout import ORDER_ROW, POSITION_ROW, OrderRow, OrderState
from lowlat.core.ports import READ_BUSY, TableReader

__all__ = ["Held"]

_ANY: Final = -1
"""Token of an order row that cannot be read now: it may be of any market."""

_UNDER_WAY: Final = frozenset(
    {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
)


class Held:
    """Shares and orders by market, as of the last look; only rows that changed are read again."""

    def __init__(self, positions: TableReader, orders: TableReader) -> None:
        self._positions = positions
        self._orders = orders
        self._shares_versions = [0] * positions.rows
        self._orders_versions = [0] * orders.rows
        self._shares: set[int] = set()
        """Tokens of which shares are ours, or may be."""
        self._unlisted_rows = range(
            2 * unlisted_markets(positions.rows // 2).start, positions.rows, 2
        )
        self._unlisted: dict[int, str] = {}
        self._unlisted_versions: dict[int, int] = {}
        self._awaited: dict[int, int] = {}
        """Token by row of each order that is not finished, or may not be."""

    def holds(self, market: int) -> bool:
        """Whether shares or an unfinished order of this market are ours, or may be."""
        tokens = (2 * market, 2 * market + 1)
        for token in tokens:
            if token < self._positions.rows:
                self._look_at_shares(token)
        self._look_at_orders()
        return not self._shares.isdisjoint(tokens) or any(
            awaited in (*tokens, _ANY) for awaited in self._awaited.values()
        )

    def markets(self) -> set[int]:
        """Return every market of which something is ours. Costs a millisecond: rarely asked."""
        for token in range(self._positions.rows):
            self._look_at_shares(token)
        self._look_at_orders()
        tokens = self._shares.union(one for one in self._awaited.values() if one != _ANY)
        return {token // 2 for token in tokens}

    def unlisted(self) -> set[str]:
        """Return the tokens that the executor keeps apart because their market has no row."""
        for row in self._unlisted_rows:
            version = self._positions.version(row)
            if not version:
                # They are taken from the first one on.
                break
            if version == self._unlisted_versions.get(row):
                continue
            version = self._positions.read(row)
            if version <= 0:
                continue
            self._unlisted_versions[row] = version
            token_id = POSITION_ROW.unpack(self._positions.buffer).token_id
            if any(token_id):
                self._unlisted[row] = token_text(token_id)
            else:
                self._unlisted.pop(row, None)
        return set(self._unlisted.values())

    def _look_at_shares(self, token: int) -> None:
        if self._positions.version(token) == self._shares_versions[token]:
            return
        version = self._positions.read(token)
        # A row that cannot be read now may hold something.
        held = version == READ_BUSY
        if version > 0:
            self._shares_versions[token] = version
            held = bool(POSITION_ROW.unpack(self._positions.buffer).size_e6)
        if held:
            self._shares.add(token)
        else:
            self._shares.discard(token)

    def _look_at_orders(self) -> None:
        orders, versions = self._orders, self._orders_versions
        for row in range(orders.rows):
            if orders.version(row) == versions[row]:
                continue
            version = orders.read(row)
            if version == READ_BUSY:
                self._awaited[row] = _ANY
            elif version > 0:
                versions[row] = version
                order: OrderRow = ORDER_ROW.unpack(orders.buffer)
                if _is_awaited(order):
                    self._awaited[row] = order.instrument
                else:
                    self._awaited.pop(row, None)


def _is_awaited(order: OrderRow) -> bool:
    return (
        order.state in _UNDER_WAY
        or order.confirmed_e6 != order.filled_e6
        or order.claimed_e6 > order.filled_e6
    )
