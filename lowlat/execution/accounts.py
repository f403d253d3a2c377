"""Positions and cash: what fills did to the account, and what open orders still hold of it.

Owned by the executor, single writer of the tables *orders*, *positions* and *cash*. A booking
changes three rows. The cash row goes first and carries the other two rows' new values, so a writer
killed between the stores is finished by the next (``restore``); the report follows the rows.

Average cost is a function of totals (bought, sold), so fills may come in any order.
"""

from collections.abc import Callable, Iterable
from typing import Final

from lowlat.core.layout import (
    CASH_ROW,
    POSITION_ROW,
    Action,
    CashRow,
    PositionRow,
)
from lowlat.core.ports import TableWriter
from lowlat.execution._desk import AccountCells, PositionCells
from lowlat.execution.orders import Order

__all__ = ["Accounts", "Position"]

_ZERO_TOKEN: Final = bytes(32)


class Position(PositionCells):
    """Shares of one token and what they cost. ``size_e6`` counts at MATCHED."""

    __slots__ = (
        "base_realized_e6",
        "confirmed_e6",
        "fees_e6",
        "generation",
        "instrument",
        "paid_e6",
        "received_e6",
        "token_id",
    )

    def __init__(self, instrument: int, generation: int, token_id: bytes) -> None:
        self.instrument = instrument
        self.generation = generation
        self.token_id = token_id
        self.bought_e6 = 0
        self.paid_e6 = 0
        self.sold_e6 = 0
        self.received_e6 = 0
        self.base_realized_e6 = 0
        self.confirmed_e6 = 0
        self.fees_e6 = 0

    @property
    def cost_e6(self) -> int:
        """Cash paid for what is held, fees included, at average cost."""
        return self.paid_e6 - self._sold_cost_e6

    @property
    def realized_e6(self) -> int:
        """Proceeds less the average cost of what was sold."""
        return self.base_realized_e6 + self.received_e6 - self._sold_cost_e6

    @property
    def _sold_cost_e6(self) -> int:
        if self.bought_e6 <= 0 or self.sold_e6 >= self.bought_e6:
            return self.paid_e6
        return self.paid_e6 * self.sold_e6 // self.bought_e6

    def restore(self, row: PositionRow) -> None:
        """Take a row's values as the new start of the averages."""
        self.bought_e6, self.paid_e6 = row.size_e6, row.cost_e6
        self.sold_e6 = self.received_e6 = 0
        self.base_realized_e6 = row.realized_e6
        self.confirmed_e6 = row.confirmed_e6
        self.fees_e6 = row.fees_e6

    def take(self, action: int, size_e6: int, cash_e6: int, fee_e6: int) -> None:
        """Book shares and cash of one side; negative amounts reverse a booking."""
        if action == Action.BUY:
            self.bought_e6 += size_e6
            self.paid_e6 += cash_e6 + fee_e6
        else:
            self.sold_e6 += size_e6
            self.received_e6 += cash_e6 - fee_e6
        self.fees_e6 += fee_e6

    def correct(self, size_e6: int) -> None:
        """Set the size to the venue's; cost follows in proportion, nothing is realized."""
        cost_e6 = self.cost_e6
        held_e6 = self.size_e6
        realized_e6 = self.realized_e6
        self.paid_e6 = cost_e6 * size_e6 // held_e6 if held_e6 > 0 else 0
        self.bought_e6, self.sold_e6, self.received_e6 = size_e6, 0, 0
        self.base_realized_e6 = realized_e6

    def row(self, record: int) -> PositionRow:
        """Return the row, named after the report that changed it."""
        return PositionRow(
            record,
            self.size_e6,
            self.confirmed_e6,
            self.cost_e6,
            self.realized_e6,
            self.fees_e6,
            self.token_id,
            self.instrument,
            self.generation,
        )


class Accounts(AccountCells):
    """All positions, the cash, and the cash that is spoken for. Integers only."""

    def __init__(
        self,
        orders: TableWriter,
        positions: TableWriter,
        cash: TableWriter,
        next_report: Callable[[], tuple[int, int]],
    ) -> None:
        """Take the tables this is the writer of; ``next_report`` names id and position."""
        self._orders = orders
        self._positions_table = positions
        self._cash_table = cash
        self._next_report = next_report

    # --------------------------------------------------------------------------- reading
    def position(self, instrument: int, generation: int, token_id: bytes) -> Position:
        """Return the token's position, an empty one the first time."""
        held = self.positions.get(instrument)
        if held is None or held.token_id != token_id:
            held = self.positions[instrument] = Position(instrument, generation, token_id)
        return held

    # --------------------------------------------------------------------------- writing
    def write_order(self, order: Order) -> None:
        """Write the order's row as it is."""
        order.pack(self._orders.buffer)
        self._orders.write(order.row)

    def reserve(self, change_e6: int) -> None:
        """Lock (or, negative, free) cash for unwinding a group."""
        self.reserved_e6 += change_e6
        assert self.reserved_e6 >= 0, f"reserved cash fell to {self.reserved_e6}"

    def book(self, order: Order, size_e6: int, cash_e6: int, fee_e6: int) -> None:
        """Book shares, cash and fee of one fill (negative: reversal) and write all three rows."""
        order.filled_e6 += size_e6
        order.cash_e6 += cash_e6
        order.fee_e6 += fee_e6
        held = self.position(order.instrument, order.generation, order.token_id)
        before_e6 = held.realized_e6
        held.take(order.action, size_e6, cash_e6, fee_e6)
        self.realized_e6 += held.realized_e6 - before_e6
        flow_e6 = -cash_e6 if order.action == Action.BUY else cash_e6
        self.cash_e6 += flow_e6 - fee_e6
        self.fees_e6 += fee_e6
        self.hold(order)
        record = self._write_cash(order, held)
        self.write_order(order)
        self._write_position(held, record)

    def confirm(self, order: Order, size_e6: int) -> None:
        """Count shares as settled for good."""
        order.confirmed_e6 += size_e6
        held = self.position(order.instrument, order.generation, order.token_id)
        held.confirmed_e6 += size_e6 if order.action == Action.BUY else -size_e6
        self.write_order(order)
        self._write_position(held, self._next_report()[0])

    def correct_cash(self, cash_e6: int, now_ns: int) -> int:
        """Set cash to the venue's word; return the difference."""
        difference_e6 = cash_e6 - self.cash_e6
        self.cash_e6 = cash_e6
        self.reconciled_ns = now_ns
        self.write_cash()
        return difference_e6

    def correct_position(
        self, instrument: int, generation: int, token_id: bytes, size_e6: int
    ) -> int:
        """Set a position to the venue's word; return the difference in shares."""
        held = self.position(instrument, generation, token_id)
        difference_e6 = size_e6 - held.size_e6
        held.correct(size_e6)
        held.confirmed_e6 = size_e6
        self._write_position(held, self._next_report()[0])
        self.write_cash()
        return difference_e6

    def write_cash(self) -> None:
        """Write the cash row without a booking to redo."""
        self._write_cash(None, None)

    def _write_cash(self, order: Order | None, held: Position | None) -> int:
        record, position = self._next_report()
        redo = (0, 0, 0, 0, 0, 0, 0, 0)
        if order is not None and held is not None:
            redo = (
                order.id,
                order.filled_e6,
                order.cash_e6,
                order.fee_e6,
                held.size_e6,
                held.cost_e6,
                held.instrument,
                held.generation,
            )
        row = CashRow(
            record,
            self.cash_e6,
            self.reserved_e6,
            self.fees_e6,
            self.realized_e6,
            self.reconciled_ns,
            position,
            *redo,
        )
        CASH_ROW.pack(self._cash_table.buffer, row)
        self._cash_table.write(0)
        return record

    def _write_position(self, held: Position, record: int) -> None:
        POSITION_ROW.pack(self._positions_table.buffer, held.row(record))
        self._positions_table.write(held.instrument)

    # --------------------------------------------------------------------------- after a restart
    def restore(self, orders: Iterable[Order]) -> CashRow | None:
        """Read positions and cash back and finish a booking cut short; None when not to be trusted.

        Orders are those of the orders table; one of them may be corrected by the redo. Tables
        whose account was never reconciled are the rest of a start that was cut short.
        """
        if not self._cash_table.read(0):
            return None
        row = CASH_ROW.unpack(self._cash_table.buffer)
        if not row.reconciled_ns:
            return None
        for index in range(self._positions_table.rows):
            if self._positions_table.read(index):
                self._restore_position(POSITION_ROW.unpack(self._positions_table.buffer))
        self.cash_e6, self.fees_e6 = row.cash_e6, row.fees_e6
        self.reconciled_ns = row.reconciled_ns
        by_id = {order.id: order for order in orders}
        order = by_id.get(row.redo_order)
        if row.redo_order and order is not None:
            self._redo(order, row)
        self.realized_e6 = row.realized_e6
        self.reserved_e6 = sum(each.reserved_e6 for each in by_id.values())
        return row

    def wipe(self) -> None:
        """Empty every position row that a start cut short has left."""
        empty = Position(0, 0, _ZERO_TOKEN)
        for index in range(self._positions_table.rows):
            if self._positions_table.read(index):
                empty.instrument = index
                self._write_position(empty, 0)

    def put_position(self, row: PositionRow) -> None:
        """Take a position over from the journal and write its row."""
        self._restore_position(row)
        self._write_position(self.positions[row.instrument], row.id)

    def _restore_position(self, row: PositionRow) -> None:
        if row.token_id == _ZERO_TOKEN:
            return
        held = self.position(row.instrument, row.generation, row.token_id)
        held.restore(row)

    def _redo(self, order: Order, row: CashRow) -> None:
        order.filled_e6 = row.redo_filled_e6
        order.cash_e6 = row.redo_cash_e6
        order.fee_e6 = row.redo_fee_e6
        held = self.position(row.redo_instrument, row.redo_generation, order.token_id)
        held.bought_e6, held.paid_e6 = row.redo_size_e6, row.redo_cost_e6
        held.sold_e6 = held.received_e6 = 0
        self.write_order(order)
        self._write_position(held, row.id)
