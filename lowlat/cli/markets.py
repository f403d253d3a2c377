"""`lowlat markets`: every market that the venue lists, and why it is in, half in or out."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import Instance, Json, app
from lowlat.core.errors import SegmentError

if TYPE_CHECKING:
    from lowlat.shm.attach import Attached


@app.command(epilog="Examples: lowlat markets | lowlat markets btc-updown | lowlat markets --out")
def markets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Part of a name, or a condition id.")
    ] = None,
    *,
    instance: Instance = "demo",
    out: Annotated[bool, typer.Option("--out", help="Only what is not traded.")] = False,
    as_json: Json = False,
) -> None:
    """Show which markets are traded, which are followed but not traded, which are left out.

    The reasons are those of the running engine; what it left out is kept for the newest 1 500.
    """
    from lowlat.shm.attach import attach

    found = [
        each for each in _all(attach(instance), instance) if _is_asked_for(each, name, out=out)
    ]
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for each in found:
        print(f"  {each['is']:<9} {each['name']:<64.64}  {', '.join(each['why'])}".rstrip())
    counts = {kind: sum(each["is"] == kind for each in found) for kind in _KINDS}
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()))


_KINDS = ("traded", "followed", "out")


def _is_asked_for(each: dict[str, Any], name: str | None, *, out: bool) -> bool:
    if out and each["is"] == "traded":
        return False
    return name is None or name.lower() in each["name"].lower() or name == each["condition_id"]


def _all(attached: "Attached", instance: str) -> list[dict[str, Any]]:
    """Return markets in the order traded, followed, out; by name in each."""
    from lowlat.cli._views import market_rows, missing_facts, slug

    for kind, names, needed in (
        ("table", attached.tables, "markets"),
        ("stream", attached.streams, "listings"),
    ):
        if needed not in names:
            raise SegmentError(f"instance {instance!r} has no {kind} {needed}: of an older build")
    books = _book_faults(attached)
    found: dict[str, dict[str, Any]] = {}
    for row in market_rows(attached).values():
        missing = missing_facts(row)
        faults = books.get((row.market, row.generation), ("no book yet",))
        found["0x" + row.condition_id.hex()] = {
            "condition_id": "0x" + row.condition_id.hex(),
            "name": slug(row, row.market),
            "is": "followed" if missing or faults else "traded",
            "why": [*missing, *(() if missing else faults)],
            "row": row.market,
        }
    for condition_id, name, reason in _refused(attached):
        if condition_id not in found:
            found[condition_id] = {
                "condition_id": condition_id,
                "name": name or condition_id,
                "is": "out",
                "why": [reason],
                "row": None,
            }
    return sorted(found.values(), key=lambda each: (_KINDS.index(str(each["is"])), each["name"]))


def _book_faults(attached: "Attached") -> dict[tuple[int, int], tuple[str, ...]]:
    """Return what is wrong with each book, by market and generation."""
    from lowlat.cli._views import flag_names

    rows, versions = attached.tables["book"].snapshot()
    used = rows[versions > 0]
    return {
        (market, generation): tuple(f"book {each}" for each in flag_names(flags))
        for market, generation, flags in zip(
            used["market"].tolist(),
            used["generation"].tolist(),
            used["book_flags"].tolist(),
            strict=True,
        )
    }


def _refused(attached: "Attached") -> list[tuple[str, str, str]]:
    """Return condition id, name and reason of what is left out, as last published."""
    from lowlat.core.layout import LISTING, ListingReason

    view = attached.streams["listings"]
    view.rewind()
    newest: dict[str, tuple[str, int]] = {}
    while view.poll() is not None:
        record = LISTING.unpack(view.reader.buffer)
        text = record.slug.rstrip(b"\0").decode("ascii", "replace")
        newest["0x" + record.condition_id.hex()] = (text, record.reason)
    known = ListingReason.__members__.values()
    return [
        (one, text, ListingReason(why).name.lower().replace("_", " ") if why in known else str(why))
        for one, (text, why) in newest.items()
        if why != ListingReason.FOLLOWED
    ]
