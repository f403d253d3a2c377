"""Which token of a resolved market won: the CLOB's long market object.

Run by the metadata engine after a market closed. The flags come minutes after the end; until
exactly one token is flagged nothing is known. Source: polymarket.md 1.2, feeds.md 3.2.
"""

from typing import Final

import msgspec

from lowlat.venues.polymarket.market_info import check_condition_id, check_token_ids
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = ["Resolution", "decode_resolution", "resolution_path"]


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """``winning_token`` is None while the venue has not flagged one."""

    condition_id: str
    closed: bool
    winning_token: str | None


class _Token(msgspec.Struct, gc=False):
    token_id: str
    winner: bool


class _Market(msgspec.Struct, gc=False):
    condition_id: str
    closed: bool
    tokens: tuple[_Token, _Token]


_decode: Final = msgspec.json.Decoder(_Market).decode


def resolution_path(condition_id: str) -> str:
    """Return the path of a market's long object."""
    return f"/markets/{condition_id}"


def decode_resolution(payload: Payload) -> Resolution:
    """Decode the outcome of one market. Raises RemoteProtocolError."""
    try:
        wire = _decode(payload)
    except BAD_JSON as error:
        raise malformed("/markets", payload, error) from error
    check_token_ids(*(token.token_id for token in wire.tokens))
    winners = [token.token_id for token in wire.tokens if token.winner]
    if len(winners) > 1:
        raise malformed("/markets", payload, "both tokens won")
    return Resolution(
        check_condition_id(wire.condition_id), wire.closed, winners[0] if winners else None
    )
