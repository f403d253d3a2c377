# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""The plain path of the executor, compiled: from an intent on the stream to bytes at the transport.

Run by ExecutorEngine's turn, over the ports it was given; no I/O of its own. An order that stands
alone and that every check clears is announced (row, then SENDING), handed to the transport, and
only then taken into our books. Whatever is not plain goes to the engine's ``take``, whose readable
way through OrderSender is the oracle: a test runs both over the same intents and compares every
byte and every number.

``place`` in order: checks, admission, signed order, row, report, send; behind the bytes meters,
order, books, rows, template wanted again.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from lowlat.core._ends cimport (
    ClockEnd,
    CountEnd,
    PollEnd,
    PublishEnd,
    RecordEnd,
    RowWriteEnd,
    SendEnd,
    TurnEnd,
    clock_end,
    count_end,
    poll_end,
    publish_end,
    record_end,
    row_write_end,
    send_end,
)
from lowlat.core.layout cimport LL_KIND_INTENT, LL_KIND_REPORT, ll_cash_row, ll_intent
from lowlat.execution._check cimport FactCells, FastCheck, RateBucket
from lowlat.execution._desk cimport AccountCells, DeskCells, InFlight, Question
from lowlat.execution._order cimport Announcer, IntentView, Order, slot_of
from lowlat.execution._pool cimport Ready, ReadyOrders

from lowlat.core.layout import IntentFlag
from lowlat.core.ports import EMPTY as PORT_EMPTY
from lowlat.core.ports import SENT as PORT_SENT
from lowlat.execution.in_flight import Asked

__all__ = ["PlainPath"]

cdef enum:
    SECOND_NS = 1000000000

cdef int CANCEL = IntentFlag.CANCEL
cdef int EMPTY = PORT_EMPTY
cdef int SENT = PORT_SENT
cdef object ORDER = Asked.ORDER


@cython.final
cdef class PlainPath(TurnEnd):
    """Takes intents from the stream; sends those that are plain, leaves the rest to the engine.

    ``is_open`` is set by the engine: ready, not halted. ``epoch`` is risk's, as the engine knows
    it: a record of another one is the engine's.
    """

    cdef public bint is_open
    cdef public int64_t epoch
    cdef object _engine
    cdef object _pool
    cdef PollEnd _intents
    cdef PublishEnd _reports
    cdef RowWriteEnd _order_rows
    cdef RowWriteEnd _cash_rows
    cdef SendEnd _transport
    cdef ClockEnd _clock
    cdef RecordEnd _intent_wait
    cdef RecordEnd _template
    cdef RecordEnd _intent_to_sent
    cdef RecordEnd _tick_to_sent
    cdef RecordEnd _decided_to_sent
    cdef CountEnd _orders
    cdef CountEnd _hits
    cdef CountEnd _misses
    cdef CountEnd _gaps
    cdef int64_t _taken
    cdef int64_t _taken_ns
    cdef object _cash_buffer
    cdef IntentView _view
    cdef DeskCells _desk
    cdef AccountCells _accounts
    cdef Announcer _announcer
    cdef FastCheck _check
    cdef RateBucket _bucket
    cdef ReadyOrders _ready
    cdef InFlight _in_flight
    cdef ll_cash_row *_cash
    cdef dict _posts
    cdef int64_t _room_min
    cdef int64_t _intents_max
    cdef int64_t _stale_s
    cdef int64_t _hot_ns
    cdef int64_t _answer_ns

    def __init__(self, engine, ports, IntentView view not None, sender, desk, pool, params):
        """``engine`` takes what is not plain: ``take(kind, now_ns)`` and ``unsent(...)``."""
        meters = ports.meters
        self._engine = engine
        self._intents = poll_end(ports.intents)
        self._reports = publish_end(ports.reports)
        self._order_rows = row_write_end(ports.orders)
        self._cash_rows = row_write_end(ports.cash)
        self._transport = send_end(ports.transport)
        self._clock = clock_end(ports.clock)
        self._intent_wait = record_end(meters.intent_wait)
        self._template = record_end(meters.template)
        self._intent_to_sent = record_end(meters.intent_to_sent)
        self._tick_to_sent = record_end(meters.tick_to_sent)
        self._decided_to_sent = record_end(meters.decided_to_sent)
        self._orders = count_end(meters.orders)
        self._hits = count_end(meters.template_hits)
        self._misses = count_end(meters.template_misses)
        self._gaps = count_end(meters.ledger_gap)
        self._view = view
        self._desk = desk
        self._accounts = desk.accounts
        self._announcer = desk.announcer
        self._check = sender.fast
        self._bucket = sender.bucket
        self._in_flight = sender.in_flight
        self._pool = pool
        self._ready = pool.ready
        self._posts = pool.posts
        self._cash_buffer = ports.cash.buffer
        self._cash = <ll_cash_row *>slot_of(self._cash_buffer, sizeof(ll_cash_row), True)
        # New orders stop when reports are half full.
        self._room_min = desk.slots // 2 + 1
        self._intents_max = params.intents_per_turn
        self._stale_s = params.template_stale_s
        self._hot_ns = params.hot_ttl_ns
        self._answer_ns = params.answer_timeout_ns

    def take(self, int64_t now_ns):
        """Take what lies on the stream, at most ``intents_per_turn``; return how many. Hot."""
        return self._take(now_ns)

    cdef int64_t c_advance(self, int64_t now_ns) except -1:
        """Take intents; an engine that is not open does the whole of its turn instead."""
        if not self.is_open:
            return <int64_t>self._engine.turn(now_ns)
        self._taken_ns = now_ns
        self._taken = self._take(now_ns)
        return self._taken

    cdef int c_settle(self) except -1:
        """Do what follows from the intents that were taken, if any were."""
        cdef int64_t taken = self._taken
        if taken:
            self._taken = 0
            self._engine.behind(taken, self._taken_ns)
        return 0

    cdef int64_t _take(self, int64_t now_ns) except -1:
        cdef const ll_intent *raw = self._view.raw
        cdef int64_t taken = 0, kind
        cdef bint plain
        while taken < self._intents_max:
            kind = self._intents.c_poll()
            if kind == EMPTY:
                break
            taken += 1
            plain = (
                kind == LL_KIND_INTENT
                and self.is_open
                and not self._desk.ledger_gap
                and not raw.intent_flags & CANCEL
                and (raw.group == 0 or raw.legs < 2)
                and <int64_t>self._intents.c_epoch() == self.epoch
            )
            if plain and self._place(raw, now_ns):
                self._intent_wait.c_record(now_ns - raw.checked_ns)
            else:
                self._engine.take(kind, now_ns)
        if taken:
            self._intents.c_release()
        return taken

    cdef bint _place(self, const ll_intent *raw, int64_t now_ns) except -1:
        """Send one order; False, and nothing is changed, when somebody else must decide."""
        cdef FastCheck check = self._check
        cdef DeskCells desk = self._desk
        cdef object instrument = raw.instrument, wire
        cdef Ready ready
        cdef int64_t started_ns, taken_ns, sent_ns, row, key, result
        if not check.passes(raw, instrument, now_ns):
            return False
        if self._reports.c_free() < self._room_min or not self._transport.c_idle():
            return False
        if desk._free_count == 0 or not self._bucket.spend(1, now_ns, False):
            return False
        started_ns = self._clock.c_monotonic_ns()
        ready = self._ready.take(
            raw.instrument, raw.action, check.maker_e6, check.taker_e6, check.facts.exchange
        )
        if ready is None:
            # Signed on the spot: it costs more than all the rest.
            ready = self._pool.make(
                (instrument, raw.action, check.maker_e6, check.taker_e6),
                check.facts,
                check.post,
                now_ns,
            )
            self._misses.c_add(1)
        else:
            self._hits.c_add(1)
        wire = self._wire(ready)
        taken_ns = self._clock.c_monotonic_ns()
        row = desk.pop_row()
        self._announce(raw, ready, row, instrument, now_ns)
        key = self._in_flight.next_key()
        result = self._transport.c_send(wire, key, True)
        sent_ns = self._clock.c_monotonic_ns()
        # What only this process needs comes behind the bytes.
        self._template.c_record(taken_ns - started_ns)
        self._book(raw, ready, row, key, result, now_ns, sent_ns)
        return True

    cdef bytes _wire(self, Ready ready):
        """Return the request; its second is renewed here only after a long busy stretch."""
        cdef int64_t second
        if ready.post != self._check.post:
            return self._pool.render(ready.template, self._posts[self._check.post])
        second = self._clock.c_wall_ns() // SECOND_NS
        if not 0 <= second - ready.timestamp_s <= self._stale_s:
            ready.renewed(second)
            self._ready.late += 1
        return ready.wire

    cdef int _announce(
        self, const ll_intent *raw, Ready ready, uint32_t row, object instrument, int64_t now_ns
    ) except -1:
        """Write the order's row and say SENDING: from here on it may exist at the venue."""
        cdef Announcer announcer = self._announcer
        cdef AccountCells accounts = self._accounts
        cdef DeskCells desk = self._desk
        announcer.put_order(
            raw,
            ready.order_id,
            self._check.facts.token_id,
            ready.maker_e6,
            ready.taker_e6,
            self._check.hold_e6,
            ready.timestamp_ms,
            ready.salt,
            0,
        )
        self._order_rows.c_write(row)
        announcer.put_report(
            raw, row, desk.next_id(), now_ns, accounts.shares_of(instrument), accounts.cash_e6
        )
        if not self._reports.c_publish(LL_KIND_REPORT):
            desk.ledger_gap = True
            self._gaps.c_add(1)
        return 0

    cdef int _book(
        self,
        const ll_intent *raw,
        Ready ready,
        uint32_t row,
        int64_t key,
        int64_t result,
        int64_t now_ns,
        int64_t sent_ns,
    ) except -1:
        """Take the announced order into our books, and what the transport said of it."""
        cdef Order order = Order.__new__(Order)
        cdef Question question = Question.__new__(Question)
        cdef AccountCells accounts = self._accounts
        cdef FactCells facts = self._check.facts
        order.read(row, self._announcer.order)
        # Counted as held when it is taken in.
        order.reserved_e6 = 0
        order.put_fees(facts.fees, facts.rate_e6)
        order.expires_ns = raw.expires_ns
        order.lookup_ns = now_ns + self._answer_ns
        self._desk.index(order)
        accounts.hold_again(order)
        question.asked = ORDER
        question.orders = (order,)
        question.at_ns = now_ns
        self._in_flight.ask(key, question)
        if ready.hot is not None:
            # Whatever becomes of it, the template is used up.
            self._ready.todo.append(ready.key)
        if result == SENT:
            self._sent(order, raw, now_ns, sent_ns)
        elif not self._engine.unsent(order, key, result, now_ns, sent_ns):
            return 0
        if ready.hot is None:
            self._pool.nominate(raw.instrument, raw.action, now_ns)
        else:
            ready.hot.expires_ns = now_ns + self._hot_ns
        return 0

    cdef int _sent(
        self, Order order, const ll_intent *raw, int64_t now_ns, int64_t sent_ns
    ) except -1:
        """Stamp it. The cash row comes last: what an order holds is in its own row already."""
        cdef uint64_t record
        order.sent_ns = sent_ns
        self._intent_to_sent.c_record(sent_ns - now_ns)
        if raw.recv_ns:
            self._tick_to_sent.c_record(sent_ns - raw.recv_ns)
        if raw.decided_ns:
            self._decided_to_sent.c_record(sent_ns - raw.decided_ns)
        order.write(self._announcer.order)
        self._order_rows.c_write(order.row)
        record = self._desk.next_id()
        self._accounts.put_cash(self._cash, record, self._reports.c_cursor())
        self._cash_rows.c_write(0)
        self._orders.c_add(1)
        return 0
