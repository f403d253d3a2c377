"""The control plane of an instance: a socket that people and scripts steer it through.

Served by the supervisor, in its own turns: ``control.sock`` in the run directory, 0600, and the
kernel's word for who calls (our own user or root, nobody else). A request is one JSON line, the
answer another; what takes time (a reload, a restart) is answered when it is over. Orders never
pass here, and halting does not need it: `lowlat ctl halt` writes the halt file itself.
"""

import errno
import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from lowlat.app.audit import Who, append_audit, audit_line
from lowlat.app.checker import Checker
from lowlat.app.child import SpawnError
from lowlat.app.field import SharedField
from lowlat.app.halts import HaltCells, Puller, lift_halts, pull_halt
from lowlat.app.reload import Configs, Outcome, Wanted
from lowlat.app.reload_rules import Change
from lowlat.app.socket_server import Asker, SocketServer
from lowlat.app.supervisor import ChildState, ChildStatus, Supervisor
from lowlat.core.layout import Rule
from lowlat.shm.stats import StatsWriter

__all__ = ["Controller", "Request"]

_LOG: Final = logging.getLogger(__name__)
_RESTART_NS: Final = 60_000_000_000
_RESTART_DRAIN_S: Final = 45.0
_RESUME_NS: Final = 5_000_000_000
_CELLS_NS: Final = 1_000_000_000
"""How often the halt file is looked after."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants. ``op``: see Controller."""

    op: str
    reason: str = ""
    process: str = ""
    key: str = ""
    value: str = ""
    confirm: bool = True
    """False: refuse a change that allows more, and say what it would change."""


class _Pending:
    """An answer that is due later: ``look(now_ns)`` returns it, or None while it is not known."""

    def __init__(self, asker: Asker | None, look: Callable[[int], dict[str, Any] | None]) -> None:
        self.asker = asker
        self.look = look


class Controller:
    """Service of the supervisor. Ops: status, resume, drain, restart, set, reload, halt."""

    def __init__(
        self, supervisor: Supervisor, path: str, roles: Mapping[str, Collection[str]]
    ) -> None:
        """Steer what the supervisor runs; ``path`` is the config, ``roles`` process to roles."""
        self._supervisor = supervisor
        self._path = path
        self._roles = roles
        self.shared = SharedField(supervisor)
        self.configs = Configs(
            supervisor.instance, path, roles, self.shared, Checker(), self._on_config
        )
        self._server: SocketServer | None = None
        self._pending: list[_Pending] = []
        self._cells: HaltCells | None = None
        self._cells_due_ns = 0
        self._signals: list[int] = []
        self.stopping = ""
        """Who wants the whole instance to drain; '' while nobody does."""
        self._ops: dict[str, Callable[[Request, Asker, int], None]] = {
            "status": self._status,
            "halt": self._halt,
            "resume": self._resume,
            "drain": self._drain,
            "restart": self._restart,
            "set": self._set,
            "reload": self._reload,
        }

    # ----------------------------------------------------------------------------- service
    def opened(self, stats: StatsWriter) -> None:
        """Take the supervisor's cells; say again what was said in memory that is gone."""
        self.shared.opened(stats)
        if self._server is None:
            self._server = SocketServer(self._supervisor.instance, self._on_line)
        if self.configs.in_force is not None:
            self.configs.tell_all()

    def begin(self, now_ns: int) -> None:
        """Put the config in force. Between the supervisor's ``open`` and ``start``; ConfigError."""
        self._cells = HaltCells(self._supervisor.instance)
        self.configs.begin(now_ns, adopts=self._supervisor.adopts)

    def descriptors(self) -> list[int]:
        """Return what to wake up for."""
        found = self.configs.descriptors()
        return found if self._server is None else [*found, *self._server.descriptors()]

    def turn(self, now_ns: int) -> None:
        """Answer, go on with what is under way; never blocks."""
        while self._signals:
            self._on_signal(self._signals.pop(0))
        if self._server is not None:
            self._server.turn(now_ns)
        self.configs.turn(now_ns)
        for pending in list(self._pending):
            answer = pending.look(now_ns)
            if answer is not None:
                self._pending.remove(pending)
                if pending.asker is not None:
                    pending.asker.answer(answer)
        if self._cells is not None and now_ns >= self._cells_due_ns:
            self._cells_due_ns = now_ns + _CELLS_NS
            self._look_after(self._cells)

    def close(self) -> None:
        """Hang up and end what we started."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.configs.close()

    def on_signal(self, number: int) -> None:
        """Note a process signal of the supervisor's own; obeyed in the next turn."""
        self._signals.append(number)

    # ----------------------------------------------------------------------------- requests
    def _on_line(self, line: bytes, asker: Asker, now_ns: int) -> None:
        try:
            request = msgspec.json.decode(line, type=Request)
        except ValueError as error:
            # Of msgspec, and of bytes that are no UTF-8.
            asker.answer(_refusal("usage", f"not a request: {error}"))
            return
        op = self._ops.get(request.op)
        if op is None:
            text = f"op was {request.op!r}, expected one of {', '.join(self._ops)}"
            asker.answer(_refusal("usage", text))
            return
        op(request, asker, now_ns)

    def _status(self, request: Request, asker: Asker, now_ns: int) -> None:
        del request, now_ns
        force = self.configs.in_force
        asker.answer(
            {
                "ok": True,
                "instance": self._supervisor.instance,
                "config": self._path,
                "mode": force.config.mode if force else "",
                "generation": force.number if force else 0,
                "change": self.configs.busy,
                "failure": self._supervisor.failure,
                "draining": self.stopping,
                "halts": self._halts(),
                "processes": [self._process(each) for each in self._supervisor.status()],
            }
        )

    def _process(self, status: ChildStatus) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": status.name,
            "state": status.state.name.lower(),
            "pid": status.pid,
            "restarts": status.restarts,
            "heartbeat_age_ns": status.heartbeat_age_ns,
        }
        if status.name in self._roles:
            acks = self.shared.acks(status.name)
            found["generation"] = acks.generation if acks else self.shared.told(status.name)
        return found

    def _halts(self) -> list[str]:
        """Say every reason why new orders are stopped."""
        found = [str(each) for each in self._cells.pulled()] if self._cells else []
        if self._supervisor.halt:
            found.append(f"supervisor: {self._supervisor.halt.name.lower()}")
        by_rule: dict[str, list[str]] = {}
        for process in self._roles:
            code = self.shared.halt_of(process)
            if code:
                name = Rule(code).name.lower() if code in Rule.__members__.values() else str(code)
                by_rule.setdefault(name, []).append(process)
        found += [f"{', '.join(each)}: {rule}" for rule, each in by_rule.items()]
        if self.configs.busy and self.shared.held:
            found.append("hold: between two generations")
        return found

    def _halt(self, request: Request, asker: Asker, now_ns: int) -> None:
        """Pull the operator's cell on behalf of a program that cannot write the file."""
        del now_ns
        pull_halt(self._supervisor.instance, Puller.OPERATOR, request.reason, time.time_ns())
        self._note(asker.who, "halt", "done", detail=request.reason)
        asker.answer({"ok": True, "text": "halted", "halts": self._halts()})

    def _resume(self, request: Request, asker: Asker, now_ns: int) -> None:
        """Lift every halt that a person may lift; answered when every process obeyed."""
        lifted = lift_halts(self._supervisor.instance)
        number = self.shared.bump_resumes()
        text = "; ".join(str(each) for each in lifted) or "no cell of the halt file was set"
        self._note(asker.who, "resume", "done", detail=f"{request.reason} lifted: {text}".strip())
        due_ns = now_ns + _RESUME_NS

        def look(now_ns: int) -> dict[str, Any] | None:
            late = [
                each
                for each in self._roles
                if self.shared.resumed(each) is not None and self.shared.resumed(each) != number
            ]
            if late and now_ns < due_ns:
                return None
            if late:
                return _refusal("failed", f"{', '.join(late)} did not obey; {text} is lifted")
            return {"ok": True, "text": f"lifted: {text}", "halts": self._halts()}

        self._pending.append(_Pending(asker, look))

    def _drain(self, request: Request, asker: Asker, now_ns: int) -> None:
        """Begin an orderly end of the whole instance."""
        del now_ns
        self.stopping = self.stopping or f"uid {asker.who.uid} pid {asker.who.pid}"
        self._note(asker.who, "drain", "done", detail=request.reason)
        asker.answer({"ok": True, "text": "draining"})

    def _restart(self, request: Request, asker: Asker, now_ns: int) -> None:
        """Let one process end in order and start it again; answered when it is ready."""
        name = request.process
        names = [each.name for each in self._supervisor.status()]
        if name not in names:
            text = f"process was {name!r}, expected one of {', '.join(names)}"
            asker.answer(_refusal("usage", text))
            return
        before = self._seat(name).restarts
        try:
            self._supervisor.restart(name, _RESTART_DRAIN_S)
        except SpawnError as error:
            self._note(asker.who, "restart", str(error), detail=name)
            asker.answer(_refusal("failed", str(error)))
            return
        self._note(asker.who, "restart", "done", detail=name)
        due_ns = now_ns + _RESTART_NS

        def look(now_ns: int) -> dict[str, Any] | None:
            seat = self._seat(name)
            if seat.state is ChildState.READY and seat.restarts > before:
                return {"ok": True, "text": f"{name} is ready again, pid {seat.pid}"}
            if seat.state is ChildState.FAILED or now_ns >= due_ns:
                return _refusal("failed", f"{name} is {seat.state.name.lower()}")
            return None

        self._pending.append(_Pending(asker, look))

    def _seat(self, name: str) -> ChildStatus:
        return next(each for each in self._supervisor.status() if each.name == name)

    # ----------------------------------------------------------------------------- config
    def _set(self, request: Request, asker: Asker, now_ns: int) -> None:
        del now_ns
        if not request.key:
            asker.answer(_refusal("usage", "key was empty, expected section.key"))
            return
        reply = _replying(asker)
        key, value, confirm = request.key, request.value, request.confirm
        self.configs.want(Wanted("set", asker.who, reply, key, value, confirmed=confirm))

    def _reload(self, request: Request, asker: Asker, now_ns: int) -> None:
        del now_ns
        reply = _replying(asker)
        self.configs.want(Wanted("reload", asker.who, reply, confirmed=request.confirm))

    def _on_config(self, wanted: Wanted, outcome: Outcome) -> None:
        self._note(
            wanted.who,
            wanted.op,
            "done" if outcome.ok else f"{outcome.code}: {outcome.text}",
            detail=f"{wanted.key}={wanted.value}" if wanted.key else self._path,
            changes=outcome.changes,
            generation=outcome.generation,
        )

    # ----------------------------------------------------------------------------- the rest
    def _on_signal(self, number: int) -> None:
        """SIGHUP reloads, SIGUSR1 has every child dump, SIGUSR2 halts. Source: design 5."""
        who = Who.here()
        if number == signal.SIGHUP:
            self.configs.want(Wanted("reload by SIGHUP", who, lambda _: None))
        elif number == signal.SIGUSR1:
            for process in self._roles:
                child = self._supervisor.child(process)
                # One that does not steer (yet) would die of it.
                if child is not None and self.shared.acks(process) is not None:
                    child.send(signal.SIGUSR1)
        elif number == signal.SIGUSR2:
            pull_halt(self._supervisor.instance, Puller.SIGNAL, "SIGUSR2", time.time_ns())
            self._note(who, "halt", "done", detail="SIGUSR2")

    def _look_after(self, cells: HaltCells) -> None:
        """End the run in order when the halt file is not the one that processes have mapped."""
        if cells.replaced and not self._supervisor.failure:
            self._supervisor.failure = (
                f"halt file {cells.path} was replaced under running processes: pulling it would "
                "not reach them"
            )

    def _note(
        self,
        who: Who,
        op: str,
        result: str,
        *,
        detail: str = "",
        changes: list[Change] | None = None,
        generation: int = 0,
    ) -> None:
        line = audit_line(
            who,
            op,
            result,
            time.time_ns(),
            detail=detail,
            changes=changes,
            generation=generation,
        )
        _LOG.info("%s uid=%d pid=%d result=%r detail=%r", op, who.uid, who.pid, result, detail)
        try:
            append_audit(self._supervisor.instance, line)
        except OSError as error:
            # A full disk must not keep a person from halting; the log has the line too.
            _LOG.error("audit line not written error=%s", os.strerror(error.errno or errno.EIO))


def _refusal(code: str, text: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "text": text}


def _replying(asker: Asker) -> Callable[[Outcome], None]:
    """Turn an outcome into the answer to whoever asked."""

    def reply(outcome: Outcome) -> None:
        asker.answer(
            {
                "ok": outcome.ok,
                "code": outcome.code,
                "text": outcome.text,
                "generation": outcome.generation,
                "course": outcome.course.value,
                "changes": [[each.key, each.old, each.new] for each in outcome.changes],
            }
        )

    return reply
