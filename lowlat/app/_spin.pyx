# cython: language_level=3, boundscheck=False, wraparound=False
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""One turn of a process' loop, compiled: a busy loop does little else, so it must cost little.

Run by runtime.py only, as a callback that schedules itself again.
"""

cimport cython
from libc.stdint cimport int64_t

from lowlat.net._link cimport PollWatch

from lowlat.core.clock import monotonic_ns

__all__ = ["Spin"]


@cython.final
cdef class Spin:
    """Call every engine's turn, each time or at most once in ``spaced_ns``.

    Engines whose work comes with frames or by time need no more than the latter: the sockets are
    polled all the same, by the event loop, between two spins. The heartbeat beats with the engines.
    """

    cdef tuple _turns
    cdef object _schedule
    cdef object _fail
    cdef object _stopped
    cdef object _beat
    cdef object _count
    cdef object _record
    cdef object _now_ns
    cdef PollWatch _watch
    cdef int64_t _spaced_ns
    cdef int64_t _due_ns
    cdef int64_t _spins
    cdef public bint stopping

    def __init__(
        self, tuple turns not None, cells, schedule, fail, stopped, PollWatch watch,
        int64_t spaced_ns,
    ):
        """``schedule`` takes the next call, ``fail`` the error of a turn, ``stopped`` the end."""
        self._turns = turns
        self._schedule = schedule
        self._fail = fail
        self._stopped = stopped
        self._beat = cells.heartbeat.set
        self._count = cells.turns.add
        self._record = cells.turn_ns.record
        self._now_ns = monotonic_ns
        self._watch = watch
        self._spaced_ns = spaced_ns

    def __call__(self):
        """Do one turn and schedule the next."""
        cdef int64_t now_ns = self._now_ns()
        cdef int64_t worked = 0
        if self._watch is not None:
            self._watch.end(now_ns)
        self._spins += 1
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + self._spaced_ns
            try:
                for turn in self._turns:
                    worked += turn(now_ns)
            except BaseException as error:
                # A loop callback must hand it to run(): the loop itself would only log it.
                self._fail(error)
                return
            self._beat(now_ns)
            self._count(self._spins)
            self._spins = 0
            if worked:
                self._record(self._now_ns() - now_ns)
            if self.stopping:
                self._stopped()
                return
        self._schedule(self)
