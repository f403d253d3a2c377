"""All orders of the account: what is said about them becomes rows first, then reports.

Owned by the executor, the only caller. Whoever learns something about an order's state (HTTP
answer, user channel, look-up, reconciliation) calls ``hear``, and about a trade ``FillBook.take``
(fills.py); both are idempotent and may come in any order. Orders that moved are collected in
``touched`` for the groups. What is published is put together in reports.py.

An order's row stays until nothing more is expected of it and the row is needed, the oldest first.
"""

from collections import deque

from lowlat.core.layout import (
    ORDER_ROW,
    SLOT_HEAD_BYTES,
    OrderState,
    ReportKind,
    Writer,
    record_id,
)
from lowlat.core.ports import StreamWriter, TableWriter
from lowlat.execution._desk import DeskCells
from lowlat.execution._order import Announcer, IntentView
from lowlat.execution.accounts import Accounts
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import (
    REST_DUST_E6,
    TERMINAL,
    Heard,
    Order,
    blank_row,
    hear,
)
from lowlat.execution.reports import KIND_OF_STATE, Reports
from lowlat.execution.strangers import Strangers
from lowlat.venues.polymarket.orders import OrderTemplate

__all__ = ["OrderDesk"]


class OrderDesk(DeskCells):
    """The account's orders by id, and the only way to change them."""

    def __init__(
        self,
        accounts_tables: tuple[TableWriter, TableWriter, TableWriter],
        reports: StreamWriter,
        meters: ExecutorMeters,
    ) -> None:
        """``accounts_tables``: orders, positions, cash."""
        self._stream = reports
        self._orders_table = accounts_tables[0]
        self._order_buffer = accounts_tables[0].buffer
        self.announcer = Announcer(self._order_buffer, reports.buffer)
        self._meters = meters
        self.bind(record_id(Writer.EXECUTOR, reports.epoch, 0), self._orders_table.rows)
        self.accounts = Accounts(*accounts_tables, next_report=self._next_report)
        self.reports = Reports(reports, self, self.accounts, meters)
        self.touched: dict[int, Order] = {}
        self._retired: deque[tuple[int, Order]] = deque()
        """Finished orders and where the reports stood by then, oldest first."""
        self.strangers = Strangers(meters.foreign)
        """Orders that are named and have no row."""
        # Not what is free now: a start onto a half-full ring would halve the reserve for good.
        self.slots = reports.slot_count

    # --------------------------------------------------------------------------- names, rows
    def _next_report(self) -> tuple[int, int]:
        return self.new_id(), self._stream.cursor

    def room(self) -> bool:
        """Whether new orders may start: reports are less than half full."""
        return self._stream.free() * 2 > self.slots

    def rows_free(self, count: int) -> bool:
        """Whether that many orders get a row; the oldest finished orders give up theirs.

        One whose reports wait for the ledger keeps its row: the ledger reads it beside them, and
        could never book a fill of an order that it has not seen.
        """
        if self.rows_ready >= count:
            return True
        reports, retired = self._stream, self._retired
        waiting = reports.slot_count - reports.free()
        read_to = reports.cursor - waiting
        while self.rows_ready < count and retired and (retired[0][0] < read_to or not waiting):
            order = retired.popleft()[1]
            # Not one that a late fill brought back, nor one that was forgotten already.
            if order.done and self.by_id.get(order.id) is order:
                self.drop(order)
        return self.rows_ready >= count

    def take_row(self) -> int:
        """Return a free row, -1 when there is none."""
        return self.next_row() if self.rows_ready or self.rows_free(1) else -1

    def drop(self, order: Order) -> None:
        """Forget an order nothing more is expected of; its row is another's."""
        self.give_row(order.row)
        del self.by_id[order.id]
        del self.by_order_id[order.order_id]
        self.touched.pop(order.id, None)
        self.strangers.forget((order.order_id,))

    def add(self, order: Order) -> None:
        """Take an order in: indexes and the cash it holds. The caller writes row and report."""
        assert order.order_id not in self.by_order_id, "an order id is used once"
        self.readmit(order)

    def announce(
        self,
        row: int,
        intent: IntentView,
        template: OrderTemplate,
        token_id: bytes,
        hold_e6: int,
        now_ns: int,
        retries: int,
    ) -> None:
        """Write a new order's row and say SENDING: from here on it may exist at the venue. Hot.

        The caller adds the Order itself (``announced``) behind the send: the row outlives us.
        """
        accounts, order = self.accounts, template.order
        self.announcer.fill(
            intent,
            template.order_id,
            token_id,
            order.maker_e6,
            order.taker_e6,
            hold_e6,
            order.timestamp_ms,
            order.salt,
            retries,
            row,
            self.new_id(),
            now_ns,
            accounts.size_e6(intent.instrument),
            accounts.cash_e6,
        )
        self._orders_table.write(row)
        self.reports.publish()

    def announced(self, row: int) -> Order:
        """Return the order that was announced last, before anything else is written."""
        return Order.of_row(row, self._order_buffer)

    def readmit(self, order: Order) -> None:
        """Take a restored order in; what it holds is counted by Accounts.restore or anew here."""
        self.take_in(order)
        self.accounts.hold(order)
        if order.done:
            self._retired.append((self._stream.cursor, order))

    def restore_rows(self) -> list[Order]:
        """Read the orders table back after a restart; the caller adds what it wants to keep."""
        table, orders, free = self._orders_table, [], []
        for row in range(table.rows):
            if not table.read(row):
                free.append(row)
                continue
            fields = ORDER_ROW.codec.unpack_from(table.buffer, SLOT_HEAD_BYTES)
            order = Order(row, fields)
            if order.state == OrderState.NONE:
                free.append(row)
            else:
                orders.append(order)
        self.free_rows(free)
        return orders

    # --------------------------------------------------------------------------- state
    def hear(
        self,
        order: Order,
        heard: Heard,
        now_ns: int,
        *,
        reason: int = 0,
        claimed_e6: int = 0,
        kind: ReportKind | None = None,
    ) -> None:
        """Take in what a message says of an order's state and of how much was matched.

        ``kind`` names the report when it is not the state's usual one.
        """
        before, claimed_before = order.state, order.claimed_e6
        if heard == Heard.MATCHED:
            heard, claimed_e6 = _matched(order, claimed_e6)
        if not hear(order, heard):
            self._meters.illegal.add(1)
        order.claimed_e6 = max(claimed_before, claimed_e6)
        if order.state == before and order.claimed_e6 == claimed_before:
            return
        if reason:
            order.reason = reason
        if not order.acked_ns and order.state not in (OrderState.SENDING, OrderState.UNKNOWN):
            order.acked_ns = now_ns
            self._meters.sent_to_acked.record(now_ns - order.sent_ns)
        self.settle(order)
        self.accounts.write_order(order)
        self.accounts.write_cash()
        if order.state != before:
            if kind is None:
                kind = KIND_OF_STATE[OrderState(order.state)]
                if before == OrderState.UNKNOWN:
                    kind = ReportKind.RESOLVED_UNKNOWN
            self._count(kind)
            self.reports.order(kind, order, now_ns, reason=reason)

    def wipe(self, orders: list[Order]) -> None:
        """Empty the rows of a start that was cut short; nothing was ever sent by it."""
        blank = Order(0, blank_row())
        for order in orders:
            blank.row = order.row
            self.accounts.write_order(blank)
            self.give_row(order.row)
        self.accounts.wipe()

    def _count(self, kind: ReportKind) -> None:
        if kind == ReportKind.REJECT:
            self._meters.rejects.add(1)
        elif kind == ReportKind.UNKNOWN:
            self._meters.unknown.add(1)

    def settle(self, order: Order) -> None:
        """Bring what the order holds and the indexes in line with its state."""
        self.accounts.hold(order)
        self.touched[order.id] = order
        if order.open:
            self.open.add(order)
        else:
            self.open.discard(order)
        self._retire(order)

    def _retire(self, order: Order) -> None:
        if not order.done:
            self.unsettled[order.id] = order
        elif self.unsettled.pop(order.id, None) is not None:
            self._retired.append((self._stream.cursor, order))


def _matched(order: Order, claimed_e6: int) -> tuple[Heard, int]:
    """Say what "matched" means for the order, and how much of it."""
    matched_e6 = max(claimed_e6, order.claimed_e6, order.matched_e6)
    if not order.immediate and matched_e6 + REST_DUST_E6 < order.size_e6:
        # Partly matched with the rest resting is said with the same word. Source: 5.1.
        return Heard.LIVE, claimed_e6
    # Matched, nobody says how much: all of it is awaited until the trades are listed.
    return Heard.MATCHED, claimed_e6 if matched_e6 else order.size_e6


assert OrderState.REJECTED in TERMINAL
