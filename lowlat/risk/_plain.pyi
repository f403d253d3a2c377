# Types of the compiled turn of risk; behaviour is documented in _plain.pyx.

from collections.abc import Callable
from typing import Protocol, Self, final

from lowlat.core._ends import TurnEnd
from lowlat.core.directory import MarketDirectory
from lowlat.core.ports import Cell, Clock, Recorder, StreamReader, TableReader
from lowlat.risk._case import CaseReader
from lowlat.risk._records import DecisionWriter, IntentSlot, Names
from lowlat.risk._reports import ReportReader
from lowlat.risk.aggregate import Aggregator
from lowlat.risk.limits import LimitsParams
from lowlat.risk.state import RiskState

__all__ = ["PlainPath"]

class _Ports(Protocol):
    @property
    def signals(self) -> StreamReader: ...
    @property
    def reports(self) -> StreamReader: ...
    @property
    def metadata(self) -> StreamReader: ...
    @property
    def books(self) -> TableReader: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def halted(self) -> Callable[[], int]: ...
    @property
    def cell(self) -> Callable[[str], Cell]: ...
    @property
    def decisions_reserve(self) -> int: ...

@final
class PlainPath(TurnEnd):
    plain: bool
    def __new__(
        cls,
        ports: _Ports,
        state: RiskState,
        limits: LimitsParams,
        config_generation: int,
        *,
        aggregator: Aggregator,
        directory: MarketDirectory,
        names: Names,
        intents: IntentSlot,
        decisions: DecisionWriter,
        reports: ReportReader,
        reader: CaseReader,
        latency: Recorder,
        intents_sent: Cell,
        take_markets: Callable[[int], int],
        take_more: Callable[[int, int, int, int], int],
        watch: Callable[[int], int],
    ) -> Self: ...
    def set_limits(self, limits: LimitsParams, config_generation: int) -> None: ...
    def turn(self, now_ns: int) -> int: ...
    def advance(self, now_ns: int) -> int: ...
    def settle(self) -> None: ...
