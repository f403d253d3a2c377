"""What a nearly certain share is worth, how far dips and fills are trusted: for ``bonds``. Pure.

Source: feeds.md 6.6, 6.9; the maths is told in ``bonds``.
"""

from math import sqrt
from typing import NamedTuple

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.layout import Category
from lowlat.core.units import E6, ONE_E4

__all__ = ["Bond", "BondsParams", "Dips", "Fills", "days_to_cash", "value_bond"]


class BondsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts as nearly certain, what it must earn, how little of it is bought."""

    priority: int = 20
    """For places among what is followed."""
    ask_min_e4: int = 9_000
    ask_max_e4: int = 9_950
    edge_min: float = 0.005
    """Dollars a share, after every expected loss and the fee."""
    yield_min: float = 0.15
    """A year, simple: risk-free 4 %, holding rewards 4 %, and the next chance missed."""
    calibration: dict[str, float] = {}
    """Category -> realised losses over those that prices imply; 1 where nothing was fitted."""
    venue_loss_ppm: int = 500
    score_max: int = 30
    """Highest resolution-risk score that is bought. Source: feeds.md 6.9 (21-40: half size)."""
    settle_days: float = 0.25
    """Proposal and the two-hour challenge. Source: feeds.md 6.6."""
    dispute_days: float = 5.0
    days_max: float = 60.0
    consensus_half_life_s: float = 300.0
    sample_ms: int = 2_000
    gap_e4_max: int = 500
    """Touches further apart than this have no mid: nobody stands near it."""
    warmup_s: int = 60
    dip_e4: int = 100
    revert_s: int = 20
    dips_back: float = 1.0
    """Dips that came back, before any was seen."""
    dips_gone: float = 2.0
    kelly_share: float = 0.1
    bankroll_usd: float = 1_000.0
    """What Kelly's share is of; risk has the real one and its own caps."""
    order_cash_e6_max: int = 50 * E6
    market_cash_e6_max: int = 100 * E6
    exit_bid_e4: int = 9_970
    fill_probability: float = 0.8
    """Part of an order that is filled, before any was sent."""
    fills_prior_shares: int = 100
    """How many shares that counts for beside those that were sent."""
    cooldown_ms: int = 500
    latency_budget_us: int = 50_000

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        if not 5_000 < self.ask_min_e4 <= self.ask_max_e4 < ONE_E4:
            raise ConfigError(
                f"ask_min_e4, ask_max_e4 were {self.ask_min_e4}, {self.ask_max_e4}, expected "
                "above 5000, the smaller first, below 10000"
            )
        if not 0.0 < self.kelly_share <= 0.25:
            raise ConfigError(f"kelly_share was {self.kelly_share}, expected above 0 to 0.25")
        if not 0.0 < self.fill_probability <= 1.0:
            raise ConfigError(f"fill_probability was {self.fill_probability}, expected 0 to 1")
        for key in ("edge_min", "consensus_half_life_s", "dips_back", "dips_gone"):
            if not getattr(self, key) > 0.0:
                raise ConfigError(f"{key} was {getattr(self, key)}, expected above 0")
        for key in ("dip_e4", "sample_ms", "revert_s", "gap_e4_max", "fills_prior_shares"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} was {getattr(self, key)}, expected 1 or more")
        names = {each.name.lower() for each in Category}
        for name, ratio in self.calibration.items():
            if name not in names or not ratio > 0.0:
                raise ConfigError(
                    f"calibration was {name} = {ratio}, expected one of "
                    f"{', '.join(sorted(names))} and a number above 0"
                )


class Bond(NamedTuple):
    """What a share is worth and how it came to that. Dollars a share."""

    chance: float
    cost: float
    edge: float
    event_loss: float
    rules_loss: float
    venue_loss: float
    days: float
    yearly: float
    kelly: float


def days_to_cash(left_days: float, rules_loss: float, params: BondsParams) -> float:
    """Return the days until what is bought now is cash, disputes at their chance."""
    disputed = min(1.0, 2.0 * rules_loss)
    return max(0.0, left_days) + params.settle_days + disputed * params.dispute_days


def value_bond(
    consensus: float,
    cost: float,
    rules_loss: float,
    left_days: float,
    params: BondsParams,
    calibration: float = 1.0,
) -> Bond:
    """Value a share that the market believes in so much and that costs so much all in."""
    event = (1.0 - consensus) * calibration
    venue = params.venue_loss_ppm / E6
    chance = max(0.0, 1.0 - event - rules_loss - venue)
    edge = chance - cost
    days = days_to_cash(left_days, rules_loss, params)
    kelly = max(0.0, edge / (1.0 - cost)) if cost < 1.0 else 0.0
    return Bond(
        chance, cost, edge, event, rules_loss, venue, days, edge / cost * 365.0 / days, kelly
    )


class Dips:
    """How often dips came back: a Beta posterior, pooled over all markets."""

    def __init__(self, params: BondsParams) -> None:
        """Begin with the prior of the config."""
        self.back, self.gone = params.dips_back, params.dips_gone

    def weight(self) -> float:
        """Return the posterior mean less one deviation."""
        total = self.back + self.gone
        mean = self.back / total
        return max(0.0, mean - sqrt(mean * (1.0 - mean) / (total + 1.0)))


class Fills:
    """What part of the shares we send for is filled; what is under way counts as not filled."""

    def __init__(self, params: BondsParams) -> None:
        """Begin with the prior of the config."""
        self._sent_e6 = params.fills_prior_shares * E6
        self._got_e6 = int(params.fill_probability * self._sent_e6)

    def sent(self, size_e6: int) -> None:
        """Take an order that left."""
        self._sent_e6 += size_e6

    def got(self, moved_e6: int) -> None:
        """Take a fill, or below 0 one that a failed settlement took back."""
        self._got_e6 += moved_e6

    def probability(self) -> float:
        """Return the posterior mean, 0 to 1: a BUY in dollars may bring more than was asked."""
        return min(1.0, max(0.0, self._got_e6 / self._sent_e6))
