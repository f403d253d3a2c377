"""Gamma's tags: what the universe's filters can name.

Run by the metadata engine. Pure. Source: polymarket.md 11.1.
"""

from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = ["Tag", "decode_tags"]


class Tag(msgspec.Struct, frozen=True, gc=False):
    """One tag; markets name it by ``slug``."""

    id: str
    slug: str
    label: str = ""


_decode: Final = msgspec.json.Decoder(tuple[Tag, ...]).decode


def decode_tags(payload: Payload) -> tuple[Tag, ...]:
    """Decode ``GET /tags``. Raises RemoteProtocolError; a list must be whole."""
    try:
        tags = _decode(payload)
    except BAD_JSON as error:
        raise malformed("/tags", payload, error) from error
    for tag in tags:
        if not (tag.id and tag.slug):
            raise RemoteProtocolError(f"/tags: tag {tag.id[:40]!r} has no id or slug")
    return tags
