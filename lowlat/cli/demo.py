"""`lowlat demo`: the whole engine against a simulated venue, no keys, no network."""

from typing import Annotated

import typer

from lowlat.cli.main import Json, app


@app.command(epilog="Example: lowlat demo --seconds 10 --json")
def demo(
    seconds: Annotated[
        float, typer.Option(min=1.0, max=86_400.0, help="How long to trade.")
    ] = 30.0,
    *,
    as_json: Json = False,
    seed: Annotated[int, typer.Option(help="Of the simulated market.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave shared memory and the temporary config behind.")
    ] = False,
    instance: Annotated[
        str, typer.Option("--instance", "-i", help="Name, so that several can run.")
    ] = "demo",
    topology: Annotated[
        str, typer.Option(help="fused, spread, or a file with [topology.NAME] tables.")
    ] = "fused",
    all_modules: Annotated[
        bool, typer.Option("--all", help="Every module, in a market with an edge for each.")
    ] = False,
    chaos_kill: Annotated[float, typer.Option(min=0.0, hidden=True)] = 0.0,
    chaos_reboot: Annotated[bool, typer.Option("--chaos-reboot", hidden=True)] = False,
) -> None:
    """Trade a simulated market for a while, then prove that both sides' books agree.

    Exit 0: engine and venue agree to the base unit and no trade is left open. Exit 1: not so.
    """
    from lowlat.app.topology import fit_cores, load_topology
    from lowlat.cli._demo import DemoOptions, run_demo

    options = DemoOptions(
        seconds,
        as_json,
        seed,
        keep,
        instance,
        fit_cores(load_topology(topology)),
        chaos_kill or (5.0 if chaos_reboot else 0.0),
        all_modules,
        chaos_reboot,
    )
    raise typer.Exit(run_demo(options))
