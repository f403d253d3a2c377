"""`lowlat replay`: live a recorded session again and hold every decision and order against it."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import EXIT_FAILED, Instance, Json, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from lowlat.app.config import EngineConfig
    from lowlat.risk.limits import LimitsParams
    from lowlat.store.capture import Life
    from lowlat.world.verdict import Verdict

_ASKED = ("limits.", "execution.template_rungs_e6")
"""Keys that decide on one wish: the sizes that are signed are what risk rounds down to."""
_SHOWN = 6


@app.command(
    epilog="Examples: lowlat replay | lowlat replay -i prod --life 2 --to 60 |"
    " lowlat replay FOLDER --from 30 --json | lowlat replay -i prod --config tighter.toml"
)
def replay(
    source: Annotated[
        str, typer.Argument(help="Folder or file of a capture; default: the instance's own.")
    ] = "",
    *,
    instance: Instance = "demo",
    life: Annotated[
        int, typer.Option(min=0, help="Which life of the process, 1 the oldest; 0: the newest.")
    ] = 0,
    since_s: Annotated[
        float,
        typer.Option("--from", min=0.0, help="Compare from so long after its start on."),
    ] = 0.0,
    seconds: Annotated[
        float, typer.Option("--to", min=0.0, help="Stop so long after its start; 0: at its end.")
    ] = 0.0,
    verify: Annotated[
        bool, typer.Option("--verify", help="Live it twice: the hash must be the same.")
    ] = False,
    config: Annotated[
        str,
        typer.Option(
            "--config", help="Ask the limits of this file, too, what they would have decided."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Run the production engines on what they were given then; name the first difference.

    Exit 0: every signal, decision, intent, report and request came out byte by byte. Exit 1: one
    did not, or the capture cannot be replayed. Exit 2: no such capture.
    """
    found = _find(source, instance, life)
    if seconds and since_s >= seconds:
        raise ConfigError(f"--from was {since_s:g} with --to {seconds:g}, expected less")
    limits, left_out = _other_limits(found, config) if config else (None, [])
    verdict, wall_s = _live(found, seconds, since_s, limits)
    again = _live(found, seconds, since_s, limits)[0] if verify else verdict
    same = again.hash == verdict.hash
    if as_json:
        _print_json(found, verdict, wall_s, left_out, same=same)
    else:
        _print(found, verdict, wall_s, verify=verify, same=same)
        _print_otherwise(verdict, left_out)
    if not (verdict.equal and same):
        raise typer.Exit(EXIT_FAILED)


def _find(source: str, instance: str, life: int) -> "Life":
    """Read the life that is meant; raises ConfigError that says what there is."""
    from lowlat.app.state import state_dir
    from lowlat.store.capture import read_lives

    path = Path(source) if source else state_dir(instance, make=False) / "capture"
    try:
        lives = list(read_lives(path))
    except FileNotFoundError:
        raise ConfigError(
            f"replay: no capture at {path}; one is written where all roles share a process "
            "(topology fused) and tape.capture is on"
        ) from None
    if not lives:
        raise ConfigError(
            f"replay: {path} holds no life of a process from its start: the oldest blocks are "
            "gone, take a capture of a later start"
        )
    if life > len(lives):
        raise ConfigError(f"--life was {life}, expected 1 to {len(lives)}, the lives in {path}")
    return lives[life - 1]


def _other_limits(life: "Life", path: str) -> "tuple[LimitsParams, list[str]]":
    """Return the limits of a config, and what else it changes, which is not asked."""
    from lowlat.app.config import load_config
    from lowlat.app.reload_rules import differences
    from lowlat.risk.second import LEFT_AS_THEY_WERE
    from lowlat.wiring.reload import limits_on_rungs
    from lowlat.world.replay import read_header

    new = load_config(path)
    changes = differences(_settings(read_header(life.data).config), new)
    left_out = [
        change.key
        for change in changes
        if not change.key.startswith(_ASKED)
        or change.key.startswith("limits.exits")
        or change.key.removeprefix("limits.") in LEFT_AS_THEY_WERE
    ]
    return limits_on_rungs(new), left_out


def _live(
    life: "Life", seconds: float, since_s: float, limits: "LimitsParams | None"
) -> "tuple[Verdict, float]":
    from lowlat.world.replay import Replay

    started = time.monotonic()
    replay = Replay(life.data, _settings, limits)
    verdict = replay.run(int(seconds * 1e9), int(since_s * 1e9))
    return verdict, time.monotonic() - started


def _settings(raw: dict[str, Any]) -> "EngineConfig":
    from lowlat.app.config import EngineConfig
    from lowlat.core.config import build_config

    return build_config(raw, EngineConfig, source="the capture's config")


def _print(life: "Life", verdict: "Verdict", wall_s: float, *, verify: bool, same: bool) -> None:
    print(
        f"life {life.number} of process {verdict.process}: {verdict.seconds:.1f} s in "
        f"{wall_s:.2f} s, {verdict.seconds / max(wall_s, 1e-9):.0f} times as fast"
    )
    print(
        f"{verdict.events:,} events ({verdict.frames:,} frames, {verdict.turns:,} turns)  "
        f"{len(life.data) / 1e6:.1f} MB"
    )
    print(
        f"signals {verdict.signals}  decisions {verdict.decisions}  intents {verdict.intents}  "
        f"reports {verdict.reports}  requests {verdict.requests}"
    )
    print(f"hash {verdict.hash}")
    if verdict.difference is not None:
        print("\n".join(verdict.difference.lines()))
    elif verdict.equal:
        if verdict.earlier:
            print(f"{verdict.earlier} records and requests differ before --from")
        print("equal: every record and every request came out byte by byte as recorded")
    if verify:
        print("run twice: " + ("the same hash" if same else "ANOTHER HASH"))
    if life.gap:
        print(f"the capture has a gap: {life.gap}", file=sys.stderr)
    elif not verdict.finished and verdict.equal:
        print("the capture ends before its process came to an orderly end", file=sys.stderr)


def _print_otherwise(verdict: "Verdict", left_out: list[str]) -> None:
    if verdict.otherwise is None:
        return
    print("\n".join(verdict.otherwise.lines()))
    if left_out:
        shown = ", ".join(left_out[:_SHOWN])
        more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
        print(f"  not asked, for it is no limit of one decision: {shown}{more}")


def _print_json(
    life: "Life", verdict: "Verdict", wall_s: float, left_out: list[str], *, same: bool
) -> None:
    import msgspec

    result: dict[str, Any] = {
        "life": life.number,
        "equal": verdict.equal,
        "same_twice": same,
        **msgspec.to_builtins(verdict),
        "wall_s": round(wall_s, 3),
        "times_real": round(verdict.seconds / max(wall_s, 1e-9), 1),
        "bytes": len(life.data),
        "gap": life.gap,
        "not_asked": left_out,
    }
    print(msgspec.json.encode(result).decode())
