"""Types of the feed's hot state; behaviour is documented in _state.pyx."""

from typing import final

from lowlat.book._book import MarketBook
from lowlat.feeds._shard import Shard
from lowlat.feeds.ports import Connection
from lowlat.venues.polymarket.market import MarketSession, PriceChange

__all__ = ["Link", "MarketState", "TokenIndex"]

@final
class Link:
    """One socket of a shard."""

    @property
    def number(self) -> int: ...
    @property
    def socket(self) -> int: ...
    @property
    def shard(self) -> Shard: ...
    @property
    def alone(self) -> bool: ...
    @property
    def dump_pending(self) -> set[str]: ...
    connection: Connection | None
    session: MarketSession | None
    opened_ns: int
    data_ns: int
    pong_ns: int
    ping_due_ns: int
    frames: int
    frames_checked: int
    others_mark: int
    event_ns: int
    def __init__(self, number: int, socket: int, shard: Shard) -> None: ...

@final
class MarketState:
    """One subscribed market."""

    @property
    def book(self) -> MarketBook: ...
    @property
    def row(self) -> int: ...
    @property
    def shard(self) -> Shard: ...
    @property
    def condition_id(self) -> str: ...
    @property
    def tokens(self) -> tuple[str, str]: ...
    @property
    def held(self) -> list[PriceChange]: ...
    event_ns: int
    book_event_ns: int
    asked: int
    live: bool
    crossed: bool
    doubted: bool
    due_ns: int
    step_ns: int
    def __init__(
        self,
        row: int,
        book: MarketBook,
        shard: Shard,
        condition_id: str,
        tokens: tuple[str, str],
    ) -> None: ...

@final
class TokenIndex:
    """Markets by token."""

    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def get(self, token: str) -> tuple[MarketState, int] | None: ...
    def add(self, state: MarketState) -> None: ...
    def remove(self, state: MarketState) -> None: ...
