# Types of the executor's reports as risk takes them; behaviour is documented in _reports.pyx.

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Self, final

from lowlat.core.ports import StreamReader, TableReader
from lowlat.risk._exposure import ExposureCells
from lowlat.risk._orders import OrderCells

__all__ = ["ReportReader"]

@final
class ReportReader:
    cash_version: int
    plain: bool
    def __new__(
        cls,
        reports: StreamReader,
        cash: TableReader,
        own: OrderCells,
        exposure: ExposureCells,
        *,
        terminal: AbstractSet[int],
        orders_only: AbstractSet[int],
        take_report: Callable[[int], None],
        read_cash: Callable[[], None],
        lost: Callable[[int], None],
    ) -> Self: ...
    def take(self, now_ns: int) -> int: ...
