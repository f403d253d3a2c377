"""`lowlat topology`: which processes there are, what each core does, who tells whom."""

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import Json, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from lowlat.app.topology import ProcessConfig

_WAITS = {
    "spin": "spins: never sleeps, has the core for itself",
    "yield": "never sleeps, gives way to others",
    "park": "sleeps until there is something",
}


@app.command(
    epilog="Examples: lowlat topology spread | lowlat topology --config paper.toml | "
    "lowlat topology mine.toml --json"
)
def topology(
    which: Annotated[
        str, typer.Argument(help="fused, spread, spread-eight, or a file with [topology.NAME].")
    ] = "",
    *,
    config: Annotated[
        str, typer.Option(metavar="FILE", help="The topology of this engine config instead.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Draw a topology and say what each core does.

    Exit 0: it can run on this machine. Exit 1: it names cores that this machine does not give.
    Exit 2: it can run nowhere; the message says why.
    """
    from lowlat.app.config import load_config
    from lowlat.app.topology import check_cores, load_topology

    if which and config:
        raise ConfigError("name a topology or a config, not both")
    found = load_config(config).topology if config else load_topology(which or "fused")
    cores = sorted(os.sched_getaffinity(0))
    try:
        check_cores(found, cores)
        misfit = ""
    except ConfigError as error:
        misfit = str(error)
    if as_json:
        print(json.dumps(as_object(found, misfit), indent=1))
    else:
        print("\n".join(draw(found)))
        if misfit:
            print(f"\nnot on this machine: {misfit}")
    raise typer.Exit(1 if misfit else 0)


def as_object(found: "Mapping[str, ProcessConfig]", misfit: str) -> dict[str, Any]:
    """Return processes and flows as plain values."""
    import msgspec

    from lowlat.app.flows import flows_of
    from lowlat.app.topology import start_after

    return {
        "processes": {
            name: msgspec.to_builtins(place) | {"after": list(start_after(found, name))}
            for name, place in found.items()
        },
        "flows": [flow._asdict() for flow in flows_of(found)],
        "misfit": misfit or None,
    }


def draw(found: "Mapping[str, ProcessConfig]") -> list[str]:
    """Return the drawing, one line each."""
    from lowlat.app.flows import DUTIES, flows_of

    width = max(len(name) for name in found)
    cores = sorted({place.core for place in found.values()})
    lines = [f"{len(found)} processes on {_count(cores)}", ""]
    for core in cores:
        here = {name: place for name, place in found.items() if place.core == core}
        lines.append(_core_line(core, here))
        for name, place in here.items():
            tick = f" (looks each {place.tick_ms} ms)" if place.wait == "park" else ""
            lines.append(f"  {name:<{width}}  {_WAITS[place.wait]}{tick}")
            lines += [f"  {'':<{width}}    {role}: {DUTIES[role]}" for role in place.engines]
        lines.append("")
    lines.append("who tells whom (== waits for its reader, -- never waits)")
    for flow in flows_of(found):
        free = tuple(each for each in flow.to if each not in flow.waits_for)
        for line, to in (("=", flow.waits_for), ("-", free)):
            if to:
                arrow = f"{line * 2}{flow.stream:{line}<14}>"
                lines.append(f"  {flow.source:<{width}} {arrow} {', '.join(to)}")
    return lines


def _core_line(core: int, here: "Mapping[str, ProcessConfig]") -> str:
    if core < 0:
        return "any core"
    spinning = [name for name, place in here.items() if place.wait == "spin"]
    if spinning:
        return f"core {core}: {spinning[0]} and nobody else"
    shared = "one process" if len(here) == 1 else f"{len(here)} processes share it"
    return f"core {core}: {shared}"


def _count(cores: list[int]) -> str:
    pinned = [core for core in cores if core >= 0]
    if not pinned:
        return "whatever cores there are"
    return f"{len(pinned)} core{'s' if len(pinned) > 1 else ''}"
