"""What a process with secrets does first: no core dump, nothing it writes is open to others."""

import ctypes
import os
import resource
from collections.abc import Iterable, Mapping
from typing import Final

from lowlat.core.errors import ConfigError

__all__ = ["harden", "refuse_in_environment"]

_PR_SET_DUMPABLE: Final = 4
"""Source: prctl(2), linux/prctl.h."""
_UMASK: Final = 0o077


def harden() -> None:
    """Switch core dumps off for good and make new files private. Raises OSError when refused.

    A pattern that pipes cores into a program ignores the size limit, so the process is also made
    not dumpable; that hides its memory from other processes of the same user as well.
    """
    os.umask(_UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_DUMPABLE was refused")


def refuse_in_environment(secrets: Iterable[str], environment: Mapping[str, str]) -> None:
    """Raise ConfigError when a secret is in the environment, where /proc shows it for life.

    The message names the variable, never what is in it. An empty secret is none.
    """
    wanted = [secret.lower().removeprefix("0x") for secret in secrets if secret]
    for name, value in environment.items():
        lower = value.lower()
        if any(secret in lower for secret in wanted):
            raise ConfigError(
                f"environment variable {name} holds a secret of a credentials file: "
                "everything that runs as you can read it in /proc; unset it, and see who set it"
            )
