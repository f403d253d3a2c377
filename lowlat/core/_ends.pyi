from collections.abc import Callable
from typing import final

from typing_extensions import disjoint_base

from lowlat.core.ports import Cell

__all__ = ["Halts"]

@disjoint_base
class ClockEnd: ...

@disjoint_base
class PublishEnd: ...

@disjoint_base
class PollEnd: ...

@disjoint_base
class RowEnd: ...

class RowWriteEnd(RowEnd): ...

@disjoint_base
class CountEnd: ...

@disjoint_base
class RecordEnd: ...

@disjoint_base
class SendEnd: ...

@disjoint_base
class HaltEnd: ...

@disjoint_base
class TurnEnd: ...

@disjoint_base
class RunEnd: ...

@final
class Halts(HaltEnd):
    def __new__(
        cls, own: Cell, draining: Cell, elsewhere: HaltEnd | Callable[[], int] | None, code: int
    ) -> Halts: ...
    def __call__(self) -> int: ...
