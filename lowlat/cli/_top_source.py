"""What `top` shows, read from outside: streams a few times a second, tables when they are shown.

Maps everything read-only and gives way: a lower priority, and never a core that an engine spins on.
"""

import os
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lowlat.cli import _views as views
from lowlat.cli._feed_lines import FeedLine, feed_lines
from lowlat.cli._observer import Observer, Picture
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.core.layout import (
    DECISION,
    SIGNAL,
    BookRow,
    DecisionRecord,
    GroupRow,
    MarketRow,
    OrderRow,
    RecordType,
    SignalRecord,
)
from lowlat.shm.attach import Attached
from lowlat.shm.histograms import HistogramView

__all__ = ["Shot", "Source", "give_way"]

_KEPT: Final = 300
"""Records of each stream that can be looked at."""
_ORDERS: Final = 300
_RECENT_NS: Final = 10_000_000_000
"""Latencies 'lately' are those of about so long."""
_NICE: Final = 10
_SPINNING: Final = frozenset({"busy", "spin"})


@dataclass(slots=True)
class Shot:
    """One moment of the instance; a pane asks for the tables that it shows."""

    instance: str
    at_ns: int
    picture: Picture
    signals: list[SignalRecord]
    """Newest first."""
    decisions: list[DecisionRecord]
    """Newest first."""
    lately: dict[str, HistogramView]
    """Latencies of the last seconds."""
    attached: Attached | None
    """None while there are no segments."""
    gone: str = ""
    """Why what is shown is not of now; empty when it is."""
    markets: dict[int, MarketRow] = field(default_factory=dict)
    books: list[views.BookLine] = field(default_factory=list)
    feeds: list[FeedLine] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    groups: list[GroupRow] = field(default_factory=list)
    money: views.Money | None = None
    limits: list[views.LimitLine] = field(default_factory=list)

    def name(self, instrument: int) -> str:
        """Return the name of an instrument's market."""
        return views.slug(self.markets.get(instrument >> 1), instrument >> 1)

    def ladder(self, market: int) -> BookRow | None:
        """Read one market's ladder now."""
        return views.ladder(self.attached, market) if self.attached is not None else None


class Source:
    """Reads one instance. ``poll`` often, ``shot`` when a screen is due."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self._observer = Observer(instance)
        self._observer.activity.on_records = self._keep
        self._signals: deque[SignalRecord] = deque(maxlen=_KEPT)
        self._decisions: deque[DecisionRecord] = deque(maxlen=_KEPT)
        self._marks: deque[tuple[int, dict[str, HistogramView]]] = deque()

    def poll(self) -> None:
        """Read what is new in the streams."""
        self._observer.on_turn()

    def shot(self, wants: frozenset[str]) -> Shot:
        """Read statistics and the tables named: books, feeds, orders, money."""
        picture = self._observer.picture()
        attached = self._observer.activity.attached
        shot = Shot(
            self.instance,
            monotonic_ns(),
            picture,
            list(reversed(self._signals)),
            list(reversed(self._decisions)),
            self._lately(picture),
            attached,
            _gone(picture),
        )
        if attached is not None:
            try:
                _fill(shot, attached, wants)
            except (SegmentError, LayoutError, KeyError) as error:
                # Segments are being made anew: the next shot has them.
                shot.gone = f"not readable now: {error}"
        return shot

    def _keep(self, name: str, records: npt.NDArray[np.void]) -> None:
        if name == "SIGNAL":
            self._signals.extend(_unpacked(records, SIGNAL))
        elif name == "DECISION":
            self._decisions.extend(_unpacked(records, DECISION))

    def _lately(self, picture: Picture) -> dict[str, HistogramView]:
        now_ns = picture.reading.at_ns
        self._marks.append((now_ns, picture.reading.histograms))
        while len(self._marks) > 1 and now_ns - self._marks[1][0] >= _RECENT_NS:
            self._marks.popleft()
        earlier = self._marks[0][1]
        return {
            name: view.since(earlier[name]) if name in earlier else view
            for name, view in picture.reading.histograms.items()
        }


def _fill(shot: Shot, attached: Attached, wants: frozenset[str]) -> None:
    shot.markets = views.market_rows(attached)
    if "books" in wants:
        shot.books = views.book_lines(attached, shot.markets)
    if "feeds" in wants:
        shot.feeds = feed_lines(attached, shot.picture.reading, shot.picture.rates)
    if "orders" in wants:
        shot.orders = views.newest_orders(attached, _ORDERS)
        shot.groups = views.newest_groups(attached, _ORDERS)
    if "money" in wants:
        shot.money = views.money(attached)
        shot.limits = views.limit_lines(attached, shot.markets)


def _gone(picture: Picture) -> str:
    """Say when nobody writes any more what is read."""
    if not picture.processes:
        return "no such instance now: waiting for it"
    if not any(each.pid for each in picture.processes):
        return "no process of it runs: these are its last words"
    return ""


def _unpacked(records: npt.NDArray[np.void], record: RecordType[Any]) -> list[Any]:
    return [record.unpack(memoryview(each.tobytes())) for each in records[-_KEPT:]]


def give_way(picture: Picture) -> None:
    """Lower our priority and leave every core that a process spins on, if any other is left."""
    os.nice(_NICE)
    taken = {
        int(each.core)
        for each in picture.processes
        if each.wait in _SPINNING and each.core.isdigit()
    }
    left = os.sched_getaffinity(0) - taken
    if taken and left:
        os.sched_setaffinity(0, left)
