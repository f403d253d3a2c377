# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Own orders in arrays: found by intent, counted by market, kept in order of arrival.

Owned by risk; no I/O.
"""

cimport cython
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from lowlat.risk._exposure cimport Holding
from lowlat.risk._scores cimport Score

__all__ = ["OrderCells", "OwnOrder"]

cdef enum:
    FIRST_ROOM = 256


@cython.final
@cython.freelist(16)
cdef class OwnOrder:
    """One intent or order of ours that may still trade."""

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
        Holding holding not None,
        Score score not None,
        int64_t promise_e6 = 0,
    ):
        """size_e6: shares it may still trade; held_e6: cash it may still take, with fees.

        ``score`` is its module's; ``promise_e6`` what the module says a share is worth beyond cost.
        """
        fill(
            self,
            intent,
            instrument,
            action,
            price_e4,
            size_e6,
            held_e6,
            group,
            expires_ns,
            holding,
            score,
            promise_e6,
        )


cdef OwnOrder order_of(
    uint64_t intent,
    uint32_t instrument,
    int action,
    int32_t price_e4,
    int64_t size_e6,
    int64_t held_e6,
    uint64_t group,
    int64_t expires_ns,
    Holding holding,
    Score score,
    int64_t promise_e6,
):
    """Make an order as its constructor does, without a Python call."""
    cdef OwnOrder order = OwnOrder.__new__(OwnOrder)
    fill(
        order,
        intent,
        instrument,
        action,
        price_e4,
        size_e6,
        held_e6,
        group,
        expires_ns,
        holding,
        score,
        promise_e6,
    )
    return order


cdef void fill(
    OwnOrder order,
    uint64_t intent,
    uint32_t instrument,
    int action,
    int32_t price_e4,
    int64_t size_e6,
    int64_t held_e6,
    uint64_t group,
    int64_t expires_ns,
    Holding holding,
    Score score,
    int64_t promise_e6,
) noexcept:
    order.intent = intent
    order.instrument = instrument
    order.market = instrument >> 1
    order.outcome = instrument & 1
    order.action = action
    order.price_e4 = price_e4
    order.size_e6 = size_e6
    order.held_e6 = held_e6
    order.group = group
    order.expires_ns = expires_ns
    order.holding = holding
    order.score = score
    order.promise_e6 = promise_e6


cdef class OrderCells:
    """All own orders. A look-up runs from the newest back: reports are about those."""

    def __cinit__(self):
        self._orders = []

    def __dealloc__(self):
        PyMem_Free(self._intents)
        PyMem_Free(self._open)

    def __len__(self):
        return PyList_GET_SIZE(self._orders)

    def __iter__(self):
        return iter(self._orders)

    def __contains__(self, uint64_t intent):
        return self.place_of(intent) >= 0

    def get(self, uint64_t intent):
        """Return the order of an intent, or None."""
        return self.find(intent)

    def add(self, OwnOrder order not None):
        """Count an order in; each intent once."""
        assert self.place_of(order.intent) < 0, f"intent {order.intent} was counted in before"
        self.put(order)

    def remove(self, OwnOrder order not None):
        """Count an order out."""
        self.drop(order)

    def orders_in(self, uint32_t market):
        """Return how many orders of a market may still trade."""
        return self.open_in(market)

    cdef Py_ssize_t place_of(self, uint64_t intent) noexcept:
        cdef Py_ssize_t at = PyList_GET_SIZE(self._orders)
        while at > 0:
            at -= 1
            if self._intents[at] == intent:
                return at
        return -1

    cdef OwnOrder find(self, uint64_t intent):
        cdef Py_ssize_t at = self.place_of(intent)
        return None if at < 0 else <OwnOrder>self._orders[at]

    cdef uint32_t open_in(self, uint32_t market) noexcept:
        return self._open[market] if market < self._markets else 0

    cdef Py_ssize_t count(self):
        return PyList_GET_SIZE(self._orders)

    cdef int put(self, OwnOrder order) except -1:
        cdef Py_ssize_t at = PyList_GET_SIZE(self._orders)
        if at == self._room or order.market >= self._markets:
            self._grow(order.market)
        self._orders.append(order)
        self._intents[at] = order.intent
        self._open[order.market] += 1
        return 0

    cdef int drop(self, OwnOrder order) except -1:
        cdef Py_ssize_t at = self.place_of(order.intent)
        assert at >= 0, f"intent {order.intent} was counted out twice"
        del self._orders[at]
        memmove(
            &self._intents[at],
            &self._intents[at + 1],
            <size_t>(PyList_GET_SIZE(self._orders) - at) * sizeof(uint64_t),
        )
        self._open[order.market] -= 1
        return 0

    def _grow(self, uint32_t market):
        """Make room for one order more, and for a market of this number."""
        cdef Py_ssize_t room = max(FIRST_ROOM, 2 * self._room)
        cdef uint32_t markets = max(FIRST_ROOM, self._markets)
        if PyList_GET_SIZE(self._orders) == self._room:
            intents = <uint64_t *>PyMem_Realloc(self._intents, <size_t>room * sizeof(uint64_t))
            if intents == NULL:
                raise MemoryError(f"no memory for {room} orders")
            self._intents = intents
            self._room = room
        while markets <= market:
            markets *= 2
        if markets > self._markets:
            counts = <uint32_t *>PyMem_Realloc(self._open, <size_t>markets * sizeof(uint32_t))
            if counts == NULL:
                raise MemoryError(f"no memory for {markets} markets")
            memset(counts + self._markets, 0, (markets - self._markets) * sizeof(uint32_t))
            self._open = counts
            self._markets = markets
