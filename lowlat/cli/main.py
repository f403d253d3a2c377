"""`lowlat`: one command a job. Exit codes: 0 done, 1 failed or disagreed, 2 wrong use or config."""

import importlib
import os
import pkgutil
import sys
from typing import Annotated

import typer

from lowlat import cli
from lowlat.core.errors import ConfigError, LowlatError

__all__ = ["app", "main"]

EXIT_FAILED = 1
EXIT_USAGE = 2

app = typer.Typer(
    name="lowlat",
    help="Low-latency prediction-market trading engine.",
    epilog="First run: lowlat demo --seconds 10",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Subject = Annotated[
    str,
    typer.Argument(
        metavar="SIGNAL|ORDER|MODULE|last",
        help="First digits of an order id, a signal's id, or the newest of a module or of all.",
    ),
]
Instance = Annotated[
    str,
    typer.Option(
        "--instance", "-i", help="Name of the running engine; several can run side by side."
    ),
]


def main() -> None:
    """Run the command line; turn our own errors into one line and a stable exit code."""
    _register(sys.argv[1:2])
    try:
        code = app(standalone_mode=False)
    except ConfigError as error:
        print(f"lowlat: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except LowlatError as error:
        print(f"lowlat: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`); closing stdout must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except typer.Abort:
        sys.exit(130)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except Exception as error:
        show = getattr(error, "show", None)
        if show is None:
            raise
        show(file=sys.stderr)
        sys.exit(getattr(error, "exit_code", EXIT_USAGE))
    sys.exit(code if isinstance(code, int) else 0)


def _register(asked: list[str]) -> None:
    """Import the file of the command that is asked for, of every command when it is none.

    Each adds itself and has the name of its command; who runs one does not load the others'.
    """
    names = [
        each.name
        for each in pkgutil.iter_modules(cli.__path__)
        if not each.name.startswith("_") and each.name != "main"
    ]
    for name in [each for each in names if each in asked] or names:
        importlib.import_module(f"lowlat.cli.{name}")


@app.callback()
def _commands() -> None:
    # Keeps the command's name a word of its own, also when only one is registered.
    pass
