"""Groups of which one leg rests while the others wait to be taken.

Used by GroupDesk, before its own rules. The leg that is post-only is sent alone; the others are
kept here, checked, with their cash locked in the group's row, and none of them leaves before the
first one was filled::

    resting   nothing filled           → stays, until the wishes expire or an ask of another leg
                                         no longer holds the whole size: canceled
              filled, in whole or part → the others leave at once for as much, each at its own
                                         limit; what still rests is canceled
    canceled  heard of as over         → filled in between: the others leave; else the group is FLAT
              nothing heard in time    → the others are dropped; the group's own deadline goes on

Until the first fill the group can lose nothing but its place in a queue. From then on it is a group
like any other: the same deadline, the same worst prices, the same unwinding. An order of ours that
rests is canceled each second until the venue says that it is over.

What was kept lives in memory: after a restart the leg that rests is canceled, and what it got is
unwound. A new life of risk does not count the legs that are kept, so they are dropped when it is
heard of. Source: feeds.md 6.1, 6.9; ADR 0009.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lowlat.core.layout import IntentFlag, IntentRecord, OrderState, Rule
from lowlat.core.units import E4
from lowlat.execution.books import MarketReader
from lowlat.execution.group_book import GroupBook
from lowlat.execution.legs import Group, complete_intent
from lowlat.execution.lookups import Lookups
from lowlat.execution.orders import Order
from lowlat.execution.params import ExecutorParams
from lowlat.execution.sender import Cleared, OrderSender, Refused
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6

__all__ = ["PassiveLegs", "is_passive"]

_POST_ONLY: Final = int(IntentFlag.POST_ONLY)
_LOOK_NS: Final = 10_000_000
"""How often the asks of the others are looked at while a leg rests."""
_AGAIN_NS: Final = 1_000_000_000
"""After a cancel that nothing came of."""
_POLL_NS: Final = 1_000_000
"""After a cancel that could not leave."""

Drop = Callable[[IntentRecord, Refused, int], None]


class _Held:
    """What is kept of one group."""

    __slots__ = ("cancel_ns", "cash_e6", "legs", "resting", "until_ns", "wake_ns")

    def __init__(self, resting: int, legs: list[Cleared], until_ns: int) -> None:
        self.resting = resting
        self.legs = legs
        """Empty once they left or were dropped; the leg may rest on until it is canceled."""
        self.cash_e6 = sum(each.hold_e6 for each in legs)
        self.until_ns = until_ns
        self.cancel_ns = 0
        """Not before then another cancel; 0: none was sent."""
        self.wake_ns = 0


def is_passive(intents: Sequence[IntentRecord]) -> bool:
    """Whether a leg of the group is to rest."""
    return any(intent.intent_flags & _POST_ONLY for intent in intents)


class PassiveLegs:
    """The legs that are kept, by group; nothing of groups whose legs leave together."""

    def __init__(
        self,
        book: GroupBook,
        sender: OrderSender,
        lookups: Lookups,
        markets: MarketReader,
        params: ExecutorParams,
        drop: Drop,
    ) -> None:
        self._book = book
        self._sender = sender
        self._lookups = lookups
        self._markets = markets
        self._params = params
        self._drop = drop
        self._held: dict[int, _Held] = {}

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params

    # --------------------------------------------------------------------------- opening
    @staticmethod
    def refuses(intents: Sequence[IntentRecord]) -> Refused | None:
        """Say why such a group can not be opened: one leg rests, each market has one."""
        resting = sum(bool(intent.intent_flags & _POST_ONLY) for intent in intents)
        markets = len({intent.instrument >> 1 for intent in intents})
        if resting != 1 or markets < len(intents) or any(intent.action for intent in intents):
            return Refused(Rule.GROUP_INCOMPLETE, 1, resting)
        return None

    def admit(self, group: Group, legs: Sequence[Cleared]) -> None:
        """Keep the legs that do not rest; their cash is to be locked with the group's reserve."""
        (resting,) = (each for each in legs if each.intent.intent_flags & _POST_ONLY)
        others = [each for each in legs if each is not resting]
        until_ns = min(each.intent.expires_ns for each in legs)
        held = self._held[group.id] = _Held(resting.intent.leg, others, until_ns)
        group.reserve_e6 += held.cash_e6
        group.deadline_ns = until_ns

    def begin(self, group: Group, legs: Sequence[Cleared], now_ns: int) -> None:
        """Send the leg that rests."""
        held = self._held[group.id]
        (resting,) = (each for each in legs if each.intent.leg == held.resting)
        result = self._sender.send(resting, now_ns)
        if isinstance(result, Refused):
            self._drop(resting.intent, result, now_ns)
            self._drop_held(group, held, result, now_ns)
        else:
            group.legs[held.resting].orders.append(result)

    def adopt(self, group: Group) -> None:
        """After a restart: take back what rests, whatever it was to be completed with."""
        for number, leg in group.legs.items():
            if any(order.open and not order.immediate for order in leg.orders):
                self._held[group.id] = _Held(number, [], 0)

    # --------------------------------------------------------------------------- moving on
    def step(self, group: Group, now_ns: int) -> bool:
        """Do what a resting leg asks for; True while there is nothing else to do for the group."""
        held = self._held.get(group.id)
        if held is None:
            return False
        leg = group.legs[held.resting]
        rests = any(order.open for order in leg.orders)
        if held.legs and leg.net_e6 > group.dust_e6:
            # Of too little no order can be made while more of it may come.
            if not rests or not self._is_small(held, leg.net_e6):
                self._take_others(group, held, leg.net_e6, now_ns)
        elif held.legs and not rests:
            self._drop_held(group, held, Refused(Rule.GROUP_INCOMPLETE), now_ns)
        if not rests:
            del self._held[group.id]
            return False
        held.wake_ns = now_ns + _LOOK_NS
        if not held.legs or held.cancel_ns or self._is_over(group, held, now_ns):
            self._take_back(group, held, leg.orders, now_ns)
        if held.legs and held.cancel_ns and now_ns >= group.deadline_ns:
            # Nobody knows what became of it: from here on the group is one in doubt.
            self._drop_held(group, held, Refused(Rule.EXPIRED, group.deadline_ns, now_ns), now_ns)
        return bool(held.legs)

    def wake(self, group: Group) -> None:
        """Look at the group again in time."""
        held = self._held.get(group.id)
        if held is not None:
            group.wake_ns = min(group.wake_ns or held.wake_ns, held.wake_ns)

    def forsake(self, groups: Mapping[int, Group], now_ns: int) -> None:
        """Drop every leg that is kept: who counted it is gone. What rests is taken back."""
        for group_id, held in self._held.items():
            if held.legs:
                group = groups[group_id]
                self._drop_held(group, held, Refused(Rule.DROPPED_EPOCH), now_ns)
                group.deadline_ns = now_ns + self._params.group_deadline_ns
                group.wake_ns = now_ns

    def _is_small(self, held: _Held, size_e6: int) -> bool:
        least_e6 = min(size_e6 * each.intent.limit_price_e4 // E4 for each in held.legs)
        return least_e6 < MIN_NOTIONAL_E6

    def _is_over(self, group: Group, held: _Held, now_ns: int) -> bool:
        """Whether it is out of time, or what it waits for is no longer offered."""
        if now_ns >= held.until_ns or group.legs[held.resting].net_e6:
            return True
        for each in held.legs:
            intent = each.intent
            view = self._markets.book(intent.instrument >> 1)
            if view is None or not self._markets.alive(view, now_ns):
                return True
            walk = view.walk_size(
                intent.instrument & 1, intent.action, group.target_e6, intent.limit_price_e4
            )
            if not walk.complete:
                return True
        return False

    def _take_back(self, group: Group, held: _Held, orders: Sequence[Order], now_ns: int) -> None:
        """Cancel what rests; again after a second, as long as nothing is heard."""
        if not held.cancel_ns and held.legs:
            group.deadline_ns = now_ns + self._params.group_deadline_ns
        if now_ns < held.cancel_ns:
            return
        # One without an answer is looked up, and canceled by that, like any other.
        live = [order for order in orders if order.state == OrderState.LIVE]
        left = not live or self._lookups.cancel(live, now_ns)
        held.cancel_ns = now_ns + (_AGAIN_NS if live and left else _POLL_NS)
        held.wake_ns = held.cancel_ns

    def _take_others(self, group: Group, held: _Held, got_e6: int, now_ns: int) -> None:
        """Send the legs that were kept for what the first one got: all of them, or none."""
        legs, held.legs = held.legs, []
        self._unlock(group, held)
        group.deadline_ns = now_ns + self._params.group_deadline_ns
        group.canceled = False
        cleared = []
        refused: Refused | None = None
        for each in legs:
            intent = complete_intent(self._markets, each.intent, min(got_e6, group.target_e6))
            checked: Cleared | Refused = Refused(Rule.DEPTH)
            if intent is not None:
                checked = self._sender.check(intent._replace(id=each.intent.id), now_ns)
            if isinstance(checked, Refused):
                refused = checked
                break
            cleared.append(checked)
        if refused is None:
            refused = self._send(group, cleared, now_ns)
        if refused is not None:
            for each in legs:
                self._drop(each.intent, refused, now_ns)

    def _send(self, group: Group, cleared: list[Cleared], now_ns: int) -> Refused | None:
        if len(cleared) > 1:
            sent = self._sender.send_batch(cleared, now_ns)
        else:
            one = self._sender.send(cleared[0], now_ns)
            sent = one if isinstance(one, Refused) else [one]
        if isinstance(sent, Refused):
            return sent
        for order in sent:
            group.legs[order.leg].orders.append(order)
        return None

    def _drop_held(self, group: Group, held: _Held, why: Refused, now_ns: int) -> None:
        legs, held.legs = held.legs, []
        self._unlock(group, held)
        for each in legs:
            self._drop(each.intent, why, now_ns)

    def _unlock(self, group: Group, held: _Held) -> None:
        """Give back the cash that was locked for the legs that were kept."""
        self._book.unlock(group, held.cash_e6)
        held.cash_e6 = 0
