"""Journal: what must survive a reboot, on disk within a turn of the report that says it.

Run by its own process (gate "ledger" of reports and decisions), never on the order path. For every
batch of reports it appends them, and the rows of orders, positions and cash they touched, as one
frame; only after fsync does the gate let the executor reuse the slots. Rows are absolute values,
so a batch read again after a crash changes nothing. ``read_journal`` gives the picture back.

The three tables are read consistently although the executor goes on writing: a booking begins with
the cash row, which carries the values of the other two (lowlat/execution/accounts.py), so rows read
between two equal versions of the cash row are complete once its redo is applied.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from lowlat.core.errors import LedgerError
from lowlat.core.layout import (
    CASH_ROW,
    DECISION,
    ORDER_ROW,
    POSITION_ROW,
    REPORT,
    SLOT_HEAD_BYTES,
    CashRow,
    OrderRow,
    PositionRow,
    ReportKind,
    ReportRecord,
)
from lowlat.core.ports import EMPTY, OVERRUN, Cell, Clock, StreamReader, TableReader
from lowlat.store.disk import Disk
from lowlat.store.journal_file import Batch, Entry, EntryKind, JournalFile
from lowlat.store.journal_params import JournalParams
from lowlat.store.journal_state import JournalState
from lowlat.store.record_log import DECISIONS, RecordLog
from lowlat.store.risk_rows import RiskRows, RiskTables

__all__ = [
    "Decided",
    "JournalEngine",
    "JournalMeters",
]

_LOG: Final = logging.getLogger(__name__)
_NO_TOKEN: Final = bytes(32)
_RISK_EVERY_NS: Final = 250_000_000
_SNAPSHOT_TRIES: Final = 100
_LEDGER_RETRY_NS: Final = 200_000_000
_LOGGED_BACK: Final = 4_096
"""More decisions than a life of other settings can have logged before it gave a slot back."""
_MOVES_MONEY: Final = frozenset(
    {
        ReportKind.FILL,
        ReportKind.FAILED,
        ReportKind.CONFIRMED,
        ReportKind.RECONCILED,
        ReportKind.REDEEMED,
    }
)


class JournalMeters(msgspec.Struct):
    """Counters of the journal."""

    batches: Cell
    bytes_written: Cell
    disk_errors: Cell
    lost: Cell
    """Reports overwritten before they were read: nobody held the gate."""
    ledger_errors: Cell
    """Batches that the ledger's database did not take at once."""
    refused: Cell
    """A gauge: 1 while disk or database takes nothing and slots wait for them."""


class Decided(NamedTuple):
    """One decision record and where it stood in its stream."""

    position: int
    data: bytes


class LedgerPort(Protocol):
    """Where batches go behind the journal; raises LedgerError when it does not take one."""

    def take(self, life: str, batch: Batch) -> bool:
        """Commit a batch of reports; False when it was committed before."""
        ...

    def decide(self, life: str, wall_ms: int, epoch: int, decided: Sequence[Decided]) -> int:
        """Commit decisions; return how many were new."""
        ...


class JournalEngine:
    """Reads reports, writes them down, then lets the executor go on."""

    name: Final = "journal"

    def __init__(
        self,
        directory: str,
        reports: StreamReader,
        decisions: StreamReader | None,
        tables: tuple[TableReader, TableReader, TableReader],
        clock: Clock,
        meters: JournalMeters,
        params: JournalParams | None = None,
        ledger: LedgerPort | None = None,
        life: str = "",
        disk: Disk = os,
        risk: RiskTables | None = None,
    ) -> None:
        """``tables``: orders, positions, cash. ``decisions`` None: another holds that gate.

        ``life`` names this incarnation of the shared memory. What the journal holds and the
        ledger does not is caught up with here.
        """
        self._params = params or JournalParams()
        self._reports = reports
        self._decisions = decisions
        self._orders, self._positions, self._cash = tables
        self._risk = RiskRows(risk, self._positions) if risk is not None else None
        self._risk_due_ns = 0
        self._clock = clock
        self._meters = meters
        self._refused = False
        self._file = JournalFile(directory, disk)
        self._log = (
            RecordLog(directory, DECISIONS, self._params.decisions_bytes_max, disk)
            if decisions is not None and self._params.decisions_bytes_max
            else None
        )
        self._ledger, self._life = ledger, life
        self._ledger_due_ns = 0
        self.state = JournalState()
        for batch in self._file.batches:
            self.state.apply(batch)
            if ledger is not None and (of_life := _life_of(batch)):
                ledger.take(of_life, batch)
        self._file.batches = []
        self._unwritten: list[bytes] = []
        self._written: Batch | None = None
        """In the journal, not yet in the ledger."""
        self._undecided: list[Decided] = []
        """Polled, not yet in the ledger and the decision log."""
        self._decisions_polled = 0
        """Records of the decisions stream whose slots are still held, those of turns included."""
        self._logged: set[bytes] = set()
        """In the decision log already, though their slots may not have been given back: the last
        life died in between."""
        if self._log is not None:
            back = max(_LOGGED_BACK, self._params.batch_decisions_max)
            self._logged.update(self._log.tail(back))
        if self._file.cut_bytes:
            _LOG.warning("journal tail cut bytes=%d", self._file.cut_bytes)

    def start(self) -> None:
        """Begin a file with a checkpoint when there is none."""
        if not self._file.size_bytes:
            self._file.rotate(self.state.checkpoint(self._wall_ms(), 0, 0))

    def turn(self, now_ns: int) -> int:
        """Write down what came since the last turn; return how many records."""
        if now_ns < self._ledger_due_ns:
            return 0
        self._refused = False
        try:
            worked = self._take_reports()
            if self._decisions is not None:
                worked += self._take_decisions(self._decisions)
            worked += self._take_risk(now_ns)
        except LedgerError:
            # The gates stay: the executor stops new orders before anything is lost.
            self._ledger_due_ns = now_ns + _LEDGER_RETRY_NS
            self._meters.ledger_errors.add(1)
            self._refused = True
            _LOG.exception("ledger write failed gates held retry_ns=%d", _LEDGER_RETRY_NS)
            worked = 0
        self._meters.refused.set(self._refused)
        return worked

    def close(self) -> None:
        """Write down the rest and close."""
        while self._take_reports():
            pass
        self._file.close()
        if self._log is not None:
            self._log.close()

    def drop(self) -> None:
        """Let go of the files and write nothing more, as a killed process does."""
        self._file.close()
        if self._log is not None:
            self._log.close()

    # --------------------------------------------------------------------------- reports
    def _take_reports(self) -> int:
        if self._written is None:
            self._poll_reports()
            if not self._unwritten:
                return 0
            batch = self._batch(self._unwritten)
            if batch is None or not self._append(batch):
                return 0
            self._written = batch
        batch, count = self._written, len(self._unwritten)
        if self._ledger is not None:
            self._ledger.take(self._life, batch)
        # Only now: a checkpoint has no reports, and until here the ledger may need them.
        if self._file.size_bytes > self._params.rotate_bytes and not self._rotate(batch):
            return 0
        self._reports.release()
        self._written = None
        self._unwritten.clear()
        self._meters.batches.add(1)
        self._meters.bytes_written.set(self._file.size_bytes)
        return count

    def _poll_reports(self) -> None:
        reader, waiting = self._reports, self._unwritten
        while len(waiting) < self._params.batch_reports_max:
            kind = reader.poll()
            if kind == EMPTY:
                break
            if kind == OVERRUN:
                self._meters.lost.set(reader.lost)
                continue
            if kind == REPORT.kind:
                waiting.append(bytes(reader.buffer[SLOT_HEAD_BYTES:]))

    def _append(self, batch: Batch) -> bool:
        try:
            self._file.append(batch)
        except OSError:
            return self._disk_failed()
        return True

    def _rotate(self, batch: Batch) -> bool:
        try:
            self._file.rotate(self.state.checkpoint(batch.wall_ms, batch.position, batch.epoch))
        except OSError:
            return self._disk_failed()
        return True

    def _disk_failed(self) -> bool:
        # The gate stays: the executor stops new orders before reports are lost.
        self._meters.disk_errors.add(1)
        self._refused = True
        _LOG.exception("journal write failed directory gate held")
        return False

    def _batch(self, raws: list[bytes]) -> Batch | None:
        """Put reports and the rows they touched together; None while rows cannot be read."""
        reports = [ReportRecord._make(REPORT.codec.unpack_from(raw)) for raw in raws]
        entries = [Entry(EntryKind.REPORT, raw[: REPORT.codec.size]) for raw in raws]
        order_rows = {each.order_row: each.order_id for each in reports if any(each.order_id)}
        instruments = {each.instrument for each in reports if each.kind in _MOVES_MONEY}
        rows = self._snapshot(order_rows, instruments)
        if rows is None:
            return None
        wall_ms = self._wall_ms()
        if self._life:
            entries.append(Entry(EntryKind.LIFE, self._life.encode()))
        batch = Batch(wall_ms, self._reports.position - 1, self._reports.epoch, (*entries, *rows))
        self.state.apply(batch)
        return batch

    def _snapshot(self, order_rows: dict[int, bytes], instruments: set[int]) -> list[Entry] | None:
        for _ in range(_SNAPSHOT_TRIES):
            version = self._cash.version(0)
            orders = self._read(self._orders, ORDER_ROW, set(order_rows))
            positions = self._read(self._positions, POSITION_ROW, instruments)
            cash = self._read(self._cash, CASH_ROW, {0})
            if orders is None or positions is None or cash is None:
                continue
            if self._cash.version(0) == version:
                return _consistent(orders, positions, cash.get(0), order_rows)
        return None

    def _read(self, table: TableReader, record: Any, rows: set[int]) -> dict[int, Any] | None:
        found = {}
        for row in rows:
            version = table.read(row)
            if version < 0:
                return None
            if version:
                found[row] = record.unpack(table.buffer)
        return found

    def _wall_ms(self) -> int:
        return self._clock.wall_ns() // 1_000_000

    # --------------------------------------------------------------------------- risk's rows
    def _take_risk(self, now_ns: int) -> int:
        """Write down what risk changed of its own; it explains no report, and holds up none."""
        if self._risk is None or now_ns < self._risk_due_ns or self._unwritten:
            # Nothing may seem later than reports that are not written yet.
            return 0
        self._risk_due_ns = now_ns + _RISK_EVERY_NS
        entries = self._risk.changed()
        if not entries:
            return 0
        batch = Batch(self._wall_ms(), 0, 0, tuple(entries))
        if not self._append(batch):
            return 0
        self.state.apply(batch)
        self._risk.kept()
        return 1

    # --------------------------------------------------------------------------- decisions
    def _take_decisions(self, reader: StreamReader) -> int:
        """Commit what there is, then explain it, then give its slots back."""
        if not self._decisions_polled:
            self._poll_decisions(reader)
        polled = self._decisions_polled
        if not polled:
            return 0
        if self._undecided and self._ledger is not None:
            self._ledger.decide(self._life, self._wall_ms(), reader.epoch, self._undecided)
        if self._log is not None:
            self._explain(self._log)
        self._undecided.clear()
        self._decisions_polled = 0
        reader.release()
        return polled

    def _poll_decisions(self, reader: StreamReader) -> None:
        while self._decisions_polled < self._params.batch_decisions_max:
            kind = reader.poll()
            if kind == EMPTY:
                break
            self._decisions_polled += 1
            if kind == DECISION.kind:
                data = bytes(reader.buffer[SLOT_HEAD_BYTES : SLOT_HEAD_BYTES + DECISION.codec.size])
                self._undecided.append(Decided(reader.position - 1, data))

    def _explain(self, log: RecordLog) -> None:
        for _, data in self._undecided:
            if self._logged:
                if data in self._logged:
                    continue
                # What the last life wrote comes first; behind it everything is new.
                self._logged.clear()
            log.add(data)
        try:
            log.flush()
        except OSError:
            # It explains, no money hangs on it: the gate goes on.
            self._meters.disk_errors.add(1)


def _life_of(batch: Batch) -> str:
    return next((data.decode() for kind, data in batch.entries if kind == EntryKind.LIFE), "")


def _consistent(
    orders: dict[int, OrderRow],
    positions: dict[int, PositionRow],
    cash: CashRow | None,
    order_rows: dict[int, bytes],
) -> list[Entry]:
    """Finish the booking that the cash row commits in the rows read beside it."""
    entries = []
    for row, order in orders.items():
        if order.order_id != order_rows[row]:
            # The row serves another order by now, whose own report is still to come.
            continue
        if cash is not None and cash.redo_order == order.id:
            order = order._replace(  # noqa: PLW2901
                filled_e6=cash.redo_filled_e6,
                cash_e6=cash.redo_cash_e6,
                fee_e6=cash.redo_fee_e6,
            )
        entries.append(Entry(EntryKind.ORDER, ORDER_ROW.codec.pack(*order)))
    for instrument, held in positions.items():
        if held.token_id == _NO_TOKEN:
            # A row that a token moved away from.
            continue
        if cash is not None and cash.redo_order and cash.redo_instrument == instrument:
            held = held._replace(  # noqa: PLW2901
                size_e6=cash.redo_size_e6, cost_e6=cash.redo_cost_e6
            )
        entries.append(Entry(EntryKind.POSITION, POSITION_ROW.codec.pack(*held)))
    if cash is not None:
        entries.append(Entry(EntryKind.CASH, CASH_ROW.codec.pack(*cash)))
    return entries
