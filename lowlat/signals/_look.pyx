# cython: language_level=3, boundscheck=False, wraparound=False
# cython: auto_pickle=False
"""Who looks at a book or at an exchange price: a module's callback, or a compiled look of its own.

Called by ``_path.BookPath``, which contains what they raise; no I/O.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t

from lowlat.book._view cimport BookView
from lowlat.core.layout cimport ll_spot_top

from lowlat.core.layout import SPOT_TOP

__all__ = ["Look", "PythonLook", "PythonSpotLook", "SpotLook"]

cdef object _unpack_spot = SPOT_TOP.unpack


cdef int check_slot(str what, const uint8_t[::1] buffer, size_t size_bytes) except -1:
    """Refuse a buffer that a record does not fit in."""
    if <size_t>buffer.shape[0] < size_bytes or <size_t>&buffer[0] & 7:
        raise ValueError(
            f"{what} buffer was {buffer.shape[0]} bytes, expected {size_bytes} or more on an "
            f"8-byte boundary"
        )
    return 0


cdef class Look:
    """How one module looks at one market's books. Subclass it in Cython, override ``at``."""

    def bind(self, seat, int mode):
        """Say whose look it is, and in which mode its signals go."""
        self.seat = seat
        self.mode = mode

    def __call__(self, BookView book not None, int64_t now_ns):
        """Look at a book from Python, as tests and their twins do."""
        self.at(book, now_ns)

    cdef int at(self, BookView book, int64_t now_ns) except -1:
        """Look at a fresh book; signals go to the outlet."""
        raise NotImplementedError


@cython.final
cdef class PythonLook(Look):
    """Calls a module's on_book."""

    def __init__(self, on_book):
        """Call ``on_book(view, now_ns)``."""
        self._on_book = on_book

    cdef int at(self, BookView book, int64_t now_ns) except -1:
        self._on_book(book, now_ns)
        return 0


cdef class SpotLook:
    """How one module looks at exchange prices. Subclass it in Cython, override ``at``."""

    def bind(self, seat, int mode):
        """Say whose look it is, and in which mode its signals go."""
        self.seat = seat
        self.mode = mode

    def __call__(self, const uint8_t[::1] top, int64_t now_ns):
        """Look at a SPOT_TOP record from Python, as tests and their twins do."""
        check_slot("spot", top, sizeof(ll_spot_top))
        self.at(<const ll_spot_top *>&top[0], now_ns)

    cdef int at(self, const ll_spot_top *top, int64_t now_ns) except -1:
        """Look at the newest touch of a coin; signals go to the outlet."""
        raise NotImplementedError


@cython.final
cdef class PythonSpotLook(SpotLook):
    """Calls a module's on_spot."""

    def __init__(self, on_spot):
        """Call ``on_spot(SpotTop, now_ns)``."""
        self._on_spot = on_spot

    cdef int at(self, const ll_spot_top *top, int64_t now_ns) except -1:
        self._on_spot(_unpack_spot((<const char *>top)[:sizeof(ll_spot_top)]), now_ns)
        return 0
