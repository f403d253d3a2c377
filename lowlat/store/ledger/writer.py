"""Write journal batches and decisions into the ledger, each with its stream position.

Run by the recorder behind the journal: one transaction a batch, and only after its commit are the
slots given back. What was committed before a crash is known by its position and skipped; what the
journal holds and the ledger does not is caught up with at the start.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.dml import Insert

from lowlat.core.errors import LedgerError
from lowlat.core.layout import (
    ORDER_ROW,
    POSITION_ROW,
    REPORT,
    Action,
    OrderRow,
    PositionRow,
    ReportKind,
    ReportRecord,
)
from lowlat.store.journal import Decided
from lowlat.store.journal_file import Batch, EntryKind
from lowlat.store.ledger import schema
from lowlat.store.ledger.booking import Booking, FillChange
from lowlat.store.ledger.bulk import Bulk
from lowlat.store.ledger.crossings import book_crossings
from lowlat.store.ledger.database import said
from lowlat.store.ledger.lots import EXIT_PLANS
from lowlat.store.ledger.movements import book_movements
from lowlat.store.ledger.note_rows import SET_HASH, note_rows
from lowlat.store.ledger.notes import Note, TradeNote
from lowlat.store.ledger.record_rows import (
    cash_row,
    decision_row,
    difference_row,
    group_row,
    halt_row,
    order_row,
    position_row,
    report_row,
)
from lowlat.store.ledger.words import hex_id, module_of, token_of, trade_of

__all__ = ["Ledger"]

_NO_ID: Final = bytes(32)
_FILLS: Final = {
    ReportKind.FILL: "MATCHED",
    ReportKind.MINED: "MINED",
    ReportKind.CONFIRMED: "CONFIRMED",
    ReportKind.FAILED: "FAILED",
}


class Ledger:
    """One database; one writer. Raises LedgerError when the database does not take a batch."""

    def __init__(self, engine: Engine, plan_of: Callable[[int], str] | None = None) -> None:
        """``plan_of`` tells how the module of a signal means to end what it buys."""
        self._engine = engine
        self._plan_of = plan_of
        self._insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._lives: dict[str, int] = {}
        self._cursors: dict[tuple[int, str], int] = {}
        self._booking = Booking(self._insert)
        self._bulk = Bulk()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # --------------------------------------------------------------------------- reports
    def take(self, life: str, batch: Batch) -> bool:
        """Commit one batch of reports; False when it was committed before."""
        try:
            with self._engine.begin() as connection:
                number = self._life(connection, life, batch.wall_ms)
                known = self._position(connection, number, "reports")
                if batch.position <= known:
                    return False
                reports, others = _apart(batch)
                if batch.position - len(reports) < known:
                    reports = self._unknown(connection, number, reports)
                self._write_batch(connection, number, batch.wall_ms, reports, others)
                self._set_position(connection, number, "reports", batch.epoch, batch.position)
        except SQLAlchemyError as error:
            self._forget()
            raise LedgerError(f"the ledger did not take a batch: {said(error)}") from error
        self._cursors[number, "reports"] = batch.position
        return True

    def _write_batch(
        self,
        connection: Connection,
        life: int,
        wall_ms: int,
        reports: list[ReportRecord],
        others: dict[int, list[bytes]],
    ) -> None:
        orders = [OrderRow._make(ORDER_ROW.codec.unpack(data)) for data in others[EntryKind.ORDER]]
        positions = [
            PositionRow._make(POSITION_ROW.codec.unpack(data))
            for data in others[EntryKind.POSITION]
        ]
        self._put(connection, schema.ORDERS, [order_row(row, life, wall_ms) for row in orders])
        self._put(connection, schema.POSITIONS, [position_row(row, wall_ms) for row in positions])
        self._put(
            connection, schema.CASH, [cash_row(data, wall_ms) for data in others[EntryKind.CASH]]
        )
        self._add(connection, schema.REPORTS, [report_row(each, life, wall_ms) for each in reports])
        tokens = {row.instrument: token_of(row.token_id) for row in positions}
        tokens.update({row.instrument: token_of(row.token_id) for row in orders})
        changes = _fill_changes(reports, tokens, self._order_facts(connection, reports, orders))
        self._booking.take(connection, changes, wall_ms)
        self._write_rest(connection, life, wall_ms, reports, tokens)

    def _write_rest(
        self,
        connection: Connection,
        life: int,
        wall_ms: int,
        reports: Iterable[ReportRecord],
        tokens: dict[int, str],
    ) -> None:
        """Write groups, halts and differences, newest state last."""
        groups, halts, differences = [], [], []
        for report in reports:
            if report.kind == ReportKind.GROUP:
                groups.append(group_row(report, life, wall_ms))
            elif report.kind in (ReportKind.HALT, ReportKind.RESUME):
                halts.append(halt_row(report, life, wall_ms))
            elif report.kind == ReportKind.RECONCILED:
                differences.append(difference_row(report, life, wall_ms, tokens))
        self._put(connection, schema.GROUPS, groups, keep=("opened_wall_ms",))
        self._add(connection, schema.HALTS, halts)
        self._add(connection, schema.DIFFERENCES, differences)
        if differences:
            book_movements(connection, self._booking)

    def _unknown(
        self, connection: Connection, life: int, reports: list[ReportRecord]
    ) -> list[ReportRecord]:
        """Leave out what a batch that was cut differently before a crash already brought."""
        table = schema.REPORTS
        wanted = [each.id for each in reports]
        rows = connection.execute(
            select(table.c.report).where(table.c.life == life, table.c.report.in_(wanted))
        )
        known = {row.report for row in rows}
        return [each for each in reports if each.id not in known]

    def _order_facts(
        self, connection: Connection, reports: list[ReportRecord], orders: list[OrderRow]
    ) -> dict[str, tuple[str, str]]:
        """Return token and exit plan of each order that a report is about."""
        found = {
            hex_id(row.order_id): (token_of(row.token_id), self._plan(row.signal)) for row in orders
        }
        missing = {
            hex_id(each.order_id)
            for each in reports
            if each.kind in _FILLS and hex_id(each.order_id) not in found
        }
        if missing:
            table = schema.ORDERS
            rows = connection.execute(
                select(table.c.order_id, table.c.token_id, table.c.signal).where(
                    table.c.order_id.in_(missing)
                )
            )
            found.update({row.order_id: (row.token_id, self._plan(row.signal)) for row in rows})
        return found

    def _plan(self, signal: int) -> str:
        return self._plan_of(signal) if self._plan_of is not None else EXIT_PLANS[0]

    # --------------------------------------------------------------------------- decisions
    def decide(self, life: str, wall_ms: int, epoch: int, decided: Sequence[Decided]) -> int:
        """Commit decisions; return how many were new."""
        try:
            with self._engine.begin() as connection:
                number = self._life(connection, life, wall_ms)
                known = self._position(connection, number, "decisions")
                fresh = [each for each in decided if each.position > known]
                if not fresh:
                    return 0
                rows = [decision_row(each.data, number, wall_ms) for each in fresh]
                self._add(connection, schema.DECISIONS, rows)
                book_crossings(connection, self._booking, rows, self._plan, wall_ms)
                last = fresh[-1].position
                self._set_position(connection, number, "decisions", epoch, last)
        except SQLAlchemyError as error:
            self._forget()
            raise LedgerError(f"the ledger did not take a batch: {said(error)}") from error
        self._cursors[number, "decisions"] = last
        return len(fresh)

    # --------------------------------------------------------------------------- notes
    def note(self, notes: Sequence[Note]) -> int:
        """Commit what others told; return how many movements were booked on lots."""
        try:
            with self._engine.begin() as connection:
                for table, rows in note_rows(notes).items():
                    self._put(connection, table, rows, keep=("booked",))
                for each in notes:
                    if isinstance(each, TradeNote):
                        values = {"order": each.order_id, "trade": each.trade_id}
                        connection.execute(SET_HASH, values | {"hash": each.transaction_hash})
                booked = book_movements(connection, self._booking)
        except SQLAlchemyError as error:
            self._forget()
            raise LedgerError(f"the ledger did not take a note: {said(error)}") from error
        return booked

    def newest_config(self) -> int:
        """Return the highest config generation that is kept, 0 when there is none."""
        try:
            with self._engine.connect() as connection:
                number = connection.execute(select(func.max(schema.CONFIGS.c.generation))).scalar()
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger could not be read: {said(error)}") from error
        return int(number or 0)

    # --------------------------------------------------------------------------- pieces
    def _life(self, connection: Connection, name: str, wall_ms: int) -> int:
        number = self._lives.get(name)
        if number is not None:
            return number
        table = schema.LIVES
        row = connection.execute(select(table.c.life).where(table.c.name == name)).first()
        if row is None:
            added = connection.execute(
                table.insert().values(name=name, first_wall_ms=wall_ms).returning(table.c.life)
            )
            row = added.one()
        self._lives[name] = row.life
        return int(row.life)

    def _position(self, connection: Connection, life: int, stream: str) -> int:
        known = self._cursors.get((life, stream))
        if known is None:
            table = schema.CURSORS
            known = connection.execute(
                select(table.c.position).where(table.c.life == life, table.c.stream == stream)
            ).scalar()
        return 0 if known is None else int(known)

    def _set_position(
        self, connection: Connection, life: int, stream: str, epoch: int, position: int
    ) -> None:
        row = {"life": life, "stream": stream, "epoch": epoch, "position": position}
        self._put(connection, schema.CURSORS, [row])

    def _put(
        self,
        connection: Connection,
        table: Table,
        rows: list[dict[str, Any]],
        *,
        keep: tuple[str, ...] = (),
    ) -> None:
        """Insert rows or replace them by key; ``keep`` names columns that the first row decides."""
        self._bulk.execute(connection, table.name, lambda: self._upsert(table, keep), rows)

    def _upsert(self, table: Table, keep: tuple[str, ...]) -> Insert:
        insert = self._insert(table)
        keys = [column.name for column in table.primary_key]
        replaced = {
            column.name: insert.excluded[column.name]
            for column in table.columns
            if column.name not in keys and column.name not in keep
        }
        return insert.on_conflict_do_update(index_elements=keys, set_=replaced)

    def _add(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        self._bulk.execute(connection, f"new {table.name}", table.insert, rows)

    def _forget(self) -> None:
        """Read everything again after a failed transaction: memory may be ahead of the disk."""
        self._lives.clear()
        self._cursors.clear()
        self._booking.forget()


def _apart(batch: Batch) -> tuple[list[ReportRecord], dict[int, list[bytes]]]:
    reports: list[ReportRecord] = []
    others: dict[int, list[bytes]] = {kind: [] for kind in EntryKind}
    for kind, data in batch.entries:
        if kind == EntryKind.REPORT:
            reports.append(ReportRecord._make(REPORT.codec.unpack(data)))
        elif kind in others:
            others[kind].append(data)
    return reports, others


def _fill_changes(
    reports: Iterable[ReportRecord],
    by_instrument: dict[int, str],
    by_order: dict[str, tuple[str, str]],
) -> list[FillChange]:
    """Return what reports say of fills, and of shares that came or went without one."""
    changes = []
    for report in reports:
        order_id = hex_id(report.order_id)
        if report.kind in _FILLS:
            token, plan = by_order.get(order_id, ("", ""))
            state = _FILLS[ReportKind(report.kind)]
            if not token:
                raise LedgerError(f"a fill of order {order_id} came before the order itself")
        elif report.kind in (ReportKind.RECONCILED, ReportKind.REDEEMED) and report.size_e6:
            token, plan = by_instrument.get(report.instrument, ""), EXIT_PLANS[0]
            state = "RECONCILED"
            if not token:
                raise LedgerError(f"no token is known for corrected instrument {report.instrument}")
        else:
            continue
        changes.append(
            FillChange(
                order_id if report.order_id != _NO_ID else "",
                trade_of(report),
                token,
                module_of(report.module),
                state,
                Action(report.action),
                report.group,
                report.price_e4,
                report.size_e6,
                report.cash_e6,
                report.fee_e6,
                report.position_e6,
                plan,
            )
        )
    return changes
