# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Compiled part of risk: read a signal, approve the plain case, write intents and decisions.

Run by RiskEngine; no I/O. ``FastPath.approve`` says yes only when every check of
``lowlat.risk.checks`` would pass without cutting anything but the ladder; for anything else it
says nothing and the checks decide. A test runs both over the same inputs and compares bytes.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from lowlat.book._slots cimport ll_row8
from lowlat.book._view cimport BookView, Walk

__all__ = ["Case", "CaseReader", "DecisionSlot", "FastPath", "IntentSlot", "OwnOrder"]

cdef extern from *:
    """
    #include "layout.h"
    typedef __int128 ll_i128;
    typedef ll_signal ll_signal8 __attribute__((aligned(8)));
    typedef ll_intent ll_intent8 __attribute__((aligned(8)));
    typedef ll_decision ll_decision8 __attribute__((aligned(8)));
    """
    ctypedef long long i128 "ll_i128"

    ctypedef struct ll_signal8:
        uint64_t id
        uint64_t cause
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t expires_ns
        double confidence
        double expected_value
        int64_t size_suggestion_e6
        uint64_t group
        char module[16]
        uint32_t instrument
        uint32_t generation
        int32_t limit_price_e4
        uint8_t action
        uint8_t urgency
        uint8_t leg
        uint8_t legs
        uint16_t mode

    ctypedef struct ll_intent8:
        uint64_t id
        uint64_t cause
        uint64_t signal
        uint64_t group
        uint64_t target
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t checked_ns
        int64_t expires_ns
        int64_t size_e6
        int64_t spend_e6
        int64_t unwind_reserve_e6
        int32_t unwind_price_e4
        int32_t limit_price_e4
        int32_t touch_price_e4
        uint32_t instrument
        uint32_t generation
        uint32_t config_generation
        uint32_t expiration_s
        uint8_t action
        uint8_t order_type
        uint8_t urgency
        uint8_t intent_flags
        uint8_t leg
        uint8_t legs
        uint16_t mode
        char module[16]

    ctypedef struct ll_decision8:
        uint64_t id
        uint64_t cause
        uint64_t signal
        uint64_t intent
        int64_t decided_ns
        int64_t checked_ns
        int64_t size_suggestion_e6
        int64_t size_e6
        int64_t limit
        int64_t was
        double expected_value
        uint32_t instrument
        uint32_t generation
        uint32_t config_generation
        uint16_t rule
        uint8_t approved
        uint8_t action
        int32_t limit_price_e4
        uint32_t group
        char module[16]

cdef enum:
    ONE = 10000
    MILLION = 1000000
    CENT = 10000
    RUNGS_MAX = 32
    # BookFlag STALE, CROSSED, LOCKED, DIVERGED: any of them is for the checks to judge.
    ODD_FLAGS = 15
    IMMEDIATE = 2

cdef int64_t SECOND_NS = 1000000000
cdef int64_t GROWTH_NS_MAX = 60000000000
# More than this many 1e-6 shares is for the checks: products below stay in 64 bits.
cdef int64_t SIZE_SANE = 100000000000000


cdef void *_slot(const uint8_t[::1] buffer, size_t size_bytes) except NULL:
    if <size_t>buffer.shape[0] < size_bytes or <size_t>&buffer[0] & 7:
        raise ValueError(
            f"slot of {buffer.shape[0]} bytes, expected {size_bytes} on an 8-byte boundary"
        )
    return <void *>&buffer[0]


@cython.final
cdef class Case:
    """One signal on its way to its decision: read from its slot, changed by the checks."""

    cdef readonly uint64_t id
    cdef readonly uint64_t cause
    cdef readonly int64_t event_ns
    cdef readonly int64_t recv_ns
    cdef readonly int64_t decoded_ns
    cdef readonly int64_t published_ns
    cdef readonly int64_t decided_ns
    cdef readonly int64_t expires_ns
    cdef readonly double confidence
    cdef readonly double expected_value
    cdef readonly int64_t suggested_e6
    cdef readonly uint64_t group
    cdef readonly uint32_t instrument
    cdef readonly uint32_t generation
    cdef readonly int32_t limit_price_e4
    cdef readonly int action
    cdef readonly int urgency
    cdef readonly int leg
    cdef readonly int legs
    cdef readonly int mode
    cdef readonly uint32_t epoch
    cdef readonly uint32_t market
    cdef readonly int outcome
    cdef readonly bint buys
    cdef readonly bint immediate
    cdef char _module[16]
    cdef tuple _key
    cdef public int64_t size_e6
    cdef public int rule
    cdef public int64_t limit
    cdef public int64_t was
    cdef public int cut_rule
    cdef public int64_t cut_limit
    cdef public int64_t cut_was
    cdef public int64_t unit_cost_e6
    cdef public int32_t unwind_price_e4
    cdef public int64_t unwind_unit_e6
    cdef public object facts
    cdef public object holding
    cdef public object view
    cdef public object walk

    def __init__(self, buffer, uint32_t epoch):
        """Read the signal in a slot-sized buffer; epoch is its writer's."""
        cdef uint8_t[::1] slot = buffer
        cdef const ll_signal8 *raw = <const ll_signal8 *>_slot(slot, sizeof(ll_signal8))
        self.read(raw, epoch)

    cdef void read(self, const ll_signal8 *raw, uint32_t epoch) noexcept:
        self.id = raw.id
        self.cause = raw.cause
        self.event_ns = raw.event_ns
        self.recv_ns = raw.recv_ns
        self.decoded_ns = raw.decoded_ns
        self.published_ns = raw.published_ns
        self.decided_ns = raw.decided_ns
        self.expires_ns = raw.expires_ns
        self.confidence = raw.confidence
        self.expected_value = raw.expected_value
        self.suggested_e6 = raw.size_suggestion_e6
        self.group = raw.group
        self.instrument = raw.instrument
        self.generation = raw.generation
        self.limit_price_e4 = raw.limit_price_e4
        self.action = raw.action
        self.urgency = raw.urgency
        self.leg = raw.leg
        self.legs = raw.legs
        self.mode = raw.mode
        self.epoch = epoch
        self.market = raw.instrument >> 1
        self.outcome = raw.instrument & 1
        self.buys = raw.action == 0
        self.immediate = raw.urgency == IMMEDIATE
        memcpy(self._module, raw.module, 16)
        self.size_e6 = raw.size_suggestion_e6

    @property
    def module(self):
        """Name of the module, NUL-padded."""
        return PyBytes_FromStringAndSize(self._module, 16)

    @property
    def key(self):
        """The wish itself: who wants which token which way."""
        if self._key is None:
            self._key = (self.module, self.instrument, self.action)
        return self._key

    @property
    def direction(self):
        """+1 for what gains when YES rises, -1 for the opposite."""
        return 1 if self.buys == (self.outcome == 0) else -1

    def refuse(self, int rule, int64_t limit, int64_t was):
        """Keep why it is refused; return the rule."""
        self.rule = rule
        self.limit = limit
        self.was = was
        return rule

    def cut(self, int64_t size_e6, int rule, int64_t limit, int64_t was):
        """Make it smaller; the rule that cut most is the one that is told."""
        if size_e6 < self.size_e6:
            self.size_e6 = size_e6
            self.cut_rule = rule
            self.cut_limit = limit
            self.cut_was = was


@cython.final
cdef class CaseReader:
    """The signals reader's private slot, bound once."""

    cdef const uint8_t[::1] _buffer
    cdef const ll_signal8 *_raw

    def __init__(self, buffer):
        """Bind the buffer of a StreamReader for signals."""
        self._buffer = buffer
        self._raw = <const ll_signal8 *>_slot(self._buffer, sizeof(ll_signal8))

    def case(self, uint32_t epoch):
        """Return the signal that was polled last as a case; epoch is its writer's."""
        cdef Case case = Case.__new__(Case)
        case.read(self._raw, epoch)
        return case


@cython.final
cdef class OwnOrder:
    """One intent or order of ours that may still trade."""

    cdef readonly uint64_t intent
    cdef readonly uint32_t instrument
    cdef readonly uint32_t market
    cdef readonly int outcome
    cdef readonly int action
    cdef readonly int32_t price_e4
    cdef readonly uint64_t group
    cdef readonly int64_t expires_ns
    cdef readonly int64_t size_e6
    cdef public int64_t held_e6
    cdef public bint sent
    cdef public bint filled

    def __init__(
        self,
        uint64_t intent,
        uint32_t instrument,
        int action,
        int32_t price_e4,
        int64_t size_e6,
        int64_t held_e6,
        uint64_t group,
        int64_t expires_ns,
    ):
        """size_e6: shares it may still trade; held_e6: cash it may still take, with fees."""
        self.intent = intent
        self.instrument = instrument
        self.market = instrument >> 1
        self.outcome = instrument & 1
        self.action = action
        self.price_e4 = price_e4
        self.size_e6 = size_e6
        self.held_e6 = held_e6
        self.group = group
        self.expires_ns = expires_ns


@cython.final
cdef class IntentSlot:
    """The intents writer's private slot, bound once."""

    cdef uint8_t[::1] _buffer
    cdef ll_intent8 *_raw

    def __init__(self, buffer):
        """Bind the buffer of a StreamWriter for intents."""
        self._buffer = buffer
        self._raw = <ll_intent8 *>_slot(self._buffer, sizeof(ll_intent8))

    cpdef void write(
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
    ) noexcept:
        """Fill the slot with the intent of a case."""
        cdef ll_intent8 *raw = self._raw
        raw.id = intent
        raw.cause = case.cause
        raw.signal = case.id
        raw.group = group
        raw.target = 0
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
        memcpy(raw.module, case._module, 16)

    def write_alone(
        self,
        Case case,
        uint64_t intent,
        int64_t checked_ns,
        int64_t life_ns_max,
        uint32_t config_generation,
        int order_type,
    ):
        """Fill the slot with the immediate BUY that FastPath approved; return it as our order."""
        cdef Walk walk = <Walk?>case.walk
        cdef int64_t cash_e6 = walk.cost_e6 - walk.cost_e6 % CENT
        cdef int64_t rate_e6 = case.facts.rate_e6
        cdef int64_t expires_ns = min(case.expires_ns, checked_ns + life_ns_max)
        cdef int64_t held_e6 = cash_e6
        # A walk under a cent spends nothing by the floor, but its cash is held all the same.
        if held_e6 == 0:
            held_e6 = (walk.worst_price_e4 * case.size_e6 + ONE - 1) // ONE
        held_e6 += <int64_t>((<i128>held_e6 * rate_e6 + MILLION - 1) // MILLION)
        self.write(
            case,
            intent,
            0,
            checked_ns,
            expires_ns,
            cash_e6,
            0,
            walk.worst_price_e4,
            walk.touch_price_e4,
            config_generation,
            order_type,
            0,
        )
        return OwnOrder(
            intent,
            case.instrument,
            case.action,
            walk.worst_price_e4,
            case.size_e6,
            held_e6,
            0,
            expires_ns,
        )


@cython.final
cdef class DecisionSlot:
    """The decisions writer's private slot, bound once."""

    cdef uint8_t[::1] _buffer
    cdef ll_decision8 *_raw

    def __init__(self, buffer):
        """Bind the buffer of a StreamWriter for decisions."""
        self._buffer = buffer
        self._raw = <ll_decision8 *>_slot(self._buffer, sizeof(ll_decision8))

    def write(
        self,
        Case case,
        uint64_t decision,
        uint64_t intent,
        int64_t size_e6,
        int64_t checked_ns,
        uint32_t config_generation,
        int rule,
        int64_t limit,
        int64_t was,
        int approved,
    ):
        """Fill the slot with how a case ended."""
        cdef ll_decision8 *raw = self._raw
        raw.id = decision
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
        raw.approved = <uint8_t>approved
        raw.action = <uint8_t>case.action
        raw.limit_price_e4 = case.limit_price_e4
        raw.group = <uint32_t>case.group
        memcpy(raw.module, case._module, 16)


@cython.final
cdef class FastPath:
    """Approves one immediate BUY that nothing cuts; anything else is left to the checks."""

    cdef object _state
    cdef dict _facts
    cdef object _exposure
    cdef dict _holdings
    cdef dict _correlated
    cdef object _own
    cdef dict _by_market
    cdef dict _by_intent
    cdef object _read
    cdef BookView _view
    cdef object _is_fresh
    cdef object _intents_free
    cdef object _decisions_free
    cdef int64_t _decisions_reserve
    cdef int64_t _market_ppm
    cdef int64_t _correlated_ppm
    cdef int64_t _total_ppm
    cdef int64_t _locked_ppm
    cdef int64_t _notional_max
    cdef int64_t _notional_min
    cdef int64_t _shares_max
    cdef int64_t _band
    cdef int64_t _open_max
    cdef double _value_min
    cdef int _mode_min
    cdef bint _whole_depth
    cdef int64_t _rungs[RUNGS_MAX]
    cdef int _rung_count
    cdef bint _off
    cdef int64_t _per_s
    cdef int64_t _burst_e9
    cdef int64_t _tokens_e9
    cdef int64_t _tokens_ns

    def __init__(self, state, read, BookView view not None):
        """Bind the state; read and view are the book table's reader and the view over it."""
        self._state = state
        self._facts = state.facts
        self._exposure = state.exposure
        self._holdings = state.exposure.holdings
        self._correlated = state.exposure.correlated_e6
        self._own = state.own
        self._by_market = state.own.by_market
        self._by_intent = state.own.by_intent
        self._read = read
        self._view = view
        self._is_fresh = state.shards.is_fresh
        self._intents_free = state.intents_free
        self._decisions_free = state.decisions_free
        self._decisions_reserve = state.decisions_reserve
        self.set_limits(state.limits)
        self._tokens_e9 = self._burst_e9
        self._tokens_ns = 0

    def set_limits(self, limits):
        """Take new limits."""
        self._market_ppm = limits.market_loss_max_ppm
        self._correlated_ppm = limits.correlated_loss_max_ppm
        self._total_ppm = limits.total_loss_max_ppm
        self._locked_ppm = limits.cash_locked_max_ppm
        self._notional_max = limits.order_notional_e6_max
        self._notional_min = limits.order_notional_e6_min
        self._shares_max = limits.order_shares_e6_max
        self._band = limits.price_band_e4
        self._open_max = limits.open_orders_max
        self._value_min = limits.expected_value_usd_min
        self._mode_min = limits.mode_min
        self._per_s = limits.orders_per_s
        self._burst_e9 = limits.orders_burst * SECOND_NS
        self._whole_depth = limits.depth_share_max_ppm >= MILLION
        self._rung_count = len(limits.size_rungs_e6)
        self._off = self._rung_count > RUNGS_MAX
        if not self._off:
            for at in range(self._rung_count):
                self._rungs[at] = limits.size_rungs_e6[at]

    cpdef bint take_tokens(self, int64_t count, int64_t now_ns):
        """Spend order tokens; False, and none spent, when they are not there."""
        cdef int64_t grown_ns = now_ns - self._tokens_ns
        if grown_ns > 0:
            self._tokens_ns = now_ns
            self._tokens_e9 += min(grown_ns, GROWTH_NS_MAX) * self._per_s
        self._tokens_e9 = min(self._tokens_e9, self._burst_e9)
        if self._tokens_e9 < count * SECOND_NS:
            return False
        self._tokens_e9 -= count * SECOND_NS
        return True

    cdef int64_t _floor(self, int64_t size_e6, int64_t step_e6) noexcept:
        cdef int at
        if not self._rung_count:
            return size_e6 - size_e6 % step_e6
        for at in range(self._rung_count - 1, -1, -1):
            if self._rungs[at] <= size_e6 and self._rungs[at] % step_e6 == 0:
                return self._rungs[at]
        return 0

    def approve(self, Case case, int64_t now_ns):
        """Return True with size, walk and facts filled in, or False and nothing changed."""
        cdef int64_t size_e6, tick_e4, step_e6, rate_e6, price_e4 = case.limit_price_e4
        cdef int64_t unit_e6, need_e6, spend_e6, cost_e6, bankroll_e6, held_e6, loss_e6, together_e6
        cdef int64_t worst_e4
        cdef object state = self._state, facts, holding, bucket, correlation
        cdef BookView view
        cdef Walk walk
        cdef const ll_row8 *row
        if (
            self._off
            or case.legs != 1
            or not case.immediate
            or case.action != 0
            or case.mode < self._mode_min
            or not self._whole_depth
            or not case.expected_value > self._value_min
            or state.halt_code
            or state.waiting
            or state.drawdown_halted
            or case.market in self._by_market
        ):
            return False
        facts = self._facts.get(case.market)
        holding = self._holdings.get(case.market)
        if facts is None or <int64_t>facts.generation != case.generation:
            return False
        if holding is None:
            holding = self._exposure.holding(facts)
        if (
            <int64_t>holding.generation != case.generation
            or not facts.tradeable
            or not facts.start_known
            or self._read(case.market) <= 0
        ):
            return False
        view = self._view
        row = view.live()
        tick_e4 = facts.tick_e4
        if (
            row.book_flags & ODD_FLAGS
            or row.generation != case.generation
            or <int64_t>row.tick_e4 != tick_e4
            or not self._is_fresh(row.shard, row.connection_generation, now_ns)
        ):
            return False
        if price_e4 % tick_e4 or not tick_e4 <= price_e4 <= ONE - tick_e4:
            return False
        step_e6 = facts.step_e6
        size_e6 = case.size_e6
        if not 0 < size_e6 < SIZE_SANE:
            return False
        size_e6 = self._floor(size_e6, step_e6)
        if size_e6 <= 0 or size_e6 < <int64_t>facts.min_size_e6 or size_e6 > self._shares_max:
            return False
        if not self._notional_min <= price_e4 * size_e6 // ONE <= self._notional_max:
            return False
        rate_e6 = facts.rate_e6
        walk = view._walk(case.outcome, 0, size_e6, -1, price_e4, rate_e6, facts.exponent)
        if walk.filled_e6 != size_e6 or walk.levels != 1:
            # A cut or an impact to weigh.
            return False
        worst_e4 = walk.worst_price_e4
        unit_e6 = worst_e4 * 100
        unit_e6 += (unit_e6 * rate_e6 + MILLION - 1) // MILLION
        need_e6 = <int64_t>((<i128>size_e6 * unit_e6 + MILLION - 1) // MILLION)
        cost_e6 = walk.cost_e6
        spend_e6 = cost_e6 - cost_e6 % CENT
        if spend_e6 < self._notional_min:
            return False
        bankroll_e6 = state.bankroll_e6
        bucket = holding.bucket
        loss_e6 = <int64_t>holding.held_loss_e6 + <int64_t>holding.in_flight_e6
        correlation = bucket.correlation
        if correlation:
            together_e6 = self._correlated.get(correlation, 0)
        else:
            together_e6 = <int64_t>bucket.held_loss_e6 + <int64_t>bucket.in_flight_e6
        if (
            loss_e6 + need_e6 > _share(bankroll_e6, self._market_ppm)
            or together_e6 + need_e6 > _share(bankroll_e6, self._correlated_ppm)
            or <int64_t>self._exposure.total_e6 + need_e6 > _share(bankroll_e6, self._total_ppm)
        ):
            return False
        held_e6 = <int64_t>self._exposure.in_flight_e6 + <int64_t>self._own.reserve_e6
        if (
            held_e6 + need_e6 > <int64_t>state.cash_e6
            or <int64_t>self._exposure.cost_e6 + held_e6 + need_e6
            > _share(bankroll_e6, self._locked_ppm)
            or <int64_t>self._intents_free() < 1
            or <int64_t>self._decisions_free() < self._decisions_reserve
            or len(self._by_intent) + 1 > self._open_max
            or not self.take_tokens(1, now_ns)
        ):
            return False
        case.size_e6 = size_e6
        case.facts = facts
        case.holding = holding
        case.view = view
        case.walk = walk
        case.unit_cost_e6 = unit_e6
        return True


cdef inline int64_t _share(int64_t amount_e6, int64_t ppm) noexcept nogil:
    return <int64_t>(<i128>amount_e6 * ppm // MILLION)
