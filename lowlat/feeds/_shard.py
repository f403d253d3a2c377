"""State of the Polymarket feed: shards; sockets and markets are in _state.pyx.

Life of a market's book: WAITING (subscribed, no book yet) -> LIVE (a book was loaded under this
connection generation) -> DIVERGED (the venue's touch differed; still applied, a REST book is on
its way) -> LIVE again; loss of the shard or a new tick makes it WAITING.
"""

from dataclasses import dataclass, field

from lowlat.feeds._arrival import FirstArrival
from lowlat.feeds._state import Link, MarketState

__all__ = ["Link", "MarketState", "Shard"]


@dataclass(slots=True, eq=False)
class Shard:
    """Up to ``shard_assets_max`` tokens on one or more sockets; one row of the shard table."""

    number: int
    generation: int
    links: list[Link] = field(default_factory=list)
    markets: dict[int, MarketState] = field(default_factory=dict)
    arrival: FirstArrival | None = None
    alive: int = 0
    data_ns: int = 0
    event_ns: int = 0
    connected_ns: int = 0
    reconnects: int = 0
    probe_ns: int = 0
    """When the last silence was checked by REST; a quiet market is not asked again at once."""
    probing: bool = False
    row_due: bool = True
    additions: dict[str, None] = field(default_factory=dict)
