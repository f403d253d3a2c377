"""`lowlat tune`: what the host costs us, what can be done about it, and whether it helped."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from lowlat.app.tuning import changes as writing
from lowlat.app.tuning.host import Cores, Host, cores_text
from lowlat.app.tuning.rows import OFF, Row, examine
from lowlat.cli.main import EXIT_FAILED, Json, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from lowlat.app.tuning.prove import Proof, Spread

tune = typer.Typer(help="Check, change, undo and prove the host's settings.", no_args_is_help=True)
app.add_typer(tune, name="tune")

Hot = Annotated[str, typer.Option(help="Cores that spin, like 2-5. Default: all but the first.")]
Yes = Annotated[bool, typer.Option("--yes", help="Write; without it only show.")]
_NAMES: Final = ("before", "after")


@tune.command(epilog="Examples: lowlat tune check | lowlat tune check --hot 2-5 --json")
def check(*, hot: Hot = "", as_json: Json = False) -> None:
    """Print each setting: wanted, found, and how to mend it; exit 1 when one is OFF."""
    host, cores, rows = _look(hot)
    if as_json:
        _print_json([msgspec.to_builtins(row) for row in rows])
    else:
        house = cores_text(cores.house) or "none"
        print(f"hot cores {cores_text(cores.hot) or 'none'}; everything else on {house}")
        if host.guest:
            print(f"guest of {host.guest}: rows marked * are for whoever runs the host to set")
        _print_rows(rows, guest=bool(host.guest))
    if any(row.state == OFF for row in rows):
        raise typer.Exit(EXIT_FAILED)


@tune.command(epilog="Example: sudo lowlat tune apply --yes")
def apply(*, hot: Hot = "", yes: Yes = False, as_json: Json = False) -> None:
    """Write what can be written now, keeping what was there; boot parameters are only named."""
    host, _, rows = _look(hot)
    wanted = [change for row in rows for change in row.changes]
    if yes:
        _end(writing.apply(host, wanted, writing.Memory(_memory_file(), host)), as_json=as_json)
        return
    for change in wanted:
        print(f"would write {change.value!r} to {change.path}, now {host.switch(change.path)!r}")
    print(f"{len(wanted)} to write: add --yes" if wanted else "nothing to write")
    for row in rows:
        if row.state == OFF and not row.changes:
            print(f"not by a write: {row.name}: {row.mend}")


@tune.command(epilog="Example: sudo lowlat tune revert --yes")
def revert(*, yes: Yes = False, as_json: Json = False) -> None:
    """Write back what `apply` found. A reboot does the same."""
    host = Host()
    memory = writing.Memory(_memory_file(), host)
    if yes:
        _end(writing.revert(host, memory), as_json=as_json)
        return
    for path, value in memory.before.items():
        print(f"would write {value!r} back to {path}, now {host.switch(path)!r}")
    print(f"{len(memory.before)} to revert: add --yes" if memory.before else "nothing to revert")


@tune.command(epilog="Example: lowlat tune prove --as before --seconds 60")
def prove(
    *,
    seconds: Annotated[float, typer.Option(min=0.2, help="How long, for each core.")] = 10.0,
    kept_as: Annotated[str, typer.Option("--as", help="before or after: kept by name.")] = "",
    as_json: Json = False,
) -> None:
    """Measure pauses, wake-ups and hops; `--as after` shows them beside what `before` kept."""
    from lowlat.app.tuning import prove as proving

    if kept_as not in {"", *_NAMES}:
        raise ConfigError(f"tune prove: --as was {kept_as!r}, allowed: {', '.join(_NAMES)}")
    found = proving.prove(Host(), sorted(os.sched_getaffinity(0)), seconds, _say)
    before = None
    if kept_as:
        file = _folder() / f"prove-{kept_as}.json"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        _say(f"kept as {file}")
    first = _folder() / "prove-before.json"
    if kept_as == "after" and first.exists():
        before = msgspec.json.decode(first.read_bytes(), type=proving.Proof)
    if as_json:
        _print_json(msgspec.to_builtins(found))
    else:
        _print_proof(found, before)


def _look(hot: str) -> tuple[Host, Cores, list[Row]]:
    host = Host()
    try:
        cores = host.cores(hot)
    except ValueError as error:
        raise ConfigError(f"tune: --hot: {error}") from error
    unknown = [core for core in cores.hot if core not in host.online]
    if unknown:
        online = cores_text(host.online)
        raise ConfigError(f"tune: --hot names core {unknown[0]}, this host has {online}")
    return host, cores, list(examine(host, cores))


def _end(outcomes: Sequence[writing.Outcome], *, as_json: bool) -> None:
    """Say what each write came to; exit 1 when one did not."""
    if as_json:
        _print_json([msgspec.to_builtins(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            said = f"FAILED: {outcome.error}" if outcome.error else f"was {outcome.before}"
            print(f"{outcome.path} = {outcome.value}  ({said})")
        if not outcomes:
            print("nothing to write")
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(EXIT_FAILED)


def _print_rows(rows: Sequence[Row], *, guest: bool) -> None:
    name, want = max(len(row.name) for row in rows), max(len(row.want) for row in rows)
    for row in rows:
        mark = "*" if guest and row.guest_fixed else " "
        mend = row.mend or ("lowlat tune apply --yes" if row.changes else "")
        line = f"{row.state:6}{mark} {row.name:{name}}  want {row.want:{want}}  have {row.have}"
        print(line + (f"  -> {mend}" if mend else "") + f"  [{row.source}]")


def _print_proof(found: "Proof", before: "Proof | None") -> None:
    if before is not None and before.host != found.host:
        changed = [key for key in found.host if found.host[key] != before.host.get(key)]
        print(f"measured on another host or boot ({', '.join(changed)}): compare with care")
    for title, kind in (("pauses over 5 us", "hiccups"), ("late wake-ups", "wakes")):
        for core, spread in getattr(found, kind).items():
            old = getattr(before, kind).get(core) if before is not None else None
            _print_spread(f"core {core}  {title}", spread, old)
    for core, ppm in found.stolen_ppm.items():
        old_ppm = before.stolen_ppm.get(core) if before is not None else None
        was = "" if old_ppm is None else f"  (before {old_ppm / 1e4:.3f} %)"
        print(f"core {core}  {'time lost to pauses':20} {ppm / 1e4:.3f} %{was}")
    if found.hop is not None:
        _print_spread("hop, one way", found.hop, before.hop if before is not None else None)


def _print_spread(title: str, spread: "Spread", before: "Spread | None") -> None:
    def text(each: "Spread") -> str:
        figures = (each.p50_ns / 1e3, each.p999_ns / 1e3, each.max_ns / 1e3)
        return "n {}  p50 {:.1f} us  p99.9 {:.1f} us  max {:.1f} us".format(each.count, *figures)

    print(f"{title:28} {text(spread)}" + (f"  (before {text(before)})" if before else ""))


def _folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "lowlat-tune"


def _memory_file() -> Path:
    return _folder() / "changes.json"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))
