"""`lowlat trace`: one order's life, stage by stage, with the signal and decision behind it."""

import json
from typing import TYPE_CHECKING, Any

from lowlat.cli.main import Instance, Json, Subject, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from lowlat.cli._evidence import Evidence
    from lowlat.core.layout import OrderRow

_STAGES = (
    ("recv_ns", "market message received"),
    ("decoded_ns", "decoded"),
    ("published_ns", "book published"),
    ("decided_ns", "module decided"),
    ("checked_ns", "risk checked"),
    ("sent_ns", "order written to the socket"),
    ("acked_ns", "venue answered"),
    ("filled_ns", "last fill heard"),
)


@app.command(epilog="Examples: lowlat trace last | lowlat trace 0x3fa9 --json")
def trace(
    subject: Subject,
    *,
    instance: Instance = "demo",
    as_json: Json = False,
) -> None:
    """Take one order apart: time of each stage, its signal, its decision, its fills."""
    from lowlat.cli._evidence import gather
    from lowlat.cli._subjects import find

    evidence = gather(instance)
    row = find(evidence, subject, "trace").order
    if row is None:
        raise ConfigError(
            f"trace: instance {instance!r} has no order of {subject!r} ({evidence.source})"
        )
    result = _describe(evidence, row)
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        _print(result)


def _describe(evidence: "Evidence", row: "OrderRow") -> dict[str, Any]:
    from lowlat.core.layout import Action, OrderState, OrderType

    times = [(words, at) for key, words in _STAGES if (at := getattr(row, key))]
    first_ns = times[0][1] if times else 0
    stages, before_ns = [], first_ns
    for words, at_ns in times:
        stages.append(
            {"stage": words, "since_recv_ns": at_ns - first_ns, "step_ns": at_ns - before_ns}
        )
        before_ns = at_ns
    return {
        "order_id": "0x" + row.order_id.hex(),
        "state": _name(OrderState, row.state),
        "module": row.module.rstrip(b"\0").decode("ascii", "replace"),
        "market": evidence.market_name(row),
        "token": str(int.from_bytes(row.token_id, "big")),
        "outcome": "YES" if not row.instrument & 1 else "NO",
        "action": _name(Action, row.action),
        "type": _name(OrderType, row.order_type),
        "price_e4": row.price_e4,
        "size_e6": row.size_e6,
        "filled_e6": row.filled_e6,
        "confirmed_e6": row.confirmed_e6,
        "cash_e6": row.cash_e6,
        "fee_e6": row.fee_e6,
        "group": row.group,
        "leg": row.leg,
        "legs": row.legs,
        "reason": row.reason,
        "stages": stages,
        "signal": _signal(evidence, row),
        "decision": _decision(evidence, row),
        "reports": _reports(evidence, row, first_ns),
        "source": evidence.source,
    }


def _name(kind: Any, value: int) -> str:
    return kind(value).name if value in kind.__members__.values() else str(value)


def _signal(evidence: "Evidence", row: "OrderRow") -> dict[str, Any] | None:
    from lowlat.cli._subjects import signal_of

    signal = signal_of(evidence, row)
    if signal is None:
        return None
    return {
        "confidence": signal.confidence,
        "expected_value": signal.expected_value,
        "size_suggestion_e6": signal.size_suggestion_e6,
        "limit_price_e4": signal.limit_price_e4,
        "metadata": json.loads(signal.metadata[: signal.metadata_bytes] or b"{}"),
    }


def _decision(evidence: "Evidence", row: "OrderRow") -> dict[str, Any] | None:
    from lowlat.app.activity import rule_name
    from lowlat.cli._rules import explain

    # Ids begin anew after a reboot; the time tells lives apart.
    found = next(
        (
            each
            for each in reversed(evidence.decisions)
            if each.signal == row.signal and each.decided_ns == row.decided_ns
        ),
        None,
    )
    if found is None:
        return None
    return {
        "rule": rule_name(found.rule),
        "approved": bool(found.approved),
        "size_suggestion_e6": found.size_suggestion_e6,
        "size_e6": found.size_e6,
        "expected_value": found.expected_value,
        "why": explain(found) if found.rule else "within every limit",
    }


def _reports(evidence: "Evidence", row: "OrderRow", first_ns: int) -> list[dict[str, Any]]:
    from lowlat.core.layout import ReportKind

    return [
        {
            "kind": _name(ReportKind, each.kind),
            "since_recv_ns": each.at_ns - first_ns,
            "price_e4": each.price_e4,
            "size_e6": each.size_e6,
            "cash_e6": each.cash_e6,
            "fee_e6": each.fee_e6,
            "trade": each.trade_text.rstrip(b"\0").decode("utf-8", "replace"),
        }
        for each in sorted(evidence.reports, key=lambda each: each.at_ns)
        if each.order_id == row.order_id
    ]


def _risk_words(decision: dict[str, Any]) -> str:
    from lowlat.cli._words import shares

    if not decision["approved"]:
        return f"refused by {decision['rule']}: {decision['why']}"
    if decision["rule"] == "approved":
        return "approved, within every limit"
    size = f"{shares(decision['size_suggestion_e6'])} to {shares(decision['size_e6'])}"
    return f"approved, cut from {size} by {decision['rule']}: {decision['why']}"


def _print(result: dict[str, Any]) -> None:
    from lowlat.cli._words import dollars, duration, price, shares

    print(f"order   {result['order_id']}  {result['state']}")
    print(
        f"        {result['action']} {shares(result['size_e6'])} {result['outcome']} at "
        f"{price(result['price_e4'])} ({result['type']}) in {result['market']}"
    )
    print(
        f"        filled {shares(result['filled_e6'])} for {dollars(result['cash_e6'])}, fee "
        f"{dollars(result['fee_e6'])}; settled {shares(result['confirmed_e6'])}"
    )
    if result["group"]:
        print(f"        leg {result['leg'] + 1} of {result['legs']} of group {result['group']:#x}")
    signal = result["signal"]
    print(f"signal  {result['module']}" + ("" if signal else " (not kept)"))
    if signal:
        print(
            f"        worth ${signal['expected_value']:.4f}, confidence {signal['confidence']:.2f},"
            f" wanted {shares(signal['size_suggestion_e6'])}"
        )
        print("        " + "  ".join(f"{key} {value}" for key, value in signal["metadata"].items()))
    decision = result["decision"]
    print(f"risk    {_risk_words(decision)}" if decision else "risk    not found")
    print("\n  since message       step")
    for stage in result["stages"]:
        since, step = duration(stage["since_recv_ns"]), duration(stage["step_ns"])
        print(f"  {since:>13} {step:>10}  {stage['stage']}")
    if result["reports"]:
        print("\nreports")
    for report in result["reports"]:
        size = f"{shares(report['size_e6'])} at {price(report['price_e4'])}"
        detail = size if report["size_e6"] else ""
        print(f"  {duration(report['since_recv_ns']):>13}  {report['kind'].lower():<12} {detail}")
    print(f"\nfrom {result['source']}")
