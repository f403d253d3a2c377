# Types of what a module may still use; behaviour is documented in _scores.pyx.

from typing import Self, final

from typing_extensions import disjoint_base

__all__ = ["Score", "ScoreCells"]

@final
class Score:
    budget_ppm: int
    cost_e6: int
    in_flight_e6: int
    damp_ppm: int
    stopped: bool
    @property
    def module(self) -> bytes: ...
    @property
    def used_e6(self) -> int: ...
    def __new__(cls, module: bytes) -> Self: ...

@disjoint_base
class ScoreCells:
    @property
    def scores(self) -> list[Score]: ...
    def __new__(cls) -> Self: ...
    def get(self, module: bytes) -> Score | None: ...
