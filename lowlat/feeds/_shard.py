"""State of the Polymarket feed: parameters, shards; sockets and markets are in _state.pyx.

Life of a market's book: WAITING (subscribed, no book yet) -> LIVE (a book was loaded under this
connection generation) -> DIVERGED (the venue's touch differed; still applied, a REST book is on
its way) -> LIVE again; loss of the shard or a new tick makes it WAITING.
"""

from dataclasses import dataclass, field

import msgspec

from lowlat.feeds._arrival import FirstArrival
from lowlat.feeds._state import Link, MarketState
from lowlat.venues.polymarket.market import SHARD_ASSETS_MAX

__all__ = ["Link", "MarketState", "PolymarketFeedParams", "Shard"]


class PolymarketFeedParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and times of the market-channel feed. Source: polymarket.md 8.1, 15."""

    shard_assets_max: int = SHARD_ASSETS_MAX
    shard_sockets: int = 1
    """Redundant sockets a shard; the first arrival of an event wins."""
    shards_max: int = 64
    check_ns: int = 50_000_000
    """How often timers and watchdogs are looked at."""
    ping_ns: int = 10_000_000_000
    pong_limit_ns: int = 30_000_000_000
    silence_ns: int = 10_000_000_000
    """A shard this long without data, while others flow, is probed by REST."""
    silence_alone_ns: int = 30_000_000_000
    """The same when no other shard flows either."""
    probe_slack_ns: int = 2_000_000_000
    """A REST book newer than our last event by more than this proves a freeze."""
    freeze_ns: int = 5_000_000_000
    """A redundant socket this long silent while its twin got freeze_frames is frozen."""
    freeze_frames: int = 10
    lag_ns: int = 5_000_000_000
    """A redundant socket that delivers copies this late is replaced."""
    first_book_ns: int = 5_000_000_000
    """A subscription without a book for so long is asked for by REST and renewed."""
    step_ns: int = 5_000_000_000
    """A change this much older than the last book is no late one: the venue's clock stepped."""
    burst_ns: int = 100_000_000
    """Frames of one burst each state the touch after the whole of it: a touch that disagrees for
    so long is a divergence, before it is only not traded."""
    resync_ns_min: int = 500_000_000
    resync_ns_max: int = 30_000_000_000
    resync_buffer_max: int = 512
    resyncs_in_flight_max: int = 16

    def __post_init__(self) -> None:
        if not 2 <= self.shard_assets_max <= SHARD_ASSETS_MAX:
            raise ValueError(
                f"shard_assets_max was {self.shard_assets_max}, expected 2 to {SHARD_ASSETS_MAX}"
            )
        if not 1 <= self.shard_sockets <= 4:
            raise ValueError(f"shard_sockets was {self.shard_sockets}, expected 1 to 4")


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
