"""The whole simulated venue without sockets: engine, services, feeds, spot, universe, flow.

Pure and deterministic: give it a time, it does what is due. The server and the virtual world both
drive this one object, single-threaded.
"""

from random import Random
from typing import Any, Final, Protocol

from lowlat.core.errors import ConfigError
from lowlat.sim.api import ClobApi
from lowlat.sim.binance import Binance
from lowlat.sim.cancels import Cancels
from lowlat.sim.chain import Chain
from lowlat.sim.config import SimConfig
from lowlat.sim.credentials import Credentials
from lowlat.sim.crypto_markets import CryptoMarkets
from lowlat.sim.data_api import DataApi
from lowlat.sim.door import Door
from lowlat.sim.edge_kinds import Ground
from lowlat.sim.edges import EdgePlanter
from lowlat.sim.entry import Entry
from lowlat.sim.exchange import Exchange
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.flow import Flow
from lowlat.sim.gamma import Gamma
from lowlat.sim.heartbeat import Heartbeats
from lowlat.sim.history import History
from lowlat.sim.indexer import Indexer
from lowlat.sim.long_tail import LongTail
from lowlat.sim.market_ws import MarketFeed
from lowlat.sim.news import News
from lowlat.sim.polybolt import PING_NS as BOLT_PING_NS
from lowlat.sim.polybolt import PolyBolt
from lowlat.sim.prices import PriceTicker, Rtds
from lowlat.sim.relayer import Relayer
from lowlat.sim.rewards import Rewards
from lowlat.sim.rpc import Rpc
from lowlat.sim.site import Site
from lowlat.sim.spot import SpotPath
from lowlat.sim.tape import TapePlayer, load_tape
from lowlat.sim.timers import EVERYTHING, Timers
from lowlat.sim.universe import Universe
from lowlat.sim.user_ws import UserFeed
from lowlat.sim.volumes import Volumes
from lowlat.sim.wire import Request, Respond

__all__ = ["Venue"]

NS: Final = 1_000_000_000
DEPTH_NS: Final = NS // 10
PING_NS: Final = 20 * NS


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
        self._door = Door(self.faults, self.timers)
        self.exchange = Exchange(config, self.timers, _rng(config, "exchange"), self.faults)
        self.credentials = Credentials(config, self.exchange.accounts, self.faults)
        self.volumes = Volumes(self.exchange)
        entry = Entry(self.exchange, self.credentials, self.timers, self.faults, self.volumes)
        cancels = Cancels(self.exchange, self.credentials, self.faults, self.volumes)
        self.heartbeats = Heartbeats(self.exchange, self.timers, _rng(config, "heartbeats"))
        self.rewards = Rewards(self.exchange, self.timers, _rng(config, "rewards"), now_ns)
        history = History(self.exchange)
        self.spots = {
            coin: SpotPath(coin, config, _rng(config, f"spot {coin}"), now_ns)
            for coin in config.coins
        }
        self.clob = ClobApi(
            self.exchange,
            self.credentials,
            entry,
            cancels,
            self.heartbeats,
            self.rewards,
            history,
            Site(config, self.spots),
        )
        self.indexer = Indexer(config, self.exchange, self.timers, _rng(config, "indexer"))
        self.chain = Chain(self.exchange, self.credentials, self.timers)
        self.relayer = Relayer(
            self.exchange, self.chain, self.credentials, self.timers, _rng(config, "relayer")
        )
        self.rpc = Rpc(self.exchange, self.chain)
        self.market_feed = MarketFeed(self.exchange, self.faults)
        self.user_feed = UserFeed(self.exchange, self.credentials, self.timers, self.faults)
        self.universe = Universe(config, self.exchange, self.timers, _rng(config, "universe"))
        self.crypto = CryptoMarkets(config, self.exchange, self.timers, self.universe, self.spots)
        self.rtds = Rtds(self.spots, _rng(config, "rtds"))
        self.polybolt = PolyBolt(
            self.spots, self.credentials, self.exchange, self.faults, _rng(config, "polybolt")
        )
        self.binance = Binance(
            self.spots, _rng(config, "binance"), self.faults, config.binance_life_s
        )
        self._ticker = PriceTicker(
            self.spots,
            self.timers,
            _rng(config, "prices"),
            self.faults,
            (self.rtds, self.polybolt),
        )
        self.flow = Flow(
            config, self.exchange, self.universe, self.spots, self.timers, _rng(config, "flow")
        )
        self.news = News(config.flow, self.universe, self.flow, self.timers, _rng(config, "news"))
        ground = Ground(
            self.exchange,
            self.universe,
            self.flow,
            self.news,
            self.spots,
            _rng(config, "edges"),
            {},
        )
        self.edges = EdgePlanter(config.flow, ground, self.timers)
        tape = load_tape(config.tape)
        self.tape = (
            None
            if tape is None
            else TapePlayer(
                tape,
                config,
                self.exchange,
                self.universe,
                self.flow,
                self.binance,
                self.timers,
                _rng(config, "tape"),
            )
        )
        events = self.universe.events
        self.gamma = Gamma(config, self.exchange, events)
        self.data = DataApi(config, self.exchange, self.indexer, self.rewards, history, events)
        self.long_tail = LongTail(
            config, self.exchange, self.universe, self.timers, _rng(config, "catalogue")
        )
        self.universe.open(now_ns)
        self.crypto.open(now_ns)
        if self.tape is not None:
            self.tape.open(now_ns)
        self.long_tail.open(now_ns)
        self.flow.open(now_ns)
        self.news.open(now_ns)
        self.edges.open(now_ns)
        self.timers.at(now_ns + BOLT_PING_NS, self._on_bolt_ping)
        if self.spots:
            self._start_clocks(now_ns)

    def step(self, now_ns: int, callbacks_max: int = EVERYTHING) -> int:
        """Do everything due up to a time, or so much of it; return how much.

        What did not fit stays due: the venue's time is then that of the next of it.
        """
        assert now_ns >= self.now_ns, f"time went back from {self.now_ns} to {now_ns}"
        before_ns, self.now_ns = self.now_ns, now_ns
        count = self.timers.run(now_ns, callbacks_max)
        self.now_ns = max(before_ns, min(now_ns, self.timers.next_due_ns()))
        return count

    def rest(self) -> None:
        """Send the random makers and takers home: nothing more is planted, quotes stay."""
        self.flow.resting = True

    def wake(self, now_ns: int) -> None:
        """Do what fell due while everybody was at home, then let the crowd come back."""
        self.step(now_ns)
        self.flow.come_back(now_ns)

    def next_due_ns(self) -> int:
        """Return when something is due next."""
        return self.timers.next_due_ns()

    def clob_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the order-book service at the current time."""
        self._door.enter("clob", request, self.now_ns, self.clob.handle, respond)

    def gamma_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the metadata service."""
        self._door.enter("gamma", request, self.now_ns, self.gamma.handle, respond)

    def data_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the indexer."""
        self._door.enter("data", request, self.now_ns, self.data.handle, respond)

    def relayer_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the relayer; the chain's node is its path ``/rpc``."""
        if request.method == "POST" and request.path.rstrip("/") == "/rpc":
            respond(self.rpc.answer(request, self.now_ns))
        else:
            respond(self.relayer.answer(request, self.now_ns))

    def binance_request(self, request: Request, respond: Respond) -> None:
        """Answer a request to the spot exchange."""
        self._door.enter("binance", request, self.now_ns, self.binance.rest.handle, respond)

    def plant_edge(self, kind: str = "neg_risk", *, vanish: bool = False) -> dict[str, Any] | None:
        """Plant an edge now; None when no market for it is free."""
        return self.edges.plant(kind, self.now_ns, vanish=vanish)

    def report(self) -> dict[str, Any]:
        """Return what was planted and what the market did with it."""
        given = self.flow.takers.given
        return {
            "edges": self.edges.totals | ({"soft_flow": given} if given["planted"] else {}),
            "news": self.news.count,
            "jumps": {coin: spot.jumps for coin, spot in self.spots.items()},
            "heartbeats_expired": self.heartbeats.expired,
        }

    # ----------------------------------------------------------------------------- prices
    def _start_clocks(self, now_ns: int) -> None:
        """Start the path, the depth interval, the whole seconds and the pings."""
        step_ns = NS // self.config.flow.spot_hz
        self.timers.at(now_ns + step_ns, lambda at_ns: self._on_step(step_ns, at_ns))
        self.timers.at(now_ns + DEPTH_NS, self._on_depth)
        # The last seconds of the past are still on their way to subscribers.
        for second in (now_ns // NS - 1, now_ns // NS):
            self._ticker.on_second(second, now_ns)
        self.timers.at((now_ns // NS + 1) * NS, self._on_second)
        self.timers.at(now_ns + PING_NS, self._on_ping)

    def _on_step(self, step_ns: int, now_ns: int) -> None:
        for coin, spot in self.spots.items():
            spot.step(step_ns / NS)
            self.binance.on_move(coin, now_ns)
            self.flow.on_spot(coin, now_ns)
        self.timers.at(now_ns + step_ns, lambda at_ns: self._on_step(step_ns, at_ns))

    def _on_depth(self, now_ns: int) -> None:
        self.binance.flush(now_ns)
        self.timers.at(now_ns + DEPTH_NS, self._on_depth)

    def _on_second(self, now_ns: int) -> None:
        """Note the prices that stand at a whole second."""
        second = now_ns // NS
        for spot in self.spots.values():
            spot.close_second(second)
        self._ticker.on_second(second, now_ns)
        self.binance.on_second(second, now_ns)
        self.timers.at(now_ns + NS, self._on_second)

    def _on_ping(self, now_ns: int) -> None:
        self.binance.ping(now_ns)
        self.timers.at(now_ns + PING_NS, self._on_ping)

    def _on_bolt_ping(self, now_ns: int) -> None:
        self.polybolt.ping(now_ns)
        self.timers.at(now_ns + BOLT_PING_NS, self._on_bolt_ping)

    def sessions(self, feed: str) -> list[Session]:
        """Return the connected sockets of a feed by name."""
        feeds: dict[str, Sockets] = {
            "market": self.market_feed,
            "user": self.user_feed,
            "binance": self.binance,
            "rtds": self.rtds,
            "polybolt": self.polybolt,
        }
        if feed not in feeds:
            raise ConfigError(f"feed was {feed!r}, allowed: {', '.join(feeds)}")
        return feeds[feed].sessions()


def _rng(config: SimConfig, purpose: str) -> Random:
    """Give each part its own seeded source, so that one part's draws never move another's."""
    return Random(f"{config.seed}|{purpose}")  # noqa: S311 - simulation, not secrets
