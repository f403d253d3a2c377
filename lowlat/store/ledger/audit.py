"""Does the ledger agree with itself? Sums that must hold whatever happened, read from its rows.

Read-only, one transaction. Every difference carries both numbers; nothing is rounded or forgiven:

* per token: open lots = position = opening shares + fills + corrections;
* per lot: what was opened = what is left + what closings took, in shares and in cost;
* per order: its fills = its row, in shares, cash and fees; a fill without an order is one too;
* cash: the row = opening balance + what fills moved + corrections.

A fill that FAILED counts for nothing: its row stays as evidence.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from lowlat.core.errors import LedgerError
from lowlat.core.layout import Action
from lowlat.store.ledger.database import said
from lowlat.store.ledger.schema import CASH, CLOSINGS, FILLS, LOTS, ORDERS, POSITIONS, REPORTS

__all__ = ["Difference", "audit", "audit_of", "shown"]

_MONEY: Final = ("FILL", "FAILED", "RECONCILED", "REDEEMED")
_CORRECTIONS: Final = ("RECONCILED", "REDEEMED")


class Difference(NamedTuple):
    """Two numbers that should be one. ``ledger`` and ``other`` are in the unit of ``field``."""

    kind: str
    """What is compared: cash, position, lots, lot, order, open order, trade."""
    name: str
    """Which of them: a token, an order id, a trade id."""
    field: str
    ledger: int | str
    other: int | str
    against: str
    """Whose the other number is."""

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.name} {self.field}: ledger {self.ledger}, "
            f"{self.against} {self.other}"
        )


def audit(engine: Engine) -> list[Difference]:
    """Read the ledger once and return what does not add up. Raises LedgerError."""
    try:
        with engine.connect() as connection:
            return audit_of(connection)
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {said(error)}") from error


def audit_of(connection: Connection) -> list[Difference]:
    """Return what does not add up within one transaction."""
    return [
        *_orders(connection),
        *_lots(connection),
        *_positions(connection),
        *_cash(connection),
    ]


def _orders(connection: Connection) -> Iterator[Difference]:
    """Compare each order with its fills."""
    sums = connection.execute(
        select(
            FILLS.c.order_id,
            func.sum(FILLS.c.size_e6),
            func.sum(FILLS.c.cash_e6),
            func.sum(FILLS.c.fee_e6),
        )
        .where(FILLS.c.state != "FAILED")
        .group_by(FILLS.c.order_id)
    )
    by_order = {order: tuple(map(int, values)) for order, *values in sums}
    columns = ("filled_e6", "cash_e6", "fee_e6")
    rows = connection.execute(select(ORDERS.c.order_id, *(ORDERS.c[name] for name in columns)))
    for order, *ours in rows:
        found = by_order.pop(order, (0, 0, 0))
        for name, row, fills in zip(columns, ours, found, strict=True):
            if row != fills:
                yield Difference("order", order, name, row, fills, "its fills")
    for order, found in by_order.items():
        yield Difference("order", order, "filled_e6", "no such order", found[0], "its fills")


def _lots(connection: Connection) -> Iterator[Difference]:
    """Compare each lot with what closed it."""
    sums = connection.execute(
        select(CLOSINGS.c.lot, func.sum(CLOSINGS.c.size_e6), func.sum(CLOSINGS.c.cost_e6)).group_by(
            CLOSINGS.c.lot
        )
    )
    closed = {lot: (int(size), int(cost)) for lot, size, cost in sums}
    for row in connection.execute(select(LOTS)):
        size_e6, cost_e6 = closed.get(row.lot, (0, 0))
        if row.left_e6 + size_e6 != row.size_e6:
            yield Difference(
                "lot", str(row.lot), "size_e6", row.size_e6, row.left_e6 + size_e6, "left + closed"
            )
        # What a fill's money was corrected by after its lot was closed is told by its closing only.
        late_e6 = _late_cost_e6(connection, row.lot) if row.left_e6 == 0 else 0
        if row.left_cost_e6 + cost_e6 - late_e6 != row.cost_e6:
            yield Difference(
                "lot",
                str(row.lot),
                "cost_e6",
                row.cost_e6,
                row.left_cost_e6 + cost_e6 - late_e6,
                "left + closed",
            )


def _late_cost_e6(connection: Connection, lot: int) -> int:
    late = connection.execute(
        select(func.sum(CLOSINGS.c.cost_e6)).where(CLOSINGS.c.lot == lot, CLOSINGS.c.size_e6 == 0)
    ).scalar()
    return int(late or 0)


def _positions(connection: Connection) -> Iterator[Difference]:
    """Compare each token's position with its open lots."""
    rows = connection.execute(select(POSITIONS.c.token_id, POSITIONS.c.size_e6))
    held: dict[str, int] = {token: int(size) for token, size in rows}
    lots: dict[str, int] = {
        token: int(size)
        for token, size in connection.execute(
            select(LOTS.c.token_id, func.sum(LOTS.c.left_e6)).group_by(LOTS.c.token_id)
        )
    }
    for token in sorted(held.keys() | lots.keys()):
        if held.get(token, 0) != lots.get(token, 0):
            yield Difference(
                "position", token, "size_e6", held.get(token, 0), lots.get(token, 0), "open lots"
            )


def _cash(connection: Connection) -> Iterator[Difference]:
    """Compare the cash row with what moved money since the first balance."""
    row = connection.execute(select(CASH.c.cash_e6)).first()
    if row is None:
        return
    expected_e6 = _opening_e6(connection) + _flows_e6(connection)
    if row.cash_e6 != expected_e6:
        yield Difference("cash", "polymarket", "cash_e6", row.cash_e6, expected_e6, "its movements")


def _flows_e6(connection: Connection) -> int:
    fills = connection.execute(
        select(FILLS.c.action, func.sum(FILLS.c.cash_e6), func.sum(FILLS.c.fee_e6))
        .where(FILLS.c.state != "FAILED")
        .group_by(FILLS.c.action)
    )
    total_e6 = sum(
        (-int(cash) if action == Action.BUY else int(cash)) - int(fee)
        for action, cash, fee in fills
    )
    corrected = connection.execute(
        select(func.sum(REPORTS.c.cash_e6)).where(REPORTS.c.kind.in_(_CORRECTIONS))
    ).scalar()
    return total_e6 + int(corrected or 0)


def _opening_e6(connection: Connection) -> int:
    """Return the cash before the first report that moved money: a ledger may begin late."""
    first = connection.execute(
        select(REPORTS).where(REPORTS.c.kind.in_(_MONEY)).order_by(REPORTS.c.life, REPORTS.c.report)
    ).first()
    if first is None:
        row = connection.execute(select(CASH.c.cash_e6)).first()
        return int(row.cash_e6) if row is not None else 0
    if first.kind in _CORRECTIONS:
        return int(first.cash_after_e6 - first.cash_e6)
    action = connection.execute(
        select(ORDERS.c.action).where(ORDERS.c.order_id == first.order_id)
    ).scalar()
    flow_e6 = (-first.cash_e6 if action == Action.BUY else first.cash_e6) - first.fee_e6
    return int(first.cash_after_e6 - (flow_e6 if first.kind == "FILL" else -flow_e6))


def shown(differences: Iterable[Difference]) -> list[dict[str, int | str]]:
    """Return plain values."""
    return [each._asdict() for each in differences]
