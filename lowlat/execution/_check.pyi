# Types of the executor's compiled checks; behaviour is documented in _check.pyx.

from collections.abc import Callable
from typing import Any, final

from typing_extensions import disjoint_base

from lowlat.book._view import BookView
from lowlat.book.fees import FeeSchedule
from lowlat.core.freshness import Shards
from lowlat.core.ports import TableReader
from lowlat.execution._desk import AccountCells, DeskCells
from lowlat.execution._order import IntentView
from lowlat.execution.limits import Breaker
from lowlat.execution.params import HardLimits

__all__ = ["FactCells", "FastCheck", "MarketGate", "RateBucket"]

@disjoint_base
class FactCells:
    version: int
    generation: int
    tick_e4: int
    tradeable: bool
    min_size_e6: int
    rate_e6: int
    ladder_e6: int
    cut_e6: int
    exchange: int
    token_id: bytes
    token_number: int
    fees: FeeSchedule | None

@final
class MarketGate:
    def __init__(
        self,
        facts: dict[int, Any],
        learn: Callable[[int], FactCells | None],
        markets: TableReader,
        book: TableReader,
        view: BookView,
        shards: Shards,
    ) -> None: ...

@final
class RateBucket:
    def __init__(self, per_s: int, burst: int, headroom: int) -> None: ...
    @property
    def per_s(self) -> int: ...
    @property
    def burst(self) -> int: ...
    @property
    def headroom(self) -> int: ...
    def set_tier(self, per_s: int, burst: int) -> None: ...
    def available(self, now_ns: int, *, reserve: bool = False) -> int: ...
    def take(self, count: int, now_ns: int, *, reserve: bool = False) -> bool: ...
    def give_back(self, count: int) -> None: ...
    def block(self, until_ns: int) -> None: ...
    def correct(self, remaining: int, now_ns: int) -> None: ...

@final
class FastCheck:
    def __init__(
        self,
        desk: DeskCells,
        accounts: AccountCells,
        gate: MarketGate,
        breaker: Breaker,
        limits: HardLimits,
    ) -> None: ...
    def bound_by(self, limits: HardLimits) -> None: ...
    def clear(self, intent: IntentView, now_ns: int) -> bool: ...
    @property
    def facts(self) -> FactCells: ...
    @property
    def maker_e6(self) -> int: ...
    @property
    def taker_e6(self) -> int: ...
    @property
    def hold_e6(self) -> int: ...
    @property
    def post(self) -> int: ...
