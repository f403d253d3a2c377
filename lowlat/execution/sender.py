"""From an intent to bytes at the transport: the last checks, the signed order, row, report, write.

Owned by the executor. Nothing is written or sent for an intent that a check refuses; for one that
passes, the order row and the SENDING report exist before the first byte leaves, and the order id
in them is the venue's. What the transport refused never left: the order ends as REJECTED.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lowlat.book.fees import schedule_of
from lowlat.core.errors import LocalProtocolError
from lowlat.core.instruments import Instrument
from lowlat.core.layout import (
    Action,
    BookFlag,
    Exchange,
    IntentFlag,
    IntentRecord,
    Known,
    MarketRow,
    MarketStatus,
    OrderState,
    OrderType,
    ReportKind,
    Rule,
)
from lowlat.core.ports import SEND_HALTED, SEND_PARTIAL, SENT, Clock, Transport
from lowlat.execution.books import MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.in_flight import Asked, InFlight
from lowlat.execution.limits import (
    Breaker,
    RateBucket,
    check_amounts,
    check_band,
    notional_e6,
)
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import Heard, Order, fee_bound_e6
from lowlat.execution.params import ExecutorParams
from lowlat.execution.templates import Taken, TemplatePool
from lowlat.venues.polymarket.amounts import (
    Amounts,
    limit_amounts,
    market_buy_amounts,
    market_sell_amounts,
    odd_lot_amounts,
)
from lowlat.venues.polymarket.orders import PostParams, ready_batch
from lowlat.venues.polymarket.requests import ClobRequests

__all__ = ["Cleared", "OrderSender", "Refused"]

_SECOND_NS: Final = 1_000_000_000
# Plain ints: arithmetic on flag enums costs a microsecond each.
_TRADEABLE: Final = int(Known.TRADEABLE)
_UNWIND: Final = int(IntentFlag.UNWIND)
_REDUCE_ONLY: Final = int(IntentFlag.REDUCE_ONLY)
_POST_ONLY: Final = int(IntentFlag.POST_ONLY)
_IMMEDIATE: Final = (int(OrderType.FOK), int(OrderType.FAK))
_POSTS: Final = {
    (int(kind), only): PostParams(kind, 0, only)
    for kind in (OrderType.GTC, OrderType.FOK, OrderType.FAK)
    for only in (False, True)
}


class Refused(NamedTuple):
    """Why an intent was not sent: the rule, its bound and what met it."""

    rule: Rule
    bound: int = 0
    was: int = 0


class Cleared(NamedTuple):
    """An intent that passed every check, with all that its order needs."""

    intent: IntentRecord
    row: MarketRow
    token: Instrument
    amounts: Amounts
    hold_e6: int


class OrderSender:
    """Checks, signs, records and writes new orders."""

    def __init__(
        self,
        desk: OrderDesk,
        markets: MarketReader,
        pool: TemplatePool,
        requests: ClobRequests,
        transport: Transport,
        in_flight: InFlight,
        clock: Clock,
        params: ExecutorParams,
        meters: ExecutorMeters,
    ) -> None:
        self._desk = desk
        self._markets = markets
        self._pool = pool
        self._requests = requests
        self._transport = transport
        self._in_flight = in_flight
        self._clock = clock
        self._params = params
        self._meters = meters
        self._tokens: dict[bytes, int] = {}
        self.bucket = RateBucket(params.orders_per_s, params.orders_burst, params.orders_headroom)
        self.breaker = Breaker(
            params.breaker_errors_max, params.breaker_window_ns, params.breaker_open_ns
        )

    # --------------------------------------------------------------------------- checks
    def check(  # noqa: PLR0911 - one return a rule reads best
        self, intent: IntentRecord, now_ns: int
    ) -> Cleared | Refused:
        """Check an intent against our own state and tables; nothing is changed."""
        if intent.expires_ns and now_ns > intent.expires_ns:
            return Refused(Rule.EXPIRED, intent.expires_ns, now_ns)
        if intent.id in self._desk.by_id:
            return Refused(Rule.DUPLICATE)
        unwind = bool(intent.intent_flags & _UNWIND)
        row = self._markets.market(intent.instrument >> 1)
        token = self._markets.instruments.by_index.get(intent.instrument)
        if row is None or token is None or row.generation != intent.generation:
            return Refused(Rule.GENERATION_GONE, row.generation if row else 0, intent.generation)
        if not _tradeable(row):
            return Refused(Rule.NOT_TRADEABLE, _TRADEABLE, row.known)
        if not unwind and not self.breaker.closed(row.market, now_ns):
            return Refused(Rule.BREAKER)
        refused = self._check_book(intent, row, now_ns)
        if refused is not None:
            return refused
        try:
            amounts = self._amounts(intent, row)
        except LocalProtocolError:
            return Refused(Rule.OFF_GRID, row.tick_e4, intent.limit_price_e4)
        return self._check_account(intent, row, token, amounts, unwind=unwind)

    def _check_book(self, intent: IntentRecord, row: MarketRow, now_ns: int) -> Refused | None:
        """Check health, freshness and band; afterwards the view holds this market's book."""
        limits = self._params.limits
        view = self._markets.book(row.market)
        if view is None or view.generation != row.generation:
            return Refused(Rule.STALE_BOOK)
        # A ladder deeper than the row is whole as far as the row goes.
        unhealthy = view.flags & ~BookFlag.TRUNCATED
        if unhealthy:
            return Refused(Rule.BOOK_UNHEALTHY, 0, unhealthy)
        if not self._markets.alive(view):
            return Refused(Rule.STALE_BOOK)
        if limits.book_age_max_ns and now_ns - view.recv_ns > limits.book_age_max_ns:
            return Refused(Rule.STALE_BOOK, limits.book_age_max_ns, now_ns - view.recv_ns)
        outcome = intent.instrument & 1
        band = check_band(
            limits,
            intent.action,
            intent.limit_price_e4,
            view.best_bid_e4(outcome),
            view.best_ask_e4(outcome),
        )
        return Refused(*band) if band[0] else None

    def _amounts(self, intent: IntentRecord, row: MarketRow) -> Amounts:
        """Return what would be signed. A FOK or FAK BUY spends dollars: the walked cost."""
        price_e4, size_e6, tick_e4 = intent.limit_price_e4, intent.size_e6, row.tick_e4
        if intent.order_type not in _IMMEDIATE:
            action = Action(intent.action)
            if intent.intent_flags & _REDUCE_ONLY:
                return odd_lot_amounts(action, price_e4, size_e6, tick_e4)
            return limit_amounts(action, price_e4, size_e6, tick_e4, row.min_size_e6)
        if intent.action == Action.SELL:
            return market_sell_amounts(size_e6, price_e4, tick_e4)
        spend_e6 = intent.spend_e6
        if not spend_e6:
            view = self._markets.book(row.market)
            assert view is not None, "the book was read a moment ago"
            spend_e6 = view.walk_size(
                intent.instrument & 1, intent.action, size_e6, price_e4
            ).cost_e6
        return market_buy_amounts(spend_e6, price_e4, tick_e4)

    def _check_account(
        self,
        intent: IntentRecord,
        row: MarketRow,
        token: Instrument,
        amounts: Amounts,
        *,
        unwind: bool,
    ) -> Cleared | Refused:
        desk, limits, market = self._desk, self._params.limits, row.market
        accounts = desk.accounts
        buy = intent.action == Action.BUY
        cash_e6 = amounts.maker_e6 if buy else amounts.taker_e6
        sized = check_amounts(limits, intent.size_e6, cash_e6, accounts.reserved_e6 if buy else 0)
        if sized[0] and not unwind:
            return Refused(*sized)
        worst_e6 = notional_e6(intent.size_e6, intent.limit_price_e4)
        if buy and cash_e6 > worst_e6:
            return Refused(Rule.NOTIONAL, worst_e6, cash_e6)
        own = desk.open.crossing(
            market, intent.instrument & 1, intent.action, intent.limit_price_e4
        )
        if own is not None:
            return Refused(Rule.SELF_CROSS, own.price_e4, intent.limit_price_e4)
        hold_e6 = 0
        if buy:
            hold_e6 = cash_e6 + fee_bound_e6(cash_e6, schedule_of(row))
            # An unwind spends what its group locked for it before leg one.
            if not unwind and hold_e6 > accounts.free_e6:
                return Refused(Rule.CASH, accounts.free_e6, hold_e6)
        else:
            held_e6 = accounts.size_e6(intent.instrument)
            selling_e6 = desk.open.selling_e6(market, intent.instrument)
            if intent.size_e6 > held_e6 - selling_e6:
                return Refused(Rule.POSITION, held_e6 - selling_e6, intent.size_e6)
        return Cleared(intent, row, token, amounts, hold_e6)

    # --------------------------------------------------------------------------- sending
    def send(
        self, cleared: Cleared, now_ns: int, *, retries: int = 0, own_id: bool = False
    ) -> Order | Refused:
        """Send one cleared order; Refused when it never left.

        ``own_id`` names the order ourselves: no intent of risk stands behind it.
        """
        if own_id or retries:
            named = cleared.intent._replace(id=self._desk.new_id())
            cleared = cleared._replace(intent=named)
        unwind = bool(cleared.intent.intent_flags & _UNWIND)
        refused = self._admit(1, now_ns, unwind=unwind)
        if refused is not None:
            return refused
        post = _post(cleared.intent)
        started_ns = self._clock.monotonic_ns()
        taken = self._take(cleared, post, alone=True)
        self._meters.template.record(self._clock.monotonic_ns() - started_ns)
        order = self._open(cleared, taken, now_ns, retries)
        key = self._in_flight.add(Asked.ORDER, (order,), now_ns)
        result = self._transport.send(taken.request, key, urgent=True)
        return self._sent((order,), key, result, now_ns) or order

    def send_batch(self, legs: Sequence[Cleared], now_ns: int) -> list[Order] | Refused:
        """Send up to 15 cleared orders in one request; all of them left or none."""
        hold_e6 = sum(each.hold_e6 for each in legs)
        if hold_e6 > self._desk.accounts.free_e6:
            return Refused(Rule.CASH, self._desk.accounts.free_e6, hold_e6)
        refused = self._admit(len(legs), now_ns, unwind=False)
        if refused is not None:
            return refused
        posts = [_post(each.intent) for each in legs]
        ready = [
            self._take(each, post, alone=False) for each, post in zip(legs, posts, strict=True)
        ]
        second = self._clock.wall_ns() // _SECOND_NS
        templates = [(taken.template, post) for taken, post in zip(ready, posts, strict=True)]
        request = ready_batch(self._requests, templates, second).wire
        orders = tuple(
            self._open(each, taken, now_ns, 0) for each, taken in zip(legs, ready, strict=True)
        )
        key = self._in_flight.add(Asked.BATCH, orders, now_ns)
        result = self._transport.send(request, key, urgent=True)
        return self._sent(orders, key, result, now_ns) or list(orders)

    def _admit(self, count: int, now_ns: int, *, unwind: bool) -> Refused | None:
        if self._desk.ledger_gap or not (unwind or self._desk.room()):
            return Refused(Rule.NO_ROOM)
        if not self._transport.idle():
            return Refused(Rule.NO_CONNECTION)
        if not self._desk.rows_free(count):
            return Refused(Rule.NO_ROOM)
        if not self.bucket.take(count, now_ns, reserve=unwind):
            return Refused(Rule.RATE, self.bucket.available(now_ns, reserve=unwind), count)
        return None

    def _take(self, cleared: Cleared, post: PostParams, *, alone: bool) -> Taken:
        intent = cleared.intent
        taken = self._pool.take(
            intent.instrument,
            intent.action,
            cleared.amounts,
            cleared.row.exchange,
            self._token_number(cleared.token),
            post,
            alone=alone,
        )
        (self._meters.template_hits if taken.hit else self._meters.template_misses).add(1)
        return taken

    def _token_number(self, token: Instrument) -> int:
        raw = token.identity.token_id
        number = self._tokens.get(raw)
        if number is None:
            number = self._tokens[raw] = int.from_bytes(raw, "big")
        return number

    def _open(self, cleared: Cleared, taken: Taken, now_ns: int, retries: int) -> Order:
        """Write the order's row and say SENDING: from here on it may exist at the venue."""
        intent, desk = cleared.intent, self._desk
        template = taken.template
        row = desk.take_row()
        assert row >= 0, "rows were counted before"
        order = Order(
            row,
            (
                intent.id,
                intent.cause,
                intent.signal,
                intent.group,
                template.order_id,
                cleared.token.identity.token_id,
                intent.event_ns,
                intent.recv_ns,
                intent.decoded_ns,
                intent.published_ns,
                intent.decided_ns,
                intent.checked_ns,
                0,
                0,
                0,
                intent.size_e6,
                cleared.amounts.maker_e6,
                cleared.amounts.taker_e6,
                0,
                0,
                0,
                0,
                intent.limit_price_e4,
                intent.instrument,
                intent.generation,
                intent.config_generation,
                0,
                OrderState.SENDING,
                intent.action,
                intent.order_type,
                intent.intent_flags,
                intent.leg,
                intent.legs,
                intent.module,
                0,
                intent.expiration_s,
                0,
                template.order.timestamp_ms,
                template.order.salt,
                intent.unwind_price_e4,
                retries,
                0,
            ),
        )
        order.fees = schedule_of(cleared.row)
        order.expires_ns = intent.expires_ns
        desk.add(order)
        order.lookup_ns = now_ns + self._params.answer_timeout_ns
        desk.accounts.write_order(order)
        amounts = (order.size_e6, order.maker_amount_e6, 0)
        desk.report(ReportKind.SENDING, order, now_ns, amounts=amounts)
        return order

    def _sent(
        self, orders: tuple[Order, ...], key: int, result: int, now_ns: int
    ) -> Refused | None:
        """Take in what the transport did with the bytes.

        The cash row follows behind them: what an order holds is in its own row already.
        """
        sent_ns = self._clock.monotonic_ns()
        desk = self._desk
        if result in (SENT, SEND_PARTIAL):
            for order in orders:
                order.sent_ns = sent_ns
                self._record(order, now_ns)
                if result == SENT:
                    desk.accounts.write_order(order)
                else:
                    # Some bytes left: whether the venue made an order of them, nobody knows.
                    desk.hear(order, Heard.LOST, sent_ns)
            desk.accounts.write_cash()
            self._meters.orders.add(len(orders))
            return None
        self._in_flight.discard(key)
        self.bucket.give_back(len(orders))
        rule = Rule.HALTED if result == SEND_HALTED else Rule.NO_CONNECTION
        for order in orders:
            kind = ReportKind.DROPPED
            desk.hear(order, Heard.REJECTED, sent_ns, reason=rule, kind=kind)
        return Refused(rule)

    def _record(self, order: Order, now_ns: int) -> None:
        meters, sent_ns = self._meters, order.sent_ns
        meters.intent_to_sent.record(sent_ns - now_ns)
        if order.recv_ns:
            meters.tick_to_sent.record(sent_ns - order.recv_ns)
        if order.decided_ns:
            meters.decided_to_sent.record(sent_ns - order.decided_ns)


def _tradeable(row: MarketRow) -> bool:
    facts = row.known & _TRADEABLE == _TRADEABLE
    return facts and row.status == MarketStatus.ACTIVE and row.exchange != Exchange.UNKNOWN


def _post(intent: IntentRecord) -> PostParams:
    post_only = bool(intent.intent_flags & _POST_ONLY)
    if intent.order_type == OrderType.GTD:
        return PostParams(OrderType.GTD, intent.expiration_s, post_only)
    return _POSTS[intent.order_type, post_only]
