"""The hot set of the template pool: what modules look at, told by signals, kept by the executor.

They meet in the one row of the table *interest*, so they may live in two processes. The board runs
beside the signals engine, the nominator beside the executor.
"""

from typing import TYPE_CHECKING, Final

from lowlat.core.layout import INTEREST_MARKETS, INTEREST_ROW, Action, InterestRow
from lowlat.core.ports import READ_BUSY, READ_NEVER, TableReader, TableWriter

if TYPE_CHECKING:
    from lowlat.execution.engine import ExecutorEngine
    from lowlat.signals.engine import SignalsEngine

__all__ = ["InterestBoard", "Nominator"]

_LOOK_EVERY_NS: Final = 500_000_000
_NOMINATE_EVERY_NS: Final = 1_000_000_000
_NOBODY: Final = (0,) * INTEREST_MARKETS


class InterestBoard:
    """Engine that writes which markets the modules may take, whenever that changed."""

    name: Final = "interest"

    def __init__(self, signals: "SignalsEngine", table: TableWriter) -> None:
        self._signals = signals
        self._table = table
        self._due_ns = 0
        self._told: tuple[int, ...] | None = None

    def start(self) -> None:
        """Say nothing yet: the row of an earlier life stands until modules have looked."""

    def turn(self, now_ns: int) -> int:
        """Look every _LOOK_EVERY_NS, write what is new."""
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + _LOOK_EVERY_NS
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
