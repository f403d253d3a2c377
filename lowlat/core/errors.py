"""The one error tree. Raised by every layer, caught only where a decision can be made.

::

    LowlatError
    ├── ConfigError            a key, its value, what is allowed
    ├── LayoutError            shared memory of another version or shape
    ├── SegmentError           a segment that is missing, owned, stale or does not fit
    ├── ProtocolError          not instantiated: one of the two below
    │   ├── LocalProtocolError     we broke the venue's rules
    │   └── RemoteProtocolError    the venue broke them: drop, count, sample
    ├── VenueReject            the venue said no, with its words
    ├── OutcomeUnknown         sent, and nobody knows what became of it
    ├── LedgerError            the ledger's database: which, what it said
    ├── RiskBlocked            a limit, its value, what was asked
    └── StaleData              a row whose connection is gone

Programming faults are ``assert`` or built-in exceptions and end the process.
"""

__all__ = [
    "ConfigError",
    "LayoutError",
    "LedgerError",
    "LocalProtocolError",
    "LowlatError",
    "OutcomeUnknown",
    "ProtocolError",
    "RemoteProtocolError",
    "RiskBlocked",
    "SegmentError",
    "StaleData",
    "VenueReject",
]


class LowlatError(Exception):
    """Root of everything raised on purpose."""


class ConfigError(LowlatError):
    """A configuration that cannot be used; the message names key, value and what is allowed."""


class LayoutError(LowlatError):
    """Shared memory laid out by another build; the message prints both sides."""


class SegmentError(LowlatError):
    """A segment that is missing, already owned, left over or does not fit in /dev/shm."""


class ProtocolError(LowlatError):
    """Common parent of the two ways a protocol breaks."""


class LocalProtocolError(ProtocolError):
    """We were about to send what the venue forbids."""


class RemoteProtocolError(ProtocolError):
    """The venue sent what its protocol forbids; the message is dropped and counted."""


class VenueReject(LowlatError):
    """Positive evidence that the venue refused."""


class OutcomeUnknown(LowlatError):
    """An order left and no answer says what became of it. Never a reject."""


class LedgerError(LowlatError):
    """The ledger's database cannot be used or did not take a batch; says which and why."""


class RiskBlocked(LowlatError):
    """A hard limit stopped an order."""


class StaleData(LowlatError):
    """A value was read whose source is no longer connected."""
