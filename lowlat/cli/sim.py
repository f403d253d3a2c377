"""`lowlat sim`: the venues on loopback, for the engine or for anybody's bot."""

import typer

from lowlat.cli.main import app


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
    epilog="Examples: lowlat sim --scenario null --seed 7 | lowlat sim scenarios | "
    "lowlat sim faults --help",
)
def sim(context: typer.Context) -> None:
    """Serve simulated venues on loopback; prints one JSON line with every address.

    --scenario NAME|FILE.toml chooses a market (`lowlat sim scenarios` lists them), --seed another
    one of it, --seconds an end, --tls true a generated certificate, --ports '{"clob": 8001}' fixed
    ports. Every key of the configuration can be given as --key VALUE, tables as JSON.

    `lowlat sim faults` changes what goes wrong while it runs.
    """
    arguments = list(context.args)
    if arguments[:1] == ["faults"]:
        from lowlat.cli._sim_faults import run_faults

        raise typer.Exit(run_faults(arguments[1:]))
    if arguments == ["scenarios"]:
        from lowlat.sim.scenarios import scenario_names

        for name, about in scenario_names().items():
            typer.echo(f"{name:<14} {about}")
        raise typer.Exit(0)
    from lowlat.sim.server import main as serve

    raise typer.Exit(serve(arguments))
