"""One engine a wallet on this host: a lock named by its address, held by the executor's process.

Two engines on one wallet would each cancel the other's orders as strangers and spend its cash. The
kernel lets go when the process dies. Across hosts the ledger's lock stands (store/ledger/lock.py).
"""

import os
import re
from typing import Final

from lowlat.core.errors import ConfigError
from lowlat.shm.locks import FileLock
from lowlat.shm.places import run_dir

__all__ = ["SettlementLock", "WalletLock"]

_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")


class WalletLock:
    """Held from its making to ``close`` or death. Raises ConfigError that names the holder."""

    def __init__(self, wallet: str, instance: str) -> None:
        address = wallet.lower()
        assert _ADDRESS.fullmatch(address), "a wallet was checked with its credentials"
        self._lock = FileLock(
            f"{run_dir()}/wallet-{address}.lock",
            f"instance {instance} pid {os.getpid()}",
            lambda holder: ConfigError(
                f"wallet {wallet} is traded already, by {holder or 'a process that just started'}: "
                "one engine a wallet, stop that one first"
            ),
        )

    def close(self) -> None:
        """Let go."""
        self._lock.close()


class SettlementLock:
    """One settlement a wallet on this host: two would plan the same step.

    Held from its making to ``close`` or death. Raises ConfigError that names the holder.
    """

    def __init__(self, wallet: str, instance: str) -> None:
        address = wallet.lower()
        assert _ADDRESS.fullmatch(address), "a wallet was checked with its credentials"
        self._lock = FileLock(
            f"{run_dir()}/settles-{address}.lock",
            f"instance {instance} pid {os.getpid()}",
            lambda holder: ConfigError(
                f"wallet {wallet} is settled already, by {holder or 'a process that just started'}:"
                " one at a time; look without moving anything with --dry-run"
            ),
        )

    def close(self) -> None:
        """Let go."""
        self._lock.close()
