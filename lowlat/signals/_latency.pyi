# Types of the compiled looks of latency; behaviour is documented in _latency.pyx.

from typing import Protocol, final

from lowlat.core.layout import MarketRow
from lowlat.signals._coin import CoinModel
from lowlat.signals._look import Look, SpotLook
from lowlat.signals._path import BookPath
from lowlat.signals.latency import LatencyParams
from lowlat.signals.module import Context

__all__ = ["CoinQuotes", "Mids", "Quote", "Terms"]

@final
class Terms:
    def __init__(self, module: str, params: LatencyParams) -> None: ...

@final
class Quote(Look):
    def __init__(
        self,
        row: MarketRow,
        strike: float | None,
        opens_ns: int,
        average_s: int,
        terms: Terms,
        coin: CoinModel,
        path: BookPath,
    ) -> None: ...
    @property
    def market(self) -> int: ...
    @property
    def limits_e4(self) -> tuple[int, int]: ...
    @property
    def fair(self) -> tuple[float, float, float, float, int, float] | None: ...
    def keep_pauses(self, before: Quote) -> None: ...

@final
class CoinQuotes:
    def __init__(self, model: CoinModel, path: BookPath) -> None: ...
    @property
    def model(self) -> CoinModel: ...
    # By market.
    @property
    def quotes(self) -> dict[int, Quote]: ...
    def look(self, now_ns: int) -> None: ...

class _Coins(Protocol):
    # The module: knows its coins and counts.
    @property
    def ctx(self) -> Context: ...
    def coin(self, coin: int) -> CoinQuotes: ...

@final
class Mids(SpotLook):
    def __init__(self, module: _Coins, path: BookPath, move_ppm: float) -> None: ...
