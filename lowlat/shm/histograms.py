"""Private copies of shared histograms: interval, merge, percentiles. Run by readers only.

The writer only ever increments, so the interval between two copies is their difference; merge by
adding cells, and take percentiles only after that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from lowlat.shm import _core

__all__ = ["HistogramView"]

_LOW_NS: Final = np.array(
    [_core.histogram_low_ns(index) for index in range(_core.HISTOGRAM_CELLS + 1)], np.uint64
)
"""Smallest value of each cell, and the end of the last one."""


@dataclass(frozen=True, slots=True)
class HistogramView:
    """A copy of a histogram: ``uint64[HISTOGRAM_CELLS]`` counts, the sum, what was clamped."""

    cells: npt.NDArray[np.uint64]
    sum_ns: int
    overflow: int
    """Values over 60 s, counted in the last cell."""

    @classmethod
    def copy_of(cls, histogram: _core.Histogram) -> Self:
        """Copy a shared histogram; 4 us."""
        words = np.zeros(_core.HISTOGRAM_CELLS + 2, np.uint64)
        histogram.copy_into(words)
        return cls(words[2:], int(words[1]), int(words[0]))

    @property
    def count(self) -> int:
        """Number of values."""
        return int(self.cells.sum())

    @property
    def mean_ns(self) -> float:
        """Mean, 0 when empty."""
        count = self.count
        return self.sum_ns / count if count else 0.0

    @property
    def max_ns(self) -> int:
        """Largest value that the highest used cell can hold, 0 when empty."""
        return self.percentile_ns(100.0)

    def percentile_ns(self, percent: float) -> int:
        """Return the largest value of the cell that holds the percentile; 0 when empty."""
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"percent was {percent}, expected 0 to 100")
        totals = np.cumsum(self.cells)
        count = int(totals[-1])
        if count == 0:
            return 0
        rank = max(1, -int(-percent * count // 100))
        index = int(np.searchsorted(totals, rank))
        return int(_LOW_NS[index + 1]) - 1

    def buckets(self, edges_ns: Sequence[int]) -> list[int]:
        """Return how many values lie between each two edges; the outer ones take the rest.

        A cell belongs where its smallest value lies. ``edges_ns`` ascend.
        """
        owners = np.searchsorted(np.array(edges_ns[1:-1], np.uint64), _LOW_NS[:-1], side="right")
        counts = np.zeros(len(edges_ns) - 1, np.uint64)
        np.add.at(counts, owners, self.cells)
        return [int(count) for count in counts]

    def since(self, earlier: "HistogramView") -> "HistogramView":
        """Return what was counted after an earlier copy of the same histogram."""
        return HistogramView(
            self.cells - earlier.cells,
            self.sum_ns - earlier.sum_ns,
            self.overflow - earlier.overflow,
        )

    def merged(self, other: "HistogramView") -> "HistogramView":
        """Return both together."""
        return HistogramView(
            self.cells + other.cells, self.sum_ns + other.sum_ns, self.overflow + other.overflow
        )
