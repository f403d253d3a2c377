"""Counters and fault samples of a feed. A metric is one line here and one where it is counted."""

from typing import Final

from lowlat.core.ports import Cell
from lowlat.feeds.ports import Counters, Note

__all__ = ["BinanceCells", "FaultNotes", "MetadataCells", "PolymarketCells", "PricesCells"]

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
        self.bursts: Cell = counters("polymarket.bursts")
        self.resyncs: Cell = counters("polymarket.resyncs")
        self.resyncs_failed: Cell = counters("polymarket.resyncs_failed")
        self.crossed: Cell = counters("polymarket.crossed")
        """Raw YES + NO below 1 in one market: a data question first. Source: design 7."""
        self.confirmed: Cell = counters("polymarket.crossed_confirmed")
        """Of these, a REST re-read showed the same."""
        self.ticks: Cell = counters("polymarket.tick_changes")
        self.trades: Cell = counters("polymarket.trades")
        self.resolved: Cell = counters("polymarket.resolved")
        self.listings: Cell = counters("polymarket.listings")
        self.reconnects: Cell = counters("polymarket.reconnects")
        self.frozen: Cell = counters("polymarket.frozen")
        self.probes: Cell = counters("polymarket.probes")
        self.swept: Cell = counters("polymarket.swept")
        """Books of markets without a socket, read by REST."""
        self.swept_failed: Cell = counters("polymarket.swept_failed")
        self.swept_late: Cell = counters("polymarket.swept_late")
        """Of these, books that became stale before their next turn came."""
        self.unplaced: Cell = counters("polymarket.unplaced")
        """Markets for which no shard has room."""
        self.markets: Cell = counters("polymarket.markets")


class BinanceCells:
    """Every counter of the Binance feed."""

    def __init__(self, counters: Counters) -> None:
        self.frames: Cell = counters("binance.frames")
        self.malformed: Cell = counters("binance.malformed")
        self.ignored: Cell = counters("binance.ignored")
        self.copies: Cell = counters("binance.copies")
        self.reconnects: Cell = counters("binance.reconnects")
        self.frozen: Cell = counters("binance.frozen")
        self.shutdowns: Cell = counters("binance.shutdowns")
        self.trade_gaps: Cell = counters("binance.trade_gaps")
        self.depth_gaps: Cell = counters("binance.depth_gaps")
        self.depth_mismatches: Cell = counters("binance.depth_mismatches")
        self.snapshots_failed: Cell = counters("binance.snapshots_failed")


class PricesCells:
    """Every counter of the settlement price feed."""

    def __init__(self, counters: Counters) -> None:
        self.frames: Cell = counters("prices.frames")
        self.points: Cell = counters("prices.points")
        self.malformed: Cell = counters("prices.malformed")
        self.ignored: Cell = counters("prices.ignored")
        self.copies: Cell = counters("prices.copies")
        self.carried: Cell = counters("prices.carried_forward")
        self.conflicts: Cell = counters("prices.conflicts")
        """Two different values for one stamp: nothing may settle on either."""
        self.gaps: Cell = counters("prices.gaps")
        self.refused: Cell = counters("prices.refused")
        self.reconnects: Cell = counters("prices.reconnects")
        self.frozen: Cell = counters("prices.frozen")
        self.seconds_failed: Cell = counters("prices.seconds_failed")


class MetadataCells:
    """Every counter of the metadata engine, and what it shows of the moment (gauges)."""

    def __init__(self, counters: Counters, gauges: Counters) -> None:
        self.pages: Cell = counters("metadata.pages")
        self.sweeps: Cell = counters("metadata.sweeps")
        self.sweep_age_ns: Cell = gauges("metadata.sweep_age_ns")
        """Since the last whole sweep began: nothing that is known of a listing is older."""
        self.sweep_ns: Cell = gauges("metadata.sweep_ns")
        """How long the last whole sweep took."""
        self.listed: Cell = gauges("metadata.in_the_running")
        """Single markets and exclusive events that the filters let in."""
        self.places: Cell = gauges("metadata.places_taken")
        self.evicted: Cell = counters("metadata.evicted")
        self.failed: Cell = counters("metadata.requests_failed")
        self.malformed: Cell = counters("metadata.malformed")
        self.rejected: Cell = counters("metadata.rows_rejected")
        self.conflicts: Cell = counters("metadata.conflicts")
        self.not_yet: Cell = counters("metadata.not_yet_on_clob")
        self.markets: Cell = gauges("metadata.markets")
        self.tradeable: Cell = gauges("metadata.tradeable")
        self.full: Cell = counters("metadata.no_row_free")
        self.resolved: Cell = counters("metadata.resolved")
        self.start_prices: Cell = counters("metadata.start_prices")
        self.overruns: Cell = counters("metadata.overruns")


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
