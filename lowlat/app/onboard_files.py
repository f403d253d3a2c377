"""Files of `lowlat init`: private keys that it reads, credentials that it writes, all of them 0600.

No text of a key reaches a message. A file is whole or not there, and never another account's.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lowlat.app.config import Credentials, read_secrets
from lowlat.app.private_files import read_private, write_private
from lowlat.app.sealed import is_sealed, passphrase_of_machine, seal
from lowlat.core.errors import ConfigError

__all__ = ["read_key", "refuse_other_files", "write_files"]

_KEY: Final = re.compile(r"(0x)?[0-9a-fA-F]{64}")


def read_key(path: Path) -> str:
    """Read a private key from a 0600 file; its text never shows."""
    text = read_private(path, "init: key file").decode("ascii", "replace").strip()
    if not _KEY.fullmatch(text):
        raise ConfigError(f"init: key file {path} holds no private key of 64 hex digits")
    return "0x" + text.removeprefix("0x")


def refuse_other_files(out: Path, owner: str) -> None:
    """Never write over another account's credentials."""
    if not out.exists():
        return
    found = read_secrets(str(out), "init: credentials file", Credentials)
    if found.address.lower() != owner.lower():
        raise ConfigError(
            f"init: {out} belongs to {found.address}, this key is {owner}: choose another --out"
        )


def write_files(out: Path, cancel_out: Path, trades: Mapping[str, Any]) -> str:
    """Write what trades and, without what signs, what cancels: an API key sees its own orders."""
    signs = {"private_key", "session"}
    _write(cancel_out, {name: each for name, each in trades.items() if name not in signs})
    _write(out, trades)
    return f"{out} (trades) and {cancel_out} (only cancels), mode 0600"


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file of ours; one that was sealed is sealed again."""
    data = json.dumps(values).encode()
    if path.exists() and is_sealed(path.read_bytes()):
        data = seal(data, passphrase_of_machine())
    write_private(path, data)
