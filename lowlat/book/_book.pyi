# Types of the compiled ladders and images; behaviour is documented in _book.pyx.

from collections.abc import Iterable
from typing import Any, Self, final

from lowlat.book._ladder import ASK as ASK
from lowlat.book._ladder import BID as BID
from lowlat.book._ladder import LEVELS_MAX as LEVELS_MAX
from lowlat.book._ladder import Ladder as Ladder
from lowlat.book._ladder import parse_levels as parse_levels
from lowlat.book._sets import SetWalk as SetWalk
from lowlat.book._sets import walk_sets as walk_sets
from lowlat.book._view import BookView as BookView
from lowlat.book._view import Walk as Walk

__all__ = [
    "ASK",
    "BID",
    "LEVELS_MAX",
    "BookSlots",
    "BookView",
    "Ladder",
    "MarketBook",
    "SetWalk",
    "Walk",
    "parse_levels",
    "walk_sets",
]

@final
class MarketBook:
    # One binary market: one ladder in YES terms fed from both tokens (writer side).

    market: int
    generation: int
    connection_generation: int
    shard: int
    changes: int
    snapshot_event_ns: int
    last_trade_price_e4: int
    version: int
    venue: int
    tick_e4: int
    flags: int
    def __new__(cls, market: int, generation: int, venue: int = 1) -> Self: ...
    def clear(self) -> None: ...
    def load(self, outcome: int, bids: Iterable[Any], asks: Iterable[Any]) -> int: ...
    def load_bids(self, yes_bids: Iterable[Any], no_bids: Iterable[Any]) -> int: ...
    def change(self, outcome: int, action: int, price: str, size: str) -> int: ...
    def delta(self, outcome: int, action: int, price: str, delta: str) -> int: ...
    def touch_agrees(self, outcome: int, best_bid: str, best_ask: str) -> bool: ...
    def best(self, outcome: int, side: int) -> int: ...
    def size_at(self, outcome: int, side: int, price_e4: int) -> int: ...
    def count(self, outcome: int, side: int) -> int: ...
    def depth_e6(self, outcome: int, side: int) -> int: ...
    def levels(self, outcome: int, side: int, count: int = 10000) -> list[tuple[int, int]]: ...
    def image(
        self,
        row: Any,
        top: Any,
        record_id: int,
        event_ns: int,
        recv_ns: int,
        decoded_ns: int,
        published_ns: int,
        changed_sides: int,
    ) -> None: ...

@final
class BookSlots:
    # The feed's two private slots, held so that images acquire no buffer.

    def __new__(cls, row: Any, top: Any) -> Self: ...
    def image(
        self,
        book: MarketBook,
        record_id: int,
        event_ns: int,
        recv_ns: int,
        decoded_ns: int,
        published_ns: int,
        changed_sides: int,
    ) -> None: ...
    def image_lines(
        self,
        book: MarketBook,
        record_id: int,
        event_ns: int,
        recv_ns: int,
        decoded_ns: int,
        published_ns: int,
        changed_sides: int,
    ) -> int: ...
