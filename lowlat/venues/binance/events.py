"""Values of Binance spot market data, the same from JSON and from SBE.

Prices and sizes are ``_e8`` integers; ``_ns`` is the venue's wall time. Source: feeds.md 1.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from lowlat.core.layout import Action, Coin
from lowlat.venues.wire import Ignored

__all__ = [
    "COIN_BY_SYMBOL",
    "SYMBOLS",
    "AggTrade",
    "Depth",
    "DepthSnapshot",
    "Event",
    "Ignored",
    "Kline",
    "Levels",
    "Reply",
    "Shutdown",
    "Ticker",
    "Top",
    "Trade",
]

SYMBOLS: Final = {Coin.BTC: "BTCUSDT", Coin.ETH: "ETHUSDT", Coin.SOL: "SOLUSDT"}
COIN_BY_SYMBOL: Final = {symbol: coin for coin, symbol in SYMBOLS.items()}

Levels = Sequence[tuple[int, int]]
"""(price_e8, size_e8), best first."""


class Top(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask; an empty side is NO_PRICE_E8 with size 0.

    ``update_id`` is the counter of depth updates. JSON names no event time (None); on SBE the
    server drops older values under load, so a jump is no gap.
    """

    symbol: str
    update_id: int
    bid_price_e8: int
    bid_size_e8: int
    ask_price_e8: int
    ask_size_e8: int
    event_ns: int | None


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One print."""

    symbol: str
    trade_id: int
    price_e8: int
    size_e8: int
    taker_side: Action
    trade_ns: int
    event_ns: int


class AggTrade(msgspec.Struct, frozen=True, gc=False):
    """Prints of one taker order at one price."""

    symbol: str
    aggregate_id: int
    first_trade_id: int
    last_trade_id: int
    price_e8: int
    size_e8: int
    taker_side: Action
    trade_ns: int
    event_ns: int


class Depth(msgspec.Struct, frozen=True, gc=False):
    """Levels with their new totals (0 removes), for updates ``first_id`` to ``last_id``."""

    symbol: str
    first_id: int
    last_id: int
    bids: Levels
    asks: Levels
    event_ns: int


class DepthSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A book down to the depth asked for. ``symbol`` is None where the message names none."""

    symbol: str | None
    last_id: int
    bids: Levels
    asks: Levels
    event_ns: int | None = None


class Kline(msgspec.Struct, frozen=True, gc=False):
    """A candle; ``close_e8`` is the last trade until ``final``."""

    symbol: str
    interval: str
    start_ns: int
    close_ns: int
    """Last moment of the candle, as the venue writes it (one unit before the next start)."""
    open_e8: int
    high_e8: int
    low_e8: int
    close_e8: int
    final: bool
    event_ns: int


class Ticker(msgspec.Struct, frozen=True, gc=False):
    """The last 24 hours of a symbol; prices are 0 before its first trade."""

    symbol: str
    open_e8: int
    high_e8: int
    low_e8: int
    last_e8: int
    volume_e8: int
    """In the base asset."""
    trades: int
    start_ns: int
    close_ns: int
    event_ns: int


class Shutdown(msgspec.Struct, frozen=True, gc=False):
    """The server goes away soon: open the replacement, then drop this connection."""

    event_ns: int


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Answer to a control message; ``code`` is None when it succeeded."""

    id: int | str | None
    code: int | None = None
    message: str = ""


Event = Top | Trade | AggTrade | Depth | DepthSnapshot | Kline | Ticker | Shutdown | Reply | Ignored
