"""What became of orders, groups and the account, said on the stream of reports.

Used by the executor's desk and by whoever it told. A report follows the rows it is about, so what
a reader finds in the tables is never older than what it was told. Nothing here decides anything.
"""

from typing import Final

from lowlat.core.layout import (
    REPORT,
    SLOT_HEAD_BYTES,
    Action,
    OrderState,
    ReportKind,
    ReportRecord,
)
from lowlat.core.ports import StreamWriter
from lowlat.execution._desk import DeskCells
from lowlat.execution.accounts import Accounts
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import Fill, Order
from lowlat.execution.trade_ids import NO_TRADE, trade_digest, trade_text_of

__all__ = ["KIND_OF_STATE", "VENUE_REASON", "Reports"]

VENUE_REASON: Final = 1_000
"""A report's reason from here on is the venue's RejectCode plus this; below it is a Rule."""
KIND_OF_STATE: Final = {
    OrderState.LIVE: ReportKind.ACK,
    OrderState.MATCHED: ReportKind.ACK,
    OrderState.DELAYED: ReportKind.ACK,
    OrderState.UNMATCHED: ReportKind.REJECT,
    OrderState.REJECTED: ReportKind.REJECT,
    OrderState.CANCELED: ReportKind.CANCELED,
    OrderState.EXPIRED: ReportKind.CANCELED,
    OrderState.UNKNOWN: ReportKind.UNKNOWN,
}
"""How an order that is in a state is reported."""
_KIND: Final = REPORT.kind
_NO_ORDER: Final = bytes(32)
_NO_MODULE: Final = bytes(16)


class Reports:
    """The executor's end of the stream that risk, ledger and people read."""

    def __init__(
        self,
        stream: StreamWriter,
        cells: DeskCells,
        accounts: Accounts,
        meters: ExecutorMeters,
    ) -> None:
        """``cells`` names the reports, and keeps that one found no room (``ledger_gap``)."""
        self._stream = stream
        self._buffer = stream.buffer
        self._cells = cells
        self._accounts = accounts
        self._meters = meters

    def order(
        self,
        kind: ReportKind,
        order: Order,
        now_ns: int,
        *,
        reason: int = 0,
        amounts: tuple[int, int, int] = (0, 0, 0),
        fill: Fill | None = None,
        group_state: int = 0,
    ) -> None:
        """Publish a report about an order; its rows are already written."""
        trade_id, trade_text, price_e4 = NO_TRADE, b"", order.price_e4
        if fill is not None:
            trade_id, trade_text = trade_digest(fill.trade_id), trade_text_of(fill.trade_id)
            price_e4 = fill.price_e4
        self._pack(
            self._cells.new_id(),
            order.cause,
            order.id,
            order.group,
            now_ns,
            order.order_id,
            trade_id,
            price_e4,
            order.instrument,
            order.generation,
            reason,
            kind,
            order.state,
            *amounts,
            order.filled_e6,
            self._accounts.size_e6(order.instrument),
            self._accounts.cash_e6,
            order.reserved_e6,
            order.action,
            order.order_type,
            order.leg,
            order.legs,
            group_state,
            order.module,
            trade_text,
            order.row,
        )

    def state(self, order: Order, now_ns: int) -> None:
        """Say what state an order is in: to hear it twice changes nothing."""
        kind = KIND_OF_STATE[OrderState(order.state)]
        amounts = (max(0, order.size_e6 - order.filled_e6), 0, 0)
        self.order(kind, order, now_ns, reason=order.reason, amounts=amounts)

    def fill(self, kind: ReportKind, order: Order, fill: Fill, now_ns: int) -> None:
        """Say what became of a fill: booked, settled further, or reversed."""
        amounts = (fill.size_e6, fill.cash_e6, fill.fee_e6)
        self.order(kind, order, now_ns, amounts=amounts, fill=fill)

    def say(
        self,
        kind: ReportKind,
        now_ns: int,
        *,
        intent: int = 0,
        group: int = 0,
        reason: int = 0,
        instrument: int = 0,
        generation: int = 0,
        amounts: tuple[int, int, int] = (0, 0, 0),
        group_state: int = 0,
        legs: int = 0,
        module: bytes = _NO_MODULE,
        cause: int = 0,
        leg: int = 0,
        action: int = Action.BUY,
        text: bytes = b"",
    ) -> None:
        """Publish a report about no order: drops, groups, halts, epochs, corrections.

        ``text`` (40 bytes) travels where a fill has its trade id: the reason of a halt.
        """
        self._pack(
            self._cells.new_id(),
            cause,
            intent,
            group,
            now_ns,
            _NO_ORDER,
            NO_TRADE,
            0,
            instrument,
            generation,
            reason,
            kind,
            OrderState.NONE,
            *amounts,
            0,
            self._accounts.size_e6(instrument),
            self._accounts.cash_e6,
            0,
            action,
            0,
            leg,
            legs,
            group_state,
            module,
            text,
            0,
        )

    def _pack(self, *fields: int | bytes) -> None:
        REPORT.codec.pack_into(self._buffer, SLOT_HEAD_BYTES, *fields)
        self.publish()

    def publish(self) -> None:
        """Publish the report that lies in the stream's buffer."""
        if not self._stream.publish(_KIND):
            # The reserve is spent: rows stay true, the ledger refills from the venue.
            self._cells.ledger_gap = True
            self._meters.ledger_gap.add(1)


assert len(ReportRecord._fields) == 28, "order() and say() pack every field by hand"
