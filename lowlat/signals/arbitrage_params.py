"""What can be set about ``arbitrage``."""

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.units import E6

__all__ = ["ArbitrageParams"]


class ArbitrageParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a set must earn and how much may be bought."""

    margin_e6: int = 3_000
    """Least profit a marginal set, after fees, before leg risk (0.3 cent)."""
    miss_ppm: int = 100_000
    """Chance that a leg is missed; its unwind must be earned by every set. Source: feeds.md 6.1."""
    sets_cash_e6_max: int = 200 * E6
    legs_max: int = 15
    """Orders that fit in one batch. Source: polymarket.md 5."""
    impact_share_max: float = 1.0 / 3.0
    impact_max_ppm: int = 10_000
    cooldown_ms: int = 250
    """Per event and outcome, after a signal."""
    latency_budget_us: int = 20_000
    priority: int = 50
    """For places in the universe, 1 to 1000."""
    single_markets: bool = True
    """Also watch YES + NO of each market."""
    passive: bool = False
    """Also bid for one leg of an exclusive event, to take the others when it is filled. Not proven
    on real books: try it in shadow or paper. Source: ADR 0009."""
    passive_ms: int = 1_000
    """How long such a bid rests; ``limits.intent_life_ns_max`` ends it earlier."""
    passive_miss_ppm: int = 500_000
    """Chance that the others are gone when the fill is heard."""

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        if self.margin_e6 < 0:
            raise ConfigError(f"margin_e6 was {self.margin_e6}, expected 0 or more")
        if not 2 <= self.legs_max <= 15:
            raise ConfigError(f"legs_max was {self.legs_max}, expected 2 to 15")
        if not 0 <= self.miss_ppm <= E6:
            raise ConfigError(f"miss_ppm was {self.miss_ppm}, expected 0 to 1000000")
        if not 0 <= self.passive_miss_ppm < E6:
            was = self.passive_miss_ppm
            raise ConfigError(f"passive_miss_ppm was {was}, expected 0 to 999999")
        if not 50 <= self.passive_ms <= 60_000:
            raise ConfigError(f"passive_ms was {self.passive_ms}, expected 50 to 60000")
