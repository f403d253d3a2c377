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

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from lowlat.core.layout import (
    GROUP_ROW,
    GroupRow,
    GroupState,
    IntentRecord,
    OrderState,
    ReportKind,
    Rule,
)
from lowlat.core.ports import TableWriter
from lowlat.core.units import E4
from lowlat.execution.books import MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.legs import (
    Group,
    Leg,
    complete_intent,
    rebuild_legs,
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
_RESTING: Final = (GroupState.COMPLETE, GroupState.UNWOUND, GroupState.FLAT, GroupState.NAKED)

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
        self._owes = owes
        self._desk = desk
        self._sender = sender
        self._lookups = lookups
        self._markets = markets
        self._table = table
        self._params = params
        self._drop = drop
        self._passive = PassiveLegs(desk, sender, lookups, markets, params, drop)
        self.pending: dict[int, tuple[int, dict[int, IntentRecord]]] = {}
        self._free_rows = deque(range(table.rows))
        self._retired: deque[Group] = deque()
        self.by_id: dict[int, Group] = {}
        self.active: dict[int, Group] = {}

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params
        self._passive.reload(params)

    # --------------------------------------------------------------------------- opening
    def take(self, intent: IntentRecord, now_ns: int) -> None:
        """Collect a leg; open the group when it is the last one missing."""
        if intent.group in self.by_id:
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
        row = self._take_row() if need_e6 <= free_e6 else -1
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
        self._say(group, GroupState.OPEN, now_ns)
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
        self.by_id[group.id] = self.active[group.id] = group
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
            group = self.by_id.get(group_id)
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
        self._write_if_moved(group, now_ns)

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
                self._say(group, GroupState.NAKED, now_ns)
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
                self._release(group)
            self._say(group, state, now_ns)
        else:
            self._write_if_moved(group, now_ns)
        if state in _RESTING and group.settled():
            self._retire(group)

    def _imbalanced(self, group: Group, now_ns: int) -> None:
        begun = group.state == GroupState.NAKED and not group.moved()
        if begun and group.unwind_deadline_ns:
            # Its unwinding is over: whoever looks at the row sees what is left.
            if group.settled():
                self._retire(group)
            return
        if not begun and group.state not in (GroupState.OPEN, GroupState.UNWINDING):
            # A fill FAILED (or came late): naked exposure, at once, with new deadlines.
            self.active[group.id] = group
            self._relock(group)
            self._say(group, GroupState.NAKED, now_ns)
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
            self._say(group, GroupState.UNWINDING, now_ns)
        spent = group.attempts >= self._params.unwind_attempts_max
        if now_ns >= group.unwind_deadline_ns or spent:
            self._release(group)
            self._say(group, GroupState.NAKED, now_ns)
            if group.settled():
                self._retire(group)
            return
        self._relock(group)
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
        self._unlock(group, cleared.hold_e6)
        result = self._sender.send(cleared, now_ns, own_id=True)
        if isinstance(result, Refused):
            return False
        leg.unwinds.append(result)
        return True

    # --------------------------------------------------------------------------- cash, rows
    def _relock(self, group: Group) -> None:
        """Lock what unwinding may take again, as far as there is cash."""
        want_e6 = sum(leg.intent.unwind_reserve_e6 for leg in group.legs.values())
        more_e6 = max(0, min(want_e6 - group.reserve_e6, self._desk.accounts.free_e6))
        self._desk.accounts.reserve(more_e6)
        group.reserve_e6 += more_e6

    def _unlock(self, group: Group, cash_e6: int) -> None:
        """Hand locked cash to an unwinding order, which holds it from now on."""
        part_e6 = min(group.reserve_e6, cash_e6)
        self._desk.accounts.reserve(-part_e6)
        group.reserve_e6 -= part_e6

    def _release(self, group: Group) -> None:
        self._unlock(group, group.reserve_e6)
        self._desk.accounts.write_cash()

    def _say(self, group: Group, state: GroupState, now_ns: int) -> None:
        """Write the row, then report the group's new state. Idempotent by state."""
        group.state = state
        self._write(group, now_ns)
        low_e6, _ = group.low_high_e6()
        first = next(iter(group.legs.values())).intent
        self._desk.reports.say(
            ReportKind.GROUP,
            now_ns,
            group=group.id,
            instrument=first.instrument,
            generation=first.generation,
            amounts=(low_e6, group.unwind_cost_e6, 0),
            group_state=state,
            legs=len(group.legs),
            module=group.module,
            cause=group.cause,
        )

    def _write_if_moved(self, group: Group, now_ns: int) -> None:
        if group.moved():
            self._write(group, now_ns)

    def _write(self, group: Group, now_ns: int) -> None:
        GROUP_ROW.pack(self._table.buffer, group.to_row(now_ns))
        self._table.write(group.row)

    def _take_row(self) -> int:
        if self._free_rows:
            return self._free_rows.popleft()
        while self._retired:
            group = self._retired.popleft()
            if self.by_id.get(group.id) is group and group.id not in self.active:
                del self.by_id[group.id]
                return group.row
        return -1

    def _retire(self, group: Group) -> None:
        if self.active.pop(group.id, None) is not None:
            self._retired.append(group)

    # --------------------------------------------------------------------------- after a restart
    def restore(self, orders: Iterable[Order], now_ns: int) -> None:
        """Rebuild groups from their rows and orders; legs that never left are unwound around."""
        rows: dict[int, tuple[int, GroupRow]] = {}
        free = []
        for index in range(self._table.rows):
            row = GROUP_ROW.unpack(self._table.buffer) if self._table.read(index) else None
            if row is not None and row.state != GroupState.NONE:
                rows[row.id] = (index, row)
            else:
                free.append(index)
        self._free_rows = deque(free)
        by_group: dict[int, list[Order]] = {}
        for order in orders:
            if order.group:
                by_group.setdefault(order.group, []).append(order)
        for group_id, (index, row) in rows.items():
            if group_id not in by_group:
                self._restore_unsent(index, row, now_ns)
        for group_id, members in by_group.items():
            known = rows.get(group_id)
            index = known[0] if known else self._take_row()
            if index >= 0:
                self._restore_one(members, index, known[1] if known else None, now_ns)

    def _restore_one(
        self, members: list[Order], index: int, row: GroupRow | None, now_ns: int
    ) -> None:
        group = Group(members[0].group, index, row.dust_e6 if row else self._params.group_dust_e6)
        rebuild_legs(group, members, row)
        group.deadline_ns = now_ns + self._params.group_deadline_ns
        self.by_id[group.id] = group
        if self._owes(group.id, group.state):
            self._say(group, group.state, now_ns)
        if group.state in _RESTING and group.settled():
            self._retired.append(group)
            return
        self.active[group.id] = group
        self._passive.adopt(group)
        self._desk.accounts.reserve(group.reserve_e6)
        group.wake_ns = now_ns
        for order in members:
            self._desk.touched[order.id] = order

    def _restore_unsent(self, index: int, row: GroupRow, now_ns: int) -> None:
        """End a group of which a row is left and no order: what was not written never left."""
        self._free_rows.append(index)
        if row.state in _RESTING and not self._owes(row.id, GroupState(row.state)):
            return
        state = row.state if row.state in _RESTING else int(GroupState.FLAT)
        GROUP_ROW.pack(self._table.buffer, row._replace(state=state, changed_ns=now_ns))
        self._table.write(index)
        self._desk.reports.say(
            ReportKind.GROUP,
            now_ns,
            group=row.id,
            amounts=(row.filled_low_e6, row.unwind_cost_e6, 0),
            group_state=state,
            legs=row.legs,
            module=row.module,
            cause=row.cause,
        )

    def relist(self, row: int, instrument: int, generation: int) -> None:
        """Follow a token whose market got its row."""
        for group in self.by_id.values():
            for leg in group.legs.values():
                if leg.intent.instrument == row:
                    leg.intent = leg.intent._replace(instrument=instrument, generation=generation)

    def reconciled(self, now_ns: int) -> None:
        """Look at every group once the account is known again."""
        for group in list(self.active.values()):
            self._advance(group, now_ns)
