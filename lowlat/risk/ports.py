"""Everything the risk engine touches: streams, tables, clock, halts and meters, as ports."""

from collections.abc import Callable

import msgspec

from lowlat.core.layout import STREAMS
from lowlat.core.ports import (
    Cell,
    Clock,
    Recorder,
    StreamReader,
    StreamWriter,
    TableReader,
    TableWriter,
)

__all__ = ["RiskPorts"]


class RiskPorts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine touches."""

    signals: StreamReader
    reports: StreamReader
    metadata: StreamReader
    books: TableReader
    shards: TableReader
    markets: TableReader
    positions: TableReader
    cash: TableReader
    orders: TableReader
    groups: TableReader
    intents: StreamWriter
    decisions: StreamWriter
    exposure: TableWriter
    scores: TableWriter
    stakes: TableWriter
    clock: Clock
    halted: Callable[[], int]
    """Code of a halt cell that is set, 0 while none is."""
    pull_halt: Callable[[int, bytes], None]
    """Set risk's own halt cell: (code, reason)."""
    cell: Callable[[str], Cell]
    recorder: Callable[[str], Recorder]
    decided: StreamReader | None = None
    """The end of our own decisions, as an earlier life left them; read once, at the start."""
    intended: StreamReader | None = None
    """The end of our own intents, likewise."""
    decisions_reserve: int = STREAMS["decisions"].slots // 2
