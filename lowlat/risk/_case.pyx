# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Read signals from their slots, and remember which wishes were granted lately.

Owned by risk; no I/O.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from lowlat.core.layout cimport ll_signal
from lowlat.risk._cells cimport slot_at

__all__ = ["Case", "CaseReader", "Granted"]

cdef enum:
    LOW = 0
    IMMEDIATE = 2
    # Power of two; more wishes than this within one duplicate window would outrun any venue.
    WISHES = 4096


@cython.final
cdef class Case:
    """One signal on its way to its decision: read from its slot, changed by the checks."""

    cdef void read(self, const ll_signal *raw) noexcept:
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
        self.epoch = raw.epoch
        self.market = raw.instrument >> 1
        self.outcome = raw.instrument & 1
        self.buys = raw.action == 0
        self.immediate = raw.urgency == IMMEDIATE
        memcpy(self.module_words, raw.module, 16)
        self.size_e6 = raw.size_suggestion_e6
        # The plain path reads one case again and again.
        self.cut_rule = 0

    def copy(self):
        """Return another case of the same wish as it came, before any check."""
        cdef Case made = Case.__new__(Case)
        made.id = self.id
        made.cause = self.cause
        made.event_ns = self.event_ns
        made.recv_ns = self.recv_ns
        made.decoded_ns = self.decoded_ns
        made.published_ns = self.published_ns
        made.decided_ns = self.decided_ns
        made.expires_ns = self.expires_ns
        made.confidence = self.confidence
        made.expected_value = self.expected_value
        made.suggested_e6 = self.suggested_e6
        made.group = self.group
        made.instrument = self.instrument
        made.generation = self.generation
        made.limit_price_e4 = self.limit_price_e4
        made.action = self.action
        made.urgency = self.urgency
        made.leg = self.leg
        made.legs = self.legs
        made.mode = self.mode
        made.epoch = self.epoch
        made.market = self.market
        made.outcome = self.outcome
        made.buys = self.buys
        made.immediate = self.immediate
        memcpy(made.module_words, self.module_words, 16)
        made.size_e6 = self.size_e6
        # Exits come with the rule that asks for them.
        made.cut_rule = self.cut_rule
        made.cut_limit = self.cut_limit
        made.cut_was = self.cut_was
        return made

    @property
    def module(self):
        """Name of the module, NUL-padded."""
        return PyBytes_FromStringAndSize(<const char *>self.module_words, 16)

    @property
    def takes_back(self):
        """Whether it wishes that what its module rests on this side of the token is canceled."""
        return self.urgency == LOW and self.suggested_e6 == 0 and self.legs == 1

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

    def __cinit__(self, buffer):
        self._buffer = buffer
        self.raw = <const ll_signal *>slot_at(self._buffer, sizeof(ll_signal))

    def case(self):
        """Return the signal that was polled last as a case."""
        cdef Case case = Case.__new__(Case)
        case.read(self.raw)
        return case


@cython.final
cdef class Granted:
    """The last wishes that were sent, in order of time: who wanted which token which way."""

    def __cinit__(self):
        self._wishes = <wish_t *>PyMem_Malloc(WISHES * sizeof(wish_t))
        if self._wishes == NULL:
            raise MemoryError(f"no memory for {WISHES} wishes")

    def __dealloc__(self):
        PyMem_Free(self._wishes)

    def age(self, Case case not None, int64_t now_ns, int64_t window_ns):
        """Return how long ago the same wish was granted, or -1 when not within the window.

        The same is: the same side of the same token; ``by_other`` says whether to another module.
        """
        return self.age_ns(case, now_ns, window_ns)

    def add(self, Case case not None, int64_t now_ns):
        """Remember a wish that was sent; times never fall."""
        self.add_wish(case, now_ns)

    cdef int64_t age_ns(self, Case case, int64_t now_ns, int64_t window_ns) noexcept:
        cdef uint64_t at = self._count
        cdef uint64_t end = self._count - WISHES if self._count > WISHES else 0
        cdef const wish_t *wish
        # Newest first, and no further than the window: few orders fit into it at any rate.
        while at > end:
            at -= 1
            wish = &self._wishes[at % WISHES]
            if now_ns - wish.at_ns >= window_ns:
                return -1
            if wish.instrument == case.instrument and wish.action == <uint32_t>case.action:
                self.by_other = (
                    wish.module[0] != case.module_words[0]
                    or wish.module[1] != case.module_words[1]
                )
                return now_ns - wish.at_ns
        return -1

    cdef void add_wish(self, Case case, int64_t now_ns) noexcept:
        cdef wish_t *wish = &self._wishes[self._count % WISHES]
        wish.module[0] = case.module_words[0]
        wish.module[1] = case.module_words[1]
        wish.instrument = case.instrument
        wish.action = <uint32_t>case.action
        wish.at_ns = now_ns
        self._count += 1
