"""Write how each signal ended: which rule, its limit, what met it. One record a signal.

Run by RiskEngine; the stream is gated by the ledger, and the engine polls no signal it has no
decision slot for.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.layout import DECISION, Rule
from lowlat.core.ports import Cell, StreamWriter
from lowlat.risk._kernel import Case, DecisionSlot

__all__ = ["DecisionWriter"]

_KIND: Final = DECISION.kind
_CUT: Final = int(Rule.CUT)


class DecisionWriter:
    """Writes decisions and counts them by rule."""

    def __init__(
        self, decisions: StreamWriter, next_id: Callable[[], int], cell: Callable[[str], Cell]
    ) -> None:
        self._slot = DecisionSlot(decisions.buffer)
        self._publish = decisions.publish
        self._next_id = next_id
        self._cell = cell
        self._counts: dict[int, Cell] = {}
        self._cuts = cell("risk.decision.cut")

    def approve(self, case: Case, intent: int, checked_ns: int, generation: int) -> None:
        """Say that it was sent. A rule other than APPROVED cut it: ``size_e6`` is what is left."""
        rule, limit, was = case.cut_rule, case.cut_limit, case.cut_was
        if not rule and case.size_e6 != case.suggested_e6:
            rule, limit, was = _CUT, case.size_e6, case.suggested_e6
        if rule:
            self._cuts.add(1)
        self._write(case, intent, case.size_e6, checked_ns, generation, rule, limit, was, 1)

    def refuse(self, case: Case, checked_ns: int, generation: int) -> None:
        """Say why it was not sent."""
        assert case.rule, f"signal {case.id} was refused without a rule"
        self._write(case, 0, 0, checked_ns, generation, case.rule, case.limit, case.was, 0)

    def _write(
        self,
        case: Case,
        intent: int,
        size_e6: int,
        checked_ns: int,
        generation: int,
        rule: int,
        limit: int,
        was: int,
        approved: int,
    ) -> None:
        self._slot.write(
            case,
            self._next_id(),
            intent,
            size_e6,
            checked_ns,
            generation,
            rule,
            limit,
            was,
            approved,
        )
        published = self._publish(_KIND)
        assert published, "a signal was polled without a slot for its decision"
        key = rule | approved << 16
        count = self._counts.get(key)
        if count is None:
            name = Rule(rule).name.lower()
            done = "approved" if approved else "refused"
            count = self._counts[key] = self._cell(f"risk.{done}.{name}")
        count.add(1)
