"""The checks, in their fixed order. A check is ``check(case, state) -> rule``, 0 = nothing to say.

A check refuses with ``case.refuse(rule, limit, was)`` or makes the case smaller with ``case.cut``.
LEG_CHECKS see one leg and its book; UNIT_CHECKS see all legs at the common size and the money.
"""

from collections.abc import Callable
from typing import Final

from lowlat.risk.case import Case, Unit
from lowlat.risk.checks.depth import check_band, check_depth, check_edge, check_impact
from lowlat.risk.checks.gate import (
    check_halted,
    check_module,
    check_outlay,
    check_owner,
    check_pace,
    check_room,
)
from lowlat.risk.checks.kelly import check_kelly
from lowlat.risk.checks.market import check_book, check_grid, check_market, check_share
from lowlat.risk.checks.money import (
    check_budget,
    check_cash,
    check_exposure,
    check_groups,
    check_locked,
)
from lowlat.risk.checks.own import check_position, check_self_cross, check_size_caps
from lowlat.risk.state import RiskState

__all__ = ["FINAL_CHECKS", "LEG_CHECKS", "UNIT_CHECKS", "LegCheck", "UnitCheck"]

LegCheck = Callable[[Case, RiskState], int]
UnitCheck = Callable[[Unit, RiskState], int]

LEG_CHECKS: Final[tuple[LegCheck, ...]] = (
    check_halted,
    check_owner,
    check_market,
    check_book,
    check_grid,
    check_share,
    check_position,
    check_size_caps,
    check_band,
    check_depth,
)
UNIT_CHECKS: Final[tuple[UnitCheck, ...]] = (
    check_edge,
    check_kelly,
    check_exposure,
    check_groups,
    check_locked,
    check_budget,
    check_cash,
)
"""These may cut; after them the books are walked again at the common size."""
FINAL_CHECKS: Final[tuple[UnitCheck, ...]] = (
    check_impact,
    check_self_cross,
    check_module,
    check_room,
    check_outlay,
    check_pace,
)
"""These only refuse, at the final size. The last one spends: nothing may refuse after it."""
