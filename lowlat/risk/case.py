"""What is being decided: one signal (Case), or the legs that go or stay together (Unit).

Private to risk: filled from the stream's bytes, changed by the checks, turned into intents and
decisions at the end.
"""

import struct
from typing import Any, Final

from lowlat.book._view import BookView, Walk
from lowlat.core.layout import SIGNAL, SLOT_HEAD_BYTES
from lowlat.core.units import E6
from lowlat.risk.exposure import Holding
from lowlat.risk.facts import MarketFacts

__all__ = ["Case", "Unit", "usd_e6"]

_HEAD: Final = struct.Struct("<QQqqqqqqddqQ64x16sIIiBBBBHH")
"""SIGNAL up to its metadata, which risk does not read; ids of the venue are skipped."""
assert _HEAD.size + SLOT_HEAD_BYTES == SIGNAL.dtype.fields["metadata"][1]  # type: ignore[index]


class Case:
    """One signal on its way to its decision."""

    __slots__ = (
        "action",
        "buys",
        "cause",
        "confidence",
        "cut_limit",
        "cut_rule",
        "cut_was",
        "decided_ns",
        "decoded_ns",
        "epoch",
        "event_ns",
        "expected_value",
        "expires_ns",
        "facts",
        "generation",
        "group",
        "holding",
        "id",
        "immediate",
        "instrument",
        "leg",
        "legs",
        "limit",
        "limit_price_e4",
        "market",
        "mode",
        "module",
        "outcome",
        "published_ns",
        "recv_ns",
        "rule",
        "size_e6",
        "suggested_e6",
        "unit_cost_e6",
        "unwind_price_e4",
        "urgency",
        "view",
        "walk",
        "was",
    )

    def __init__(self, buffer: Any, epoch: int) -> None:
        (
            self.id,
            self.cause,
            self.event_ns,
            self.recv_ns,
            self.decoded_ns,
            self.published_ns,
            self.decided_ns,
            self.expires_ns,
            self.confidence,
            self.expected_value,
            self.suggested_e6,
            self.group,
            self.module,
            self.instrument,
            self.generation,
            self.limit_price_e4,
            self.action,
            self.urgency,
            self.leg,
            self.legs,
            _,
            self.mode,
        ) = _HEAD.unpack_from(buffer, SLOT_HEAD_BYTES)
        self.epoch = epoch
        self.market = self.instrument >> 1
        self.outcome = self.instrument & 1
        self.buys = self.action == 0
        self.immediate = self.urgency == 2
        self.size_e6 = self.suggested_e6
        self.rule = 0
        """Why it was refused; 0 while it was not."""
        self.limit = 0
        self.was = 0
        self.cut_rule = 0
        self.cut_limit = 0
        self.cut_was = 0
        self.unit_cost_e6 = 0
        """Bound of the cash one share takes, fee included, 1e-6 dollar."""
        self.unwind_price_e4 = 0
        self.facts: MarketFacts
        self.holding: Holding
        self.view: BookView
        self.walk: Walk | None = None

    @property
    def direction(self) -> int:
        """+1 for what gains when YES rises, -1 for the opposite."""
        return 1 if self.buys == (self.outcome == 0) else -1

    def refuse(self, rule: int, limit: int, was: int) -> int:
        """Keep why; return the rule."""
        self.rule = rule
        self.limit = limit
        self.was = was
        return rule

    def cut(self, size_e6: int, rule: int, limit: int, was: int) -> None:
        """Make it smaller; the rule that cut most is the one that is told."""
        if size_e6 < self.size_e6:
            self.size_e6 = size_e6
            self.cut_rule = rule
            self.cut_limit = limit
            self.cut_was = was


class Unit:
    """One signal, or all legs of a group: approved together or not at all."""

    __slots__ = ("cases", "expected_value", "expires_ns", "group", "order", "seen_ns")

    def __init__(self, case: Case, order: int, now_ns: int) -> None:
        self.cases = [case]
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
