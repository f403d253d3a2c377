"""`lowlat run`: the engine under its supervisor, in the foreground, until told to stop."""

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lowlat.cli.main import EXIT_FAILED, EXIT_USAGE, app

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowlat.app.config import EngineConfig
    from lowlat.app.proof import LiveProof, NothingToProve
    from lowlat.app.supervisor import Supervisor
    from lowlat.cli._observer import Observer
    from lowlat.cli._screen import View

_TURN_S = 0.05
_DRAIN_S = 60.0
_NS = 1_000_000_000
_BADGES = {"sim": "SIMULATED", "paper": "PAPER ON LIVE DATA", "live": "LIVE"}


@app.command(epilog="Example: lowlat run --config paper.toml")
def run(
    config: Annotated[str, typer.Option(metavar="FILE", help="The engine's TOML config.")],
    *,
    live: Annotated[
        bool, typer.Option("--live", help='Trade real money; the config says mode = "live" too.')
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No screen, no line a second: for service managers.")
    ] = False,
) -> None:
    """Run recorder and engine, simulated, on paper, or with --live for real. Ctrl-C drains, ends.

    Real money is traded only while ledger, reconciliation and heartbeat are healthy; what is not
    is said by name. Exit 0: ended in order. Exit 1: a process could not be kept running, live
    trading could not be proven healthy, or orders, fills or groups were still open when the end
    could wait no longer. Exit 2: wrong config, or live trading is refused.
    """
    from lowlat.app.config import load_config

    loaded = load_config(config)
    if live or loaded.mode == "live":
        from lowlat.app.live import what_is_missing

        missing = what_is_missing(loaded, flag=live)
        if missing:
            print("lowlat run: live trading is refused, not healthy:", file=sys.stderr)
            for what in missing:
                print(f"  - {what}", file=sys.stderr)
            raise typer.Exit(EXIT_USAGE)
    raise typer.Exit(_run(config, loaded, quiet=quiet))


def _run(path: str, config: "EngineConfig", *, quiet: bool) -> int:
    from contextlib import closing, nullcontext

    from lowlat.app import log
    from lowlat.app.children import children_of, roles_of, stop_order
    from lowlat.app.control import Controller
    from lowlat.app.notify import Notifier
    from lowlat.app.state import state_dir
    from lowlat.app.supervisor import Supervisor
    from lowlat.app.topology import check_cores
    from lowlat.core.clock import monotonic_ns
    from lowlat.core.config import effective_config

    kept_log = state_dir(config.instance) / "supervisor.log"
    log.configure("supervisor", level="WARNING", file=kept_log)
    for line in effective_config(config):
        print(line, file=sys.stderr)
    view = None if quiet else _view(config)
    say = view.say if view else None
    _check_panic(config)
    check_cores(config.topology, os.sched_getaffinity(0))
    settles = config.settlement.enabled
    specs = children_of(path, config.topology, live=config.mode == "live", settles=settles)
    order = stop_order(config.topology, settles=settles)
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda code, _: stopping.append(code))
    supervisor = Supervisor(config.instance, specs)
    control = Controller(supervisor, path, roles_of(config.topology, settles=settles))
    notifier = Notifier(supervisor.summary)
    supervisor.services += [control, notifier]
    proof = _proof(supervisor, path, live=config.mode == "live")
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda code, _: control.on_signal(code))
    with view or nullcontext(), supervisor, closing(control), closing(notifier), proof:
        supervisor.open()
        control.begin(monotonic_ns())
        observer = _observer(supervisor) if view else None
        _start(supervisor, say)
        notifier.ready()
        due_ns = 0
        while not (stopping or supervisor.failure or control.stopping or proof.problem):
            supervisor.turn(_TURN_S)
            if view and observer and monotonic_ns() >= due_ns:
                due_ns = monotonic_ns() + int(view.every_s * _NS)
                view.show(observer.picture(), _BADGES[config.mode])
        notifier.stopping()
        for name in order.ahead:
            supervisor.stop([name], _DRAIN_S)
        drained = supervisor.stop([order.executor], _DRAIN_S, say)
        for name in order.rest:
            supervisor.stop([name], _DRAIN_S)
        problems = _problems(supervisor, order.executor, drained=drained)
    problems += [f"live trading was not proven: {proof.problem}"] if proof.problem else []
    for each in problems:
        print(f"lowlat run: {each}", file=sys.stderr)
    return EXIT_FAILED if problems else 0


def _view(config: "EngineConfig") -> "View":
    """Return where the run is shown: a terminal, or lines for whoever reads them."""
    from rich.console import Console

    from lowlat.cli._screen import PlainLines, Screen

    console = Console(stderr=True)
    if console.is_terminal:
        return Screen(console, f"lowlat {config.instance}", _BADGES[config.mode])
    return PlainLines(console)


def _observer(supervisor: "Supervisor") -> "Observer":
    """Count along from the first turn on; only for a screen: a quiet run is back the sooner."""
    from lowlat.cli._observer import Observer

    observer = Observer(supervisor.instance, supervisor)
    supervisor.on_turn = observer.on_turn
    return observer


def _proof(supervisor: "Supervisor", path: str, *, live: bool) -> "LiveProof | NothingToProve":
    """Keep the gate closed until the supervisor's loop proved that live trading is healthy."""
    from lowlat.app.proof import LiveProof, NothingToProve
    from lowlat.app.seat import ChildState
    from lowlat.app.telemetry import Telemetry

    if not live:
        return NothingToProve(supervisor.instance)

    def unready() -> list[str]:
        return [each.name for each in supervisor.status() if each.state is not ChildState.READY]

    def heartbeats() -> int:
        counters = Telemetry(supervisor.instance).read().counters
        return counters.get("executor.heartbeats", 0)

    proof = LiveProof(supervisor.instance, path, unready, heartbeats)
    supervisor.services.append(proof)
    return proof


def _problems(supervisor: "Supervisor", executor: str, *, drained: bool) -> list[str]:
    """Say what was not in order about the end; ``executor`` is the child that drains."""
    found = [supervisor.failure] if supervisor.failure else []
    child = supervisor.child(executor)
    if child is not None and child.exit_code:
        found.append(f"{executor} ended with exit code {child.exit_code}, see its log")
    if not drained:
        found.append(f"{executor} did not end within {_DRAIN_S:.0f} s")
    return found


def _check_panic(config: "EngineConfig") -> None:
    """Find out now, not in an emergency, whether `lowlat panic` could cancel; ConfigError."""
    from lowlat.app.panic import KEY, load_cancel_credentials

    path = config.account.cancel_credentials_file
    if path:
        load_cancel_credentials(path)
    else:
        print(f"lowlat panic can halt but not cancel: {KEY} is not set", file=sys.stderr)


def _start(supervisor: "Supervisor", say: "Callable[[str], None] | None") -> None:
    """Start everybody; a child that found its part of the config wrong makes it our own error."""
    from lowlat.app.child import SpawnError
    from lowlat.core.errors import ConfigError

    try:
        supervisor.start(say)
    except SpawnError as error:
        if not any(each.exit_code == EXIT_USAGE for each in supervisor.status()):
            raise
        raise ConfigError(str(error)) from None
