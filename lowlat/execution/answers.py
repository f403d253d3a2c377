"""What the venue says, put into the desk's words: HTTP answers, user-channel events, listings.

Owned by the executor. Every message is taken in through OrderDesk.hear and FillBook.take, so that
order and repetition do not matter. One that cannot be true of our order is counted, not obeyed.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from lowlat.book.fees import fee_e6
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action, OrderState, OrderType
from lowlat.execution.desk import OrderDesk
from lowlat.execution.fills import FillBook, FillNews
from lowlat.execution.limits import TIERS, Breaker, RateBucket
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import FillState, Heard, Order
from lowlat.execution.params import ExecutorParams
from lowlat.execution.rebase import rebase
from lowlat.execution.reports import VENUE_REASON
from lowlat.execution.told import Told
from lowlat.venues.polymarket.account import (
    Account,
    Fill,
    OrderChange,
    OrderStatus,
    OrderUpdate,
    TradeStatus,
    TradeUpdate,
)
from lowlat.venues.polymarket.rejects import Policy, RejectCode
from lowlat.venues.polymarket.replies import (
    NO_COUNT,
    OrderReply,
    Sent,
    decode_rate_limit,
)
from lowlat.venues.polymarket.user import UserCodec

__all__ = ["Headers", "VenueListener", "sent_of"]

Headers = Iterable[tuple[bytes, bytes]]

_MS_NS: Final = 1_000_000
_NOTE_EVERY_NS: Final = 1_000_000_000
_KILLED: Final = frozenset(
    {RejectCode.FOK_KILLED, RejectCode.FAK_NO_MATCH, RejectCode.UNMATCHED, RejectCode.NO_MATCH}
)
"""The normal end of an immediate order that met no depth. Source: polymarket.md 15 no. 9."""
_EVERYWHERE: Final = frozenset(
    {
        RejectCode.NOT_READY,
        RejectCode.POST_ONLY_MODE,
        RejectCode.CANCEL_ONLY,
        RejectCode.TRADING_DISABLED,
    }
)
_STATUS_HEARD: Final = {
    OrderStatus.LIVE: Heard.LIVE,
    OrderStatus.MATCHED: Heard.MATCHED,
    OrderStatus.DELAYED: Heard.DELAYED,
    OrderStatus.UNMATCHED: Heard.UNMATCHED,
    OrderStatus.CANCELED: Heard.CANCELED,
    OrderStatus.INVALID: Heard.CANCELED,
    OrderStatus.EXPIRED: Heard.EXPIRED,
}
_SETTLED: Final = frozenset({TradeStatus.CONFIRMED, TradeStatus.FAILED})
_TRADE_STATE: Final = {
    TradeStatus.MATCHED: FillState.MATCHED,
    TradeStatus.MATCHED_NOT_BROADCASTED: FillState.MATCHED,
    TradeStatus.RETRYING: FillState.MATCHED,
    TradeStatus.MINED: FillState.MINED,
    TradeStatus.CONFIRMED: FillState.CONFIRMED,
    TradeStatus.FAILED: FillState.FAILED,
}


def sent_of(order: Order) -> Sent:
    """Return what an order's answer is read against."""
    return Sent(
        order.order_id,
        Action(order.action),
        order.maker_amount_e6,
        order.taker_amount_e6,
        OrderType(order.order_type),
    )


class VenueListener:
    """Takes in everything the venue says about orders and trades."""

    def __init__(
        self,
        desk: OrderDesk,
        account: Account,
        bucket: RateBucket,
        breaker: Breaker,
        params: ExecutorParams,
        meters: ExecutorMeters,
        halt: Callable[[str, int], None],
        note: Callable[[str, str], None] | None = None,
    ) -> None:
        """``halt(reason, now_ns)`` stops new orders until a person lifts it.

        ``note(kind, sample)`` keeps one sample a distinct fault.
        """
        self._desk = desk
        self.fills = FillBook(desk, meters)
        self._codec = UserCodec(account)
        self._bucket = bucket
        self._breaker = breaker
        self._params = params
        self._meters = meters
        self._halt = halt
        self._note = _masking(note, account.api_key)
        self._note_due_ns = 0
        self._tier = ""
        self.retryable: list[Order] = []
        """Orders the venue said did not happen and may be tried again; emptied by the engine."""
        self.in_doubt = False
        """Something changed the account that our books cannot explain: compare balances."""
        self.stray = False
        """An order rests that nobody sent: list what is open. It may have come behind a listing."""

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params

    # --------------------------------------------------------------------------- HTTP answers
    def order_reply(self, order: Order, reply: OrderReply, now_ns: int) -> None:
        """Take in the answer to POST /order, or one leg's of POST /orders."""
        reason = VENUE_REASON + reply.code if reply.code else 0
        if reply.policy == Policy.ACCEPTED:
            self._accepted(order, reply, now_ns)
        elif reply.policy == Policy.AMBIGUOUS:
            self._desk.hear(order, Heard.LOST, now_ns, reason=reason)
            order.lookup_ns = now_ns
            self._breaker_error(reply.code, order.market, now_ns)
        else:
            killed = reply.code in _KILLED
            heard = Heard.UNMATCHED if killed else Heard.REJECTED
            before = order.state
            self._desk.hear(order, heard, now_ns, reason=reason)
            if order.state == before or killed:
                return
            self._refused(order, reply, now_ns)

    def _accepted(self, order: Order, reply: OrderReply, now_ns: int) -> None:
        claimed_e6 = max(0, reply.size_e6)
        heard = _STATUS_HEARD[reply.status]
        self._desk.hear(order, heard, now_ns, claimed_e6=claimed_e6)
        if len(reply.trade_ids) == 1 and reply.size_e6 > 0 and reply.cash_e6 > 0:
            # One trade: the answer's amounts are that trade's, until its own message comes.
            price_e4 = min(9_999, max(1, reply.cash_e6 * 10_000 // reply.size_e6))
            news = FillNews(
                reply.trade_ids[0],
                FillState.MATCHED,
                reply.size_e6,
                reply.cash_e6,
                self._fee_e6(order, reply.size_e6, price_e4, maker=False),
                price_e4,
                final=False,
            )
            self.fills.take(order, news, now_ns)
        self._breaker.ok(order.market)
        self.schedule(order, now_ns)

    def _refused(self, order: Order, reply: OrderReply, now_ns: int) -> None:
        after_ms = reply.retry_after_ms
        if reply.policy == Policy.HALT:
            self._halt(f"venue refused: {reply.code.name} {reply.text}", now_ns)
            return
        if reply.code in _EVERYWHERE:
            pause_ns = after_ms * _MS_NS if after_ms > 0 else self._params.breaker_open_ns
            self._breaker.open_for(Breaker.EVERYWHERE, now_ns + pause_ns)
            self._meters.breaker_trips.add(1)
        elif reply.code == RejectCode.RATE_LIMITED:
            pause_ns = after_ms * _MS_NS if after_ms > 0 else self._params.retry_delay_ns
            self._bucket.block(now_ns + pause_ns)
        else:
            self._breaker_error(reply.code, order.market, now_ns)
        if reply.policy == Policy.RETRY_LATER:
            self.retryable.append(order)

    def _breaker_error(self, code: int, market: int, now_ns: int) -> None:
        if self._breaker.error(code, market, now_ns):
            self._meters.breaker_trips.add(1)

    def lost(self, order: Order, now_ns: int) -> None:
        """Take in that no answer will come: the order's fate is to be looked up."""
        self._desk.hear(order, Heard.LOST, now_ns)
        if order.open or order.settling:
            order.lookup_ns = now_ns

    def rate_headers(self, headers: Headers, now_ns: int) -> None:
        """Take in the signer's bucket as the venue counts it."""
        limit = decode_rate_limit(headers)
        if limit.malformed:
            self._meters.remote_errors.add(limit.malformed)
        tier = limit.tier.lower()
        if tier != self._tier and tier in TIERS:
            self._tier = tier
            self._bucket.set_tier(*TIERS[tier][:2])
        if limit.remaining != NO_COUNT:
            self._bucket.correct(limit.remaining, now_ns)
        if limit.retry_after_ms > 0:
            self._bucket.block(now_ns + limit.retry_after_ms * _MS_NS)

    # --------------------------------------------------------------------------- user channel
    def frame(self, data: bytes | bytearray | memoryview, now_ns: int) -> None:
        """Take in one frame of the user channel; a broken one is counted and dropped."""
        try:
            events = self._codec.decode(data)
        except RemoteProtocolError as error:
            self._meters.remote_errors.add(1)
            if self._note is not None and now_ns >= self._note_due_ns:
                self._note_due_ns = now_ns + _NOTE_EVERY_NS
                self._note("unreadable user frame", str(error))
            return
        for event in events:
            if isinstance(event, OrderUpdate):
                self.order_update(event, now_ns)
            elif isinstance(event, TradeUpdate):
                self.trade_update(event, now_ns)

    def order_update(self, update: OrderUpdate, now_ns: int) -> Order | None:
        """Take in an order event or a row of a listing; None when the order has no row."""
        order = self._desk.by_order_id.get(update.order_id)
        heard = _STATUS_HEARD.get(update.status)
        if order is None:
            self._unknown_order(update.order_id, heard)
            return None
        if update.change == OrderChange.CANCELLATION and heard not in (
            Heard.UNMATCHED,
            Heard.EXPIRED,
        ):
            heard = Heard.UNMATCHED if update.reason in _KILLED else Heard.CANCELED
        elif heard == Heard.CANCELED and update.reason in _KILLED:
            heard = Heard.UNMATCHED
        if heard is None:
            self._meters.remote_errors.add(1)
            order.lookup_ns = order.lookup_ns or now_ns + self._params.lookup_every_ns
            return order
        reason = VENUE_REASON + update.reason if update.reason else 0
        claimed_e6 = max(0, update.matched_size_e6)
        self._desk.hear(order, heard, now_ns, reason=reason, claimed_e6=claimed_e6)
        self.schedule(order, now_ns)
        return order

    def trade_update(self, update: TradeUpdate, now_ns: int) -> int:
        """Take in a trade's message; return how many of our orders' fills it held."""
        state = _TRADE_STATE.get(update.status)
        if state is None:
            self._meters.remote_errors.add(1)
        known = 0
        for fill in update.fills:
            order = self._desk.by_order_id.get(fill.order_id)
            if order is None:
                self._unknown_fill(update, fill)
                continue
            known += 1
            if (
                int.from_bytes(order.token_id, "big") != fill.token_id
                or order.action != fill.action
            ):
                self._meters.remote_errors.add(1)
                self.in_doubt = True
                continue
            if state is None:
                order.lookup_ns = order.lookup_ns or now_ns + self._params.lookup_every_ns
                continue
            if not _is_old(order, fill.trade_id, state):
                self.fills.take(order, self._news(order, fill, state), now_ns)
            self.schedule(order, now_ns)
        return known

    def _unknown_order(self, order_id: bytes, heard: Heard | None) -> None:
        """Count a stranger; one that rests is to be found and dealt with."""
        strangers = self._desk.strangers
        if not strangers.is_over(order_id) and strangers.meet(order_id):
            self.stray = self.stray or heard == Heard.LIVE

    def _unknown_fill(self, update: TradeUpdate, fill: Fill) -> None:
        """Doubt the balances where a fill of an order without a row may have moved them."""
        strangers = self._desk.strangers
        if strangers.is_over(fill.order_id):
            # All it ever filled was settled: what still settles is not one of those.
            self.in_doubt = self.in_doubt or update.status not in _SETTLED
            return
        strangers.meet(fill.order_id)
        if strangers.is_news(fill.order_id, fill.trade_id, update.status):
            self.in_doubt = True

    def trade_listed(
        self, update: TradeUpdate, rebased: dict[int, list[tuple[Fill, FillState]]], now_ns: int
    ) -> None:
        """Take in a row of a listing; fills of orders in ``rebased`` are collected there."""
        state = _TRADE_STATE.get(update.status)
        for fill in update.fills:
            order = self._desk.by_order_id.get(fill.order_id)
            if state is not None and order is not None and order.id in rebased:
                rebased[order.id].append((fill, state))
                order.lookup_ns = now_ns + self._params.settle_timeout_ns
            elif order is not None:
                one = msgspec.structs.replace(update, fills=(fill,))
                self.trade_update(one, now_ns)

    def rebase(
        self,
        order: Order,
        fills: list[tuple[Fill, FillState]],
        now_ns: int,
        told: Told | None,
    ) -> None:
        """Give a restored order its fills back; balances tell when the venue lists fewer."""
        news = [self._news(order, fill, state) for fill, state in fills]
        if not news or not rebase(self.fills, order, news, now_ns, told):
            self.in_doubt = True
        self.schedule(order, now_ns)

    def listed_news(self, trade: TradeUpdate, wanted: Iterable[Order]) -> list[FillNews]:
        """Return what a listed trade says of these orders; nothing when its status is unknown."""
        state = _TRADE_STATE.get(trade.status)
        orders = {order.order_id: order for order in wanted}
        return [
            self._news(orders[fill.order_id], fill, state)
            for fill in trade.fills
            if state is not None and fill.order_id in orders
        ]

    def _news(self, order: Order, fill: Fill, state: FillState) -> FillNews:
        return FillNews(
            fill.trade_id,
            state,
            fill.size_e6,
            fill.cash_e6,
            self._fee_e6(order, fill.size_e6, fill.price_e4, maker=fill.maker),
            fill.price_e4,
            maker=fill.maker,
        )

    def _fee_e6(self, order: Order, size_e6: int, price_e4: int, *, maker: bool) -> int:
        if order.fees is None:
            # Restored without its market: the balance check puts the cash right.
            self.in_doubt = True
            return 0
        return fee_e6(size_e6, price_e4, order.fees, maker=maker)

    # --------------------------------------------------------------------------- time
    def schedule(self, order: Order, now_ns: int) -> None:
        """Set when to ask the venue about the order, given what is now known of it."""
        if order.state == OrderState.UNKNOWN:
            order.lookup_ns = order.lookup_ns or now_ns
        elif order.done or (order.state == OrderState.LIVE and not order.immediate):
            order.lookup_ns = 0
        elif order.awaited_e6 or order.open:
            order.lookup_ns = now_ns + self._params.terminal_timeout_ns
        else:
            order.lookup_ns = now_ns + self._params.settle_timeout_ns


def _is_old(order: Order, trade_id: str, state: FillState) -> bool:
    """Whether a trade's own message said the same before: listings repeat most rows."""
    booked = order.fills.get(trade_id)
    return (
        booked is not None
        and booked.final
        and booked.state == state
        # What a fee is unknown of stays in doubt, as often as it is told.
        and order.fees is not None
    )


def _masking(
    note: Callable[[str, str], None] | None, api_key: str
) -> Callable[[str, str], None] | None:
    """Hide the key that every frame of the user channel names as owner."""
    if note is None:
        return None
    return lambda kind, sample: note(kind, sample.replace(api_key, "***"))
