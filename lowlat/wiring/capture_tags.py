"""Tags of a capture's entries: what a process was given, in the order in which it was given.

One entry is a tag byte, a number, and what the table says follows. Numbers are zigzag varints;
those of times are differences to the last time. A blob is its length and its bytes::

    CLOCK time            WALL offset           SALT salt             HALTED code of others
    TURN time             START, STOP           SENT result, BLOB     IDLE connections
    DIAL number           OPEN link             CLOSE link, BLOB      TEXT result
    FRAME time, ARG, BLOB                       ASKED accepted        FETCHED n, ARG, TIME, BLOB
    ANSWER key, ARG, TIME, BLOB, BLOB           LOST key, TIME
    HALT code, BLOB       RESUME, DRAIN         RELOAD n, BLOB        CANCEL order
    STOPPED, TIME, BLOB   CELL value            INJECT, BLOB          CHECK ns, BLOB
    OUT stream, ARG, BLOB SUM stream, ARG, ARG  LAPPED stream         HEADER, BLOB

The first group answers what engines asked; from TURN to CHECK something acts on them; the last
says what came of it. ``_capture.pxd`` has the same numbers for compiled code; a test compares.
"""

from enum import IntEnum

__all__ = ["STIMULI", "Tag"]


class Tag(IntEnum):
    """What an entry of a capture says."""

    HEADER = 1
    CLOCK = 2
    """A reading of the monotonic clock."""
    WALL = 3
    """A reading of the wall clock, less the last time."""
    SALT = 4
    HALTED = 5
    """What the halt cells of other processes said."""
    SENT = 6
    """What the transport did with a request, and the request without its secrets."""
    IDLE = 7
    TEXT = 8
    """Whether a text frame could be sent."""
    ASKED = 9
    """Whether a REST client took a request."""
    DIAL = 10
    ARG = 11
    TIME = 12
    BLOB = 13
    PRIVATE = 14
    """A blob in which the API key is replaced. On its way only: it is written as BLOB."""
    REQUEST = 15
    """The same for a request, which also loses its signature and header lines."""
    START = 20
    STOP = 21
    TURN = 22
    OPEN = 23
    CLOSE = 24
    FRAME = 25
    FETCHED = 26
    ANSWER = 27
    LOST = 28
    HALT = 29
    RESUME = 30
    DRAIN = 31
    RELOAD = 32
    CANCEL = 33
    STOPPED = 34
    """The executor was halted because a cell elsewhere was set."""
    CELL = 35
    """Our halt cell was set to match the executor."""
    INJECT = 36
    CHECK = 37
    """Balances were to be compared with the venue's."""
    OUT = 40
    """A record of ours, whole."""
    SUM = 41
    """Some records of a stream: how many, and one checksum over them."""
    LAPPED = 42
    """Records of a stream that we were too slow to read back: they are not compared."""


STIMULI = frozenset(range(Tag.START, Tag.CHECK + 1))
"""Entries that act on the engines."""
