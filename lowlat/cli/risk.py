"""`lowlat risk`: ask risk what it would do with an order, and why. Nothing is sent."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import EXIT_FAILED, EXIT_USAGE, Instance, Json, app

if TYPE_CHECKING:
    from lowlat.app.risk_check import Answer

_E6 = 1_000_000

risk = typer.Typer(
    name="risk",
    help="Ask risk what it would do. Change limits with: lowlat ctl set KEY=VALUE.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(risk)


@risk.callback()
def _group() -> None:
    """Keep `check` a subcommand while it is the only one."""


@risk.command(epilog="Example: lowlat risk check btc-updown-5m-1795305600 yes 0.55 100 --value 4")
def check(
    market: Annotated[str, typer.Argument(help="Number, name (or part of it) or condition id.")],
    side: Annotated[str, typer.Argument(metavar="yes|no|sell-yes|sell-no")],
    price: Annotated[float, typer.Argument(min=0.0001, max=0.9999, help="Limit of one share.")],
    size: Annotated[float, typer.Argument(min=0.000001, help="Shares.")],
    module: Annotated[str, typer.Option("--module", "-m", help="Whose order it is.")] = "manual",
    value: Annotated[
        float | None, typer.Option(help="Its expected value in dollars, net, for the whole size.")
    ] = None,
    instance: Instance = "demo",
    *,
    as_json: Json = False,
) -> None:
    """Say whether risk would send this order now, cut it or refuse it, and by which rules.

    Exit 0: it would be sent, whole or cut. 1: refused. Nothing is sent either way.
    """
    from lowlat.app.risk_check import risk_check
    from lowlat.app.wish import Wish
    from lowlat.core.layout import Action

    sides = {"yes": 0, "no": 1}
    word = side.lower().removeprefix("sell-")
    if word not in sides or not 0 < len(module) <= 16:
        print(f"lowlat risk: side was {side!r}, expected yes, no, sell-yes or sell-no")
        raise typer.Exit(EXIT_USAGE)
    action = Action.SELL if side.lower().startswith("sell-") else Action.BUY
    wish = Wish(market, sides[word], round(size * _E6), round(price * 10_000))
    answer = risk_check(instance, wish, action, module, value)
    shown = _shown(answer)
    if as_json:
        print(json.dumps(shown, indent=1))
    else:
        _print(shown, side, price, module)
    if not shown["approved"]:
        raise typer.Exit(EXIT_FAILED)


def _shown(answer: "Answer") -> dict[str, Any]:
    from lowlat.app.activity import rule_name
    from lowlat.cli._rules import explain

    decision = answer.decision
    return {
        "market": answer.row.slug.rstrip(b"\0").decode("ascii", "replace"),
        "generation": answer.generation,
        "approved": bool(decision.approved),
        "rule": rule_name(decision.rule),
        "why": explain(decision) if decision.rule else "no rule objects",
        "size_e6": decision.size_e6,
        "asked_e6": decision.size_suggestion_e6,
        "edge_judged": answer.judged_edge,
        "checks": [
            {
                "check": each.check,
                "verdict": _verdict(each, decision.size_suggestion_e6),
                "rule": rule_name(each.rule) if each.rule else None,
                "limit": each.limit if each.rule else None,
                "was": each.was if each.rule else None,
                "size_e6": each.size_e6,
                "why": _why(answer, each) if each.rule else each.missing,
            }
            for each in answer.opinions
        ],
        "uses": [each._asdict() for each in answer.uses],
        "resolution": {
            "score": answer.resolution.score,
            "loss_ppm": answer.resolution.loss_ppm,
            "reasons": [each._asdict() for each in answer.resolution.doubts],
        },
    }


def _why(answer: "Answer", opinion: Any) -> str:
    """Say an opinion's two numbers in the unit of its rule."""
    from lowlat.cli._rules import explain

    return explain(
        answer.decision._replace(
            rule=int(opinion.rule), limit=opinion.limit, was=opinion.was, approved=0
        )
    )


def _verdict(opinion: Any, asked_e6: int) -> str:
    if opinion.missing:
        return "not asked"
    if opinion.rule:
        return "refuses" if not opinion.size_e6 else "cuts"
    return "fine" if opinion.size_e6 == asked_e6 else "rounds down"


def _print(shown: dict[str, Any], side: str, price: float, module: str) -> None:
    from lowlat.cli._words import dollars, shares

    asked = shares(shown["asked_e6"])
    print(f"{side} {asked} of {shown['market']} at {price:g} for module {module}, nothing is sent")
    verdict = f"would be sent: {shares(shown['size_e6'])} of {asked}"
    if not shown["approved"]:
        verdict = "would be refused"
    print(f"{verdict} ({shown['rule']}: {shown['why']}), generation {shown['generation']}")
    if not shown["edge_judged"]:
        print("edge and Kelly are not judged without --value")
    print("\nEach check by itself, at the size asked for")
    for each in shown["checks"]:
        size = shares(each["size_e6"]) if each["verdict"] in {"cuts", "rounds down"} else ""
        why = f"needs {each['why']}" if each["verdict"] == "not asked" else each["why"]
        rule = each["rule"] or ""
        print(f"  {each['check']:<12}{each['verdict']:<12}{size:>10}  {rule:<20}{why}".rstrip())
    if shown["uses"]:
        print("\nLimits that it counts against, now and with it")
    for use in shown["uses"]:
        print(
            f"  {use['name']:<34}{dollars(use['limit_e6']):>14}  used "
            f"{dollars(use['used_e6']):>12}  with it {dollars(use['with_order_e6']):>12}"
        )
    resolution = shown["resolution"]
    print(
        f"\nResolution risk {resolution['score']} of 100, prior of a wrong outcome "
        f"{resolution['loss_ppm'] / 10_000:g} %"
    )
    for each in resolution["reasons"]:
        print(f"  {each['points']:>3}  {each['reason']}")
