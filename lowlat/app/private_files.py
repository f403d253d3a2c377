"""Files that only we may read: keys, credentials, passphrases. Whole or not there, 0600 throughout.

Used by whoever keeps a secret on disk. What a file holds never reaches a message.
"""

import os
import stat
from pathlib import Path

from lowlat.core.errors import ConfigError

__all__ = ["read_private", "write_private"]


def read_private(path: str | Path, what: str) -> bytes:
    """Return what a file of ours holds, which nobody else may read.

    Raises ConfigError that says ``what`` it is, when it cannot be read or is open to others.
    """
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            raw = file.read()
    except OSError as error:
        raise ConfigError(f"{what} {path}: {error.strerror}") from None
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077 or found.st_uid != os.geteuid():
        raise ConfigError(
            f"{what} {path} has mode {mode:04o} and owner {found.st_uid}, "
            f"expected 0600 and {os.geteuid()}: chmod 600 {path}"
        )
    return raw


def write_private(path: Path, data: bytes) -> None:
    """Replace a file by one that is whole and ours alone from its first byte."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(part, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
