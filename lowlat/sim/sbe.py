"""Binary market events of the spot exchange (schema 1, version 0), written field by field. Pure.

Prices and sizes come as 1e-8 integers and leave with exponent -8; times are microseconds.
Source: feeds.md 1.5.
"""

import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["best_bid_ask", "depth_diff", "depth_snapshot", "trade"]

US: Final = 1_000
SCHEMA: Final = 1
VERSION: Final = 0
EXPONENT: Final = -8
_head: Final = struct.Struct("<HHHH")
_best: Final = struct.Struct("<qqbbqqqq")
_trades: Final = struct.Struct("<qqbb")
_trade_group: Final = struct.Struct("<HI")
_trade: Final = struct.Struct("<qqqB")
_snapshot: Final = struct.Struct("<qqbb")
_diff: Final = struct.Struct("<qqqbb")
_level_group: Final = struct.Struct("<HH")
_level: Final = struct.Struct("<qq")

Levels = Sequence[tuple[int, int]]


def best_bid_ask(symbol: str, at_ns: int, top: tuple[int, int, int, int, int]) -> bytes:
    """Write a BestBidAskStreamEvent: update id, bid, its size, ask, its size."""
    update_id, bid, bid_size, ask, ask_size = top
    root = _best.pack(at_ns // US, update_id, EXPONENT, EXPONENT, bid, bid_size, ask, ask_size)
    return _message(10001, root, b"", symbol)


def trade(
    symbol: str, at_ns: int, trade_id: int, price_e8: int, size_e8: int, *, buyer_makes: bool
) -> bytes:
    """Write a TradesStreamEvent with one trade."""
    root = _trades.pack(at_ns // US, at_ns // US, EXPONENT, EXPONENT)
    row = _trade.pack(trade_id, price_e8, size_e8, buyer_makes)
    return _message(10000, root, _trade_group.pack(_trade.size, 1) + row, symbol)


def depth_snapshot(symbol: str, at_ns: int, update_id: int, bids: Levels, asks: Levels) -> bytes:
    """Write a DepthSnapshotStreamEvent, best levels first."""
    root = _snapshot.pack(at_ns // US, update_id, EXPONENT, EXPONENT)
    return _message(10002, root, _levels(bids) + _levels(asks), symbol)


def depth_diff(symbol: str, at_ns: int, first: int, last: int, bids: Levels, asks: Levels) -> bytes:
    """Write a DepthDiffStreamEvent; a size of 0 removes a level."""
    root = _diff.pack(at_ns // US, first, last, EXPONENT, EXPONENT)
    return _message(10003, root, _levels(bids) + _levels(asks), symbol)


def _levels(levels: Levels) -> bytes:
    rows = b"".join(_level.pack(price, size) for price, size in levels)
    return _level_group.pack(_level.size, len(levels)) + rows


def _message(template: int, root: bytes, groups: bytes, symbol: str) -> bytes:
    name = symbol.encode()
    head = _head.pack(len(root), template, SCHEMA, VERSION)
    return head + root + groups + bytes((len(name),)) + name
