"""Groups by id: their rows, the cash locked for them, what is reported of them, their restoring.

Owned by GroupDesk, which decides what becomes of a group; nothing here sends an order. Writer of
the table *groups*. A row is written before its state is reported.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from lowlat.core.layout import GROUP_ROW, GroupRow, GroupState, ReportKind
from lowlat.core.ports import TableWriter
from lowlat.execution.desk import OrderDesk
from lowlat.execution.legs import Group, rebuild_legs
from lowlat.execution.orders import Order
from lowlat.execution.params import ExecutorParams

__all__ = ["RESTING", "GroupBook"]

RESTING: Final = (GroupState.COMPLETE, GroupState.UNWOUND, GroupState.FLAT, GroupState.NAKED)
"""States in which a group whose orders are all settled is over."""


class GroupBook:
    """All groups, those that are over until their rows are needed."""

    def __init__(
        self,
        desk: OrderDesk,
        table: TableWriter,
        params: ExecutorParams,
        owes: Callable[[int, GroupState], bool],
    ) -> None:
        """``owes(group, state)``: an earlier life wrote that state and died before it said so."""
        self._desk = desk
        self._table = table
        self._params = params
        self._owes = owes
        self._free_rows = deque(range(table.rows))
        self._retired: deque[Group] = deque()
        """Groups that are over, oldest first."""
        self.by_id: dict[int, Group] = {}
        self.active: dict[int, Group] = {}
        """Those that are not over."""

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params

    # --------------------------------------------------------------------------- rows
    def add(self, group: Group) -> None:
        """Take a new group in."""
        self.by_id[group.id] = self.active[group.id] = group

    def reopen(self, group: Group) -> None:
        """Take up a group that was over, and lock again what unwinding it may take."""
        self.active[group.id] = group
        self.relock(group)

    def take_row(self) -> int:
        """Return a free row, that of the group which is over longest if need be; -1: none."""
        if self._free_rows:
            return self._free_rows.popleft()
        while self._retired:
            group = self._retired.popleft()
            if self.by_id.get(group.id) is group and group.id not in self.active:
                del self.by_id[group.id]
                return group.row
        return -1

    def retire(self, group: Group) -> None:
        """Count a group as over; it keeps its row until another needs it."""
        if self.active.pop(group.id, None) is not None:
            self._retired.append(group)

    def relist(self, row: int, instrument: int, generation: int) -> None:
        """Follow a token whose market got its row."""
        for group in self.by_id.values():
            for leg in group.legs.values():
                if leg.intent.instrument == row:
                    leg.intent = leg.intent._replace(instrument=instrument, generation=generation)

    # --------------------------------------------------------------------------- cash
    def relock(self, group: Group) -> None:
        """Lock what unwinding may take again, as far as there is cash."""
        want_e6 = sum(leg.intent.unwind_reserve_e6 for leg in group.legs.values())
        more_e6 = max(0, min(want_e6 - group.reserve_e6, self._desk.accounts.free_e6))
        self._desk.accounts.reserve(more_e6)
        group.reserve_e6 += more_e6

    def unlock(self, group: Group, cash_e6: int) -> None:
        """Let locked cash go: an order holds it from now on, or nobody needs it."""
        part_e6 = min(group.reserve_e6, cash_e6)
        self._desk.accounts.reserve(-part_e6)
        group.reserve_e6 -= part_e6

    def release(self, group: Group) -> None:
        """Free what is still locked for a group."""
        self.unlock(group, group.reserve_e6)
        self._desk.accounts.write_cash()

    # --------------------------------------------------------------------------- saying
    def say(self, group: Group, state: GroupState, now_ns: int) -> None:
        """Write the row, then report the group's new state. Idempotent by state."""
        group.state = state
        self.write(group, now_ns)
        low_e6, _ = group.low_high_e6()
        first = next(iter(group.legs.values())).intent
        self._desk.reports.say(
            ReportKind.GROUP,
            now_ns,
            group=group.id,
            instrument=first.instrument,
            generation=first.generation,
            amounts=(low_e6, group.unwind_cost_e6, 0),
            group_state=state,
            legs=len(group.legs),
            module=group.module,
            cause=group.cause,
        )

    def write_if_moved(self, group: Group, now_ns: int) -> None:
        """Write the row when fills differ from it."""
        if group.moved():
            self.write(group, now_ns)

    def write(self, group: Group, now_ns: int) -> None:
        """Write the group's row as it is."""
        GROUP_ROW.pack(self._table.buffer, group.to_row(now_ns))
        self._table.write(group.row)

    # --------------------------------------------------------------------------- after a restart
    def restore(self, orders: Iterable[Order], now_ns: int) -> None:
        """Rebuild groups from their rows and orders; legs that never left are unwound around."""
        rows: dict[int, tuple[int, GroupRow]] = {}
        free = []
        for index in range(self._table.rows):
            row = GROUP_ROW.unpack(self._table.buffer) if self._table.read(index) else None
            if row is not None and row.state != GroupState.NONE:
                rows[row.id] = (index, row)
            else:
                free.append(index)
        self._free_rows = deque(free)
        by_group: dict[int, list[Order]] = {}
        for order in orders:
            if order.group:
                by_group.setdefault(order.group, []).append(order)
        for group_id, (index, row) in rows.items():
            if group_id not in by_group:
                self._restore_unsent(index, row, now_ns)
        for group_id, members in by_group.items():
            known = rows.get(group_id)
            index = known[0] if known else self.take_row()
            if index >= 0:
                self._restore_one(members, index, known[1] if known else None, now_ns)

    def _restore_one(
        self, members: list[Order], index: int, row: GroupRow | None, now_ns: int
    ) -> None:
        group = Group(members[0].group, index, row.dust_e6 if row else self._params.group_dust_e6)
        rebuild_legs(group, members, row)
        group.deadline_ns = now_ns + self._params.group_deadline_ns
        self.by_id[group.id] = group
        if self._owes(group.id, group.state):
            self.say(group, group.state, now_ns)
        if group.state in RESTING and group.settled():
            self._retired.append(group)
            return
        self.active[group.id] = group
        self._desk.accounts.reserve(group.reserve_e6)
        group.wake_ns = now_ns
        for order in members:
            self._desk.touched[order.id] = order

    def _restore_unsent(self, index: int, row: GroupRow, now_ns: int) -> None:
        """End a group of which a row is left and no order: what was not written never left."""
        self._free_rows.append(index)
        if row.state in RESTING and not self._owes(row.id, GroupState(row.state)):
            return
        state = row.state if row.state in RESTING else int(GroupState.FLAT)
        GROUP_ROW.pack(self._table.buffer, row._replace(state=state, changed_ns=now_ns))
        self._table.write(index)
        self._desk.reports.say(
            ReportKind.GROUP,
            now_ns,
            group=row.id,
            amounts=(row.filled_low_e6, row.unwind_cost_e6, 0),
            group_state=state,
            legs=row.legs,
            module=row.module,
            cause=row.cause,
        )
