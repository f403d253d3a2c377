"""The limits that are armed now, with their values and how much of each is used. Read from outside.

Values are those of the generation that risk and the executor say they run on, not of the file.
What is used comes from the tables; a limit on a single order has no use between orders. "Used" is
None where nobody wrote it: it is not shown as nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lowlat.app.config import EngineConfig
from lowlat.app.generations import Generation, read_generation
from lowlat.app.names import GENERATION
from lowlat.app.reload_rules import TIGHTER
from lowlat.app.topology import process_of
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.core.layout import ExposureScope, OrderState
from lowlat.shm import _core
from lowlat.shm.attach import Attached

__all__ = ["ArmedLimit", "armed_generation", "armed_limits"]

_S_NS: Final = 1_000_000_000
_PPM: Final = 1_000_000
_OPEN: Final = (
    int(OrderState.SENDING),
    int(OrderState.LIVE),
    int(OrderState.DELAYED),
    int(OrderState.UNKNOWN),
)


@dataclass(frozen=True, slots=True)
class ArmedLimit:
    """One key and what it means now. ``bound`` and ``used`` are in the unit of the key's name."""

    key: str
    value: int | float | bool
    bound_e6: int | None = None
    """The value in cash, for shares of the bankroll."""
    used: int | None = None

    @property
    def share(self) -> float | None:
        """Used over bound, 1.0 = full; None where nothing can be used."""
        bound = self.value if self.bound_e6 is None else self.bound_e6
        return self.used / bound if self.used is not None and bound else None


@dataclass(frozen=True, slots=True)
class _Use:
    """What the tables say. None: nobody wrote it yet."""

    bankroll_e6: int | None
    total_loss_e6: int | None
    market_loss_e6: int | None
    drawdown_ppm: int | None
    trailing_ppm: int | None
    worst_e6: Mapping[ExposureScope, int | None]
    """Largest loss of a group, by what its markets share."""
    module_loss_e6: int | None
    module_used_e6: int | None
    locked_e6: int | None
    reserved_e6: int | None
    open_orders: int
    orders_last_s: int


def armed_generation(attached: Attached, config: EngineConfig | None = None) -> Generation:
    """Return the generation that the process with risk runs on.

    Raises SegmentError when nobody says one, or when risk and executor say two: a change is under
    way, or a process could not take it.
    """
    said = _said(attached)
    if not said:
        raise SegmentError(
            f"instance {attached.instance!r} has no process that says on which config it runs"
        )
    found = read_generation(attached.instance, max(said.values()))
    config = config or found.config
    deciders = {role: said.get(process_of(config.topology, role)) for role in ("risk", "executor")}
    if len(set(deciders.values())) > 1:
        text = ", ".join(f"{role} {number}" for role, number in deciders.items())
        raise SegmentError(f"two generations are armed ({text}): see lowlat ctl status")
    return found


def _said(attached: Attached) -> dict[str, int]:
    """Return which generation each process says it runs on."""
    found = {}
    for process, reader in attached.stats.items():
        try:
            memory, offset = reader.word(GENERATION)
        except LayoutError:
            continue
        number = _core.Cell(memory, offset, writable=False).value
        if number:
            found[process] = number
    return found


def armed_limits(attached: Attached, config: EngineConfig) -> list[ArmedLimit]:
    """Return every limit of risk and executor in the order of the config."""
    use = _use(attached)
    values: Mapping[str, int | float | bool] = {
        f"{section}.{key}": value
        for section, limits in (
            ("limits", config.limits),
            ("execution.limits", config.execution.limits),
        )
        for key, value in msgspec.structs.asdict(limits).items()
        if f"{section}.{key}" in TIGHTER
    }
    return [_limit(key, value, use) for key, value in values.items()]


def _limit(key: str, value: float | bool, use: _Use) -> ArmedLimit:
    shares = {
        "limits.market_loss_max_ppm": use.market_loss_e6,
        "limits.total_loss_max_ppm": use.total_loss_e6,
        "limits.correlated_loss_max_ppm": use.worst_e6[ExposureScope.CORRELATED],
        "limits.series_loss_max_ppm": use.worst_e6[ExposureScope.SERIES],
        "limits.source_loss_max_ppm": use.worst_e6[ExposureScope.SOURCE],
        "limits.long_locked_max_ppm": use.worst_e6[ExposureScope.LONG],
        "limits.module_loss_max_ppm": use.module_loss_e6,
        "limits.module_budget_max_ppm": use.module_used_e6,
        "limits.cash_locked_max_ppm": use.locked_e6,
    }
    if key in shares:
        bankroll_e6 = use.bankroll_e6
        bound_e6 = None if bankroll_e6 is None else bankroll_e6 * int(value) // _PPM
        return ArmedLimit(key, value, bound_e6, shares[key])
    plain = {
        "limits.drawdown_max_ppm": use.drawdown_ppm,
        "limits.trailing_drawdown_max_ppm": use.trailing_ppm,
        "limits.open_orders_max": use.open_orders,
        "limits.orders_per_s": use.orders_last_s,
        "execution.limits.open_notional_max_e6": use.reserved_e6,
    }
    return ArmedLimit(key, value, None, plain.get(key))


def _use(attached: Attached) -> _Use:
    exposure, versions = attached.tables["exposure"].snapshot()
    total = exposure[0] if versions[0] > 0 else None
    rows = exposure[1:][versions[1:] > 0]
    scores, versions = attached.tables["scores"].snapshot()
    scores = scores[versions > 0]
    lost = scores["day_start_e6"] - scores["realized_e6"] - scores["open_e6"]
    orders, versions = attached.tables["orders"].snapshot()
    orders = orders[versions > 0]
    sent_ns = orders["sent_ns"]
    now_ns = monotonic_ns()
    cash = attached.tables["cash"].read(0)
    reserved_e6 = None if cash is None else int(cash["reserved_e6"])
    positions, versions = attached.tables["positions"].snapshot()
    cost_e6 = int(positions["cost_e6"][versions > 0].sum())
    open_count = sum(int((orders["state"] == state).sum()) for state in _OPEN)
    return _Use(
        bankroll_e6=None if total is None else int(total["bankroll_e6"]),
        total_loss_e6=None if total is None else int(total["worst_loss_e6"]),
        market_loss_e6=_worst_e6(rows, ExposureScope.MARKET),
        drawdown_ppm=None if total is None else _below_ppm(total, "equity_peak_e6"),
        trailing_ppm=None if total is None else _below_ppm(total, "trailing_peak_e6"),
        worst_e6={scope: _worst_e6(rows, scope) for scope in ExposureScope},
        module_loss_e6=int(lost.max(initial=0)) if len(scores) else None,
        module_used_e6=int(scores["used_e6"].max()) if len(scores) else None,
        locked_e6=None if reserved_e6 is None else reserved_e6 + cost_e6,
        reserved_e6=reserved_e6,
        open_orders=open_count,
        orders_last_s=int(((sent_ns > now_ns - _S_NS) & (sent_ns > 0)).sum()),
    )


def _worst_e6(rows: Any, scope: ExposureScope) -> int | None:
    """Return the largest loss among rows of a scope, None when there is none."""
    found = rows["worst_loss_e6"][rows["scope"] == int(scope)]
    return int(found.max()) if len(found) else None


def _below_ppm(total: Any, peak: str) -> int:
    """Return how far equity is below one of its peaks."""
    peak_e6 = int(total[peak])
    below_e6 = peak_e6 - int(total["equity_e6"])
    return below_e6 * _PPM // peak_e6 if peak_e6 > 0 else 0
