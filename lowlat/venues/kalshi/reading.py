"""How an answer of Kalshi is read: decode, turn into values, or one error with a sample.

Used by this venue's codecs only.
"""

from collections.abc import Callable
from typing import TypeVar

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = ["read"]

_T = TypeVar("_T")
_W = TypeVar("_W")


def read(
    what: str, decoder: Callable[[Payload], _W], payload: Payload, value: Callable[[_W], _T]
) -> _T:
    """Return what ``value`` makes of a decoded answer. Raises RemoteProtocolError."""
    try:
        return value(decoder(payload))
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed(what, payload, error) from error
