"""Count what other limits would have decided in a replay, and keep the first that differs. Pure."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.core.layout import Rule
from lowlat.core.units import E6
from lowlat.risk.case import Case
from lowlat.risk.engine import RiskEngine
from lowlat.risk.limits import LimitsParams
from lowlat.risk.second import Choice, SecondOpinion

__all__ = ["Otherwise", "OtherwiseVerdict"]

_SIDES: Final = ("YES", "NO")


class OtherwiseVerdict(msgspec.Struct, frozen=True):
    """What other limits would have decided, each time on what there really was."""

    decided: int
    """Legs that both decided on."""
    same: int
    changes: dict[str, int]
    """What became of what, in words, to how often; the most frequent first."""
    sent: tuple[int, int]
    """Legs approved: then, and under the other limits."""
    cost_e6: tuple[int, int]
    """Cash that those may take, fees included."""
    first: str
    """The first leg that differs, "" when none does."""

    def lines(self) -> list[str]:
        """Tell it."""
        cost, other_cost = (f"{e6 / E6:,.2f}" for e6 in self.cost_e6)
        told = [f"other limits: {self.decided - self.same} of {self.decided} decisions differ"]
        told.append(f"  sent {self.sent[0]} -> {self.sent[1]}, at most $ {cost} -> {other_cost}")
        told += [f"  {count:6,}  {what}" for what, count in self.changes.items()]
        return told + ([f"  first: {self.first}"] if self.first else [])


class Otherwise:
    """Listens to a risk engine that decides through a second opinion."""

    def __init__(self, risk: RiskEngine, limits: LimitsParams, at_s: Callable[[], float]) -> None:
        """``at_s``: how far the replay is."""
        self._at_s = at_s
        self._changes: Counter[str] = Counter()
        self._decided = 0
        self._sent = [0, 0]
        self._cost_e6 = [0, 0]
        self._first = ""
        risk.decide_through(
            lambda decide: SecondOpinion(risk.state, limits, decide, self._hear).decide
        )

    def verdict(self) -> OtherwiseVerdict:
        """Return what was counted."""
        return OtherwiseVerdict(
            decided=self._decided,
            same=self._decided - self._changes.total(),
            changes=dict(self._changes.most_common()),
            sent=(self._sent[0], self._sent[1]),
            cost_e6=(self._cost_e6[0], self._cost_e6[1]),
            first=self._first,
        )

    def _hear(self, case: Case, first: Choice, second: Choice) -> None:
        self._decided += 1
        for side, choice in enumerate((first, second)):
            self._sent[side] += choice.size_e6 > 0
            self._cost_e6[side] += choice.cost_e6
        if (first.size_e6, _reason(first)) == (second.size_e6, _reason(second)):
            return
        self._changes[_change(first, second)] += 1
        if not self._first:
            module = case.module.rstrip(b"\0").decode("ascii", "replace")
            self._first = (
                f"at {self._at_s():.6f} s signal {case.id:x} of {module}: "
                f"{'BUY' if case.buys else 'SELL'} {_SIDES[case.outcome]} of market {case.market} "
                f"at {case.limit_price_e4 / 1e4:.4f}: {_tell(first)}; then: {_tell(second)}"
            )


def _reason(choice: Choice) -> Rule:
    """Return why nothing was sent. What cut an order of the same size makes no other order."""
    return Rule.APPROVED if choice.size_e6 else choice.rule


def _change(first: Choice, second: Choice) -> str:
    words = [
        "sent" if choice.size_e6 else f"refused {choice.rule.name.lower()}"
        for choice in (first, second)
    ]
    if first.size_e6 and second.size_e6:
        words[1] = f"sent {'smaller' if second.size_e6 < first.size_e6 else 'larger'}"
    return " -> ".join(words)


def _tell(choice: Choice) -> str:
    rule = choice.rule.name.lower()
    why = "" if choice.rule == Rule.APPROVED else f" ({rule}: {choice.was} against {choice.limit})"
    if not choice.size_e6:
        return f"refused{why}"
    return f"{choice.size_e6 / E6:g} shares{why}"
