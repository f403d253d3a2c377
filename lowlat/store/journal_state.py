"""What the journal says, folded batch by batch; and the picture of it that outlives a reboot.

The same code for the running engine and for whoever reads a journal after its writer.
"""

from collections import deque
from typing import Final

from lowlat.core.layout import (
    CASH_ROW,
    EXPOSURE_ROW,
    ORDER_ROW,
    POSITION_ROW,
    REPORT,
    SCORE_ROW,
    STAKE_ROW,
    CashRow,
    ExposureRow,
    OrderRow,
    OrderState,
    PositionRow,
    ReportKind,
    ReportRecord,
    ScoreRow,
    StakeRow,
)
from lowlat.core.recovered import Recovered
from lowlat.execution.orders import REST_DUST_E6, TERMINAL
from lowlat.store.journal_file import Batch, Entry, EntryKind, newest_batches
from lowlat.store.owners import owned_at_the_end

__all__ = ["JournalState", "read_journal"]

_KNOWN_MAX: Final = 20_000
_IDS_PER_ENTRY: Final = 2_000
_TOKEN_BYTES: Final = 32


class JournalState:
    """Everything the journal says."""

    def __init__(self) -> None:
        self.orders: dict[bytes, OrderRow] = {}
        self._groups: dict[int, set[bytes]] = {}
        """Orders kept of each group."""
        self.positions: dict[bytes, PositionRow] = {}
        self.cash: CashRow | None = None
        self.halted = ""
        self.stakes: dict[bytes, list[StakeRow]] = {}
        """By token id, of all that own some of it."""
        self.scores: dict[bytes, ScoreRow] = {}
        self.total: ExposureRow | None = None
        self.known: deque[bytes] = deque(maxlen=_KNOWN_MAX)
        self.wall_ms = 0

    def apply(self, batch: Batch) -> None:
        """Take in a batch; taking it in twice changes nothing."""
        self.wall_ms = max(self.wall_ms, batch.wall_ms)
        rows: list[OrderRow] = []
        sent: list[bytes] = []
        for kind, data in batch.entries:
            if kind == EntryKind.ORDER:
                rows.append(OrderRow._make(ORDER_ROW.codec.unpack(data)))
                self._order(rows[-1])
            elif kind == EntryKind.POSITION:
                position = PositionRow._make(POSITION_ROW.codec.unpack(data))
                self.positions[position.token_id] = position
            elif kind == EntryKind.CASH:
                self.cash = CashRow._make(CASH_ROW.codec.unpack(data))
            elif kind == EntryKind.REPORT:
                report = ReportRecord._make(REPORT.codec.unpack(data))
                self._report(report)
                if report.kind == ReportKind.SENDING:
                    sent.append(report.order_id)
            elif kind == EntryKind.KNOWN_IDS:
                self.known.extend(data[at : at + 32] for at in range(0, len(data), 32))
            elif kind == EntryKind.HALTED:
                self.halted = data.decode()
            else:
                self._risk(kind, data)
        # Its row may be another order's by now: that it was ours is known all the same.
        read = {row.order_id for row in rows}
        self.known.extend(each for each in sent if each not in read and each not in self.orders)
        self._forget(rows)

    def _risk(self, kind: int, data: bytes) -> None:
        if kind == EntryKind.STAKES:
            starts = range(_TOKEN_BYTES, len(data), STAKE_ROW.codec.size)
            rows = [STAKE_ROW.codec.unpack_from(data, at) for at in starts]
            self.stakes[data[:_TOKEN_BYTES]] = [StakeRow._make(row) for row in rows]
            if not rows:
                del self.stakes[data[:_TOKEN_BYTES]]
        elif kind == EntryKind.SCORE:
            score = ScoreRow._make(SCORE_ROW.codec.unpack(data))
            self.scores[score.module] = score
        elif kind == EntryKind.TOTAL:
            self.total = ExposureRow._make(EXPOSURE_ROW.codec.unpack(data))

    def _order(self, row: OrderRow) -> None:
        if row.order_id not in self.orders:
            self.known.append(row.order_id)
        self.orders[row.order_id] = row
        if row.group:
            self._groups.setdefault(row.group, set()).add(row.order_id)

    def _forget(self, rows: list[OrderRow]) -> None:
        """Forget finished orders; those of a group together, once nothing more can come of any.

        Half a group looks naked after a reboot, and would be unwound.
        """
        for row in rows:
            members = self._groups.get(row.group, {row.order_id})
            if all(_finished(self.orders[each]) for each in members if each in self.orders):
                for order_id in members:
                    self.orders.pop(order_id, None)
                self._groups.pop(row.group, None)

    def _report(self, report: ReportRecord) -> None:
        if report.kind == ReportKind.HALT:
            self.halted = report.trade_text.rstrip(b"\0").decode("utf-8", "replace") or "halted"
        elif report.kind == ReportKind.RESUME:
            self.halted = ""

    def checkpoint(self, wall_ms: int, position: int, epoch: int) -> Batch:
        """Return a batch that says everything still needed."""
        entries = [Entry(EntryKind.HALTED, self.halted.encode())]
        known = list(self.known)
        entries += [
            Entry(EntryKind.KNOWN_IDS, b"".join(known[at : at + _IDS_PER_ENTRY]))
            for at in range(0, len(known), _IDS_PER_ENTRY)
        ]
        entries += [
            Entry(EntryKind.ORDER, ORDER_ROW.codec.pack(*row)) for row in self.orders.values()
        ]
        entries += [
            Entry(EntryKind.POSITION, POSITION_ROW.codec.pack(*row))
            for row in self.positions.values()
        ]
        if self.cash is not None:
            entries.append(Entry(EntryKind.CASH, CASH_ROW.codec.pack(*self.cash)))
        entries += [
            Entry(
                EntryKind.STAKES,
                token_id + b"".join(STAKE_ROW.codec.pack(*row) for row in rows),
            )
            for token_id, rows in self.stakes.items()
        ]
        entries += [
            Entry(EntryKind.SCORE, SCORE_ROW.codec.pack(*row)) for row in self.scores.values()
        ]
        if self.total is not None:
            entries.append(Entry(EntryKind.TOTAL, EXPOSURE_ROW.codec.pack(*self.total)))
        return Batch(wall_ms, position, epoch, tuple(entries))

    def recovered(self) -> Recovered:
        """Return the picture as the executor wants it."""
        return Recovered(
            list(self.orders.values()),
            list(self.positions.values()),
            self.cash,
            self.halted,
            self.wall_ms,
            set(self.known),
            owned_at_the_end(self.stakes, self.positions, self.orders.values()),
            list(self.scores.values()),
            self.total,
        )


def read_journal(directory: str) -> Recovered | None:
    """Read what the journal of a directory says; None when there is none. Changes nothing."""
    batches = newest_batches(directory)
    if not batches:
        return None
    state = JournalState()
    for batch in batches:
        state.apply(batch)
    return state.recovered()


def _finished(row: OrderRow) -> bool:
    """Whether nothing more can come of an order."""
    settled = OrderState(row.state) in TERMINAL and row.confirmed_e6 == row.filled_e6
    return settled and row.claimed_e6 - row.filled_e6 <= REST_DUST_E6
