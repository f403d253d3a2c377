"""Fair value of crypto up/down markets against their books: buy what the book has not followed.

What there is to win (feeds.md 3.6): the start price in the first seconds, and the locked part of
the average in the last minute. Rules are read from the market, never guessed:

* TWAP_60_UP: mean of the settlement spot over the last minute, end >= start; the spot is the
  exchange's mid carried over by the basis; seconds that printed are locked;
* BINANCE_CANDLE_UP, BINANCE_ABOVE: the exchange's own price at the end; no basis, no average. What
  a strike compares with is known from its listing on, so it is priced from then on;
* BINANCE_NOON_UP: the same against the close of the noon before.

The exchange leans before it moves: prints and sizes near its touch (``feeds._lead``) shift the spot
by what such a lean was worth a second later, as far as that is beyond chance (``_coin``).

The exchange's prices lie on a grid of cents, so a close that equals what it is compared with has
weight: half a cent of the strike. It is Up in a candle, No at a strike, and pays half at noon.

Per market and price change two limits are worked out: the highest YES and NO price that still
leaves the margin after the market's fee. A book tick then costs two comparisons. Unknown start
price, fee, tick, volatility, basis or too many missing prints: no signal. Source: feeds.md 6.2.
The arithmetic is ``_latency.Quote``, one a market, and ``_coin.CoinModel``, one a coin; exchange
prices come through ``_latency.Mids``.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.interest import Interest
from lowlat.core.layout import (
    Coin,
    Known,
    MarketRow,
    MarketStatus,
    Settle,
    SettleRule,
    SettleSeries,
)
from lowlat.core.signal import Signal
from lowlat.core.units import E6, E8
from lowlat.signals._coin import CoinModel
from lowlat.signals._latency import CoinQuotes, Mids, Quote, Terms
from lowlat.signals.coins import CoinParams
from lowlat.signals.module import Module
from lowlat.venues.polymarket.amounts import TICKS
from lowlat.venues.polymarket.windows import COIN_NAMES, COIN_TICKERS

__all__ = ["FairValue", "Latency", "LatencyParams"]

_NEEDED: Final = Known.TRADEABLE | Known.SETTLE_RULE
_AVERAGE_S: Final = 60
_LEARNED_FROM: Final = frozenset({SettleSeries.CHAINLINK_SPOT, SettleSeries.BINANCE_SECOND_CLOSE})
_HALF_GRID: Final = 0.005
"""Dollars: BTCUSDT, ETHUSDT and SOLUSDT trade in cents. Source: Binance exchangeInfo, tickSize."""
_Z_TOLD_MIN: Final = 0.05
_TIES: Final = {SettleRule.BINANCE_CANDLE_UP: -_HALF_GRID, SettleRule.BINANCE_ABOVE: _HALF_GRID}
"""Where YES begins, off the price that is compared with; a half of a tie at noon is no shift."""
_RULES: Final = frozenset(
    {
        SettleRule.TWAP_60_UP,
        SettleRule.BINANCE_CANDLE_UP,
        SettleRule.BINANCE_ABOVE,
        SettleRule.BINANCE_NOON_UP,
    }
)


class LatencyParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When to buy and how much. Probabilities and prices are dollars a share."""

    edge_min: float = 0.01
    """What must be left after fee, volatility error and delay."""
    volatility_error: float = 0.2
    """Relative one-deviation error of volatility; its effect on the price must be earned too.

    It grows with the time left: times sqrt(1 + left / coin.volatility_slow_half_life_s).
    """
    volatility_error_weight: float = 1.0
    delay_weight: float = 0.5
    """Share of a one-deviation move during the delay that fills are expected to lose."""
    own_delay_ms: int = 20
    """Added to the market's taker delay."""
    fill_probability: float = 0.7
    order_cash_e6_max: int = 50 * E6
    impact_share_max: float = 1.0 / 3.0
    """Slippage may eat this share of the edge at the touch. Source: design 8."""
    impact_max_ppm: int = 10_000
    average_lag_s: int = 3
    """The average of a stamp ends so many seconds before it. Source: feeds.md 3.2."""
    missing_s_max: int = 9
    """More seconds without a print make the locked part unknown."""
    print_age_s_max: int = 6
    spot_age_ms_max: int = 3_000
    spot_move_ppm: int = 10
    """Books are looked at again when the exchange moved so much since the last time."""
    stop_before_end_ms: int = 1_500
    cooldown_ms: int = 250
    """Per token, after a signal."""
    latency_budget_us: int = 20_000
    priority: int = 100
    """For places in the universe, 1 to 1000."""
    horizon_s: int = 5_400
    """Markets that end later need no place yet."""
    coin: CoinParams = CoinParams()

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense together."""
        if not 0.0 < self.fill_probability <= 1.0:
            raise ConfigError(f"fill_probability was {self.fill_probability}, expected 0 to 1")
        if self.edge_min <= 0.0:
            raise ConfigError(f"edge_min was {self.edge_min}, expected above 0")
        if self.latency_budget_us <= 0:
            raise ConfigError(f"latency_budget_us was {self.latency_budget_us}, expected above 0")
        self.coin.validate()


class FairValue(NamedTuple):
    """Probability of YES and what it rests on. Prices in dollars of the coin."""

    probability: float
    mean: float
    deviation: float
    z: float
    locked_s: int
    left_s: float


class Latency(Module):
    """Buys YES or NO of crypto markets whose book is behind the fair value."""

    name: ClassVar[str] = "latency"
    Params: ClassVar[type[msgspec.Struct]] = LatencyParams
    params: LatencyParams

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self._terms = Terms(self.name, params)
        self._coins: dict[int, CoinQuotes] = {}
        self._quotes: dict[int, Quote] = {}

    @classmethod
    def describe(cls, signal: Signal, row: MarketRow) -> list[str]:
        """Tell the chance, what it rests on, and what the token may cost."""
        told: dict[str, Any] = signal.metadata
        strike = _strike(row)
        against = "an unknown price" if strike is None else f"{strike:,.2f}"
        up = told["up_e4"] / 1e4
        return [
            (
                f"expects {told['mean_e2'] / 100:,.2f} against {against}: "
                f"{told['z_e2'] / 100:+.2f} deviations, so YES {up:.4f} and NO {1 - up:.4f}"
                f"{_deviation_words(told['mean_e2'] / 100, strike, told['z_e2'] / 100, up)}"
            ),
            (
                f"{told['left_ms'] / 1000:.1f} s are left, {told['locked_s']} s of the average are "
                f"printed; less the delay its token is worth {signal.confidence:.4f}"
            ),
            *_lead_words(told.get("lead_ppb", 0)),
            (
                f"buys up to {signal.limit_price_e4 / 1e4:g}, {signal.size_suggestion / E6:g} "
                f"shares, fee rate {row.fee_rate_e6 / E6:g}"
            ),
            (
                f"worth ${signal.expected_value:.4f}: fill_probability x what is left of "
                f"{signal.size_suggestion / E6:g} x {signal.confidence:.4f} after price and fee"
            ),
        ]

    # ------------------------------------------------------------------------------- callbacks
    def wants(self) -> Sequence[Interest]:
        """Want the windows and strikes of its coins while they can move. Source: feeds.md 3.1."""
        tickers, names = COIN_TICKERS.values(), COIN_NAMES.values()
        windows = (
            *(f"{ticker}-updown" for ticker in tickers),
            *(f"{name}-up-or-down" for name in names),
        )
        strikes = tuple(f"{name}-above" for name in names)
        return tuple(
            Interest(
                self.params.priority,
                slug_prefixes=prefixes,
                ends_within_ns=self.params.horizon_s * 1_000_000_000,
            )
            for prefixes in (windows, strikes)
        )

    def interest(self, row: MarketRow) -> bool:
        """Want crypto markets that trade and whose rule is known."""
        return (
            row.coin != Coin.NONE
            and row.known & _NEEDED == _NEEDED
            and row.status == MarketStatus.ACTIVE
            and row.settle_rule in _RULES
            and row.tick_e4 in TICKS
            and row.end_ns > row.start_ns
        )

    def on_market(self, row: MarketRow) -> None:
        """Take the rule; a start price that became known makes the market priceable."""
        average_s = _AVERAGE_S if row.settle_rule == SettleRule.TWAP_60_UP else 0
        coin = self.coin(row.coin)
        quote = Quote(
            row, _boundary(row), _opens_ns(row), average_s, self._terms, coin.model, self.ctx.path
        )
        before = self._quotes.get(row.market)
        if before is not None:
            quote.keep_pauses(before)
            self.on_gone(row.market)
        self._quotes[row.market] = coin.quotes[row.market] = quote

    def on_gone(self, market: int) -> None:
        """Forget the market; the coin's estimates stay."""
        self._quotes.pop(market, None)
        for coin in self._coins.values():
            coin.quotes.pop(market, None)

    def look(self, market: int) -> Quote:
        """Return the market's quote: it compares the touch with its limits."""
        return self._quotes[market]

    def fair(self, market: int) -> FairValue | None:
        """Return what a market's limits rest on, or None while it is unknown."""
        found = self._quotes[market].fair
        return FairValue(*found) if found is not None else None

    def look_at_spot(self) -> Mids:
        """Return what takes a coin's mid and, when it moved enough, looks at its open books."""
        return Mids(self, self.ctx.path, self.params.spot_move_ppm)

    def on_settle(self, print_: Settle, now_ns: int) -> None:
        """Take a settlement spot print; live ones lock another second of the average.

        Closes of the seconds before the engine started tell the volatility it cannot have seen.
        """
        if print_.series not in _LEARNED_FROM:
            return
        if print_.price_e8 <= 0:
            self.ctx.count("print_without_price")
            return
        coin = self.coin(print_.coin)
        if print_.series == SettleSeries.BINANCE_SECOND_CLOSE:
            coin.model.take_second(print_.stamp_ns, print_.price_e8 / E8)
            return
        coin.model.take_print(print_.stamp_ns, print_.price_e8 / E8)
        if not print_.history:
            coin.look(now_ns)

    # ------------------------------------------------------------------------------- coins
    def coin(self, coin: int) -> CoinQuotes:
        """Return a coin's estimates and quotes, empty when it is new."""
        found = self._coins.get(coin)
        if found is None:
            model = CoinModel(self.params.coin)
            found = self._coins[coin] = CoinQuotes(model, self.ctx.path)
        return found


def _deviation_words(mean: float, strike: float | None, z: float, up: float) -> str:
    """Tell how far one deviation is; of less than a twentieth of one too little is known."""
    if abs(z) < 1.0:
        z = NormalDist().inv_cdf(up) if 0.0 < up < 1.0 else 0.0
    if strike is None or abs(z) < _Z_TOLD_MIN:
        return ""
    return f"; a deviation is about {abs((mean - strike) / z):,.2f}"


def _lead_words(lead_ppb: int) -> list[str]:
    if not lead_ppb:
        return []
    return [f"trades and sizes of the exchange move the price by {lead_ppb / 1e3:+.1f} ppm"]


def _opens_ns(row: MarketRow) -> int:
    """Return from when on the market can be priced: a strike from its listing on.

    ``start_ns`` of a strike is where its last candle begins; of the others, where what they
    compare with is read.
    """
    return 0 if row.settle_rule == SettleRule.BINANCE_ABOVE else row.start_ns


def _strike(row: MarketRow) -> float | None:
    """Return the price the market compares with, None while it is unknown."""
    if row.settle_rule == SettleRule.BINANCE_ABOVE:
        return row.strike_e8 / E8 if row.strike_e8 > 0 else None
    if not row.known & Known.START_PRICE or row.start_price_e8 <= 0:
        return None
    return row.start_price_e8 / E8 + row.start_price_rest_e18 / 1e18


def _boundary(row: MarketRow) -> float | None:
    """Return the price at which YES begins: between two cents, where ties belong to one side."""
    strike = _strike(row)
    return None if strike is None else strike + _TIES.get(SettleRule(row.settle_rule), 0.0)
