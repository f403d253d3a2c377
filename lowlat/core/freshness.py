"""Whether a book row is fresh: its connection is its shard's newest, and the shard is alive.

Asked by signals, risk and executor, each over its own reader of the shard table. A quiet market
stays fresh; a row whose socket is gone does not. Source: design 7.
"""

from lowlat.core.layout import SHARD_ROW
from lowlat.core.ports import READ_BUSY, READ_NEVER, TableReader

__all__ = ["Shards"]


class Shards:
    """Shard rows as last seen; one is read again only when its version word moved (0.2 us)."""

    def __init__(self, shards: TableReader, silent_ns_max: int) -> None:
        assert silent_ns_max > 0, f"silent_ns_max was {silent_ns_max}, expected above 0"
        self._table = shards
        self._rows = shards.rows
        self._silent_ns_max = silent_ns_max
        self._versions = [0] * shards.rows
        self._generations = [-1] * shards.rows
        """Connection generation of a live shard, -1 of a dead or unknown one."""
        self._data_ns = [0] * shards.rows

    def is_fresh(self, shard: int, connection_generation: int, now_ns: int) -> bool:
        """Return whether a row of this shard and connection may be traded on."""
        if shard >= self._rows:
            return False
        if self._table.version(shard) != self._versions[shard]:
            self._read(shard)
        return (
            self._generations[shard] == connection_generation
            and now_ns - self._data_ns[shard] <= self._silent_ns_max
        )

    def _read(self, shard: int) -> None:
        version = self._table.read(shard)
        if version in (READ_BUSY, READ_NEVER):
            # Busy keeps the last value for this once: the next question reads again.
            return
        row = SHARD_ROW.unpack(self._table.buffer)
        self._versions[shard] = version
        self._generations[shard] = row.connection_generation if row.alive else -1
        self._data_ns[shard] = row.last_data_ns
