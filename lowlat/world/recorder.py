"""The recorder's process in the world: it writes reports and decisions down, and dies too.

Its gates stay where they were when it dies; the next life goes on behind them. What the engines
publish meanwhile waits in the streams, and when those are half full no new order may start.
"""

import os
from collections.abc import Callable
from random import Random
from typing import Final

from lowlat.core.clock import VirtualClock
from lowlat.core.errors import LedgerError
from lowlat.store.journal import JournalEngine, JournalMeters
from lowlat.store.journal_params import JournalParams
from lowlat.store.ledger.database import open_database
from lowlat.store.risk_rows import RiskTables
from lowlat.world.agenda import Agenda
from lowlat.world.disk import Shelf, WorldDisk
from lowlat.world.faults import Windows
from lowlat.world.fuse import Crash, Fuse, FusedMeters
from lowlat.world.memory import Memory

__all__ = ["Recorder"]

MS: Final = 1_000_000
_TURN_NS: Final = 5 * MS
_IDLE_TURN_NS: Final = 100 * MS
_CUTS: Final = 3
"""A start that finds the disk full is tried again after up to so many hundreds of ms."""


class Recorder:
    """Lives of the recorder over one boot's memory after the other."""

    def __init__(
        self,
        clock: VirtualClock,
        agenda: Agenda,
        windows: Windows,
        rng: Random,
        folder: str,
        params: JournalParams,
        tell: Callable[[str], None],
        *,
        ledger: bool,
    ) -> None:
        """``folder`` holds the journal and, with ``ledger``, a real database beside it."""
        self._clock = clock
        self._agenda = agenda
        self._windows = windows
        self._rng = rng
        self.directory = os.path.join(folder, "journal")
        self._params = params
        self._tell = tell
        # Its own: what kills the engine leaves the recorder alone, and the other way round.
        self.fuse = Fuse()
        self._meters = FusedMeters(Fuse())
        self._disk = WorldDisk(self.fuse, windows, clock.monotonic_ns, rng)
        database = (
            open_database(f"sqlite:///{os.path.join(folder, 'ledger.db')}") if ledger else None
        )
        self.shelf = Shelf(self.fuse, windows, clock.monotonic_ns, database)
        self._memory: Memory | None = None
        self._journal: JournalEngine | None = None
        self._boots = 0
        self._life = 0
        self.crashes = 0

    @property
    def name(self) -> str:
        """What this boot's memory is called in journal and ledger."""
        return f"boot-{self._boots}"

    @property
    def up(self) -> bool:
        """Whether the process lives."""
        return self._journal is not None

    def boot(self, memory: Memory) -> None:
        """Start over the memory of a new boot."""
        self._boots += 1
        self._memory = memory
        self._start()

    def light(self, effects: int) -> None:
        """Die after so many more effects, if it is up; 0: never."""
        if not effects or self.up:
            self.fuse.light(effects)

    def die(self) -> None:
        """Lose power: nothing more is written, nothing starts again by itself."""
        self._drop()
        self._memory = None

    def close(self) -> None:
        """End it, and its database."""
        self.die()
        self.shelf.close()

    # ------------------------------------------------------------------ life
    def _start(self) -> None:
        self._life += 1
        life = self._life
        try:
            self._open()
        except Crash:
            self._crashed()
            return
        except (OSError, LedgerError) as error:
            # As its supervisor does with one that cannot start.
            self._drop()
            self._tell(f"recorder did not start: {error}")
            self._later(self._rng.randint(1, _CUTS) * 100 * MS, self._start)
            return
        self._later(_TURN_NS, lambda: self._turn(life))

    def _open(self) -> None:
        memory = self._memory
        assert memory is not None, "a recorder without power starts"
        self.shelf.open()
        self._journal = JournalEngine(
            self.directory,
            memory.open_stream_reader("reports", gate="ledger"),
            memory.open_stream_reader("decisions", gate="ledger"),
            (
                memory.open_table_reader("orders"),
                memory.open_table_reader("positions"),
                memory.open_table_reader("cash"),
            ),
            self._clock,
            JournalMeters(*(self._meters.cell(n) for n in JournalMeters.__struct_fields__)),
            self._params,
            self.shelf,
            self.name,
            self._disk,
            RiskTables(*(memory.open_table_reader(name) for name in RiskTables._fields)),
        )
        self._journal.start()

    def _turn(self, life: int) -> None:
        if life != self._life or self._journal is None:
            return
        now_ns = self._clock.monotonic_ns()
        wait_ns = _TURN_NS
        if not self._windows.hit("recorder_slow", now_ns):
            try:
                wait_ns = _TURN_NS if self._journal.turn(now_ns) else _IDLE_TURN_NS
            except Crash:
                self._crashed()
                return
        self._later(wait_ns, lambda: self._turn(life))

    def _crashed(self) -> None:
        self.crashes += 1
        self._windows.count("recorder_crash")
        self._drop()
        wait_ns = self._rng.randint(20, 1_500) * MS
        self._tell(f"recorder died, back in {wait_ns / 1e9:.2f} s")
        self._later(wait_ns, self._start)

    def _drop(self) -> None:
        self.fuse.light(0)
        self._life += 1
        if self._journal is not None:
            self._journal.drop()
            self._journal = None

    def _later(self, wait_ns: int, act: Callable[[], None]) -> None:
        memory = self._memory

        def due() -> None:
            if self._memory is memory and memory is not None:
                act()

        self._agenda.at(self._clock.monotonic_ns() + wait_ns, due)
