"""What is being decided: one signal (Case, compiled), or legs that stay together (Unit).

Private to risk: filled from the stream's bytes, changed by the checks, turned into intents and
decisions at the end.
"""

from lowlat.core.units import E6
from lowlat.risk._case import Case

__all__ = ["Case", "Unit", "usd_e6"]


class Unit:
    """One signal, or all legs of a group: approved together or not at all."""

    __slots__ = ("cases", "expected_value", "expires_ns", "group", "is_exit", "order", "seen_ns")

    def __init__(self, case: Case, order: int, now_ns: int, *, is_exit: bool = False) -> None:
        self.cases = [case]
        self.is_exit = is_exit
        """Asked for by risk itself: it need not be worth anything."""
        self.group = case.group if case.legs > 1 else 0
        self.expected_value = case.expected_value
        self.expires_ns = case.expires_ns
        self.order = order
        """Arrival, to break ties the same way each time."""
        self.seen_ns = now_ns

    def add(self, case: Case) -> None:
        """Take another leg."""
        self.cases.append(case)
        self.expected_value += case.expected_value
        self.expires_ns = min(self.expires_ns, case.expires_ns)

    @property
    def complete(self) -> bool:
        """Whether every leg is here, each once."""
        cases = self.cases
        return len(cases) == cases[0].legs and len({case.leg for case in cases}) == len(cases)


def usd_e6(usd: float) -> int:
    """Return dollars of a model as 1e-6 dollar, bounded so that any record holds it."""
    return int(max(-1e12, min(1e12, usd)) * E6)
