"""Signals of before this life of risk: each is ended once, as what it was.

Owned by the risk engine, used at its start. What an earlier life had decided, or had sent and died
before it could say so, is read from the ends of its own decisions and intents; the rest is refused.
"""

from collections import deque
from typing import Any, Final, TypeVar

from lowlat.core.layout import DECISION, INTENT, SIGNAL, IntentRecord, RecordType, Rule
from lowlat.core.ports import EMPTY, StreamReader
from lowlat.risk._case import Case, CaseReader
from lowlat.risk._records import DecisionWriter
from lowlat.risk.aggregate import Aggregator
from lowlat.risk.ports import RiskPorts
from lowlat.risk.state import RiskState

__all__ = ["LeftOvers"]

R = TypeVar("R", bound=tuple[Any, ...])

_SIGNAL: Final = SIGNAL.kind


class LeftOvers:
    """What is left of an earlier life; the gate for new intents stays shut while there is any."""

    def __init__(
        self,
        ports: RiskPorts,
        state: RiskState,
        reader: CaseReader,
        decisions: DecisionWriter,
        aggregator: Aggregator,
    ) -> None:
        """``reader`` reads the slot of the signals' reader."""
        self._signals = ports.signals
        self._decided = ports.decided
        self._intended = ports.intended
        self._epoch = ports.decisions.epoch
        self._state = state
        self._reader = reader
        self._decisions = decisions
        self._aggregator = aggregator
        self.left: deque[Case] = deque()
        """Signals that are not ended yet."""
        self._decided_before: set[int] = set()
        self._intended_before: dict[int, IntentRecord] = {}

    def read(self) -> None:
        """Read what an earlier life decided and sent; before anything of this one is published.

        A full ring's oldest records go with the next one, and a reader that was overtaken finds
        only the newest.
        """
        self._decided_before = {each.signal for each in _records(self._decided, DECISION)}
        self._intended_before = {each.signal: each for each in _records(self._intended, INTENT)}

    def drop(self, config_generation: int) -> None:
        """End every signal that came before this life of risk, and that it had not ended.

        Those whose decisions find no room are ended as room comes, before anything else is judged.
        """
        signals = self._signals
        while signals.poll() == _SIGNAL:
            self.left.append(self._reader.case())
        self.end_some(config_generation)

    def end_some(self, config_generation: int) -> None:
        """End as many as there is room for; their slots are given back behind the last."""
        left = self.left
        while left and self._decisions.free(2) > 1:
            self._end(left.popleft(), config_generation)
        if not left and not self._aggregator.groups:
            self._signals.release()

    def _end(self, case: Case, config_generation: int) -> None:
        """End a signal of before as what it was: decided, sent, or neither."""
        if case.id in self._decided_before:
            # Its decision was published, then death came before the slot was given back.
            return
        intent = self._intended_before.get(case.id)
        if intent is None:
            case.refuse(Rule.DROPPED_EPOCH, self._epoch, case.epoch)
            self._decisions.refuse(case, self._state.now_ns, config_generation)
            return
        # Death came between the intent and its decision: its order may have left.
        case.size_e6 = intent.size_e6
        self._decisions.approve(case, intent.id, intent.checked_ns, intent.config_generation)


def _records(reader: StreamReader | None, record: RecordType[R]) -> list[R]:
    """Return the records of one kind that a stream holds from where its reader stands."""
    found: list[R] = []
    kind = EMPTY if reader is None else reader.poll()
    while reader is not None and kind != EMPTY:
        if kind == record.kind:
            found.append(record.unpack(reader.buffer))
        kind = reader.poll()
    return found
