"""Match settlement prints with the windows that begin at their stamp.

Used by the metadata engine only. Exact or unknown: a print of another second is no start price,
and two prices for one stamp leave the window without one for good.
"""

from typing import Final

from lowlat.core.layout import Settle

__all__ = ["Key", "StartPrices"]

Key = tuple[int, int, int]
"""(coin, series, stamp_ns)."""

POINTS_MAX: Final = 16_384
"""About half an hour of nine series: windows may be listed after their start."""


class StartPrices:
    """Prints by key, and the markets that wait for one."""

    def __init__(self) -> None:
        self._points: dict[Key, tuple[int, int] | None] = {}
        self._waiting: dict[Key, set[int]] = {}

    def want(self, key: Key, market: int) -> tuple[int, int] | None:
        """Return the print if it came already, and hear of it (again) when it comes."""
        self._waiting.setdefault(key, set()).add(market)
        return self._points.get(key)

    def forget(self, key: Key, market: int) -> None:
        """Stop waiting."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.discard(market)
            if not waiting:
                del self._waiting[key]

    def take(self, record: Settle) -> tuple[tuple[int, int] | None, list[int]] | None:
        """Take a print; return its price (None: contradicted) and whom it concerns, if anybody."""
        key = (record.coin, record.series, record.stamp_ns)
        price: tuple[int, int] | None = (record.price_e8, record.price_rest_e18)
        if key in self._points:
            if self._points[key] == price:
                return None
            price = None
        elif len(self._points) >= POINTS_MAX:
            del self._points[next(iter(self._points))]
        self._points[key] = price
        concerned = self._waiting.get(key)
        return (price, sorted(concerned)) if concerned else None
