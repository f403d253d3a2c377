"""What the demo makes for its run: a throwaway account, a config, a clean state directory.

The key lives in a private temporary folder for the length of the run. The journal is kept in the
state directory, so that `why` and `trace` have something to show afterwards; a folder that holds
anybody else's journal is refused, never cleaned.
"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from lowlat.app.agreement import VenueDoor
from lowlat.app.state import state_dir
from lowlat.app.topology import FUSED, ProcessConfig, topology_toml
from lowlat.core.errors import ConfigError
from lowlat.venues.polymarket.eip712 import SigningKey

__all__ = ["Account", "clear_state", "open_account", "write_config"]

_MARK: Final = "this-is-a-demo"
_SIGNATURE_TYPE: Final = 0
_DEPOSIT_WALLET: Final = 3
_CONFIG: Final = """\
# Written by lowlat demo. Everything here is simulated and stays on this machine.
instance = {instance}
mode = "sim"

[endpoints]
clob_url = {clob}
market_ws_url = {market}
user_ws_url = {user}
gamma_url = {gamma}
prices_ws_url = {prices}
binance_ws_url = {binance_ws}
binance_rest_url = {binance}

[account]
credentials_file = {credentials}
cancel_credentials_file = {cancel_credentials}

[limits]
bankroll_cap_e6 = 5_000_000_000

[modules.arbitrage]
mode = "paper"

[modules.latency]
mode = "paper"

# A demo is over before an exchange's volatility is learned: what is seen of it in a few seconds has
# no jump in it yet. This is what the simulated exchange really does, a second.
[modules.latency.params.coin]
warmup_s = 3
volatility_floor = 0.0005
"""
_ALL: Final = """
# As short is the time to learn whether cheap offers come back: here they are planted, and do.
[modules.bonds]
mode = "paper"

[modules.bonds.params]
warmup_s = 8
revert_s = 5
dips_back = 4.0
dips_gone = 1.0

[modules.rebates]
mode = "paper"
"""


class Account(NamedTuple):
    """The throwaway account as the venue knows it."""

    wallet: str
    credentials_file: Path
    cancel_credentials_file: Path
    """Without the key: what lowlat panic uses."""
    settlement_credentials_file: Path | None = None
    """The owner's key and the relayer's; only of a deposit wallet."""


def clear_state(instance: str) -> Path:
    """Return the demo's state directory without what an earlier demo left there.

    Raises ConfigError when it holds what no demo wrote.
    """
    folder = state_dir(instance)
    mark = folder / _MARK
    if not mark.exists() and any(folder.glob("journal-*.log")):
        raise ConfigError(
            f"--instance was {instance!r}: {folder} holds the journal of a real run; the demo "
            "clears its folder, so give it another name"
        )
    mark.touch(mode=0o600)
    for path in folder.iterdir():
        # The note of living children is the supervisor's: it tells what still runs.
        if path.name in {_MARK, "children.json"}:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return folder


def open_account(
    door: VenueDoor,
    folder: Path,
    signature_type: int = _SIGNATURE_TYPE,
    *,
    session: bool = False,
) -> Account:
    """Make a key, let the simulated venue open an account for it, write the credentials 0600.

    A deposit wallet (3) gets the credentials of its settlement too. ``session``: a second key that
    may only trade for it is what the engine gets.
    """
    private_key = secrets.token_bytes(32)
    address = SigningKey(private_key).address_text
    made = door.control("account", owner=address)
    wallet = str(made["wallets"][str(signature_type)])
    cancels = {
        "api_key": made["apiKey"],
        "api_secret": made["secret"],
        "api_passphrase": made["passphrase"],
        "address": address,
        "funder": address if signature_type == 0 else wallet,
        "signature_type": signature_type,
    }
    signs: dict[str, str | bool] = {"private_key": "0x" + private_key.hex()}
    settles: dict[str, str | int] = {
        **signs,
        **{name: cancels[name] for name in ("address", "funder", "signature_type")},
        "relayer_api_key": made["relayerApiKey"],
    }
    if session:
        key = secrets.token_bytes(32)
        cancels["address"] = SigningKey(key).address_text
        lent = door.control("session_key", owner=address, signer=cancels["address"])
        names = {"api_key": "apiKey", "api_secret": "secret", "api_passphrase": "passphrase"}
        cancels |= {name: lent[theirs] for name, theirs in names.items()}
        signs = {"private_key": "0x" + key.hex(), "session": True}
    return Account(
        wallet,
        _write_private(folder / "credentials.json", cancels | signs),
        _write_private(folder / "cancel.json", cancels),
        _write_private(folder / "settlement.json", settles)
        if signature_type == _DEPOSIT_WALLET
        else None,
    )


def _write_private(path: Path, values: Mapping[str, str | int | bool]) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(values, file)
    return path


def write_config(
    path: Path,
    instance: str,
    urls: Mapping[str, str],
    account: Account,
    topology: Mapping[str, ProcessConfig] = FUSED,
    *,
    all_modules: bool = False,
) -> None:
    """Write the engine's config for a simulator at these addresses.

    The two takers trade, or every module that is shipped.
    """
    values = {
        "instance": instance,
        "clob": urls["clob"],
        "market": urls["clob_ws"] + "/ws/market",
        "user": urls["clob_ws"] + "/ws/user",
        "gamma": urls["gamma"],
        "prices": urls["rtds_ws"],
        "binance_ws": urls["binance_ws"],
        "binance": urls["binance"],
        "credentials": str(account.credentials_file),
        "cancel_credentials": str(account.cancel_credentials_file),
    }
    # A JSON string is a TOML basic string.
    text = _CONFIG.format_map({key: json.dumps(value) for key, value in values.items()})
    text += _ALL if all_modules else ""
    path.write_text(text + "\n" + topology_toml(topology), encoding="utf-8")
