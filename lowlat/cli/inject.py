"""`lowlat inject`: a synthetic opportunity through the whole path, to see that it works."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import EXIT_FAILED, Instance, Json, app

if TYPE_CHECKING:
    from lowlat.app.inject import Journey

_E6 = 1_000_000
_E4 = 10_000


@app.command(epilog="Examples: lowlat inject | lowlat inject btc-updown --no --shares 20 --json")
def inject(
    market: Annotated[
        str, typer.Argument(help="Part of a market's name; default: the tightest that risk allows.")
    ] = "",
    instance: Instance = "demo",
    *,
    no: Annotated[bool, typer.Option("--no", help="Buy NO instead of YES.")] = False,
    shares: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    price: Annotated[
        float | None, typer.Option(min=0.0001, max=0.9999, help="Limit; default: the best offer.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to follow it.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Buy something for no reason but to try the path: signal, risk, executor, venue, answer.

    It trades simulated money, counts as module "inject" everywhere, and is refused in live. Exit
    0: the venue gave its final word. 1: stopped on the way; says where and by which rule.
    """
    from lowlat.app.inject import inject as send
    from lowlat.app.wish import Wish
    from lowlat.core.units import NO_PRICE_E4

    price_e4 = NO_PRICE_E4 if price is None else round(price * _E4)
    journey = send(instance, Wish(market, int(no), shares * _E6, price_e4), seconds)
    shown = _shown(journey)
    if as_json:
        print(json.dumps(shown))
    else:
        _print(shown)
    if not journey.arrived:
        raise typer.Exit(EXIT_FAILED)


def _shown(journey: "Journey") -> dict[str, Any]:
    from lowlat.app.activity import rule_name
    from lowlat.core.layout import OrderState

    decision, order = journey.decision, journey.order
    stages: dict[str, int] = {}
    if decision is not None:
        stages["decided"] = decision.decided_ns - journey.injected_ns
        stages["checked"] = decision.checked_ns - journey.injected_ns
    if order is not None:
        for name in ("sent", "acked", "filled"):
            at_ns = getattr(order, f"{name}_ns")
            if at_ns:
                stages[name] = at_ns - journey.injected_ns
    return {
        "ok": journey.arrived,
        "record": journey.record,
        "market": journey.market,
        "outcome": "NO" if journey.outcome else "YES",
        "price_e4": journey.price_e4,
        "size_e6": journey.size_e6,
        "rule": rule_name(decision.rule) if decision is not None else None,
        "approved": bool(decision is not None and decision.approved),
        "order": "0x" + order.order_id.hex() if order is not None else None,
        "state": OrderState(order.state).name if order is not None else None,
        "filled_e6": order.filled_e6 if order is not None else 0,
        "after_ns": stages,
    }


def _print(shown: dict[str, Any]) -> None:
    from lowlat.cli._words import duration, price, shares

    print(
        f"injected: BUY {shares(shown['size_e6'])} {shown['outcome']} of {shown['market']} "
        f"at {price(shown['price_e4'])}"
    )
    if shown["rule"] is None:
        print("no decision came: are signals and risk at work? lowlat ctl status")
    else:
        print(f"risk: {'approved' if shown['approved'] else 'refused'} ({shown['rule']})")
    if shown["order"] is not None:
        print(f"order {shown['order']}: {shown['state']}, {shares(shown['filled_e6'])} filled")
    elif shown["approved"]:
        print("approved, but no order was written: lowlat why inject")
    for name, after_ns in shown["after_ns"].items():
        print(f"  {name:<8} after {duration(after_ns)}")
