"""Plants neg-risk edges: for a while all outcomes of an event together cost under a dollar.

Every leg is quoted below its fair value with real depth on both sides, so that a complete set can
be bought and a half-bought one can be sold back at a bounded loss. In a share of them one leg is
gone the moment another one is hit. Pure. Source: design 7, 11.
"""

from random import Random
from typing import Any, Final

from lowlat.core.units import E6, ONE_E4
from lowlat.sim.catalog import Event, Market
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.flow import Flow
from lowlat.sim.ladder import Order
from lowlat.sim.rules import fee_e6
from lowlat.sim.timers import Timers
from lowlat.sim.trades import Trade
from lowlat.sim.universe import Universe

__all__ = ["EdgePlanter"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
BACK_TICKS: Final = 3
"""A vanished leg comes back this many ticks above its fair value."""


class _Edge:
    __slots__ = ("ends_ns", "event", "hit", "vanish")

    def __init__(self, event: Event, ends_ns: int, *, vanish: bool) -> None:
        self.event = event
        self.ends_ns = ends_ns
        self.vanish = vanish
        self.hit = False


class EdgePlanter:
    """Plants at a rate and on demand; ends each edge when its life is over."""

    def __init__(
        self,
        config: SimConfig,
        exchange: Exchange,
        universe: Universe,
        flow: Flow,
        timers: Timers,
        rng: Random,
    ) -> None:
        self._config = config.flow
        self._exchange = exchange
        self._universe = universe
        self._flow = flow
        self._timers = timers
        self._rng = rng
        self._edges: dict[str, _Edge] = {}
        self._vanish_debt_e4 = 0
        self.planted = 0
        self.vanished = 0
        self.hit = 0
        exchange.listeners.append(self)

    def open(self, now_ns: int) -> None:
        """Start the clock of edges: evenly spread with a jitter of half the distance."""
        per_minute = self._config.edge_neg_risk_per_minute
        if per_minute > 0.0 and not self._flow.resting:
            wait_s = 60.0 / per_minute * self._rng.uniform(0.5, 1.5)
            self._timers.at(now_ns + max(1, round(wait_s * NS)), self._next)

    def _next(self, now_ns: int) -> None:
        """Plant one; the share that vanishes is spread as evenly, so that short runs see both."""
        self.open(now_ns)
        if self._flow.resting:
            return
        self._vanish_debt_e4 += self._config.edge_vanish_e4
        vanish = self._vanish_debt_e4 >= ONE_E4
        if self.plant(now_ns, vanish=vanish) is not None and vanish:
            self._vanish_debt_e4 -= ONE_E4

    def plant(self, now_ns: int, *, vanish: bool) -> dict[str, Any] | None:
        """Plant one edge now; return what was planted, None when no event is free."""
        free = [
            event
            for event in self._universe.events
            if event.rules.neg_risk
            and event.slug not in self._edges
            and all(market.accepting for market in event.markets)
        ]
        if not free:
            return None
        event = self._rng.choice(free)
        gain_e4 = self._rng.randint(*self._config.edge_gain_e4)
        asks = self._asks(event, gain_e4)
        if asks is None:
            return None
        life_ns = self._rng.randint(*self._config.edge_life_ms) * MS
        edge = self._edges[event.slug] = _Edge(event, now_ns + life_ns, vanish=vanish)
        self.planted += 1
        size_e6 = self._rng.randint(*self._config.edge_depth_shares) * E6
        for market, ask_e4 in zip(event.markets, asks, strict=True):
            self._flow.held.add(market.index)
            tick = market.tick_e4
            away_e4 = max(tick, 40) + tick
            self._flow.quote_all(market, (ask_e4 + away_e4) / ONE_E4, now_ns)
            self._flow.pull(market, now_ns, bids=True)
            levels = [
                (False, ask_e4, size_e6),
                (True, ask_e4 - tick, size_e6),
                (True, ask_e4 - 2 * tick, 3 * size_e6),
            ]
            self._flow.add_quotes(market, levels, now_ns)
        self._timers.at(edge.ends_ns, lambda at_ns: self._end(edge, at_ns))
        return {
            "event": event.slug,
            "vanish": vanish,
            "asks_e4": asks,
            "size_e6": size_e6,
            "life_ms": life_ns // MS,
        }

    def active(self) -> set[str]:
        """Return the slugs of events with a living edge."""
        return set(self._edges)

    def _asks(self, event: Event, gain_e4: int) -> list[int] | None:
        """Return ask prices that leave a net gain a set, None when a leg would get too cheap.

        Fees are those of a share at these prices; the last steps go down tick by tick.
        """
        tick = event.markets[0].tick_e4
        rate_e4 = event.rules.fee_rate_e4
        fairs = [self._universe.fair[market.index] for market in event.markets]
        asks = [round(fair * ONE_E4) // tick * tick for fair in fairs]

        def total_e6() -> int:
            return sum(ask * 100 + fee_e6(rate_e4, ask, E6) for ask in asks)

        while total_e6() > E6 - gain_e4 * 100:
            dearest = max(range(len(asks)), key=asks.__getitem__)
            asks[dearest] -= tick
        return asks if min(asks) >= 5 * tick else None

    def _end(self, edge: _Edge, now_ns: int) -> None:
        """Bring the makers back to their fair values: all offers go before one comes back."""
        if self._edges.pop(edge.event.slug, None) is None:
            return
        trading = [market for market in edge.event.markets if market.accepting]
        for market in trading:
            self._flow.pull(market, now_ns, bids=False)
        for market in edge.event.markets:
            self._flow.held.discard(market.index)
        for market in trading:
            self._flow.quote_all(market, self._flow.fair(market), now_ns)

    # ----------------------------------------------------------------------------- listener
    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """See a leg hit by somebody who is not flow; a vanishing leg leaves at once."""
        edge = self._edges.get(market.event.slug)
        if edge is None or edge.hit or not trades[0].taker.owner:
            return
        edge.hit = True
        self.hit += 1
        if not edge.vanish:
            return
        self.vanished += 1
        leg = self._rng.choice([each for each in edge.event.markets if each is not market])
        self._flow.pull(leg, now_ns, bids=False)
        fair_e4 = round(self._flow.fair(leg) * ONE_E4) + BACK_TICKS * leg.tick_e4
        price_e4 = min(ONE_E4 - leg.tick_e4, -(-fair_e4 // leg.tick_e4) * leg.tick_e4)
        self._flow.add_quotes(leg, [(False, price_e4, 200 * E6)], now_ns)

    def on_levels(self, market: Market, changes: list[tuple[bool, int]], now_ns: int) -> None:
        """Nothing."""

    def on_tick(self, market: Market, old_tick_e4: int, now_ns: int) -> None:
        """Nothing."""

    def on_new_market(self, market: Market, now_ns: int) -> None:
        """Nothing."""

    def on_resolved(self, market: Market, now_ns: int) -> None:
        """Nothing."""

    def on_order(self, order: Order, kind: str, status: str, now_ns: int) -> None:
        """Nothing."""

    def on_trade(self, trade: Trade, now_ns: int) -> None:
        """Nothing."""
