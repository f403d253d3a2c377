"""Plants edges of chosen kinds, keeps what each was worth and what of it was taken. Pure.

An edge is open on purpose, so that a trading engine can be shown to find it: its value is known
when it is planted. While it lives its markets are quoted by nobody else. In a share of those with
several legs one leg is gone the moment another one is hit. Source: design 7, 11.
"""

from collections import deque
from typing import Any, Final

from lowlat.core.errors import ConfigError
from lowlat.core.units import E6, ONE_E4
from lowlat.sim.catalog import Market
from lowlat.sim.config import EdgeConfig, FlowConfig
from lowlat.sim.edge_kinds import PLANTERS, Ground, Planted
from lowlat.sim.ladder import BUY, YES
from lowlat.sim.listener import Listener
from lowlat.sim.passive_edges import plant_passive_set
from lowlat.sim.timers import Timers
from lowlat.sim.trades import Trade

__all__ = ["EdgePlanter", "EdgeRecord"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
BACK_TICKS: Final = 3
"""A vanished leg comes back this many ticks behind its fair value."""
KEPT: Final = 10_000
ON_DEMAND: Final = {
    config.kind: config
    for config in (
        EdgeConfig("neg_risk"),
        EdgeConfig("neg_risk_sell"),
        EdgeConfig("strikes"),
        EdgeConfig("bond", gain_e4=(100, 300), life_ms=(2000, 8000)),
        EdgeConfig("latency", gain_e4=(10, 30), life_ms=(600, 1500)),
        EdgeConfig("news", gain_e4=(300, 1500), life_ms=(2000, 6000)),
        EdgeConfig("whale", gain_e4=(300, 1000), life_ms=(5000, 15_000)),
        EdgeConfig("passive_set", gain_e4=(600, 1200), life_ms=(3000, 6000)),
    )
}
"""What is planted by word of mouth when the config says nothing about a kind."""
_PLANTERS: Final = PLANTERS | {"passive_set": plant_passive_set}


class EdgeRecord:
    """One planted edge: what it was and what became of it."""

    __slots__ = ("captured_e6", "ends_ns", "hit", "kind", "number", "planted", "start_ns", "vanish")

    def __init__(
        self, number: int, kind: str, planted: Planted, start_ns: int, ends_ns: int, *, vanish: bool
    ) -> None:
        self.number = number
        self.kind = kind
        self.planted = planted
        self.start_ns = start_ns
        self.ends_ns = ends_ns
        self.vanish = vanish
        self.hit = False
        self.captured_e6 = 0
        """Net of fees, at the truth of the moment, by those who are not generated flow."""

    def as_json(self) -> dict[str, Any]:
        """Return it in words and integers."""
        return {
            "number": self.number,
            "kind": self.kind,
            "name": self.planted.name,
            "start_ns": self.start_ns,
            "life_ms": (self.ends_ns - self.start_ns) // MS,
            "vanish": self.vanish,
            "hit": self.hit,
            "value_e6": self.planted.value_e6,
            "captured_e6": self.captured_e6,
            "legs": self.planted.legs,
        }


class EdgePlanter(Listener):
    """Plants at a rate a kind and on demand; ends each edge when its life is over."""

    def __init__(self, config: FlowConfig, ground: Ground, timers: Timers) -> None:
        self._configs = config.edges
        self._ground = ground
        self._timers = timers
        self._living: dict[int, EdgeRecord] = {}
        """By market index."""
        self._vanish_debt_e4: dict[str, int] = {}
        self.records: deque[EdgeRecord] = deque(maxlen=KEPT)
        self.totals: dict[str, dict[str, int]] = {}
        """By kind: planted, hit, vanished, value_e6, captured_e6."""
        ground.exchange.listeners.append(self)

    def open(self, now_ns: int) -> None:
        """Start a clock a kind: evenly spread with a jitter of half the distance."""
        for config in self._configs:
            self._plan(config, now_ns)

    def _plan(self, config: EdgeConfig, now_ns: int) -> None:
        if config.per_minute > 0.0:
            wait_s = 60.0 / config.per_minute * self._ground.rng.uniform(0.5, 1.5)
            due_ns = now_ns + max(1, round(wait_s * NS))
            self._timers.at(due_ns, lambda at_ns: self._next(config, at_ns))

    def _next(self, config: EdgeConfig, now_ns: int) -> None:
        """Plant one; the share that vanishes is spread as evenly, so that short runs see both."""
        self._plan(config, now_ns)
        if self._ground.flow.resting:
            return
        debt_e4 = self._vanish_debt_e4.get(config.kind, 0) + config.vanish_e4
        vanish = debt_e4 >= ONE_E4
        self._vanish_debt_e4[config.kind] = debt_e4 - ONE_E4 if vanish else debt_e4
        self._plant(config, now_ns, vanish=vanish)

    def plant(self, kind: str, now_ns: int, *, vanish: bool) -> dict[str, Any] | None:
        """Plant one edge now; return it, None when no market for it is free."""
        if kind not in ON_DEMAND:
            raise ConfigError(f"edge kind was {kind!r}, allowed: {', '.join(ON_DEMAND)}")
        chosen = {config.kind: config for config in self._configs}
        record = self._plant(chosen.get(kind, ON_DEMAND[kind]), now_ns, vanish=vanish)
        return None if record is None else record.as_json()

    def _plant(self, config: EdgeConfig, now_ns: int, *, vanish: bool) -> EdgeRecord | None:
        planted = _PLANTERS[config.kind](self._ground, config, now_ns)
        if planted is None:
            return None
        ends_ns = now_ns + self._ground.rng.randint(*config.life_ms) * MS
        total = self.totals.setdefault(
            config.kind,
            dict.fromkeys(("planted", "hit", "vanished", "value_e6", "captured_e6"), 0),
        )
        total["planted"] += 1
        total["value_e6"] += planted.value_e6
        vanish = vanish and len(planted.sides) > 1
        number = sum(each["planted"] for each in self.totals.values())
        record = EdgeRecord(number, config.kind, planted, now_ns, ends_ns, vanish=vanish)
        self.records.append(record)
        for market in planted.markets:
            self._ground.flow.held.add(market.index)
            self._living[market.index] = record
        if planted.halfway is not None:
            self._timers.at((now_ns + ends_ns) // 2, planted.halfway)
        self._timers.at(ends_ns, lambda at_ns: self._end(record, at_ns))
        return record

    def active(self) -> set[str]:
        """Return the names of living edges: the slug of the event for those of a whole event."""
        return {record.planted.name for record in self._living.values()}

    def _end(self, record: EdgeRecord, now_ns: int) -> None:
        """Bring the makers back to their fair values: all offers go before one comes back."""
        flow, planted = self._ground.flow, record.planted
        trading = [market for market in planted.markets if market.accepting]
        for market in trading:
            side = planted.sides.get(market.index)
            if side is not None:
                flow.pull(market, now_ns, bids=side)
        for market in planted.markets:
            self._living.pop(market.index, None)
            flow.held.discard(market.index)
        if planted.finish is not None:
            planted.finish(now_ns)
        for market in trading:
            flow.quote_all(market, flow.fair(market), now_ns)

    # ----------------------------------------------------------------------------- listener
    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """See a leg hit by somebody who is not flow; a vanishing leg leaves at once."""
        record = self._living.get(market.index)
        if record is None:
            return
        takes = bool(trades[0].taker.owner)
        if not takes and record.planted.rests_in != market.index:
            return
        gain_e6 = (self._gain_e6 if takes else self._rested_e6)(record, market, trades, now_ns)
        if not takes and not gain_e6:
            return
        total = self.totals[record.kind]
        record.captured_e6 += gain_e6
        total["captured_e6"] += gain_e6
        if record.hit:
            return
        record.hit = True
        total["hit"] += 1
        if record.vanish:
            total["vanished"] += 1
            self._vanish(record, market, now_ns)

    def _gain_e6(self, record: EdgeRecord, market: Market, trades: list[Trade], now_ns: int) -> int:
        chance_e4 = record.planted.truth(market, now_ns) * ONE_E4
        gain_e6 = 0
        for trade in trades:
            worth_e4 = chance_e4 if trade.taker.outcome == YES else ONE_E4 - chance_e4
            better_e4 = worth_e4 - trade.price_e4
            sign = 1 if trade.taker.side == BUY else -1
            gain_e6 += round(sign * better_e4 * trade.size_e6 / ONE_E4) - trade.fee_e6
        return gain_e6

    def _rested_e6(
        self, record: EdgeRecord, market: Market, trades: list[Trade], now_ns: int
    ) -> int:
        """Return what orders of somebody who is not flow gained by being filled."""
        chance_e4 = record.planted.truth(market, now_ns) * ONE_E4
        gain_e6 = 0
        for fill in (each for trade in trades for each in trade.fills):
            if fill.order.owner:
                sign = 1 if fill.order.is_bid else -1
                better_e4 = sign * (chance_e4 - fill.order.yes_price_e4)
                gain_e6 += round(better_e4 * fill.size_e6 / ONE_E4)
        return gain_e6

    def _vanish(self, record: EdgeRecord, hit: Market, now_ns: int) -> None:
        """Take another leg away; it comes back behind its fair value."""
        flow, planted = self._ground.flow, record.planted
        leg = self._ground.rng.choice([each for each in planted.markets if each is not hit])
        bids = planted.sides[leg.index]
        flow.pull(leg, now_ns, bids=bids)
        tick = leg.tick_e4
        fair_e4 = round(flow.fair(leg) * ONE_E4)
        if bids:
            price_e4 = max(tick, (fair_e4 - BACK_TICKS * tick) // tick * tick)
        else:
            price_e4 = min(ONE_E4 - tick, -(-(fair_e4 + BACK_TICKS * tick) // tick) * tick)
        flow.add_quotes(leg, [(bids, price_e4, 200 * E6)], now_ns)
