"""What became of the orders of modules: from the executor's reports, at the start from its tables.

Run by the signals engine, and only while a module at work asks for it (``Module.on_order``). The
tables are read where reports are missing: at the start, when such a module joins, after an overrun.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.core.layout import ORDER_ROW, POSITION_ROW, REPORT, OrderState, ReportKind
from lowlat.core.ports import EMPTY, OVERRUN, Cell, StreamReader, TableReader

__all__ = ["OwnOrder", "OwnOrders"]

_ABOUT_ORDERS: Final = frozenset(
    {
        ReportKind.SENDING,
        ReportKind.ACK,
        ReportKind.REJECT,
        ReportKind.FILL,
        ReportKind.CONFIRMED,
        ReportKind.FAILED,
        ReportKind.CANCELED,
        ReportKind.UNKNOWN,
        ReportKind.RESOLVED_UNKNOWN,
        ReportKind.DROPPED,
    }
)
_OPEN: Final = frozenset(
    {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
)


class OwnOrder(msgspec.Struct, frozen=True, gc=False):
    """One event of an order of the module that is told: its state after it, what it moved."""

    intent: int
    instrument: int
    generation: int
    action: int
    kind: int
    """A ReportKind; 0: how it stands, read from the table."""
    state: int
    """An OrderState. NONE with DROPPED: it never left."""
    price_e4: int
    size_e6: int
    """Of this event: the filled shares of a FILL, the order's shares of any other."""
    filled_e6: int
    cash_e6: int
    fee_e6: int
    group: int = 0

    @property
    def moved_e6(self) -> int:
        """Shares that this event moved: filled, or below 0 what a failed settlement took back."""
        if self.kind == ReportKind.FILL:
            return self.size_e6
        if self.kind == ReportKind.FAILED:
            return -self.size_e6
        return 0 if self.kind else self.filled_e6

    @property
    def open(self) -> bool:
        """Whether it may still be filled."""
        return self.state in _OPEN


class OwnOrders:
    """Reads the executor's output for whoever asks; ``tell(module, order, now_ns)`` is called."""

    def __init__(
        self,
        reports: StreamReader,
        orders: TableReader,
        positions: TableReader,
        tell: Callable[[bytes, OwnOrder, int], None],
        overruns: Cell,
    ) -> None:
        self._reports = reports
        self._orders = orders
        self._positions = positions
        self._tell = tell
        self._overruns = overruns
        self._shares: dict[int, int] = {}

    def position_e6(self, instrument: int) -> int:
        """Return the shares of a token that the account holds, whoever bought them."""
        return self._shares.get(instrument, 0)

    def skip(self) -> None:
        """Pass over what nobody asked for so far: the tables are newer."""
        while self._reports.poll() != EMPTY:
            pass

    def restart(self, now_ns: int) -> None:
        """Read the tables and tell every module its open orders. 1 ms: for starts only."""
        positions, orders = self._positions, self._orders
        self._shares.clear()
        for row in range(positions.rows):
            if positions.version(row) and positions.read(row) > 0:
                self._shares[row] = POSITION_ROW.unpack(positions.buffer).size_e6
        for row in range(orders.rows):
            if not orders.version(row) or orders.read(row) <= 0:
                continue
            order = ORDER_ROW.unpack(orders.buffer)
            if order.state in _OPEN:
                told = OwnOrder(
                    order.id,
                    order.instrument,
                    order.generation,
                    order.action,
                    0,
                    order.state,
                    order.price_e4,
                    order.size_e6,
                    order.filled_e6,
                    order.cash_e6,
                    order.fee_e6,
                    order.group,
                )
                self._tell(order.module, told, now_ns)

    def take(self, kind: int, now_ns: int, most: int) -> int:
        """Take reports, given the kind of the one just polled; return how many."""
        reports = self._reports
        done = 0
        while kind != EMPTY:
            done += 1
            if kind == OVERRUN:
                self._overruns.add(1)
                self.restart(now_ns)
            elif kind == REPORT.kind:
                self._take_report(now_ns)
            if done == most:
                break
            kind = reports.poll()
        return done

    def _take_report(self, now_ns: int) -> None:
        report = REPORT.unpack(self._reports.buffer)
        if report.kind not in _ABOUT_ORDERS:
            return
        self._shares[report.instrument] = report.position_e6
        told = OwnOrder(
            report.intent,
            report.instrument,
            report.generation,
            report.action,
            report.kind,
            report.order_state,
            report.price_e4,
            report.size_e6,
            report.filled_e6,
            report.cash_e6,
            report.fee_e6,
            report.group,
        )
        self._tell(report.module, told, now_ns)
