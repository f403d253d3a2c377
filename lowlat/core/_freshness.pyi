from typing import Self, final

from lowlat.core.ports import TableReader

__all__ = ["Shards"]

@final
class Shards:
    """Shard rows as last seen; one is read again only when its version word moved (50 ns)."""

    def __new__(cls, shards: TableReader, silent_ns_max: int) -> Self:
        """Bind the reader; a shard is dead when it said nothing for silent_ns_max (above 0)."""

    def is_fresh(self, shard: int, connection_generation: int, now_ns: int) -> bool:
        """Return whether a row of this shard and connection may be traded on."""
