"""Legs that are only worth something together: equal in filled shares, or unwound.

Owned by the executor. The group's row is written, and the cash that unwinding may take is locked,
before leg one is sent. What to do is a function of what is filled, asked again whenever an order
of the group moved or a deadline passed, so that hearing things twice or late changes nothing::

    OPEN      legs in flight or missing      → FILLED | FLAT | UNWINDING
    FILLED    equal within dust              → COMPLETE when every fill is CONFIRMED | NAKED
    COMPLETE, UNWOUND                        → NAKED when a fill FAILED after all
    UNWINDING buys the complement, or sells  → UNWOUND | NAKED at the deadline
    NAKED     a leg FAILED, no way out at the worst price, or, at the deadline, nobody knows what
              the legs got; a FAILED leg is unwound at once
    FLAT      no leg was filled

A leg that got more than asked (a dollar-sized BUY at better prices) keeps the surplus. An order
whose outcome is unknown counts as filled for risk and as unfilled here. A group of which one leg
is post-only begins with that one alone (``passive``). Source: design 9, feeds.md 6.9.
"""

from collections.abc import Callable, Iterable
from typing import Final

from lowlat.core.layout import (
    GroupState,
    IntentRecord,
    OrderState,
    Rule,
)
from lowlat.core.ports import TableWriter
from lowlat.core.units import E4
from lowlat.execution.books import MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.group_book import RESTING, GroupBook
from lowlat.execution.legs import (
    Group,
    Leg,
    complete_intent,
    settled_e6,
    unwind_intent,
)
from lowlat.execution.lookups import Lookups
from lowlat.execution.orders import Order
from lowlat.execution.params import ExecutorParams
from lowlat.execution.passive import PassiveLegs, is_passive
from lowlat.execution.sender import Cleared, OrderSender, Refused
from lowlat.venues.polymarket.amounts import CENT_E6

__all__ = ["GroupDesk"]

_PENDING_NS: Final = 100_000_000
"""Legs of a group follow each other on the stream; a group not whole by then never will be."""
_POLL_NS: Final = 1_000_000
"""How often a group that waits for depth looks at the book."""

Drop = Callable[[IntentRecord, Refused, int], None]


class GroupDesk:
    """All groups, and the only way to open one."""

    def __init__(
        self,
        desk: OrderDesk,
        sender: OrderSender,
        lookups: Lookups,
        markets: MarketReader,
        table: TableWriter,
        params: ExecutorParams,
        drop: Drop,
        owes: Callable[[int, GroupState], bool],
    ) -> None:
        """``drop(intent, refused, now_ns)`` reports an intent that is not sent.

        ``owes(group, state)``: an earlier life wrote that state and died before it said so.
        """
        self._desk = desk
        self._sender = sender
        self._lookups = lookups
        self._markets = markets
        self._params = params
        self._drop = drop
        self.pending: dict[int, tuple[int, dict[int, IntentRecord]]] = {}
        self.book = GroupBook(desk, table, params, owes)
        self.active = self.book.active
        self._passive = PassiveLegs(self.book, sender, lookups, markets, params, drop)

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params
        self._passive.reload(params)
        self.book.reload(params)

    # --------------------------------------------------------------------------- opening
    def take(self, intent: IntentRecord, now_ns: int) -> None:
        """Collect a leg; open the group when it is the last one missing."""
        if intent.group in self.book.by_id:
            self._drop(intent, Refused(Rule.DUPLICATE), now_ns)
            return
        _, legs = self.pending.setdefault(intent.group, (now_ns, {}))
        if intent.leg in legs:
            self._drop(intent, Refused(Rule.DUPLICATE), now_ns)
            return
        legs[intent.leg] = intent
        if len(legs) == intent.legs:
            del self.pending[intent.group]
            self._open([legs[leg] for leg in sorted(legs)], now_ns)

    def _open(self, intents: list[IntentRecord], now_ns: int) -> None:
        passive = is_passive(intents)
        refused = self._passive.refuses(intents) if passive else None
        cleared = [refused or self._sender.check(intent, now_ns) for intent in intents]
        legs = [each for each in cleared if not isinstance(each, Refused)]
        if len(legs) < len(intents):
            for intent, each in zip(intents, cleared, strict=True):
                why = each if isinstance(each, Refused) else Refused(Rule.GROUP_INCOMPLETE)
                self._drop(intent, why, now_ns)
            return
        reserve_e6 = sum(intent.unwind_reserve_e6 for intent in intents)
        need_e6 = reserve_e6 + sum(each.hold_e6 for each in legs)
        free_e6 = self._desk.accounts.free_e6
        row = self.book.take_row() if need_e6 <= free_e6 else -1
        if row < 0:
            rule = Rule.RESERVE if need_e6 > free_e6 else Rule.NO_ROOM
            for intent in intents:
                self._drop(intent, Refused(rule, free_e6, need_e6), now_ns)
            return
        group = self._new_group(intents, row, reserve_e6, now_ns)
        if passive:
            self._passive.admit(group, legs)
        self._desk.accounts.reserve(group.reserve_e6)
        self._desk.accounts.write_cash()
        self.book.say(group, GroupState.OPEN, now_ns)
        if passive:
            self._passive.begin(group, legs, now_ns)
        elif self._params.group_batch and len(legs) > 1:
            self._send_batch(group, legs, now_ns)
        else:
            group.unsent = sorted(legs, key=self._depth_e6)
            self._send_next(group, now_ns)
        self._advance(group, now_ns)

    def _new_group(
        self, intents: list[IntentRecord], row: int, reserve_e6: int, now_ns: int
    ) -> Group:
        first = intents[0]
        # The finest that a dollar-sized BUY can be cut to is a cent's worth of shares.
        cent_e6 = max(CENT_E6 * E4 // intent.limit_price_e4 for intent in intents)
        group = Group(first.group, row, max(self._params.group_dust_e6, cent_e6))
        group.cause, group.module = first.cause, first.module
        group.legs = {intent.leg: Leg(intent) for intent in intents}
        group.target_e6 = min(intent.size_e6 for intent in intents)
        group.reserve_e6 = reserve_e6
        group.opened_ns = now_ns
        group.deadline_ns = now_ns + self._params.group_deadline_ns
        self.book.add(group)
        return group

    def _depth_e6(self, leg: Cleared) -> int:
        """Shares on offer to a leg within its limit."""
        view = self._markets.book(leg.intent.instrument >> 1)
        intent = leg.intent
        if view is None:
            return 0
        return view.walk_size(
            intent.instrument & 1, intent.action, 1 << 50, intent.limit_price_e4
        ).filled_e6

    def _send_batch(self, group: Group, legs: list[Cleared], now_ns: int) -> None:
        result = self._sender.send_batch(legs, now_ns)
        if isinstance(result, Refused):
            for each in legs:
                self._drop(each.intent, result, now_ns)
            return
        for order in result:
            group.legs[order.leg].orders.append(order)

    def _send_next(self, group: Group, now_ns: int) -> None:
        """Send the thinnest leg that is left, no larger than what the others got."""
        leg = group.unsent.pop(0)
        got_e6 = [each.net_e6 for each in group.legs.values() if each.orders]
        wanted_e6 = min([group.target_e6, *got_e6])
        checked: Cleared | Refused = leg
        if got_e6:
            intent: IntentRecord | None = leg.intent
            if wanted_e6 < leg.intent.size_e6:
                resized = complete_intent(self._markets, leg.intent, wanted_e6)
                intent = resized._replace(id=leg.intent.id) if resized is not None else None
            checked = Refused(Rule.GROUP_INCOMPLETE)
            if wanted_e6 > group.dust_e6:
                checked = self._sender.check(intent, now_ns) if intent else Refused(Rule.DEPTH)
        result = checked if isinstance(checked, Refused) else self._sender.send(checked, now_ns)
        if isinstance(result, Refused):
            for each in [leg, *group.unsent]:
                self._drop(each.intent, result, now_ns)
            group.unsent = []
        else:
            group.legs[result.leg].orders.append(result)

    # --------------------------------------------------------------------------- moving on
    def touched(self, now_ns: int) -> int:
        """Look again at the groups of orders that moved."""
        touched, self._desk.touched = self._desk.touched, {}
        ids = {order.group for order in touched.values() if order.group}
        for group_id in ids:
            group = self.book.by_id.get(group_id)
            if group is not None:
                self._advance(group, now_ns)
        return len(ids)

    def turn(self, now_ns: int) -> int:
        """Act on deadlines; return how many groups were looked at."""
        worked = 0
        for group_id, (since_ns, legs) in list(self.pending.items()):
            if now_ns - since_ns > _PENDING_NS:
                del self.pending[group_id]
                worked += 1
                for intent in legs.values():
                    self._drop(intent, Refused(Rule.GROUP_INCOMPLETE), now_ns)
        for group in list(self.active.values()):
            if group.wake_ns and now_ns >= group.wake_ns:
                worked += 1
                self._advance(group, now_ns)
        return worked

    def forsake(self, now_ns: int) -> None:
        """Take in that a new life of risk began: legs that did not leave yet never will."""
        self._passive.forsake(self.active, now_ns)

    def _advance(self, group: Group, now_ns: int) -> None:
        """Do what the group's fills ask for. Idempotent."""
        group.wake_ns = 0
        if not self._passive.step(group, now_ns):
            self._move_on(group, now_ns)
        self._passive.wake(group)

    def _move_on(self, group: Group, now_ns: int) -> None:
        if group.unsent and not group.waiting():
            self._send_next(group, now_ns)
        if group.waiting():
            self._wait(group, now_ns)
            if now_ns < group.deadline_ns:
                return
        if group.balanced() or self._is_residue(group, now_ns):
            self._balanced(group, now_ns)
        else:
            self._imbalanced(group, now_ns)

    def _is_residue(self, group: Group, now_ns: int) -> bool:
        """Whether legs differ by less than the venue trades and nothing can even them out.

        Such a surplus is booked as a position; the row tells it (filled_high minus filled_low).
        """
        if not group.unwinds and now_ns < group.deadline_ns:
            return False
        low_e6, high_e6 = group.low_high_e6()
        rows = [self._markets.market(leg.intent.instrument >> 1) for leg in group.legs.values()]
        return high_e6 - low_e6 < min((row.min_size_e6 for row in rows if row), default=0)

    def _wait(self, group: Group, now_ns: int) -> None:
        """Wait until an order moves; at the deadline, cancel what rests and look up the rest."""
        unwinding = group.state == GroupState.UNWINDING
        due_ns = group.unwind_deadline_ns if unwinding else group.deadline_ns
        if now_ns < due_ns:
            group.wake_ns = due_ns
        else:
            self._doubt(group, now_ns)
        self.book.write_if_moved(group, now_ns)

    def _doubt(self, group: Group, now_ns: int) -> None:
        """Stop waiting for answers: for the group they are overdue before they are for orders."""
        resting: list[Order] = []
        for leg in group.legs.values():
            resting.extend(order for order in leg.orders if order.state == OrderState.LIVE)
        if not group.doubted:
            group.doubted = True
            for order in group.orders():
                # One that is UNKNOWN is asked about each second as it is.
                if order.state != OrderState.UNKNOWN and not order.done:
                    order.lookup_ns = min(order.lookup_ns or now_ns, now_ns)
        if not group.canceled:
            group.canceled = not resting or self._lookups.cancel(resting, now_ns)
            if not group.canceled:
                group.wake_ns = now_ns + _POLL_NS

    def _balanced(self, group: Group, now_ns: int) -> None:
        if group.waiting():
            # Equal so far, but something may still come: no state is final, and none hides it.
            if group.state == GroupState.OPEN:
                self.book.say(group, GroupState.NAKED, now_ns)
            return
        low_e6, high_e6 = group.low_high_e6()
        if high_e6 <= group.dust_e6 and not group.unwinds:
            state = GroupState.FLAT
        elif group.unwinds or low_e6 <= group.dust_e6:
            state = GroupState.UNWOUND
        else:
            state = GroupState.COMPLETE if group.confirmed() else GroupState.FILLED
        if state != group.state:
            group.unwind_cost_e6 = group.cost_of_unwinding_e6()
            if state != GroupState.FILLED:
                self.book.release(group)
            self.book.say(group, state, now_ns)
        else:
            self.book.write_if_moved(group, now_ns)
        if state in RESTING and group.settled():
            self.book.retire(group)

    def _imbalanced(self, group: Group, now_ns: int) -> None:
        begun = group.state == GroupState.NAKED and not group.moved()
        if begun and group.unwind_deadline_ns:
            # Its unwinding is over: whoever looks at the row sees what is left.
            if group.settled():
                self.book.retire(group)
            return
        if not begun and group.state not in (GroupState.OPEN, GroupState.UNWINDING):
            # A fill FAILED (or came late): naked exposure, at once, with new deadlines.
            self.book.reopen(group)
            self.book.say(group, GroupState.NAKED, now_ns)
            group.deadline_ns = now_ns + self._params.group_deadline_ns
            group.unwind_deadline_ns = 0
            group.doubted = False
            group.attempts = group.completions = 0
        if group.busy():
            if now_ns < group.deadline_ns:
                group.wake_ns = group.deadline_ns
            return
        # Once unwinding began, nobody allows for the missing shares any more.
        if not group.completions and not group.given_up and now_ns < group.deadline_ns:
            group.completions += 1
            if self._complete(group, now_ns):
                return
        self._unwind(group, now_ns)

    def _complete(self, group: Group, now_ns: int) -> bool:
        """Fill lagging legs up at their own limit; True when an order for each of them left."""
        _, high_e6 = group.low_high_e6()
        wanted_e6 = min(high_e6, group.target_e6)
        wishes = []
        for leg in group.legs.values():
            missing_e6 = wanted_e6 - leg.net_e6
            if missing_e6 <= group.dust_e6:
                continue
            intent = complete_intent(self._markets, leg.intent, missing_e6)
            cleared = self._sender.check(intent, now_ns) if intent is not None else None
            if cleared is None or isinstance(cleared, Refused):
                return False
            wishes.append((leg, cleared))
        for leg, cleared in wishes:
            result = self._sender.send(cleared, now_ns, own_id=True)
            if isinstance(result, Refused):
                return False
            leg.orders.append(result)
        group.wake_ns = group.deadline_ns
        return bool(wishes)

    def _unwind(self, group: Group, now_ns: int) -> None:
        if group.state != GroupState.UNWINDING:
            group.unwind_deadline_ns = now_ns + self._params.unwind_deadline_ns
            self.book.say(group, GroupState.UNWINDING, now_ns)
        spent = group.attempts >= self._params.unwind_attempts_max
        if now_ns >= group.unwind_deadline_ns or spent:
            self.book.release(group)
            self.book.say(group, GroupState.NAKED, now_ns)
            if group.settled():
                self.book.retire(group)
            return
        self.book.relock(group)
        low_e6, _ = group.low_high_e6()
        group.wake_ns = min(group.unwind_deadline_ns, now_ns + _POLL_NS)
        sent = [
            self._take_back(group, leg, leg.net_e6 - low_e6, now_ns)
            for leg in group.legs.values()
            if leg.net_e6 - low_e6 > group.dust_e6
        ]
        if any(sent):
            group.attempts += 1
            group.wake_ns = group.unwind_deadline_ns

    def _take_back(self, group: Group, leg: Leg, surplus_e6: int, now_ns: int) -> bool:
        """Send what undoes a leg's surplus; False when nothing left."""
        desk, instrument = self._desk, leg.intent.instrument
        free_e6 = 0
        if not leg.sale_refused:
            free_e6 = settled_e6(desk.accounts, desk.unsettled.values(), instrument)
        intent = unwind_intent(self._markets, free_e6, leg.intent, surplus_e6)
        cleared = self._sender.check(intent, now_ns) if intent is not None else None
        if cleared is None or isinstance(cleared, Refused):
            return False
        self.book.unlock(group, cleared.hold_e6)
        result = self._sender.send(cleared, now_ns, own_id=True)
        if isinstance(result, Refused):
            return False
        leg.unwinds.append(result)
        return True

    # --------------------------------------------------------------------------- after a restart
    def restore(self, orders: Iterable[Order], now_ns: int) -> None:
        """Take groups up from their rows and orders; legs that never left are unwound around."""
        self.book.restore(orders, now_ns)
        for group in self.active.values():
            self._passive.adopt(group)

    def reconciled(self, now_ns: int) -> None:
        """Look at every group once the account is known again."""
        for group in list(self.active.values()):
            self._advance(group, now_ns)
