"""Fills of orders of an earlier life, given back from the venue's listing of trades.

Used by the executor's listener and look-ups. An order's row keeps totals, not which trades they are
made of: the listing names those, and only what it says beyond the totals is booked.
"""

from lowlat.core.layout import ReportKind
from lowlat.execution.fills import FillBook, FillNews
from lowlat.execution.orders import Fill, FillState, Order
from lowlat.execution.told import Amounts, Told, minus
from lowlat.execution.trade_ids import trade_digest

__all__ = ["rebase"]


def rebase(
    book: FillBook,
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
    desk = book.desk
    before, bookings = order.state, desk.accounts.bookings
    order.matched_e6 = sum(news.size_e6 for news in listed)
    for news in listed:
        fill = order.fills[news.trade_id] = _fill_of(news, _amounts(news))
        fill.state = news.state
    book.hear_matched(order)
    if told is None:
        amounts = (size_e6, sum(n.cash_e6 for n in kept), sum(n.fee_e6 for n in kept))
        booked = (order.filled_e6, order.cash_e6, order.fee_e6)
        _book_rest(book, order, listed[-1], amounts, booked, now_ns)
    else:
        for news in listed:
            had = told.of(trade_digest(news.trade_id))
            if news.state != FillState.FAILED:
                _book_rest(book, order, news, _amounts(news), had, now_ns)
            elif any(had):
                book.book(order, _fill_of(news, had), -1, now_ns)
    if order.state != before and desk.accounts.bookings == bookings:
        desk.reports.state(order, now_ns)
    _confirm_listed(book, order, kept, now_ns, told)
    desk.settle(order)
    desk.accounts.write_order(order)
    return True


def _book_rest(
    book: FillBook, order: Order, news: FillNews, amounts: Amounts, booked: Amounts, now_ns: int
) -> None:
    rest = minus(amounts, booked)
    if any(rest):
        book.book(order, _fill_of(news, rest), 1, now_ns)


def _confirm_listed(
    book: FillBook, order: Order, kept: list[FillNews], now_ns: int, told: Told | None
) -> None:
    """Count what the listing says is settled, and report what of it is news."""
    desk = book.desk
    final = [news for news in kept if news.state == FillState.CONFIRMED]
    change_e6 = sum(news.size_e6 for news in final) - order.confirmed_e6
    if not change_e6:
        return
    desk.accounts.confirm(order, change_e6)
    desk.settle(order)
    if told is not None:
        final = [each for each in final if trade_digest(each.trade_id) not in told.confirmed]
    for news in final:
        desk.reports.fill(ReportKind.CONFIRMED, order, order.fills[news.trade_id], now_ns)


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
