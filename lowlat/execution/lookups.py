"""Ask the venue about orders of which something is expected and too long not heard of.

Owned by the executor, driven by its turns. One question in flight an order, asked in this cycle::

    UNKNOWN   DELETE /order → GET /data/order/{id} → GET /data/trades    then again
    others                    GET /data/order/{id} → GET /data/trades    then again

Trades are listed for all orders that have come so far in one go, one listing in flight: when many
are in doubt at once, each reading the same pages would take the process away from trading.

An UNKNOWN order is canceled by its id at every cycle: a POST can land seconds late, after the
first cancel. It ends when the venue shows it, or when neither cancel nor order nor trades have
known it for ``unknown_window_ns`` in a row. Until then it counts as exposure. Look-ups and cancels
are never urgent: they leave also while new orders are halted. Source: polymarket.md 5.3-5.5, 6.
"""

from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import OrderState
from lowlat.core.ports import SEND_PARTIAL, SENT, Clock, Transport
from lowlat.execution.answers import VenueListener
from lowlat.execution.desk import OrderDesk
from lowlat.execution.fills import FillNews
from lowlat.execution.in_flight import Asked, InFlight, Question
from lowlat.execution.limits import RateBucket
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import Heard, Order
from lowlat.execution.params import ExecutorParams
from lowlat.execution.rebase import rebase
from lowlat.venues.polymarket.account import Account, TradeUpdate
from lowlat.venues.polymarket.lookups import decode_order, decode_trades_page
from lowlat.venues.polymarket.rejects import Policy
from lowlat.venues.polymarket.replies import CancelCode, decode_cancel_reply
from lowlat.venues.polymarket.requests import FIRST_CURSOR, ClobRequests

__all__ = ["Lookups"]

_SECOND_NS: Final = 1_000_000_000
_PAGES_MAX: Final = 20
"""Pages of trades of one market and a few minutes: far more than can be."""


class Lookups:
    """Cancels and questions by order id, until every order is accounted for."""

    def __init__(
        self,
        desk: OrderDesk,
        listener: VenueListener,
        requests: ClobRequests,
        account: Account,
        transport: Transport,
        in_flight: InFlight,
        clock: Clock,
        params: ExecutorParams,
        meters: ExecutorMeters,
    ) -> None:
        self._desk = desk
        self._listener = listener
        self._requests = requests
        self._account = account
        self._transport = transport
        self._in_flight = in_flight
        self._clock = clock
        self._params = params
        self._meters = meters
        self._asking = 0
        self._unlisted: dict[int, Order] = {}
        """Orders that are asked about and whose trades are to be listed next."""
        self._listing = False
        self._rows: dict[bytes, TradeUpdate] = {}
        """Rows of listings by their bytes, as they were read: the next listing repeats them."""
        self._restored: dict[int, list[FillNews]] = {}
        """What the listing under way says of restored orders whose trades are not known."""
        self._began_ns = 0
        """When a listing for such orders was first whole."""
        self._unheard: set[int] = set()
        """Orders whose cancel of this cycle the venue refused to hear: nothing is concluded."""
        self.cancels = RateBucket(params.cancels_per_s, params.cancels_burst, 0)

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params

    # --------------------------------------------------------------------------- questions
    def turn(self, now_ns: int) -> int:
        """Ask about orders that are due; return how many questions left."""
        asked = 0
        for order in list(self._desk.unsettled.values()):
            if self._asking >= self._params.lookups_max:
                break
            if order.asking or not order.lookup_ns or now_ns < order.lookup_ns:
                continue
            if order.state == OrderState.SENDING:
                # The answer is overdue: from here on it is as good as lost.
                self._desk.hear(order, Heard.LOST, now_ns)
            asked += self._begin(order, now_ns)
        return asked

    def _begin(self, order: Order, now_ns: int) -> int:
        order.lookups += 1
        if order.state == OrderState.UNKNOWN:
            return self._cancel(order, now_ns)
        return self._ask_order(order, now_ns)

    def cancel(self, orders: list[Order], now_ns: int) -> bool:
        """Cancel orders because somebody wants it; what comes of it is heard like anything else."""
        second = self._clock.wall_ns() // _SECOND_NS
        if not self.cancels.take(len(orders), now_ns):
            return False
        request = self._requests.cancel_orders(second, [order.order_id for order in orders])
        key = self._in_flight.add(Asked.CANCEL, tuple(orders), now_ns, "wanted")
        return self._left(request, key)

    def _cancel(self, order: Order, now_ns: int) -> int:
        if not self.cancels.take(1, now_ns):
            return 0
        self._unheard.discard(order.id)
        second = self._clock.wall_ns() // _SECOND_NS
        request = self._requests.cancel_order(second, order.order_id)
        return self._ask(Asked.CANCEL, order, request, now_ns)

    def _ask_order(self, order: Order, now_ns: int) -> int:
        second = self._clock.wall_ns() // _SECOND_NS
        return self._ask(
            Asked.LOOKUP_ORDER, order, self._requests.order(second, order.order_id), now_ns
        )

    def _list_trades(self, now_ns: int) -> None:
        """List the trades of every order that waits for it, unless a listing is in flight."""
        if self._listing or not self._unlisted:
            return
        orders = tuple(self._unlisted.values())
        self._unlisted.clear()
        self._ask_trades(orders, now_ns, FIRST_CURSOR, 1, set())

    def _ask_trades(
        self, orders: tuple[Order, ...], now_ns: int, cursor: str, page: int, found: set[bytes]
    ) -> None:
        second = self._clock.wall_ns() // _SECOND_NS
        oldest_s = min(order.created_wall_ms for order in orders) // 1_000
        after_s = max(0, oldest_s - self._params.trades_overlap_s)
        # All tokens: as a maker in a mint our fill is listed under the taker's. Source: 5.5.
        request = self._requests.trades(second, after_s=after_s, cursor=cursor)
        key = self._in_flight.add(Asked.LOOKUP_TRADES, orders, now_ns, (page, found))
        self._listing = self._left(request, key)
        if self._listing:
            self._asking += 1
            return
        for order in orders:
            self._again(order, now_ns)

    def _ask(self, asked: Asked, order: Order, request: bytes, now_ns: int) -> int:
        key = self._in_flight.add(asked, (order,), now_ns)
        if not self._left(request, key):
            self._again(order, now_ns)
            return 0
        order.asking = True
        self._asking += 1
        return 1

    def _left(self, request: bytes, key: int) -> bool:
        if self._transport.send(request, key, urgent=False) in (SENT, SEND_PARTIAL):
            return True
        self._in_flight.take(key)
        return False

    def _again(self, order: Order, now_ns: int) -> None:
        order.asking = False
        order.lookup_ns = now_ns + self._params.lookup_every_ns

    # --------------------------------------------------------------------------- answers
    def lost(self, question: Question, now_ns: int) -> None:
        """Take in that a question got no answer: ask again."""
        if question.detail == "wanted":
            return
        self._answered(question)
        for order in question.orders:
            self._again(order, now_ns)
        self._list_trades(now_ns)

    def answer(self, question: Question, status: int, body: bytes, now_ns: int) -> None:
        """Take in the answer to a cancel or a question."""
        if question.detail == "wanted":
            self._canceled(status, body, now_ns)
            return
        self._answered(question)
        order = question.orders[0]
        try:
            if question.asked == Asked.CANCEL:
                self._unknown_canceled(order, status, body, now_ns)
            elif question.asked == Asked.LOOKUP_ORDER:
                self._order_told(order, status, body, now_ns)
            else:
                self._trades_told(question, status, body, now_ns)
        except RemoteProtocolError:
            self._meters.remote_errors.add(1)
            for each in question.orders:
                self._again(each, now_ns)
        self._list_trades(now_ns)

    def _answered(self, question: Question) -> None:
        self._asking -= 1
        if question.asked == Asked.LOOKUP_TRADES:
            self._listing = False
        else:
            question.orders[0].asking = False

    def _canceled(self, status: int, body: bytes, now_ns: int) -> dict[bytes, bool]:
        """Take in which orders a cancel removed; return of each it names whether it is unknown."""
        reply = decode_cancel_reply(status, body)
        if reply.policy != Policy.ACCEPTED:
            self._meters.rejects.add(1)
        told = dict.fromkeys(reply.canceled, False)
        for order_id in reply.canceled:
            order = self._desk.by_order_id.get(order_id)
            if order is None:
                # Over, and its row given to another, since the cancel left.
                continue
            self._desk.hear(order, Heard.CANCELED, now_ns)
            # A match made just before the cancel may still settle. Source: 5.3.
            order.lookup_ns = now_ns
        for refused in reply.refused:
            order = self._desk.by_order_id.get(refused.order_id)
            told[refused.order_id] = refused.code == CancelCode.NOT_FOUND
            if order is not None and order.open and not order.asking:
                # Never later than it is due already, or cancels each second put it off for good.
                due_ns = now_ns + self._params.lookup_every_ns
                order.lookup_ns = min(order.lookup_ns or due_ns, due_ns)
        return told

    def _unknown_canceled(self, order: Order, status: int, body: bytes, now_ns: int) -> None:
        """Note when the venue first did not know it; no word on it proves neither."""
        unknown = self._canceled(status, body, now_ns).get(order.order_id)
        if unknown is None:
            self._unheard.add(order.id)
        elif not unknown:
            order.unknown_ns = 0
        elif not order.unknown_ns:
            order.unknown_ns = now_ns
        self._ask_order(order, now_ns)

    def _order_told(self, order: Order, status: int, body: bytes, now_ns: int) -> None:
        update = decode_order(status, body)
        if update is not None:
            if update.order_id != order.order_id:
                raise RemoteProtocolError("/data/order answered with another order")
            order.unknown_ns = 0
            self._listener.order_update(update, now_ns)
        order.asking = True
        self._unlisted[order.id] = order

    def _trades_told(self, question: Question, status: int, body: bytes, now_ns: int) -> None:
        orders: tuple[Order, ...] = question.orders
        page, found = question.detail
        trades = decode_trades_page(status, body, self._account, self._rows)
        if page == 1:
            self._restored = {
                order.id: [] for order in orders if order.filled_e6 and not order.fills
            }
        for row in trades.rows:
            if self._restored:
                self._collect(row)
            found.update([fill.order_id for fill in row.fills])
            self._listener.trade_update(row, now_ns)
        if trades.next_cursor and page < _PAGES_MAX:
            self._ask_trades(orders, now_ns, trades.next_cursor, page + 1, found)
            return
        if not trades.next_cursor:
            self._place_totals(now_ns)
        for order in orders:
            order.asking = False
            heard = order.id not in self._unheard
            self._unheard.discard(order.id)
            if self._desk.by_id.get(order.id) is not order:
                # Done meanwhile, and its row is another's.
                continue
            if order.order_id in found:
                order.unknown_ns = 0
            self._cycle_done(order, now_ns, whole=not trades.next_cursor, heard=heard)

    def _collect(self, row: TradeUpdate) -> None:
        """Keep what a trade says of restored orders until the listing is whole."""
        for order_id, heard in self._restored.items():
            order = self._desk.by_id.get(order_id)
            if order is not None:
                heard.extend(self._listener.listed_news(row, [order]))

    def _place_totals(self, now_ns: int) -> None:
        """Give restored orders the trades that their totals are made of: all are listed."""
        self._began_ns = self._began_ns or now_ns
        believe = now_ns - self._began_ns >= self._params.settle_timeout_ns
        for order_id, news in self._restored.items():
            order = self._desk.by_id.get(order_id)
            if order is not None and news and not order.fills:
                rebase(self._listener.fills, order, news, now_ns, believe=believe)
        self._restored = {}

    def _cycle_done(self, order: Order, now_ns: int, *, whole: bool, heard: bool) -> None:
        """Judge an order after a whole cycle of questions."""
        window_ns = self._params.unknown_window_ns
        # A listing may lag behind the match that an answer told of: not at once.
        told_ns = order.acked_ns or order.sent_ns
        if whole and not order.open and now_ns - told_ns >= self._params.answer_timeout_ns:
            self._listener.fills.trades_listed(order)
        if order.state == OrderState.UNKNOWN:
            if whole and heard and order.unknown_ns and now_ns - order.unknown_ns >= window_ns:
                self._desk.hear(order, Heard.GONE, now_ns)
            self._again(order, now_ns)
            if not order.open:
                order.lookup_ns = 0
            return
        self._listener.schedule(order, now_ns)
