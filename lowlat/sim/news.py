"""News of the generated world: a hidden chance jumps, and a headline says which way. Pure, seeded.

Makers follow at once or after ``news_delay_ms``. Headlines are read at ``/sim/news``.
"""

from collections import deque
from random import Random
from typing import Any, Final

from lowlat.sim.catalog import Market
from lowlat.sim.config import FlowConfig
from lowlat.sim.flow import Flow
from lowlat.sim.timers import Timers
from lowlat.sim.universe import Universe

__all__ = ["News"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
KEPT: Final = 1_000
SHARE_MAX: Final = 0.8
"""No news takes a chance nearer to 0 or 1 than a fifth of what is left."""


class News:
    """Breaks news at a rate and on demand."""

    def __init__(
        self, config: FlowConfig, universe: Universe, flow: Flow, timers: Timers, rng: Random
    ) -> None:
        self._config = config
        self._universe = universe
        self._flow = flow
        self._timers = timers
        self._rng = rng
        self.items: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.count = 0

    def open(self, now_ns: int) -> None:
        """Start the clock of news."""
        rate = self._config.news_per_minute
        if rate > 0.0:
            wait_s = self._rng.expovariate(rate / 60.0)
            self._timers.at(now_ns + max(1, round(wait_s * NS)), self._next)

    def free_markets(self) -> list[Market]:
        """Return the open binary markets that no price decides and nobody is in charge of."""
        return [
            market
            for event in self._universe.events
            for market in event.markets
            if market.kind == "binary" and market.accepting and market.index not in self._flow.held
        ]

    def move(self, market: Market, move_e4: int, now_ns: int) -> float:
        """Let a market's chance jump either way, a fair game; return how far. Quotes stay."""
        fair = self._universe.fair
        chance = fair[market.index]
        size = min(move_e4 / 10_000, SHARE_MAX * min(chance, 1.0 - chance))
        move = size if self._rng.random() < 0.5 else -size
        fair[market.index] = chance + move
        self.count += 1
        word = "for" if move > 0.0 else "against"
        self.items.append(
            {
                "id": self.count,
                "at_ns": now_ns,
                "headline": f"New evidence {word} it: {market.question}",
                "market": market.slug,
                "condition_id": market.condition_id,
            }
        )
        return move

    def _next(self, now_ns: int) -> None:
        self.open(now_ns)
        markets = self.free_markets()
        if not markets:
            return
        market = self._rng.choice(markets)
        self.move(market, self._rng.randint(*self._config.news_move_e4), now_ns)
        low_ms, high_ms = self._config.news_delay_ms
        if not high_ms:
            self._flow.follow(market, now_ns)
            return
        # Nobody quotes it anew until the makers have read it.
        self._flow.held.add(market.index)
        due_ns = now_ns + self._rng.randint(low_ms, high_ms) * MS
        self._timers.at(due_ns, lambda at_ns: self._read(market, at_ns))

    def _read(self, market: Market, now_ns: int) -> None:
        self._flow.held.discard(market.index)
        self._flow.follow(market, now_ns)
