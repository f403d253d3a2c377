"""The long tail of a venue: tens of thousands of listed markets that nobody quotes. Pure, seeded.

They fill the metadata service at the size of the real one. New ones appear at a rate; the
order-book service knows them only minutes later, as live. Source: polymarket.md 11.1, 15 #29.
"""

from random import Random
from typing import Final

from lowlat.sim.catalog import Event, Rules
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.timers import Timers
from lowlat.sim.universe import Universe

__all__ = ["LongTail"]

NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * NS
FAMILIES: Final = (
    Rules("Sports", fee_rate_e4=500, rebate=0.15),
    Rules("Politics", fee_rate_e4=400, rebate=0.25),
    Rules("Culture", fee_rate_e4=500, rebate=0.25),
    Rules("Weather", fee_rate_e4=500, rebate=0.25),
    Rules("Geopolitics", fee_rate_e4=0, rebate=0.0),
    Rules("Economics", fee_rate_e4=500, rebate=0.25),
    Rules("Mentions", fee_rate_e4=400, rebate=0.25),
    Rules("Tech", fee_rate_e4=400, rebate=0.25, tick_e4=10),
)
LEGS: Final = (1, 1, 2, 1, 3, 1, 8)
"""Markets of an event, over and over: about three events in ten have several."""
VOLUME_MEDIAN: Final = 8.0
VOLUME_SPREAD: Final = 2.5
"""Of the natural logarithm of dollars traded."""


class LongTail:
    """Lists quiet markets at the start and later."""

    def __init__(
        self,
        config: SimConfig,
        exchange: Exchange,
        universe: Universe,
        timers: Timers,
        rng: Random,
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._universe = universe
        self._timers = timers
        self._rng = rng
        self._events = 0
        self.listed = 0

    def open(self, now_ns: int) -> None:
        """List what exists at the start and begin to list more."""
        while self.listed < self._config.catalogue:
            self._list_event(now_ns - self._rng.randrange(1, 90) * DAY_NS, now_ns, 0)
        self._plan(now_ns)

    def _plan(self, now_ns: int) -> None:
        rate = self._config.listings_per_minute
        if rate > 0.0:
            wait_s = self._rng.expovariate(rate / 60.0)
            self._timers.at(now_ns + max(1, round(wait_s * NS)), self._next)

    def _next(self, now_ns: int) -> None:
        self._plan(now_ns)
        delay_ns = self._rng.randint(*self._config.listing_delay_s) * NS
        self._list_event(now_ns, now_ns, delay_ns)

    def _list_event(self, start_ns: int, now_ns: int, delay_ns: int) -> Event:
        """List one event with its markets; the order book knows them after a delay."""
        number = self._events
        self._events += 1
        rules = FAMILIES[number % len(FAMILIES)]
        topic = f"{rules.category.lower()} story {number}"
        event = self._universe.new_event(topic.replace(" ", "-"), f"What of {topic}?", rules)
        event.start_ns = start_ns
        end_ns = now_ns + self._rng.randrange(1, 365) * DAY_NS
        for leg in range(LEGS[number % len(LEGS)]):
            question = f"Will {topic} come to chapter {leg + 1}?"
            slug = question.lower().strip("?").replace(" ", "-")
            market = self._universe.new_market(event, question, slug, "quiet", start_ns, end_ns)
            market.start_ns = start_ns
            if not delay_ns:
                volume = self._rng.lognormvariate(VOLUME_MEDIAN, VOLUME_SPREAD)
                market.volume_e6 = round(volume) * 1_000_000
            if LEGS[number % len(LEGS)] > 1:
                market.group_item = f"Chapter {leg + 1}"
            self._exchange.list_market(market, now_ns, delay_ns)
            self.listed += 1
        return event
