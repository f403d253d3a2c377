"""What may still be bought after losses, as an outsider checks it when an order leaves.

Whoever lost too much buys nothing that risk judged later: the account past a drawdown, a module
past its loss of the day; and no module holds more capital than its budget. What was approved
before may still leave (a leg of a group, an order that is sent again), and so may an unwinding.
Source of the rules: design 8.
"""

from typing import Final

from lowlat.core.layout import (
    Action,
    ExposureRow,
    ExposureScope,
    IntentFlag,
    OrderRow,
    OrderState,
    ScoreRow,
    StakeRow,
)
from lowlat.core.units import E6
from lowlat.risk.limits import LimitsParams
from lowlat.world.memory import Memory
from lowlat.world.rows import Rows, Violation

__all__ = ["Losses"]

_OPEN: Final = frozenset(
    {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
)
_PPM: Final = 1_000_000
_S_NS: Final = 1_000_000_000
_BLIND_NS: Final = 20 * _S_NS
"""After a start books come back for 15 s: what has no mark is no loss yet."""
_HALT_NS: Final = 3 * _S_NS
"""A drawdown or a loss counts once it was seen three times; a pass takes a part of a second."""
_ACCOUNT: Final = b""
_STOPPED: Final = 1
"""State of a score: lost too much today."""
_SLACK_E6: Final = E6
"""Fees and prices of what fills differ by less from what was counted for it."""


class _Spell:
    """For how long something was said to be over its limit, without a word to the contrary."""

    __slots__ = ("bought_ns", "first_ns", "last_ns", "said")

    def __init__(self, said: object, at_ns: int) -> None:
        self.said = said
        self.first_ns = self.last_ns = at_ns
        self.bought_ns = 0
        """When risk judged an order that should not have left; 0: there was none."""


class Losses:
    """Losses and budgets of one boot, from the tables that risk publishes."""

    def __init__(self, limits: LimitsParams, bankroll_e6: int) -> None:
        """``bankroll_e6``: the most it can be; limits are shares of it."""
        self.limits = limits
        self._bankroll_e6 = bankroll_e6
        self._spells: dict[bytes, _Spell] = {}
        """Of each module that lost too much; the account has no name."""

    def attach(self, memory: Memory) -> None:
        """Look at the tables of a new boot."""
        self._exposure = Rows(memory, "exposure")
        self._scores = Rows(memory, "scores")
        self._stakes = Rows(memory, "stakes")
        self._spells.clear()

    def look(self, now_ns: int, ready_since_ns: int) -> None:
        """Take in what risk says of losses. ``ready_since_ns`` 0: the engine is down.

        Raises Violation for an order that left meanwhile, when what is said behind it is no better.
        """
        if not ready_since_ns or now_ns - ready_since_ns < _BLIND_NS:
            self._spells.clear()
            return
        for row in self._exposure.read():
            if row.scope == ExposureScope.TOTAL:
                self._note(_ACCOUNT, row, now_ns, over=_has_fallen(row, self.limits))
        for score in self._scores.read():
            self._note(score.module, score, now_ns, over=self._has_lost(score))

    def _note(self, name: bytes, said: object, now_ns: int, *, over: bool) -> None:
        spell = self._spells.get(name)
        if not over:
            self._spells.pop(name, None)
        elif spell is None:
            self._spells[name] = _Spell(said, now_ns)
        elif spell.said != said:
            # Only what is said anew makes it longer: an old row may be too bad by now.
            spell.said, spell.last_ns = said, now_ns
            if spell.bought_ns:
                who = _name(name) or "the account"
                raise Violation(
                    f"over a limit: {who} lost too much from {spell.first_ns / 1e9:.3f} s on, and "
                    f"bought at {spell.bought_ns / 1e9:.3f} s: {said}"
                )

    def _has_lost(self, score: ScoreRow) -> bool:
        lost_e6 = score.day_start_e6 - score.realized_e6 - score.open_e6
        most_e6 = self._bankroll_e6 * self.limits.module_loss_max_ppm // _PPM
        return score.state == _STOPPED or lost_e6 > most_e6

    def excess(self, leaving: OrderRow, orders: list[OrderRow]) -> str:
        """Say which budget the order that leaves is over; itself is among the orders."""
        if leaving.order_flags & IntentFlag.UNWIND or leaving.action != Action.BUY:
            return ""
        module, name = leaving.module, _name(leaving.module)
        for who in (_ACCOUNT, module):
            spell = self._spells.get(who)
            # By then it is acted on; what is said behind the order tells whether it still held.
            if spell is not None and leaving.checked_ns > spell.first_ns + _HALT_NS:
                spell.bought_ns = leaving.checked_ns
        most_e6 = self._bankroll_e6 * self.limits.budget_ppm(name) // _PPM + _SLACK_E6
        used_e6 = _used_e6(module, orders, self._stakes.read())
        return f"capital of {name}: {used_e6}, allowed {most_e6}" if used_e6 > most_e6 else ""


def _name(module: bytes) -> str:
    return module.rstrip(b"\0").decode("ascii", "replace")


def _has_fallen(row: ExposureRow, limits: LimitsParams) -> bool:
    """Whether the account is further below one of its peaks than it may be."""
    peaks = (
        (row.equity_peak_e6, limits.drawdown_max_ppm),
        (row.trailing_peak_e6, limits.trailing_drawdown_max_ppm),
    )
    return any((peak - row.equity_e6) * _PPM // peak > ppm for peak, ppm in peaks if peak > 0)


def _used_e6(module: bytes, orders: list[OrderRow], stakes: list[StakeRow]) -> int:
    """Return the capital of a module: cost of what it owns, and cash of its orders."""
    held_e6 = sum(each.cost_e6 for each in stakes if each.owner == module and each.size_e6)
    return held_e6 + sum(
        each.reserved_e6 for each in orders if each.module == module and each.state in _OPEN
    )
