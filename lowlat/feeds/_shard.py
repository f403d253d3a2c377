"""State of the Polymarket feed: shards, their sockets, the markets on them. Data, no behaviour.

Life of a market's book: WAITING (subscribed, no book yet) -> LIVE (a book was loaded under this
connection generation) -> DIVERGED (the venue's touch differed; still applied, a REST book is on
its way) -> LIVE again; loss of the shard or a new tick makes it WAITING.
"""

from dataclasses import dataclass, field

import msgspec

from lowlat.book._book import MarketBook
from lowlat.feeds._arrival import FirstArrival
from lowlat.feeds.ports import Connection
from lowlat.venues.polymarket.market import SHARD_ASSETS_MAX, MarketSession, PriceChange

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
class Link:
    """One socket of a shard. ``session`` is None while it is down."""

    number: int
    socket: int
    """Its place among the shard's sockets."""
    shard: "Shard"
    connection: Connection | None = None
    session: MarketSession | None = None
    opened_ns: int = 0
    data_ns: int = 0
    """Receive time of its last frame that was not a PONG."""
    pong_ns: int = 0
    ping_due_ns: int = 0
    frames: int = 0
    frames_checked: int = 0
    others_mark: int = 0
    """What its twins had received when this socket last got a frame."""
    event_ns: int = 0
    """Newest venue time it delivered (kept only beside twins)."""
    dump_pending: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Shard:
    """Up to ``shard_assets_max`` tokens on one or more sockets; one row of the shard table."""

    number: int
    generation: int
    links: list[Link] = field(default_factory=list)
    markets: dict[int, "MarketState"] = field(default_factory=dict)
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


@dataclass(slots=True, eq=False)
class MarketState:
    """One subscribed market. ``live``: its book may be changed and read."""

    row: int
    book: MarketBook
    shard: Shard
    condition_id: str
    tokens: tuple[str, str]
    live: bool = False
    event_ns: int = 0
    """Venue time of the last event applied."""
    book_event_ns: int = 0
    """Venue time of the last whole book: what is older was in it."""
    crossed: bool = False
    doubted: bool = False
    """Diverged only by its touch: inside a burst of changes that heals by itself."""
    due_ns: int = 0
    """When a REST book is asked for again; 0: none is needed."""
    step_ns: int = 0
    """How long the next question waits after this one."""
    asked: int = 0
    """Number of the question that is under way, 0 when none is."""
    held: list[PriceChange] = field(default_factory=list)
    """Changes applied since the question, applied again on top of the answer."""
