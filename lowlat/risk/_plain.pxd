"""Index of _plain.pyx: the way of a signal that nothing stops, and the turn around it."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from lowlat.book._view cimport BookView
from lowlat.core._ends cimport ClockEnd, CountEnd, HaltEnd, PollEnd, RecordEnd, RowEnd, TurnEnd
from lowlat.core._freshness cimport Shards
from lowlat.risk._case cimport Case, CaseReader, Granted
from lowlat.risk._cells cimport ByMarket, FactCells, Outlay, Pace, StateCells
from lowlat.risk._exposure cimport ExposureCells, Holding
from lowlat.risk._orders cimport OrderCells
from lowlat.risk._records cimport DecisionWriter, IntentSlot, Names
from lowlat.risk._reports cimport ReportReader
from lowlat.risk._scores cimport Score, ScoreCells

cdef enum:
    RUNGS_MAX = 32

ctypedef struct bounds_t:
    int64_t market_ppm
    int64_t correlated_ppm
    int64_t total_ppm
    int64_t locked_ppm
    int64_t notional_max
    int64_t notional_min
    int64_t shares_max
    int64_t open_max
    int64_t window_ns
    int64_t life_ns_max
    double value_min
    int64_t series_ppm
    int64_t source_ppm
    int64_t long_ppm
    int64_t kelly_error_e6
    int64_t window_grace_ns
    int64_t past_end_ns
    int risk_score_max
    int mode_min
    int order_type
    bint whole_depth
    int rung_count
    int64_t rungs[RUNGS_MAX]

# The shares of one bankroll in cash: they change with it only, once a day or by a limit.
ctypedef struct most_t:
    int64_t bankroll_e6
    int64_t market_e6
    int64_t correlated_e6
    int64_t total_e6
    int64_t locked_e6
    int64_t series_e6
    int64_t source_e6
    int64_t long_e6

ctypedef struct order_t:
    int64_t size_e6
    int32_t price_e4
    int64_t spend_e6
    int64_t need_e6
    int64_t held_e6
    int64_t unit_e6
    int64_t promise_e6
    int64_t kelly_e6
    int64_t asked_e6


@cython.final
cdef class PlainPath(TurnEnd):
    cdef StateCells _state
    cdef ByMarket _facts
    cdef ByMarket _holdings
    cdef ExposureCells _exposure
    cdef OrderCells _own
    cdef Shards _shards
    cdef BookView _view
    cdef Pace _pace
    cdef Outlay _outlay
    cdef ScoreCells _scores
    cdef Granted _granted
    cdef Names _names
    cdef IntentSlot _intents
    cdef DecisionWriter _decisions
    cdef ReportReader _reports
    cdef CaseReader _reader
    cdef Case _case
    cdef object _aggregator
    cdef dict _groups
    cdef dict _rows_due
    cdef PollEnd _metadata
    cdef PollEnd _reports_end
    cdef PollEnd _signals
    cdef RowEnd _books
    cdef HaltEnd _halted
    cdef ClockEnd _clock
    cdef RecordEnd _latency
    cdef CountEnd _backlog
    cdef CountEnd _intents_sent
    cdef object _take_markets
    cdef object _take_more
    cdef object _watch
    cdef int64_t _decisions_reserve
    cdef uint32_t _generation
    cdef bounds_t _bounds
    cdef most_t _most
    cdef bint _too_many_rungs
    cdef bint _alone
    cdef uint64_t _intent
    cdef int64_t _checked_ns
    cdef bint _turn_due
    cdef int _busy_turns
    cdef int64_t _watch_ns
    cdef public bint plain
    cdef int64_t _advance(self, int64_t now_ns) except -1
    cdef int _settle(self) except -1
    cdef int64_t _take_signals(self, int64_t now_ns) except -1
    cdef bint _try_alone(self, Case case, int64_t now_ns) except -1
    cdef void _share_out(self, int64_t bankroll_e6) noexcept
    cdef bint _is_plain(self, Case case) noexcept
    cdef bint _is_open(self, Case case, FactCells facts, int64_t now_ns) noexcept
    cdef bint _price(
        self, Case case, FactCells facts, Holding holding, int64_t now_ns, order_t *order
    ) except -1
    cdef bint _weigh(
        self, Case case, FactCells facts, Holding holding, order_t *order
    ) except -1
    cdef int64_t _floor(self, int64_t size_e6, int64_t step_e6) noexcept
    cdef bint _affords(
        self, Holding holding, Score score, const order_t *order, int64_t now_ns
    ) except -1
    cdef bint _send(
        self, Case case, Holding holding, Score score, const order_t *order, int64_t now_ns
    ) except -1
