"""Bring processes from one generation to the next in an order that is safe at every moment.

Run by the supervisor, a step a turn. Tightening: executor, then risk, then the rest; loosening:
the rest, then executor, then risk, so that whoever looks last never allows what the one before
does not know yet. Some of each: the same as tightening, and new orders wait meanwhile. Whoever
refuses or does not answer sends everybody back::

    rolling ── all waves acknowledged ──> done
       └────── refused, or late ────────> back ── everybody acknowledged ──> failed
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol

from lowlat.app.reload_rules import Course

__all__ = ["Acks", "Phase", "Rollout", "waves_of"]

_WAVE_NS: Final = 5_000_000_000


class Acks(NamedTuple):
    """What a process says about generations."""

    generation: int
    refused: int


class Field(Protocol):
    """The processes, as seen by the supervisor."""

    def tell(self, process: str, generation: int) -> None:
        """Set the word of a process."""
        ...

    def acks(self, process: str) -> Acks | None:
        """Return what a process says; None for one that need not say anything."""
        ...

    def hold(self, on: bool) -> None:
        """Make new orders wait, or no longer."""
        ...


class Phase(Enum):
    """Where a rollout is."""

    ROLLING = "rolling"
    BACK = "going back"
    DONE = "done"
    FAILED = "failed"


def waves_of(roles: Mapping[str, Collection[str]], course: Course) -> list[list[str]]:
    """Group processes (name to its roles) in the order in which they change."""

    def rank(process: str) -> int:
        mine = roles[process]
        return 0 if "executor" in mine else 1 if "risk" in mine else 2

    waves = [[each for each in roles if rank(each) == wave] for wave in range(3)]
    if course is Course.LOOSENING:
        waves = [waves[2], waves[0], waves[1]]
    elif course is Course.NEUTRAL:
        waves = [list(roles)]
    return [wave for wave in waves if wave]


class Rollout:
    """One change of generation. Call ``turn`` until ``phase`` is DONE or FAILED."""

    def __init__(
        self,
        field: Field,
        waves: Sequence[Sequence[str]],
        old: int,
        new: int,
        *,
        holds: bool,
        now_ns: int,
        on_failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Tell the first wave. ``on_failed(why)`` is called once when everybody is sent back."""
        self.phase = Phase.ROLLING
        self.why = ""
        self.new = new
        self._field = field
        self._waves = waves
        self._old = old
        self._at = 0
        self._due_ns = now_ns + _WAVE_NS
        self._on_failed = on_failed
        self._holds = holds
        if holds:
            field.hold(True)
        self._tell()

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.phase in {Phase.DONE, Phase.FAILED}

    def turn(self, now_ns: int) -> None:
        """Go as far as acknowledgements allow."""
        while self.phase is Phase.ROLLING:
            wanting = self._wanting(self._waves[self._at], self.new)
            if self.why:
                self._go_back()
            elif wanting:
                if now_ns < self._due_ns:
                    return
                self.why = f"{', '.join(wanting)} did not take generation {self.new} in time"
                self._go_back()
            else:
                self._next(now_ns)
        if self.phase is Phase.BACK:
            everybody = [each for wave in self._waves for each in wave]
            if not self._wanting(everybody, self._old):
                self._field.hold(False)
                self.phase = Phase.FAILED

    def _wanting(self, processes: Sequence[str], number: int) -> list[str]:
        """Return who has not said yes; sets ``why`` when one said no."""
        wanting = []
        for process in processes:
            acks = self._field.acks(process)
            if acks is None or acks.generation == number:
                continue
            wanting.append(process)
            if acks.refused == number and self.phase is Phase.ROLLING:
                self.why = f"{process} refused generation {number}: see its errors"
        return wanting

    def _next(self, now_ns: int) -> None:
        self._at += 1
        self._due_ns = now_ns + _WAVE_NS
        if self._at < len(self._waves):
            self._tell()
            return
        if self._holds:
            self._field.hold(False)
        self.phase = Phase.DONE

    def _tell(self) -> None:
        for process in self._waves[self._at]:
            self._field.tell(process, self.new)

    def _go_back(self) -> None:
        """Send everybody to the old generation; new orders wait until the last is there."""
        self.phase = Phase.BACK
        self._field.hold(True)
        for wave in self._waves:
            for process in wave:
                self._field.tell(process, self._old)
        self._on_failed(self.why)
