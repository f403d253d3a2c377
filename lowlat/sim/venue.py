"""The whole simulated venue without sockets: engine, services, feeds, spot, universe, flow.

Pure and deterministic: give it a time, it does what is due. The server and the virtual world both
drive this one object, single-threaded.
"""

from random import Random
from typing import Final, Protocol

from lowlat.core.errors import ConfigError
from lowlat.sim.api import ClobApi, DataApi
from lowlat.sim.config import SimConfig
from lowlat.sim.credentials import Credentials
from lowlat.sim.entry import Entry
from lowlat.sim.exchange import Exchange
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.gamma import Gamma
from lowlat.sim.heartbeat import Heartbeats
from lowlat.sim.market_ws import MarketFeed
from lowlat.sim.spot import SpotPath
from lowlat.sim.timers import Timers
from lowlat.sim.universe import Universe
from lowlat.sim.user_ws import UserFeed
from lowlat.sim.wire import Request, Respond

__all__ = ["Venue"]

NS: Final = 1_000_000_000


class Sockets(Protocol):
    """What the feeds have in common."""

    def sessions(self) -> list[Session]:
        """Return every connected socket."""
        ...


class Venue:
    """Everything one simulated venue consists of. ``now_ns`` is wall time and never goes back."""

    def __init__(self, config: SimConfig, now_ns: int) -> None:
        self.config = config
        self.timers = Timers()
        self.now_ns = now_ns
        self.faults = Faults(config.faults, _rng(config, "faults"))
        self.exchange = Exchange(config, self.timers, _rng(config, "exchange"), self.faults)
        self.credentials = Credentials(config, self.exchange.accounts)
        entry = Entry(self.exchange, self.credentials, self.timers, self.faults)
        self.heartbeats = Heartbeats(self.exchange, self.timers, _rng(config, "heartbeats"))
        self.clob = ClobApi(self.exchange, self.credentials, entry, self.heartbeats)
        self.data = DataApi(self.exchange)
        self.market_feed = MarketFeed(self.exchange, self.faults)
        self.user_feed = UserFeed(self.exchange, self.credentials, self.timers, self.faults)
        self.spots = {
            coin: SpotPath(coin, config, _rng(config, f"spot {coin}"), now_ns)
            for coin in config.coins
        }
        self.universe = Universe(
            config, self.exchange, self.timers, _rng(config, "universe"), self.spots
        )
        self.gamma = Gamma(self.exchange, self.universe.events)
        self.universe.open(now_ns)

    def step(self, now_ns: int) -> int:
        """Do everything due up to a time; return how much."""
        assert now_ns >= self.now_ns, f"time went back from {self.now_ns} to {now_ns}"
        self.now_ns = now_ns
        return self.timers.run(now_ns)

    def next_due_ns(self) -> int:
        """Return when something is due next."""
        return self.timers.next_due_ns()

    def clob_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the order-book service at the current time."""
        self.clob.handle(request, self.now_ns, respond)

    def gamma_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the metadata service."""
        respond(self.gamma.answer(request))

    def data_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the indexer."""
        self.data.handle(request, self.now_ns, respond)

    def sessions(self, feed: str) -> list[Session]:
        """Return the connected sockets of a feed by name."""
        feeds: dict[str, Sockets] = {"market": self.market_feed, "user": self.user_feed}
        if feed not in feeds:
            raise ConfigError(f"feed was {feed!r}, allowed: {', '.join(feeds)}")
        return feeds[feed].sessions()


def _rng(config: SimConfig, purpose: str) -> Random:
    """Give each part its own seeded source, so that one part's draws never move another's."""
    return Random(f"{config.seed}|{purpose}")  # noqa: S311 - simulation, not secrets
