"""One line a source of market data, from the tables and counters of whatever process runs it.

None means not known or not there: nothing is guessed, and no zero stands for it.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lowlat.app.telemetry import Reading
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import Coin, Venue
from lowlat.shm.attach import Attached

__all__ = ["FeedLine", "feed_lines", "gauge"]

Records = npt.NDArray[np.void]
_LAG_ROWS: Final = 20
"""The lag of a feed is the median over so many of its newest rows."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One source of market data."""

    name: str
    up: int
    """Connections or rows that are alive."""
    of: int
    age_ns: int | None
    """Since its last data."""
    rate: float | None
    """Frames a second, lately; None before two readings."""
    gaps: int
    """Times it lost the thread and had to find it again."""
    bad: int
    """Messages it could not read."""
    lag_ns: int | None
    """From the venue's stamp to our receiving it, both clocks as they are."""
    reconnects: int


def feed_lines(attached: Attached, reading: Reading, rates: dict[str, float]) -> list[FeedLine]:
    """Return one line a source, whatever process runs it."""
    wall_offset_ns = time.time_ns() - monotonic_ns()
    shards, versions = attached.tables["shard"].snapshot()
    shards_ns = monotonic_ns()
    shards = shards[(versions > 0) & (shards["venue"] == Venue.POLYMARKET)]
    # Each with the time it was read at: all books take longer than a feed is silent.
    books, versions = attached.tables["book"].snapshot()
    spots, spot_versions = attached.tables["spot_top"].snapshot()
    spots_ns = monotonic_ns()
    spots = spots[(spot_versions > 0) & (spots["coin"] != Coin.NONE)]

    def line(
        name: str,
        up: int,
        of: int,
        at_ns: list[int],
        now_ns: int,
        lag_ns: int | None,
        gaps: tuple[str, ...],
    ) -> FeedLine:
        prefix = f"feed.{name}."
        return FeedLine(
            name,
            up,
            of,
            max(0, now_ns - max(at_ns)) if at_ns else None,
            rates.get(prefix + "frames") if rates else None,
            sum(reading.counter(prefix + gap) for gap in gaps),
            reading.counter(prefix + "malformed"),
            lag_ns,
            reading.counter(prefix + "reconnects"),
        )

    return [
        line(
            "polymarket",
            int((shards["alive"] != 0).sum()),
            len(shards),
            shards["last_data_ns"].tolist(),
            shards_ns,
            _lag_ns(books[versions > 0], wall_offset_ns),
            ("diverged", "resyncs_failed", "frozen"),
        ),
        line(
            "binance",
            len(spots),
            len(spots),
            spots["recv_ns"].tolist(),
            spots_ns,
            _lag_ns(spots, wall_offset_ns),
            ("trade_gaps", "depth_gaps", "depth_mismatches", "frozen"),
        ),
        _prices_line(attached, line, wall_offset_ns),
        _metadata_line(reading, line),
    ]


def _metadata_line(reading: Reading, line: Any) -> FeedLine:
    """Describe what is known of markets; its age is that of the last whole sweep."""
    sweep_age_ns = gauge(reading, "feed.metadata.sweep_age_ns")
    found: FeedLine = line(
        "metadata",
        gauge(reading, "feed.metadata.tradeable") or 0,
        gauge(reading, "feed.metadata.markets") or 0,
        [] if sweep_age_ns is None else [-sweep_age_ns],
        0,
        None,
        ("requests_failed", "overruns"),
    )
    return found


def gauge(reading: Reading, name: str) -> int | None:
    """Return a gauge that one process has; None while no process has it."""
    return next((each[name] for each in reading.gauges.values() if name in each), None)


def _prices_line(attached: Attached, line: Any, wall_offset_ns: int) -> FeedLine:
    """Describe the settlement prices by the newest print of each series that its stream holds."""
    view = attached.streams["settle"]
    view.rewind()
    batches = [records for records in view.batch(4096).values() if len(records)]
    now_ns = monotonic_ns()
    newest: dict[tuple[int, int], np.void] = {}
    for record in (each for batch in batches for each in batch if not each["history"]):
        newest[int(record["coin"]), int(record["series"])] = record
    stamps = [int(each["recv_ns"]) for each in newest.values()]
    lags = _lag_ns(batches[-1], wall_offset_ns) if batches else None
    found: FeedLine = line(
        "prices", len(newest), len(newest), stamps, now_ns, lags, ("gaps", "conflicts", "frozen")
    )
    return found


def _lag_ns(rows: Records, wall_offset_ns: int) -> int | None:
    """Return the median lag of the newest rows that carry the venue's stamp."""
    stamped = rows[(rows["event_ns"] > 0) & (rows["recv_ns"] > 0)]
    if not len(stamped):
        return None
    newest = stamped[np.argsort(stamped["recv_ns"])[-_LAG_ROWS:]]
    lags = newest["recv_ns"].astype(np.int64) + wall_offset_ns - newest["event_ns"]
    return int(np.median(lags))
