# cython: language_level=3, boundscheck=False, wraparound=False
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""The deciding stages behind a frame, in one compiled call.

Made by Trading where all three share a process with the feed, which calls it behind each frame. It
knows the stages by their compiled parts only.
"""

cimport cython
from libc.stdint cimport int64_t

from lowlat.core._ends cimport ClockEnd, RunEnd, TurnEnd, clock_end

__all__ = ["Pump"]

cdef enum:
    # Bound of one pump: what is still due then waits for the next turn.
    ROUNDS = 4


@cython.final
cdef class Pump(RunEnd):
    """Run what a frame set off, to its end or for ROUNDS rounds."""

    cdef ClockEnd _clock
    cdef TurnEnd _signals
    cdef TurnEnd _risk
    cdef TurnEnd _executor

    def __init__(
        self, clock, TurnEnd signals not None, TurnEnd risk not None, TurnEnd executor not None
    ):
        """Bind the stages."""
        self._clock = clock_end(clock)
        self._signals = signals
        self._risk = risk
        self._executor = executor

    def __call__(self):
        """Run it from Python, as feeds without a compiled path do."""
        self.c_run()

    def advance(self, int stage):
        """Run one stage alone (0 signals, 1 risk, 2 executor); return how much it did."""
        return self._stage(stage).c_advance(self._clock.c_monotonic_ns())

    def settle(self, int stage):
        """Let one stage record what it did."""
        self._stage(stage).c_settle()

    cdef TurnEnd _stage(self, int stage):
        if stage == 0:
            return self._signals
        if stage == 1:
            return self._risk
        if stage == 2:
            return self._executor
        raise ValueError(f"stage was {stage}, expected 0 to 2")

    cdef int c_run(self) except -1:
        cdef int64_t now_ns = self._clock.c_monotonic_ns()
        cdef int _at
        for _at in range(ROUNDS):
            if not self._signals.c_advance(now_ns):
                return 0
            if self._risk.c_advance(self._clock.c_monotonic_ns()):
                self._executor.c_advance(self._clock.c_monotonic_ns())
                # Records of what was done come behind the order that it led to.
                self._risk.c_settle()
                self._executor.c_settle()
            self._signals.c_settle()
        return 0
