# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Pass on to a module in Python only the books that it waits for; any other costs comparisons.

For modules whose decision is rare: they say which prices matter and when to ask again, and pay for
Python only then. Called by ``_path.BookPath``; no I/O.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

from lowlat.book._slots cimport ll_row8
from lowlat.book._view cimport BookView
from lowlat.signals._look cimport Look

__all__ = ["Watch"]

cdef enum:
    ONE = 10000


@cython.final
cdef class Watch(Look):
    """Calls ``look(view, now_ns)`` for one market's books when one of these holds.

    A token can be bought at or under its ``_max_e4`` (0: never); the touch left the band from
    ``_low_e4`` to ``_high_e4`` (a side without a price counts as 0 for bids, 10000 for asks); or
    ``due_ns`` came. None before ``not_before_ns``. All of it is the module's to set.
    """

    def __init__(self, uint32_t market, look):
        """Call ``look`` for every book until something else is said."""
        self._call = look
        self.market = market
        self.bid_high_e4 = self.ask_high_e4 = ONE

    def rest(self):
        """Wait for nothing but what is set after this."""
        self.yes_max_e4 = self.no_max_e4 = 0
        self.bid_low_e4 = self.ask_low_e4 = 0
        self.bid_high_e4 = self.ask_high_e4 = ONE
        self.not_before_ns = 0
        self.due_ns = INT64_MAX

    cdef int at(self, BookView book, int64_t now_ns) except -1:
        cdef const ll_row8 *row = book.live()
        cdef int64_t bid_e4 = row.bid_price_e4[0] if row.bid_count else 0
        cdef int64_t ask_e4 = row.ask_price_e4[0] if row.ask_count else ONE
        if now_ns < self.not_before_ns:
            return 0
        if (
            now_ns >= self.due_ns
            or ask_e4 <= self.yes_max_e4
            or ONE - bid_e4 <= self.no_max_e4
            or bid_e4 < self.bid_low_e4
            or bid_e4 > self.bid_high_e4
            or ask_e4 < self.ask_low_e4
            or ask_e4 > self.ask_high_e4
        ):
            self._call(book, now_ns)
        return 0
