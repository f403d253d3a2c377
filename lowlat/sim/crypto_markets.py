"""Markets that a price decides: up/down windows, hourly candles, daily strikes; births and ends.

Slugs, times and words are those of the real ones, New York hours included, because a trading engine
reads the rule from them. Pure and seeded. Source: feeds.md 3.1, 3.2.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from lowlat.core.units import E8
from lowlat.sim.catalog import COINS, Market, Rules, span_text
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.spot import SpotPath
from lowlat.sim.timers import Timers
from lowlat.sim.universe import Universe

__all__ = ["CryptoMarkets"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
HOUR_S: Final = 3600
MINUTE_S: Final = 60
NEW_YORK: Final = ZoneInfo("America/New_York")
WINDOW: Final = Rules("Crypto", fee_rate_e4=700, rebate=0.2, itode=True)
CANDLE: Final = Rules("Crypto", fee_rate_e4=700, rebate=0.2)
STRIKES: Final = 3
RESOLVE_DELAY_MIN_MS: Final = 100
"""The last price of a market must have been noted when it resolves."""


class CryptoMarkets:
    """Lists price markets of every coin and ends them by the simulated prices."""

    def __init__(
        self,
        config: SimConfig,
        exchange: Exchange,
        timers: Timers,
        universe: Universe,
        spots: dict[str, SpotPath],
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._timers = timers
        self._universe = universe
        self._spots = spots

    def open(self, now_ns: int) -> None:
        """List what exists at the start and plan what comes."""
        for coin in self._spots:
            for span_s in self._config.windows_s:
                start_s = _grid_start(now_ns // NS, span_s)
                for ahead in range(self._config.windows_ahead + 1):
                    self._open_window(coin, span_s, start_s + ahead * span_s, now_ns)
            self._open_hour(coin, now_ns // NS // HOUR_S * HOUR_S, now_ns)
            self._open_day(coin, now_ns)

    # ----------------------------------------------------------------------------- windows
    def _open_window(self, coin: str, span_s: int, start_s: int, now_ns: int) -> None:
        """List an up/down window; it plans its own end and its successor."""
        span = span_text(span_s)
        slug = f"{coin.lower()}-updown-{span}-{start_s}"
        question = f"{COINS[coin].name} Up or Down - {_clock(start_s)}-{_clock(start_s + span_s)}"
        event = self._universe.new_event(slug, question, WINDOW)
        event.series = f"{coin.lower()}-up-or-down-{span}"
        event.start_ns = start_s * NS
        end_ns = (start_s + span_s) * NS
        market = self._universe.new_market(event, question, slug, "twap", now_ns, end_ns)
        market.coin = coin
        self._exchange.list_market(market, now_ns)
        self._timers.at(self._resolve_ns(end_ns), lambda at_ns: self._end_window(market, at_ns))
        next_s = start_s + (self._config.windows_ahead + 1) * span_s
        self._timers.at(end_ns, lambda at_ns: self._open_window(coin, span_s, next_s, at_ns))

    def _end_window(self, market: Market, now_ns: int) -> None:
        """End a window: Up when the average at the end is at least the one at the start."""
        if market.closed:
            return
        spot = self._spots[market.coin]
        start_e8 = spot.average_e8(market.start_ns // NS)
        end_e8 = spot.average_e8(market.end_ns // NS)
        assert start_e8 is not None, f"{market.slug}: history too short"
        assert end_e8 is not None, f"{market.slug}: ended before its last second"
        market.start_price_e8, market.final_price_e8 = start_e8, end_e8
        self._exchange.resolve(market, 0 if end_e8 >= start_e8 else 1, now_ns)

    # ----------------------------------------------------------------------------- candles
    def _open_hour(self, coin: str, start_s: int, now_ns: int) -> None:
        """List the market on the hour's candle. An hour whose name means two is not listed."""
        end_ns = (start_s + HOUR_S) * NS
        local = datetime.fromtimestamp(start_s, NEW_YORK)
        if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
            hour = f"{local.hour % 12 or 12}{'am' if local.hour < 12 else 'pm'}"
            name = COINS[coin].name
            slug = f"{name.lower()}-up-or-down-{_date(local)}-{hour}-et"
            title = f"{name} Up or Down - {local:%B} {local.day}, {hour.upper()} ET"
            event = self._universe.new_event(slug, title, CANDLE)
            event.series = f"{coin.lower()}-up-or-down-hourly"
            event.start_ns = start_s * NS
            market = self._universe.new_market(event, title, slug, "candle", now_ns, end_ns)
            market.coin = coin
            self._exchange.list_market(market, now_ns)
            self._timers.at(self._resolve_ns(end_ns), lambda at_ns: self._end_hour(market, at_ns))
        self._timers.at(end_ns, lambda at_ns: self._open_hour(coin, start_s + HOUR_S, at_ns))

    def _end_hour(self, market: Market, now_ns: int) -> None:
        if market.closed:
            return
        candle = self._spots[market.coin].candle(market.start_ns // NS, market.end_ns // NS)
        assert candle is not None, f"{market.slug}: no candle"
        market.start_price_e8 = candle[0]
        self._exchange.resolve(market, 0 if candle[3] >= candle[0] else 1, now_ns)

    def _open_day(self, coin: str, now_ns: int) -> None:
        """List the strikes of the next noon in New York that is at least an hour away."""
        local = datetime.fromtimestamp(now_ns // NS + HOUR_S, NEW_YORK)
        noon = local.replace(hour=12, minute=0, second=0, microsecond=0, fold=0)
        if noon < local:
            noon += timedelta(days=1)
        noon_s = int(noon.astimezone(UTC).timestamp())
        facts = COINS[coin]
        self._universe.new_event(
            f"{facts.name.lower()}-above-on-{_date(noon)}",
            f"{facts.name} above ___ on {noon:%B} {noon.day}?",
            CANDLE,
        )
        near_e8 = self._spots[coin].price_e8 // facts.step_e8 * facts.step_e8
        for step in range(STRIKES):
            strike_e8 = near_e8 + (step - STRIKES // 2) * facts.step_e8
            self._open_strike(coin, strike_e8, noon, noon_s, now_ns)
        following_ns = (noon_s + MINUTE_S) * NS
        self._timers.at(following_ns, lambda at_ns: self._open_day(coin, at_ns))

    def _open_strike(
        self, coin: str, strike_e8: int, noon: datetime, noon_s: int, now_ns: int
    ) -> None:
        facts = COINS[coin]
        event = self._universe.events[-1]
        strike = strike_e8 // E8
        shown = f"{strike:,}"
        short = f"{strike // 1000}k" if strike % 1000 == 0 else str(strike)
        slug = f"{facts.name.lower()}-above-{short}-on-{_date(noon)}"
        question = f"Will the price of {facts.name} be above ${shown} on {noon:%B} {noon.day}?"
        market = self._universe.new_market(event, question, slug, "strike", now_ns, noon_s * NS)
        market.group_item = shown
        market.coin = coin
        market.strike_e8 = strike_e8
        self._exchange.list_market(market, now_ns)
        end_ns = self._resolve_ns((noon_s + MINUTE_S) * NS)
        self._timers.at(end_ns, lambda at_ns: self._end_strike(market, noon_s, at_ns))

    def _end_strike(self, market: Market, noon_s: int, now_ns: int) -> None:
        """End a strike: Yes only strictly above the close of the minute that begins at noon."""
        if market.closed:
            return
        candle = self._spots[market.coin].candle(noon_s, noon_s + MINUTE_S)
        assert candle is not None, f"{market.slug}: no candle"
        self._exchange.resolve(market, 0 if candle[3] > market.strike_e8 else 1, now_ns)

    def _resolve_ns(self, end_ns: int) -> int:
        return end_ns + max(self._config.resolve_delay_ms, RESOLVE_DELAY_MIN_MS) * MS


def _grid_start(now_s: int, span_s: int) -> int:
    """Return the start of the window that holds now; four hours follow New York's clock."""
    if span_s == 4 * HOUR_S:
        local = datetime.fromtimestamp(now_s, NEW_YORK)
        offset = local.utcoffset()
        assert offset is not None, "New York has an offset"
        shift_s = int(offset.total_seconds())
        return (now_s + shift_s) // span_s * span_s - shift_s
    return now_s // span_s * span_s


def _clock(second: int) -> str:
    return datetime.fromtimestamp(second, NEW_YORK).strftime("%B %d, %I:%M:%S%p ET")


def _date(local: datetime) -> str:
    return f"{local:%B}".lower() + f"-{local.day}-{local.year}"
