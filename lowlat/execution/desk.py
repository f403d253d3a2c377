"""All orders of the account: what is said about them becomes rows first, then reports.

Owned by the executor, the only caller. Whoever learns something about an order (HTTP answer, user
channel, look-up, reconciliation) calls ``hear`` and ``fill``; both are idempotent and may come in
any order. Orders that moved are collected in ``touched`` for the groups.

An order's row stays until nothing more is expected of it and the row is needed, the oldest first.
"""

from collections import deque
from typing import Final

from lowlat.core.layout import (
    ORDER_ROW,
    REPORT,
    SLOT_HEAD_BYTES,
    Action,
    OrderState,
    ReportKind,
    ReportRecord,
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
    Fill,
    FillState,
    Heard,
    Order,
    advance_fill,
    blank_row,
    hear,
)
from lowlat.execution.strangers import Strangers
from lowlat.execution.told import Amounts, Told, minus
from lowlat.execution.trade_ids import trade_digest, trade_text_of
from lowlat.venues.polymarket.orders import OrderTemplate

__all__ = ["NO_TRADE", "VENUE_REASON", "FillNews", "OrderDesk"]

VENUE_REASON: Final = 1_000
"""A report's reason from here on is the venue's RejectCode plus this; below it is a Rule."""
NO_TRADE: Final = bytes(16)
_REPORT: Final = REPORT.kind
_NO_ORDER: Final = bytes(32)
_NO_MODULE: Final = bytes(16)
_KIND_OF_FILL: Final = {
    FillState.MATCHED: ReportKind.FILL,
    FillState.MINED: ReportKind.MINED,
    FillState.CONFIRMED: ReportKind.CONFIRMED,
    FillState.FAILED: ReportKind.FAILED,
}
_KIND_OF_STATE: Final = {
    OrderState.LIVE: ReportKind.ACK,
    OrderState.MATCHED: ReportKind.ACK,
    OrderState.DELAYED: ReportKind.ACK,
    OrderState.UNMATCHED: ReportKind.REJECT,
    OrderState.REJECTED: ReportKind.REJECT,
    OrderState.CANCELED: ReportKind.CANCELED,
    OrderState.EXPIRED: ReportKind.CANCELED,
    OrderState.UNKNOWN: ReportKind.UNKNOWN,
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


class OrderDesk(DeskCells):
    """The account's orders by id, and the only way to change them."""

    def __init__(
        self,
        accounts_tables: tuple[TableWriter, TableWriter, TableWriter],
        reports: StreamWriter,
        meters: ExecutorMeters,
    ) -> None:
        """``accounts_tables``: orders, positions, cash."""
        self._reports = reports
        self._report_buffer = reports.buffer
        self._orders_table = accounts_tables[0]
        self._order_buffer = accounts_tables[0].buffer
        self.announcer = Announcer(self._order_buffer, self._report_buffer)
        self._meters = meters
        self.bind(record_id(Writer.EXECUTOR, reports.epoch, 0), self._orders_table.rows)
        self.accounts = Accounts(*accounts_tables, next_report=self._next_report)
        self.touched: dict[int, Order] = {}
        self._retired: deque[tuple[int, Order]] = deque()
        """Finished orders and where the reports stood by then, oldest first."""
        self.strangers = Strangers(meters.foreign)
        """Orders that are named and have no row."""
        self.bookings = 0
        """Grows with every change of positions and cash."""
        # Not what is free now: a start onto a half-full ring would halve the reserve for good.
        self.slots = reports.slot_count

    # --------------------------------------------------------------------------- names, rows
    def _next_report(self) -> tuple[int, int]:
        return self.new_id(), self._reports.cursor

    def room(self) -> bool:
        """Whether new orders may start: reports are less than half full."""
        return self._reports.free() * 2 > self.slots

    def rows_free(self, count: int) -> bool:
        """Whether that many orders get a row; the oldest finished orders give up theirs.

        One whose reports wait for the ledger keeps its row: the ledger reads it beside them, and
        could never book a fill of an order that it has not seen.
        """
        if self.rows_ready >= count:
            return True
        reports, retired = self._reports, self._retired
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
        if not self._reports.publish(_REPORT):
            self.ledger_gap = True
            self._meters.ledger_gap.add(1)

    def announced(self, row: int) -> Order:
        """Return the order that was announced last, before anything else is written."""
        return Order.of_row(row, self._order_buffer)

    def readmit(self, order: Order) -> None:
        """Take a restored order in; what it holds is counted by Accounts.restore or anew here."""
        self.take_in(order)
        self.accounts.hold(order)
        if order.done:
            self._retired.append((self._reports.cursor, order))

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
        self._settle(order)
        self.accounts.write_order(order)
        self.accounts.write_cash()
        if order.state != before:
            if kind is None:
                kind = _KIND_OF_STATE[OrderState(order.state)]
                if before == OrderState.UNKNOWN:
                    kind = ReportKind.RESOLVED_UNKNOWN
            self._count(kind)
            self.report(kind, order, now_ns, reason=reason)

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

    def fill(self, order: Order, news: FillNews, now_ns: int) -> None:
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

    def rebase(
        self,
        order: Order,
        listed: list[FillNews],
        now_ns: int,
        told: Told | None = None,
        *,
        believe: bool = False,
    ) -> bool:
        """Give a restored order its fills back from the venue's listing; False when it lists less.

        What we booked before the restart is in the order's totals; only the difference is booked:
        trade by trade where ``told`` says what was told of each, else by the last one's name.
        ``believe``: the listing had time enough, what it lacks never was.
        """
        kept = [news for news in listed if news.state != FillState.FAILED]
        size_e6 = sum(news.size_e6 for news in kept)
        if size_e6 < order.filled_e6 and len(kept) == len(listed) and not believe:
            return False
        if order.fees is None:
            _keep_fees(order, listed, told)
        before, bookings = order.state, self.bookings
        order.matched_e6 = sum(news.size_e6 for news in listed)
        for news in listed:
            fill = order.fills[news.trade_id] = _fill_of(news, _amounts(news))
            fill.state = news.state
        whole = order.immediate or order.matched_e6 + REST_DUST_E6 >= order.size_e6
        if not hear(order, Heard.FILL_ALL if whole else Heard.FILL_PART):
            self._meters.illegal.add(1)
        if told is None:
            amounts = (size_e6, sum(n.cash_e6 for n in kept), sum(n.fee_e6 for n in kept))
            booked = (order.filled_e6, order.cash_e6, order.fee_e6)
            self._book_rest(order, listed[-1], amounts, booked, now_ns)
        else:
            for news in listed:
                had = told.of(trade_digest(news.trade_id))
                if news.state != FillState.FAILED:
                    self._book_rest(order, news, _amounts(news), had, now_ns)
                elif any(had):
                    self._book(order, _fill_of(news, had), -1, now_ns)
        if order.state != before and self.bookings == bookings:
            self.report_state(order, now_ns)
        self._confirm_listed(order, kept, now_ns, told)
        self._settle(order)
        self.accounts.write_order(order)
        return True

    def _book_rest(
        self, order: Order, news: FillNews, amounts: Amounts, booked: Amounts, now_ns: int
    ) -> None:
        rest = minus(amounts, booked)
        if any(rest):
            self._book(order, _fill_of(news, rest), 1, now_ns)

    def _confirm_listed(
        self, order: Order, kept: list[FillNews], now_ns: int, told: Told | None
    ) -> None:
        """Count what the listing says is settled, and report what of it is news."""
        final = [news for news in kept if news.state == FillState.CONFIRMED]
        change_e6 = sum(news.size_e6 for news in final) - order.confirmed_e6
        if not change_e6:
            return
        self.accounts.confirm(order, change_e6)
        self._settle(order)
        if told is not None:
            final = [each for each in final if trade_digest(each.trade_id) not in told.confirmed]
        for news in final:
            self._report_fill(ReportKind.CONFIRMED, order, order.fills[news.trade_id], now_ns)

    def trades_listed(self, order: Order) -> None:
        """Believe a whole listing of trades: of a finished order nothing else was matched."""
        if not order.open and order.claimed_e6 > order.matched_e6:
            order.claimed_e6 = order.matched_e6
            self._settle(order)
            self.accounts.write_order(order)
            self.accounts.write_cash()

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
        whole = order.immediate or order.matched_e6 + REST_DUST_E6 >= order.size_e6
        if not hear(order, Heard.FILL_ALL if whole else Heard.FILL_PART):
            self._meters.illegal.add(1)
        if not order.acked_ns:
            order.acked_ns = now_ns
        self._meters.fills.add(1)
        self._book(order, fill, 1, now_ns)
        if before == OrderState.UNKNOWN and order.state != before:
            self.report(ReportKind.RESOLVED_UNKNOWN, order, now_ns)
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
        self._book(order, delta, 1, now_ns)

    def _settle_fill(self, order: Order, fill: Fill, step: FillState, now_ns: int) -> None:
        if step == FillState.FAILED:
            self._book(order, fill, -1, now_ns)
            return
        if step == FillState.CONFIRMED:
            self.accounts.confirm(order, fill.size_e6)
        self._settle(order)
        self._report_fill(_KIND_OF_FILL[step], order, fill, now_ns)

    def _book(self, order: Order, fill: Fill, sign: int, now_ns: int) -> None:
        self._settle(order)
        self.bookings += 1
        self.accounts.book(
            order,
            sign * fill.size_e6,
            sign * fill.cash_e6,
            sign * fill.fee_e6,
        )
        # Once more: what was booked may have been the last that was awaited.
        self._settle(order)
        kind = ReportKind.FILL if sign > 0 else ReportKind.FAILED
        self._report_fill(kind, order, fill, now_ns)

    def _settle(self, order: Order) -> None:
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
            self._retired.append((self._reports.cursor, order))

    # --------------------------------------------------------------------------- reports
    def report(
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
        self._publish(
            self.new_id(),
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
            self.accounts.size_e6(order.instrument),
            self.accounts.cash_e6,
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

    def report_state(self, order: Order, now_ns: int) -> None:
        """Say what state an order is in: to hear it twice changes nothing."""
        kind = _KIND_OF_STATE[OrderState(order.state)]
        amounts = (max(0, order.size_e6 - order.filled_e6), 0, 0)
        self.report(kind, order, now_ns, reason=order.reason, amounts=amounts)

    def _report_fill(self, kind: ReportKind, order: Order, fill: Fill, now_ns: int) -> None:
        amounts = (fill.size_e6, fill.cash_e6, fill.fee_e6)
        self.report(kind, order, now_ns, amounts=amounts, fill=fill)

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
        self._publish(
            self.new_id(),
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
            self.accounts.size_e6(instrument),
            self.accounts.cash_e6,
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

    def _publish(self, *fields: int | bytes) -> None:
        REPORT.codec.pack_into(self._report_buffer, SLOT_HEAD_BYTES, *fields)
        if not self._reports.publish(REPORT.kind):
            # The reserve is spent: rows stay true, the ledger refills from the venue.
            self.ledger_gap = True
            self._meters.ledger_gap.add(1)


def _keep_fees(order: Order, listed: list[FillNews], told: Told | None) -> None:
    """Give the fills of an order whose market nobody lists any more the fees booked of it.

    Its schedule is unknown now, and unknown is not zero: what was booked when it was known stands,
    trade by trade where ``told`` says so, else by size.
    """
    fee_e6, size_e6 = order.fee_e6, order.filled_e6
    for news in listed:
        if told is not None:
            news.fee_e6 = told.of(trade_digest(news.trade_id))[2]
        elif news.state != FillState.FAILED and size_e6:
            part_e6 = min(news.size_e6, size_e6)
            news.fee_e6 = fee_e6 * part_e6 // size_e6
            fee_e6 -= news.fee_e6
            size_e6 -= part_e6


def _amounts(news: FillNews) -> Amounts:
    return news.size_e6, news.cash_e6, news.fee_e6


def _fill_of(news: FillNews, amounts: Amounts) -> Fill:
    return Fill(news.trade_id, *amounts, news.price_e4, maker=news.maker, final=True)


def _matched(order: Order, claimed_e6: int) -> tuple[Heard, int]:
    """Say what "matched" means for the order, and how much of it."""
    matched_e6 = max(claimed_e6, order.claimed_e6, order.matched_e6)
    if not order.immediate and matched_e6 + REST_DUST_E6 < order.size_e6:
        # Partly matched with the rest resting is said with the same word. Source: 5.1.
        return Heard.LIVE, claimed_e6
    # Matched, nobody says how much: all of it is awaited until the trades are listed.
    return Heard.MATCHED, claimed_e6 if matched_e6 else order.size_e6


assert len(ReportRecord._fields) == 28, "report() and say() pack every field by hand"
assert OrderState.REJECTED in TERMINAL
