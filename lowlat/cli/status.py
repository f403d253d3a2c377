"""`lowlat status`: how an instance is, once: text for people, one JSON object for scripts."""

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import EXIT_FAILED, Instance, Json, app

if TYPE_CHECKING:
    from lowlat.cli._top_source import Shot

_LABEL = 10


@app.command(epilog="Examples: lowlat status | lowlat status --json --over 0 | jq .well")
def status(
    *,
    instance: Instance = "demo",
    over: Annotated[
        float, typer.Option(min=0.0, max=60.0, help="Seconds to take rates over; 0: no rates.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Show processes, feeds, books, orders, money and latencies of a running instance.

    Exit 0: it runs, every process is well and orders are allowed. Exit 1: not so.
    """
    from lowlat.cli._top_source import Source
    from lowlat.shm.attach import attach

    attach(instance)
    source = Source(instance)
    source.poll()
    if over:
        source.shot(frozenset())
        time.sleep(over)
        source.poll()
    shot = source.shot(frozenset({"feeds", "money"}))
    found = describe(shot)
    print(json.dumps(found, indent=1) if as_json else "\n".join(_lines(found)))
    if not found["well"]:
        raise typer.Exit(EXIT_FAILED)


def describe(shot: "Shot") -> dict[str, Any]:
    """Return everything as plain values; null is what nobody knows."""
    from lowlat.app.nameplate import BADGES
    from lowlat.app.telemetry import latency_table
    from lowlat.cli._top_panes import decided

    picture = shot.picture
    reading, pairs = picture.reading, picture.pairs
    wrong = problems(shot)
    return {
        "instance": shot.instance,
        "well": not wrong,
        "problems": wrong,
        "mode": picture.mode or None,
        "badge": BADGES.get(picture.mode, "MODE UNKNOWN"),
        "halts": picture.halts,
        "processes": {
            each.name: {
                "pid": each.pid or None,
                "state": each.state,
                "core": each.core or None,
                "wait": each.wait or None,
                "duty": _rounded(each.duty),
                "cpu": _rounded(each.cpu),
                "heartbeat_age_ms": _ms(each.heartbeat_age_ns),
                "restarts": each.restarts,
                "rss": each.rss_bytes,
            }
            for each in picture.processes
        },
        "feeds": {
            each.name: {
                "up": each.up,
                "of": each.of,
                "age_ms": _ms(each.age_ns),
                "frames_per_s": _rounded(each.rate),
                "lag_ms": _ms(each.lag_ns),
                "gaps": each.gaps,
                "bad": each.bad,
                "reconnects": each.reconnects,
            }
            for each in shot.feeds
        },
        "books": {"fresh": picture.books_fresh, "known": picture.books},
        "decisions": decided(shot),
        "orders": {
            "sent": reading.counter("executor.orders"),
            "open": picture.orders_open,
            "fills": reading.counter("executor.fills"),
            "rejects": reading.counter("executor.rejects"),
            "pool_hit_rate": _rounded(reading.hit_rate()),
        },
        "groups": {
            "completed": pairs.completed,
            "unwound": pairs.unwound,
            "flat": pairs.flat,
            "open": pairs.open,
        },
        "money": _money(shot),
        "locked": _locked(shot),
        "latency_ns": latency_table(reading.histograms),
        "errors": {
            process: {each.text: each.count for each in errors}
            for process, errors in reading.errors.items()
            if errors
        },
    }


def problems(shot: "Shot") -> list[str]:
    """Return in words why the instance is not well; nothing when it is."""
    from lowlat.app.locked_capital import locked
    from lowlat.app.topology import RECORDER

    picture = shot.picture
    found = [shot.gone] if shot.gone else []
    found += [f"{each.name}: {each.trouble}" for each in picture.processes if each.trouble]
    capital = locked(picture.reading)
    if capital is not None and capital.stopped:
        found.append(
            "settlement: balances did not tell what was expected, nothing is moved until a person "
            "looks (lowlat ledger check) and resumes (lowlat ctl resume)"
        )
    if picture.reading.gauges.get(RECORDER, {}).get("journal.refused"):
        found.append(
            f"{RECORDER}: the disk or the ledger's database takes nothing: new orders stop when "
            "half of the slots for reports wait, cancels go on; make room below the state "
            f"directory, or see what `lowlat logs` says of the database"
        )
    return found + [f"new orders halted by {halt}" for halt in picture.halts]


def _money(shot: "Shot") -> dict[str, Any] | None:
    money = shot.money
    if money is None:
        return None
    total = shot.limits[0] if shot.limits else None
    return {
        "cash_e6": money.worth.cash_e6,
        "reserved_e6": money.reserved_e6,
        "holdings_e6": money.worth.holdings_e6,
        "tokens": money.worth.tokens,
        "tokens_unlisted": money.worth.unlisted,
        "pnl_e6": money.pnl_e6,
        "realized_e6": money.realized_e6,
        "unrealized_e6": money.unrealized_e6,
        "fees_e6": money.fees_e6,
        "equity_e6": money.equity_e6,
        "equity_peak_e6": money.equity_peak_e6,
        "bankroll_e6": money.bankroll_e6,
        "at_risk_e6": total.used_e6 if total is not None else None,
        "at_risk_limit_e6": total.limit_e6 if total is not None else None,
    }


def _locked(shot: "Shot") -> dict[str, Any] | None:
    from lowlat.app.locked_capital import locked

    found = locked(shot.picture.reading)
    if found is None:
        return None
    counters = shot.picture.reading.counters
    return {
        "held_cost_e6": found.held_cost_e6,
        "mergeable_e6": found.mergeable_e6,
        "redeemable_e6": found.redeemable_e6,
        "skipped": found.skipped,
        "stopped": found.stopped,
        "age_ms": _ms(shot.at_ns - found.known_ns),
        "settled": {
            name.removeprefix("settlement."): count
            for name, count in sorted(counters.items())
            if name.startswith("settlement.")
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None or nanoseconds < 0 else round(nanoseconds / 1e6, 3)


# --------------------------------------------------------------------------------------- text
def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['instance']}  {found['badge']}  {'well' if found['well'] else 'NOT WELL'}"]
    lines += [_line("problem", each) for each in found["problems"]]
    lines += [
        _line("process" if not at else "", _process(name, each))
        for at, (name, each) in enumerate(found["processes"].items())
    ]
    lines += [
        _line("feed" if not at else "", _feed(name, each))
        for at, (name, each) in enumerate(found["feeds"].items())
    ]
    orders, groups = found["orders"], found["groups"]
    lines += [
        _line("books", f"{found['books']['fresh']} of {found['books']['known']} fresh"),
        _line("decisions", _counts(found["decisions"])),
        _line("orders", _counts({k: v for k, v in orders.items() if k != "pool_hit_rate"})),
        _line("groups", _counts(groups)),
        _line("money", _money_words(found["money"])),
    ]
    if found["locked"] is not None:
        lines.append(_line("locked", _locked_words(found["locked"])))
    lines += [_line("latency" if not at else "", text) for at, text in enumerate(_times(found))]
    errors = sum(sum(each.values()) for each in found["errors"].values())
    if errors:
        lines.append(_line("errors", f"{errors:,} (--json lists them)"))
    return lines


def _process(name: str, each: dict[str, Any]) -> str:
    from lowlat.cli._words import age

    beat_ms = each["heartbeat_age_ms"]
    beat = f"beat {age(int(beat_ms * 1e6))} ago" if beat_ms is not None else "no beat"
    cpu = f"{each['cpu']:.0%} cpu" if each["cpu"] is not None else ""
    core = f"core {each['core'] or '-'}"
    return (
        f"{name:<12}{each['state']:<10}{core:<9}{each['wait'] or '-':<8}{cpu:<9}{beat:<20}"
        f"{each['restarts']} restarts"
    )


def _feed(name: str, each: dict[str, Any]) -> str:
    from lowlat.cli._words import age

    rate = f"{each['frames_per_s']:,.0f}/s" if each["frames_per_s"] is not None else "-"
    old = f"{age(int(each['age_ms'] * 1e6))} old" if each["age_ms"] is not None else "-"
    return f"{name:<12}{each['up']}/{each['of']} up   {rate:<10}{old:<14}{each['gaps']} gaps"


def _money_words(money: dict[str, Any] | None) -> str:
    from lowlat.cli._words import dollars

    if money is None:
        return "not known: the executor has not read the account"
    return (
        f"{dollars(money['cash_e6'])} cash, {money['tokens']} tokens worth "
        f"{dollars(money['holdings_e6'])}, P&L {dollars(money['pnl_e6'], signed=True)}"
    )


def _locked_words(found: dict[str, Any]) -> str:
    from lowlat.cli._words import dollars

    return (
        f"{dollars(found['held_cost_e6'])} in what is held; "
        f"{dollars(found['mergeable_e6'])} complete sets, "
        f"{dollars(found['redeemable_e6'])} winnings to be freed"
    )


def _times(found: dict[str, Any]) -> list[str]:
    from lowlat.cli._words import duration

    return [
        f"{stage:<16} p50 {duration(cell['p50']):<9} p99 {duration(cell['p99']):<9} "
        f"max {duration(cell['max'])}"
        for stage, cell in found["latency_ns"].items()
        if stage in {"tick_to_sent", "sent_to_acked", "sent_to_filled"}
    ]


def _counts(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {number:,}" for name, number in counts.items()) or "none yet"


def _line(label: str, text: str) -> str:
    return f"  {label:<{_LABEL}} {text}".rstrip()
