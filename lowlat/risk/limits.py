"""Limits that money lives by: one frozen struct, unit in every key, checked as a whole.

Reload swaps the whole object. Defaults are those of the issue and of design 8.
"""

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.units import E6, ONE_E4

__all__ = ["ExitParams", "LimitsParams"]

_PPM: int = 1_000_000
_S_NS: int = 1_000_000_000
_DAY_NS: int = 86_400 * _S_NS
_CASH_MAX_E6: int = 10_000_000 * E6
"""Ten million dollars: beyond it the products of 128 bits that size orders would not be exact."""
_SCORE_MAX: int = 100


class ExitParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When risk sells what a module holds; 0 is never. See ``risk.exits``."""

    stop_ppm: int = 0
    """So far below what a share cost with its fee."""
    target_e4: int = 0
    hold_ns_max: int = 0

    def validate(self, name: str) -> None:
        """Raise ConfigError for plans that would sell at once or never."""
        where = f"limits.exits.{name}"
        if not 0 <= self.stop_ppm < _PPM:
            raise ConfigError(f"{where}.stop_ppm was {self.stop_ppm}, expected 0 to 999999")
        if not 0 <= self.target_e4 < ONE_E4:
            raise ConfigError(f"{where}.target_e4 was {self.target_e4}, expected 0 to 9999")
        if self.hold_ns_max < 0:
            raise ConfigError(f"{where}.hold_ns_max was {self.hold_ns_max}, expected 0 or more")
        if not (self.stop_ppm or self.target_e4 or self.hold_ns_max):
            raise ConfigError(
                f"{where} was empty, expected stop_ppm, target_e4 or hold_ns_max; leave it out "
                "to let the module end what it began"
            )


class LimitsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every bound that risk compares with. Shares of the bankroll are in parts per million."""

    # ------------------------------------------------------------------ bankroll and exposure
    bankroll_cap_e6: int = 1_000 * E6
    """Bankroll = min(this, reconciled equity at UTC midnight)."""
    market_loss_max_ppm: int = 50_000
    """Worst-case loss of one market, in-flight and resting orders as filled."""
    total_loss_max_ppm: int = 500_000
    correlated_loss_max_ppm: int = 150_000
    """Of one event, and of all markets that share a correlation id (an underlying)."""
    series_loss_max_ppm: int = 250_000
    """Of all markets of one recurring series."""
    source_loss_max_ppm: int = 400_000
    """Of all markets whose outcome one source decides."""
    cash_locked_max_ppm: int = 900_000
    """Cash in positions, orders and reserves together, whatever it can lose."""
    long_locked_max_ppm: int = 300_000
    """Cash in positions and orders of markets that end later than the horizon, or nobody knows
    when."""
    long_horizon_ns: int = 7 * _DAY_NS
    # ------------------------------------------------------------------ drawdown
    drawdown_max_ppm: int = 80_000
    """Loss from the day's peak of equity (bids by depth) that halts. Source: feeds.md 6.9."""
    trailing_drawdown_max_ppm: int = 200_000
    """Loss from the highest equity since somebody lifted a halt."""
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
    kelly_ppm: int = 250_000
    """Share of the Kelly stake that one directional order may take; 0 = no such limit."""
    kelly_error_e4: int = 300
    """Standard deviation of a module's probability, which shrinks the stake. Source: feeds.md
    6.4."""
    window_left_ns_min: int = 0
    """How long before its end a price window is bought no more."""
    past_end_ns_max: int = _DAY_NS
    """How long after its end any other market is still bought."""
    resolution_score_full: int = 20
    """Up to this resolution risk an order has its full size. Source: feeds.md 6.9."""
    resolution_score_max: int = 40
    """Above it nothing is bought; between the two, half. Source: feeds.md 6.9."""
    resolution_score_set_max: int = 60
    """The same for sets, which win whatever the outcome is."""
    size_rungs_e6: tuple[int, ...] = ()
    """Sizes that templates are kept for: round down onto them. Empty = any step of the ladder."""
    single_fill_or_kill: bool = False
    """Immediate orders outside groups: FOK instead of FAK."""
    # ------------------------------------------------------------------ pace
    orders_per_s: int = 30
    orders_burst: int = 45
    """Below the venue's 40 and 60: the rest is for unwinds. Source: polymarket.md 12.4."""
    open_orders_max: int = 200
    notional_window_e6_max: int = 20_000 * E6
    """Cash of new orders within the window, filled or not."""
    notional_window_ns: int = 60 * _S_NS
    # ------------------------------------------------------------------ modules
    module_loss_max_ppm: int = 50_000
    """What one module may lose from midnight on, open positions at their marks."""
    module_budget_max_ppm: int = _PPM
    """Capital that one module may hold."""
    module_budgets_max_ppm: dict[str, int] = {}
    """Less for modules by name."""
    damp_after_lots: int = 30
    """Closed lots after which a module is judged by what it promised; 0 = never."""
    damp_ratio_min_ppm: int = 500_000
    """Realized over promised below which its sizes are damped in proportion."""
    damp_floor_ppm: int = 100_000
    """What is left of its sizes at the worst, so that it can show that it mended."""
    exits: dict[str, ExitParams] = {}
    """Stops, targets and times of modules by name, executed by risk, reduce-only."""
    orphans_sell: bool = False
    """Sell what a module left behind when it is off; else it is held to resolution."""
    # ------------------------------------------------------------------ signals
    duplicate_window_ns: int = 100_000_000
    """After an approval, the same wish is a duplicate for so long; another module's is merged."""
    group_wait_ns: int = 2_000_000
    """Legs of a group that arrive later than this after its first are not waited for."""
    rank_by_capital_hour: bool = False
    """Rank by value over dollars locked and hours to the end, instead of by value alone."""
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
            "series_loss_max_ppm",
            "source_loss_max_ppm",
            "long_locked_max_ppm",
            "trailing_drawdown_max_ppm",
            "module_loss_max_ppm",
            "module_budget_max_ppm",
            "damp_ratio_min_ppm",
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
        self._validate_modules()
        if self.order_notional_e6_min > self.order_notional_e6_max:
            raise ConfigError(
                f"limits.order_notional_e6_min was {self.order_notional_e6_min}, expected at most "
                f"order_notional_e6_max, {self.order_notional_e6_max}"
            )
        if list(self.size_rungs_e6) != sorted(set(self.size_rungs_e6)):
            raise ConfigError(
                f"limits.size_rungs_e6 was {self.size_rungs_e6}, expected numbers that rise"
            )
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

    def _validate_modules(self) -> None:
        """Check what sizes orders and judges modules."""
        if not 0 <= self.bankroll_cap_e6 < _CASH_MAX_E6:
            raise ConfigError(
                f"limits.bankroll_cap_e6 was {self.bankroll_cap_e6}, expected below {_CASH_MAX_E6}"
            )
        if not 0 < self.notional_window_e6_max <= _CASH_MAX_E6 or self.notional_window_ns < 1:
            raise ConfigError(
                f"limits: notional_window_e6_max and notional_window_ns were "
                f"{self.notional_window_e6_max} and {self.notional_window_ns}, expected 1 to "
                f"{_CASH_MAX_E6} and at least 1"
            )
        for key in ("kelly_ppm", "damp_floor_ppm"):
            if not 0 <= getattr(self, key) <= _PPM:
                raise ConfigError(f"limits.{key} was {getattr(self, key)}, expected 0 to 1000000")
        if not 0 <= self.kelly_error_e4 <= ONE_E4:
            raise ConfigError(
                f"limits.kelly_error_e4 was {self.kelly_error_e4}, expected 0 to {ONE_E4}"
            )
        scores = (
            self.resolution_score_full,
            self.resolution_score_max,
            self.resolution_score_set_max,
        )
        if list(scores) != sorted(scores) or not 0 <= scores[0] <= scores[2] <= _SCORE_MAX:
            raise ConfigError(
                f"limits: resolution_score_full, resolution_score_max and "
                f"resolution_score_set_max were {scores}, expected rising from 0 to {_SCORE_MAX}"
            )
        for name, plan in self.exits.items():
            plan.validate(name)
        for name, share in self.module_budgets_max_ppm.items():
            if not 0 <= share <= self.module_budget_max_ppm:
                raise ConfigError(
                    f"limits.module_budgets_max_ppm.{name} was {share}, expected 0 to "
                    f"module_budget_max_ppm, {self.module_budget_max_ppm}"
                )

    def budget_ppm(self, module: str) -> int:
        """Return the share of the bankroll that a module may hold."""
        return self.module_budgets_max_ppm.get(module, self.module_budget_max_ppm)
