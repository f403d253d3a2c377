"""What may change while the engine runs, and which way is tighter. Run by the supervisor.

A key that is not named here needs a restart: a new one is refused until somebody thought about it.
``TIGHTER`` says for each key whether a smaller (-1) or a larger (+1) value allows less; 0 is
neither. Source: design 5.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec

from lowlat.app.config import MODES, EngineConfig

__all__ = ["TIGHTER", "Change", "Course", "course_of", "differences", "needs_restart"]

TIGHTER: Final[Mapping[str, int]] = {
    "limits.bankroll_cap_e6": -1,
    "limits.market_loss_max_ppm": -1,
    "limits.total_loss_max_ppm": -1,
    "limits.correlated_loss_max_ppm": -1,
    "limits.series_loss_max_ppm": -1,
    "limits.source_loss_max_ppm": -1,
    "limits.cash_locked_max_ppm": -1,
    "limits.long_locked_max_ppm": -1,
    "limits.long_horizon_ns": -1,
    "limits.drawdown_max_ppm": -1,
    "limits.trailing_drawdown_max_ppm": -1,
    "limits.drawdown_breaches": -1,
    "limits.drawdown_window_ns": 1,
    "limits.mark_interval_ns": -1,
    "limits.mark_stale_ns_max": -1,
    "limits.order_notional_e6_max": -1,
    "limits.order_shares_e6_max": -1,
    "limits.order_notional_e6_min": 1,
    "limits.price_band_e4": -1,
    "limits.depth_share_max_ppm": -1,
    "limits.impact_max_ppm": -1,
    "limits.impact_share_max_ppm": -1,
    "limits.expected_value_usd_min": 1,
    "limits.kelly_ppm": -1,
    "limits.kelly_error_e4": 1,
    "limits.window_left_ns_min": 1,
    "limits.past_end_ns_max": -1,
    "limits.resolution_score_full": -1,
    "limits.resolution_score_max": -1,
    "limits.resolution_score_set_max": -1,
    "limits.single_fill_or_kill": 0,
    "limits.orders_per_s": -1,
    "limits.orders_burst": -1,
    "limits.open_orders_max": -1,
    "limits.notional_window_e6_max": -1,
    "limits.notional_window_ns": 1,
    "limits.module_loss_max_ppm": -1,
    "limits.module_budget_max_ppm": -1,
    "limits.damp_after_lots": -1,
    "limits.damp_ratio_min_ppm": 1,
    "limits.damp_floor_ppm": -1,
    "limits.duplicate_window_ns": 1,
    "limits.group_wait_ns": 0,
    "limits.rank_by_capital_hour": 0,
    "limits.intent_life_ns_max": -1,
    "limits.mode_min": 1,
    "limits.orphans_sell": 0,
    "limits.unwind_slip_e4": -1,
    "limits.reports_lag_ns_max": 0,
    "execution.limits.order_shares_max_e6": -1,
    "execution.limits.order_notional_max_e6": -1,
    "execution.limits.open_notional_max_e6": -1,
    "execution.limits.price_band_e4": -1,
    "execution.limits.price_min_e4": 1,
    "execution.limits.price_max_e4": -1,
    "execution.limits.book_age_max_ns": -1,
    "execution.group_batch": 0,
    "execution.group_deadline_ns": 0,
    "execution.group_dust_e6": 0,
    "execution.unwind_deadline_ns": 0,
    "execution.unwind_attempts_max": 0,
    "execution.retry_count_max": -1,
    "execution.retry_budget_per_min": -1,
    "execution.retry_delay_ns": 0,
    "execution.lookup_every_ns": 0,
    "execution.terminal_timeout_ns": 0,
    "execution.settle_timeout_ns": 0,
    "execution.balance_check_every_ns": 0,
    "execution.ended_check_every_ns": 0,
    "settlement.dry_run": 1,
    "settlement.every_s": 0,
}
_ZERO_IS_NONE: Final = frozenset(
    {"execution.limits.book_age_max_ns", "limits.kelly_ppm", "limits.damp_after_lots"}
)
"""Keys whose 0 means that there is no such limit."""


_BUDGETS: Final = "limits.module_budgets_max_ppm."
_EXITS: Final = "limits.exits."
"""Exits only reduce: neither tighter nor looser."""
_COMMON: Final = 1_000_001


class Course(Enum):
    """In which order processes take a generation."""

    NEUTRAL = "neutral"
    TIGHTENING = "tightening"
    LOOSENING = "loosening"
    MIXED = "mixed"
    """Some keys this way, some that: new orders wait until everybody has it."""


class Change(NamedTuple):
    """One key that differs. A value of None is a key that is not there on that side."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {_show(self.old)} -> {_show(self.new)}"


def differences(old: EngineConfig, new: EngineConfig) -> list[Change]:
    """List every key whose value differs, in the order of the config."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    keys = [*before, *(key for key in after if key not in before)]
    found = [Change(key, before.get(key), after.get(key)) for key in keys]
    return [each for each in found if _differ(each.old, each.new)]


def needs_restart(changes: list[Change]) -> list[str]:
    """Return the keys among changes that cannot change while processes run."""
    return [each.key for each in changes if not _is_live(each.key)]


def course_of(changes: list[Change]) -> Course:
    """Return whether changes together allow less, more, or some of each."""
    ways = {_way(each) for each in changes} - {0}
    if not ways:
        return Course.NEUTRAL
    if len(ways) > 1:
        return Course.MIXED
    return Course.TIGHTENING if ways == {1} else Course.LOOSENING


def _is_live(key: str) -> bool:
    if key in TIGHTER or key.startswith((_BUDGETS, _EXITS)):
        return True
    parts = key.split(".")
    return parts[0] == "modules" and len(parts) >= 3 and parts[2] in {"mode", "params"}


def _way(change: Change) -> int:
    """Return 1 when a change allows less, -1 when it allows more, 0 when it does neither."""
    if change.key.startswith("modules."):
        if not change.key.endswith(".mode") or change.key.count(".") != 2:
            return 0
        # A module that the config does not name is off.
        old, new = (MODES.index(each or "off") for each in (change.old, change.new))
        return (new < old) - (new > old)
    was, now = change.old, change.new
    if change.key.startswith(_EXITS):
        return 0
    if change.key.startswith(_BUDGETS):
        # A budget that is not named is the common one, which no budget of its own allows less.
        was, now = (_COMMON if each is None else each for each in (was, now))
        return int(now < was) - int(now > was)
    if change.key in _ZERO_IS_NONE:
        was, now = was or float("inf"), now or float("inf")
    larger = int(now > was) - int(now < was)
    return TIGHTER.get(change.key, 0) * larger


def _differ(old: Any, new: Any) -> bool:
    # True == 1 in Python, not in a config.
    return type(old) is not type(new) or old != new


def _leaves(config: EngineConfig) -> Iterator[tuple[str, Any]]:
    yield from _walk(msgspec.to_builtins(config), "")


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _show(value: Any) -> str:
    return "(none)" if value is None else msgspec.json.encode(value).decode()
