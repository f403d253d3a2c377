"""Positions and cash: what fills did to the account, and what open orders still hold of it.

Owned by the executor, single writer of the tables *orders*, *positions* and *cash*. A booking
changes three rows. The cash row goes first and carries the other two rows' new values, so a writer
killed between the stores is finished by the next (``restore``); the report follows the rows.

Average cost is a function of totals (bought, sold), so fills may come in any order.

A token whose market has no row is *unlisted*: its position has a row of its own at the end of the
table (core/instruments.py), generation 0, until the market gets its row. A token is never in two
rows but between the two stores of that move, which the next life finishes.
"""

from collections.abc import Callable, Iterable
from typing import Final

from lowlat.core.instruments import unlisted_markets
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
        self.bookings = 0
        """Grows with every fill that is booked or taken back."""
        self.unlisted: dict[bytes, int] = {}
        """Row of each token whose market has none."""
        self.unlisted_rows = range(
            2 * unlisted_markets(positions.rows // 2).start, positions.rows, 2
        )

    # --------------------------------------------------------------------------- reading
    def position(self, instrument: int, generation: int, token_id: bytes) -> Position:
        """Return the token's position, an empty one the first time."""
        held = self.positions.get(instrument)
        if held is None or held.token_id != token_id:
            if instrument in self.unlisted_rows:
                return self._unlisted_position(instrument, token_id)
            if token_id in self.unlisted:
                return self.list_token(token_id, instrument, generation)
            held = self.positions[instrument] = Position(instrument, generation, token_id)
        return held

    # --------------------------------------------------------------------------- unlisted tokens
    def keep_unlisted(self, token_id: bytes) -> int:
        """Return the row of a token whose market has none, its own from now on; -1: all taken."""
        row = self.unlisted.get(token_id)
        if row is None:
            taken = set(self.unlisted.values())
            row = next((each for each in self.unlisted_rows if each not in taken), -1)
            if row >= 0:
                self.unlisted[token_id] = row
                held = self.positions[row] = Position(row, 0, token_id)
                self._write_position(held, 0)
        return row

    def _unlisted_position(self, row: int, token_id: bytes) -> Position:
        """Return the position of a token whose order says that it has this row, new or given up."""
        if row not in self.unlisted.values():
            self.unlisted[token_id] = row
            self.positions[row] = Position(row, 0, token_id)
            return self.positions[row]
        own = self.keep_unlisted(token_id)
        assert own >= 0, f"no row for unlisted token {int.from_bytes(token_id, 'big')}"
        return self.positions[own]

    def list_token(self, token_id: bytes, instrument: int, generation: int) -> Position:
        """Move a token to its market's row. That one is written first: nothing is ever missing."""
        row = self.unlisted.pop(token_id)
        held = self.positions[instrument] = self.positions.pop(row)
        held.instrument, held.generation = instrument, generation
        self._write_position(held, self._next_report()[0])
        self._empty(row)
        return held

    def forget_unlisted(self, token_id: bytes) -> None:
        """Give up the row of an unlisted token of which nothing is held."""
        row = self.unlisted.pop(token_id)
        held = self.positions.pop(row)
        assert not held.size_e6, f"{held.size_e6} shares of a token were to be forgotten"
        self._empty(row)

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
        self.bookings += 1
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
        for index in range(self._positions_table.rows):
            if self._positions_table.read(index):
                self._empty(index)

    def _empty(self, row: int) -> None:
        self._write_position(Position(row, 0, _ZERO_TOKEN), 0)

    def put_position(self, row: PositionRow) -> None:
        """Take a position over from the journal and write its row."""
        self._restore_position(row)
        self._write_position(self.positions[row.instrument], row.id)

    def _restore_position(self, row: PositionRow) -> None:
        if row.token_id == _ZERO_TOKEN:
            return
        if row.instrument in self.unlisted_rows:
            others = (each for each in self.positions.values() if each.instrument != row.instrument)
            if any(each.token_id == row.token_id for each in others):
                # Its market's row was written, then death came: this one is over.
                self._empty(row.instrument)
                return
            self.unlisted[row.token_id] = row.instrument
            self.positions[row.instrument] = Position(row.instrument, 0, row.token_id)
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
