"""The loop of processes without sockets: turns, and between them spinning, yielding or parking.

``runtime`` is the same for processes that also wait for sockets.
"""

import gc
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from lowlat.core.clock import monotonic_ns
from lowlat.core.ports import Cell, Engine, Recorder
from lowlat.shm.waiting import Wait

__all__ = ["BUSY", "PARKED", "LoopCells", "PlainLoop", "Tick", "Yielder"]

BUSY: Final = "busy"
PARKED: Final = "parked"
"""How a loop waits (see nameplate)."""
_MS_S: Final = 1e-3


class LoopCells:
    """What a loop says about itself, in shared memory."""

    def __init__(self, heartbeat: Cell, turns: Cell, turn_ns: Recorder, gc_ns: Recorder) -> None:
        self.heartbeat = heartbeat
        self.turns = turns
        self.turn_ns = turn_ns
        self.gc_ns = gc_ns

    def collect(self) -> None:
        """Collect garbage now, timed, and freeze what is left: for cold moments only."""
        start_ns = monotonic_ns()
        gc.collect()
        gc.freeze()
        self.gc_ns.record(monotonic_ns() - start_ns)


class Tick:
    """Sleep for a tick: for processes whose inputs nobody rings for."""

    def __init__(self, tick_ms: int) -> None:
        self._tick_s = tick_ms * _MS_S

    def wait(self) -> None:
        """Return after a tick."""
        time.sleep(self._tick_s)


class Yielder:
    """Engine that lets others run between two polls of the sockets."""

    name: Final = "yielder"

    def start(self) -> None:
        """Nothing to prepare."""

    def turn(self, now_ns: int) -> int:
        """Give the core to whoever else is runnable."""
        del now_ns
        os.sched_yield()
        return 0

    def close(self) -> None:
        """Nothing is held."""


class PlainLoop:
    """Run engines in turns until stopped; ``wait`` spends the idle ones."""

    def __init__(self, engines: Sequence[Engine], cells: LoopCells, wait: Wait) -> None:
        self._engines = engines
        self._cells = cells
        self._wait = wait.wait
        self._stopping = False
        self._asked: deque[Callable[[], None]] = deque()

    def on_signal(self, number: int, act: Callable[[], None]) -> None:
        """Call act between two turns when that signal comes."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self._asked.append(act)

        signal.signal(number, note)

    def stop(self) -> None:
        """End run() after the current turn."""
        self._stopping = True

    def run(self) -> None:
        """Start the engines, turn until stopped, close them in reverse order."""
        for engine in self._engines:
            engine.start()
        self._cells.collect()
        gc.disable()
        try:
            self._turns()
        finally:
            gc.enable()
            for engine in reversed(self._engines):
                engine.close()

    def _turns(self) -> None:
        turns = tuple(engine.turn for engine in self._engines)
        heartbeat, count = self._cells.heartbeat.set, self._cells.turns.add
        record, wait, asked = self._cells.turn_ns.record, self._wait, self._asked
        while not self._stopping:
            now_ns = monotonic_ns()
            worked = 0
            for turn in turns:
                worked += turn(now_ns)
            heartbeat(now_ns)
            count(1)
            while asked:
                asked.popleft()()
            if worked:
                record(monotonic_ns() - now_ns)
            else:
                wait()
