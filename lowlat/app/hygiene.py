"""What a process with secrets does first: no core dump, nothing it writes is open to others."""

import ctypes
import os
import resource
from typing import Final

__all__ = ["harden"]

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
