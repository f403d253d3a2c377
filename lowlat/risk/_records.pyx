# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Name and write what risk says: intents, decisions, turns. One call a record.

Owned by risk; no I/O. The decisions stream is gated by the ledger, and the engine polls no signal
that it has no decision slot for.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from lowlat.core._ends cimport CountEnd, count_end, publish_end
from lowlat.core.layout cimport (
    LL_KIND_DECISION,
    LL_KIND_INTENT,
    LL_KIND_TURN,
    LL_SLOT_HEAD_BYTES,
    ll_decision,
    ll_intent,
    ll_turn,
)
from lowlat.risk._case cimport Case
from lowlat.risk._cells cimport slot_at

from lowlat.core.layout import IntentFlag, OrderType, Rule, Writer, record_id

__all__ = ["DecisionWriter", "IntentSlot", "Names"]

cdef enum:
    RULES_MAX = 256

cdef int RULE_CUT = Rule.CUT
cdef int ORDER_GTC = OrderType.GTC
cdef int FLAG_CANCEL = IntentFlag.CANCEL
cdef uint32_t WRITER_RISK = Writer.RISK


@cython.final
cdef class Names:
    """One sequence for all that risk writes in this life of it."""

    def __cinit__(self, uint32_t epoch):
        self._writer = record_id(WRITER_RISK, epoch, 0)

    def next_id(self):
        """Name the next record."""
        return self.use()


@cython.final
cdef class IntentSlot:
    """The intents writer's private slot, bound once."""

    def __cinit__(self, intents):
        self._buffer = intents.buffer
        self._raw = <ll_intent *>slot_at(self._buffer, sizeof(ll_intent))
        self._intents = publish_end(intents)

    def write(
        self,
        Case case not None,
        uint64_t intent,
        uint64_t group,
        int64_t checked_ns,
        int64_t expires_ns,
        int64_t spend_e6,
        int64_t unwind_reserve_e6,
        int32_t price_e4,
        int32_t touch_price_e4,
        uint32_t config_generation,
        int order_type,
        int flags,
    ):
        """Publish the intent of a case; False when the executor's gate is closed."""
        return self.put(
            case,
            intent,
            group,
            checked_ns,
            expires_ns,
            spend_e6,
            unwind_reserve_e6,
            price_e4,
            touch_price_e4,
            config_generation,
            order_type,
            flags,
        ) != 0

    def take_back(
        self,
        Case case not None,
        uint64_t intent,
        uint64_t target,
        int64_t checked_ns,
        uint32_t config_generation,
    ):
        """Publish the wish to cancel an order; False when the executor's gate is closed."""
        cdef int32_t price_e4 = case.limit_price_e4
        self._target = target
        try:
            return self.put(
                case,
                intent,
                0,
                checked_ns,
                case.expires_ns,
                0,
                0,
                price_e4,
                price_e4,
                config_generation,
                ORDER_GTC,
                FLAG_CANCEL,
            ) != 0
        finally:
            self._target = 0

    cdef int put(
        self,
        Case case,
        uint64_t intent,
        uint64_t group,
        int64_t checked_ns,
        int64_t expires_ns,
        int64_t spend_e6,
        int64_t unwind_reserve_e6,
        int32_t price_e4,
        int32_t touch_price_e4,
        uint32_t config_generation,
        int order_type,
        int flags,
    ) except -1:
        cdef ll_intent *raw = self._raw
        raw.id = intent
        raw.cause = case.cause
        raw.signal = case.id
        raw.group = group
        raw.target = self._target
        raw.event_ns = case.event_ns
        raw.recv_ns = case.recv_ns
        raw.decoded_ns = case.decoded_ns
        raw.published_ns = case.published_ns
        raw.decided_ns = case.decided_ns
        raw.checked_ns = checked_ns
        raw.expires_ns = expires_ns
        raw.size_e6 = case.size_e6
        raw.spend_e6 = spend_e6
        raw.unwind_reserve_e6 = unwind_reserve_e6
        raw.unwind_price_e4 = case.unwind_price_e4
        raw.limit_price_e4 = price_e4
        raw.touch_price_e4 = touch_price_e4
        raw.instrument = case.instrument
        raw.generation = case.generation
        raw.config_generation = config_generation
        raw.expiration_s = 0
        raw.action = <uint8_t>case.action
        raw.order_type = <uint8_t>order_type
        raw.urgency = <uint8_t>case.urgency
        raw.intent_flags = <uint8_t>flags
        raw.leg = <uint8_t>case.leg
        raw.legs = <uint8_t>case.legs
        raw.mode = <uint16_t>case.mode
        memcpy(raw.module, case.module_words, 16)
        return 1 if self._intents.c_publish(LL_KIND_INTENT) else 0


@cython.final
cdef class DecisionWriter:
    """Says how each signal ended: which rule, its limit, what met it. Counts them by rule."""

    def __cinit__(self, decisions, Names names not None, cell):
        self._buffer = decisions.buffer
        self._raw = <ll_decision *>slot_at(self._buffer, sizeof(ll_decision))
        self._turn = <ll_turn *>slot_at(self._buffer, sizeof(ll_turn))
        self._decisions = publish_end(decisions)
        self._names = names
        self._cell = cell
        self._cuts = count_end(cell("risk.decision.cut"))
        self._counts = [None] * (2 * RULES_MAX)

    def approve(
        self, Case case not None, uint64_t intent, int64_t checked_ns, uint32_t config_generation
    ):
        """Say that it was sent. A rule other than APPROVED cut it: ``size_e6`` is what is left."""
        self.say_approved(case, intent, checked_ns, config_generation)

    def refuse(self, Case case not None, int64_t checked_ns, uint32_t config_generation):
        """Say why it was not sent."""
        assert case.rule, f"signal {case.id} was refused without a rule"
        self.say(case, 0, 0, checked_ns, config_generation, case.rule, case.limit, case.was, False)

    def crossed(self, Case case not None, int64_t checked_ns, uint32_t config_generation):
        """Say that its shares changed owner inside: ``size_e6`` of them, and no intent."""
        assert case.rule, f"signal {case.id} was crossed without a rule"
        self.say(
            case,
            0,
            case.size_e6,
            checked_ns,
            config_generation,
            case.rule,
            case.limit,
            case.was,
            False,
        )

    def free(self, int64_t wanted):
        """Return how many records fit, exactly when fewer than wanted do."""
        return self.room(wanted)

    cdef int64_t room(self, int64_t wanted) except -1:
        # Only we take slots away, so what was free before, less our own, still is.
        if self._free_known < wanted:
            self._free_known = self._decisions.c_free()
        return self._free_known

    cdef int say_approved(
        self, Case case, uint64_t intent, int64_t checked_ns, uint32_t config_generation
    ) except -1:
        cdef int rule = case.cut_rule
        cdef int64_t limit = case.cut_limit
        cdef int64_t was = case.cut_was
        if not rule and case.size_e6 != case.suggested_e6:
            rule = RULE_CUT
            limit = case.size_e6
            was = case.suggested_e6
        if rule:
            self._cuts.c_add(1)
        return self.say(
            case, intent, case.size_e6, checked_ns, config_generation, rule, limit, was, True
        )

    cdef int say(
        self,
        Case case,
        uint64_t intent,
        int64_t size_e6,
        int64_t checked_ns,
        uint32_t config_generation,
        int rule,
        int64_t limit,
        int64_t was,
        bint approved,
    ) except -1:
        cdef ll_decision *raw = self._raw
        cdef uint64_t published
        raw.id = self._names.use()
        raw.cause = case.cause
        raw.signal = case.id
        raw.intent = intent
        raw.decided_ns = case.decided_ns
        raw.checked_ns = checked_ns
        raw.size_suggestion_e6 = case.suggested_e6
        raw.size_e6 = size_e6
        raw.limit = limit
        raw.was = was
        raw.expected_value = case.expected_value
        raw.instrument = case.instrument
        raw.generation = case.generation
        raw.config_generation = config_generation
        raw.rule = <uint16_t>rule
        raw.approved = approved
        raw.action = <uint8_t>case.action
        raw.limit_price_e4 = case.limit_price_e4
        raw.group = <uint32_t>case.group
        memcpy(raw.module, case.module_words, 16)
        published = self._decisions.c_publish(LL_KIND_DECISION)
        assert published, "a signal was polled without a slot for its decision"
        self._free_known -= 1
        self._count(rule, approved).c_add(1)
        return 0

    cdef CountEnd _count(self, int rule, bint approved):
        assert 0 <= rule < RULES_MAX, f"rule was {rule}, expected below {RULES_MAX}"
        cdef Py_ssize_t at = 2 * rule + approved
        if self._counts[at] is None:
            done = "approved" if approved else "refused"
            self._counts[at] = count_end(self._cell(f"risk.{done}.{Rule(rule).name.lower()}"))
        return <CountEnd>self._counts[at]

    cdef int say_turn(
        self,
        int64_t now_ns,
        uint64_t signals,
        uint64_t metadata,
        uint64_t reports,
        int64_t wall_offset_ns,
    ) except -1:
        """Say which inputs a turn had taken, so that a capture replays."""
        cdef ll_turn *raw = self._turn
        # A decision before it in the same slot is longer.
        memset(<char *>raw + LL_SLOT_HEAD_BYTES, 0, sizeof(ll_turn) - LL_SLOT_HEAD_BYTES)
        raw.id = self._names.use()
        raw.now_ns = now_ns
        raw.input_cursor = signals
        raw.metadata_cursor = metadata
        raw.reports_cursor = reports
        raw.wall_offset_ns = wall_offset_ns
        raw.writer = WRITER_RISK
        if self._decisions.c_publish(LL_KIND_TURN):
            self._free_known -= 1
        return 0
