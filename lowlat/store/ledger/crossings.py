"""Shares that risk handed from one module to another: lots change owner, positions do not move.

Inside the transaction of the batch of decisions that tells it: first the seller's decision, then
the buyer's, both CROSSED and not sent, with the shares that moved (``size_e6``) and their price
(``bound``). The seller's lots close for that price, the buyer gets one lot that cost the same.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import Connection, select

from lowlat.core.layout import Action, Rule
from lowlat.core.units import E4
from lowlat.store.ledger.booking import Booking, FillChange
from lowlat.store.ledger.schema import DECISIONS, POSITIONS

__all__ = ["book_crossings"]

_LOG: Final = logging.getLogger(__name__)
_CROSSED: Final = Rule.CROSSED.name


def book_crossings(
    connection: Connection,
    booking: Booking,
    rows: Iterable[dict[str, Any]],
    plan_of: Callable[[int], str],
    wall_ms: int,
) -> None:
    """Book what these decisions, just written, say changed hands."""
    for row in rows:
        moved = row["rule"] == _CROSSED and not row["approved"] and row["size_e6"] > 0
        if not moved or row["action"] != Action.BUY:
            continue
        seller, token_id = _seller(connection, row), _token_id(connection, row)
        size_e6 = row["size_e6"]
        booked_e6 = 0
        if seller is not None and token_id is not None:
            cash_e6 = row["bound"] * size_e6 // E4
            sold = FillChange(
                *("", "", token_id, seller, _CROSSED, Action.SELL, 0),
                *(row["bound"], size_e6, cash_e6, 0),
            )
            plan = plan_of(row["signal"])
            booked_e6 = booking.hand_over(connection, sold, row["module"], plan, wall_ms)
        if booked_e6 != size_e6:
            # Risk goes by the executor's tables; a ledger that was begun later knows less.
            _LOG.warning(
                "lots did not change owner decision=%s seller=%s buyer=%s size_e6=%s booked_e6=%s",
                *(row["decision"], seller or "unknown", row["module"], size_e6, booked_e6),
            )


def _seller(connection: Connection, row: dict[str, Any]) -> str | None:
    """Return the module of the decision on the other side: the newest like it before this one."""
    table = DECISIONS.c
    found = connection.execute(
        select(table.module)
        .where(
            table.life == row["life"],
            table.decision < row["decision"],
            table.rule == _CROSSED,
            table.approved == 0,
            table.action == Action.SELL,
            table.instrument == row["instrument"],
            table.generation == row["generation"],
            table.size_e6 == row["size_e6"],
            table.bound == row["bound"],
        )
        .order_by(table.decision.desc())
        .limit(1)
    ).scalar()
    return None if found is None else str(found)


def _token_id(connection: Connection, row: dict[str, Any]) -> str | None:
    table = POSITIONS.c
    found = connection.execute(
        select(table.token_id).where(
            table.instrument == row["instrument"], table.generation == row["generation"]
        )
    ).scalar()
    return None if found is None else str(found)
