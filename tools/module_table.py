"""Let modules trade simulated scenarios and say what became of it, by module.

Each scenario runs in the deterministic world (virtual clock, production engines, no faults) with
the shipped defaults of every module. What a module holds at the end is valued at what the simulator
knows: the result of markets that ended, the hidden chance of the others. So P&L is the edge
itself, without the noise of single coin flips. ``python tools/module_table.py --help``.
"""

import argparse
import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from lowlat.core.layout import REPORT, SIGNAL, Action, ReportKind
from lowlat.core.ports import EMPTY
from lowlat.core.units import E6
from lowlat.sim.quotes import fair_chance
from lowlat.sim.venue import Venue
from lowlat.world.settings import WorldParams
from lowlat.world.world import World

__all__ = ["Score", "Seed", "main", "run_seed"]

S_NS: Final = 1_000_000_000
MARKS_S: Final = (5, 30)
MODULES: Final = ("arbitrage", "bonds", "latency", "rebates")
SCENARIOS: Final = ("null", "neg-risk", "neg-risk-sell", "strikes", "latency", "bonds", "makers")
T_95: Final = 2.09
"""Two-sided 95 % of Student's t at 19 degrees of freedom: 20 seeds."""


class Score(msgspec.Struct):
    """One module in one seed. Money in dollars, markouts in dollars a share."""

    signals: int = 0
    orders: int = 0
    fills: int = 0
    shares: float = 0.0
    promised: float = 0.0
    """Expected value of what was filled, by the share that was."""
    paid: float = 0.0
    fees: float = 0.0
    worth: float = 0.0
    rebates: float = 0.0
    marks: dict[int, list[float]] = msgspec.field(
        default_factory=lambda: {each: [0.0, 0.0] for each in MARKS_S}
    )
    """Seconds after a fill: shares, and the sum of gains against the hidden chance."""

    @property
    def profit(self) -> float:
        """Return net P&L without rebates, which the venue pays later."""
        return self.worth - self.paid - self.fees


class Seed(msgspec.Struct):
    """What one seed of a scenario brought."""

    seed: int
    violation: str
    seconds: float
    scores: dict[str, Score]
    edges: dict[str, dict[str, int]]


class _Due(NamedTuple):
    at_ns: int
    after_s: int
    token: tuple[int, int]
    price: float
    shares: float
    buys: bool
    module: str


class Ledger:
    """Reads along what engines say and keeps each module's account."""

    def __init__(self, world: World) -> None:
        self._world = world
        memory = world.node.memory
        self._signals = memory.open_stream_reader("signals", position=1)
        self._reports = memory.open_stream_reader("reports", position=1)
        self._worth: dict[int, tuple[float, int]] = {}
        """Signal decided at -> expected value and wished shares."""
        self._of_intent: dict[int, tuple[float, int]] = {}
        self._shares: dict[tuple[str, int], int] = {}
        self._due: list[_Due] = []
        self.scores: dict[str, Score] = {}
        self._by_instrument: dict[int, tuple[int, int]] = {}

    def score(self, module: str) -> Score:
        """Return the account of a module, empty when it is new."""
        return self.scores.setdefault(module, Score())

    def look(self, now_ns: int) -> None:
        """Take in what was said; mark fills whose time came."""
        while self._signals.poll() != EMPTY:
            signal = SIGNAL.unpack(self._signals.buffer)
            if not signal.size_suggestion_e6:
                continue
            self.score(_name(signal.module)).signals += 1
            key = signal.instrument << 64 | signal.decided_ns
            self._worth[key] = signal.expected_value, signal.size_suggestion_e6
        while (kind := self._reports.poll()) != EMPTY:
            assert kind == REPORT.kind, "reports were lost: look more often"
            self._take(now_ns)
        kept = []
        for due in self._due:
            if now_ns < due.at_ns:
                kept.append(due)
                continue
            mark = self.score(due.module).marks[due.after_s]
            gain = self._value(due.token) - due.price
            mark[0] += due.shares
            mark[1] += gain * due.shares * (1 if due.buys else -1)
        self._due = kept

    def _take(self, now_ns: int) -> None:
        report = REPORT.unpack(self._reports.buffer)
        module = _name(report.module)
        if not module:
            return
        score = self.score(module)
        if report.kind == ReportKind.SENDING:
            score.orders += 1
            row = self._order(report.order_row, report.intent)
            if row is not None:
                key = report.instrument << 64 | row
                self._of_intent[report.intent] = self._worth.get(key, (0.0, 1))
        elif report.kind in (ReportKind.FILL, ReportKind.FAILED):
            self._fill(report, score, module, now_ns)

    def _order(self, row: int, intent: int) -> int | None:
        """Return when the signal behind an order was decided."""
        executor = self._world.node.fused
        order = executor.trading.executor.desk.by_id.get(intent) if executor is not None else None
        del row
        return order.decided_ns if order is not None else None

    def _fill(self, report: Any, score: Score, module: str, now_ns: int) -> None:
        sign = 1 if report.kind == ReportKind.FILL else -1
        buys = report.action == Action.BUY
        moved = sign * (1 if buys else -1)
        score.paid += moved * report.cash_e6 / E6
        score.fees += sign * report.fee_e6 / E6
        key = module, report.instrument
        self._shares[key] = self._shares.get(key, 0) + moved * report.size_e6
        if sign < 0:
            return
        shares = report.size_e6 / E6
        score.fills += 1
        score.shares += shares
        value, wished_e6 = self._of_intent.get(report.intent, (0.0, 1))
        score.promised += value * report.size_e6 / wished_e6
        token = self._token(report.instrument)
        market = self._world.venue.exchange.markets[token[0]]
        if not report.fee_e6:
            # A maker's: its part of the taker's fee, paid at the end of the day.
            price = report.price_e4 / 1e4
            rate = market.rules.fee_rate_e4 / 1e4
            score.rebates += market.rules.rebate * rate * price * (1.0 - price) * shares
        for after_s in MARKS_S:
            self._due.append(
                _Due(
                    now_ns + after_s * S_NS,
                    after_s,
                    token,
                    report.price_e4 / 1e4,
                    shares,
                    buys,
                    module,
                )
            )

    def _token(self, instrument: int) -> tuple[int, int]:
        """Return the venue's market and outcome of an instrument, found while its row stands."""
        found = self._by_instrument.get(instrument)
        if found is None:
            fused = self._world.node.fused
            assert fused is not None, "an engine that is down filled an order"
            row = fused.trading.signals.instruments.markets[instrument >> 1]
            token = row.no_token_id if instrument & 1 else row.yes_token_id
            text = str(int.from_bytes(token, "big"))
            for market in self._world.venue.exchange.markets:
                if text in market.tokens:
                    found = market.index, market.tokens.index(text)
            assert found is not None, f"no market of the venue has token {text}"
            self._by_instrument[instrument] = found
        return found

    def _value(self, token: tuple[int, int]) -> float:
        return _value(self._world.venue, *token)

    def close(self) -> dict[str, Score]:
        """Value what is held and return every account."""
        for (module, instrument), shares_e6 in self._shares.items():
            worth = self._value(self._token(instrument)) * shares_e6 / E6
            self.score(module).worth += worth
        return self.scores


def _name(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()


def _value(venue: Venue, index: int, outcome: int) -> float:
    """Return what a share is worth: its payout, else its hidden chance."""
    market = venue.exchange.markets[index]
    if market.winner is not None:
        return float(market.winner == outcome)
    if market.coin:
        chance = fair_chance(market, venue.spots[market.coin], venue.now_ns)
    else:
        chance = venue.universe.fair[index]
    return chance if outcome == 0 else 1.0 - chance


def run_seed(scenario: str, seed: int, seconds: float, modules: dict[str, dict[str, Any]]) -> Seed:
    """Let one seed of a scenario live for so long."""
    params = WorldParams(
        scenario=scenario,
        modules=modules,
        kinds=(),
        markets=24,
        neg_risk_events=4,
    )
    with World(seed, params) as world:
        ledger = Ledger(world)
        violation = ""
        try:
            for second in range(1, math.ceil(seconds) + 1):
                world.live(second * S_NS)
                ledger.look(second * S_NS)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is the finding
            violation = f"{type(error).__name__}: {error}"
        report = world.venue.report()
        return Seed(seed, violation, seconds, ledger.close(), report.get("edges", {}))


def _job(given: tuple[str, int, float, dict[str, dict[str, Any]]]) -> Seed:
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
        profits = [score.profit + score.rebates for score in scores]
        rows.append(
            {
                "scenario": scenario,
                "module": module,
                "seeds": len(seeds),
                "hours": sum(seed.seconds for seed in seeds) / 3600,
                "signals": sum(score.signals for score in scores),
                "orders": sum(score.orders for score in scores),
                "fills": sum(score.fills for score in scores),
                "promised": sum(score.promised for score in scores),
                "profit": sum(profits),
                "fees": sum(score.fees for score in scores),
                "rebates": sum(score.rebates for score in scores),
                "t": _t(profits),
                "marks": marks,
            }
        )
    return rows


def as_text(rows: list[dict[str, Any]], edges: dict[str, dict[str, dict[str, float]]]) -> str:
    """Write both tables in Markdown."""
    head = (
        "| scenario | seeds | module | signals | orders | fills | promised | net P&L | fees "
        "| rebates | t | 5 s | 30 s |"
    )
    lines = [
        head,
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        marks = [
            "-" if row["marks"][each] is None else f"{100 * row['marks'][each]:+.2f} c"
            for each in MARKS_S
        ]
        lines.append(
            f"| {row['scenario']} | {row['seeds']} | {row['module']} | {row['signals']} "
            f"| {row['orders']} | {row['fills']} | {row['promised']:.2f} | {row['profit']:+.2f} "
            f"| {row['fees']:.2f} "
            f"| {row['rebates']:.2f} | {row['t']:+.1f} | {marks[0]} | {marks[1]} |"
        )
    lines += [
        "",
        "| scenario | edge | planted | hit | known value | captured |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for scenario, kinds in edges.items():
        for kind, total in kinds.items():
            if not total["planted"]:
                continue
            share = total["captured_e6"] / total["value_e6"] if total["value_e6"] else 0.0
            lines.append(
                f"| {scenario} | {kind} | {total['planted']:.0f} | {total['hit']:.0f} "
                f"| ${total['value_e6'] / E6:.2f} | {100 * share:.0f} % |"
            )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the seeds, print or write the table; 1 when a module wins where it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--modules", default=",".join(MODULES))
    parser.add_argument("--params", default="{}", help='JSON, e.g. {"latency": {"edge_min": 0.02}}')
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=Path, help="keep the rows here; those it holds are not run")
    parser.add_argument("--out", type=Path, help="put the table between this file's marks")
    given = parser.parse_args()
    modules = tuple(given.modules.split(","))
    params = json.loads(given.params)
    settings = {name: params.get(name, {}) for name in modules}
    kept = json.loads(given.rows.read_text()) if given.rows and given.rows.exists() else {}
    with ProcessPoolExecutor(given.jobs) as pool:
        for scenario in given.scenarios.split(","):
            known = kept.setdefault(scenario, {})
            wanted = [each for each in range(1, given.seeds + 1) if str(each) not in known]
            jobs = [(scenario, each, given.seconds, settings) for each in wanted]
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
        rows += summarize(scenario, seeds, modules)
        for seed in seeds:
            for kind, total in seed.edges.items():
                into = edges.setdefault(scenario, {}).setdefault(kind, dict.fromkeys(total, 0.0))
                for key, value in total.items():
                    into[key] = into.get(key, 0.0) + value
    winners = [
        f"{row['module']} wins in the null market: t = {row['t']:.1f}"
        for row in rows
        if row["scenario"] == "null" and row["t"] > T_95
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
