# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""What each module may still use, found by the 16 bytes of its name.

Owned by risk; no I/O. What fills these words is in lowlat.risk.scores.
"""

cimport cython
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

__all__ = ["Score", "ScoreCells"]

cdef enum:
    NAME_BYTES = 16
    MILLION = 1000000


@cython.final
cdef class Score:
    """Words of one module that every order of it changes or meets."""

    def __cinit__(self, bytes module not None):
        if len(module) != NAME_BYTES:
            raise ValueError(f"module was {module!r}, expected {NAME_BYTES} bytes, NUL-padded")
        self.module = module
        memcpy(self._words, <const char *>module, NAME_BYTES)
        self.budget_ppm = MILLION
        self.damp_ppm = MILLION

    @property
    def used_e6(self):
        """Cost of what it owns and cash of its orders."""
        return self.cost_e6 + self.in_flight_e6


cdef class ScoreCells:
    """All modules that were ever heard of: a handful, looked through from the first."""

    def __cinit__(self):
        self.scores = []

    def get(self, bytes module not None):
        """Return the words of a module by its padded name, or None."""
        if len(module) != NAME_BYTES:
            raise ValueError(f"module was {module!r}, expected {NAME_BYTES} bytes, NUL-padded")
        cdef uint64_t words[2]
        memcpy(words, <const char *>module, NAME_BYTES)
        return self.at(words)

    cdef Score at(self, const uint64_t *words):
        cdef Py_ssize_t at, count = PyList_GET_SIZE(self.scores)
        cdef Score score
        for at in range(count):
            score = <Score>PyList_GET_ITEM(self.scores, at)
            if score._words[0] == words[0] and score._words[1] == words[1]:
                return score
        return None
