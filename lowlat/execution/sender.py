"""From an intent to bytes at the transport: the last checks, the signed order, row, report, write.

Owned by the executor. Nothing is written or sent for an intent that a check refuses; for one that
passes, the order row and the SENDING report exist before the first byte leaves, and the order id
in them is the venue's. What the transport refused never left: the order ends as REJECTED.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lowlat.core.errors import LocalProtocolError
from lowlat.core.layout import (
    INTENT,
    Action,
    BookFlag,
    IntentFlag,
    IntentRecord,
    Known,
    OrderType,
    ReportKind,
    Rule,
)
from lowlat.core.ports import SEND_HALTED, SEND_PARTIAL, SENT, Clock, Transport
from lowlat.core.units import E4
from lowlat.execution._check import FastCheck, RateBucket
from lowlat.execution._order import IntentView
from lowlat.execution.books import Facts, MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.in_flight import Asked, InFlight, Question
from lowlat.execution.limits import (
    Breaker,
    Refused,
    check_amounts,
    check_band,
)
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import Heard, Order, fee_bound_e6
from lowlat.execution.params import ExecutorParams, HardLimits
from lowlat.execution.templates import POSTS, Taken, TemplatePool
from lowlat.venues.polymarket.amounts import (
    Amounts,
    limit_amounts,
    market_buy_amounts,
    market_sell_amounts,
    odd_lot_amounts,
)
from lowlat.venues.polymarket.orders import GTD_LEAD_S, PostParams, ready_batch
from lowlat.venues.polymarket.requests import ClobRequests

__all__ = ["Cleared", "OrderSender", "Refused"]

_SECOND_NS: Final = 1_000_000_000
# Plain ints: arithmetic on flag enums costs a microsecond each.
_UNHEALTHY: Final = 0xFFFF & ~int(BookFlag.TRUNCATED)
"""A ladder deeper than the row is whole as far as the row goes."""
_CONFIRMED: Final = int(BookFlag.CONFIRMED)
_CROSS: Final = int(BookFlag.CONFIRMED | BookFlag.CROSSED | BookFlag.LOCKED)
_BUY: Final = int(Action.BUY)
_SELL: Final = int(Action.SELL)
_SPENDS_MAX: Final = 4_096
_UNWIND: Final = int(IntentFlag.UNWIND)
_REDUCE_ONLY: Final = int(IntentFlag.REDUCE_ONLY)
_POST_ONLY: Final = int(IntentFlag.POST_ONLY)
_IMMEDIATE: Final = (int(OrderType.FOK), int(OrderType.FAK))
_OK: Final = (SENT, SEND_PARTIAL)


class Cleared(NamedTuple):
    """An intent that passed every check, with all that its order needs."""

    intent: IntentRecord
    facts: Facts
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
        self.in_flight = in_flight
        self._clock = clock
        self._params = params
        self._meters = meters
        self._limits = params.limits
        self._spends: dict[tuple[int, int, int], Amounts] = {}
        self.bucket = RateBucket(params.orders_per_s, params.orders_burst, params.orders_headroom)
        self.breaker = Breaker(
            params.breaker_errors_max, params.breaker_window_ns, params.breaker_open_ns
        )
        self.fast = FastCheck(desk, desk.accounts, markets.gate, self.breaker, self._limits)
        self._slot = IntentView(memoryview(bytearray(INTENT.size_bytes)))
        """For intents that do not lie in the stream's slot: legs, unwinds, retries."""

    def reload(self, limits: HardLimits) -> None:
        """Check every order from here on against these limits."""
        self._limits = limits
        self.fast.bound_by(limits)

    # --------------------------------------------------------------------------- checks
    def check(  # noqa: PLR0911 - one return a rule reads best
        self, intent: IntentRecord, now_ns: int
    ) -> Cleared | Refused:
        """Check an intent against our own state and tables; nothing is changed. Hot."""
        if 0 < intent.expires_ns < now_ns:
            return Refused(Rule.EXPIRED, intent.expires_ns, now_ns)
        if intent.order_type == OrderType.GTD:
            least_s = self._clock.wall_ns() // _SECOND_NS + GTD_LEAD_S
            if intent.expiration_s < least_s:
                return Refused(Rule.EXPIRED, least_s, intent.expiration_s)
        if intent.id in self._desk.by_id:
            return Refused(Rule.DUPLICATE)
        facts = self._markets.facts(intent.instrument)
        if facts is None or facts.generation != intent.generation:
            return Refused(
                Rule.GENERATION_GONE, facts.generation if facts else 0, intent.generation
            )
        if not facts.tradeable:
            return Refused(Rule.NOT_TRADEABLE, int(Known.TRADEABLE), facts.row.known)
        unwind = bool(intent.intent_flags & _UNWIND)
        if not unwind and not self.breaker.closed(intent.instrument >> 1, now_ns):
            return Refused(Rule.BREAKER)
        refused = self._check_book(intent, facts.generation, now_ns)
        if refused is not None:
            return refused
        try:
            amounts = self._amounts(intent, facts)
        except LocalProtocolError:
            return Refused(Rule.OFF_GRID, facts.tick_e4, intent.limit_price_e4)
        return self._check_account(intent, facts, amounts, unwind=unwind)

    def _check_book(self, intent: IntentRecord, generation: int, now_ns: int) -> Refused | None:
        """Check health, freshness and band; afterwards the view holds this market's book."""
        limits = self._limits
        view = self._markets.book(intent.instrument >> 1)
        if view is None or view.generation != generation:
            return Refused(Rule.STALE_BOOK)
        unhealthy = view.flags & _UNHEALTHY
        if unhealthy & _CONFIRMED:
            # The venue itself serves it so: a cross is then a price, not a fault of ours.
            unhealthy &= ~_CROSS
        if unhealthy:
            return Refused(Rule.BOOK_UNHEALTHY, 0, unhealthy)
        if not self._markets.alive(view, now_ns):
            return Refused(Rule.STALE_BOOK)
        if 0 < limits.book_age_max_ns < now_ns - view.recv_ns:
            return Refused(Rule.STALE_BOOK, limits.book_age_max_ns, now_ns - view.recv_ns)
        outcome = intent.instrument & 1
        return check_band(
            limits,
            intent.action,
            intent.limit_price_e4,
            view.best_bid_e4(outcome),
            view.best_ask_e4(outcome),
        )

    def _amounts(self, intent: IntentRecord, facts: Facts) -> Amounts:
        """Return what would be signed. A FOK or FAK BUY spends dollars: the walked cost."""
        price_e4, size_e6, tick_e4 = intent.limit_price_e4, intent.size_e6, facts.tick_e4
        if intent.order_type in _IMMEDIATE and intent.intent_flags & _POST_ONLY:
            raise LocalProtocolError("an immediate order was post-only, expected one of the two")
        if intent.order_type not in _IMMEDIATE:
            action = Action(intent.action)
            if intent.intent_flags & _REDUCE_ONLY:
                return odd_lot_amounts(action, price_e4, size_e6, tick_e4)
            return limit_amounts(action, price_e4, size_e6, tick_e4, facts.row.min_size_e6)
        if intent.action == _SELL:
            return market_sell_amounts(size_e6, price_e4, tick_e4)
        spend_e6 = intent.spend_e6
        if not spend_e6:
            view = self._markets.book(intent.instrument >> 1)
            assert view is not None, "the book was read a moment ago"
            outcome = intent.instrument & 1
            spend_e6 = view.walk_size(outcome, intent.action, size_e6, price_e4).cost_e6
        key = (spend_e6, price_e4, tick_e4)
        amounts = self._spends.get(key)
        if amounts is None:
            if len(self._spends) >= _SPENDS_MAX:
                self._spends.clear()
            amounts = self._spends[key] = market_buy_amounts(*key)
        return amounts

    def _check_account(
        self, intent: IntentRecord, facts: Facts, amounts: Amounts, *, unwind: bool
    ) -> Cleared | Refused:
        desk, accounts = self._desk, self._desk.accounts
        instrument, size_e6, price_e4 = intent.instrument, intent.size_e6, intent.limit_price_e4
        buy = intent.action == _BUY
        cash_e6 = amounts[0] if buy else amounts[1]
        if not unwind:
            held_e6 = accounts.reserved_e6 if buy else 0
            sized = check_amounts(self._limits, size_e6, cash_e6, held_e6)
            if sized is not None:
                return sized
        if buy and cash_e6 * E4 > size_e6 * price_e4:
            return Refused(Rule.NOTIONAL, size_e6 * price_e4 // E4, cash_e6)
        own = desk.open.crossing(
            instrument >> 1, instrument & 1, intent.action, price_e4, resting=unwind
        )
        if own is not None:
            return Refused(Rule.SELF_CROSS, own.price_e4, price_e4)
        hold_e6 = 0
        if buy:
            hold_e6 = cash_e6 + fee_bound_e6(cash_e6, facts.fees)
            # An unwind spends what its group locked for it before leg one.
            if not unwind and hold_e6 > accounts.free_e6:
                return Refused(Rule.CASH, accounts.free_e6, hold_e6)
        else:
            left_e6 = accounts.size_e6(instrument) - desk.open.selling_e6(
                instrument >> 1, instrument
            )
            if size_e6 > left_e6:
                return Refused(Rule.POSITION, left_e6, size_e6)
        return Cleared(intent, facts, amounts, hold_e6)

    # --------------------------------------------------------------------------- sending
    def send(
        self, cleared: Cleared, now_ns: int, *, retries: int = 0, own_id: bool = False
    ) -> Order | Refused:
        """Send one cleared order; Refused when it never left. Hot.

        ``own_id`` names the order ourselves: no intent of risk stands behind it.
        """
        if own_id or retries:
            named = cleared.intent._replace(id=self._desk.new_id())
            cleared = cleared._replace(intent=named)
        unwind = bool(cleared.intent.intent_flags & _UNWIND)
        refused = self._admit(1, now_ns, unwind=unwind)
        if refused is not None:
            return refused
        self._slot.load(cleared.intent)
        clock_ns = self._clock.monotonic_ns
        started_ns = clock_ns()
        taken = self._take(cleared, _post(cleared.intent), alone=True)
        taken_ns = clock_ns()
        facts, hold_e6 = cleared.facts, cleared.hold_e6
        row = self._announce(self._slot, facts, taken, hold_e6, now_ns, retries)
        key = self.in_flight.new_key()
        # A halt stops new exposure; undoing what is naked goes on.
        result = self._transport.send(taken.request, key, urgent=not unwind)
        sent_ns = clock_ns()
        # What only this process needs comes behind the bytes.
        self._meters.template.record(taken_ns - started_ns)
        order = self._desk.announced(row)
        self._admitted(order, facts, cleared.intent.expires_ns, taken, now_ns)
        self.in_flight.put(key, Question(Asked.ORDER, (order,), now_ns))
        return self.sent((order,), key, result, now_ns, sent_ns) or order

    def place(self, intent: IntentRecord, now_ns: int) -> Order | Refused:
        """Check and send an order that stands alone and that PlainPath left to us."""
        cleared = self.check(intent, now_ns)
        return cleared if isinstance(cleared, Refused) else self.send(cleared, now_ns)

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
        orders = []
        for each, taken in zip(legs, ready, strict=True):
            self._slot.load(each.intent)
            row = self._announce(self._slot, each.facts, taken, each.hold_e6, now_ns, 0)
            orders.append(self._desk.announced(row))
        key = self.in_flight.new_key()
        result = self._transport.send(request, key, urgent=True)
        sent_ns = self._clock.monotonic_ns()
        for order, each, taken in zip(orders, legs, ready, strict=True):
            self._admitted(order, each.facts, each.intent.expires_ns, taken, now_ns)
        self.in_flight.put(key, Question(Asked.BATCH, tuple(orders), now_ns))
        return self.sent(orders, key, result, now_ns, sent_ns) or orders

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
        intent, facts = cleared.intent, cleared.facts
        return self._pool.take(
            intent.instrument,
            intent.action,
            cleared.amounts,
            facts.row.exchange,
            facts.token_number,
            post,
            alone=alone,
        )

    def _announce(
        self,
        intent: IntentView,
        facts: Facts,
        taken: Taken,
        hold_e6: int,
        now_ns: int,
        retries: int,
    ) -> int:
        """Write the order's row and say SENDING: from here on it may exist at the venue."""
        desk = self._desk
        row = desk.take_row()
        assert row >= 0, "rows were counted before"
        desk.announce(row, intent, taken.template, facts.token_id, hold_e6, now_ns, retries)
        return row

    def _admitted(
        self, order: Order, facts: Facts, expires_ns: int, taken: Taken, now_ns: int
    ) -> None:
        """Take the announced order into our books."""
        # The desk counts what it holds when it takes it in.
        order.reserved_e6 = 0
        order.fees = facts.fees
        order.expires_ns = expires_ns
        order.lookup_ns = now_ns + self._params.answer_timeout_ns
        self._desk.add(order)
        (self._meters.template_hits if taken.hit else self._meters.template_misses).add(1)

    def sent(
        self, orders: Sequence[Order], key: int, result: int, now_ns: int, sent_ns: int
    ) -> Refused | None:
        """Take in what the transport did with the bytes.

        The cash row follows behind them: what an order holds is in its own row already.
        """
        desk = self._desk
        if result in _OK:
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
        self.in_flight.take(key)
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


def _post(intent: IntentRecord) -> PostParams:
    post_only = bool(intent.intent_flags & _POST_ONLY)
    if intent.order_type == OrderType.GTD:
        return PostParams(OrderType.GTD, intent.expiration_s, post_only)
    return POSTS[intent.order_type + 4 * post_only]
