"""`lowlat sim faults`: read and change what goes wrong in a running simulator."""

import json
from typing import Annotated, Any, Final

import typer

from lowlat.app.agreement import VenueDoor
from lowlat.core.errors import ConfigError

__all__ = ["run_faults"]

_MS: Final = 1_000
_EPILOG: Final = """Examples:

answer_lost_e4=500 --for 10 | --mode restart --for 5 | --freeze market --for 3

--request '{"service": "gamma", "refuse_e4": 10000, "refuse_status": 429}' --for 5

--frame '{"feed": "user", "duplicate_e4": 2000}' | --arm settlement_failed_e4 | --reset
"""

_app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def run_faults(arguments: list[str]) -> int:
    """Run the command with its arguments; return an exit code."""
    code = typer.main.get_command(_app)(
        args=arguments, prog_name="lowlat sim faults", standalone_mode=False
    )
    return code if isinstance(code, int) else 0


@_app.command(epilog=_EPILOG)
def faults(
    knobs: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Knobs by name.")
    ] = None,
    *,
    control: Annotated[
        str,
        typer.Option(
            envvar="LOWLAT_SIM_CONTROL", help="Control address that the simulator printed."
        ),
    ],
    request: Annotated[
        list[str] | None, typer.Option(help="Rule for requests (JSON); replaces all of them.")
    ] = None,
    frame: Annotated[
        list[str] | None, typer.Option(help="Rule for frames (JSON); replaces all of them.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Let the next draw of a share knob hit: NAME[=COUNT].")
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            help="Window: restart, post_only, cancel_only, disabled, rate_limited, error, normal."
        ),
    ] = "",
    freeze: Annotated[str, typer.Option(help="Feed that falls silent (PONG lives), or all.")] = "",
    disconnect: Annotated[str, typer.Option(help="Feed whose sockets are dropped.")] = "",
    for_s: Annotated[
        float, typer.Option("--for", min=0.0, help="Seconds; knobs then go back.")
    ] = 0.0,
    reset: Annotated[bool, typer.Option("--reset", help="No faults first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Change what goes wrong in a running simulator, and print what is in force."""
    door = VenueDoor(_checked(control))
    for_ms = int(for_s * _MS)
    values = _knobs(knobs or [])
    if request is not None:
        values["requests"] = [_rule(each) for each in request]
    if frame is not None:
        values["frames"] = [_rule(each) for each in frame]
    if values or reset:
        door.control("faults", for_ms=for_ms, reset=reset, **values)
    for each in arm or []:
        name, _, count = each.partition("=")
        door.control("arm", fault=name, count=int(count or 1))
    if mode:
        door.control("mode", mode=mode, duration_ms=for_ms)
    if freeze:
        feed = "" if freeze == "all" else freeze
        door.control("freeze", feed=feed, duration_ms=for_ms)
    if disconnect:
        door.control("disconnect", feed=disconnect)
    _show(door.call("GET", "/sim/faults"), as_json=as_json)


def _checked(control: str) -> str:
    if not control.startswith("http://"):
        raise ConfigError(
            f"--control was {control!r}, expected the http://host:port that `lowlat sim` printed "
            "as urls.control"
        )
    return control


def _knobs(texts: list[str]) -> dict[str, Any]:
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"knob was {text!r}, expected KEY=VALUE")
        values[name] = _rule(value)
    return values


def _rule(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no JSON value: {error}") from error


def _show(state: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(state))
        return
    typer.echo(
        f"mode {state['mode']}, {state['mode_left_s']} s left; frozen {state['frozen_ms']} ms"
    )
    for name, value in state["config"].items():
        if value and value != [0, 0]:
            typer.echo(f"{name} = {json.dumps(value)}")
    for name, count in sorted(state["hits"].items()):
        typer.echo(f"hit {count} times: {name}")
