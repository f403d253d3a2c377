"""Sizes and times of tapes: apart from the writer, which loads pyarrow."""

import msgspec

__all__ = ["TapeParams"]


class TapeParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes and times of a tape folder."""

    batch_frames: int = 4096
    batch_bytes: int = 1024 * 1024
    batch_ns: int = 1_000_000_000
    """A batch is written at the latest after this long: what a crash can cost."""
    file_bytes: int = 256 * 1024 * 1024
    file_ns: int = 3_600_000_000_000
    folder_bytes: int = 20 * 1024 * 1024 * 1024
    """Cap of all tapes in the folder; the oldest go first."""
    sync_ns: int = 10_000_000_000
    retry_ns: int = 10_000_000_000
    """Wait after the disk refused, before the next file."""
    records_a_turn: int = 1024
