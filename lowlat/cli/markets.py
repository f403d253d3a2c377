"""`lowlat markets`: every market that the venue lists, and why it is in, half in or out."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import Instance, Json, app
from lowlat.core.errors import SegmentError

if TYPE_CHECKING:
    from lowlat.core.interest import Interest
    from lowlat.core.layout import MarketRow
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

    With each: its rank among all that are shown, the highest priority of the modules that want
    it, the dollars it is ranked by among equals, and why it is what it is. The reasons are those
    of the running engine; what it left out is kept for the newest 1 500.
    """
    from lowlat.shm.attach import attach

    attached = attach(instance)
    found = [each for each in _all(attached, instance) if _is_asked_for(each, name, out=out)]
    scan = _scan(instance)
    if as_json:
        print(json.dumps({"scan": scan, "markets": found}, indent=1))
        return
    for each in found:
        place = f"{each['rank'] or '-':>6} {each['priority']:>4} {each['score_usd']:>10,}"
        why = ", ".join([*each["why"], *(f"for {module}" for module in each["wanted_by"])])
        print(f"  {each['is']:<9} {place}  {each['name']:<56.56}  {why}".rstrip())
    counts = {kind: sum(each["is"] == kind for each in found) for kind in _KINDS}
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()))
    print(_scan_words(scan))


_KINDS = ("traded", "followed", "out")
_OUTRANKED = "outranked"
_SCAN = ("in_the_running", "places_taken", "sweep_age_ns", "sweep_ns")


def _is_asked_for(each: dict[str, Any], name: str | None, *, out: bool) -> bool:
    if out and each["is"] == "traded":
        return False
    return name is None or name.lower() in each["name"].lower() or name == each["condition_id"]


def _all(attached: "Attached", instance: str) -> list[dict[str, Any]]:
    """Return markets in the order traded, followed, out; by name in each."""
    from lowlat.cli._views import market_rows, missing_facts, slug, unpriced

    for kind, names, needed in (
        ("table", attached.tables, "markets"),
        ("table", attached.tables, "wants"),
        ("stream", attached.streams, "listings"),
    ):
        if needed not in names:
            raise SegmentError(f"instance {instance!r} has no {kind} {needed}: of an older build")
    books, wants = _book_faults(attached), _wants(attached)
    found: dict[str, dict[str, Any]] = {}
    for row in market_rows(attached).values():
        missing = missing_facts(row)
        faults = books.get((row.market, row.generation), ("no book yet",))
        found["0x" + row.condition_id.hex()] = {
            "condition_id": "0x" + row.condition_id.hex(),
            "name": slug(row, row.market),
            "is": "followed" if missing or faults else "traded",
            "why": [
                *_watch_words(row),
                *missing,
                *unpriced(row),
                *(() if missing else faults),
            ],
            "row": row.market,
            "priority": row.priority,
            "score_usd": row.score_usd,
            "wanted_by": [module for module, wish in wants if _is_wish_of(row, wish)],
        }
    for condition_id, name, reason, priority, score_usd in _refused(attached):
        if condition_id not in found:
            found[condition_id] = {
                "condition_id": condition_id,
                "name": name or condition_id,
                "is": "out",
                "why": [reason],
                "row": None,
                "priority": priority,
                "score_usd": score_usd,
                "wanted_by": [],
            }
    _rank(list(found.values()))
    return sorted(found.values(), key=lambda each: (_KINDS.index(str(each["is"])), each["name"]))


def _rank(found: list[dict[str, Any]]) -> None:
    """Give ranks to what is in the running, as places are given: by priority, then by score."""
    order = sorted(found, key=lambda each: (-each["priority"], -each["score_usd"], each["name"]))
    rank = 0
    for each in order:
        running = each["is"] != "out" or each["why"] == [_OUTRANKED]
        rank += running
        each["rank"] = rank if running else None


def _watch_words(row: "MarketRow") -> tuple[str, ...]:
    from lowlat.core.layout import Watch

    words = {Watch.POLL: "read by rest only", Watch.NONE: _OUTRANKED}
    return (words[Watch(row.watch)],) if row.watch in words else ()


def _is_wish_of(row: "MarketRow", wish: "Interest") -> bool:
    """Whether a wish explains a row's priority; its name and event are what rows still say."""
    name = row.slug.rstrip(b"\0").decode("ascii", "replace")
    return (
        wish.priority == row.priority
        and (not wish.slug_prefixes or name.startswith(wish.slug_prefixes))
        and (bool(row.neg_risk) or not wish.neg_risk)
    )


def _wants(attached: "Attached") -> list[tuple[str, "Interest"]]:
    """Return what modules want followed, in their own words."""
    from lowlat.core.interest import interest_of_row

    reader: Any = attached.tables["wants"].reader
    rows = [interest_of_row(reader.buffer) for at in range(reader.rows) if reader.read(at) > 0]
    return [each for each in rows if each is not None]


def _scan(instance: str) -> dict[str, int | None]:
    """Return how far and how old the scan of the venue's list is; None is not known yet."""
    from lowlat.app.telemetry import Telemetry
    from lowlat.cli._feed_lines import gauge

    reading = Telemetry(instance).read()
    return {name: gauge(reading, f"feed.metadata.{name}") for name in _SCAN}


def _scan_words(scan: dict[str, int | None]) -> str:
    from lowlat.cli._words import age

    age_ns, took_ns = scan["sweep_age_ns"], scan["sweep_ns"]
    if age_ns is None:
        return "scan: no metadata engine has told anything yet"
    took = f", the last one took {age(took_ns)}" if took_ns else ""
    return (
        f"scan: {scan['in_the_running'] or 0} in the running, {scan['places_taken'] or 0} places "
        f"taken; sweep {age(age_ns)} old{took}"
    )


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


def _refused(attached: "Attached") -> list[tuple[str, str, str, int, int]]:
    """Return condition id, name, reason, priority and score of what is left out, as last told."""
    from lowlat.core.layout import LISTING, ListingReason

    view = attached.streams["listings"]
    view.rewind()
    newest: dict[str, tuple[str, int, int, int]] = {}
    while view.poll() is not None:
        record = LISTING.unpack(view.reader.buffer)
        text = record.slug.rstrip(b"\0").decode("ascii", "replace")
        told = (text, record.reason, record.priority, record.score_usd)
        newest["0x" + record.condition_id.hex()] = told
    known = ListingReason.__members__.values()
    return [
        (
            one,
            text,
            ListingReason(why).name.lower().replace("_", " ") if why in known else str(why),
            priority,
            score_usd,
        )
        for one, (text, why, priority, score_usd) in newest.items()
        if why != ListingReason.FOLLOWED
    ]
