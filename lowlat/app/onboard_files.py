"""Files of `lowlat init`: private keys that it reads, credentials that it writes, all of them 0600.

No text of a key reaches a message. A file is whole or not there, and never another account's.
"""

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lowlat.app.config import Credentials, read_secrets
from lowlat.app.sealed import is_sealed, passphrase_of_machine, seal
from lowlat.core.errors import ConfigError

__all__ = ["read_key", "refuse_other_files", "write_files"]

_KEY: Final = re.compile(r"(0x)?[0-9a-fA-F]{64}")


def read_key(path: Path) -> str:
    """Read a private key from a 0600 file; its text never shows."""
    try:
        with open(path, encoding="ascii") as file:
            found = os.fstat(file.fileno())
            text = file.read(200).strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "is not text"
        raise ConfigError(f"init: key file {path}: {words}") from None
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
        raise ConfigError(f"init: key file {path} is open to others: chmod 600 {path}")
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
    _write_private(cancel_out, {name: each for name, each in trades.items() if name not in signs})
    _write_private(out, trades)
    return f"{out} (trades) and {cancel_out} (only cancels), mode 0600"


def _write_private(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file that is whole or not there, readable by us only from its first byte.

    One that was sealed is sealed again.
    """
    data = json.dumps(values).encode()
    if path.exists() and is_sealed(path.read_bytes()):
        data = seal(data, passphrase_of_machine())
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(part, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
