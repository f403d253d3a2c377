"""Who owned what before a reboot: risk's own rows as the journal kept them, and newer fills.

Part of the journal. Risk writes its tables a moment behind the executor's, and the journal copies
them a moment behind that: what positions hold beyond the copied stakes belongs to the modules whose
orders filled last, what they lack was sold by them. Shares that no order explains are nobody's.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from lowlat.core.layout import Action, OrderRow, PositionRow, StakeRow
from lowlat.core.recovered import Owned

__all__ = ["NOBODY", "owned_at_the_end"]

NOBODY: Final = bytes(16)


def owned_at_the_end(
    stakes: Mapping[bytes, Iterable[StakeRow]],
    positions: Mapping[bytes, PositionRow],
    orders: Iterable[OrderRow],
) -> list[Owned]:
    """Return what modules owned of each position; ``stakes`` by token id."""
    filled: dict[bytes, list[OrderRow]] = {}
    for order in orders:
        if order.filled_e6 > 0:
            filled.setdefault(order.token_id, []).append(order)
    found: list[Owned] = []
    for token_id, held in positions.items():
        if held.size_e6 <= 0:
            continue
        owned = {
            row.owner: Owned(
                token_id, row.owner, row.size_e6, row.cost_e6, row.promised_e6, row.opened_ns
            )
            for row in stakes.get(token_id, ())
        }
        newest = sorted(filled.get(token_id, ()), key=_age)
        _level(token_id, owned, held.size_e6, newest)
        found += [each for each in owned.values() if each.size_e6]
    return found


def _level(
    token_id: bytes, owned: dict[bytes, Owned], size_e6: int, newest: Iterable[OrderRow]
) -> None:
    """Give what the position has more to the last buyers; take what it lacks from the sellers."""
    missing_e6 = size_e6 - sum(each.size_e6 for each in owned.values())
    for order in newest:
        if order.module == NOBODY:
            continue
        if missing_e6 > 0 and order.action == Action.BUY:
            part_e6 = min(missing_e6, order.filled_e6)
            cost_e6 = (order.cash_e6 + order.fee_e6) * part_e6 // order.filled_e6
            empty = Owned(token_id, order.module, 0, 0, 0, order.created_wall_ms * 1_000_000)
            had = owned.get(order.module, empty)
            owned[order.module] = had._replace(
                size_e6=had.size_e6 + part_e6, cost_e6=had.cost_e6 + cost_e6
            )
            missing_e6 -= part_e6
        elif missing_e6 < 0 and order.action == Action.SELL and order.module in owned:
            had = owned[order.module]
            part_e6 = min(-missing_e6, order.filled_e6, had.size_e6)
            left_e6 = had.size_e6 - part_e6
            if part_e6:
                owned[order.module] = had._replace(
                    size_e6=left_e6,
                    cost_e6=had.cost_e6 * left_e6 // had.size_e6,
                    promised_e6=had.promised_e6 * left_e6 // had.size_e6,
                )
            missing_e6 += part_e6


def _age(order: OrderRow) -> tuple[int, int]:
    """Newest first."""
    return -order.created_wall_ms, -order.id
