"""`lowlat secrets`: keep credentials on the disk sealed, and give the machine the passphrase."""

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from lowlat.cli.main import EXIT_FAILED, Json, app
from lowlat.core.errors import ConfigError

secrets = typer.Typer(
    name="secrets",
    help="Credentials at rest: sealed with a passphrase.",
    epilog="Order: secrets unlock (once a boot), secrets seal FILE..., then run as always.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(secrets)

_FILE: Final = "secrets: credentials file"
Files = Annotated[list[Path], typer.Argument(help="Credentials files, mode 0600.")]


@secrets.command(epilog="Example: lowlat secrets seal key.json cancel.json")
def seal(files: Files, *, as_json: Json = False) -> None:
    """Seal credentials files in place with the passphrase that `unlock` was given."""
    from lowlat.app.private_files import read_private, write_private
    from lowlat.app.sealed import is_sealed, passphrase_of_machine
    from lowlat.app.sealed import seal as sealed_bytes
    from lowlat.app.sealed import unseal as opened_bytes

    passphrase = passphrase_of_machine()
    done = []
    for path in files:
        raw = read_private(path, _FILE)
        if is_sealed(raw):
            continue
        data = sealed_bytes(raw, passphrase)
        if opened_bytes(data, passphrase, str(path)) != raw:
            raise ConfigError(f"{path} did not come out of its seal as it went in: left as it was")
        write_private(path, data)
        done.append(str(path))
    _say({"sealed": done}, f"sealed: {', '.join(done) or 'nothing, all were'}", as_json=as_json)


@secrets.command(epilog="Example: lowlat secrets unseal key.json")
def unseal(files: Files, *, as_json: Json = False) -> None:
    """Write sealed files back as plain text, mode 0600."""
    from lowlat.app.private_files import read_private, write_private
    from lowlat.app.sealed import is_sealed, passphrase_of_machine
    from lowlat.app.sealed import unseal as opened_bytes

    done = []
    for path in files:
        raw = read_private(path, _FILE)
        if is_sealed(raw):
            write_private(path, opened_bytes(raw, passphrase_of_machine(), str(path)))
            done.append(str(path))
    _say({"unsealed": done}, f"plain text now: {', '.join(done) or 'nothing'}", as_json=as_json)


@secrets.command(
    epilog="Examples: lowlat secrets unlock | pass show lowlat | lowlat secrets unlock"
)
def unlock(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Sealed files that it has to open.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Take the passphrase (terminal or stdin) and keep it in memory until the next boot.

    Every start of a process reads it there, also one at night after a death.
    """
    from lowlat.app.private_files import read_private
    from lowlat.app.sealed import checked, is_sealed
    from lowlat.app.sealed import unlock as leave
    from lowlat.app.sealed import unseal as opened_bytes

    if sys.stdin.isatty():
        text = getpass.getpass("passphrase: ")
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    passphrase = checked(text.encode(), "the input")
    for path in files or []:
        raw = read_private(path, _FILE)
        if is_sealed(raw):
            opened_bytes(raw, passphrase, str(path))
    where = leave(passphrase)
    _say({"passphrase": str(where)}, f"passphrase in {where} until the next boot", as_json=as_json)


@secrets.command(epilog="Example: lowlat secrets lock")
def lock(*, as_json: Json = False) -> None:
    """Take the passphrase out of memory: running processes go on, no other starts."""
    from lowlat.app.sealed import lock as take_away

    there = take_away()
    _say({"locked": there}, "locked" if there else "there was no passphrase", as_json=as_json)
    if not there:
        raise typer.Exit(EXIT_FAILED)


def _say(found: dict[str, object], words: str, *, as_json: bool) -> None:
    print(json.dumps(found) if as_json else words)
