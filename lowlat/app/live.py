"""What trading real money stands on, checked before anything starts; see proof.py for the rest.

The config says live, the credentials are ours alone, the ledger is on and does not contradict
itself, the dead-man switch is armed by config, and the venue answers with the credentials that
cannot sign. What is not healthy is said by name.
"""

import http.client
import os
import stat
import time
from typing import Final

from lowlat.app.config import EngineConfig
from lowlat.app.ledger_check import open_ledger_to_read, reader_of
from lowlat.app.ledger_url import ledger_url
from lowlat.core.errors import ConfigError, LedgerError, RemoteProtocolError
from lowlat.store.ledger.audit import audit

__all__ = ["what_is_missing"]

_HEARTBEAT_NS_MAX: Final = 9_000_000_000
"""The venue cancels after 10 s of silence. Source: polymarket.md 5.7."""
_SHOWN: Final = 3


def what_is_missing(config: EngineConfig, *, flag: bool) -> list[str]:
    """Return what keeps real money from being traded, in words; empty when nothing does."""
    found = []
    if not flag:
        found.append("explicit consent: mode is live, the command says no --live")
    if config.mode != "live":
        found.append(f'config: mode was "{config.mode}", --live needs "live" in the file as well')
    found += _credentials(config)
    found += _heartbeat(config)
    ledger = _ledger(config)
    found += ledger
    if not ledger:
        found += _venue(config)
    return found


def _credentials(config: EngineConfig) -> list[str]:
    """Look at owner and mode only: nobody but the executor opens the file."""
    path = config.account.credentials_file
    try:
        status = os.stat(path)
    except OSError as error:
        return [f"credentials: account.credentials_file {path}: {error.strerror}"]
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        mode = stat.S_IMODE(status.st_mode)
        return [f"credentials: {path} has mode {mode:04o}, expected 0600 and yours: chmod 600"]
    return []


def _heartbeat(config: EngineConfig) -> list[str]:
    every_ns = config.execution.heartbeat_every_ns
    if 0 < every_ns <= _HEARTBEAT_NS_MAX:
        return []
    text = (
        f"heartbeat: execution.heartbeat_every_ns was {every_ns}, expected 1 to "
        f"{_HEARTBEAT_NS_MAX}: the venue cancels all after 10 s of silence"
    )
    return [text]


def _ledger(config: EngineConfig) -> list[str]:
    """Read the ledger; one that does not exist yet is made by the recorder."""
    if not config.ledger.enabled:
        return ["ledger: ledger.enabled was false, real money needs its evidence"]
    url = ledger_url(config)
    if url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):
        return []
    try:
        engine = open_ledger_to_read(config)
    except (ConfigError, LedgerError) as error:
        return [f"ledger: {error}"]
    try:
        wrong = audit(engine)
    except LedgerError as error:
        return [f"ledger: {error}"]
    finally:
        engine.dispose()
    return [f"ledger: contradicts itself: {each}" for each in wrong[:_SHOWN]]


def _venue(config: EngineConfig) -> list[str]:
    """Ask the venue for open orders, trades and cash: what reconciliation stands on."""
    try:
        reader_of(config).picture((), time.time_ns() // 1_000_000)
    except ConfigError as error:
        return [f"reconciliation: {error}"]
    except (OSError, http.client.HTTPException, RemoteProtocolError) as error:
        return [f"reconciliation: the venue did not answer: {type(error).__name__}: {error}"]
    return []
