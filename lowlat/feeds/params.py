"""Settings of every feed, without the feeds: whoever reads the config starts without their code.

Sizes and times of one engine each; ``app.config`` makes them from the config file.
"""

from typing import Final

import msgspec

from lowlat.core.instruments import MARKETS_MAX
from lowlat.core.layout import Coin, SettleSeries
from lowlat.venues.binance.units import TimeUnit
from lowlat.venues.polymarket.bounds import BOOKS_MAX, SHARD_ASSETS_MAX

__all__ = [
    "CANDLES",
    "POLYBOLT",
    "RTDS",
    "SECONDS_BACK_MAX",
    "BinanceFeedParams",
    "MetadataParams",
    "PolymarketFeedParams",
    "PricesFeedParams",
    "UniverseParams",
]

RTDS: Final = 0
POLYBOLT: Final = 1
CANDLES: Final = 2
"""Sources of settlement prices, by the number of their socket."""


SECONDS_BACK_MAX: Final = 1_000
"""Candles that the exchange tells in one answer. Source: feeds.md 1.4."""

SWEEPS_PER_S_MAX: Final = 50
"""Questions for many books at once that the venue takes. Source: polymarket.md 12.4."""


class UniverseParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which markets are followed. An empty tuple lets everything through; dollars in 1e-6.

    What the filters let in competes for places: by the highest priority of the modules that want
    it, then by dollars resting and traded in a day. Source: design 7.
    """

    tags: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    slug_prefixes: tuple[str, ...] = ()
    slug_prefixes_excluded: tuple[str, ...] = ()
    rules_words: tuple[str, ...] = ()
    """One of these must be in the rules text."""
    rules_words_excluded: tuple[str, ...] = ()
    liquidity_e6_min: int = 0
    """A market that is followed already may fall to half of it."""
    volume_24h_e6_min: int = 0
    end_ns_min: int = 0
    """Least time to the end of the market."""
    end_ns_max: int = 0
    """Most time to the end; 0 is no bound."""
    fee_rate_e6_max: int = 1_000_000
    """1 000 000 lets any fee in, also an unknown one."""
    delay_ms_max: int = 60_000
    """60 000 lets any taker delay in, also an unknown one. Source: polymarket.md 12.2."""
    wanted_only: bool = False
    """Leave out what no module wants."""
    markets_max: int = 2_000
    socket_tokens_max: int = 4_000
    """Tokens on sockets; what is followed beyond them is read by REST, at most feed.sweep_per_s
    books a second."""
    stay_ns: int = 60_000_000_000
    """So long a market keeps its place at least, against others of its priority."""
    gain_ppm: int = 500_000
    """By so much more an outsider of the same priority must score to take a place."""
    review_ns: int = 1_000_000_000

    def __post_init__(self) -> None:
        if not 1 <= self.markets_max <= MARKETS_MAX:
            raise ValueError(f"markets_max was {self.markets_max}, expected 1 to {MARKETS_MAX}")
        if self.socket_tokens_max < 2:
            raise ValueError(f"socket_tokens_max was {self.socket_tokens_max}, expected 2 or more")


class MetadataParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rhythm of the engine. Source: polymarket.md 12.4 (Gamma /events 500 per 10 s)."""

    newest_ns: int = 1_000_000_000
    """A listing is known within two of these."""
    newest_count: int = 20
    """Events of the newest page; one that is all news is followed by the next at once."""
    newest_order: str = "id"
    """Ids grow with each event."""
    page_events: int = 25
    """Events a page; decoding one blocks the process for some 10 us an event and market."""
    page_ns: int = 200_000_000
    """Least time between two pages of the sweep."""
    sweep_ns: int = 300_000_000_000
    """From the end of one sweep to the next."""
    refresh_ns: int = 600_000_000_000
    retry_ns_min: int = 5_000_000_000
    retry_new_ns_max: int = 15_000_000_000
    """New markets are 404 on the CLOB for minutes: asked 5 to 15 s apart. Source: polymarket.md
    1.2."""
    retry_ns_max: int = 60_000_000_000
    winner_ns: int = 20_000_000_000
    asked_max: int = 16
    """CLOB questions under way."""


class BinanceFeedParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and times of the feed. Source: feeds.md 1.2, 1.4."""

    coins: tuple[Coin, ...] = (Coin.BTC, Coin.ETH, Coin.SOL)
    sockets: int = 1
    check_ns: int = 50_000_000
    silence_ns: int = 5_000_000_000
    """A socket this long without a frame is replaced: the venue sends many a second."""
    age_ns_max: int = 23 * 3_600_000_000_000
    """The venue closes at 24 h."""
    depth: bool = True
    depth_levels: int = 1000
    snapshot_ns_min: int = 1_000_000_000
    snapshot_ns_max: int = 60_000_000_000
    time_unit: TimeUnit = "us"


class PricesFeedParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sources and times of the feed."""

    coins: tuple[Coin, ...] = (Coin.BTC, Coin.ETH, Coin.SOL)
    rtds_topics: tuple[str, ...] = ("crypto_prices_twap_sixty", "crypto_prices_chainlink")
    polybolt_series: tuple[SettleSeries, ...] = (
        SettleSeries.CHAINLINK_TWAP_60,
        SettleSeries.CHAINLINK_SPOT,
    )
    sources: tuple[int, ...] = (RTDS, CANDLES)
    check_ns: int = 50_000_000
    rtds_ping_ns: int = 5_000_000_000
    polybolt_ping_ns: int = 30_000_000_000
    silence_ns: int = 8_000_000_000
    """These sockets stall while open; each sends at least once a second. Source: feeds.md 3.5."""
    time_unit: TimeUnit = "us"
    seconds_back: int = 300
    """Closes of so many of the exchange's last seconds are asked for at the start; 0: never."""
    seconds_ns: int = 60_000_000_000
    """How often those since then are, for modules that start later."""

    def __post_init__(self) -> None:
        if not 0 <= self.seconds_back <= SECONDS_BACK_MAX:
            raise ValueError(
                f"seconds_back was {self.seconds_back}, expected 0 to {SECONDS_BACK_MAX}: the "
                "exchange tells no more in one answer"
            )
        if not self.seconds_ns >= 1_000_000_000:
            raise ValueError(f"seconds_ns was {self.seconds_ns}, expected a second or more")


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
    confirm_ns: int = 1_000_000_000
    """A crossed book is read again by REST this often while it lasts."""
    resync_ns_min: int = 500_000_000
    resync_ns_max: int = 30_000_000_000
    sweep_ns: int = 1_000_000_000
    """How often the book of a market without a socket is read, as far as the next bounds allow."""
    sweep_per_s: int = 1_000
    """Most books a second that are read for such markets."""
    sweep_books: int = 50
    """Most books of one question; 1 000 a second are then 20 questions of the venue's 50."""
    sweep_in_flight_max: int = 4
    sweep_age_ns_max: int = 10_000_000_000
    """A book that was not read again for so long is stale."""
    resync_buffer_max: int = 512
    resyncs_in_flight_max: int = 16

    def __post_init__(self) -> None:
        if not 2 <= self.shard_assets_max <= SHARD_ASSETS_MAX:
            raise ValueError(
                f"shard_assets_max was {self.shard_assets_max}, expected 2 to {SHARD_ASSETS_MAX}"
            )
        if not 1 <= self.shard_sockets <= 4:
            raise ValueError(f"shard_sockets was {self.shard_sockets}, expected 1 to 4")
        if not 1 <= self.sweep_books <= BOOKS_MAX:
            raise ValueError(f"sweep_books was {self.sweep_books}, expected 1 to {BOOKS_MAX}")
        if not 1 <= self.sweep_per_s <= SWEEPS_PER_S_MAX * self.sweep_books:
            raise ValueError(
                f"sweep_per_s was {self.sweep_per_s}, expected 1 to {SWEEPS_PER_S_MAX} times "
                f"sweep_books ({self.sweep_books}): the venue takes no more questions"
            )
