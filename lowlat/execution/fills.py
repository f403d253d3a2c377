"""Fills of our orders: each booked once, corrected, settled, or reversed.

Owned by the executor's listener, the only way to change positions and cash while trading. A trade
is named by its id, whoever tells of it first, so messages may come in any order and again. What
orders of an earlier life are made of is in rebase.py.
"""

from typing import Final

from lowlat.core.layout import OrderState, ReportKind
from lowlat.execution.desk import OrderDesk
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import (
    REST_DUST_E6,
    Fill,
    FillState,
    Heard,
    Order,
    advance_fill,
    hear,
)

__all__ = ["FillBook", "FillNews"]

_KIND_OF_FILL: Final = {
    FillState.MATCHED: ReportKind.FILL,
    FillState.MINED: ReportKind.MINED,
    FillState.CONFIRMED: ReportKind.CONFIRMED,
    FillState.FAILED: ReportKind.FAILED,
}


class FillNews:
    """What one message says about one trade's part in one of our orders."""

    __slots__ = ("cash_e6", "fee_e6", "final", "maker", "price_e4", "size_e6", "state", "trade_id")

    def __init__(
        self,
        trade_id: str,
        state: FillState,
        size_e6: int,
        cash_e6: int,
        fee_e6: int,
        price_e4: int,
        *,
        maker: bool = False,
        final: bool = True,
    ) -> None:
        self.trade_id = trade_id
        self.state = state
        self.size_e6 = size_e6
        self.cash_e6 = cash_e6
        self.fee_e6 = fee_e6
        self.price_e4 = price_e4
        self.maker = maker
        self.final = final
        """False for what an HTTP answer sums up: a trade message corrects its amounts."""


class FillBook:
    """Books what trades say into orders, positions and cash."""

    def __init__(self, desk: OrderDesk, meters: ExecutorMeters) -> None:
        """Book for the orders of ``desk``."""
        self.desk = desk
        self._accounts = desk.accounts
        self._reports = desk.reports
        self._meters = meters

    def take(self, order: Order, news: FillNews, now_ns: int) -> None:
        """Take in what a message says of a trade: book it once, settle or reverse it."""
        if order.sealed:
            return
        if order.filled_e6 and not order.fills:
            # Restored, and which trades its totals are made of is not listed yet: this may be one.
            order.lookup_ns = now_ns
            return
        fill = order.fills.get(news.trade_id)
        if fill is None:
            fill = self._book_new(order, news, now_ns)
        elif news.final and not fill.final:
            self._correct(order, fill, news, now_ns)
        steps, legal = advance_fill(fill, news.state)
        if not legal:
            self._meters.illegal.add(1)
        for step in steps:
            self._settle_fill(order, fill, step, now_ns)

    def trades_listed(self, order: Order) -> None:
        """Believe a whole listing of trades: of a finished order nothing else was matched."""
        if not order.open and order.claimed_e6 > order.matched_e6:
            order.claimed_e6 = order.matched_e6
            self.desk.settle(order)
            self._accounts.write_order(order)
            self._accounts.write_cash()

    def _book_new(self, order: Order, news: FillNews, now_ns: int) -> Fill:
        fill = Fill(
            news.trade_id,
            news.size_e6,
            news.cash_e6,
            news.fee_e6,
            news.price_e4,
            maker=news.maker,
            final=news.final,
        )
        order.fills[news.trade_id] = fill
        order.matched_e6 += fill.size_e6
        if not order.filled_ns:
            order.filled_ns = now_ns
            if order.sent_ns:
                self._meters.sent_to_filled.record(now_ns - order.sent_ns)
        before = order.state
        self.hear_matched(order)
        if not order.acked_ns:
            order.acked_ns = now_ns
        self._meters.fills.add(1)
        self.book(order, fill, 1, now_ns)
        if before == OrderState.UNKNOWN and order.state != before:
            self._reports.order(ReportKind.RESOLVED_UNKNOWN, order, now_ns)
        return fill

    def _correct(self, order: Order, fill: Fill, news: FillNews, now_ns: int) -> None:
        """Replace amounts that an answer summed up by the trade's own."""
        difference = (
            news.size_e6 - fill.size_e6,
            news.cash_e6 - fill.cash_e6,
            news.fee_e6 - fill.fee_e6,
        )
        fill.final = True
        fill.size_e6, fill.cash_e6, fill.fee_e6 = news.size_e6, news.cash_e6, news.fee_e6
        fill.price_e4, fill.maker = news.price_e4, news.maker
        if not any(difference):
            return
        order.matched_e6 += difference[0]
        delta = Fill(fill.trade_id, *difference, fill.price_e4, maker=fill.maker, final=True)
        self.book(order, delta, 1, now_ns)

    def _settle_fill(self, order: Order, fill: Fill, step: FillState, now_ns: int) -> None:
        if step == FillState.FAILED:
            self.book(order, fill, -1, now_ns)
            return
        if step == FillState.CONFIRMED:
            self._accounts.confirm(order, fill.size_e6)
        self.desk.settle(order)
        self._reports.fill(_KIND_OF_FILL[step], order, fill, now_ns)

    def book(self, order: Order, fill: Fill, sign: int, now_ns: int) -> None:
        """Book a fill's amounts, or (``sign`` -1) take them back; write the rows, then report."""
        self.desk.settle(order)
        self._accounts.book(
            order,
            sign * fill.size_e6,
            sign * fill.cash_e6,
            sign * fill.fee_e6,
        )
        # Once more: what was booked may have been the last that was awaited.
        self.desk.settle(order)
        kind = ReportKind.FILL if sign > 0 else ReportKind.FAILED
        self._reports.fill(kind, order, fill, now_ns)

    def hear_matched(self, order: Order) -> None:
        """Move the order's state by how much of it is matched now."""
        whole = order.immediate or order.matched_e6 + REST_DUST_E6 >= order.size_e6
        if not hear(order, Heard.FILL_ALL if whole else Heard.FILL_PART):
            self._meters.illegal.add(1)
