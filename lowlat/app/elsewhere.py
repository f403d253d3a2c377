"""Halt cells and heartbeats of the other engine processes, read from their statistics.

Every engine process keeps its halt cell as the first cell of its statistics segment: the place is
known before that process has ever run, and the word outlives it. A process in which everything
lives has nobody elsewhere.
"""

import mmap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from lowlat.app.names import HALT_GAUGE, SUPERVISOR
from lowlat.app.topology import RECORDER, ProcessConfig
from lowlat.core.errors import LayoutError
from lowlat.core.layout import Rule
from lowlat.net._gate import SendGate
from lowlat.shm import _core
from lowlat.shm.attachment import Attachment
from lowlat.shm.header import HEARTBEAT_AT
from lowlat.shm.layouts import stats_shape
from lowlat.shm.stats import StatsWriter
from lowlat.wiring.ports import Gauge

if TYPE_CHECKING:
    from lowlat.execution.engine import ExecutorEngine
    from lowlat.wiring.capture import CapturedGauge, CapturedHalting

__all__ = ["Elsewhere", "HaltWatch"]

_LATE_NS: Final = 1_000_000_000
"""A feed that did not turn for so long has old books, risk checks nothing: new orders stop by
themselves, long before the supervisor has looked."""
_WATCHED: Final = frozenset({"polymarket", "risk"})

Word = tuple[mmap.mmap, int]


class Elsewhere:
    """The other engine processes of the topology, as words in memory."""

    def __init__(self, attachment: Attachment, topology: Mapping[str, ProcessConfig]) -> None:
        self._attachment = attachment
        others = [name for name in topology if name not in {attachment.process, RECORDER}]
        self.halts: list[Word] = [self._first_cell(name) for name in others]
        """Halt cell of each of them."""
        self.heartbeats: list[tuple[mmap.mmap, int, int]] = [
            (attachment.segment(f"stats.{name}").memory, HEARTBEAT_AT, _LATE_NS)
            for name in others
            if not _WATCHED.isdisjoint(topology[name].engines)
        ]
        """Heartbeats that no order may be without, with their limits."""
        self._cells = [_core.Cell(*word, writable=False) for word in self.halts]
        supervisor = attachment.open_stats_reader(SUPERVISOR).word(HALT_GAUGE)
        # Compiled: one call looks at all of them.
        self.gate: Final = SendGate([*self.halts, supervisor], [])
        """Says which cell is set, the supervisor's among them, 0 while none is. Hot in risk."""

    def own(self, stats: StatsWriter) -> Word:
        """Make our own halt cell, before any other of our cells."""
        memory, offset = stats.word(HALT_GAUGE)
        if offset != self._first_cell(self._attachment.process)[1]:
            raise LayoutError(
                f"stats.{self._attachment.process} has another first cell than {HALT_GAUGE}: it is "
                "of an older build, run lowlat clean"
            )
        return memory, offset

    def pulled(self) -> int:
        """Return the code of another process's cell that is set, 0 while none is."""
        for cell in self._cells:
            if code := cell.value:
                return code
        return 0

    def _first_cell(self, process: str) -> Word:
        segment = self._attachment.segment(f"stats.{process}")
        header = segment.header
        return segment.memory, header.header_bytes + stats_shape(header).cells_at


class HaltWatch:
    """Engine beside the executor: a halt that another process pulls is said and kept.

    And the other way round: when the venue's answer halted the executor (banned, closed only), its
    cell says so to risk, to the gate and to whoever asks.

    The gate before the write has read the same word already; here the executor stops to take
    intents and tells the ledger. Acts on the change, not on the value: who resumes must not be
    halted again by a cell that its owner is about to clear.
    """

    name: Final = "halt_watch"

    def __init__(
        self,
        elsewhere: Elsewhere,
        executor: "ExecutorEngine | CapturedHalting",
        own: "Gauge | CapturedGauge",
        draining: Gauge,
    ) -> None:
        self._pulled = elsewhere.pulled
        self._executor = executor
        self._own = own
        self._draining = draining
        self._seen = 0

    def start(self) -> None:
        """Look at once in the first turn."""

    def turn(self, now_ns: int) -> int:
        """Halt when a cell was set since the last look; set ours when the executor is halted."""
        if self._executor.halted and not (self._own.value or self._draining.value):
            self._own.set(int(Rule.HALTED))
        code = self._pulled()
        if code == self._seen:
            return 0
        self._seen = code
        if code:
            self._executor.halt(_reason(code), now_ns)
        return 1

    def close(self) -> None:
        """Nothing is held."""


def _reason(code: int) -> str:
    known = code in Rule.__members__.values()
    return Rule(code).name.lower() if known else f"halt code {code}"
