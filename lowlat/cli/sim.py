"""`lowlat sim`: the venues on loopback, for the engine or for anybody's bot."""

import typer

from lowlat.cli.main import app


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: lowlat sim --seed 7 --seconds 60",
)
def sim(context: typer.Context) -> None:
    """Serve simulated venues on loopback (options: lowlat sim -- --help)."""
    from lowlat.sim.server import main as serve

    raise typer.Exit(serve(list(context.args)))
