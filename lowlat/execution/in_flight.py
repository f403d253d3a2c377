"""Which request an answer belongs to: keys handed to the transport and what they asked."""

from enum import IntEnum

from lowlat.execution._desk import InFlight, Question

__all__ = ["Asked", "InFlight", "Question"]


class Asked(IntEnum):
    """What kind of request a key stands for."""

    ORDER = 1
    BATCH = 2
    CANCEL = 3
    LOOKUP_ORDER = 4
    LOOKUP_TRADES = 5
    HEARTBEAT = 6
    RECONCILE = 7
