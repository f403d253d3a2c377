"""The markets of a generated venue that no price decides: plain ones and neg-risk events.

Pure and seeded; resolutions are timers.
"""

from random import Random
from typing import Final

from lowlat.sim.catalog import Event, Market, Rules, make_event, make_market
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.timers import Timers

__all__ = ["Universe"]

NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * NS
PLAIN: Final = (
    Rules("Politics", fee_rate_e4=400, rebate=0.25, reward_daily_e6=50_000_000),
    Rules("Geopolitics", fee_rate_e4=0, rebate=0.0),
    Rules("Economics", fee_rate_e4=500, rebate=0.25),
    Rules("Tech", fee_rate_e4=400, rebate=0.25, tick_e4=10),
)
UNPAID: Final = (Rules("Politics", fee_rate_e4=400, rebate=0.25), *PLAIN[1:])
"""The same without pools for makers."""
NEG_RISK: Final = (
    Rules("Geopolitics", fee_rate_e4=0, rebate=0.0, neg_risk=True),
    Rules("Politics", fee_rate_e4=400, rebate=0.25, neg_risk=True),
    Rules("Politics", fee_rate_e4=400, rebate=0.25, neg_risk=True, tick_e4=10),
)
SUBJECTS: Final = ("Harbor Bill", "Lunar Probe", "Rate Cut", "Grid Pact", "Port Strike", "Chip Act")
NAMES: Final = ("Avery", "Blake", "Carmen", "Dorian", "Elif")
BOND: Final = Rules("Economics", fee_rate_e4=500, rebate=0.25)
BOND_CHANCE: Final = (0.93, 0.99)
DRIFT: Final = 0.004
"""Largest move of a hidden chance at one visit, where it is a half."""


class Universe:
    """Lists markets on the exchange and ends them in time."""

    def __init__(self, config: SimConfig, exchange: Exchange, timers: Timers, rng: Random) -> None:
        self.events: list[Event] = []
        self.fair: dict[int, float] = {}
        """Hidden chance of YES of markets that no spot decides."""
        self._config = config
        self._exchange = exchange
        self._timers = timers
        self._rng = rng
        self._bonds = 0

    def open(self, now_ns: int) -> None:
        """List everything that exists at the start and plan what comes."""
        for number in range(self._config.neg_risk_events):
            self._open_neg_risk(number, now_ns)
        for number in range(len(self._exchange.markets), self._config.markets):
            self._open_plain(number, now_ns)
        for number in range(self._config.markets, self._config.markets + self._config.v2_markets):
            self._open_plain(number, now_ns, "v2")
        for _ in range(self._config.bonds):
            self._open_bond(now_ns)

    def drift(self, market: Market, rng: Random) -> list[Market]:
        """Let a hidden chance wander; return the markets it moved in.

        A fair game: steps shrink towards 0 and 1, which are never reached, and what one leg of an
        event gains another one loses.
        """
        fair = self.fair
        if market.coin:
            return []
        chance = fair[market.index]
        scale = 4.0 * chance * (1.0 - chance)
        if market.kind != "leg":
            fair[market.index] += rng.uniform(-DRIFT, DRIFT) * scale
            return [market]
        other = rng.choice([each for each in market.event.markets if each is not market])
        there = fair[other.index]
        move = rng.uniform(-DRIFT, DRIFT) * min(scale, 4.0 * there * (1.0 - there))
        fair[market.index] += move
        fair[other.index] -= move
        return [market, other]

    def shift(self, market: Market, move: float) -> list[Market]:
        """Move a hidden chance by so much; return the markets it moved in.

        The other legs of an event share what one of them gains, in proportion to their chances.
        """
        fair = self.fair
        others = [each for each in market.event.markets if each is not market]
        if market.kind == "leg":
            rest = 1.0 - fair[market.index]
            for other in others:
                fair[other.index] -= move * fair[other.index] / rest
        else:
            others = []
        fair[market.index] += move
        return [market, *others]

    def new_event(self, slug: str, title: str, rules: Rules) -> Event:
        """Make an event and keep it."""
        event = make_event(self._config.seed, len(self.events), slug, title, rules)
        self.events.append(event)
        return event

    def new_market(
        self,
        event: Event,
        question: str,
        slug: str,
        kind: str,
        now_ns: int,
        end_ns: int,
        version: str = "v1",
    ) -> Market:
        """Make a market, not yet listed."""
        index = len(self._exchange.markets)
        market = make_market(self._config.seed, index, event, question, slug, kind, version)
        market.start_ns = event.start_ns = event.start_ns or now_ns
        market.end_ns = event.end_ns = end_ns
        return market

    # ----------------------------------------------------------------------------- kinds
    def _open_plain(self, number: int, now_ns: int, version: str = "v1") -> None:
        subject = SUBJECTS[number % len(SUBJECTS)]
        question = f"Will the {subject} pass vote {number}?"
        slug = question.lower().strip("?").replace(" ", "-")
        rules = (PLAIN if self._config.rewards else UNPAID)[number % len(PLAIN)]
        event = self.new_event(slug, question, rules)
        end_ns = now_ns + (7 + number % 90) * DAY_NS
        market = self.new_market(event, question, slug, "binary", now_ns, end_ns, version)
        self.fair[market.index] = self._rng.uniform(0.15, 0.85)
        self._exchange.list_market(market, now_ns)

    def _open_bond(self, now_ns: int) -> None:
        """List a nearly certain market; it ends by its hidden chance and another one follows."""
        number = self._bonds
        self._bonds += 1
        subject = SUBJECTS[number % len(SUBJECTS)]
        question = f"Will the {subject} stand after reading {number}?"
        slug = question.lower().strip("?").replace(" ", "-")
        event = self.new_event(slug, question, BOND)
        end_ns = now_ns + self._rng.randint(*self._config.bond_life_s) * NS
        market = self.new_market(event, question, slug, "binary", now_ns, end_ns)
        chance = self._rng.uniform(*BOND_CHANCE)
        self.fair[market.index] = chance if self._rng.random() < 0.5 else 1.0 - chance
        self._exchange.list_market(market, now_ns)
        self._timers.at(end_ns, lambda at_ns: self._end_bond(market, at_ns))

    def _end_bond(self, market: Market, now_ns: int) -> None:
        if not market.closed:
            winner = 0 if self._rng.random() < self.fair[market.index] else 1
            self._exchange.resolve(market, winner, now_ns)
        self._open_bond(now_ns)

    def _open_neg_risk(self, number: int, now_ns: int) -> None:
        count = 3 + number % 3
        title = f"Who wins district {number + 1}?"
        slug = f"who-wins-district-{number + 1}"
        event = self.new_event(slug, title, NEG_RISK[number % len(NEG_RISK)])
        life_s = self._config.event_life_s
        end_ns = now_ns + (life_s * NS if life_s else 30 * DAY_NS)
        weights = [self._rng.uniform(0.6, 1.4) for _ in range(count)]
        for name, weight in zip(NAMES, weights, strict=False):
            question = f"Will {name} win district {number + 1}?"
            leg_slug = f"will-{name.lower()}-win-district-{number + 1}"
            market = self.new_market(event, question, leg_slug, "leg", now_ns, end_ns)
            market.group_item = name
            self.fair[market.index] = weight / sum(weights)
            self._exchange.list_market(market, now_ns)
        if life_s:
            self._timers.at(end_ns, lambda at_ns: self._end_event(event, at_ns))

    def _end_event(self, event: Event, now_ns: int) -> None:
        chances = [self.fair[market.index] for market in event.markets]
        winner = self._rng.choices(event.markets, chances)[0]
        for market in event.markets:
            self._exchange.resolve(market, 0 if market is winner else 1, now_ns)
