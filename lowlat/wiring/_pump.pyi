from typing import final

from lowlat.core._ends import RunEnd, TurnEnd
from lowlat.core.ports import Clock

__all__ = ["Pump"]

@final
class Pump(RunEnd):
    """The deciding stages behind a frame, in one compiled call."""

    def __init__(
        self, clock: Clock, signals: TurnEnd, risk: TurnEnd, executor: TurnEnd
    ) -> None: ...
    def __call__(self) -> None: ...
    def advance(self, stage: int) -> int: ...
    def settle(self, stage: int) -> None: ...
