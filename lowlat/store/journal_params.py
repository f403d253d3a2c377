"""Settings of the journal, without the journal: processes without it read the config too."""

import msgspec

__all__ = ["JournalParams"]


class JournalParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of the journal. Two files of ``rotate_bytes`` exist at most."""

    rotate_bytes: int = 16 << 20
    batch_reports_max: int = 1024
    batch_decisions_max: int = 4096
    """Of one transaction: with ten thousand a second its fsync is what costs."""
    decisions_bytes_max: int = 64 << 20
    """The decision log keeps between half of this and all of it; 0 = decisions are not kept."""
