"""A group's legs: what they got, what is owed, and the orders that would even them out.

Used by GroupDesk; pure. One leg is the orders sent for it and the orders that unwound part of it.
"""

from collections.abc import Iterable
from typing import Final

from lowlat.core.layout import (
    Action,
    GroupRow,
    GroupState,
    IntentFlag,
    IntentRecord,
    OrderState,
    OrderType,
)
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.execution.accounts import Accounts
from lowlat.execution.books import MarketReader
from lowlat.execution.orders import REST_DUST_E6, Order
from lowlat.execution.retries import intent_of
from lowlat.execution.sender import Cleared
from lowlat.venues.polymarket.amounts import (
    CENT_E6,
    MIN_NOTIONAL_E6,
    floor_to_whole_cent,
)

__all__ = ["Group", "Leg", "complete_intent", "rebuild_legs", "settled_e6", "unwind_intent"]

_NO_MODULE: Final = bytes(16)


class Leg:
    """One leg: its wish, the orders sent for it, the orders that took part of it back."""

    __slots__ = ("intent", "orders", "unwinds")

    def __init__(self, intent: IntentRecord) -> None:
        self.intent = intent
        self.orders: list[Order] = []
        self.unwinds: list[Order] = []

    @property
    def sale_refused(self) -> bool:
        """Whether the venue refused to let us sell it back: it counts our tokens otherwise."""
        return any(
            order.action == Action.SELL and order.state == OrderState.REJECTED
            for order in self.unwinds
        )

    @property
    def filled_e6(self) -> int:
        """Shares its orders got and kept."""
        return int(sum(order.filled_e6 for order in self.orders))

    @property
    def net_e6(self) -> int:
        """Shares that still count towards the group."""
        return int(self.filled_e6 - sum(order.filled_e6 for order in self.unwinds))


class Group:
    """Legs and what was decided about them. Row fields of the same names."""

    __slots__ = (
        "attempts",
        "canceled",
        "cause",
        "completions",
        "deadline_ns",
        "doubted",
        "dust_e6",
        "id",
        "legs",
        "module",
        "opened_ns",
        "reserve_e6",
        "row",
        "state",
        "target_e6",
        "unsent",
        "unwind_cost_e6",
        "unwind_deadline_ns",
        "wake_ns",
        "written",
    )

    def __init__(self, group_id: int, row: int, dust_e6: int) -> None:
        self.id = group_id
        self.row = row
        self.dust_e6 = dust_e6
        self.cause = 0
        self.module = _NO_MODULE
        self.legs: dict[int, Leg] = {}
        self.unsent: list[Cleared] = []
        self.state = GroupState.OPEN
        self.target_e6 = 0
        self.reserve_e6 = 0
        self.opened_ns = 0
        self.deadline_ns = 0
        self.unwind_deadline_ns = 0
        self.wake_ns = 0
        self.attempts = 0
        self.completions = 0
        self.canceled = False
        self.doubted = False
        """Its deadline has passed with something unknown, and was acted on."""
        self.unwind_cost_e6 = 0
        self.written: tuple[int, int] = (-1, -1)

    # --------------------------------------------------------------------------- reading
    @property
    def unwinds(self) -> int:
        """Orders sent to unwind that got something."""
        return sum(order.filled_e6 > 0 for leg in self.legs.values() for order in leg.unwinds)

    @property
    def given_up(self) -> bool:
        """Whether an order was ever sent to unwind it, whatever became of that."""
        return any(leg.unwinds for leg in self.legs.values())

    def orders(self) -> list[Order]:
        """Return every order that was sent for it."""
        return [order for leg in self.legs.values() for order in (*leg.orders, *leg.unwinds)]

    def waiting(self) -> bool:
        """Whether an order may still fill, or a match is announced whose trade has not come."""
        return any(order.open or order.awaited_e6 > REST_DUST_E6 for order in self.orders())

    def busy(self) -> bool:
        """Whether an order is on its way whose outcome we expect to hear; unknown ones are not."""
        return any(
            order.state in (OrderState.SENDING, OrderState.DELAYED)
            or (order.state != OrderState.UNKNOWN and order.awaited_e6 > REST_DUST_E6)
            for order in self.orders()
        )

    def low_high_e6(self) -> tuple[int, int]:
        """Return the least and the most that a leg nets."""
        nets = [leg.net_e6 for leg in self.legs.values()]
        return min(nets), max(nets)

    def balanced(self) -> bool:
        """Whether legs are equal within dust, or every one of them got all it asked for."""
        low_e6, high_e6 = self.low_high_e6()
        if high_e6 - low_e6 <= self.dust_e6:
            return True
        return low_e6 >= self.target_e6 - self.dust_e6 and not self.unwinds

    def moved(self) -> bool:
        """Whether fills differ from the row's."""
        return self.low_high_e6() != self.written

    def confirmed(self) -> bool:
        """Whether every fill is final."""
        return all(order.confirmed_e6 == order.filled_e6 for order in self.orders())

    def settled(self) -> bool:
        """Whether nothing more is expected of any order."""
        return all(order.done for order in self.orders())

    def cost_of_unwinding_e6(self) -> int:
        """Return what taking the surplus back cost: both sides less the dollar they pay."""
        cost_e6 = 0
        for leg in self.legs.values():
            filled_e6 = sum(order.filled_e6 for order in leg.orders)
            unwound_e6 = sum(order.filled_e6 for order in leg.unwinds)
            if not unwound_e6 or not filled_e6:
                continue
            sign = 1 if leg.intent.action == Action.BUY else -1
            paid_e6 = sum(sign * order.cash_e6 + order.fee_e6 for order in leg.orders)
            cost_e6 += paid_e6 * unwound_e6 // filled_e6
            for order in leg.unwinds:
                if order.action == Action.SELL:
                    cost_e6 += order.fee_e6 - order.cash_e6
                    continue
                cost_e6 += order.cash_e6 + order.fee_e6
                if order.instrument != leg.intent.instrument:
                    # Both outcomes of a market together are a dollar a share.
                    cost_e6 -= order.filled_e6
        return cost_e6

    def to_row(self, now_ns: int) -> GroupRow:
        """Return the row and note what it says."""
        self.written = self.low_high_e6()
        done = sum(
            all(order.done for order in leg.orders) and bool(leg.orders)
            for leg in self.legs.values()
        )
        return GroupRow(
            self.id,
            self.cause,
            self.opened_ns,
            self.deadline_ns,
            now_ns,
            self.target_e6,
            max(0, self.written[0]),
            max(0, self.written[1]),
            self.unwind_cost_e6,
            self.reserve_e6,
            self.state,
            len(self.legs),
            done,
            min(255, self.unwinds),
            self.dust_e6,
            self.module,
        )


def complete_intent(
    markets: MarketReader, intent: IntentRecord, missing_e6: int
) -> IntentRecord | None:
    """Return the wish that gets a leg's missing shares at its own limit; None when it cannot."""
    view = markets.book(intent.instrument >> 1)
    if view is None:
        return None
    walk = view.walk_size(intent.instrument & 1, intent.action, missing_e6, intent.limit_price_e4)
    if not walk.complete:
        return None
    return _immediate(intent, missing_e6, walk.cost_e6, intent.limit_price_e4)


def settled_e6(accounts: Accounts, orders: Iterable[Order], instrument: int) -> int:
    """Return the shares of a token that the venue lets us sell now; ``orders`` are unsettled ones.

    What was sold and has not settled is no longer ours to sell, though it still counts as settled.
    """
    held = accounts.positions.get(instrument)
    if held is None:
        return 0
    going_e6 = sum(
        order.rest_e6 + order.awaited_e6 + order.filled_e6 - order.confirmed_e6
        for order in orders
        if order.instrument == instrument and order.action == Action.SELL
    )
    return int(min(held.confirmed_e6 - going_e6, held.size_e6))


def unwind_intent(
    markets: MarketReader, free_e6: int, intent: IntentRecord, surplus_e6: int
) -> IntentRecord | None:
    """Return the wish that takes surplus shares of a leg back; None when there is no way now.

    ``free_e6`` shares of the leg's token may be sold now. Those are; others are made whole by their
    complement, the same ladder seen from the other side. What was sold is bought back. Never worse
    than ``unwind_price_e4``.
    """
    worst_e4 = intent.unwind_price_e4
    row = markets.market(intent.instrument >> 1)
    if row is None or not row.tick_e4:
        return None
    worst_e4 -= worst_e4 % row.tick_e4
    if not 0 < worst_e4 < ONE_E4:
        return None
    if intent.action == Action.SELL:
        return _buy(markets, intent, intent.instrument, surplus_e6, worst_e4)
    if free_e6 >= surplus_e6:
        sell = _sell(markets, intent, surplus_e6, ONE_E4 - worst_e4)
        if sell is not None:
            return sell
    return _buy(markets, intent, intent.instrument ^ 1, surplus_e6, worst_e4)


def _buy(
    markets: MarketReader, intent: IntentRecord, instrument: int, size_e6: int, worst_e4: int
) -> IntentRecord | None:
    view = markets.book(instrument >> 1)
    if view is None:
        return None
    walk = view.walk_size(instrument & 1, Action.BUY, size_e6, worst_e4)
    if not walk.filled_e6:
        return None
    spend_e6 = -(-walk.cost_e6 // CENT_E6) * CENT_E6
    if spend_e6 < MIN_NOTIONAL_E6:
        # The venue takes no BUY under a dollar: buying more than the surplus is right only while
        # what is left over the other way is less than what was there.
        bought_e6 = MIN_NOTIONAL_E6 * E4 // max(1, walk.touch_price_e4)
        if bought_e6 - size_e6 >= size_e6:
            return None
        size_e6, spend_e6 = bought_e6, MIN_NOTIONAL_E6
    wish = intent._replace(instrument=instrument, action=int(Action.BUY))
    size_e6 = max(size_e6, -(-spend_e6 * E4 // worst_e4))
    return _immediate(wish, size_e6, spend_e6, worst_e4, IntentFlag.UNWIND)


def _sell(
    markets: MarketReader, intent: IntentRecord, size_e6: int, worst_e4: int
) -> IntentRecord | None:
    size_e6 = floor_to_whole_cent(size_e6, worst_e4)
    view = markets.book(intent.instrument >> 1)
    if view is None or not size_e6:
        return None
    walk = view.walk_size(intent.instrument & 1, Action.SELL, size_e6, worst_e4)
    if not walk.filled_e6:
        return None
    wish = intent._replace(action=int(Action.SELL))
    return _immediate(wish, size_e6, 0, worst_e4, IntentFlag.UNWIND)


def _immediate(
    intent: IntentRecord, size_e6: int, spend_e6: int, price_e4: int, flags: int = 0
) -> IntentRecord:
    return intent._replace(
        id=0,
        size_e6=size_e6,
        spend_e6=spend_e6,
        limit_price_e4=price_e4,
        order_type=int(OrderType.FAK),
        intent_flags=int(flags),
        expires_ns=0,
        expiration_s=0,
    )


def rebuild_legs(group: Group, members: list[Order], row: GroupRow | None) -> None:
    """Put a group together again from its orders, and its row where there is one.

    A leg that was never sent has no order: it is known by its number only and nets nothing.
    """
    first = members[0]
    group.cause, group.module = first.cause, first.module
    sent = [order for order in members if not order.order_flags & IntentFlag.UNWIND]
    for order in sorted(sent, key=lambda each: each.created_wall_ms):
        leg = group.legs.setdefault(order.leg, Leg(intent_of(order)))
        leg.orders.append(order)
    for order in members:
        if order.order_flags & IntentFlag.UNWIND and order.leg in group.legs:
            group.legs[order.leg].unwinds.append(order)
    for number in range(first.legs):
        # Nothing may be sent for it any more: no size, no price.
        unsent = intent_of(first)._replace(leg=number, size_e6=0, limit_price_e4=0)
        group.legs.setdefault(number, Leg(unsent))
    if row is None:
        group.target_e6 = min((order.size_e6 for order in sent), default=0)
        return
    group.state = GroupState(row.state)
    group.target_e6 = row.target_e6
    group.reserve_e6 = row.unwind_reserve_e6
    group.opened_ns = row.opened_ns
    group.unwind_cost_e6 = row.unwind_cost_e6
    group.written = (row.filled_low_e6, row.filled_high_e6)


assert E6 == CENT_E6 * 100
