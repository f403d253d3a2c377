"""Let modules trade simulated scenarios and say what became of it, by module.

Each scenario runs in the deterministic world (virtual clock, production engines, no faults) with
the shipped defaults of every module, accounts as ``module_account`` keeps them. Scenarios of days
are lived through a minute a day, in between the machine sleeps and the crowd is at home.
``python tools/module_table.py --help``.
"""

import argparse
import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from module_account import MARKS_S, Account, Score

from lowlat.core.units import E6
from lowlat.sim.scenarios import read_scenario
from lowlat.world.settings import WorldParams
from lowlat.world.world import World

__all__ = ["PLANS", "Plan", "Seed", "main", "run_seed"]

S_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * S_NS
MODULES: Final = ("arbitrage", "bonds", "latency", "rebates")
BANKROLL_USD: Final = 10_000
"""All that the simulated account holds."""
OWN: Final = {"bonds": {"bankroll_usd": float(BANKROLL_USD)}}
"""What a module cannot know by itself."""
T_95: Final = 1.73
"""One-sided 95 % of Student's t at 19 degrees of freedom: 20 seeds."""


class Plan(NamedTuple):
    """How much of a scenario is lived through."""

    seeds: int
    seconds: int
    """Of each day."""
    days: int = 1
    modules: tuple[str, ...] = MODULES
    scenario: str = ""
    """Of the simulator, when it is not the row's own name."""
    own: dict[str, dict[str, Any]] = {}  # noqa: RUF012  a default of a NamedTuple, never changed
    """Parameters that differ from the shipped ones: what is off by default."""


TAKERS: Final = ("arbitrage", "bonds", "latency")
"""A maker's own bids would stand in the way of what is planted."""
PASSIVE: Final = {"arbitrage": {"passive": True}}
PLANS: Final = {
    "null": Plan(20, 90),
    "neg-risk": Plan(2, 60, 1, TAKERS),
    "neg-risk-sell": Plan(2, 60, 1, TAKERS),
    "strikes": Plan(2, 60, 1, TAKERS),
    "latency": Plan(2, 60, 1, TAKERS),
    "makers": Plan(2, 120),
    "bonds": Plan(2, 60, 14, ("bonds", "rebates")),
    "passive": Plan(4, 60, 1, ("arbitrage",), own=PASSIVE),
    "null-passive": Plan(20, 90, 1, ("arbitrage",), "null", PASSIVE),
}


class Seed(msgspec.Struct):
    """What one seed of a scenario brought."""

    seed: int
    violation: str
    days: int
    scores: dict[str, Score]
    edges: dict[str, dict[str, float]]


def run_seed(scenario: str, seed: int, plan: Plan, modules: dict[str, dict[str, Any]]) -> Seed:
    """Let one seed of a scenario live as long as planned."""
    scenario = plan.scenario or scenario
    coins = tuple(read_scenario(scenario).get("coins", ("BTC",)))
    params = WorldParams(
        scenario=scenario,
        modules=modules,
        kinds=(),
        coins=coins,
        markets=24,
        neg_risk_events=4,
        bankroll_e6=BANKROLL_USD * E6,
        ledger_every=0,
    )
    with World(seed, params) as world:
        account = Account(world, world.wallet)
        violation = ""
        try:
            for day in range(plan.days):
                if day:
                    world.sleep(DAY_NS - plan.seconds * S_NS)
                start_ns = world.now_ns
                for second in range(1, plan.seconds + 1):
                    world.live(start_ns + second * S_NS)
                    account.look(world.now_ns)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is the finding
            violation = f"{type(error).__name__}: {error}"
        return Seed(seed, violation, plan.days, account.close(), account.edges())


def _job(given: tuple[str, int, Plan, dict[str, dict[str, Any]]]) -> Seed:
    return run_seed(*given)


# ------------------------------------------------------------------------------- the table
def _t(values: list[float]) -> float:
    """Return Student's t of the mean against 0."""
    count = len(values)
    mean = sum(values) / count
    spread = math.sqrt(sum((each - mean) ** 2 for each in values) / max(1, count - 1))
    return mean / (spread / math.sqrt(count)) if spread else 0.0


def summarize(scenario: str, seeds: list[Seed], modules: tuple[str, ...]) -> list[dict[str, Any]]:
    """Add the seeds of one scenario up, a row a module."""
    rows = []
    for module in modules:
        scores = [seed.scores.get(module, Score()) for seed in seeds]
        marks = {}
        for after_s in MARKS_S:
            shares = sum(score.marks[after_s][0] for score in scores)
            gain = sum(score.marks[after_s][1] for score in scores)
            marks[after_s] = gain / shares if shares else None
        profits = [score.profit for score in scores]
        rows.append(
            {
                "scenario": scenario,
                "module": module,
                "seeds": len(seeds),
                "signals": sum(score.signals for score in scores),
                "orders": sum(score.orders for score in scores),
                "fills": sum(score.fills for score in scores),
                "promised": sum(score.promised for score in scores),
                "profit": sum(profits),
                "fees": sum(score.fees for score in scores),
                "income": sum(score.rebates + score.rewards for score in scores),
                "t": _t(profits),
                "marks": marks,
            }
        )
    return rows


def as_text(rows: list[dict[str, Any]], edges: dict[str, dict[str, dict[str, float]]]) -> str:
    """Write both tables in Markdown."""
    heads = (
        *("scenario", "seeds", "module", "signals", "orders", "fills", "promised", "net P&L"),
        *("t", "fees", "paid for standing", *(f"{each} s" for each in MARKS_S)),
    )
    lines = [f"| {' | '.join(heads)} |", "|---|--:|---|" + "--:|" * (len(heads) - 3)]
    for row in rows:
        marks = [
            "-" if row["marks"][each] is None else f"{100 * row['marks'][each]:+.2f} c"
            for each in MARKS_S
        ]
        lines.append(
            f"| {row['scenario']} | {row['seeds']} | {row['module']} | {row['signals']} "
            f"| {row['orders']} | {row['fills']} | {row['promised']:.2f} | {row['profit']:+.2f} "
            f"| {row['t']:+.1f} | {row['fees']:.2f} | {row['income']:.2f} "
            f"| {' | '.join(marks)} |"
        )
    lines += [
        "",
        "| scenario | edge | planted | hit | known value | captured | of the rest |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for scenario, kinds in edges.items():
        for kind, total in kinds.items():
            value = total["value"]
            if value <= 0.0:
                continue
            lines.append(
                f"| {scenario} | {kind} | {total['planted']:.0f} | {total['hit']:.0f} "
                f"| ${value:.2f} | {100 * total['captured'] / value:.0f} % "
                f"| {_lost(total)} |"
            )
    return "\n".join(lines) + "\n"


def _lost(total: dict[str, float]) -> str:
    """Tell where what was not captured went, the largest part first."""
    parts = {key.removeprefix("lost: "): each for key, each in total.items() if "lost: " in key}
    value = total["value"]
    shown = sorted(parts.items(), key=lambda each: -abs(each[1]))
    told = [f"{why} {100 * part / value:.0f} %" for why, part in shown if abs(part) > value / 200]
    return ", ".join(told)


def main() -> int:
    """Run the seeds, print or write the table; 1 when a module wins where it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", default=",".join(PLANS))
    parser.add_argument("--modules", default=",".join(MODULES))
    parser.add_argument("--params", default="{}", help='JSON, e.g. {"latency": {"edge_min": 0.02}}')
    parser.add_argument("--seeds", type=int, help="of each scenario, instead of its own number")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=Path, help="keep the rows here; those it holds are not run")
    parser.add_argument("--out", type=Path, help="put the table between this file's marks")
    given = parser.parse_args()
    modules = tuple(given.modules.split(","))
    params = json.loads(given.params)
    settings = {name: OWN.get(name, {}) | params.get(name, {}) for name in modules}
    kept = json.loads(given.rows.read_text()) if given.rows and given.rows.exists() else {}
    with ProcessPoolExecutor(given.jobs) as pool:
        for scenario in given.scenarios.split(","):
            known = kept.setdefault(scenario, {})
            plan = PLANS[scenario]
            seeds = range(1, (given.seeds or plan.seeds) + 1)
            chosen = {
                name: plan.own.get(name, {}) | settings[name]
                for name in plan.modules
                if name in settings
            }
            jobs = [(scenario, each, plan, chosen) for each in seeds if str(each) not in known]
            for seed in pool.map(_job, jobs):
                known[str(seed.seed)] = msgspec.to_builtins(seed)
                sys.stderr.write(f"{scenario} seed {seed.seed} {seed.violation or 'ok'}\n")
                if given.rows:
                    given.rows.write_text(json.dumps(kept))
    return _print(given, kept, modules)


def _print(given: argparse.Namespace, kept: dict[str, Any], modules: tuple[str, ...]) -> int:
    rows: list[dict[str, Any]] = []
    edges: dict[str, dict[str, dict[str, float]]] = {}
    broken = []
    for scenario in given.scenarios.split(","):
        seeds = [msgspec.convert(each, Seed, strict=False) for each in kept[scenario].values()]
        broken += [
            f"{scenario} seed {each.seed}: {each.violation}" for each in seeds if each.violation
        ]
        at_work = tuple(each for each in modules if each in PLANS[scenario].modules)
        rows += summarize(scenario, seeds, at_work)
        for seed in seeds:
            for kind, total in seed.edges.items():
                into = edges.setdefault(scenario, {}).setdefault(kind, {})
                for key, value in total.items():
                    into[key] = into.get(key, 0.0) + value
    winners = [
        f"{row['module']} wins in the null market: t = {row['t']:.1f}"
        for row in rows
        if row["scenario"].startswith("null") and row["t"] > T_95
    ]
    if given.json:
        print(json.dumps({"rows": rows, "edges": edges, "problems": broken + winners}))
    else:
        print(as_text(rows, edges))
    if given.out:
        _fill_in(given.out, as_text(rows, edges))
    for problem in broken + winners:
        sys.stderr.write(problem + "\n")
    return 1 if broken or winners else 0


def _fill_in(path: Path, table: str) -> None:
    """Put the table between the marks of a Markdown file."""
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise SystemExit(f"{path} has no {begin.strip()} … {end}: nothing was written")
    path.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
