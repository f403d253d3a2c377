"""What the venue bounds, as far as settings are checked against it. No codec is needed for that."""

from typing import Final

__all__ = ["SHARD_ASSETS_MAX"]

SHARD_ASSETS_MAX: Final = 200
"""Assets a market connection carries with certainty. Source: polymarket.md 8.1."""
