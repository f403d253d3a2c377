"""What a maker's quote is worth and what it is paid: for ``rebates``. Pure, no I/O.

Source: feeds.md 6.8; polymarket.md 7.2-7.4.
"""

from math import exp, log
from typing import Any

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.layout import Known, MarketRow
from lowlat.core.signal import Signal
from lowlat.core.units import E4, E6, ONE_E4

__all__ = ["RebatesParams", "logit_skew", "pay_of", "quote_words", "rebate_of", "worth_words"]


class RebatesParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to stand, how far away, for how much, and when to leave."""

    priority: int = 10
    """For places among what is followed."""
    volume_24h_e6_min: int = 10_000 * E6
    mid_min_e4: int = 1_000
    mid_max_e4: int = 9_000
    """Outside nobody is paid for one side alone. Source: polymarket.md 7.4."""
    crypto_markets: bool = False
    """Also where an exchange leads: its pulls have to be faster than the takers."""
    markets_max: int = 20
    quote_cash_e6: int = 25 * E6
    inventory_e6_max: int = 200 * E6
    """Net shares of a market at which the side that adds is no longer quoted."""
    gamma: float = 0.0005
    """Risk aversion by dollar, 0.002 for a thousand of them, times the share of the variance until
    the end that passes before the other side is filled: a quarter. Source: feeds.md 6.8."""
    margin: float = 0.002
    """Dollars a share beyond what fills are known to lose."""
    edge_min: float = 0.001
    adverse_prior: float = 0.008
    adverse_prior_fills: float = 10.0
    fills_judged: int = 8
    pause_s: int = 600
    fill_probability: float = 0.3
    """Of a quote within its life; it scales expected value only."""
    requote_e4: int = 25
    """Hysteresis beyond half a tick."""
    requotes_per_minute: int = 12
    """Quotes of a market that are taken back to stand elsewhere: each costs its place."""
    quotes_per_s: int = 10
    """Quotes sent or moved, of all markets together: a third of what risk lets pass."""
    look_ms: int = 200
    jump_e4: int = 200
    spot_jump_ppm: int = 400
    depth_gone_share: float = 0.7
    calm_s: int = 10
    warmup_s: int = 10
    stop_before_end_s: int = 3_600
    stop_around_start_s: int = 300
    quiet_unix_s: tuple[tuple[int, int], ...] = ()
    """Windows of scheduled events, [from, to) in unix seconds: nothing rests in them."""
    answer_ms: int = 2_000
    """A wish that nobody mentioned for so long was not granted."""
    quote_life_ms: int = 500
    """How long risk and executor may take with a wish."""

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        if not 0 < self.mid_min_e4 < self.mid_max_e4 < ONE_E4:
            raise ConfigError(
                f"mid_min_e4, mid_max_e4 were {self.mid_min_e4}, {self.mid_max_e4}, expected "
                "above 0, the smaller first, below 10000"
            )
        for key in (
            "gamma",
            "edge_min",
            "margin",
            "adverse_prior",
            "adverse_prior_fills",
            "fill_probability",
            "depth_gone_share",
        ):
            value = getattr(self, key)
            if not 0.0 <= value < 1_000.0:
                raise ConfigError(f"{key} was {value}, expected 0 to 1000")
        if not self.gamma > 0.0 or not 0.0 < self.fill_probability <= 1.0:
            raise ConfigError(
                f"gamma, fill_probability were {self.gamma}, {self.fill_probability}, expected "
                "above 0, the second at most 1"
            )
        for key in ("requotes_per_minute", "quotes_per_s", "look_ms", "markets_max"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} was {getattr(self, key)}, expected 1 or more")
        for window in self.quiet_unix_s:
            if window[0] >= window[1]:
                raise ConfigError(f"quiet_unix_s was {list(window)}, expected [from, to)")


def logit_skew(chance: float, inventory: float, gamma: float) -> float:
    """Return what a share is worth to somebody who holds so many already."""
    return 1.0 / (1.0 + exp(-(log(chance / (1.0 - chance)) - gamma * inventory)))


def pay_of(row: MarketRow) -> float:
    """Return dollars a day that a market pays its makers, as far as its row says."""
    volume = max(0, row.volume_e6) / E6 / 30.0
    return row.reward_day_e6 / E6 + volume * rebate_of(row, 0.5)


def rebate_of(row: MarketRow, price: float) -> float:
    """Return the rebate of one filled share at a price; 0 while a part of it is unknown."""
    if not row.known & Known.FEE:
        return 0.0
    spread = (price * (1.0 - price)) ** row.fee_exponent
    return row.rebate_rate_e6 / E6 * row.fee_rate_e6 / E6 * spread


def quote_words(signal: Signal, row: MarketRow) -> list[str]:
    """Tell what a fill of one share earns and where the quote stands, or why it left."""
    told: dict[str, Any] = signal.metadata
    if not signal.size_suggestion:
        return [f"takes its bid back: {told['why'].replace('_', ' ')}"]
    price, shares = signal.limit_price_e4 / E4, signal.size_suggestion / E6
    edge = told["worth"] - price + told["rebate"] - told["adverse"]
    return [
        (
            f"bids {price:g} for {shares:g} shares, {told['ahead']} in front; mid of YES "
            f"{told['mid']:g} without our quotes; leaned against what is held, a share is worth "
            f"{told['worth']:.5f}"
        ),
        (
            f"a filled share: {told['worth']:.5f} - {price:g} + rebate {told['rebate']:.6f} "
            f"(share {row.rebate_rate_e6 / E6:g} of rate {row.fee_rate_e6 / E6:g}) - adverse "
            f"{told['adverse']:.6f} = {edge:.6f}"
        ),
        f"rewards of ${told['reward_day']:.4f} a day while it rests",
        *worth_words(signal.expected_value, edge * shares, told["reward_day"]),
    ]


def worth_words(value: float, filled: float, reward_day: float) -> list[str]:
    """Tell what a quote's value is made of, in dollars; ``filled``: all of it filled."""
    if filled <= 0.0:
        return []
    part = (value - reward_day / 24.0) / filled
    return [
        (
            f"worth ${value:.4f}: {part:.0%} of ${filled:.4f} if all of it is filled, and an hour "
            f"of rewards"
        )
    ]
