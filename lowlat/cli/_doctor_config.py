"""The part of `lowlat doctor` that needs a config: its files, and the way to its venues.

Secrets are not read here: of the credentials file only owner and mode are looked at.
"""

import http.client
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

from lowlat.cli._finding import FAIL, OK, WARN, Finding
from lowlat.core.errors import ConfigError, LowlatError
from lowlat.venues.polymarket.lookups import decode_server_time

if TYPE_CHECKING:
    from lowlat.app.config import EngineConfig
    from lowlat.app.machine import Address

__all__ = ["config", "of_config"]

_CONNECT_S: Final = 5.0
_ROUNDS: Final = 5
_ENDPOINTS: Final = (
    "clob_url",
    "market_ws_url",
    "user_ws_url",
    "gamma_url",
    "prices_ws_url",
    "binance_ws_url",
    "binance_rest_url",
)
_FAR_MS: Final = 150.0
"""The whole of tick to answer is to take less. Source: the engine's own aim."""
_OFFSET_S_MAX: Final = 2.0
"""The venue tells whole seconds, so less than this cannot be told from none."""


def config(path: str) -> Finding:
    """Load the whole config as the engine would."""
    from lowlat.app.config import load_config

    try:
        found = load_config(path)
    except ConfigError as error:
        return Finding("config", FAIL, str(error), "mend the key that is named")
    return Finding("config", OK, f"{path}: instance {found.instance}, mode {found.mode}")


def of_config(path: str) -> list[tuple[str, Callable[[], Finding]]]:
    """Return the checks that a config asks for; none when it cannot be read."""
    from lowlat.app.config import load_config
    from lowlat.app.machine import address_of

    try:
        found = load_config(path)
    except ConfigError:
        return []
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("credentials", partial(_credentials, found.account.credentials_file))
    ]
    seen = set()
    for key in _ENDPOINTS:
        address = address_of(getattr(found.endpoints, key))
        if (address.host, address.port, address.is_tls) not in seen:
            seen.add((address.host, address.port, address.is_tls))
            name = f"way to {address.name}"
            checks.append((name, partial(_round_trip, name, address, found)))
    clob = address_of(found.endpoints.clob_url)
    checks.append(("venue clock", partial(_venue_clock, clob, found)))
    return checks


def _credentials(path: str) -> Finding:
    try:
        status = os.stat(path)
    except OSError as error:
        mend = "account.credentials_file names a file that only you may read"
        return Finding("credentials", FAIL, f"{path}: {error.strerror}", mend)
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077 or status.st_uid != os.getuid():
        have = f"{path} has mode {mode:04o}, owner {status.st_uid}"
        return Finding("credentials", FAIL, have, f"chmod 600 {path}; chown it to yourself")
    return Finding("credentials", OK, f"{path} is yours alone")


def _round_trip(name: str, address: "Address", found: "EngineConfig") -> Finding:
    """Connect a few times: one round trip of the network each, TLS is checked once."""
    took_ms = []
    try:
        for _ in range(_ROUNDS):
            begin = time.perf_counter()
            with socket.create_connection((address.host, address.port), _CONNECT_S):
                took_ms.append((time.perf_counter() - begin) * 1e3)
        if address.is_tls:
            with (
                socket.create_connection((address.host, address.port), _CONNECT_S) as plain,
                _context(found).wrap_socket(plain, server_hostname=address.host) as secure,
            ):
                tls = f", {secure.version()}"
        else:
            tls = ""
    except OSError as error:
        mend = "is it the right host and port, does a firewall let you through, is it up?"
        return Finding(name, FAIL, f"{type(error).__name__}: {error}", mend)
    have = f"{median(took_ms):.1f} ms, worst {max(took_ms):.1f}{tls}"
    if median(took_ms) > _FAR_MS:
        return Finding(name, WARN, have, "too far to be quick: rent closer to the venue")
    return Finding(name, OK, have)


def _venue_clock(address: "Address", found: "EngineConfig") -> Finding:
    """Compare our wall clock with the venue's ``/time``."""
    name = "venue clock"
    connection = (
        http.client.HTTPSConnection(
            address.host, address.port, timeout=_CONNECT_S, context=_context(found)
        )
        if address.is_tls
        else http.client.HTTPConnection(address.host, address.port, timeout=_CONNECT_S)
    )
    try:
        begin_s = time.time()
        connection.request("GET", "/time")
        answer = connection.getresponse()
        body = answer.read(64)
        end_s = time.time()
    except (OSError, http.client.HTTPException) as error:
        return Finding(name, FAIL, f"{type(error).__name__}: {error}", "see the way to the venue")
    finally:
        connection.close()
    try:
        venue_s = decode_server_time(answer.status, body)
    except LowlatError as error:
        return Finding(name, WARN, f"{error} ({body!r})", "is clob_url the CLOB?")
    # Whole seconds, rounded down: half of one is the best guess. It was told at some moment of
    # the round trip: what that alone can explain accuses nobody.
    offset_s = (begin_s + end_s) / 2 - venue_s - 0.5
    # Plus nothing: what rounds to minus zero is said without its sign.
    have = f"ours is {round(offset_s, 1) + 0.0:+.1f} s from it (it tells whole seconds)"
    if abs(offset_s) > _OFFSET_S_MAX + (end_s - begin_s) / 2:
        return Finding(name, FAIL, have, "set the clock: the venue refuses old timestamps")
    return Finding(name, OK, have)


def _context(found: "EngineConfig") -> ssl.SSLContext:
    from lowlat.app.machine import tls_context

    return tls_context(found.endpoints.certificate_file)
