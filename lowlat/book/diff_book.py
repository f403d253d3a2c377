"""Keep a Binance book from a snapshot and numbered diffs.

A pure state machine: the feed feeds it decoded diffs and snapshots, and asks for a snapshot
whenever ``live`` is False. Source: feeds.md 1.4.

=========  ==============================  =====================================================
state      input                           then
=========  ==============================  =====================================================
buffering  diff                            BUFFERED
buffering  snapshot older than the buffer  still buffering: fetch again
buffering  snapshot that the buffer joins  live, buffered diffs applied
live       diff with u <= id               IGNORED
live       diff with U <= id + 1           APPLIED, id = u
live       diff with U > id + 1            GAP: buffering, the diff is the first one kept
any        bad level                       buffering, RemoteProtocolError
=========  ==============================  =====================================================
"""

from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from lowlat.book._ladder import ASK, BID, LEVELS_MAX, Ladder
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.units import NO_PRICE_E8

__all__ = ["DiffBook", "DiffResult"]

BUFFERED_MAX: Final = 1_000
"""Diffs kept while a snapshot is fetched: 100 s at 100 ms. The oldest fall out first, which only
asks for a newer snapshot."""

Levels = Sequence[tuple[int, int]]


class DiffResult(IntEnum):
    """What became of a diff."""

    BUFFERED = 0
    IGNORED = 1
    APPLIED = 2
    GAP = 3


class DiffBook:
    """One symbol's book, prices and sizes in 1e-8 (see parse_levels). Written by its feed only."""

    __slots__ = ("_buffer", "gaps", "ladder", "live", "update_id")

    def __init__(self, levels_max: int = LEVELS_MAX, buffered_max: int = BUFFERED_MAX) -> None:
        self.ladder: Final = Ladder(NO_PRICE_E8, levels_max)
        self.live = False
        self.update_id = 0
        """Last applied update; the same counter as bookTicker's ``u``. 0 while not live."""
        self.gaps = 0
        self._buffer: deque[tuple[int, int, Levels, Levels]] = deque(maxlen=buffered_max)

    def restart(self) -> None:
        """Forget everything: the connection was lost or the book is in doubt."""
        self._buffer.clear()
        self._lose()

    def diff(self, first_id: int, last_id: int, bids: Levels, asks: Levels) -> DiffResult:
        """Take updates ``U`` = first_id to ``u`` = last_id; sizes are absolute, 0 removes."""
        if not 0 < first_id <= last_id:
            raise RemoteProtocolError(f"diff was U={first_id} u={last_id}, expected 0 < U <= u")
        if not self.live:
            self._buffer.append((first_id, last_id, bids, asks))
            return DiffResult.BUFFERED
        if last_id <= self.update_id:
            return DiffResult.IGNORED
        if first_id > self.update_id + 1:
            self.gaps += 1
            self.restart()
            self._buffer.append((first_id, last_id, bids, asks))
            return DiffResult.GAP
        self._apply(last_id, bids, asks)
        return DiffResult.APPLIED

    def snapshot(self, last_update_id: int, bids: Levels, asks: Levels) -> bool:
        """Take a REST snapshot; return whether the book is live, else fetch another.

        A snapshot that arrives while live is refused, because the stream is newer.
        """
        if last_update_id <= 0:
            raise RemoteProtocolError(f"lastUpdateId was {last_update_id}, expected above 0")
        if self.live:
            return True
        # The vendor says "lower than the first U"; the snapshot just before it joins as well.
        if self._buffer and last_update_id + 1 < self._buffer[0][0]:
            return False
        try:
            self.ladder.load(bids, asks)
        except RemoteProtocolError:
            self.restart()
            raise
        self.live = True
        self.update_id = last_update_id
        while self._buffer:
            first_id, last_id, new_bids, new_asks = self._buffer[0]
            if first_id > self.update_id + 1:
                # A diff is missing inside the buffer: what follows it waits for a newer snapshot.
                self.gaps += 1
                self._lose()
                return False
            self._buffer.popleft()
            if last_id > self.update_id:
                self._apply(last_id, new_bids, new_asks)
        return True

    def _apply(self, last_id: int, bids: Levels, asks: Levels) -> None:
        put = self.ladder.set
        try:
            for price, size in bids:
                put(BID, price, size)
            for price, size in asks:
                put(ASK, price, size)
        except RemoteProtocolError:
            # Half of the diff is in: nothing of the book can be trusted.
            self.restart()
            raise
        self.update_id = last_id

    def _lose(self) -> None:
        self.ladder.clear()
        self.live = False
        self.update_id = 0
