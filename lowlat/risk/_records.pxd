"""Index of _records.pyx: names and slots of what risk writes."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from lowlat.core._ends cimport CountEnd, PublishEnd
from lowlat.core.layout cimport ll_decision, ll_intent, ll_turn
from lowlat.risk._case cimport Case


@cython.final
cdef class Names:
    cdef uint64_t _writer
    cdef uint64_t _seq

    cdef inline uint64_t after(self) noexcept:
        """Return the next name without using it up."""
        return self._writer | (self._seq + 1)

    cdef inline uint64_t use(self) noexcept:
        self._seq += 1
        return self._writer | self._seq


@cython.final
cdef class IntentSlot:
    cdef uint8_t[::1] _buffer
    cdef ll_intent *_raw
    cdef uint64_t _target
    cdef PublishEnd _intents
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
    ) except -1


@cython.final
cdef class DecisionWriter:
    cdef uint8_t[::1] _buffer
    cdef ll_decision *_raw
    cdef ll_turn *_turn
    cdef PublishEnd _decisions
    cdef object _cell
    cdef CountEnd _cuts
    cdef list _counts
    cdef Names _names
    cdef int64_t _free_known
    cdef int64_t room(self, int64_t wanted) except -1
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
    ) except -1
    cdef int say_approved(
        self, Case case, uint64_t intent, int64_t checked_ns, uint32_t config_generation
    ) except -1
    cdef CountEnd _count(self, int rule, bint approved)
    cdef int say_turn(
        self,
        int64_t now_ns,
        uint64_t signals,
        uint64_t metadata,
        uint64_t reports,
        int64_t wall_offset_ns,
    ) except -1
