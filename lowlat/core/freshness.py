"""Whether a book row is fresh: its connection is its shard's newest, and the shard is alive.

Asked by signals, risk and executor, each over its own reader of the shard table; compiled, so that
their kernels ask without a Python call (``_freshness.pxd``). A quiet market stays fresh; a row
whose socket is gone does not. Source: design 7.
"""

from lowlat.core._freshness import Shards

__all__ = ["Shards"]
