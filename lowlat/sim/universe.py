"""The markets of a generated venue: plain ones, neg-risk events, crypto windows that come and go.

Pure and seeded; births and resolutions are timers. Source: feeds.md 3.1, 3.2.
"""

from datetime import UTC, datetime
from random import Random
from typing import Final

from lowlat.core.units import E8, format_fixed
from lowlat.sim.catalog import COINS, Event, Market, Rules, make_event, make_market
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.spot import SpotPath
from lowlat.sim.timers import Timers

__all__ = ["Universe"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
DAY_NS: Final = 86_400 * NS
CRYPTO: Final = Rules("Crypto", fee_rate_e4=700, rebate=0.2, itode=True)
CANDLE: Final = Rules("Crypto", fee_rate_e4=700, rebate=0.2)
PLAIN: Final = (
    Rules("Politics", fee_rate_e4=400, rebate=0.25),
    Rules("Geopolitics", fee_rate_e4=0, rebate=0.0),
    Rules("Economics", fee_rate_e4=500, rebate=0.25),
    Rules("Tech", fee_rate_e4=400, rebate=0.25, tick_e4=10),
)
NEG_RISK: Final = (
    Rules("Geopolitics", fee_rate_e4=0, rebate=0.0, neg_risk=True),
    Rules("Politics", fee_rate_e4=400, rebate=0.25, neg_risk=True),
    Rules("Politics", fee_rate_e4=400, rebate=0.25, neg_risk=True, tick_e4=10),
)
SUBJECTS: Final = ("Harbor Bill", "Lunar Probe", "Rate Cut", "Grid Pact", "Port Strike", "Chip Act")
NAMES: Final = ("Avery", "Blake", "Carmen", "Dorian", "Elif")
STRIKES: Final = 3


class Universe:
    """Lists markets on the exchange and ends them in time."""

    def __init__(
        self,
        config: SimConfig,
        exchange: Exchange,
        timers: Timers,
        rng: Random,
        spots: dict[str, SpotPath],
    ) -> None:
        self.events: list[Event] = []
        self.fair: dict[int, float] = {}
        """Hidden chance of YES of markets that no spot decides."""
        self._config = config
        self._exchange = exchange
        self._timers = timers
        self._rng = rng
        self._spots = spots

    def open(self, now_ns: int) -> None:
        """List everything that exists at the start and plan what comes."""
        for number in range(self._config.neg_risk_events):
            self._open_neg_risk(number, now_ns)
        for number in range(len(self._exchange.markets), self._config.markets):
            self._open_plain(number, now_ns)
        for coin in self._spots:
            step_s = self._config.window_s
            start_s = now_ns // NS // step_s * step_s
            for ahead in range(self._config.windows_ahead + 1):
                self._open_window(coin, start_s + ahead * step_s, now_ns)
            self._open_candles(coin, now_ns)

    def new_event(self, slug: str, title: str, rules: Rules) -> Event:
        """Make an event and keep it."""
        event = make_event(self._config.seed, len(self.events), slug, title, rules)
        self.events.append(event)
        return event

    def new_market(
        self, event: Event, question: str, slug: str, kind: str, now_ns: int, end_ns: int
    ) -> Market:
        """Make a market, not yet listed."""
        index = len(self._exchange.markets)
        market = make_market(self._config.seed, index, event, question, slug, kind)
        market.start_ns = event.start_ns = event.start_ns or now_ns
        market.end_ns = event.end_ns = end_ns
        return market

    # ----------------------------------------------------------------------------- kinds
    def _open_plain(self, number: int, now_ns: int) -> None:
        subject = SUBJECTS[number % len(SUBJECTS)]
        question = f"Will the {subject} pass vote {number}?"
        slug = question.lower().strip("?").replace(" ", "-")
        event = self.new_event(slug, question, PLAIN[number % len(PLAIN)])
        end_ns = now_ns + (7 + number % 90) * DAY_NS
        market = self.new_market(event, question, slug, "binary", now_ns, end_ns)
        self.fair[market.index] = self._rng.uniform(0.15, 0.85)
        self._exchange.list_market(market, now_ns)

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

    def _open_window(self, coin: str, start_s: int, now_ns: int) -> None:
        """List an up/down window; it plans its own successor and its end."""
        step_s = self._config.window_s
        span = f"{step_s // 60}m" if step_s % 60 == 0 else f"{step_s}s"
        slug = f"{coin.lower()}-updown-{span}-{start_s}"
        name = COINS[coin].name
        question = f"{name} Up or Down - {_clock(start_s)}-{_clock(start_s + step_s)} UTC"
        event = self.new_event(slug, question, CRYPTO)
        event.series = f"{coin.lower()}-up-or-down-{span}"
        event.start_ns = start_s * NS
        end_ns = (start_s + step_s) * NS
        market = self.new_market(event, question, slug, "twap", now_ns, end_ns)
        market.coin = coin
        self._exchange.list_market(market, now_ns)
        resolve_ns = end_ns + max(self._config.resolve_delay_ms, 1) * MS
        self._timers.at(resolve_ns, lambda at_ns: self._end_window(market, at_ns))
        following_s = start_s + (self._config.windows_ahead + 1) * step_s
        self._timers.at(
            max(end_ns, now_ns), lambda at_ns: self._open_window(coin, following_s, at_ns)
        )

    def _end_window(self, market: Market, now_ns: int) -> None:
        """Up when the average at the end is at least the one at the start; a tie is Up."""
        spot = self._spots[market.coin]
        start_e8 = spot.average_e8(market.start_ns // NS)
        end_e8 = spot.average_e8(market.end_ns // NS)
        assert start_e8 is not None and end_e8 is not None, f"{market.slug}: history too short"
        market.start_price_e8 = start_e8
        self._exchange.resolve(market, 0 if end_e8 >= start_e8 else 1, now_ns)

    def _open_candles(self, coin: str, now_ns: int) -> None:
        """List markets that settle on the exchange's candle: above a strike, and open to close."""
        span_s = self._config.strike_window_s
        start_s = now_ns // NS // span_s * span_s
        end_ns = (start_s + span_s) * NS
        facts = COINS[coin]
        label = _day_hour(start_s + span_s)
        slug = f"{facts.name.lower()}-above-on-{label}"
        event = self.new_event(slug, f"{facts.name} above ___ on {label}?", CANDLE)
        near_e8 = self._spots[coin].price_e8 // facts.step_e8 * facts.step_e8
        for step in range(STRIKES):
            strike_e8 = near_e8 + (step - STRIKES // 2 + 1) * facts.step_e8
            shown = f"{strike_e8 // E8:,}"
            question = f"Will the price of {facts.name} be above ${shown} on {label}?"
            market_slug = f"{facts.name.lower()}-above-{format_fixed(strike_e8, 8)}-on-{label}"
            market = self.new_market(event, question, market_slug, "strike", now_ns, end_ns)
            market.group_item = shown
            market.coin = coin
            market.strike_e8 = strike_e8
            self._exchange.list_market(market, now_ns)
        slug = f"{facts.name.lower()}-up-or-down-{_day_hour(start_s)}"
        event = self.new_event(slug, f"{facts.name} Up or Down - {_day_hour(start_s)}", CANDLE)
        event.series = f"{coin.lower()}-up-or-down-hourly"
        event.start_ns = start_s * NS
        market = self.new_market(event, event.title, slug, "candle", now_ns, end_ns)
        market.coin = coin
        self._exchange.list_market(market, now_ns)
        due_ns = end_ns + max(self._config.resolve_delay_ms, 1) * MS
        self._timers.at(due_ns, lambda at_ns: self._end_candles(coin, start_s, at_ns))

    def _end_candles(self, coin: str, start_s: int, now_ns: int) -> None:
        end_s = start_s + self._config.strike_window_s
        candle = self._spots[coin].candle(start_s, end_s)
        assert candle is not None, f"{coin}: no candle from {start_s}"
        open_e8, _, _, close_e8 = candle
        for market in self._exchange.markets:
            if market.coin == coin and market.end_ns == end_s * NS and not market.closed:
                if market.kind == "strike":
                    # Strictly above: a tie is No. Source: feeds.md 3.1.
                    self._exchange.resolve(market, int(close_e8 <= market.strike_e8), now_ns)
                elif market.kind == "candle":
                    market.start_price_e8 = open_e8
                    self._exchange.resolve(market, int(close_e8 < open_e8), now_ns)
        self._open_candles(coin, now_ns)


def _clock(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%B %d, %H:%M:%S")


def _day_hour(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%B-%d-%Y-%H%M%S").lower()
