"""Fills and lots from what reports say, inside the transaction of their batch."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Executable, Table, bindparam, or_, select, update

from lowlat.core.layout import Action
from lowlat.store.ledger.bulk import Bulk
from lowlat.store.ledger.lots import (
    CROSSED,
    FAILED,
    HUMAN,
    RECONCILED,
    SOLD,
    UNKNOWN,
    Closing,
    Lot,
    TokenLots,
)
from lowlat.store.ledger.schema import CLOSINGS, FILLS, LOTS

__all__ = ["Booking", "FillChange"]

_STATES: Final = ("MATCHED", "MINED", "CONFIRMED", "FAILED")
_TOKENS_MAX: Final = 10_000
"""Tokens whose open lots are kept in memory; beyond it they are read again."""
_ADVANCE: Final = {
    state: update(FILLS)
    .where(
        FILLS.c.order_id == bindparam("order"),
        FILLS.c.trade_id == bindparam("trade"),
        or_(*(FILLS.c.state == lower for lower in _STATES[:rank])),
    )
    .values(state=state, changed_wall_ms=bindparam("at"))
    for rank, state in enumerate(_STATES)
    if rank
}
"""A fill's state only rises, so a batch's changes may be written state by state."""
_NEW_LOTS: Final = LOTS.insert().returning(LOTS.c.lot, sort_by_parameter_order=True)
_CHANGE_LOT: Final = (
    update(LOTS)
    .where(LOTS.c.lot == bindparam("key"))
    .values(
        size_e6=bindparam("size"),
        cost_e6=bindparam("cost"),
        left_e6=bindparam("left"),
        left_cost_e6=bindparam("left_cost"),
    )
)


class FillChange(NamedTuple):
    """What one report says of a fill. ``state`` RECONCILED: shares came or went without one."""

    order_id: str
    trade_id: str
    token_id: str
    module: str
    state: str
    action: Action
    group_id: int
    price_e4: int
    size_e6: int
    cash_e6: int
    fee_e6: int
    position_e6: int = 0
    """The token's position behind it."""
    exit_plan: str = "resolution"

    @property
    def before_e6(self) -> int:
        """The token's position before it."""
        sign = -1 if self.action == Action.SELL and self.state != "RECONCILED" else 1
        if self.state == "FAILED":
            sign = -sign
        moved = self.size_e6 if self.state in ("MATCHED", "FAILED", "RECONCILED") else 0
        return self.position_e6 - sign * moved


class Booking:
    """Keeps the open lots of the tokens in use; writes a batch's changes together."""

    def __init__(self, insert: Callable[[Table], Any]) -> None:
        """``insert`` makes the dialect's INSERT, which knows ON CONFLICT."""
        statement = insert(FILLS)
        added = {
            name: FILLS.c[name] + statement.excluded[name]
            for name in ("size_e6", "cash_e6", "fee_e6")
        }
        added["changed_wall_ms"] = statement.excluded.changed_wall_ms
        self._add_fills = statement.on_conflict_do_update(
            index_elements=["order_id", "trade_id"], set_=added
        )
        self._bulk = Bulk()
        self._tokens: dict[str, TokenLots] = {}
        self._clear()

    def _clear(self) -> None:
        self._fills: list[dict[str, Any]] = []
        self._states: dict[str, list[dict[str, Any]]] = {}
        self._new: list[tuple[str, Lot]] = []
        self._changed: dict[int, Lot] = {}
        self._closings: list[Closing] = []

    def forget(self) -> None:
        """Drop what is in memory: the transaction that it followed was undone."""
        self._tokens.clear()
        self._clear()

    def forget_token(self, token_id: str) -> None:
        """Read a token's lots again: they were changed beside us, between two batches."""
        self._tokens.pop(token_id, None)

    def take(self, connection: Connection, changes: Iterable[FillChange], wall_ms: int) -> None:
        """Write fills, lots and closings."""
        if len(self._tokens) >= _TOKENS_MAX:
            self._tokens.clear()
        for change in changes:
            if change.state == "RECONCILED":
                self._reconcile(connection, change, wall_ms)
            elif change.state == "MATCHED":
                row = change._asdict() | {"wall_ms": wall_ms, "changed_wall_ms": wall_ms}
                del row["position_e6"], row["exit_plan"]
                row["action"] = int(change.action)
                self._fills.append(row)
                if change.action == Action.BUY:
                    self._bought(connection, change, wall_ms)
                else:
                    self._sold(connection, change, wall_ms)
            else:
                self._advance(connection, change, wall_ms)
        self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        """Write what is pending: fills before their states, lots before what closed them."""
        execute = self._bulk.execute
        execute(connection, "fills", lambda: self._add_fills, self._fills)
        for state, statement in _ADVANCE.items():
            execute(connection, state, partial(_itself, statement), self._states.get(state, ()))
        if self._new:
            keys = connection.execute(_NEW_LOTS, [_lot_row(*each) for each in self._new])
            for (_, lot), key in zip(self._new, keys.scalars().all(), strict=True):
                lot.key = key
        changed = [_lot_change(lot) for lot in self._changed.values()]
        execute(connection, "lots", lambda: _CHANGE_LOT, changed)
        closings = [_closing(each) for each in self._closings]
        execute(connection, "closings", CLOSINGS.insert, closings)
        self._clear()

    def hand_over(
        self, connection: Connection, sold: FillChange, buyer: str, exit_plan: str, wall_ms: int
    ) -> int:
        """Close a module's own lots and open as many shares for another; return how many."""
        open_lots = self._lots(connection, sold, wall_ms).open
        own_e6 = sum(lot.left_e6 for lot in open_lots if lot.owner == sold.module)
        size_e6 = min(sold.size_e6, own_e6)
        if size_e6 > 0:
            cash_e6 = sold.cash_e6 * size_e6 // sold.size_e6
            bought = sold._replace(module=buyer, exit_plan=exit_plan)
            self._close(connection, sold, CROSSED, wall_ms, size_e6, cash_e6)
            self._open(connection, bought, wall_ms, size_e6, cash_e6)
            self._flush(connection)
        return size_e6

    # --------------------------------------------------------------------------- fills
    def _bought(self, connection: Connection, change: FillChange, wall_ms: int) -> None:
        cost_e6 = change.cash_e6 + change.fee_e6
        if change.size_e6 > 0:
            self._open(connection, change, wall_ms, change.size_e6, cost_e6)
        elif change.size_e6 < 0:
            self._close(connection, change, FAILED, wall_ms, -change.size_e6, -cost_e6)
        elif cost_e6:
            self._adjust(connection, change, wall_ms, cost_e6, 0)

    def _sold(self, connection: Connection, change: FillChange, wall_ms: int) -> None:
        proceeds_e6 = change.cash_e6 - change.fee_e6
        if change.size_e6 > 0:
            self._close(connection, change, SOLD, wall_ms, change.size_e6, proceeds_e6)
        elif change.size_e6 < 0:
            self._open(connection, change, wall_ms, -change.size_e6, -proceeds_e6)
        elif proceeds_e6:
            self._adjust(connection, change, wall_ms, 0, proceeds_e6)

    def _advance(self, connection: Connection, change: FillChange, wall_ms: int) -> None:
        """Note a fill's settlement; one that failed is reversed."""
        row = {"order": change.order_id, "trade": change.trade_id, "at": wall_ms}
        self._states.setdefault(change.state, []).append(row)
        if change.state != "FAILED":
            return
        if change.action == Action.BUY:
            cost_e6 = change.cash_e6 + change.fee_e6
            self._close(connection, change, FAILED, wall_ms, change.size_e6, cost_e6)
            return
        self._flush(connection)
        sold = connection.execute(
            select(CLOSINGS.c.cost_e6).where(
                CLOSINGS.c.order_id == change.order_id,
                CLOSINGS.c.trade_id == change.trade_id,
                CLOSINGS.c.why == SOLD,
            )
        )
        self._open(connection, change, wall_ms, change.size_e6, sum(sold.scalars()))

    def _adjust(
        self,
        connection: Connection,
        change: FillChange,
        wall_ms: int,
        cost_e6: int,
        brought_e6: int,
    ) -> None:
        """Correct the money of a fill whose shares were right, also when its lot is closed."""
        fill = (change.order_id, change.trade_id)
        for lot in self._lots(connection, change, wall_ms).open:
            if change.action == Action.BUY and (lot.order_id, lot.trade_id) == fill:
                lot.cost_e6 += cost_e6
                lot.left_cost_e6 += cost_e6
                self._note(lot)
                return
        self._flush(connection)
        table = LOTS if change.action == Action.BUY else CLOSINGS
        number = connection.execute(
            select(table.c.lot).where(table.c.order_id == fill[0], table.c.trade_id == fill[1])
        ).scalar()
        if number is None:
            # Shares sold that no lot held (they were there before the ledger): nothing to correct.
            return
        row = {"lot": number, "why": RECONCILED, "order_id": fill[0], "trade_id": fill[1]}
        row |= {"wall_ms": wall_ms, "size_e6": 0, "cost_e6": cost_e6, "proceeds_e6": brought_e6}
        connection.execute(CLOSINGS.insert(), row)

    def _reconcile(self, connection: Connection, change: FillChange, wall_ms: int) -> None:
        """Follow the venue's word on shares: no order of ours moved them.

        What it cost or brought is told by the wallet's movements, later (movements.py).
        """
        change = change._replace(module=change.module or HUMAN)
        if change.size_e6 > 0:
            self._open(connection, change, wall_ms, change.size_e6, 0)
        else:
            self._close(connection, change, RECONCILED, wall_ms, -change.size_e6, 0)

    # --------------------------------------------------------------------------- lots
    def _open(
        self, connection: Connection, change: FillChange, wall_ms: int, size_e6: int, cost_e6: int
    ) -> None:
        fill = (change.order_id, change.trade_id)
        sizes = (size_e6, cost_e6, size_e6, cost_e6)
        wanted = Lot(
            change.module, *fill, change.group_id, wall_ms, *sizes, exit_plan=change.exit_plan
        )
        lot = self._lots(connection, change, wall_ms).buy(wanted)
        if lot is wanted:
            self._new.append((change.token_id, lot))
        else:
            self._note(lot)

    def _close(
        self,
        connection: Connection,
        change: FillChange,
        why: str,
        wall_ms: int,
        size_e6: int,
        proceeds_e6: int,
    ) -> None:
        lots = self._lots(connection, change, wall_ms)
        fill = (change.order_id, change.trade_id)
        closings = lots.close(why, fill, change.module, wall_ms, size_e6, proceeds_e6)
        for closing in closings:
            self._note(closing.lot)
        self._closings += closings

    def _note(self, lot: Lot) -> None:
        """Write a lot back with this batch; a new one is written whole anyway."""
        if lot.key:
            self._changed[lot.key] = lot

    def _lots(self, connection: Connection, change: FillChange, wall_ms: int) -> TokenLots:
        token_id = change.token_id
        found = self._tokens.get(token_id)
        if found is None:
            rows = connection.execute(
                select(LOTS)
                .where(LOTS.c.token_id == token_id, LOTS.c.left_e6 > 0)
                .order_by(LOTS.c.lot)
            )
            found = self._tokens[token_id] = TokenLots([_lot(row) for row in rows])
            if not found.open and change.before_e6 > 0:
                self._begin(connection, change, found, wall_ms)
        return found

    def _begin(
        self, connection: Connection, change: FillChange, lots: TokenLots, wall_ms: int
    ) -> None:
        """Open a lot for what was held before the ledger began: its cost nobody knows."""
        known = connection.execute(
            select(LOTS.c.lot).where(LOTS.c.token_id == change.token_id).limit(1)
        ).first()
        if known is None:
            size_e6 = change.before_e6
            lot = lots.buy(Lot(UNKNOWN, "", "", 0, wall_ms, size_e6, 0, size_e6, 0))
            self._new.append((change.token_id, lot))


def _itself(statement: Executable) -> Executable:
    return statement


def _lot_row(token_id: str, lot: Lot) -> dict[str, Any]:
    return {
        "token_id": token_id,
        "owner": lot.owner,
        "exit_plan": lot.exit_plan,
        "order_id": lot.order_id,
        "trade_id": lot.trade_id,
        "group_id": lot.group_id,
        "opened_wall_ms": lot.opened_wall_ms,
        "size_e6": lot.size_e6,
        "cost_e6": lot.cost_e6,
        "left_e6": lot.left_e6,
        "left_cost_e6": lot.left_cost_e6,
    }


def _lot_change(lot: Lot) -> dict[str, Any]:
    return {
        "key": lot.key,
        "size": lot.size_e6,
        "cost": lot.cost_e6,
        "left": lot.left_e6,
        "left_cost": lot.left_cost_e6,
    }


def _lot(row: Any) -> Lot:
    return Lot(
        row.owner,
        row.order_id,
        row.trade_id,
        row.group_id,
        row.opened_wall_ms,
        row.size_e6,
        row.cost_e6,
        row.left_e6,
        row.left_cost_e6,
        row.exit_plan,
        row.lot,
    )


def _closing(closing: Closing) -> dict[str, Any]:
    return {
        "lot": closing.lot.key,
        "why": closing.why,
        "order_id": closing.order_id,
        "trade_id": closing.trade_id,
        "wall_ms": closing.wall_ms,
        "size_e6": closing.size_e6,
        "cost_e6": closing.cost_e6,
        "proceeds_e6": closing.proceeds_e6,
    }
