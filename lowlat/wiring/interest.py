"""What modules want, told by signals: which markets are followed, which templates are kept.

What they look at now goes through the one row of the table *interest* to the template pool of the
executor, what they want followed through the table *wants* to the metadata engine; so all three may
live in processes of their own. The board runs beside the signals engine, the nominator beside the
executor.
"""

from typing import TYPE_CHECKING, Final

from lowlat.core.interest import row_of_interest
from lowlat.core.layout import INTEREST_MARKETS, INTEREST_ROW, WANT_ROW, Action, InterestRow
from lowlat.core.ports import READ_BUSY, READ_NEVER, Cell, TableReader, TableWriter

if TYPE_CHECKING:
    from lowlat.execution.engine import ExecutorEngine
    from lowlat.signals.engine import SignalsEngine
    from lowlat.signals.module import Module

__all__ = ["InterestBoard", "Nominator"]

_LOOK_EVERY_NS: Final = 500_000_000
_NOMINATE_EVERY_NS: Final = 1_000_000_000
_NO_WISH: Final = WANT_ROW.unpack(bytearray(WANT_ROW.size_bytes))
_NOBODY: Final = (0,) * INTEREST_MARKETS


class InterestBoard:
    """Engine that writes which markets the modules may take, whenever that changed."""

    name: Final = "interest"

    def __init__(
        self, signals: "SignalsEngine", table: TableWriter, wants: TableWriter, left_out: Cell
    ) -> None:
        """``left_out`` counts the wishes that found no row in ``wants``."""
        self._signals = signals
        self._table = table
        self._wants = wants
        self._left_out = left_out
        self._asked: tuple[Module, ...] | None = None
        """The modules that were asked what they want."""
        self._due_ns = 0
        self._told: tuple[int, ...] | None = None

    def start(self) -> None:
        """Say nothing yet: the row of an earlier life stands until modules have looked."""

    def turn(self, now_ns: int) -> int:
        """Look every _LOOK_EVERY_NS, write what is new."""
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + _LOOK_EVERY_NS
        at_work = tuple(module for module, _ in self._signals.modules.values())
        if at_work != self._asked:
            self._asked = at_work
            self._tell_wants(now_ns)
        # One market alone never pays for both of its tokens, so nobody takes from it.
        markets = tuple(
            row.market for row in self._signals.interesting() if row.coin or row.neg_risk
        )[:INTEREST_MARKETS]
        if markets == self._told:
            return 0
        self._told = markets
        row = InterestRow(now_ns, len(markets), 0, (*markets, *_NOBODY[len(markets) :]))
        INTEREST_ROW.pack(self._table.buffer, row)
        self._table.write(0)
        return 1

    def _tell_wants(self, now_ns: int) -> None:
        """Write every wish to a row of its own, and that the rows behind them are nobody's."""
        table = self._wants
        wishes = sorted(self._signals.wants(), key=lambda wish: -wish[1].priority)
        self._left_out.set(max(len(wishes) - table.rows, 0))
        for row in range(table.rows):
            if row < len(wishes):
                WANT_ROW.pack(table.buffer, row_of_interest(*wishes[row], now_ns))
            elif table.read(row) > 0:
                WANT_ROW.pack(table.buffer, _NO_WISH)
            else:
                continue
            table.write(row)

    def close(self) -> None:
        """Leave the row: the next life of this process finds the pool as it was."""


class Nominator:
    """Engine that keeps both sides of what modules look at in the executor's pool."""

    name: Final = "nominator"

    def __init__(self, interest: TableReader, executor: "ExecutorEngine") -> None:
        self._interest = interest
        self._executor = executor
        self._due_ns = 0

    def start(self) -> None:
        """Nothing is known yet."""

    def turn(self, now_ns: int) -> int:
        """Name the hot set, every _NOMINATE_EVERY_NS: interest that is not renewed runs out."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _NOMINATE_EVERY_NS
            self.nominate()
        return 0

    def nominate(self) -> int:
        """Name what the row says; return how many tokens are kept signed."""
        if self._interest.read(0) in (READ_NEVER, READ_BUSY):
            return 0
        row: InterestRow = INTEREST_ROW.unpack(self._interest.buffer)
        nominated = 0
        for market in row.markets[: row.used]:
            for token in (2 * market, 2 * market + 1):
                if not self._executor.nominate(token, Action.BUY):
                    return nominated
                nominated += 1
        return nominated

    def close(self) -> None:
        """Nothing is held."""
