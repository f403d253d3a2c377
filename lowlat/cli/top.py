"""`lowlat top`: one instance on one terminal screen, read from shared memory only."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowlat.cli.main import Instance, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from lowlat.cli._top_source import Source

_SIZE_MIN = (60, 16)
_SIZE_MAX = (400, 200)
_SHOTS_S = 1.3
"""Rates and shares of time need two readings a second apart."""


@app.command(epilog="Examples: lowlat top | lowlat top --instance paper --pane books")
def top(
    *,
    instance: Instance = "demo",
    pane: Annotated[
        str, typer.Option(help="all, procs, feeds, books, signals, decisions, orders, money, …")
    ] = "all",
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Save one screen and end.")
    ] = None,
    size: Annotated[str, typer.Option(metavar="COLUMNSxROWS", help="Of the picture.")] = "100x30",
) -> None:
    """Show processes, feeds, books, decisions, orders, money and latencies, live.

    Only reads: mappings are read-only, the engine does nothing for it. Works over ssh at 80 x 24.
    """
    from lowlat.cli._top_app import PANES, TopApp
    from lowlat.cli._top_source import Source, give_way
    from lowlat.shm.attach import attach

    names = [each.name for each in PANES]
    if pane not in names:
        raise ConfigError(f"--pane was {pane!r}, expected one of {', '.join(names)}")
    dimensions = _size(size)
    if picture is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("top needs a terminal: lowlat status prints the same once")
    attach(instance)
    source = Source(instance)
    source.poll()
    give_way(source.shot(frozenset()).picture)
    if picture is None:
        TopApp(source, pane).run()
        return
    import asyncio

    picture.write_text(asyncio.run(_picture(source, pane, dimensions)), encoding="utf-8")
    print(f"saved {picture}")


async def _picture(source: "Source", pane: str, size: tuple[int, int]) -> str:
    """Run without a terminal until a screen with rates is there, and return it."""
    from lowlat.cli._top_app import TopApp

    shown = TopApp(source, pane)
    async with shown.run_test(size=size) as pilot:
        await pilot.pause(_SHOTS_S)
        shown.take()
        await pilot.pause()
        return shown.picture()


def _size(text: str) -> tuple[int, int]:
    columns, _, rows = text.partition("x")
    if columns.isdigit() and rows.isdigit():
        found = int(columns), int(rows)
        if all(low <= n <= high for low, n, high in zip(_SIZE_MIN, found, _SIZE_MAX, strict=True)):
            return found
    raise ConfigError(f"--size was {text!r}, expected COLUMNSxROWS from 60x16 to 400x200")
