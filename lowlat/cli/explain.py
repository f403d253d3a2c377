"""`lowlat explain`: why a module wanted something, what risk said, and what became of it."""

import json
from typing import TYPE_CHECKING, Any

from lowlat.cli.main import Instance, Json, Subject, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from lowlat.cli._evidence import Evidence
    from lowlat.core.layout import OrderRow, SignalRecord


@app.command(
    epilog="Examples: lowlat explain last | lowlat explain bonds | lowlat explain 0x3fa9 --json"
)
def explain(
    subject: Subject,
    *,
    instance: Instance = "demo",
    as_json: Json = False,
) -> None:
    """Tell one signal's story: its arithmetic in words, its decision, its orders, its result."""
    from lowlat.cli._evidence import gather
    from lowlat.cli._subjects import find

    evidence = gather(instance)
    found = find(evidence, subject, "explain")
    if found.signal is None:
        what = "has no signals" if found.order is None else "did not keep the signal of this order"
        raise ConfigError(f"explain: instance {instance!r} {what} ({evidence.source})")
    story = _story(evidence, found.signal)
    if as_json:
        print(json.dumps(story, indent=1))
    else:
        _print(story)


def _story(evidence: "Evidence", record: "SignalRecord") -> dict[str, Any]:
    from lowlat.app.activity import rule_name
    from lowlat.cli._book_words import book_of, group_of
    from lowlat.cli._rules import explain as explain_rule
    from lowlat.cli._subjects import orders_of
    from lowlat.core.layout import Urgency
    from lowlat.core.signal import decode_signal

    signal = decode_signal(record)
    row = evidence.market_of(record)
    decision = next(
        (
            each
            for each in reversed(evidence.decisions)
            if each.signal == record.id and each.decided_ns == record.decided_ns
        ),
        None,
    )
    question = row.question.rstrip(b"\0").decode("utf-8", "replace") if row else ""
    return {
        "signal": f"{record.id:#x}",
        "module": signal.module,
        "mode": ("shadow", "paper", "live")[record.mode] if record.mode < 3 else str(record.mode),
        "market": evidence.market_name(record),
        "question": question,
        "outcome": "NO" if record.instrument & 1 else "YES",
        "action": signal.action.name,
        "urgency": Urgency(record.urgency).name.lower(),
        "size_e6": signal.size_suggestion,
        "limit_price_e4": signal.limit_price_e4,
        "expected_value": signal.expected_value,
        "confidence": signal.confidence,
        "leg": signal.leg,
        "legs": signal.legs,
        "group": signal.group,
        "metadata": signal.metadata,
        "words": _words(signal, row),
        "decision": None
        if decision is None
        else {
            "rule": rule_name(decision.rule),
            "approved": bool(decision.approved),
            "size_suggestion_e6": decision.size_suggestion_e6,
            "size_e6": decision.size_e6,
            "why": explain_rule(decision) if decision.rule else "within every limit",
        },
        "book": book_of(evidence, record, row),
        "group_legs": group_of(evidence, record),
        "orders": [_order(each) for each in orders_of(evidence, record)],
        "source": evidence.source,
    }


def _words(signal: Any, row: Any) -> list[str]:
    """Let the module tell its own arithmetic; its numbers alone when it is not installed."""
    from importlib.metadata import entry_points

    from lowlat.signals.module import Module, load_modules

    kind = Module
    points = [each for each in entry_points(group="lowlat.signals") if each.name == signal.module]
    if row is not None and points:
        kind = load_modules([signal.module], points)[signal.module]
    try:
        return kind.describe(signal, row)
    except (KeyError, TypeError, ValueError) as error:
        # Written by another version of the module: its numbers are still worth showing.
        return [*Module.describe(signal, row), f"({signal.module} cannot tell it: {error!r})"]


def _order(order: "OrderRow") -> dict[str, Any]:
    from lowlat.core.layout import OrderState

    known = order.state in OrderState.__members__.values()
    return {
        "order_id": "0x" + order.order_id.hex(),
        "state": OrderState(order.state).name if known else str(order.state),
        "price_e4": order.price_e4,
        "size_e6": order.size_e6,
        "filled_e6": order.filled_e6,
        "cash_e6": order.cash_e6,
        "fee_e6": order.fee_e6,
    }


def _print(story: dict[str, Any]) -> None:
    from lowlat.cli._book_words import book_lines, group_lines, worth_lines
    from lowlat.cli._words import dollars, price, shares

    print(f"signal   {story['signal']}  {story['module']} ({story['mode']})")
    print(f"market   {story['market']}" + (f"  {story['question']}" if story["question"] else ""))
    if story["size_e6"]:
        print(
            f"wish     {story['action']} {shares(story['size_e6'])} {story['outcome']} at "
            f"{price(story['limit_price_e4'])} or better, {story['urgency']}; worth "
            f"${story['expected_value']:.4f}"
        )
    else:
        print(f"wish     nothing more rests for {story['outcome']}")
    if story["legs"] > 1:
        print(f"         leg {story['leg'] + 1} of {story['legs']} of group {story['group']:#x}")
    for number, line in enumerate(story["words"]):
        print(("because  " if not number else "         ") + line)
    for number, line in enumerate(group_lines(story["group_legs"])):
        print(("legs     " if not number else "         ") + line)
    for number, line in enumerate([*book_lines(story["book"]), *worth_lines(story)]):
        print(("book     " if not number else "         ") + line)
    decision = story["decision"]
    if decision is None:
        print("risk     not found")
    else:
        print(f"risk     {_risk_words(decision)}")
    for order in story["orders"]:
        print(
            f"order    {order['order_id'][:12]}  {order['state'].lower()}: filled "
            f"{shares(order['filled_e6'])} of {shares(order['size_e6'])} for "
            f"{dollars(order['cash_e6'])}, fee {dollars(order['fee_e6'])}"
        )
    print(f"\nfrom {story['source']}")


def _risk_words(decision: dict[str, Any]) -> str:
    from lowlat.cli._words import shares

    if not decision["approved"]:
        return f"refused by {decision['rule']}: {decision['why']}"
    size = shares(decision["size_e6"])
    if decision["rule"] == "approved":
        return f"approved {size}: {decision['why']}"
    if decision["rule"] == "cut":
        wanted = shares(decision["size_suggestion_e6"])
        return f"approved {size} of {wanted}: the next smaller size whose orders are signed ahead"
    return (
        f"approved {size} of {shares(decision['size_suggestion_e6'])}, cut by "
        f"{decision['rule']}: {decision['why']}"
    )
