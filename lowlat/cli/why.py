"""`lowlat why`: why each opportunity was, or was not, taken."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import Instance, Json, app

if TYPE_CHECKING:
    from lowlat.cli._evidence import Evidence
    from lowlat.core.layout import DecisionRecord, MarketRow, OrderRow

_MISSES = 10
_UNPRICED_MAX = 20
_AGES_NS = (50_000, 200_000, 1_000_000, 10_000_000, 100_000_000, 2**63)
_NO_GATES = frozenset({"signals.emitted"})
_EXECUTOR_GATES = ("executor.dropped", "executor.rejects", "executor.breaker_trips")
"""What stops an approved signal."""


@app.command(epilog="Examples: lowlat why | lowlat why latency | lowlat why btc-updown --json")
def why(
    subject: Annotated[
        str | None,
        typer.Argument(metavar="[MARKET|MODULE]", help="Part of a market's name, or a module."),
    ] = None,
    *,
    instance: Instance = "demo",
    as_json: Json = False,
) -> None:
    """Show decisions by rule and the refusals that came closest to a trade.

    Reads the running instance and what it left on disk; it stops nobody.
    """
    from lowlat.cli._evidence import gather

    evidence = gather(instance)
    decisions = [each for each in evidence.decisions if _is_about(evidence, each, subject)]
    result = _summary(evidence, decisions) | {
        "gates": _gates(instance, subject),
        "unpriced": _unpriced(evidence, subject),
        "takes": _takes(evidence, subject),
        "markouts": _markouts(instance, subject),
    }
    if as_json:
        print(json.dumps(result, indent=1))
        return
    about = f" about {subject!r}" if subject else ""
    print(f"{result['count']:,} decisions{about}, from {evidence.source}")
    _print_around(result)
    if not decisions:
        return
    print("\nBy rule")
    for rule, number in result["rules"].items():
        share = 100 * number / result["count"]
        print(
            f"  {rule:<22}{number:>10,}  {share:5.1f} %  {result['words'].get(rule, '')}".rstrip()
        )
        if rule == "group_incomplete":
            for cause, legs in result["group_causes"].items():
                print(f"    because of {cause:<21}{legs:>7,}")
    print("\nClosest misses (refused, nearest to their limit)")
    for miss in result["misses"]:
        print(
            f"  {miss['module']:<10} {miss['market']:.40}  {miss['action']} at {miss['price']}  "
            f"worth ${miss['expected_value']:.4f}\n"
            f"    {miss['rule']}: {miss['why']} ({100 * miss['off_by']:.1f} % off)"
            + (f", and {miss['farther']:,} farther off" if miss["farther"] else "")
        )
    if not result["misses"]:
        print("  none: no refusal has a distance to its limit")


def _print_around(result: dict[str, Any]) -> None:
    """Print what is not a decision: stopped before one, not priced, and what became of orders."""
    if result["gates"]:
        print("\nStopped before a decision or after it (since the first start)")
    for gate, number in result["gates"].items():
        print(f"  {gate:<42}{number:>12,}")
    if result["unpriced"]:
        print("\nNot priced by any module")
    for name, words in result["unpriced"].items():
        print(f"  {name:<42}{words}")
    if result["takes"]:
        print("\nOrders that took, by age of the message they answered when they left")
    for take in result["takes"]:
        print(
            f"  {_age(take['age']):<16}{take['orders']:>8,} orders  {take['share_filled']:6.1%} of "
            "their shares filled"
        )
    if result["markouts"]:
        print("\nWhat a filled share was worth later (mid less price, fees apart), by the same age")
    for row in result["markouts"]:
        marks = "  ".join(
            f"after {after}: " + ("not marked" if cents is None else f"{cents:+.2f} c")
            for after, cents in row["cents"].items()
        )
        print(f"  {row['module']:<10} {_age(row['age']):<14}{marks}")


def _age(limit: str) -> str:
    """Say a class of ages by its upper end; the last one has none."""
    return "older" if limit == "ever" else f"below {limit}"


def _markouts(instance: str, subject: str | None) -> list[dict[str, Any]]:
    """Return what shares of taking orders gained later, in cents, by the age of their decision."""
    from lowlat.app.telemetry import Telemetry
    from lowlat.cli._words import duration
    from lowlat.store.markouts import AFTER_S, AGES_NS, markout_name

    counters = Telemetry(instance).read().counters
    modules = {name.split(".")[1] for name in counters if name.startswith("markout.")}
    found = []
    for module in sorted(modules if subject is None else modules & {subject}):
        for limit_ns in AGES_NS:
            marks: dict[str, float | None] = {}
            unmarked_e6 = 0
            for after_s in AFTER_S:
                name = markout_name(module, after_s, limit_ns)
                shares_e6 = counters.get(f"{name}.shares_e6", 0)
                gain_e6 = counters.get(f"{name}.gain_e6", 0) - counters.get(f"{name}.loss_e6", 0)
                marks[f"{after_s} s"] = 100 * gain_e6 / shares_e6 if shares_e6 else None
                unmarked_e6 += counters.get(f"{name}.unmarked_e6", 0)
            if unmarked_e6 or any(mark is not None for mark in marks.values()):
                age = "ever" if limit_ns == AGES_NS[-1] else duration(limit_ns)
                found.append(
                    {"module": module, "age": age, "cents": marks, "unmarked_e6": unmarked_e6}
                )
    return found


def _gates(instance: str, subject: str | None) -> dict[str, int]:
    """Return what modules and executor counted as not done; of one module when it is named."""
    from lowlat.app.telemetry import Telemetry

    counters = Telemetry(instance).read().counters
    wanted = (f"signals.{subject}.",) if subject else ("signals.", *_EXECUTOR_GATES)
    found = {
        name: number
        for name, number in counters.items()
        if number and name.startswith(wanted) and name not in _NO_GATES
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _unpriced(evidence: "Evidence", subject: str | None) -> dict[str, str]:
    """Return price markets that nobody can price, and why; only of a subject, they are many."""
    from lowlat.cli._evidence import slug_of
    from lowlat.cli._views import unpriced

    if subject is None:
        return {}
    found = {
        slug_of(row): ", ".join(unpriced(row))
        for row in evidence.markets.values()
        if unpriced(row) and _is_row(row, subject)
    }
    return dict(sorted(found.items())[:_UNPRICED_MAX])


def _takes(evidence: "Evidence", subject: str | None) -> list[dict[str, Any]]:
    """Return how much of what taking orders asked for was filled, by their age.

    The age is from the message that caused the decision to the write: what a maker who sees the
    same message has to move first. Source: feeds.md 6.2 (fills by decision age).
    """
    from lowlat.cli._words import duration
    from lowlat.core.layout import OrderState, OrderType

    open_states = {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
    sums = {limit_ns: [0, 0, 0] for limit_ns in _AGES_NS}
    for order in evidence.orders.values():
        taking = order.order_type in {OrderType.FAK, OrderType.FOK} and order.size_e6 > 0
        done = order.state not in open_states and order.recv_ns and order.sent_ns
        if not (taking and done and _is_order_about(evidence, order, subject)):
            continue
        age_ns = order.sent_ns - order.recv_ns
        found = sums[next(limit_ns for limit_ns in _AGES_NS if age_ns < limit_ns)]
        found[0] += 1
        found[1] += order.size_e6
        found[2] += order.filled_e6
    return [
        {
            "age": "ever" if limit_ns == _AGES_NS[-1] else duration(limit_ns),
            "orders": orders,
            "share_filled": filled_e6 / size_e6,
        }
        for limit_ns, (orders, size_e6, filled_e6) in sums.items()
        if orders
    ]


def _is_order_about(evidence: "Evidence", order: "OrderRow", subject: str | None) -> bool:
    if subject is None or subject == order.module.rstrip(b"\0").decode("ascii", "replace"):
        return True
    row = evidence.market_of(order)
    return row is not None and _is_row(row, subject)


def _module(decision: "DecisionRecord") -> str:
    return decision.module.rstrip(b"\0").decode("ascii", "replace")


def _is_about(evidence: "Evidence", decision: "DecisionRecord", subject: str | None) -> bool:
    if subject is None or subject == _module(decision):
        return True
    row = evidence.market_of(decision)
    if subject == str(decision.instrument >> 1):
        return True
    return row is not None and _is_row(row, subject)


def _is_row(row: "MarketRow", subject: str) -> bool:
    if subject.lower().startswith("0x"):
        return row.condition_id.hex().startswith(subject.lower()[2:])
    texts = (row.slug, row.question)
    return any(subject.lower() in text.decode("utf-8", "replace").lower() for text in texts)


def _summary(evidence: "Evidence", decisions: list["DecisionRecord"]) -> dict[str, Any]:
    from collections import Counter

    from lowlat.app.activity import rule_name
    from lowlat.cli._rules import MEANINGS
    from lowlat.core.layout import Rule

    rules = Counter(
        rule_name(Rule.CUT if each.approved and each.rule else each.rule) for each in decisions
    )
    return {
        "instance_source": evidence.source,
        "count": len(decisions),
        "rules": dict(rules.most_common()),
        "group_causes": _group_causes(evidence, decisions),
        "words": {rule_name(number): words for number, words in MEANINGS.items()},
        "misses": _misses(evidence, decisions),
    }


def _group_causes(evidence: "Evidence", decisions: list["DecisionRecord"]) -> dict[str, int]:
    """Return which rule refused the leg that took all others of its group along, by legs taken."""
    from collections import Counter, defaultdict

    from lowlat.app.activity import rule_name
    from lowlat.core.layout import Rule

    causes: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for each in evidence.decisions:
        if each.group and not each.approved and each.rule != Rule.GROUP_INCOMPLETE:
            causes[each.group].append((each.checked_ns, rule_name(each.rule)))
    found: Counter[str] = Counter()
    for each in decisions:
        if each.rule == Rule.GROUP_INCOMPLETE:
            at_ns = each.checked_ns
            # A group's number may come again after a reboot: its own leg is the nearest in time.
            near = min(causes[each.group], key=lambda cause: abs(cause[0] - at_ns), default=None)
            found[near[1] if near else "a leg that never came"] += 1
    return dict(found.most_common())


def _misses(evidence: "Evidence", decisions: list["DecisionRecord"]) -> list[dict[str, Any]]:
    """Return the refusals nearest to their limit, each module, market and rule once."""
    from lowlat.app.activity import rule_name
    from lowlat.cli._rules import explain, nearness
    from lowlat.cli._words import price
    from lowlat.core.layout import Action

    near = [(off, each) for each in decisions if (off := nearness(each)) is not None]
    near.sort(key=lambda pair: pair[0])
    nearest: dict[tuple[bytes, int, int], dict[str, Any]] = {}
    for off, each in near:
        key = (each.module, each.instrument, each.rule)
        if key in nearest:
            nearest[key]["farther"] += 1
            continue
        nearest[key] = {
            "module": _module(each),
            "market": evidence.market_name(each),
            "outcome": "YES" if not each.instrument & 1 else "NO",
            "action": Action(each.action).name,
            "price": price(each.limit_price_e4),
            "expected_value": each.expected_value,
            "rule": rule_name(each.rule),
            "limit": each.limit,
            "was": each.was,
            "why": explain(each),
            "off_by": off,
            "farther": 0,
        }
    return list(nearest.values())[:_MISSES]
