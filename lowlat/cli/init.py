"""`lowlat init`: a private key becomes a wallet that can trade, and a credentials file."""

import json
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lowlat.cli.main import Json, app
from lowlat.core.errors import ConfigError

Key = Annotated[Path, typer.Option(help="The private key: 64 hex digits in a file of mode 0600.")]
Out = Annotated[Path, typer.Option(help="Credentials for account.credentials_file.")]
Sim = Annotated[
    Path | None, typer.Option("--sim", help="The first line that `lowlat sim` printed, in a file.")
]
Wallet = Annotated[
    str, typer.Option(help="eoa, proxy, safe, deposit or an address; default: the one in use.")
]

_PLACES: Final = ("clob", "gamma", "data", "relayer", "control")
"""Addresses of a simulator that the steps ask."""


@app.command(
    epilog="Examples: lowlat init --new-key --key-file key --sim ready.json"
    " | lowlat init --key-file key --relayer-key-file relayer.json --real-venue"
)
def init(
    key_file: Key,
    *,
    out: Out = Path("credentials.json"),
    cancel_out: Annotated[
        Path | None, typer.Option(help="Credentials that only cancel; default: beside --out.")
    ] = None,
    sim: Sim = None,
    wallet: Wallet = "",
    relayer_key_file: Annotated[
        Path | None, typer.Option(help='{"key": "...", "address": "0x..."} in a 0600 file.')
    ] = None,
    session_key_file: Annotated[
        Path | None,
        typer.Option(help="A key that may only trade goes to the engine, not the owner's."),
    ] = None,
    new_key: Annotated[bool, typer.Option(help="Make key files where there are none.")] = False,
    wrap: Annotated[bool, typer.Option(help="Turn USDC.e of the wallet into pUSD.")] = True,
    real_venue: Annotated[bool, typer.Option(help="Yes, the venue where money is real.")] = False,
    as_json: Json = False,
) -> None:
    """Detect the wallet, derive keys, deploy, wrap, approve, show balances, write credentials.

    Every step asks the venue first whether it is done: after any failure run it again.
    """
    from lowlat.app.onboarding import Choices, onboard

    urls, certificate = _simulator(sim) if sim is not None else (None, "")
    if new_key and (sim is not None or real_venue):
        _make_key(key_file)
        if session_key_file is not None:
            _make_key(session_key_file)
    told: dict[str, str] = {}

    def say(step: str, words: str) -> None:
        told[step] = words
        if not as_json:
            print(f"{step:<11} {words}", flush=True)

    choices = Choices(
        key_file,
        out,
        cancel_out or out.with_name(f"cancel-{out.name}"),
        wallet,
        relayer_key_file,
        wrap,
        urls,
        certificate,
        real_venue,
        session_key_file,
    )
    onboard(choices, say)
    if as_json:
        print(json.dumps(told))


def _simulator(path: Path) -> tuple[dict[str, str], str]:
    """Read the addresses of a running simulator."""
    try:
        with path.open(encoding="utf-8") as file:
            ready: Any = json.loads(file.readline())
        urls, certificate = dict(ready["urls"]), str(ready["certificate"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"init: --sim {path} does not begin with the line that lowlat sim prints: {error!r}"
        ) from None
    missing = [place for place in _PLACES if not isinstance(urls.get(place), str)]
    if missing:
        raise ConfigError(
            f"init: --sim {path} names no address of {', '.join(missing)}: take the line that "
            "lowlat sim of this version prints"
        )
    return urls, certificate


def _make_key(path: Path) -> None:
    """Make a key file; one that is there already is kept, so that the command can be repeated."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigError(f"init: key file {path}: {error.strerror}") from None
    with open(descriptor, "w", encoding="ascii") as file:
        file.write("0x" + secrets.token_bytes(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
