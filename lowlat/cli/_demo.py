"""The demo's run: a simulated venue, a recorder and the engine under a supervisor, then a verdict.

Everything a real run has, and a venue that can be asked afterwards. The verdict is read by this
process: the engine's side from its tables, the venue's side over its API.
"""

import json
import random
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from lowlat.app import log
from lowlat.app.agreement import Agreement, VenueDoor, compare
from lowlat.app.child import ChildSpec, module_argv
from lowlat.app.children import children_of, roles_of, stop_order
from lowlat.app.control import Controller
from lowlat.app.state import state_dir
from lowlat.app.supervisor import ChildState, Supervisor
from lowlat.app.topology import FUSED, RECORDER, ProcessConfig
from lowlat.cli._demo_files import Account, clear_state, open_account, write_config
from lowlat.cli._observer import Observer
from lowlat.cli._report import Outcome, as_json, as_text
from lowlat.cli._screen import PlainLines, Screen, View
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LowlatError, RemoteProtocolError

__all__ = ["DemoOptions", "run_demo"]

_NS: Final = 1_000_000_000
_TURN_S: Final = 0.05
_DRAIN_S: Final = 45.0
_AGREE_S: Final = 15.0
"""How long both sides may still differ after the engine is at rest."""
_BADGE: Final = "SIMULATED"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line chose."""

    seconds: float
    as_json: bool
    seed: int
    keep: bool
    instance: str
    topology: Mapping[str, ProcessConfig] = field(default_factory=lambda: dict(FUSED))
    chaos_kill_s: float = 0.0
    """Mean time between SIGKILLs of an engine process, each in turn; 0 = never."""
    all_modules: bool = False
    """Every module at work, in a market with an edge for each."""
    chaos_reboot: bool = False
    """Kill everything but the venue and delete all shared memory instead."""


def run_demo(options: DemoOptions) -> int:
    """Run it and print the report; 0 when both sides agree and nothing is left open."""
    kept_log = state_dir(options.instance) / "supervisor.log"
    log.configure("supervisor", level="WARNING", file=kept_log)
    console = Console(stderr=options.as_json, width=None if sys.stdout.isatty() else 200)
    live = console.is_terminal and not options.as_json
    view: View = Screen(console, "lowlat demo", _BADGE) if live else PlainLines(console)
    # Left behind on purpose with --keep: it holds the config and the key of the throwaway account.
    folder = tempfile.TemporaryDirectory(prefix="lowlat-demo-", ignore_cleanup_errors=True)
    if options.keep:
        folder._finalizer.detach()  # type: ignore[attr-defined]  # noqa: SLF001 - 3.11 has no delete=
    try:
        outcome = _Demo(options, Path(folder.name), view).run()
    finally:
        if not options.keep:
            folder.cleanup()
    if options.as_json:
        print(json.dumps(as_json(outcome)))
    else:
        print(as_text(outcome, options.instance, kept=folder.name if options.keep else ""))
    return 0 if outcome.ok else 1


class _Demo:
    """One run."""

    def __init__(self, options: DemoOptions, folder: Path, view: View) -> None:
        self._options = options
        self._folder = folder
        self._config = folder / "engine.toml"
        self._view = view
        self._supervisor = Supervisor(options.instance, self._specs(), seed=options.seed)
        self._control = Controller(self._supervisor, str(self._config), roles_of(options.topology))
        self._supervisor.services.append(self._control)
        self._random = random.Random(options.seed)  # noqa: S311 - when to kill
        self._door: VenueDoor | None = None
        self._account: Account | None = None
        self._start_cash_e6 = 0
        self._asked_to_stop = False
        self._killed = ""
        """Who was killed last; its READY is awaited while _killed_ns is not 0."""
        self._killed_ns = 0
        self._kills = 0
        self._engines = [name for name in options.topology if name != RECORDER]
        self._recovery_ns: list[int] = []
        self._shown_ns = 0

    def _specs(self) -> list[ChildSpec]:
        seed = str(self._options.seed)
        arguments = ["--seed", seed]
        if self._options.all_modules:
            arguments = ["--scenario", "all", *arguments]
        sim = ChildSpec("sim", module_argv("lowlat.sim", *arguments), restart=False, segments=False)
        return [sim, *children_of(str(self._config), self._options.topology, after=["sim"])]

    def run(self) -> Outcome:
        """Run from the first process to the verdict; nothing of it is left afterwards."""
        supervisor = self._supervisor
        before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        } | {
            number: signal.signal(number, lambda code, _: self._control.on_signal(code))
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
        }
        try:
            with self._view as view, supervisor, closing(self._control):
                supervisor.open()
                state = clear_state(self._options.instance)
                self._state = state
                observer = Observer(supervisor.instance, supervisor)
                supervisor.on_turn = observer.on_turn
                supervisor.start(view.say, self._on_ready)
                seconds = self._trade(observer)
                outcome = self._finish(observer, seconds)
                left = supervisor.close(keep=self._options.keep)
                outcome.problems += [f"{name} was left: {why}" for name, why in left.left.items()]
                return outcome
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        del number, frame
        self._asked_to_stop = True

    def _on_ready(self, name: str, ready: dict[str, Any]) -> None:
        if name == "sim":
            urls: dict[str, str] = ready["urls"]
            self._door = VenueDoor(urls["control"])
            self._account = open_account(self._door, self._folder)
            self._start_cash_e6 = self._door.account(self._account.wallet).cash_e6
            write_config(
                self._config,
                self._options.instance,
                urls,
                self._account,
                self._options.topology,
                all_modules=self._options.all_modules,
            )
            self._control.begin(monotonic_ns())
        elif name == self._killed and self._killed_ns:
            self._recovery_ns.append(monotonic_ns() - self._killed_ns)
            self._killed_ns = 0

    # ----------------------------------------------------------------------------- trading
    def _trade(self, observer: Observer) -> float:
        """Let it trade for its time; return the seconds it really had."""
        supervisor, seconds = self._supervisor, self._options.seconds
        start_ns = monotonic_ns()
        kill_ns = self._next_kill_ns(start_ns)
        while not (self._asked_to_stop or supervisor.failure or self._control.stopping):
            now_ns = monotonic_ns()
            elapsed_s = (now_ns - start_ns) / _NS
            if elapsed_s >= seconds:
                break
            if now_ns >= kill_ns and not self._killed_ns:
                self._strike(observer)
                kill_ns = self._next_kill_ns(monotonic_ns())
            supervisor.turn(_TURN_S)
            self._show(observer, f"{elapsed_s:.0f} s of {seconds:.0f} s")
        return (monotonic_ns() - start_ns) / _NS

    def _next_kill_ns(self, now_ns: int) -> int:
        if not self._options.chaos_kill_s:
            return 1 << 62
        return now_ns + int(self._random.expovariate(1 / self._options.chaos_kill_s) * _NS)

    def _strike(self, observer: Observer) -> None:
        self._killed = self._engines[self._kills % len(self._engines)]
        self._kills += 1
        self._killed_ns = monotonic_ns()
        if self._options.chaos_reboot:
            self._view.say("chaos: every process but the venue killed, all shared memory deleted")
            self._supervisor.reboot(observer.forget_memory)
        else:
            self._view.say(f"chaos: {self._killed} killed")
            # Our own doing is no crash loop.
            self._supervisor.forgive(self._killed)
            self._supervisor.kill([self._killed])

    def _show(self, observer: Observer, phase: str) -> None:
        now_ns = monotonic_ns()
        if now_ns - self._shown_ns >= self._view.every_s * _NS:
            self._shown_ns = now_ns
            self._view.show(observer.picture(), phase)

    # ----------------------------------------------------------------------------- the end
    def _finish(self, observer: Observer, seconds: float) -> Outcome:
        supervisor = self._supervisor
        problems = [supervisor.failure] if supervisor.failure else []
        self._await_ready(observer)
        processes = observer.picture().processes
        ahead, executor, rest = stop_order(self._options.topology)
        self._stop(ahead, problems)
        drained = supervisor.stop(
            [executor], _DRAIN_S, lambda _: self._show(observer, "finishing open trades")
        )
        [code] = [each.exit_code for each in supervisor.status() if each.name == executor]
        if not drained:
            problems.append(f"{executor} did not come to rest within {_DRAIN_S:.0f} s, was killed")
        elif code != 0:
            problems.append(f"{executor} ended with exit code {code}")
        agreement = self._agree(observer, problems)
        status = supervisor.status()
        self._stop(rest, problems)
        observer.on_turn()
        picture = observer.picture()
        picture.children = status
        return Outcome(
            seconds,
            picture,
            self._start_cash_e6,
            agreement,
            self._audit(problems),
            drained and code == 0,
            self._kills,
            self._recovery_ns,
            problems,
            processes,
        )

    def _stop(self, names: list[str], problems: list[str]) -> None:
        """End who only served the executor, one behind the other."""
        late = [name for name in names if not self._supervisor.stop([name], _AGREE_S)]
        problems += [f"{name} did not end within {_AGREE_S:.0f} s, was killed" for name in late]

    def _await_ready(self, observer: Observer) -> None:
        """Let who was just killed come back: the executor has to finish what it began."""
        supervisor = self._supervisor
        while not supervisor.failure:
            states = {each.name: each.state for each in supervisor.status()}
            if all(states[name] is ChildState.READY for name in self._engines):
                return
            supervisor.turn(_TURN_S)
            self._show(observer, "waiting for everybody to come back")

    def _agree(self, observer: Observer, problems: list[str]) -> Agreement | None:
        """Compare both sides; a difference may last _AGREE_S, then it is one."""
        assert self._door is not None
        assert self._account is not None
        end_ns = monotonic_ns() + int(_AGREE_S * _NS)
        while True:
            try:
                found = compare(self._options.instance, self._door, self._account.wallet)
            except (OSError, RemoteProtocolError, LowlatError) as error:
                problems.append(f"agreement could not be read: {error}")
                return None
            if found.holds or monotonic_ns() >= end_ns:
                return found
            self._supervisor.turn(_TURN_S)
            self._show(observer, "comparing with the venue")

    def _audit(self, problems: list[str]) -> str:
        """Stop the venue and read the result of its own audit from its last line."""
        self._supervisor.stop(["sim"], _AGREE_S)
        sim = self._supervisor.child("sim")
        lines = list(sim.lines) if sim is not None else []
        audit = str(lines[-1].get("audit", "")) if lines else ""
        if audit != "ok":
            problems.append(f"the venue's audit of its own books says {audit or 'nothing'}")
        return audit
