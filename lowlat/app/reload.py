"""Which config is in force, and how another one comes into force. Run by the supervisor.

A change is checked whole (keys, values, what spans keys, every signal module), compared with what
is in force, refused by name where a key needs a restart, written as an immutable generation,
rolled out, acknowledged by every process, and noted in the audit trail; at any error the old one
stays. One change at a time, the rest wait in line.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from lowlat.app.audit import Who
from lowlat.app.checker import Checker
from lowlat.app.config import EngineConfig, load_config
from lowlat.app.field import SharedField
from lowlat.app.generations import (
    Generation,
    newest_number,
    read_generation,
    write_generation,
)
from lowlat.app.reload_rules import Change, Course, course_of, differences, needs_restart
from lowlat.app.rollout import Phase, Rollout, waves_of
from lowlat.core.config import build_config, change_value
from lowlat.core.errors import ConfigError

__all__ = ["Configs", "Outcome", "Wanted"]

_LOG: Final = logging.getLogger(__name__)
_WAITING_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody wants another config. Exactly one of the three is set."""

    op: str
    who: Who
    reply: Callable[["Outcome"], None]
    key: str = ""
    value: str = ""
    """With ``key``: a TOML value or a bare word. Without: the file is read again."""
    confirmed: bool = True
    """False: whoever asks wants to be asked before anything is allowed that was not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended."""

    code: str
    """``done``, ``config`` (invalid), ``refused`` (a key needs a restart), ``failed``."""
    text: str
    generation: int
    changes: list[Change] = field(default_factory=list)
    course: Course = Course.NEUTRAL

    @property
    def ok(self) -> bool:
        """Whether the wanted config is in force."""
        return self.code == "done"


@dataclass(slots=True)
class _Job:
    wanted: Wanted
    raw: dict[str, Any]
    config: EngineConfig
    changes: list[Change]
    course: Course
    rollout: Rollout | None = None


class Configs:
    """The generation in force and the line of changes."""

    def __init__(
        self,
        instance: str,
        path: str,
        roles: Mapping[str, Collection[str]],
        shared: SharedField,
        checker: Checker,
        audit: Callable[[Wanted, Outcome], None],
    ) -> None:
        """``roles``: process to its roles, of every process that takes generations."""
        self._instance = instance
        self._path = path
        self._roles = roles
        self._shared = shared
        self._checker = checker
        self._audit = audit
        self._line: deque[Wanted] = deque()
        self._job: _Job | None = None
        self._mending: Rollout | None = None
        """A rollout that our predecessor left half done."""
        self.in_force: Generation | None = None

    # ----------------------------------------------------------------------------- start
    def begin(self, now_ns: int, *, adopts: bool) -> None:
        """Put the file in force; with ``adopts`` go on where living processes are.

        Raises ConfigError.
        """
        told = {self._shared.told(process) for process in self._roles}
        newest = max(told, default=0)
        if adopts and newest:
            self.in_force = read_generation(self._instance, newest)
            if len(told) > 1:
                # Whoever told them died between two waves: finish what was asked for.
                waves = [list(self._roles)]
                self._mending = Rollout(
                    self._shared, waves, min(told), newest, holds=True, now_ns=now_ns
                )
            else:
                self._shared.hold(False)
            return
        config = load_config(self._path)
        if config.instance != self._instance:
            raise ConfigError(
                f"{self._path}: instance was {config.instance!r}, expected {self._instance!r}: "
                "a running instance keeps its name"
            )
        self.in_force = self._same_as_newest(config) or self._write(config)
        self.tell_all()

    def tell_all(self) -> None:
        """Set every word: the memory they were in is new."""
        assert self.in_force is not None, "begin was not called"
        for process in self._roles:
            self._shared.tell(process, self.in_force.number)
        self._shared.hold(False)

    def _same_as_newest(self, config: EngineConfig) -> Generation | None:
        number = newest_number(self._instance)
        if not number:
            return None
        try:
            found = read_generation(self._instance, number)
        except ConfigError as error:
            # Of another version of the program, or damaged: a new number is as good.
            _LOG.warning("newest generation is not readable error=%s", error)
            return None
        return found if found.config == config else None

    def _write(self, config: EngineConfig) -> Generation:
        number = newest_number(self._instance) + 1
        wall_ns = time.time_ns()
        write_generation(self._instance, number, config, wall_ns)
        return Generation(number, wall_ns, config)

    # ----------------------------------------------------------------------------- changes
    @property
    def busy(self) -> str:
        """Return what is under way, '' when nothing is."""
        if self._job is not None:
            rollout = self._job.rollout
            return f"{self._job.wanted.op}: {rollout.phase.value if rollout else 'checking'}"
        return "finishing an earlier change" if self._mending is not None else ""

    def descriptors(self) -> list[int]:
        """Return what to wake up for."""
        return self._checker.descriptors()

    def want(self, wanted: Wanted) -> None:
        """Put a change in line; its ``reply`` is called once, now or later."""
        if self.in_force is None:
            wanted.reply(Outcome("failed", "no config is in force yet", 0))
        elif len(self._line) >= _WAITING_MAX:
            text = f"{_WAITING_MAX} changes wait in line already"
            wanted.reply(Outcome("failed", text, self.in_force.number))
        else:
            self._line.append(wanted)

    def turn(self, now_ns: int) -> None:
        """Go on with what is under way; never blocks."""
        if self._mending is not None:
            self._mending.turn(now_ns)
            if self._mending.over:
                self._mend_ended(self._mending)
                self._mending = None
            return
        if self._job is None and self._line:
            self._start(self._line.popleft(), now_ns)
        verdict = self._checker.poll(now_ns)
        job = self._job
        if job is None:
            return
        if job.rollout is None:
            if verdict is not None:
                self._checked(job, verdict, now_ns)
        else:
            job.rollout.turn(now_ns)
        if job.rollout is not None and job.rollout.over:
            self._job = None
            if job.rollout.phase is Phase.DONE:
                self._done(job)

    def _mend_ended(self, rollout: Rollout) -> None:
        if rollout.phase is Phase.FAILED:
            number = min(self._shared.told(process) for process in self._roles)
            self.in_force = read_generation(self._instance, number)

    def _start(self, wanted: Wanted, now_ns: int) -> None:
        """Build the wanted config, refuse what can be refused at sight, have the rest checked."""
        assert self.in_force is not None
        old = self.in_force
        try:
            config = self._build(wanted, old.config)
        except ConfigError as error:
            self._end(wanted, Outcome("config", str(error), old.number))
            return
        changes = differences(old.config, config)
        course = course_of(changes)
        if not changes:
            text = f"nothing changes, generation {old.number} stays"
            self._end(wanted, Outcome("done", text, old.number))
            return
        fixed = needs_restart(changes)
        if fixed:
            text = f"a restart is needed to change {', '.join(fixed)}; nothing was changed"
            self._end(wanted, Outcome("refused", text, old.number, changes, course))
            return
        if not wanted.confirmed and course in (Course.LOOSENING, Course.MIXED):
            loose = "; ".join(
                str(each) for each in changes if course_of([each]) is Course.LOOSENING
            )
            text = f"this allows more than now ({loose}): repeat it with --confirm"
            self._end(wanted, Outcome("refused", text, old.number, changes, course))
            return
        raw: dict[str, Any] = msgspec.to_builtins(config)
        self._job = _Job(wanted, raw, config, changes, course)
        self._checker.ask(raw, now_ns)

    def _build(self, wanted: Wanted, old: EngineConfig) -> EngineConfig:
        if not wanted.key:
            return load_config(self._path)
        raw = change_value(msgspec.to_builtins(old), wanted.key, wanted.value)
        return build_config(raw, EngineConfig, source=f"{wanted.key} = {wanted.value}")

    def _checked(self, job: _Job, verdict: str, now_ns: int) -> None:
        """Write the generation and tell the first wave, unless something is wrong with it."""
        assert self.in_force is not None
        old = self.in_force.number
        new: Generation | None = None
        if not verdict:
            try:
                new = self._write(job.config)
            except (OSError, ConfigError) as error:
                verdict = f"the generation could not be written: {error}"
        if new is None:
            self._job = None
            self._end(job.wanted, Outcome("config", verdict, old, job.changes, job.course))
            return

        def failed(why: str) -> None:
            text = f"{why}; generation {old} stays"
            self._end(job.wanted, Outcome("failed", text, old, job.changes, job.course))

        job.rollout = Rollout(
            self._shared,
            waves_of(self._roles, job.course),
            old,
            new.number,
            holds=job.course is Course.MIXED,
            now_ns=now_ns,
            on_failed=failed,
        )
        job.rollout.turn(now_ns)

    def _done(self, job: _Job) -> None:
        assert job.rollout is not None
        number = job.rollout.new
        self.in_force = read_generation(self._instance, number)
        text = f"generation {number} is in force"
        self._end(job.wanted, Outcome("done", text, number, job.changes, job.course))

    def _end(self, wanted: Wanted, outcome: Outcome) -> None:
        _LOG.info("config op=%s code=%s text=%r", wanted.op, outcome.code, outcome.text)
        self._audit(wanted, outcome)
        wanted.reply(outcome)

    def close(self) -> None:
        """End the checker."""
        self._checker.close()
