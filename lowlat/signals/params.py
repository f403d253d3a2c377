"""Settings of the signals engine, without the engine: processes without it read the config too."""

from typing import Final

import msgspec

__all__ = ["EngineParams"]

_S_NS: Final = 1_000_000_000


class EngineParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a turn and of freshness."""

    records_a_turn: int = 256
    shard_silent_ns_max: int = 15 * _S_NS
    """A shard that received nothing for so long is not alive, whatever its row says."""
