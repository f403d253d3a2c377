"""Limits that money lives by: one frozen struct, unit in every key, checked as a whole.

Reload swaps the whole object. Defaults are those of the issue and of design 8.
"""

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.units import E6

__all__ = ["LimitsParams"]

_PPM: int = 1_000_000
_S_NS: int = 1_000_000_000


class LimitsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every bound that risk compares with. Shares of the bankroll are in parts per million."""

    # ------------------------------------------------------------------ bankroll and exposure
    bankroll_cap_e6: int = 1_000 * E6
    """Bankroll = min(this, reconciled equity at UTC midnight)."""
    market_loss_max_ppm: int = 50_000
    """Worst-case loss of one market, in-flight and resting orders as filled."""
    total_loss_max_ppm: int = 500_000
    correlated_loss_max_ppm: int = 150_000
    """Of one event, and of all markets that share a correlation id."""
    cash_locked_max_ppm: int = 900_000
    """Cash in positions, orders and reserves together, whatever it can lose."""
    # ------------------------------------------------------------------ drawdown
    drawdown_max_ppm: int = 80_000
    """Loss from the day's peak of equity (bids by depth) that halts. Source: feeds.md 6.9."""
    drawdown_breaches: int = 3
    drawdown_window_ns: int = 2 * _S_NS
    mark_interval_ns: int = _S_NS // 2
    mark_stale_ns_max: int = 60 * _S_NS
    """A mark older than this is worth nothing."""
    # ------------------------------------------------------------------ one order
    order_notional_e6_max: int = 250 * E6
    order_shares_e6_max: int = 10_000 * E6
    order_notional_e6_min: int = 1 * E6
    """Smallest order the venue takes. Source: polymarket.md 3.4."""
    price_band_e4: int = 500
    """How far past the touch a limit may lie."""
    depth_share_max_ppm: int = _PPM
    """Share of what is visible within the limit that an order may take."""
    impact_max_ppm: int = 10_000
    """Average over touch, minus 1; or one tick, whichever is more. Source: design 8."""
    impact_share_max_ppm: int = 333_333
    """Slippage over edge at the touch."""
    expected_value_usd_min: float = 0.0
    size_rungs_e6: tuple[int, ...] = ()
    """Sizes that templates are kept for: round down onto them. Empty = any step of the ladder."""
    single_fill_or_kill: bool = False
    """Immediate orders outside groups: FOK instead of FAK."""
    # ------------------------------------------------------------------ pace
    orders_per_s: int = 30
    orders_burst: int = 45
    """Below the venue's 40 and 60: the rest is for unwinds. Source: polymarket.md 12.4."""
    open_orders_max: int = 200
    # ------------------------------------------------------------------ signals
    duplicate_window_ns: int = 100_000_000
    """After an approval, the same wish of the same module is a duplicate for so long."""
    group_wait_ns: int = 2_000_000
    """Legs of a group that arrive later than this after its first are not waited for."""
    intent_life_ns_max: int = _S_NS
    mode_min: int = 1
    """Lowest module mode that is sent: 1 paper, 2 live."""
    unwind_slip_e4: int = 200
    """How much worse than now the complement may be bought to undo a leg."""
    reports_lag_ns_max: int = 5 * _S_NS
    """An intent the executor never mentioned is looked up in its tables after this."""
    shard_silent_ns_max: int = 15 * _S_NS

    def validate(self) -> None:
        """Raise ConfigError for limits that contradict each other."""
        for key in (
            "market_loss_max_ppm",
            "total_loss_max_ppm",
            "correlated_loss_max_ppm",
            "cash_locked_max_ppm",
            "drawdown_max_ppm",
            "depth_share_max_ppm",
            "impact_share_max_ppm",
        ):
            value = getattr(self, key)
            if not 0 < value <= _PPM:
                raise ConfigError(f"limits.{key} was {value}, expected 1 to 1000000")
        if not self.market_loss_max_ppm <= self.correlated_loss_max_ppm <= self.total_loss_max_ppm:
            raise ConfigError(
                f"limits were market {self.market_loss_max_ppm}, correlated "
                f"{self.correlated_loss_max_ppm}, total {self.total_loss_max_ppm} ppm, expected "
                f"market <= correlated <= total"
            )
        if self.order_notional_e6_min > self.order_notional_e6_max:
            raise ConfigError(
                f"limits.order_notional_e6_min was {self.order_notional_e6_min}, expected at most "
                f"order_notional_e6_max, {self.order_notional_e6_max}"
            )
        if list(self.size_rungs_e6) != sorted(set(self.size_rungs_e6)):
            raise ConfigError(f"limits.size_rungs_e6 was {self.size_rungs_e6}, expected rising")
        if self.orders_per_s < 1 or self.orders_burst < 1 or self.drawdown_breaches < 1:
            raise ConfigError(
                "limits: orders_per_s, orders_burst and drawdown_breaches were "
                f"{self.orders_per_s}, {self.orders_burst}, "
                f"{self.drawdown_breaches}, expected at least 1 each"
            )
        if self.mode_min not in (1, 2):
            raise ConfigError(
                f"limits.mode_min was {self.mode_min}, expected 1 (paper) or 2 (live)"
            )
