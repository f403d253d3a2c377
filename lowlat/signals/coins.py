"""How a coin's volatility and basis are estimated; the estimates are ``_coin.CoinModel``.

Source: feeds.md 3.2, 6.2.
"""

import msgspec

from lowlat.core.errors import ConfigError

__all__ = ["CoinParams"]


class CoinParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Half-lives, floors and what is too little to know. Defaults: feeds.md 6.2."""

    volatility_half_life_s: float = 180.0
    volatility_slow_half_life_s: float = 1_800.0
    volatility_fast_weight: float = 0.7
    volatility_floor: float = 1e-5
    """Relative, per square root of a second: a quiet exchange leaves the average moving."""
    warmup_s: int = 60
    """Seconds of returns before volatility is called known."""
    basis_half_life_s: float = 120.0
    basis_noise_floor: float = 2e-5
    """Relative error that the basis always has (2 dollars at 100 000)."""
    basis_prints_min: int = 5
    spot_lag_ms: int = 100
    """How old an exchange price is when it arrives. Source: feeds.md 3.6."""
    lead_doubt: float = 9.0
    """What the exchange's lead was worth is believed from t = 3 on, less this over t squared."""
    lead_returns_min: int = 300
    """Seconds with a lead before it can weigh anything."""
    gap_s_max: int = 5
    """A longer silence of the exchange says nothing about volatility."""

    def validate(self) -> None:
        """Raise ConfigError for half-lives that are none."""
        for name in ("volatility_half_life_s", "volatility_slow_half_life_s", "basis_half_life_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"coin.{name} was {getattr(self, name)}, expected above 0")
        if not self.lead_doubt >= 0.0:
            raise ConfigError(f"coin.lead_doubt was {self.lead_doubt}, expected 0 or more")
        if self.lead_returns_min < 2:
            raise ConfigError(
                f"coin.lead_returns_min was {self.lead_returns_min}, expected 2 or more"
            )
