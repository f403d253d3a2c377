# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""One turn of risk, and the whole way of a signal that comes alone and that nothing stops.

Run by RiskEngine; no I/O. From polling to the published intent there is no Python frame. Only an
immediate BUY that every check of ``lowlat.risk.checks`` would pass, cut by nothing but the ladder,
goes this way; for anything else this says no, with nothing changed, and the checks decide. A test
runs both over the same inputs and compares bytes and state.
"""

cimport cython
from libc.stdint cimport INT64_MIN, int64_t, uint32_t, uint64_t

from lowlat.book._slots cimport ll_row8
from lowlat.book._view cimport fee_e14, level_price, side_view
from lowlat.core._ends cimport (
    TurnEnd,
    clock_end,
    count_end,
    halt_end,
    poll_end,
    record_end,
    row_end,
)
from lowlat.core.layout cimport (
    LL_ACTION_BUY,
    LL_BOOKFLAG_CROSSED,
    LL_BOOKFLAG_DIVERGED,
    LL_BOOKFLAG_LOCKED,
    LL_BOOKFLAG_STALE,
    LL_KIND_SIGNAL,
)
from lowlat.risk._case cimport Case, CaseReader
from lowlat.risk._cells cimport (
    CENT,
    MILLION,
    ONE,
    FactCells,
    edge_of,
    kelly_fits,
    kelly_most,
)
from lowlat.risk._exposure cimport Bucket, Holding
from lowlat.risk._orders cimport order_of
from lowlat.risk._records cimport DecisionWriter, IntentSlot, Names
from lowlat.risk._reports cimport ReportReader
from lowlat.risk._scores cimport Score

from lowlat.core.layout import OrderType, Rule

__all__ = ["PlainPath"]

cdef extern from *:
    """
    typedef __int128 ll_i128;
    """
    ctypedef long long i128 "ll_i128"

cdef enum:
    EMPTY = 0
    SIGNALS_A_TURN = 32
    # Marks, exposure rows and look-ups wait for an idle turn, but not for more turns than this.
    BUSY_TURNS_MAX = 32
    E14_OF_E6 = 100000000
    # Any of these is for the checks to judge.
    ODD_FLAGS = (
        LL_BOOKFLAG_STALE | LL_BOOKFLAG_CROSSED | LL_BOOKFLAG_LOCKED | LL_BOOKFLAG_DIVERGED
    )
    EXPONENT_MAX = 4

# More than this many 1e-6 shares is for the checks: products below stay in 64 bits.
cdef int64_t SIZE_SANE = 10000000000000
# Likewise a bankroll of more than ten million dollars.
cdef int64_t BANKROLL_SANE = 10000000000000
# Below 2**43 a product with a share of one, in 1e-6, stays in 64 bits.
cdef int64_t NARROW = 8796093022208
cdef int FOK = OrderType.FOK
cdef int FAK = OrderType.FAK
cdef int RULE_KELLY = Rule.KELLY


cdef inline int64_t share(int64_t amount_e6, int64_t ppm) noexcept nogil:
    return <int64_t>(<i128>amount_e6 * ppm // MILLION)


cdef inline int64_t share_up(int64_t amount_e6, int64_t share_e6) noexcept nogil:
    """Return a share of an amount, both 0 or more, rounded up; a wide product is a slow one."""
    if amount_e6 < NARROW and share_e6 <= MILLION:
        return (amount_e6 * share_e6 + MILLION - 1) // MILLION
    return <int64_t>((<i128>amount_e6 * share_e6 + MILLION - 1) // MILLION)


cdef inline int64_t with_fee(int64_t cash_e6, int64_t rate_e6) noexcept nogil:
    """Add the most that trading this much cash can cost in fees (state.fee_bound_e6)."""
    return cash_e6 + share_up(cash_e6, rate_e6)


@cython.final
cdef class PlainPath(TurnEnd):
    """The engine's turn. ``plain`` False leaves every signal to the checks."""

    def __cinit__(
        self,
        ports,
        state,
        limits,
        config_generation,
        *,
        aggregator,
        directory,
        Names names not None,
        IntentSlot intents not None,
        DecisionWriter decisions not None,
        ReportReader reports not None,
        CaseReader reader not None,
        latency,
        intents_sent,
        take_markets,
        take_more,
        watch,
    ):
        """Bind everything once.

        ``take_markets(kind)`` takes market rows, ``take_more(kind, done, room, now_ns)`` the
        signals that are not plain, ``watch(now_ns)`` does what time asks for and returns when it
        wants to be called again, though nothing changed.
        """
        self._state = state
        self._facts = state.facts
        self._exposure = state.exposure
        self._holdings = state.exposure.holdings
        self._own = state.own
        self._shards = state.shards
        self._view = state.view
        self._pace = state.pace
        self._outlay = state.outlay
        self._scores = state.scores
        self._aggregator = aggregator
        self._granted = aggregator.granted
        self._groups = aggregator.groups
        self._rows_due = directory.due
        self._names = names
        self._intents = intents
        self._decisions = decisions
        self._reports = reports
        self._reader = reader
        self._case = Case.__new__(Case)
        self._metadata = poll_end(ports.metadata)
        self._reports_end = poll_end(ports.reports)
        self._signals = poll_end(ports.signals)
        self._books = row_end(ports.books)
        self._halted = halt_end(ports.halted)
        self._clock = clock_end(ports.clock)
        self._latency = record_end(latency)
        self._backlog = count_end(ports.cell("risk.decisions_full"))
        self._intents_sent = count_end(intents_sent)
        self._decisions_reserve = ports.decisions_reserve
        self._take_markets = take_markets
        self._take_more = take_more
        self._watch = watch
        self._watch_ns = INT64_MIN
        self.plain = True
        self.set_limits(limits, config_generation)

    def set_limits(self, limits, uint32_t config_generation):
        """Take new limits, and the config generation that decisions carry."""
        cdef bounds_t *bounds = &self._bounds
        self._generation = config_generation
        bounds.market_ppm = limits.market_loss_max_ppm
        bounds.correlated_ppm = limits.correlated_loss_max_ppm
        bounds.total_ppm = limits.total_loss_max_ppm
        bounds.locked_ppm = limits.cash_locked_max_ppm
        bounds.notional_max = limits.order_notional_e6_max
        bounds.notional_min = limits.order_notional_e6_min
        bounds.shares_max = limits.order_shares_e6_max
        bounds.open_max = limits.open_orders_max
        bounds.window_ns = limits.duplicate_window_ns
        bounds.life_ns_max = limits.intent_life_ns_max
        bounds.value_min = limits.expected_value_usd_min
        bounds.series_ppm = limits.series_loss_max_ppm
        bounds.source_ppm = limits.source_loss_max_ppm
        bounds.long_ppm = limits.long_locked_max_ppm
        bounds.kelly_error_e6 = limits.kelly_error_e4 * 100
        bounds.window_grace_ns = -limits.window_left_ns_min
        bounds.past_end_ns = limits.past_end_ns_max
        bounds.risk_score_max = limits.resolution_score_full
        bounds.mode_min = limits.mode_min
        bounds.order_type = FOK if limits.single_fill_or_kill else FAK
        bounds.whole_depth = limits.depth_share_max_ppm >= MILLION
        bounds.rung_count = len(limits.size_rungs_e6)
        self._too_many_rungs = bounds.rung_count > RUNGS_MAX
        if not self._too_many_rungs:
            for at in range(bounds.rung_count):
                bounds.rungs[at] = limits.size_rungs_e6[at]
        # The marks' interval may be another.
        self._watch_ns = INT64_MIN
        self._most.bankroll_e6 = INT64_MIN

    # ------------------------------------------------------------------------------- turn
    def turn(self, int64_t now_ns):
        """Take what is new and decide on it; return how much was done."""
        cdef int64_t done = self._advance(now_ns)
        if self._turn_due:
            self._settle()
        return done

    def advance(self, int64_t now_ns):
        """Do what ``turn`` does but for records that no order has to wait for.

        ``settle`` writes them, before the next input is taken.
        """
        return self._advance(now_ns)

    def settle(self):
        """Write what ``advance`` left: the decision on a signal sent by itself, the turn."""
        self.c_settle()

    cdef int64_t c_advance(self, int64_t now_ns) except -1:
        return self._advance(now_ns)

    cdef int c_settle(self) except -1:
        if self._turn_due:
            self._settle()
        return 0

    cdef int64_t _advance(self, int64_t now_ns) except -1:
        cdef int64_t done = 0
        cdef int kind
        if self._turn_due:
            self._settle()
        self._state.now_ns = now_ns
        kind = self._metadata.c_poll()
        if kind != EMPTY or len(self._rows_due):
            done += <int64_t>self._take_markets(kind)
        kind = self._reports_end.c_poll()
        if kind != EMPTY:
            done += self._reports.take_polled(kind, now_ns)
        done += self._take_signals(now_ns)
        if done:
            self._turn_due = True
            self._busy_turns += 1
            if self._busy_turns < BUSY_TURNS_MAX and not self._state.waiting:
                return done
        self._busy_turns = 0
        if (
            now_ns >= self._watch_ns
            or self._exposure.total_due
            or len(self._exposure.changed)
            or self._state.waiting
        ):
            self._watch_ns = self._watch(now_ns)
        return done

    cdef int _settle(self) except -1:
        cdef Case case = self._case
        self._turn_due = False
        if self._alone:
            self._alone = False
            self._decisions.say_approved(case, self._intent, self._checked_ns, self._generation)
            self._latency.c_record(max(1, self._checked_ns - case.decided_ns))
            self._intents_sent.c_add(1)
            self._signals.c_release()
        return self._decisions.say_turn(
            self._state.now_ns,
            self._signals.c_position(),
            self._metadata.c_position(),
            self._reports_end.c_position(),
            self._state.wall_offset_ns,
        )

    cdef int64_t _take_signals(self, int64_t now_ns) except -1:
        """Poll, aggregate, decide. Slots are given back once their signals are decided."""
        cdef int64_t done = 0, held = 0, room
        cdef int kind
        cdef Case case
        cdef bint waiting = len(self._groups) != 0
        if waiting:
            held = self._aggregator.held
        # A slot for each decision, and one more for the turn's own record.
        room = self._decisions.room(held + 1 + SIGNALS_A_TURN) - held - 1
        if room <= 0:
            self._backlog.c_add(1)
            return 0
        kind = self._signals.c_poll()
        if kind == EMPTY:
            if not waiting:
                return 0
        elif kind == LL_KIND_SIGNAL:
            done = 1
            case = self._case
            case.read(self._reader.raw)
            kind = self._signals.c_poll() if room > 1 else EMPTY
            if kind == EMPTY and not waiting and self._try_alone(case, now_ns):
                return 1
            # The aggregator keeps this one.
            self._case = Case.__new__(Case)
            self._aggregator.take(case, now_ns)
        return self._take_more(kind, done, room, now_ns)

    # ------------------------------------------------------------------------------- deciding
    cdef bint _try_alone(self, Case case, int64_t now_ns) except -1:
        """Send a signal that came by itself when every check would pass as it is."""
        cdef order_t order
        cdef FactCells facts
        cdef Holding holding
        cdef Score score
        if (
            not self._is_plain(case)
            or now_ns >= case.expires_ns
            or self._granted.age_ns(case, now_ns, self._bounds.window_ns) >= 0
        ):
            return False
        self._state.halt_code = self._halted.c_halted()
        facts = self._facts.at(case.market)
        score = self._scores.at(case.module_words)
        if (
            self._state.halt_code
            or facts is None
            or score is None
            or score.stopped
            or score.damp_ppm != MILLION
            or not self._is_open(case, facts, now_ns)
        ):
            return False
        holding = self._holdings.at(case.market)
        if holding is None:
            holding = self._exposure.new_holding(facts)
        return (
            holding.generation == case.generation
            and self._price(case, facts, holding, now_ns, &order)
            and self._affords(holding, score, &order, now_ns)
            and self._pace.has(1, now_ns)
            and self._send(case, holding, score, &order, now_ns)
        )

    cdef bint _is_open(self, Case case, FactCells facts, int64_t now_ns) noexcept:
        """Whether the market may be bought now, as far as its facts and the time tell."""
        cdef int64_t grace_ns = self._bounds.past_end_ns
        if facts.windowed:
            grace_ns = self._bounds.window_grace_ns
        return (
            facts.generation == case.generation
            and facts.tradeable
            and facts.start_known
            and facts.risk_score <= self._bounds.risk_score_max
            and now_ns + self._state.wall_offset_ns - facts.end_ns < grace_ns
        )

    cdef bint _is_plain(self, Case case) noexcept:
        """Whether the signal and the state are of the kind that this decides on."""
        return (
            self.plain
            and not self._too_many_rungs
            and self._bounds.whole_depth
            and case.legs == 1
            and case.immediate
            and case.action == LL_ACTION_BUY
            and case.mode >= self._bounds.mode_min
            and case.expected_value > self._bounds.value_min
            and not self._state.waiting
            and not self._state.drawdown_halted
            and not self._own.open_in(case.market)
        )

    cdef bint _price(
        self, Case case, FactCells facts, Holding holding, int64_t now_ns, order_t *order
    ) except -1:
        """Fill the order in when the best level alone serves it at its limit."""
        cdef int64_t limit_e4 = case.limit_price_e4, tick_e4 = facts.tick_e4
        cdef int64_t size_e6 = case.size_e6, cost_e6
        cdef const ll_row8 *row
        cdef side_view asks
        if self._books.c_read(case.market) <= 0:
            return False
        row = self._view.live()
        if (
            row.book_flags & ODD_FLAGS
            or row.generation != case.generation
            or <int64_t>row.tick_e4 != tick_e4
            or not self._shards.fresh(row.shard, row.connection_generation, now_ns)
            or limit_e4 % tick_e4
            or not tick_e4 <= limit_e4 <= ONE - tick_e4
            or not 0 < size_e6 < SIZE_SANE
            or not 0 <= facts.rate_e6 <= MILLION
            or not 0 <= facts.exponent <= EXPONENT_MAX
        ):
            return False
        size_e6 = self._floor(size_e6, facts.step_e6)
        if (
            size_e6 <= 0
            or size_e6 < facts.min_size_e6
            or size_e6 > self._bounds.shares_max
            or not self._bounds.notional_min
            <= limit_e4 * size_e6 // ONE
            <= self._bounds.notional_max
        ):
            return False
        asks = self._view.side(case.outcome, 1)
        if not asks.count or asks.size[0] < size_e6 or level_price(&asks, 0) > limit_e4:
            # A cut or an impact to weigh.
            return False
        order.size_e6 = size_e6
        order.price_e4 = level_price(&asks, 0)
        order.unit_e6 = with_fee(order.price_e4 * 100, facts.rate_e6)
        if not self._weigh(case, facts, holding, order):
            return False
        size_e6 = order.size_e6
        cost_e6 = (size_e6 * order.price_e4 + ONE - 1) // ONE
        order.spend_e6 = cost_e6 - cost_e6 % CENT
        if order.spend_e6 < self._bounds.notional_min:
            return False
        order.need_e6 = share_up(size_e6, order.unit_e6)
        # What spends nothing by the floor holds its cash all the same.
        order.held_e6 = with_fee(order.spend_e6 if order.spend_e6 else cost_e6, facts.rate_e6)
        return True

    cdef bint _weigh(
        self, Case case, FactCells facts, Holding holding, order_t *order
    ) except -1:
        """Cut the order to what its edge is worth of the bankroll; False when that is too small.

        What is held counts, whoever owns it; nothing is in flight here (``_is_plain``).
        """
        cdef int64_t held_e6, unit_e6, fee
        cdef int64_t bankroll_e6 = self._state.bankroll_e6, kelly_ppm = self._state.kelly_ppm
        cdef int64_t error_e6 = self._bounds.kelly_error_e6
        order.promise_e6 = edge_of(case.expected_value, case.suggested_e6)
        order.kelly_e6 = -1
        if kelly_ppm < 0:
            return True
        held_e6 = holding.shares_e6[case.outcome]
        # As checks.kelly.kelly_cost_e6: the fee of this price, 1e14 at most, not its bound.
        fee = <int64_t>fee_e14(order.price_e4, facts.rate_e6, facts.exponent)
        unit_e6 = order.price_e4 * 100 + (fee + E14_OF_E6 - 1) // E14_OF_E6
        if (
            not 0 <= bankroll_e6 < BANKROLL_SANE
            or not 0 < unit_e6 < MILLION
            or not 0 <= held_e6 < SIZE_SANE
        ):
            return False
        if kelly_fits(
            order.size_e6 + held_e6,
            bankroll_e6,
            kelly_ppm,
            order.promise_e6,
            error_e6,
            unit_e6,
        ):
            return True
        order.kelly_e6 = max(
            0,
            kelly_most(bankroll_e6, kelly_ppm, order.promise_e6, error_e6, unit_e6)
            - held_e6,
        )
        order.asked_e6 = order.size_e6
        order.size_e6 = self._floor(order.kelly_e6, facts.step_e6)
        return order.size_e6 > 0 and order.size_e6 >= facts.min_size_e6

    cdef int64_t _floor(self, int64_t size_e6, int64_t step_e6) noexcept:
        """Round a size down onto the ladder, and onto a rung where there are rungs."""
        cdef int at = self._bounds.rung_count
        if not at:
            return size_e6 - size_e6 % step_e6
        while at > 0:
            at -= 1
            if self._bounds.rungs[at] <= size_e6 and self._bounds.rungs[at] % step_e6 == 0:
                return self._bounds.rungs[at]
        return 0

    cdef void _share_out(self, int64_t bankroll_e6) noexcept:
        """Work out what the shares of a bankroll are in cash."""
        cdef const bounds_t *bounds = &self._bounds
        cdef most_t *most = &self._most
        most.bankroll_e6 = bankroll_e6
        most.market_e6 = share(bankroll_e6, bounds.market_ppm)
        most.correlated_e6 = share(bankroll_e6, bounds.correlated_ppm)
        most.total_e6 = share(bankroll_e6, bounds.total_ppm)
        most.locked_e6 = share(bankroll_e6, bounds.locked_ppm)
        most.series_e6 = share(bankroll_e6, bounds.series_ppm)
        most.source_e6 = share(bankroll_e6, bounds.source_ppm)
        most.long_e6 = share(bankroll_e6, bounds.long_ppm)

    cdef bint _affords(
        self, Holding holding, Score score, const order_t *order, int64_t now_ns
    ) except -1:
        """Whether loss limits, cash and room downstream take the order as it is."""
        cdef const most_t *most = &self._most
        cdef Bucket bucket = holding.bucket
        cdef int64_t bankroll_e6 = self._state.bankroll_e6, need_e6 = order.need_e6
        cdef int64_t together_e6, held_e6, budget_e6 = bankroll_e6
        if score.budget_ppm != MILLION:
            budget_e6 = share(bankroll_e6, score.budget_ppm)
        if most.bankroll_e6 != bankroll_e6:
            self._share_out(bankroll_e6)
        if bucket.bet is None:
            together_e6 = bucket.held_loss_e6 + bucket.in_flight_e6
        else:
            together_e6 = bucket.bet.loss_e6
        if (
            bucket.series is not None
            and bucket.series.loss_e6 + need_e6 > most.series_e6
            or bucket.source is not None
            and bucket.source.loss_e6 + need_e6 > most.source_e6
            or holding.is_long
            and self._exposure.long_e6 + need_e6 > most.long_e6
        ):
            return False
        held_e6 = self._exposure.in_flight_e6 + self._own.reserve_e6
        return (
            holding.held_loss_e6 + holding.in_flight_e6 + need_e6 <= most.market_e6
            and together_e6 + need_e6 <= most.correlated_e6
            and self._exposure.total_e6 + need_e6 <= most.total_e6
            and held_e6 + need_e6 <= self._state.cash_e6
            and self._exposure.cost_e6 + held_e6 + need_e6 <= most.locked_e6
            and score.cost_e6 + score.in_flight_e6 + need_e6
            <= budget_e6
            and need_e6 <= self._outlay.room(now_ns)
            and self._own.count() < self._bounds.open_max
            and self._decisions.room(self._decisions_reserve) >= self._decisions_reserve
            and now_ns >= self._state.full_until_ns
        )

    cdef bint _send(
        self, Case case, Holding holding, Score score, const order_t *order, int64_t now_ns
    ) except -1:
        """Publish the intent and count it in; False, and nothing changed, when the gate is shut."""
        cdef int64_t checked_ns = self._clock.c_monotonic_ns()
        cdef int64_t expires_ns = min(case.expires_ns, checked_ns + self._bounds.life_ns_max)
        cdef int64_t wished_e6 = case.size_e6
        cdef uint64_t intent = self._names.after()
        case.size_e6 = order.size_e6
        if not self._intents.put(
            case,
            intent,
            0,
            checked_ns,
            expires_ns,
            order.spend_e6,
            0,
            order.price_e4,
            order.price_e4,
            self._generation,
            self._bounds.order_type,
            0,
        ):
            case.size_e6 = wished_e6
            return False
        if order.kelly_e6 >= 0:
            case.cut_rule = RULE_KELLY
            case.cut_limit = order.kelly_e6
            case.cut_was = order.asked_e6
        self._names.use()
        self._pace.spend(1)
        self._outlay.spend(order.need_e6)
        self._own.put(
            order_of(
                intent,
                case.instrument,
                case.action,
                order.price_e4,
                order.size_e6,
                order.held_e6,
                0,
                expires_ns,
                holding,
                score,
                order.promise_e6,
            )
        )
        if order.held_e6:
            score.in_flight_e6 += order.held_e6
            self._exposure.add_cash(holding, order.held_e6)
        self._granted.add_wish(case, now_ns)
        self._intent = intent
        self._checked_ns = checked_ns
        self._alone = True
        return True
