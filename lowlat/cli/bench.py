"""`lowlat bench`: the table, each row beside its floor, measured in one run."""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

import lowlat
from lowlat.cli._compare import OldRow, as_old, comparison_table, read_rows
from lowlat.cli._compare import compare as compare_rows
from lowlat.cli.main import EXIT_FAILED, Json, app
from lowlat.core.errors import ConfigError

SUITES = (
    "hop",
    "shared",
    "book",
    "signing",
    "stages",
    "memory",
    "ledger",
    "wire",
    "sim",
    "sim_feed",
    "peers",
)
"""Files of bench/ in the order of the table."""


TOLERANCE = 1.25
"""What a row may grow by between two runs before --compare calls it worse."""


@app.command(
    epilog="Examples: lowlat bench | lowlat bench hop --json | lowlat bench tick-to-wire"
    " | lowlat bench --json > old.json; lowlat bench --compare old.json"
)
def bench(
    name: Annotated[str | None, typer.Argument(help="One row or one file; default: all.")] = None,
    *,
    as_json: Json = False,
    quick: Annotated[bool, typer.Option(help="Fewer pairs: a look, not a measurement.")] = False,
    compare: Annotated[
        Path | None, typer.Option(help="An older --json output: print ratios, exit 1 if worse.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=1.0, help="With --compare: how many times the old figure is ok.")
    ] = TOLERANCE,
) -> None:
    """Measure the engine against C floors of the same bytes, interleaved."""
    then = None if compare is None else read_rows(compare)
    root = Path(lowlat.__file__).parent.parent
    if not (root / "bench" / "harness.py").exists():
        raise ConfigError(
            f"bench: {root} has no bench folder; run it from a checkout (git clone, make setup)"
        )
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = str(root)
    harness = importlib.import_module("bench.harness")
    if quick:
        vars(harness)["PAIRS"] = 3
    rows: list[Any] = []
    for suite in SUITES:
        module = importlib.import_module(f"bench.{suite}")
        names = tuple(module.ROWS)
        wanted = names if name in {None, suite} else tuple(row for row in names if row == name)
        if wanted:
            rows += module.run(wanted)
    if not rows:
        raise ConfigError(f"bench: no row {name!r}; rows: {', '.join(_all_rows())}")
    harness.progress("")
    objects = [json.loads(harness.encode(row)) for row in rows]
    if then is not None:
        _compare(then, objects, tolerance, whole=name is None, as_json=as_json)
        return
    if as_json:
        print(json.dumps(objects[0] if name and len(objects) == 1 else objects, indent=1))
    else:
        print(harness.table(rows))
    if any(row.met is False for row in rows):
        raise typer.Exit(EXIT_FAILED)


def _compare(
    then: list[OldRow],
    objects: list[dict[str, Any]],
    tolerance: float,
    *,
    whole: bool,
    as_json: bool,
) -> None:
    """Print what changed since an older run; exit 1 when a row is worse."""
    found = compare_rows(then, as_old(objects), tolerance, whole=whole)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
    else:
        print(comparison_table(found, tolerance))
    if any(one.worse for one in found):
        raise typer.Exit(EXIT_FAILED)


def _all_rows() -> list[str]:
    return [row for suite in SUITES for row in importlib.import_module(f"bench.{suite}").ROWS]
