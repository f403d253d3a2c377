# Types of the fields that kernels and checks share; behaviour is documented in _cells.pyx.

from collections.abc import ItemsView, Iterator
from typing import Generic, Self, TypeVar, final

from typing_extensions import disjoint_base

__all__ = ["ByMarket", "FactCells", "Outlay", "Pace", "StateCells"]

_T = TypeVar("_T")

@disjoint_base
class FactCells:
    market: int
    generation: int
    tradeable: bool
    start_known: bool
    exhaustive: bool
    exponent: int
    tick_e4: int
    step_e6: int
    min_size_e6: int
    rate_e6: int
    correlation: int
    series: int
    source: int
    end_ns: int
    windowed: bool
    winner: int
    risk_score: int
    event_markets: int
    bucket: bytes | int

@disjoint_base
class StateCells:
    now_ns: int
    cash_e6: int
    bankroll_e6: int
    halt_code: int
    waiting: bool
    drawdown_halted: bool
    wall_offset_ns: int
    kelly_ppm: int
    full_until_ns: int

@final
class ByMarket(Generic[_T]):
    def __new__(cls) -> Self: ...
    def get(self, market: int) -> _T | None: ...
    def __getitem__(self, market: int) -> _T: ...
    def __setitem__(self, market: int, kept: _T) -> None: ...
    def __delitem__(self, market: int) -> None: ...
    def __contains__(self, market: int) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...
    def items(self) -> ItemsView[int, _T]: ...

@final
class Pace:
    def __new__(cls, per_s: int, burst: int) -> Self: ...
    def set_limits(self, per_s: int, burst: int) -> None: ...
    def take(self, count: int, now_ns: int) -> bool: ...

@final
class Outlay:
    def __new__(cls, most_e6: int, window_ns: int) -> Self: ...
    def set_limits(self, most_e6: int, window_ns: int) -> None: ...
    def room_e6(self, now_ns: int) -> int: ...
    def take(self, cash_e6: int) -> None: ...
