"""What reports have said of one order: shares, cash and fee by trade, and how it stands. Pure."""

from typing import Final

from lowlat.core.layout import OrderState, ReportKind, ReportRecord

__all__ = ["Amounts", "Told", "minus", "plus"]

Amounts = tuple[int, int, int]
"""Shares, cash and fee."""
_NONE: Final = (0, 0, 0)
_MOVES: Final = {ReportKind.FILL: 1, ReportKind.FAILED: -1}


class Told:
    """What reports said of one order."""

    __slots__ = ("amounts", "confirmed", "filled_e6", "state", "trades", "whole")

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        """Whether its first report is among them, so that sums are the order's."""
        self.state = int(OrderState.NONE)
        self.filled_e6 = 0
        """By the newest report."""
        self.amounts: Amounts = _NONE
        """Shares, cash and fee of all fills, less those that failed."""
        self.trades: dict[bytes, Amounts] = {}
        """The same by trade."""
        self.confirmed: set[bytes] = set()

    def take(self, report: ReportRecord) -> None:
        """Take the next report about the order."""
        self.state, self.filled_e6 = report.order_state, report.filled_e6
        sign = _MOVES.get(ReportKind(report.kind), 0)
        if sign:
            moved = (sign * report.size_e6, sign * report.cash_e6, sign * report.fee_e6)
            self.add(report.trade_id, moved)
        elif report.kind == ReportKind.CONFIRMED:
            self.confirmed.add(report.trade_id)

    def add(self, trade: bytes, moved: Amounts) -> None:
        """Count what a report says was moved, negative amounts for what failed."""
        self.amounts = plus(self.amounts, moved)
        self.trades[trade] = plus(self.of(trade), moved)

    def of(self, trade: bytes) -> Amounts:
        """Return what was told of a trade."""
        return self.trades.get(trade, _NONE)

    @property
    def confirmed_e6(self) -> int:
        """Shares whose settlement was told."""
        return sum(self.of(each)[0] for each in self.confirmed)


def plus(one: Amounts, other: Amounts) -> Amounts:
    """Add amounts."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def minus(one: Amounts, other: Amounts) -> Amounts:
    """Return the difference of amounts."""
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]
