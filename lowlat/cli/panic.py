"""`lowlat panic`: halt, and cancel everything at the venue, whatever else is alive."""

import json
import sys
from typing import Annotated

import typer

from lowlat.cli.main import EXIT_FAILED, Instance, Json, app


@app.command(epilog="Examples: lowlat panic | lowlat panic --config live.toml")
def panic(
    reason: Annotated[str, typer.Argument(help="Why, for whoever resumes.")] = "",
    instance: Instance = "demo",
    *,
    config: Annotated[
        str, typer.Option(metavar="FILE", help="Config file; default: what was last in force.")
    ] = "",
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to keep trying.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Stop new orders, then cancel all of them with credentials that cannot sign one.

    Needs no running engine. Halts first, then cancels until the venue has listed no open order
    twice. Exit 0: nothing is open. 1: not proven in time. 2: no config or no credentials; the
    halt is set all the same.
    """
    from lowlat.app.generations import newest_number, read_generation
    from lowlat.cli._halting import pull
    from lowlat.core.errors import ConfigError

    def say(text: str) -> None:
        print(text, file=sys.stderr if as_json else sys.stdout, flush=True)

    loaded = None
    try:
        if config:
            from lowlat.app.config import load_config

            loaded = load_config(config)
            instance = loaded.instance
    finally:
        # Also when the file cannot be read: then the instance of the option is halted.
        say(pull(instance, "panic", reason))
    if loaded is None:
        number = newest_number(instance)
        if not number:
            raise ConfigError(
                f"instance {instance!r} never had a config in force: name one with --config FILE"
            )
        loaded = read_generation(instance, number).config
    # Imported late: the halt above is set before anything heavy is loaded.
    from lowlat.app.panic import canceller_of

    cleared = canceller_of(loaded).clear(seconds, say)
    if as_json:
        print(
            json.dumps(
                {
                    "ok": cleared.ok,
                    "instance": instance,
                    "mode": loaded.mode,
                    "canceled": cleared.canceled,
                    "open": cleared.left,
                    "requests": cleared.requests,
                    "error": cleared.error,
                }
            )
        )
    else:
        what = "no order is open" if cleared.ok else f"NOT PROVEN: {cleared.error}"
        say(f"{cleared.canceled} canceled, {what}; resume with: lowlat ctl resume")
    if not cleared.ok:
        raise typer.Exit(EXIT_FAILED)
