"""The executor: intents in, signed orders out, and every word of the venue booked and reported.

Runs in the executor's process (spread), or with the rest (fused, inline). Sole writer of the
tables *orders*, *groups*, *positions*, *cash* and of the stream *reports*. Its parts::

    OrderSender    last checks, template, row, SENDING, write      GroupDesk   legs that go together
    VenueListener  answers, user frames → OrderDesk, FillBook      Lookups     what nobody told us
    Reconciler     start-up: tables, journal, venue; then intents  Heartbeat   the dead-man switch
    Inbox          answers and frames → whom they concern          Retries     what did not happen

``turn``: reconciliation first; then intents, groups, look-ups, cancels, heartbeat; when all that is
idle, one piece of template work. Nothing here sleeps, blocks or reads a clock but through ports.
"""

from collections import deque
from typing import Final

from lowlat.core.layout import (
    INTENT,
    IntentFlag,
    IntentRecord,
    ReportKind,
    Rule,
    Writer,
    record_id,
)
from lowlat.core.ports import (
    EMPTY,
    OVERRUN,
    SEND_PARTIAL,
    SENT,
)
from lowlat.core.recovered import Recovered
from lowlat.core.units import NO_PRICE_E4
from lowlat.execution._order import IntentView
from lowlat.execution._path import PlainPath
from lowlat.execution.answers import VenueListener
from lowlat.execution.desk import OrderDesk
from lowlat.execution.groups import GroupDesk
from lowlat.execution.heartbeat import Heartbeat
from lowlat.execution.in_flight import Asked, InFlight
from lowlat.execution.inbox import Inbox
from lowlat.execution.lookups import Lookups
from lowlat.execution.orders import Order
from lowlat.execution.params import ExecutorParams
from lowlat.execution.ports import ExecutorPorts
from lowlat.execution.reconcile import Reconciler
from lowlat.execution.retries import Retries
from lowlat.execution.sender import OrderSender, Refused
from lowlat.execution.templates import TemplatePool
from lowlat.execution.untold import Untold
from lowlat.venues.polymarket.account import Account
from lowlat.venues.polymarket.requests import ClobRequests
from lowlat.venues.polymarket.signing import OrderSigner

__all__ = ["ExecutorEngine"]

_SECOND_NS: Final = 1_000_000_000
_HOUSE_NS: Final = 1_000_000
"""Look-ups and heartbeats wait at most so long for a turn without other work."""
_ROWS_READY: Final = 32
_PAUSE_NS: Final = 500_000
"""Turns further apart than this are a parked loop's."""
_PAUSE_NS_MAX: Final = 2_000_000
_PIECES_MAX: Final = 16
_CANCEL: Final = int(IntentFlag.CANCEL)
_INTENT: Final = INTENT.kind


class ExecutorEngine:
    """State machine of the executor process. One account, one venue."""

    name: Final = "executor"

    def __init__(
        self,
        ports: ExecutorPorts,
        signer: OrderSigner,
        requests: ClobRequests,
        account: Account,
        params: ExecutorParams,
        recovered: Recovered | None = None,
    ) -> None:
        """``recovered`` is what the journal says, for a start without shared memory."""
        self._intents = ports.intents
        self._intent = IntentView(ports.intents.buffer)
        self._reports = ports.reports
        self._clock = ports.clock
        self._transport = ports.transport
        self._markets = ports.markets
        self._meters = ports.meters
        self._params = params
        self._requests = requests
        self._in_flight = InFlight()
        tables = (ports.orders, ports.positions, ports.cash)
        self.desk = OrderDesk(tables, ports.reports, ports.meters)
        if recovered is not None:
            self.desk.strangers.forget(recovered.known_ids)
        self.pool = TemplatePool(ports.markets, signer, requests, ports.salts, ports.clock, params)
        self.sender = OrderSender(
            self.desk,
            ports.markets,
            self.pool,
            requests,
            ports.transport,
            self._in_flight,
            ports.clock,
            params,
            ports.meters,
        )
        self.listener = VenueListener(
            self.desk,
            account,
            self.sender.bucket,
            self.sender.breaker,
            params,
            ports.meters,
            self.halt,
            ports.note,
        )
        self.lookups = Lookups(
            self.desk,
            self.listener,
            requests,
            account,
            ports.transport,
            self._in_flight,
            ports.clock,
            params,
            ports.meters,
        )
        untold = Untold(self.desk, ports.told)
        self.groups = GroupDesk(
            self.desk,
            self.sender,
            self.lookups,
            ports.markets,
            ports.groups,
            params,
            self.drop,
            untold.owes_group,
        )
        self.retries = Retries(ports.salts, params)
        self.heartbeat = Heartbeat(params.heartbeat_every_ns)
        self.reconciler = Reconciler(
            self.desk,
            self.groups,
            self.listener,
            ports.markets,
            requests,
            signer.signature_type,
            account,
            ports.transport,
            self._in_flight,
            ports.clock,
            params,
            ports.meters,
            recovered,
            self.halt,
            untold,
        )
        self.inbox = Inbox(
            self.desk,
            self.listener,
            self.lookups,
            self.reconciler,
            self.heartbeat,
            self._in_flight,
            params,
            ports.meters,
        )
        """What the transport and the user channel call."""
        self.path = PlainPath(self, ports, self._intent, self.sender, self.desk, self.pool, params)
        self._cancels: deque[int] = deque()
        self._house_due_ns = 0
        self._prepared_ns = 0
        self._halted = recovered.halted if recovered is not None else ""
        self.ready = False
        """Whether reconciliation is done and intents are taken."""

    # --------------------------------------------------------------------------- life
    def start(self) -> None:
        """Load tables or journal and begin to ask the venue; intents wait until it answered."""
        now_ns = self._clock.monotonic_ns()
        self._markets.sweep()
        self.reconciler.start(now_ns)
        if self._halted:
            self._say_halt(now_ns)

    def turn(self, now_ns: int) -> int:
        """Do what is due; return how much was done, 0 when idle."""
        if not self.ready:
            worked = self._drain(now_ns) + self.reconciler.turn(now_ns)
            if self.reconciler.listed:
                worked += self.inbox.take_held_frames() + self.lookups.turn(now_ns)
            if self.reconciler.done:
                self._accept(now_ns)
            return worked
        return self.behind(self.path.take(now_ns), now_ns)

    def behind(self, worked: int, now_ns: int) -> int:
        """Do what is due besides new intents, of which ``worked`` were taken."""
        if self.desk.touched:
            worked += self.groups.touched(now_ns)
        # Asked one by one: behind an order, what has nothing to do costs no call.
        if self.groups.active or self.groups.pending:
            worked += self.groups.turn(now_ns)
        if self.listener.retryable or self.retries.waiting:
            worked += self._retry(now_ns)
        if self._cancels:
            worked += self._send_cancels(now_ns)
        if worked and now_ns < self._house_due_ns:
            return worked
        # Also when every turn has work: a group in doubt waits for what is asked here.
        self._house_due_ns = now_ns + _HOUSE_NS
        worked += self._housekeeping(now_ns)
        return worked or self._prepare(now_ns)

    def close(self) -> None:
        """Publish last state. Open orders are left to the venue's dead-man switch."""
        if self.reconciler.loaded:
            # Before that the row would say that there is no cash.
            self.desk.accounts.write_cash()
        self._intents.release()

    def _prepare(self, now_ns: int) -> int:
        """Sign and renew while there is nothing else to do.

        A busy loop polls its sockets between any two pieces; a parked one, whose turns are far
        apart, spends a part of the pause on several.
        """
        pause_ns, self._prepared_ns = now_ns - self._prepared_ns, now_ns
        done = self.pool.refresh(now_ns)
        if not done or pause_ns < _PAUSE_NS:
            return done
        until_ns = self._clock.monotonic_ns() + min(pause_ns, _PAUSE_NS_MAX) // 4
        while done < _PIECES_MAX and self._clock.monotonic_ns() < until_ns:
            if not self.pool.refresh(now_ns):
                break
            done += 1
        return done

    # --------------------------------------------------------------------------- halts
    def halt(self, reason: str, now_ns: int) -> None:
        """Stop new orders until ``resume``; look-ups, cancels and unwinds go on."""
        if not self._halted:
            self._halted = reason
            self.path.is_open = False
            self._say_halt(now_ns)

    def hold(self, reason: str) -> None:
        """Stop new orders for the rest of this life; nothing of it is remembered."""
        self._halted = self._halted or reason

    def _say_halt(self, now_ns: int) -> None:
        text = self._halted.encode("ascii", "replace")[:40]
        self.desk.reports.say(ReportKind.HALT, now_ns, reason=Rule.HALTED, text=text)

    def resume(self, now_ns: int) -> None:
        """Lift a halt; only ever called because a person asked."""
        if self._halted:
            self._halted = ""
            self.path.is_open = self.ready
            self.desk.reports.say(ReportKind.RESUME, now_ns)

    @property
    def halted(self) -> str:
        """Why new orders are stopped, "" when they are not."""
        return self._halted

    def reload(self, params: ExecutorParams) -> None:
        """Swap hard limits and what is off the hot path; orders carry risk's generation.

        Pool, path and pace keep what they were made with: those keys need a restart.
        """
        self.sender.reload(params.limits)
        for part in (
            self.groups,
            self.retries,
            self.listener,
            self.lookups,
            self.reconciler,
            self.inbox,
        ):
            part.reload(params)

    # --------------------------------------------------------------------------- intents
    def nominate(self, instrument: int, action: int, price_e4: int = NO_PRICE_E4) -> bool:
        """Keep orders of this side ready; False when the hot set is full."""
        return self.pool.nominate(instrument, action, self._clock.monotonic_ns(), price_e4)

    def cancel(self, order_id: int) -> None:
        """Cancel an order by our id of it, in the next turn."""
        self._cancels.append(order_id)

    def _drain(self, now_ns: int) -> int:
        """Refuse what was wished before we knew the account. Source: design 10."""
        drained = 0
        while drained < self._params.intents_per_turn:
            kind = self._intents.poll()
            if kind == EMPTY:
                break
            drained += 1
            if kind == INTENT.kind:
                intent = INTENT.unpack(self._intents.buffer)
                self.drop(intent, Refused(Rule.DROPPED_EPOCH), now_ns)
        self._intents.release()
        return drained

    def _accept(self, now_ns: int) -> None:
        """Refuse the last intents of before, then say that from here on they count."""
        while self._drain(now_ns) == self._params.intents_per_turn:
            pass
        self.inbox.take_held_frames()
        self.ready = True
        self._house_due_ns = now_ns + _HOUSE_NS
        self.path.is_open = not self._halted
        self._epoch_seen(now_ns)

    def _epoch_seen(self, now_ns: int) -> None:
        epoch = self.path.epoch = self._intents.epoch
        # ``intent`` names risk's epoch in the form of its record ids, with sequence 0.
        self.desk.reports.say(
            ReportKind.EPOCH_SEEN, now_ns, intent=record_id(Writer.RISK, epoch, 0)
        )

    def take(self, kind: int, now_ns: int) -> None:
        """Do what the record in the reader's slot wants; the plain path left it to us."""
        if kind == OVERRUN:
            # Cannot be on a gated stream; if it is, somebody bypassed the gate.
            self.halt("intents overrun", now_ns)
            return
        if self._intents.epoch != self.path.epoch:
            self.groups.forsake(now_ns)
            self._epoch_seen(now_ns)
        if kind != _INTENT:
            return
        intent = self._intent.record()
        if self._intent.plain and not self._halted and not self.desk.ledger_gap:
            result = self.sender.place(intent, now_ns)
            if isinstance(result, Order):
                self.pool.nominate(intent.instrument, intent.action, now_ns)
            else:
                self.drop(intent, result, now_ns)
        else:
            self._take_other(intent, now_ns)
        self._meters.intent_wait.record(now_ns - intent.checked_ns)

    def unsent(self, order: Order, key: int, result: int, now_ns: int, sent_ns: int) -> bool:
        """Take in that not every byte of the plain path's order left; False when none did."""
        refused = self.sender.sent((order,), key, result, now_ns, sent_ns)
        if refused is not None:
            self.drop(self._intent.record(), refused, now_ns)
        return refused is None

    def _take_other(self, intent: IntentRecord, now_ns: int) -> None:
        """Cancel, refuse while halted, or hand a leg to its group."""
        if intent.intent_flags & _CANCEL:
            self._cancels.append(intent.target)
            return
        if self._halted or self.desk.ledger_gap:
            self.drop(intent, Refused(Rule.HALTED), now_ns)
            return
        self.groups.take(intent, now_ns)

    def drop(self, intent: IntentRecord, refused: Refused, now_ns: int) -> None:
        """Say that an intent was not sent, unless its order's report already did."""
        self._meters.dropped.add(1)
        if intent.id in self.desk.by_id and refused.rule != Rule.DUPLICATE:
            return
        self.desk.reports.say(
            ReportKind.DROPPED,
            now_ns,
            intent=intent.id,
            group=intent.group,
            reason=refused.rule,
            instrument=intent.instrument,
            generation=intent.generation,
            amounts=(intent.size_e6, refused.bound, refused.was),
            legs=intent.legs,
            leg=intent.leg,
            module=intent.module,
            cause=intent.cause,
            action=intent.action,
        )

    # --------------------------------------------------------------------------- the rest of a turn
    def _retry(self, now_ns: int) -> int:
        for order in self.listener.retryable:
            self.retries.offer(order, now_ns)
        self.listener.retryable.clear()
        done = 0
        for intent, count in self.retries.due(now_ns):
            done += 1
            if self._halted:
                continue
            cleared = self.sender.check(intent, now_ns)
            if not isinstance(cleared, Refused):
                self.sender.send(cleared, now_ns, retries=count)
                self._meters.retries.add(1)
        return done

    def _send_cancels(self, now_ns: int) -> int:
        wanted = [self.desk.by_id.get(each) for each in self._cancels]
        orders = [order for order in wanted if order is not None and order.open]
        if orders and not self.lookups.cancel(orders[:100], now_ns):
            return 0
        for _ in range(len(self._cancels)):
            self._cancels.popleft()
        for order in orders[100:]:
            self._cancels.append(order.id)
        return 1

    def _housekeeping(self, now_ns: int) -> int:
        worked = self.lookups.turn(now_ns) + self.reconciler.turn(now_ns)
        # Rows are given back here, so that an order finds one without looking.
        self.desk.rows_free(_ROWS_READY)
        if self.heartbeat.due(now_ns):
            second = self._clock.wall_ns() // _SECOND_NS
            request = self._requests.heartbeat(second, self.heartbeat.heartbeat_id)
            key = self._in_flight.add(Asked.HEARTBEAT, (), now_ns)
            if self._transport.send(request, key, urgent=False) in (SENT, SEND_PARTIAL):
                self.heartbeat.sent(now_ns)
                worked += 1
            else:
                self._in_flight.take(key)
        return worked
