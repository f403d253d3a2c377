"""`lowlat limits`: every armed limit, its value, and how much of it is used."""

import json
from typing import TYPE_CHECKING

from lowlat.cli.main import Instance, Json, app

if TYPE_CHECKING:
    from lowlat.app.armed import ArmedLimit

_FULL = 0.8
"""From here on a limit is marked."""


@app.command(epilog="Example: lowlat limits --instance demo")
def limits(
    instance: Instance = "demo",
    *,
    as_json: Json = False,
) -> None:
    """Show limits as risk and executor hold them now, and their use; most used first.

    Change one with: lowlat ctl set KEY=VALUE.
    """
    from lowlat.app.armed import armed_generation, armed_limits
    from lowlat.shm.attach import attach

    attached = attach(instance)
    generation = armed_generation(attached)
    found = armed_limits(attached, generation.config)
    if as_json:
        rows = [
            {
                "key": each.key,
                "value": each.value,
                "bound_e6": each.bound_e6,
                "used": each.used,
                "share": each.share,
            }
            for each in found
        ]
        print(json.dumps({"generation": generation.number, "limits": rows}))
        return
    print(f"instance {instance}  generation {generation.number}  mode {generation.config.mode}")
    with_use = [each for each in found if each.share is not None]
    for each in sorted(with_use, key=lambda limit: -(limit.share or 0.0)):
        print(_line(each))
    print("of one order, one signal or one moment (no use in between)")
    for each in found:
        if each.share is None:
            print(f"  {each.key:<42}{_value(each.key, each.value):>16}")


def _line(limit: "ArmedLimit") -> str:
    share = limit.share or 0.0
    bound = limit.value if limit.bound_e6 is None else limit.bound_e6
    key = limit.key if limit.bound_e6 is None else "in cash_e6"
    used = 0 if limit.used is None else limit.used
    return (
        f"  {limit.key:<42}{_value(limit.key, limit.value):>16}"
        f"  used {_value(key, used):>14} of {_value(key, bound):>14}  {100 * share:5.1f} %"
        f"{'  <- full' if share >= 1 else '  <- nearly full' if share >= _FULL else ''}"
    )


def _value(key: str, value: float) -> str:
    """Write a value in the unit that its key names."""
    from lowlat.cli._words import count, dollars, duration, price, shares

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"${value:g}" if "_usd" in key else f"{value:g}"
    for word, write in (
        ("shares", shares),
        ("_e6", dollars),
        ("_e4", price),
        ("_ppm", lambda ppm: f"{ppm / 10_000:g} %"),
        ("_ns", lambda ns: duration(ns) if ns else "none"),
    ):
        if word in key:
            return write(value)
    return count(value)
