"""Credentials at rest, sealed with a passphrase: scrypt makes the key, AES-256-GCM keeps it shut.

A sealed file is opened by whoever reads it (``config.read_secrets``), at each start, so the
passphrase has to be somewhere that a restart at night finds it and a stolen disk does not: the
credential *lowlat-passphrase* of a systemd unit, or a 0600 file in the run directory, which must
be memory (tmpfs). ``lowlat secrets`` seals, opens, and puts the passphrase there.
"""

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from lowlat.app.private_files import write_private
from lowlat.core.errors import ConfigError
from lowlat.shm.places import run_dir

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["checked", "is_sealed", "lock", "passphrase_of_machine", "seal", "unlock", "unseal"]

_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_LOG2_N, _R, _P = 15, 8, 1
"""32 MiB and some 80 ms a guess. Source: RFC 7914."""
_MEMORY_MAX: Final = 1 << 28
_NAME: Final = "lowlat-passphrase"
_TMPFS: Final = ("tmpfs", "ramfs")
_PASSPHRASE_BYTES: Final = range(8, 1025)


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a sealed file. The cost stays in it, so that a later version may ask for more."""

    sealed: Annotated[int, msgspec.Meta(ge=1, le=1)]
    log2_n: Annotated[int, msgspec.Meta(ge=14, le=20)]
    r: Annotated[int, msgspec.Meta(ge=8, le=16)]
    p: Annotated[int, msgspec.Meta(ge=1, le=4)]
    salt: bytes
    nonce: bytes
    data: bytes


def is_sealed(raw: bytes) -> bool:
    """Whether these are the bytes of a sealed file."""
    return raw.startswith(b'{"sealed":')


def seal(plain: bytes, passphrase: bytes) -> bytes:
    """Return what a sealed file holds of ``plain``."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    head = _Sealed(1, _LOG2_N, _R, _P, salt, nonce, b"")
    data = _cipher(head, passphrase).encrypt(nonce, plain, _bound(head))
    return msgspec.json.encode(msgspec.structs.replace(head, data=data)) + b"\n"


def unseal(raw: bytes, passphrase: bytes, what: str) -> bytes:
    """Return what was sealed; raises ConfigError that names ``what`` and shows nothing of it."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - on use, 20 ms

    try:
        head = msgspec.json.decode(raw, type=_Sealed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ConfigError(f"{what} is a damaged sealed file: take its backup") from None
    if len(head.salt) != _SALT_BYTES or len(head.nonce) != _NONCE_BYTES:
        raise ConfigError(f"{what} is a damaged sealed file: take its backup")
    try:
        return _cipher(head, passphrase).decrypt(head.nonce, head.data, _bound(head))
    except InvalidTag:
        raise ConfigError(
            f"{what} does not open: the passphrase is another one, or the file was changed; "
            "lowlat secrets unlock takes the right one"
        ) from None


def _cipher(head: _Sealed, passphrase: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - on use

    key = hashlib.scrypt(
        passphrase,
        salt=head.salt,
        n=1 << head.log2_n,
        r=head.r,
        p=head.p,
        maxmem=_MEMORY_MAX * 2,
        dklen=_KEY_BYTES,
    )
    return AESGCM(key)


def _bound(head: _Sealed) -> bytes:
    """Bind the cost to the data: nobody makes a file cheaper to guess unseen."""
    return f"{head.sealed} {head.log2_n} {head.r} {head.p}".encode()


# --------------------------------------------------------------------------- the passphrase
def passphrase_of_machine() -> bytes:
    """Return the passphrase that systemd or ``lowlat secrets unlock`` left; raises ConfigError."""
    places = [_unlocked()]
    if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
        # Holds a path, no secret: systemd keeps the file itself in memory that is not swapped.
        places.insert(0, Path(credentials) / _NAME)
    for place in places:
        try:
            with place.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                found = file.read(_PASSPHRASE_BYTES.stop)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"passphrase {place}: {error.strerror}") from None
        if mode & 0o077:
            raise ConfigError(f"passphrase {place} has mode {mode:04o}: run chmod 600 {place}")
        return checked(found.rstrip(b"\r\n"), str(place))
    raise ConfigError(
        "credentials are sealed and nobody gave the passphrase: run lowlat secrets unlock, or give "
        f"the unit LoadCredential={_NAME}:/path (looked at {', '.join(map(str, places))})"
    )


def checked(passphrase: bytes, where: str) -> bytes:
    """Return a passphrase of a length that can be one; raises ConfigError."""
    if len(passphrase) not in _PASSPHRASE_BYTES:
        raise ConfigError(
            f"passphrase of {where} has {len(passphrase)} bytes, expected "
            f"{_PASSPHRASE_BYTES.start} to {_PASSPHRASE_BYTES.stop - 1}"
        )
    return passphrase


def unlock(passphrase: bytes) -> Path:
    """Leave the passphrase for every start until the next boot; return where. ConfigError if not.

    Raises ConfigError where the run directory is on a disk: the passphrase would lie beside what
    it keeps shut.
    """
    place = _unlocked()
    kind = _file_system(place.parent)
    if kind not in _TMPFS:
        raise ConfigError(
            f"the run directory {place.parent} is on {kind}, expected memory ({_TMPFS[0]}): set "
            "XDG_RUNTIME_DIR, which a login sets to one, or use LoadCredential of systemd"
        )
    write_private(place, passphrase)
    return place


def lock() -> bool:
    """Take the passphrase away; return whether there was one. Who runs keeps what he read."""
    try:
        _unlocked().unlink()
    except FileNotFoundError:
        return False
    return True


def _unlocked() -> Path:
    return Path(run_dir()) / "passphrase"


def _file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[2] == wanted:
            # Optional fields end with a dash. Source: proc_pid_mountinfo(5).
            return fields[fields.index("-") + 1]
    return "an unknown file system"
