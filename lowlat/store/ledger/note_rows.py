"""Notes as rows of the ledger's tables. Pure."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import Table, bindparam, update

from lowlat.store.ledger.notes import ConfigNote, IncomeNote, MovementNote, Note, SettlementNote
from lowlat.store.ledger.schema import CONFIGS, FILLS, INCOME, MOVEMENTS, SETTLEMENTS

__all__ = ["SET_HASH", "note_rows"]

SET_HASH: Final = (
    update(FILLS)
    .where(
        FILLS.c.order_id == bindparam("order"),
        FILLS.c.trade_id == bindparam("trade"),
    )
    .values(transaction_hash=bindparam("hash"))
)
_TABLES: Final[dict[type[Note], Table]] = {
    ConfigNote: CONFIGS,
    IncomeNote: INCOME,
    MovementNote: MOVEMENTS,
    SettlementNote: SETTLEMENTS,
}


def note_rows(notes: Iterable[Note]) -> dict[Table, list[dict[str, Any]]]:
    """Return the rows that notes are, by table; a trade's hash changes a row and is none."""
    found: dict[Table, list[dict[str, Any]]] = {}
    for note in notes:
        table = _TABLES.get(type(note))
        if table is not None:
            row = msgspec.structs.asdict(note)
            if isinstance(note, MovementNote):
                row["booked"] = 0
            found.setdefault(table, []).append(row)
    return found
