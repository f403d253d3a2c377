"""Frames that subscribe to Kalshi's channels, ask for books, and end subscriptions.

Run by a feed. Source: feeds.md 2.6.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from lowlat.core.errors import LocalProtocolError

__all__ = [
    "CHANNELS",
    "MARKETS_MAX",
    "Command",
    "snapshot_frame",
    "subscribe_frame",
    "unsubscribe_frame",
]

MARKETS_MAX: Final = 500
"""Of one subscription: a gap makes every book of it unknown. Source: feeds.md 2.6."""
CHANNELS: Final = frozenset(
    {"orderbook_delta", "ticker", "trade", "fill", "user_orders", "market_positions"}
)
"""What is decoded here; messages of other channels are Ignored by their type."""

Command = int
"""Number of a command, 1 or more; its answer names it."""

_encode: Final = msgspec.json.Encoder().encode


class _Params(msgspec.Struct, omit_defaults=True):
    channels: Sequence[str] | None = None
    market_tickers: Sequence[str] | None = None
    use_yes_price: bool | None = None
    sids: Sequence[int] | None = None
    sid: int | None = None
    action: str | None = None


class _CommandWire(msgspec.Struct):
    id: Command
    cmd: str
    params: _Params


def subscribe_frame(
    number: Command, channels: Sequence[str], tickers: Sequence[str], *, use_yes_price: bool
) -> bytes:
    """Return the frame that subscribes; the price convention is always said.

    The vendor announced that its default flips. Source: feeds.md 2.6.
    """
    unknown = sorted(set(channels) - CHANNELS)
    if unknown or not channels:
        raise LocalProtocolError(f"channels {unknown or 'none'}, allowed: {sorted(CHANNELS)}")
    params = _Params(
        channels=channels, market_tickers=_some(tickers), use_yes_price=use_yes_price
    )  # fmt: skip
    return _command(number, "subscribe", params)


def snapshot_frame(number: Command, sid: int, tickers: Sequence[str]) -> bytes:
    """Return the frame that asks for whole books, numbered within the subscription."""
    params = _Params(sid=sid, action="get_snapshot", market_tickers=_some(tickers))
    return _command(number, "update_subscription", params)


def unsubscribe_frame(number: Command, sids: Sequence[int]) -> bytes:
    """Return the frame that ends subscriptions."""
    return _command(number, "unsubscribe", _Params(sids=sids))


def _command(number: Command, word: str, params: _Params) -> bytes:
    if number < 1:
        raise LocalProtocolError(f"command number was {number}, expected 1 or more")
    return _encode(_CommandWire(number, word, params))


def _some(tickers: Sequence[str]) -> Sequence[str]:
    if not 0 < len(tickers) <= MARKETS_MAX:
        raise LocalProtocolError(f"{len(tickers)} tickers, expected 1 to {MARKETS_MAX}")
    return tickers
