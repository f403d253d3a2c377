"""Counters and fault samples of a feed. A metric is one line here and one where it is counted."""

from typing import Final

from lowlat.core.ports import Cell
from lowlat.feeds.ports import Counters, Note

__all__ = ["FaultNotes", "PolymarketCells"]

SAMPLE_EVERY_NS: Final = 1_000_000_000


class PolymarketCells:
    """Every counter of the Polymarket feed, asked for once by name."""

    def __init__(self, counters: Counters) -> None:
        self.frames: Cell = counters("polymarket.frames")
        self.published: Cell = counters("polymarket.published")
        self.copies: Cell = counters("polymarket.copies")
        self.malformed: Cell = counters("polymarket.malformed")
        self.ignored: Cell = counters("polymarket.ignored")
        self.unknown_tokens: Cell = counters("polymarket.unknown_tokens")
        self.outdated: Cell = counters("polymarket.outdated")
        """Older than the last whole book, so contained in it."""
        self.early: Cell = counters("polymarket.early")
        """Changes before the first book of a connection generation."""
        self.diverged: Cell = counters("polymarket.diverged")
        self.resyncs: Cell = counters("polymarket.resyncs")
        self.resyncs_failed: Cell = counters("polymarket.resyncs_failed")
        self.crossed: Cell = counters("polymarket.crossed")
        """Raw YES + NO below 1 in one market: a data question first. Source: design 7."""
        self.ticks: Cell = counters("polymarket.tick_changes")
        self.trades: Cell = counters("polymarket.trades")
        self.resolved: Cell = counters("polymarket.resolved")
        self.listings: Cell = counters("polymarket.listings")
        self.reconnects: Cell = counters("polymarket.reconnects")
        self.frozen: Cell = counters("polymarket.frozen")
        self.probes: Cell = counters("polymarket.probes")
        self.unplaced: Cell = counters("polymarket.unplaced")
        """Markets for which no shard has room."""
        self.markets: Cell = counters("polymarket.markets")


class FaultNotes:
    """Pass on the first fault of each kind and then at most one a second of it."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._due_ns: dict[str, int] = {}

    def add(self, kind: str, sample: object, now_ns: int) -> None:
        """Sample a fault; the text is made only when it is passed on."""
        if now_ns >= self._due_ns.get(kind, 0):
            self._due_ns[kind] = now_ns + SAMPLE_EVERY_NS
            self._note(kind, str(sample))
