"""`lowlat world`: engines and venue on a virtual clock, through seeded faults."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import EXIT_FAILED, Json, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from lowlat.world.runner import Finding, Totals

_PROGRESS_S = 2.0


@app.command(
    epilog="Examples: lowlat world --seeds 1:100 | lowlat world --seeds new:20 --json"
    " | lowlat world --seeds 7 --only 3,9 --no-shrink"
)
def world(
    *,
    seeds: Annotated[
        str, typer.Option(help="FIRST:LAST, a number, new:COUNT or today:COUNT.")
    ] = "1:20",
    seconds: Annotated[float, typer.Option(min=0.1, help="Virtual seconds a seed.")] = 60.0,
    budget: Annotated[
        float, typer.Option(min=0.0, help="Begin no seed after so many real seconds; 0: all.")
    ] = 0.0,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    faults: Annotated[str, typer.Option(help="all, none, or kinds with commas.")] = "all",
    only: Annotated[str, typer.Option(help="Numbers of the faults that happen, or none.")] = "",
    bankroll: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Dollars that limits are shares of; 0: 5000.")
    ] = 0,
    shrink: Annotated[bool, typer.Option(help="Make what fails as small as it can be.")] = True,
    as_json: Json = False,
) -> None:
    """Live through seeds; show what broke a rule, and how to see it again.

    Exit code 0 when every rule held in every seed, 1 when one did not, 2 for bad options.
    """
    from lowlat.world.runner import Totals, cores, read_params, read_seeds, run_seeds

    if seconds > 3_600.0:
        raise ConfigError(f"--seconds was {seconds:g}, allowed: 0.1 to 3600")
    wanted, params = read_seeds(seeds), read_params(faults, only, bankroll)
    totals = Totals(params)
    started = said = time.monotonic()
    for lived in run_seeds(wanted, seconds, params, jobs=jobs or cores(), shrinks=shrink):
        totals.add(lived)
        if lived.outcome.violation and not as_json:
            _explain(totals.findings[-1])
        if time.monotonic() - said > _PROGRESS_S:
            said = time.monotonic()
            print(_line(totals, len(wanted)), file=sys.stderr, flush=True)
        if budget and time.monotonic() - started > budget:
            break
    wall_s = time.monotonic() - started
    if as_json:
        _print_json(totals, wanted, wall_s)
    else:
        struck = "  ".join(f"{kind} {count}" for kind, count in sorted(totals.faults.items()))
        print(f"{_line(totals, len(wanted))}\nseeds {wanted[0]}:{wanted[-1]} in {wall_s:.1f} s")
        print(f"faults by kind: {struck or 'none'}")
    if totals.findings:
        raise typer.Exit(EXIT_FAILED)


def _line(totals: "Totals", of: int) -> str:
    counts = totals.counts
    return (
        f"seeds {counts['seeds']} of {of}  steps {counts['steps']:,}  orders {counts['orders']:,}  "
        f"faults {sum(totals.faults.values()):,}  violations {counts['violations']}"
    )


def _explain(finding: "Finding") -> None:
    lines = [f"\nseed {finding.seed}: {finding.violation}"]
    lines += [f"  {line}" for line in finding.trace]
    lines.append(f"  again: {finding.command}\n")
    print("\n".join(lines), file=sys.stderr, flush=True)


def _print_json(totals: "Totals", wanted: range, wall_s: float) -> None:
    import msgspec

    result: dict[str, Any] = {
        "first": wanted[0],
        "last": wanted[-1],
        **totals.counts,
        "faults": dict(sorted(totals.faults.items())),
        "failing": totals.findings,
        "wall_s": round(wall_s, 2),
    }
    print(msgspec.json.format(msgspec.json.encode(result), indent=1).decode())
