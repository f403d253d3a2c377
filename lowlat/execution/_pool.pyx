# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Signed orders by what they are, compiled: an open-addressing table keyed by machine integers.

Part of TemplatePool, which fills it in idle turns; the compiled path takes from it. No I/O.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

__all__ = ["Hot", "Ready", "ReadyOrders"]


cdef inline uint64_t _hash(
    uint32_t instrument, uint8_t action, int64_t maker_e6, int64_t taker_e6
) noexcept:
    """Mix a key; never 0, which marks a slot as empty."""
    cdef uint64_t mixed = (<uint64_t>instrument << 8 | action) * <uint64_t>0x9E3779B97F4A7C15
    mixed = ((mixed ^ mixed >> 29) + <uint64_t>maker_e6) * <uint64_t>0xBF58476D1CE4E5B9
    mixed = ((mixed ^ mixed >> 32) + <uint64_t>taker_e6) * <uint64_t>0x94D049BB133111EB
    return (mixed ^ mixed >> 31) | 1


@cython.final
cdef class Hot:
    """Interest in one side of one token, and the orders it wants signed."""

    def __init__(self, uint32_t instrument, uint8_t action):
        self.instrument = instrument
        self.action = action
        self.version = -1
        self.prices_e4 = {}
        self.keys = {}


@cython.final
cdef class Ready:
    """An order signed and rendered; ``wire`` is the whole request, signed for ``timestamp_s``.

    ``post`` is how it was rendered: order type, +4 for post-only.
    """

    def __init__(
        self,
        tuple key not None,
        uint32_t generation,
        template,
        request,
        int post,
        Hot hot,
        int64_t signed_ns,
    ):
        """key: instrument, action, maker amount, taker amount; request: renewed already.

        Without ``hot`` it is for one use and never kept.
        """
        self.key = key
        self.instrument, self.action, self.maker_e6, self.taker_e6 = key
        self.generation = generation
        self.exchange = template.exchange
        self.template = template
        self.order_id = template.order_id
        self.salt = template.order.salt
        self.timestamp_ms = template.order.timestamp_ms
        self.post = post
        self.hot = hot
        self.signed_ns = signed_ns
        self._request = request
        self.wire = request.wire
        self.timestamp_s = request.timestamp_s

    def renew(self, int64_t timestamp_s):
        """Sign the request for another second."""
        self.renewed(timestamp_s)

    cdef int renewed(self, int64_t timestamp_s) except -1:
        self._request.renew(timestamp_s)
        self.wire = self._request.wire
        self.timestamp_s = timestamp_s
        return 0


@cython.final
cdef class ReadyOrders:
    """Ready orders by key. ``todo`` holds the keys that idle turns are to sign next, last first.

    ``hits`` and ``misses`` count what was asked for, ``late`` requests renewed when taken.
    """

    def __cinit__(self, uint64_t orders_max):
        cdef uint64_t size = 16
        # At most half full: a probe rarely goes past its first slot.
        while size < 2 * orders_max:
            size *= 2
        self._mask = size - 1
        self._hashes = <uint64_t *>PyMem_Calloc(size, sizeof(uint64_t))
        self._slots = <PyObject **>PyMem_Calloc(size, sizeof(PyObject *))
        if self._hashes == NULL or self._slots == NULL:
            raise MemoryError(f"no memory for {orders_max} ready orders")
        self.todo = []

    def __dealloc__(self):
        cdef uint64_t at
        if self._hashes != NULL and self._slots != NULL:
            for at in range(self._mask + 1):
                if self._hashes[at]:
                    Py_DECREF(<object>self._slots[at])
        PyMem_Free(self._hashes)
        PyMem_Free(self._slots)

    def __len__(self):
        return self._count

    def __contains__(self, tuple key not None):
        return self._find_key(key) >= 0

    def __iter__(self):
        return iter([ready.key for ready in self.values()])

    def values(self):
        """Return what is ready, in no order."""
        cdef uint64_t at
        return [<object>self._slots[at] for at in range(self._mask + 1) if self._hashes[at]]

    def get(self, tuple key not None):
        """Return the order of a key, None when it is not ready."""
        cdef int64_t at = self._find_key(key)
        return <object>self._slots[at] if at >= 0 else None

    def put(self, Ready ready not None):
        """Keep an order whose key is not in."""
        cdef uint64_t hashed = _hash(
            ready.instrument, ready.action, ready.maker_e6, ready.taker_e6
        )
        cdef uint64_t at = hashed & self._mask
        assert self._find_key(ready.key) < 0, f"{ready.key} is ready already"
        assert self._count * 2 <= <int64_t>self._mask, "more orders than the table was made for"
        while self._hashes[at]:
            at = (at + 1) & self._mask
        Py_INCREF(ready)
        self._hashes[at] = hashed
        self._slots[at] = <PyObject *>ready
        self._count += 1

    def pop(self, tuple key not None):
        """Return an order and forget it, None when it is not ready."""
        cdef int64_t at = self._find_key(key)
        return self._remove(at) if at >= 0 else None

    def take_key(self, tuple key not None, int exchange):
        """Hand an order out, never again; None is a miss."""
        cdef uint32_t instrument
        cdef uint8_t action
        cdef int64_t maker_e6, taker_e6
        instrument, action, maker_e6, taker_e6 = key
        return self.take(instrument, action, maker_e6, taker_e6, exchange)

    cdef Ready take(
        self, uint32_t instrument, uint8_t action, int64_t maker_e6, int64_t taker_e6, int exchange
    ):
        cdef uint64_t hashed = _hash(instrument, action, maker_e6, taker_e6)
        cdef int64_t at = self._find(hashed, instrument, action, maker_e6, taker_e6)
        cdef Ready ready = self._remove(at) if at >= 0 else None
        if ready is None or ready.exchange != exchange:
            self.misses += 1
            return None
        self.hits += 1
        return ready

    cdef int64_t _find(
        self, uint64_t hashed, uint32_t instrument, uint8_t action, int64_t maker_e6,
        int64_t taker_e6,
    ) noexcept:
        cdef uint64_t at = hashed & self._mask
        cdef Ready ready
        while self._hashes[at]:
            if self._hashes[at] == hashed:
                ready = <Ready>self._slots[at]
                if (
                    ready.instrument == instrument
                    and ready.action == action
                    and ready.maker_e6 == maker_e6
                    and ready.taker_e6 == taker_e6
                ):
                    return <int64_t>at
            at = (at + 1) & self._mask
        return -1

    cdef int64_t _find_key(self, tuple key) except -2:
        cdef uint32_t instrument
        cdef uint8_t action
        cdef int64_t maker_e6, taker_e6
        instrument, action, maker_e6, taker_e6 = key
        return self._find(
            _hash(instrument, action, maker_e6, taker_e6), instrument, action, maker_e6, taker_e6
        )

    cdef Ready _remove(self, int64_t at):
        """Empty a slot and move up what had to give way to it, so that probes need no marks."""
        cdef uint64_t hole = <uint64_t>at, next_at = (<uint64_t>at + 1) & self._mask
        cdef Ready ready = <Ready>self._slots[at]
        while self._hashes[next_at]:
            # An entry may move back to the hole unless its own place lies behind the hole.
            if ((next_at - self._hashes[next_at]) & self._mask) >= ((next_at - hole) & self._mask):
                self._hashes[hole] = self._hashes[next_at]
                self._slots[hole] = self._slots[next_at]
                hole = next_at
            next_at = (next_at + 1) & self._mask
        self._hashes[hole] = 0
        self._slots[hole] = NULL
        self._count -= 1
        Py_DECREF(ready)
        return ready
