"""Polymarket user channel: frames to order and trade updates, subscriptions to frames.

Run by the executor. Pure: bytes in, values or RemoteProtocolError out. There is no snapshot and no
replay: after each (re)connect the open orders and the trades since are read over REST. Events come
in any order and more than once; deciding what they mean is the executor's. Source: polymarket.md 9.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.venues.polymarket.account import (
    Account,
    OrderUpdate,
    OrderWire,
    TradeUpdate,
    TradeWire,
    order_update,
    trade_update,
)
from lowlat.venues.polymarket.auth import ApiCredentials
from lowlat.venues.wire import BAD_JSON, Ignored, Payload, malformed

__all__ = [
    "PING",
    "PONG",
    "UserCodec",
    "UserEvent",
    "subscribe_frame",
    "update_frame",
]

PING: Final = b"PING"
"""Text frame, every 10 s, never before the subscription. Source: polymarket.md 8.1, 9."""
PONG: Final = b"PONG"

UserEvent = OrderUpdate | TradeUpdate | Ignored

_MARKET: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_KIND_MAX: Final = 40
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_order: Final = msgspec.json.Decoder(OrderWire).decode
_decode_trade: Final = msgspec.json.Decoder(TradeWire).decode
_encode: Final = msgspec.json.Encoder().encode


class _Head(msgspec.Struct, gc=False):
    event_type: str


_decode_head: Final = msgspec.json.Decoder(_Head).decode


class UserCodec:
    """Decodes the frames of one account's socket."""

    __slots__ = ("_account",)

    def __init__(self, account: Account) -> None:
        self._account = account

    def decode(self, payload: Payload) -> list[UserEvent]:
        """Return the events of one frame, in order; none for PONG, Ignored for unknown kinds.

        Raises RemoteProtocolError, then nothing of the frame was used. Some 15 us an event.
        """
        frame = bytes(payload)
        if frame == PONG:
            return []
        try:
            if frame.lstrip()[:1] == b"[":
                return [self._event(piece) for piece in _decode_list(frame)]
            return [self._event(frame)]
        except (*BAD_JSON, RemoteProtocolError) as error:
            # Without a sample: these frames name our API key.
            raise malformed("user frame", None, error) from error

    def _event(self, piece: bytes | msgspec.Raw) -> UserEvent:
        kind = _decode_head(piece).event_type
        if kind == "order":
            return order_update(_decode_order(piece))
        if kind == "trade":
            return trade_update(_decode_trade(piece), self._account)
        return Ignored(kind[:_KIND_MAX])


def subscribe_frame(credentials: ApiCredentials, markets: Sequence[str] = ()) -> bytes:
    """Return the first frame: credentials, and the markets wanted (none = all of them).

    It is a secret: never log it.
    """
    frame: dict[str, object] = {
        "type": "user",
        "auth": {
            "apiKey": credentials.api_key,
            "secret": credentials.secret,
            "passphrase": credentials.passphrase,
        },
    }
    if markets:
        frame["markets"] = _checked(markets)
    return _encode(frame)


def update_frame(operation: str, markets: Sequence[str]) -> bytes:
    """Return the frame that adds (``subscribe``) or drops (``unsubscribe``) markets."""
    if operation not in {"subscribe", "unsubscribe"}:
        raise LocalProtocolError(
            f"operation was {operation!r}, expected 'subscribe' or 'unsubscribe'"
        )
    if not markets:
        raise LocalProtocolError("an update of no markets, expected at least one")
    return _encode({"operation": operation, "markets": _checked(markets)})


def _checked(markets: Sequence[str]) -> list[str]:
    for market in markets:
        if not _MARKET.fullmatch(market):
            raise LocalProtocolError(f"market was {market!r}, expected 0x and 64 hex digits")
    return list(markets)
