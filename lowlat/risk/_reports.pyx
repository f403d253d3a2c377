# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Take the executor's reports: those of a lone BUY here, every other one by the account.

Owned by risk; no I/O. Behind each order come at least two of them, so they cost what the next
order waits. A test runs both ways over the same reports and compares the account.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from lowlat.core._ends cimport poll_end, row_end
from lowlat.core.layout cimport LL_ACTION_BUY, LL_KIND_REPORT, ll_report
from lowlat.risk._cells cimport slot_at
from lowlat.risk._exposure cimport ExposureCells
from lowlat.risk._orders cimport OrderCells, OwnOrder

__all__ = ["ReportReader"]

cdef enum:
    REPORTS_A_TURN = 128
    EMPTY = 0
    OVERRUN = -1


cdef uint64_t bits_of(numbers) except? 0:
    return sum([1 << number for number in numbers])


@cython.final
cdef class ReportReader:
    """Reading end of the reports, bound to the money that they change."""

    def __cinit__(
        self,
        reports,
        cash,
        OrderCells own not None,
        ExposureCells exposure not None,
        *,
        terminal,
        orders_only,
        take_report,
        read_cash,
        lost,
    ):
        """terminal: order states; orders_only: kinds that say nothing of positions.

        ``take_report(now_ns)`` takes what is in the buffer, ``lost(now_ns)`` believes the tables
        after an overrun, ``read_cash()`` is called when the cash row is not ``cash_version``.
        """
        self._buffer = reports.buffer
        self._raw = <const ll_report *>slot_at(self._buffer, sizeof(ll_report))
        self._reports = poll_end(reports)
        self._cash = row_end(cash)
        self._own = own
        self._exposure = exposure
        self._terminal = bits_of(terminal)
        self._orders_only = bits_of(orders_only)
        self._take_report = take_report
        self._read_cash = read_cash
        self._lost = lost
        self.plain = True

    def take(self, int64_t now_ns):
        """Take what the executor said; return how many reports there were."""
        cdef int kind = self._reports.c_poll()
        return self.take_polled(kind, now_ns) if kind != EMPTY else 0

    cdef int64_t take_polled(self, int kind, int64_t now_ns) except -1:
        """Do what ``take`` does, given the kind of a report that was polled."""
        cdef int64_t done = 0
        while kind != EMPTY:
            done += 1
            if kind == LL_KIND_REPORT:
                if not self._hear():
                    self._take_report(now_ns)
            elif kind == OVERRUN:
                self._lost(now_ns)
            if done == REPORTS_A_TURN:
                break
            kind = self._reports.c_poll()
        if self._cash.c_version(0) != self.cash_version:
            self._read_cash()
        self._reports.c_release()
        self._exposure.total_due = True
        return done

    cdef bint _hear(self) except -1:
        """Follow a lone BUY; False, and nothing changed, for what the account shall take."""
        cdef const ll_report *raw = self._raw
        cdef OwnOrder own
        cdef bint over
        if (
            not self.plain
            or raw.group
            or not raw.intent
            or raw.kind > 63
            or raw.order_state > 63
            or not self._orders_only >> raw.kind & 1
        ):
            return False
        over = self._terminal >> raw.order_state & 1
        own = self._own.find(raw.intent)
        if own is None:
            # Not ours any more when it is over; else an order that the executor made by itself.
            return over
        if own.group or own.action != LL_ACTION_BUY:
            return False
        own.sent = True
        if raw.filled_e6 > 0:
            own.filled = True
        if over and not raw.reserved_e6:
            self._own.drop(own)
            if own.held_e6:
                own.score.in_flight_e6 -= own.held_e6
                self._exposure.add_cash(own.holding, -own.held_e6)
            return True
        own.score.in_flight_e6 += raw.reserved_e6 - own.held_e6
        self._exposure.add_cash(own.holding, raw.reserved_e6 - own.held_e6)
        own.held_e6 = raw.reserved_e6
        return True
