"""``python -m lowlat.world --seeds 1:50``: live through seeds, make what fails small, say how.

Exit code 0 when every invariant held in every seed, 1 when one did not, 2 for bad arguments.
"""

import argparse
import sys
import time
from collections import Counter

import msgspec

from lowlat.world.faults import KINDS
from lowlat.world.settings import WorldParams
from lowlat.world.shrink import shrink
from lowlat.world.world import Outcome, World

__all__ = ["main"]

_PROGRESS_S = 2.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lowlat.world", description=__doc__)
    parser.add_argument("--seeds", default="1:20", help="FIRST:LAST or one number")
    parser.add_argument("--seconds", type=float, default=30.0, help="virtual seconds a seed")
    parser.add_argument("--faults", default="all", help="all, none, or kinds with commas")
    parser.add_argument("--only", default="", help="numbers of the faults that happen")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--no-shrink", action="store_true", help="do not make a failure small")
    return parser


def _numbers(text: str) -> range:
    """Read FIRST:LAST; raises ValueError."""
    first, _, last = text.partition(":")
    found = range(int(first), int(last or first) + 1)
    if not found:
        raise ValueError(f"--seeds was {text!r}, expected FIRST:LAST, the smaller first")
    return found


def _params(arguments: argparse.Namespace) -> WorldParams:
    """Turn arguments into parameters; raises ValueError naming what is wrong."""
    kinds = {"all": KINDS, "none": ()}.get(arguments.faults)
    if kinds is None:
        kinds = tuple(arguments.faults.split(","))
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ValueError(f"--faults names {', '.join(unknown)}, allowed: {', '.join(KINDS)}")
    only = None
    if arguments.only:
        only = tuple(int(each) for each in arguments.only.split(",") if each != "none")
    return WorldParams(kinds=kinds, only=only)


def main(arguments: list[str] | None = None) -> int:
    """Run the seeds; return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        params, seeds = _params(given), _numbers(given.seeds)
    except ValueError as error:
        sys.stderr.write(f"lowlat.world: {error}\n")
        return 2
    totals: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    failed: list[Outcome] = []
    started = said = time.monotonic()
    cpu = time.process_time()
    for seed in seeds:
        with World(seed, params) as world:
            outcome = world.run(given.seconds)
        faults.update(outcome.faults)
        _add(totals, outcome)
        if outcome.violation:
            failed.append(outcome)
            _explain(outcome, params, given)
        if time.monotonic() - said > _PROGRESS_S:
            said = time.monotonic()
            sys.stderr.write(f"{_line(totals)}\n")
    summary = {
        **totals,
        "faults": dict(sorted(faults.items())),
        "failing": [outcome.seed for outcome in failed],
        "wall_s": round(time.monotonic() - started, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
    }
    if given.json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    else:
        struck = "  ".join(f"{kind}={count}" for kind, count in sorted(faults.items()))
        sys.stdout.write(f"{_line(totals)}\nfaults  {struck or 'none'}\n")
        sys.stdout.write(f"{summary['cpu_s']} s of CPU\n")
    return 1 if failed else 0


def _add(totals: Counter[str], outcome: Outcome) -> None:
    totals["seeds"] += 1
    totals["violations"] += bool(outcome.violation)
    totals["virtual_s"] += round(outcome.virtual_s)
    for name in ("steps", "orders", "fills", "signals", "decisions", "crashes", "reboots"):
        totals[name] += getattr(outcome, name)
    totals["compared"] += outcome.compared


def _line(totals: Counter[str]) -> str:
    return "  ".join(f"{name}={count}" for name, count in totals.items())


def _explain(outcome: Outcome, params: WorldParams, given: argparse.Namespace) -> None:
    """Say what broke, by the fewest faults that still break it, and how to see it again."""
    small = outcome if given.no_shrink else shrink(outcome, params)
    numbers = ",".join(line[1:].split(" ", 1)[0] for line in small.plan) or "none"
    write = sys.stderr.write
    write(f"\nseed {small.seed}: {small.violation}\n")
    for line in small.trace:
        write(f"  {line}\n")
    write(
        f"  again: python -m lowlat.world --seeds {small.seed} --seconds {small.seconds:g} "
        f"--only {numbers} --no-shrink\n\n"
    )


if __name__ == "__main__":
    sys.exit(main())
