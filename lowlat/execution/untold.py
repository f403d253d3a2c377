"""What reports have said so far, and what they still owe: read back from their ring at a restart.

Used by the reconciler. A row is written before its report, so a death between the two leaves a
fill, a state or a group's end that the tables know and nobody else heard of: the ledger would miss
the fill, risk would keep the order's cash. The ring outlives its writer as the tables do. What its
last reports say of an order is held against the order's row, and the rest is reported: a state at
once, a fill once the venue has listed it by its trade's name. A report that is in the ring is never
made again: its gates see to it that everybody reads it.
"""

from collections.abc import Iterable
from typing import Final

from lowlat.core.layout import REPORT, GroupState, OrderState, ReportKind, ReportRecord
from lowlat.core.ports import EMPTY, StreamReader
from lowlat.execution.answers import VenueListener
from lowlat.execution.desk import OrderDesk
from lowlat.execution.fills import FillNews
from lowlat.execution.orders import Fill, FillState, Order
from lowlat.execution.told import Amounts, Told, minus
from lowlat.execution.trade_ids import NO_TRADE, trade_digest
from lowlat.venues.polymarket.account import TradeUpdate

__all__ = ["Untold"]

_NO_ORDER: Final = bytes(32)
_REPORT: Final = REPORT.kind


class Untold:
    """Finds what reports owe when a life begins over the tables of an earlier one, and pays it."""

    def __init__(self, desk: OrderDesk, told: StreamReader | None) -> None:
        """``told``: the end of our own reports, as an earlier life left them; read once."""
        self._desk = desk
        self._ring = told
        self._told: dict[bytes, Told] = {}
        self.groups: dict[int, int] = {}
        """State of each group by the newest report on it."""

    def begin(self, orders: Iterable[Order], now_ns: int) -> None:
        """Hold restored orders against the ring; report states, keep the rest for ``settle``.

        One that is still SENDING is left out: it becomes UNKNOWN, which is a report. One of which
        the ring has no report is older than all it has.
        """
        told = self._read()
        for order in orders:
            said = told.get(order.order_id)
            if said is None:
                continue
            self._told[order.order_id] = said
            if order.state not in (said.state, OrderState.SENDING):
                self._desk.reports.state(order, now_ns)

    def orders(self) -> list[Order]:
        """Return the orders of which something is owed, until ``settle``."""
        known = self._desk.by_order_id
        found = ((known.get(order_id), told) for order_id, told in self._told.items())
        return [order for order, told in found if order is not None and _owes(order, told)]

    def settle(self, trades: Iterable[TradeUpdate], listener: VenueListener, now_ns: int) -> None:
        """Report what is owed, by the names that the venue's trades have; before new bookings."""
        orders = self.orders()
        if not orders:
            return
        by_order: dict[bytes, list[FillNews]] = {each.order_id: [] for each in orders}
        for trade in trades:
            for order in orders:
                by_order[order.order_id] += listener.listed_news(trade, [order])
        for order in orders:
            listed = by_order[order.order_id]
            told = self._told[order.order_id]
            self._pay_fill(order, told, listed, now_ns)
            self._pay_confirmed(order, told, listed, now_ns)

    def told_of(self, order: Order) -> Told | None:
        """Return what was told of an order, if that is all there is to tell."""
        told = self._told.get(order.order_id)
        return told if told is not None and told.amounts == _booked(order) else None

    def end(self) -> None:
        """Forget what was told: from here on every booking is reported as it is made."""
        self._told.clear()
        self.groups.clear()

    def _pay_fill(self, order: Order, told: Told, listed: list[FillNews], now_ns: int) -> None:
        """Report the one booking that can be missing: each is reported before the next begins."""
        size_e6 = order.filled_e6 - told.filled_e6
        news = _trade_of(size_e6, told, listed)
        if told.whole:
            moved = minus(_booked(order), told.amounts)
        elif news is not None and size_e6:
            # What was told before is not all there: the trade's own amounts.
            sign = 1 if size_e6 > 0 else -1
            moved = (size_e6, sign * news.cash_e6, sign * news.fee_e6)
        else:
            moved = (size_e6, 0, 0)
        if not any(moved):
            return
        failed = size_e6 < 0 and news is not None
        kind = ReportKind.FAILED if failed else ReportKind.FILL
        amounts = minus((0, 0, 0), moved) if failed else moved
        self._desk.reports.order(kind, order, now_ns, amounts=amounts, fill=_fill_of(news))
        told.add(NO_TRADE if news is None else trade_digest(news.trade_id), moved)

    def _pay_confirmed(self, order: Order, told: Told, listed: list[FillNews], now_ns: int) -> None:
        if not told.whole or order.confirmed_e6 <= told.confirmed_e6:
            return
        for news in listed:
            trade = trade_digest(news.trade_id)
            if news.state == FillState.CONFIRMED and trade not in told.confirmed:
                told.confirmed.add(trade)
                amounts = (news.size_e6, news.cash_e6, news.fee_e6)
                kind, fill = ReportKind.CONFIRMED, _fill_of(news)
                self._desk.reports.order(kind, order, now_ns, amounts=amounts, fill=fill)

    def _read(self) -> dict[bytes, Told]:
        found: dict[bytes, Told] = {}
        ring, self._ring = self._ring, None
        kind = EMPTY if ring is None else ring.poll()
        while ring is not None and kind != EMPTY:
            if kind == _REPORT:
                report: ReportRecord = REPORT.unpack(ring.buffer)
                if report.kind == ReportKind.GROUP:
                    self.groups[report.group] = report.group_state
                elif report.order_id != _NO_ORDER:
                    told = found.get(report.order_id)
                    if told is None:
                        whole = report.kind == ReportKind.SENDING
                        told = found[report.order_id] = Told(whole=whole)
                    told.take(report)
            kind = ring.poll()
        return found

    def owes_group(self, group: int, state: GroupState) -> bool:
        """Whether a group's state was written and not told, as far as the ring goes back."""
        told = self.groups.get(group)
        return told is not None and told != state


def _owes(order: Order, told: Told) -> bool:
    """Whether an order's row has something that no report said."""
    if order.filled_e6 != told.filled_e6:
        return True
    return told.whole and (told.amounts != _booked(order) or order.confirmed_e6 > told.confirmed_e6)


def _trade_of(size_e6: int, told: Told, listed: list[FillNews]) -> FillNews | None:
    """Return the listed trade whose shares were not told; None when that cannot be said.

    Negative shares are those of a trade that failed, none are a correction of the only one.
    """

    def told_e6(news: FillNews) -> int:
        return told.of(trade_digest(news.trade_id))[0]

    if not size_e6:
        known = [each for each in listed if told_e6(each)]
        return known[0] if len(known) == 1 else None
    failed = size_e6 < 0
    fitting = [
        each
        for each in listed
        if each.size_e6 == abs(size_e6)
        and bool(told_e6(each)) == failed
        and (each.state == FillState.FAILED or not failed)
    ]
    # One that has failed meanwhile can be the one, but only if no other is.
    fitting.sort(key=lambda each: each.state == FillState.FAILED)
    return fitting[0] if fitting else None


def _booked(order: Order) -> Amounts:
    return order.filled_e6, order.cash_e6, order.fee_e6


def _fill_of(news: FillNews | None) -> Fill | None:
    """Return what names the trade in a report; None when nobody knows which it was."""
    if news is None:
        return None
    return Fill(news.trade_id, 0, 0, 0, news.price_e4, maker=news.maker, final=True)
