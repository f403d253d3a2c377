"""How a process obeys: config generations, halts and resumes that others write, at turn boundaries.

One engine a process, looking every _LOOK_NS; words are read-only cells of the supervisor's
statistics and of the halt file, so nobody has to answer for a halt to work: the gate before each
write reads the same words itself. Here the process only draws the consequences (says HALT, takes
no intents) and acknowledges generations in gauges of its own.
"""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from lowlat.app.generations import Generation, read_generation
from lowlat.app.halts import HaltCells
from lowlat.app.names import GENERATION, HALT_GAUGE, HOLD_GAUGE, RESUMES, SUPERVISOR
from lowlat.app.names import generation_word as word_of
from lowlat.core.errors import ConfigError
from lowlat.net._gate import SendGate
from lowlat.shm import _core
from lowlat.shm.attachment import Attachment
from lowlat.shm.header import HEARTBEAT_AT
from lowlat.shm.stats import StatsWriter

__all__ = ["REFUSED", "RESUMED", "Control", "Steering", "order_gate"]

_LOG: Final = logging.getLogger(__name__)
_LOOK_NS: Final = 1_000_000
_SUPERVISOR_LATE_NS: Final = 2_000_000_000
"""A supervisor that did not beat for so long cannot halt us: new orders stop by themselves."""
REFUSED: Final = "generation_refused"
"""Gauge: the last generation that this process could not take."""
RESUMED: Final = "resumed"
"""Gauge: the last resume that this process obeyed."""


class Control(Protocol):
    """What a process can be made to do. Called between two turns."""

    def apply(self, generation: Generation) -> None:
        """Run on another config from here on, or raise ConfigError and change nothing."""
        ...

    def halt(self, reason: str = "SIGUSR2") -> None:
        """Stop new orders until somebody resumes."""
        ...

    def resume(self) -> None:
        """Lift halts: a person asked."""
        ...

    def drain(self) -> None:
        """Begin an orderly end."""
        ...

    def dump(self) -> None:
        """Write histograms to the log."""
        ...


def order_gate(
    attachment: Attachment,
    own: Sequence[tuple[memoryview | object, int]],
    heartbeats: Sequence[tuple[object, int, int]] = (),
) -> SendGate:
    """Return the gate that every new order passes in the same call as its write.

    ``own``: words of the trading processes, ``heartbeats`` those of other processes with their
    limits. Added are the supervisor's cells and heartbeat and every cell of the halt file.
    """
    beat = (attachment.segment(f"stats.{SUPERVISOR}").view, HEARTBEAT_AT)
    return SendGate(
        [*own, *_outer_words(attachment)],
        [(*beat, _SUPERVISOR_LATE_NS), *heartbeats],
    )


def _outer_words(attachment: Attachment) -> list[tuple[object, int]]:
    supervisor = attachment.open_stats_reader(SUPERVISOR)
    cells = HaltCells(attachment.instance)
    return [*cells.words, supervisor.word(HALT_GAUGE), supervisor.word(HOLD_GAUGE)]


class Steering:
    """Engine that looks at the words and calls Control."""

    name: Final = "steering"

    def __init__(
        self, attachment: Attachment, stats: StatsWriter, control: Control, generation: int
    ) -> None:
        """Find every word; ``generation`` is what the process was started on."""
        self._instance = attachment.instance
        self._control = control
        supervisor = attachment.open_stats_reader(SUPERVISOR)
        self._wanted = _reading(supervisor.word(word_of(attachment.process)))
        self._resumes = _reading(supervisor.word(RESUMES))
        self._cells = HaltCells(attachment.instance)
        # Compiled: one call looks at all of them.
        self._pulled = SendGate(self._cells.lasting, []).blocked
        self._errors = stats.errors
        self._own = stats.gauge(GENERATION)
        self._refused = stats.gauge(REFUSED)
        self._resumed = stats.gauge(RESUMED)
        self._own.set(generation)
        self._tried = generation
        # What the last life obeyed: a person may have resumed while nobody was here. Numbers begin
        # at 1, so that 0 is a life that never said anything: the halts it left are not lifted.
        self._obeyed = self._resumed.value or self._resumes.value
        self._resumed.set(self._obeyed)
        self._halted = False
        self._due_ns = 0

    def start(self) -> None:
        """Look at once in the first turn."""

    def turn(self, now_ns: int) -> int:
        """Obey what changed since the last look."""
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + _LOOK_NS
        wanted = self._wanted.value
        if wanted != self._tried:
            self._take(wanted, now_ns)
        resumes = self._resumes.value
        if resumes != self._obeyed:
            self._resume(resumes)
        if not self._halted and self._pulled(now_ns):
            self._halt()
        return 0

    def close(self) -> None:
        """Nothing is held."""

    def _take(self, number: int, now_ns: int) -> None:
        """Take a generation whole, or say that we stay on the old one."""
        self._tried = number
        if number == self._own.value or not number:
            return
        try:
            self._control.apply(read_generation(self._instance, number))
        except ConfigError as error:
            self._errors.record(f"generation refused: {error}", now_ns)
            self._refused.set(number)
            _LOG.error("generation refused number=%d error=%s", number, error)
            return
        self._own.set(number)
        _LOG.info("generation number=%d", number)

    def _halt(self) -> None:
        self._halted = True
        pulled = self._cells.pulled()
        reason = "; ".join(str(halt) for halt in pulled) or "halt cell"
        _LOG.warning("halt reason=%r", reason)
        self._control.halt(reason)

    def _resume(self, resumes: int) -> None:
        """Lift halts, unless somebody pulled again before we looked."""
        self._obeyed = resumes
        self._halted = False
        if not self._pulled(0):
            _LOG.warning("resume")
            self._control.resume()
        self._resumed.set(resumes)


def _reading(word: tuple[object, int]) -> _core.Cell:
    return _core.Cell(word[0], word[1], writable=False)  # type: ignore[arg-type]
