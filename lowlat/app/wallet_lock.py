"""One engine a wallet on this host: a lock named by its address, held by the executor's process.

Two engines on one wallet would each cancel the other's orders as strangers and spend its cash, and
two settlements would plan the same step. Each lock is held from its making to ``close`` or death.
Across hosts the ledger's lock stands (store/ledger/lock.py).
"""

import os
import re
from typing import Final

from lowlat.core.errors import ConfigError
from lowlat.shm.locks import FileLock
from lowlat.shm.places import run_dir

__all__ = ["lock_settlement", "lock_trading"]

_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
_NEW: Final = "a process that just started"


def lock_trading(wallet: str, instance: str) -> FileLock:
    """Trade for the wallet alone. Raises ConfigError that names who does already."""
    mend = "one engine a wallet, stop that one first"
    return _lock("wallet", wallet, instance, "traded", mend)


def lock_settlement(wallet: str, instance: str) -> FileLock:
    """Settle for the wallet alone. Raises ConfigError that names who does already."""
    mend = "one at a time; look without moving anything with --dry-run"
    return _lock("settles", wallet, instance, "settled", mend)


def _lock(name: str, wallet: str, instance: str, what: str, mend: str) -> FileLock:
    address = wallet.lower()
    assert _ADDRESS.fullmatch(address), "a wallet was checked with its credentials"
    return FileLock(
        f"{run_dir()}/{name}-{address}.lock",
        f"instance {instance} pid {os.getpid()}",
        lambda holder: ConfigError(
            f"wallet {wallet} is {what} already, by {holder or _NEW}: {mend}"
        ),
    )
