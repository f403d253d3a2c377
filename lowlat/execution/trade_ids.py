"""How a venue's trade id becomes the bytes that reports carry."""

from hashlib import blake2b
from typing import Final

__all__ = ["NO_TRADE", "trade_digest", "trade_text_of"]

NO_TRADE: Final = bytes(16)
"""Where a report names no trade."""
_TEXT_BYTES: Final = 40


def trade_digest(trade_id: str) -> bytes:
    """Return blake2b-16 of the venue's text."""
    return blake2b(trade_id.encode(), digest_size=16).digest()


def trade_text_of(trade_id: str) -> bytes:
    """Return the text itself, empty when a report has no room for it (the venue's are UUIDs)."""
    raw = trade_id.encode()
    return raw if len(raw) <= _TEXT_BYTES else b""
