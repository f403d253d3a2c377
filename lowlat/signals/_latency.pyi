# Types of the compiled looks of latency; behaviour is documented in _latency.pyx.

from typing import final

from lowlat.core.layout import MarketRow
from lowlat.signals._coin import CoinModel
from lowlat.signals._path import BookPath, Look
from lowlat.signals.latency import LatencyParams

__all__ = ["Quote", "Terms", "look_at"]

@final
class Terms:
    def __init__(self, module: str, params: LatencyParams) -> None: ...

@final
class Quote(Look):
    def __init__(
        self,
        row: MarketRow,
        strike: float | None,
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

def look_at(quotes: dict[int, Quote], path: BookPath, now_ns: int) -> None: ...
