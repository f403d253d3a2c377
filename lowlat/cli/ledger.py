"""`lowlat ledger`: check the ledger against itself and the venue, and export it."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlat.cli.main import EXIT_FAILED, Instance, Json, app

if TYPE_CHECKING:
    from pathlib import Path

    from lowlat.app.config import EngineConfig
    from lowlat.app.ledger_check import VenueReader
    from lowlat.app.settlement import Round
    from lowlat.store.ledger.export import Sheet
    from lowlat.store.ledger.versus import Compared

_SHOWN_MAX = 50
_WAIT_S = 10.0

ledger = typer.Typer(
    name="ledger",
    help="Every order, fill, lot and decision: check and export it.",
    epilog="Exit 0: done, everything agrees. 1: differences, or it failed. 2: wrong use or config.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(ledger)

Config = Annotated[
    str,
    typer.Option(
        "--config", metavar="FILE", help="The engine's TOML config; else the newest in force."
    ),
]


@ledger.command(epilog="Example: lowlat ledger check --config live.toml")
def check(
    instance: Instance = "demo",
    config: Config = "",
    *,
    wait_s: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="Look again for so long.")
    ] = _WAIT_S,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only against itself; asks no venue.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the ledger with itself and with the venue: cash, tokens, open orders, trades.

    Each difference is named with both numbers. Reads only, with the credentials that cannot sign.
    """
    from lowlat.app.ledger_check import check_ledger, open_ledger_to_read
    from lowlat.store.ledger.audit import audit
    from lowlat.store.ledger.versus import Compared

    loaded = _config(instance, config)
    engine = open_ledger_to_read(loaded)
    try:
        if offline:
            found = Compared(audit(engine))
        else:
            found = check_ledger(engine, _reader(loaded), wait_s)
    finally:
        engine.dispose()
    _show(found, venue=not offline, as_json=as_json)
    if found.differences:
        raise typer.Exit(EXIT_FAILED)


@ledger.command(epilog="Example: lowlat ledger export --format csv --out taxes-2026")
def export(
    instance: Instance = "demo",
    config: Config = "",
    *,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder; made when missing.")],
    kind: Annotated[str, typer.Option("--format", metavar="csv|parquet", help="Of the files.")] = (
        "csv"
    ),
    as_json: Json = False,
) -> None:
    """Write FIFO lots, fills, income and movements, in base units and decimals, times in UTC.

    A ledger that contradicts itself is not exported: its sums would be somebody's guess.
    """
    from pathlib import Path

    from lowlat.app.ledger_check import open_ledger_to_read
    from lowlat.core.errors import ConfigError, LedgerError
    from lowlat.store.ledger.audit import audit
    from lowlat.store.ledger.export import FORMATS
    from lowlat.store.ledger.export import export as write_files

    if kind not in FORMATS:
        raise ConfigError(f"--format was {kind!r}, expected {' or '.join(FORMATS)}")
    engine = open_ledger_to_read(_config(instance, config))
    try:
        wrong = audit(engine)
        if wrong:
            raise LedgerError(
                f"the ledger contradicts itself {len(wrong)} times, first: {wrong[0]}; "
                "see lowlat ledger check"
            )
        written = write_files(engine, Path(out), "csv" if kind == "csv" else "parquet")
    finally:
        engine.dispose()
    if as_json:
        files = {sheet.name: _sheet(path, sheet) for path, sheet in written}
        print(json.dumps({"ok": True, "files": files}))
        return
    for path, sheet in written:
        print(f"{path}: {len(sheet.rows):,} rows{_totals(sheet)}")


@ledger.command(epilog="Example: lowlat ledger settle --config live.toml --every 60")
def settle(
    instance: Instance = "demo",
    config: Config = "",
    *,
    every_s: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0, help="Go on; 0: one round.")
    ] = 0,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Show locked capital and the plan, move nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Merge or convert complete sets, redeem winnings through the relayer; show locked capital.

    Also tells the ledger what the wallet did besides our orders: rebates, rewards, transfers, a
    person's trades. Each step is proven by the balances before and after.
    """
    import signal
    import threading

    from lowlat.app.ledger_check import open_ledger_to_read
    from lowlat.app.settlement import settler_of
    from lowlat.app.wallet_lock import lock_settlement

    loaded = _config(instance, config)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    engine = open_ledger_to_read(loaded)
    try:
        settler = settler_of(loaded, engine)
        if not dry:
            _lock = lock_settlement(settler.wallet, loaded.instance)
        while True:
            found = settler.round(dry=dry)
            _show_round(found, as_json=as_json)
            if not every_s or stop.wait(every_s):
                break
    finally:
        engine.dispose()
    if found.problem:
        raise typer.Exit(EXIT_FAILED)


def _show_round(found: "Round", *, as_json: bool) -> None:
    from dataclasses import asdict

    from lowlat.core.units import format_fixed

    capital = asdict(found.plan.capital)
    if as_json:
        done = [
            {name: getattr(note, name) for name in note.__struct_fields__} for note in found.done
        ]
        result = {
            "ok": not found.problem,
            "problem": found.problem,
            "capital": capital,
            "steps": [step._asdict() for step in found.plan.steps],
            "skipped": [{"condition_id": c, "why": why} for c, why in found.plan.skipped],
            "done": done,
            "movements": found.movements,
            "unknown_kinds": found.unknown,
        }
        print(json.dumps(result), flush=True)
        return
    shown = {name: format_fixed(value, 6) for name, value in capital.items()}
    print(
        f"locked: ${shown['held_cost_e6']} paid for what is held, of which "
        f"${shown['mergeable_e6']} complete sets and ${shown['redeemable_e6']} winnings"
    )
    for condition, why in found.plan.skipped:
        print(f"  left alone {condition}: {why}")
    for step in found.plan.steps:
        print(f"  {step.kind} {step.condition_id}: ${format_fixed(step.expected_e6, 6)}")
    for note in found.done:
        print(f"  {note.state}: {note.kind} {note.condition_id} {note.transaction_hash}")
    for kind, count in found.unknown.items():
        print(f"  {count} of a kind that is not known here: {kind}", file=sys.stderr)
    if found.problem:
        print(f"lowlat ledger settle: {found.problem}", file=sys.stderr, flush=True)


def _totals(sheet: "Sheet") -> str:
    """Say the totals that are not nothing."""
    from lowlat.core.units import format_fixed

    shown = [
        f"{name.removesuffix('_e6')} {format_fixed(total_e6, 6)}"
        for name, total_e6 in sheet.sums.items()
        if total_e6
    ]
    return ": " + ", ".join(shown) if shown else ""


def _sheet(path: "Path", sheet: "Sheet") -> dict[str, Any]:
    return {"path": str(path), "rows": len(sheet.rows), "sums": sheet.sums}


def _reader(config: "EngineConfig") -> "VenueReader":
    from lowlat.app.ledger_check import reader_of
    from lowlat.core.errors import ConfigError

    try:
        return reader_of(config)
    except ConfigError as error:
        raise ConfigError(
            f"{error}; without it, --offline compares the ledger with itself"
        ) from None


def _config(instance: str, path: str) -> "EngineConfig":
    from lowlat.app.config import load_config
    from lowlat.app.generations import newest_number, read_generation
    from lowlat.core.errors import ConfigError

    if path:
        return load_config(path)
    number = newest_number(instance)
    if not number:
        raise ConfigError(f"instance {instance!r} has no config on disk: name one with --config")
    return read_generation(instance, number).config


def _show(found: "Compared", *, venue: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_as_json(found, venue=venue)))
        return
    against = "itself and the venue" if venue else "itself"
    for each in found.differences[:_SHOWN_MAX]:
        print(f"  {each}", file=sys.stderr)
    if len(found.differences) > _SHOWN_MAX:
        print(f"  and {len(found.differences) - _SHOWN_MAX} more (--json)", file=sys.stderr)
    if venue:
        print(
            f"compared {found.tokens:,} tokens, {found.orders:,} open orders, "
            f"{found.trades:,} fills; {found.settling:,} fills are not mined yet"
        )
        print(
            f"a person's on this wallet: {len(found.human):,} fills, "
            f"{len(found.human_orders):,} open orders"
        )
    verdict = f"{len(found.differences):,} differences" if found.differences else "agrees"
    print(f"ledger against {against}: {verdict}")


def _as_json(found: "Compared", *, venue: bool) -> dict[str, Any]:
    from lowlat.store.ledger.audit import shown

    return {
        "ok": not found.differences,
        "venue": venue,
        "differences": shown(found.differences),
        "tokens": found.tokens,
        "open_orders": found.orders,
        "fills": found.trades,
        "settling": found.settling,
        "human_fills": [
            {"trade_id": trade, "token_id": token, "size_e6": size}
            for trade, token, size in found.human
        ],
        "human_orders": found.human_orders,
    }
