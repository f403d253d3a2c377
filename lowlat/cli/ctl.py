"""`lowlat ctl`: steer a running engine. Exit codes: see EXIT_NOBODY and EXIT_REFUSED."""

import json
import sys
from typing import Annotated, Any

import typer

from lowlat.cli.main import EXIT_FAILED, EXIT_USAGE, Instance, Json, app

EXIT_NOBODY = 3
"""No supervisor answers."""
EXIT_REFUSED = 4
"""Refused: a key that needs a restart, a caller who may not."""
_CODES = {"usage": EXIT_USAGE, "config": EXIT_USAGE, "refused": EXIT_REFUSED}
_SOON_S = 5.0
Confirm = Annotated[bool, typer.Option("--confirm", help="Do it although it allows more than now.")]
_CHANGE_S = 120.0

ctl = typer.Typer(
    name="ctl",
    help="Steer a running engine: halt, resume, drain, change its config.",
    epilog="Exit 0: done. 1: failed. 2: wrong use or invalid config. 3: nothing runs. 4: refused.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(ctl)


@ctl.command(epilog="Example: lowlat ctl status --json")
def status(instance: Instance = "demo", *, as_json: Json = False) -> None:
    """Show processes, the config generation in force and every reason why orders are stopped."""
    from lowlat.app.control_client import NobodyAnswersError
    from lowlat.app.halts import read_halts

    try:
        answer = _ask(instance, {"op": "status"}, _SOON_S)
    except NobodyAnswersError as error:
        halts = [str(each) for each in read_halts(instance)]
        if as_json:
            print(json.dumps({"ok": False, "text": str(error), "halts": halts}))
        else:
            print(f"lowlat ctl: {error}", file=sys.stderr)
            for each in halts:
                print(f"halted: {each}")
        raise typer.Exit(EXIT_NOBODY) from None
    if as_json:
        print(json.dumps(answer))
        return
    print(
        f"instance {answer['instance']}  mode {answer['mode']}  generation "
        f"{answer['generation']}  config {answer['config']}"
    )
    for each in answer["processes"]:
        age = each["heartbeat_age_ns"]
        beat = f"{age / 1e6:,.1f} ms" if age >= 0 else "-"
        print(
            f"  {each['name']:<12}{each['state']:<10} pid {each['pid'] or '-':<8} "
            f"restarts {each['restarts']:<3} heartbeat {beat:<12} "
            f"generation {each.get('generation', '-')}"
        )
    for key in ("change", "draining", "failure"):
        if answer[key]:
            print(f"{key}: {answer[key]}")
    for each in answer["halts"]:
        print(f"halted: {each}")
    if not answer["halts"]:
        print("trading: no halt is set")


@ctl.command(epilog='Example: lowlat ctl halt "fills look wrong"')
def halt(
    reason: Annotated[str, typer.Argument(help="Why, for whoever resumes.")] = "",
    instance: Instance = "demo",
    *,
    as_json: Json = False,
) -> None:
    """Stop new orders now and until somebody resumes, whatever is alive and over a reboot.

    Open orders stay; unwinds, cancels and look-ups go on. `lowlat panic` cancels as well.
    """
    from lowlat.cli._halting import pull

    said = pull(instance, "halt", reason)
    print(json.dumps({"ok": True, "text": said}) if as_json else said)


@ctl.command(epilog='Example: lowlat ctl resume "checked with the venue"')
def resume(
    reason: Annotated[str, typer.Argument(help="What was found out.")] = "",
    instance: Instance = "demo",
    *,
    as_json: Json = False,
) -> None:
    """Lift every halt: people's, signals' and risk's. A drawdown counts anew from here."""
    _do(instance, {"op": "resume", "reason": reason}, 2 * _SOON_S, as_json=as_json)


@ctl.command(epilog="Example: lowlat ctl drain")
def drain(instance: Instance = "demo", *, as_json: Json = False) -> None:
    """End in order: no new orders, cancel open ones, finish groups, settle, stop."""
    _do(instance, {"op": "drain"}, _SOON_S, as_json=as_json)


@ctl.command(epilog="Example: lowlat ctl restart recorder")
def restart(
    process: Annotated[str, typer.Argument(help="One of those that `status` shows.")],
    instance: Instance = "demo",
    *,
    as_json: Json = False,
) -> None:
    """Let one process end in order and start it again; its streams go on where they were."""
    _do(instance, {"op": "restart", "process": process}, _CHANGE_S, as_json=as_json)


@ctl.command(epilog="Example: lowlat ctl module latency shadow")
def module(
    name: Annotated[str, typer.Argument(help="A signal module.")],
    mode: Annotated[str, typer.Argument(metavar="off|shadow|paper|live", help="Its new mode.")],
    instance: Instance = "demo",
    *,
    confirm: Confirm = False,
    as_json: Json = False,
) -> None:
    """Switch a signal module; as `set modules.NAME.mode=MODE`."""
    key = f"modules.{name}.mode"
    request = {"op": "set", "key": key, "value": mode, "confirm": confirm}
    _do(instance, request, _CHANGE_S, as_json=as_json)


@ctl.command("set", epilog="Example: lowlat ctl set limits.orders_per_s=10")
def set_(
    assignment: Annotated[str, typer.Argument(metavar="KEY=VALUE", help="section.key=value")],
    instance: Instance = "demo",
    *,
    confirm: Confirm = False,
    as_json: Json = False,
) -> None:
    """Change one key of the config in force, until the file is read again.

    What is tighter is in force at once; what allows more needs --confirm.
    """
    key, equals, value = assignment.partition("=")
    if not equals:
        print(f"lowlat ctl: {assignment!r} is no KEY=VALUE", file=sys.stderr)
        raise typer.Exit(EXIT_USAGE)
    request = {"op": "set", "key": key.strip(), "value": value.strip(), "confirm": confirm}
    _do(instance, request, _CHANGE_S, as_json=as_json)


@ctl.command(epilog="Example: lowlat ctl reload")
def reload(instance: Instance = "demo", *, confirm: Confirm = False, as_json: Json = False) -> None:
    """Read the config file again, check all of it, put it in force or leave all as it is.

    A file that allows more than now needs --confirm.
    """
    _do(instance, {"op": "reload", "confirm": confirm}, _CHANGE_S, as_json=as_json)


@ctl.command(epilog="Example: lowlat ctl audit --last 20")
def audit(
    instance: Instance = "demo",
    *,
    last: Annotated[int, typer.Option(min=1, help="Only the newest so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show who changed what, when, from what to what. Works without a running engine."""
    import msgspec

    from lowlat.app.audit import read_audit

    lines, damaged = read_audit(instance)
    if as_json:
        shown = [msgspec.to_builtins(each) for each in lines[-last:]]
        print(json.dumps({"lines": shown, "damaged": damaged}))
        return
    for each in lines[-last:]:
        print(f"{each.at}  {each.op:<8} uid {each.uid} pid {each.pid}  {each.command}")
        print(f"    {each.result}{'  ' + each.detail if each.detail else ''}")
        for key, old, new in each.changes:
            print(f"    {_change(key, old, new)}")
    if damaged:
        print(f"{damaged} lines could not be read")


def _do(instance: str, request: dict[str, Any], timeout_s: float, *, as_json: bool) -> None:
    """Ask, print, leave with the code of the answer."""
    from lowlat.app.control_client import NobodyAnswersError

    try:
        answer = _ask(instance, request, timeout_s)
    except NobodyAnswersError as error:
        if as_json:
            print(json.dumps({"ok": False, "text": str(error)}))
        print(f"lowlat ctl: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_NOBODY) from None
    if as_json:
        print(json.dumps(answer))
    else:
        for key, old, new in answer.get("changes", []):
            print(_change(key, old, new))
        print(answer["text"], file=sys.stdout if answer["ok"] else sys.stderr)
        for each in answer.get("halts", []):
            print(f"still halted: {each}")
    if not answer["ok"]:
        raise typer.Exit(_CODES.get(answer["code"], EXIT_FAILED))


def _ask(instance: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    from lowlat.app.control_client import ask

    return ask(instance, request, timeout_s)


def _change(key: str, old: Any, new: Any) -> str:
    from lowlat.app.reload_rules import Change

    return str(Change(key, old, new))
