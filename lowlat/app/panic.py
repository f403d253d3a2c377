"""Cancel everything at the venue without the engine: own credentials, own connection, own proof.

The credentials are an API key alone: they cancel and list, no order can be signed with them. A
cancel-all misses what is still on its way (polymarket.md 15, row 23), so it is sent until the
venue has listed no open order twice, _QUIET_S apart.
"""

import http.client
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from lowlat.app.config import EngineConfig, read_secrets
from lowlat.app.venue_calls import VenueCalls
from lowlat.core.errors import ConfigError, LowlatError, RemoteProtocolError
from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth
from lowlat.venues.polymarket.lookups import decode_orders_page
from lowlat.venues.polymarket.rejects import Policy
from lowlat.venues.polymarket.replies import decode_cancel_reply
from lowlat.venues.polymarket.requests import FIRST_CURSOR, ClobRequests

__all__ = [
    "KEY",
    "CancelCredentials",
    "Canceller",
    "Cleared",
    "auth_of",
    "canceller_of",
    "load_cancel_credentials",
]

KEY: Final = "account.cancel_credentials_file"
_QUIET_S: Final = 1.5
"""Between the two listings that must both be empty: an order on its way lands within."""
_PAUSE_S: Final = 0.25
_PAUSE_MAX_S: Final = 2.0
_PAGES_MAX: Final = 100


class CancelCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may cancel and list, and nothing else. The repr shows no secret."""

    api_key: str
    api_secret: str
    api_passphrase: str
    address: str
    funder: str = ""
    """The wallet that trades; only what reads balances needs it and the next."""
    signature_type: Annotated[int, msgspec.Meta(ge=-1, le=3)] = -1

    def __repr__(self) -> str:
        return f"CancelCredentials(address={self.address}, secrets=***)"


@dataclass(frozen=True, slots=True)
class Cleared:
    """How it ended."""

    canceled: int
    """Orders that the venue says it took out."""
    left: int
    """Open orders in the newest listing; -1 when there never was one."""
    requests: int
    error: str
    """The last thing that went wrong, '' when nothing did since the last success."""

    @property
    def ok(self) -> bool:
        """Whether the venue listed no open order, twice."""
        return self.left == 0 and not self.error


def load_cancel_credentials(path: str) -> CancelCredentials:
    """Read the 0600 file; ConfigError, also for a file that holds a key that can sign."""
    found = read_secrets(path, KEY, CancelCredentials)
    auth_of(found)
    return found


def auth_of(credentials: CancelCredentials) -> L2Auth:
    """Return what signs private calls, none of which can be an order. Raises ConfigError."""
    try:
        return L2Auth(
            credentials.address,
            ApiCredentials(credentials.api_key, credentials.api_secret, credentials.api_passphrase),
        )
    except LowlatError as error:
        raise ConfigError(f"{KEY}: {error}") from None


def canceller_of(config: EngineConfig) -> "Canceller":
    """Make what cancels for a config. Raises ConfigError when it names no credentials."""
    path = config.account.cancel_credentials_file
    if not path:
        raise ConfigError(
            f"{KEY} was not set: name a 0600 JSON file with api_key, api_secret, api_passphrase "
            "and address (no private key), then lowlat panic can cancel"
        )
    ends = config.endpoints
    return Canceller(ends.clob_url, ends.certificate_file, load_cancel_credentials(path))


class Canceller:
    """Blocking calls to one venue; every one on a connection of its own."""

    def __init__(
        self, clob_url: str, certificate_file: str, credentials: CancelCredentials
    ) -> None:
        self._calls = VenueCalls(clob_url, certificate_file)
        self._requests = ClobRequests(self._calls.host, auth_of(credentials))
        self._jitter = random.SystemRandom().uniform

    def clear(self, deadline_s: float, say: Callable[[str], None]) -> Cleared:
        """Cancel until the venue lists nothing twice, or for deadline_s."""
        end_s = time.monotonic() + deadline_s
        canceled = requests = empty = 0
        left, error, pause_s = -1, "", _PAUSE_S
        while True:
            requests += 1
            try:
                canceled += self._cancel_all()
                left = self._open_count()
            except (OSError, http.client.HTTPException, RemoteProtocolError) as fault:
                error, empty = f"{type(fault).__name__}: {fault}", 0
                say(f"not yet: {error}")
                pause_s = min(_PAUSE_MAX_S, 2 * pause_s)
            else:
                error, pause_s = "", _PAUSE_S
                empty = 0 if left else empty + 1
                say(f"{canceled} canceled, {left} open")
            if empty == 2:
                break
            wait_s = _QUIET_S if empty else pause_s * self._jitter(0.5, 1.5)
            if time.monotonic() + wait_s >= end_s:
                error = error or "the venue did not list twice in a row that nothing is open"
                break
            time.sleep(wait_s)
        return Cleared(canceled, left, requests, error)

    def _cancel_all(self) -> int:
        """Return how many orders went. Raises RemoteProtocolError when the venue would not."""
        status, body = self._calls.call(self._requests.cancel_all(int(time.time())))
        reply = decode_cancel_reply(status, body)
        if reply.policy != Policy.ACCEPTED:
            raise RemoteProtocolError(f"cancel-all: {status} {reply.text}")
        return len(reply.canceled)

    def _open_count(self) -> int:
        """Count open orders over all pages."""
        count, cursor = 0, FIRST_CURSOR
        for _ in range(_PAGES_MAX):
            request = self._requests.orders(int(time.time()), cursor=cursor)
            page = decode_orders_page(*self._calls.call(request))
            count += len(page.rows)
            cursor = page.next_cursor
            if not cursor:
                return count
        raise RemoteProtocolError(f"open orders have more than {_PAGES_MAX} pages")
