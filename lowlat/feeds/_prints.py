"""Names for prints that the venue does not name. Source: polymarket.md 8.2."""

import hashlib

from lowlat.venues.polymarket.market import LastTrade

__all__ = ["trade_digest"]


def trade_digest(event: LastTrade) -> int:
    """Return a 64-bit id made of what tells prints apart: token, side, price, size, time."""
    text = f"{event.asset_id}|{event.side}|{event.price}|{event.size}|{event.timestamp}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
