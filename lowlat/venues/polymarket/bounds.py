"""What the venue bounds, as far as settings are checked against it. No codec is needed for that."""

from typing import Final

__all__ = ["BOOKS_MAX", "SHARD_ASSETS_MAX"]

SHARD_ASSETS_MAX: Final = 200
"""Assets a market connection carries with certainty. Source: polymarket.md 8.1."""
BOOKS_MAX: Final = 500
"""Books one POST /books asks for. Source: docs.polymarket.com, trading/orderbook (batches)."""
