"""Hold the ledger against the venue's own words, fetched with credentials that cannot sign.

Used by `lowlat ledger check` and before trading real money. Reads only, on both sides. What
differs is looked at again until a deadline: the ledger is a few milliseconds behind the engine,
and the venue's balances are behind its trades.
"""

import http.client
import time
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Engine

from lowlat.app.config import EngineConfig
from lowlat.app.ledger_url import ledger_url
from lowlat.app.panic import KEY, CancelCredentials, auth_of, load_cancel_credentials
from lowlat.app.venue_calls import VenueCalls
from lowlat.core.errors import ConfigError, RemoteProtocolError
from lowlat.store.ledger.audit import Difference
from lowlat.store.ledger.database import open_database
from lowlat.store.ledger.versus import Compared, VenuePicture, compare, read_books
from lowlat.venues.polymarket.account import Account, OrderUpdate, TradeUpdate
from lowlat.venues.polymarket.lookups import (
    decode_balance,
    decode_orders_page,
    decode_trades_page,
)
from lowlat.venues.polymarket.requests import FIRST_CURSOR, AssetType, ClobRequests
from lowlat.venues.polymarket.signing import is_v3

__all__ = ["VenueReader", "check_ledger", "open_ledger_to_read", "reader_of"]

_PAGES_MAX: Final = 500
_PAUSE_S: Final = 0.5
_OVERLAP_S: Final = 60
"""Trades are asked for from so long before the ledger began."""


def open_ledger_to_read(config: EngineConfig) -> Engine:
    """Open the ledger without changing anything. Raises ConfigError or LedgerError."""
    return open_database(ledger_url(config), config.ledger.password_file, read_only=True)


def reader_of(config: EngineConfig) -> "VenueReader":
    """Make what asks the venue for a config. Raises ConfigError that says what is missing."""
    path = config.account.cancel_credentials_file
    if not path:
        raise ConfigError(
            f"{KEY} was not set: name a 0600 JSON file with api_key, api_secret, api_passphrase, "
            "address, funder and signature_type (no private key)"
        )
    credentials = load_cancel_credentials(path)
    if not credentials.funder or credentials.signature_type < 0:
        raise ConfigError(
            f"{KEY} {path} has no funder and signature_type: balances belong to a wallet, "
            "add both (they are no secrets)"
        )
    ends = config.endpoints
    return VenueReader(ends.clob_url, ends.certificate_file, credentials)


class VenueReader:
    """The account as the venue tells it."""

    def __init__(
        self, clob_url: str, certificate_file: str, credentials: CancelCredentials
    ) -> None:
        self._calls = VenueCalls(clob_url, certificate_file)
        self._requests = ClobRequests(self._calls.host, auth_of(credentials))
        self._account = Account(credentials.api_key, credentials.funder)
        self._signature_type = credentials.signature_type

    def picture(self, tokens: Iterable[str], since_ms: int) -> VenuePicture:
        """Ask for everything. Raises OSError, HTTPException or RemoteProtocolError."""
        orders = self._orders()
        trades = self.trades(max(0, since_ms // 1_000 - _OVERLAP_S))
        asked = set(tokens) | {str(fill.token_id) for each in trades for fill in each.fills}
        cash_e6 = self.cash_e6()
        balances = {token: self.balance_e6(int(token)) for token in sorted(asked)}
        return VenuePicture(cash_e6, balances, orders, trades)

    def cash_e6(self) -> int:
        """Return the collateral, after the venue looked at the chain again."""
        self._balance(refresh=True)
        return self._balance()

    def balance_e6(self, token_id: int) -> int:
        """Return the shares of a token."""
        kind = AssetType.CONDITIONAL_V2 if is_v3(token_id) else AssetType.CONDITIONAL
        return self._balance(kind, token_id)

    def _balance(
        self,
        kind: AssetType = AssetType.COLLATERAL,
        token_id: int | None = None,
        *,
        refresh: bool = False,
    ) -> int:
        request = self._requests.balance(
            int(time.time()), self._signature_type, kind, token_id, refresh=refresh
        )
        status, body = self._calls.call(request)
        # What a refresh answers is not documented: only its status counts.
        if refresh and status == http.client.OK:
            return 0
        return decode_balance(status, body).balance_e6

    def _orders(self) -> list[OrderUpdate]:
        rows: list[OrderUpdate] = []
        cursor = FIRST_CURSOR
        for _ in range(_PAGES_MAX):
            request = self._requests.orders(int(time.time()), cursor=cursor)
            page = decode_orders_page(*self._calls.call(request))
            rows += page.rows
            cursor = page.next_cursor
            if not cursor:
                return rows
        raise RemoteProtocolError(f"open orders have more than {_PAGES_MAX} pages")

    def trades(self, after_s: int) -> list[TradeUpdate]:
        """Return all trades of the account since a second."""
        rows: list[TradeUpdate] = []
        cursor = FIRST_CURSOR
        for _ in range(_PAGES_MAX):
            request = self._requests.trades(int(time.time()), after_s=after_s, cursor=cursor)
            page = decode_trades_page(*self._calls.call(request), self._account)
            rows += page.rows
            cursor = page.next_cursor
            if not cursor:
                return rows
        raise RemoteProtocolError(f"trades have more than {_PAGES_MAX} pages")


def check_ledger(ledger: Engine, reader: VenueReader, wait_s: float) -> Compared:
    """Compare until everything agreed once, or for wait_s; raises what the venue's reader raises.

    An engine that trades moves the account while it is compared: what agreed in one of the looks
    agrees. What is left differed in all of them, with the numbers of the last.
    """
    end_s = time.monotonic() + wait_s
    found = _look(ledger, reader)
    while found.differences and time.monotonic() + _PAUSE_S < end_s:
        time.sleep(_PAUSE_S)
        latest = _look(ledger, reader)
        latest.differences = _in_both(found, latest)
        found = latest
    return found


def _look(ledger: Engine, reader: VenueReader) -> Compared:
    """Compare once, with the ledger as it was before and behind the venue's answers."""
    before = read_books(ledger)
    venue = reader.picture(before.tokens, before.since_ms)
    first, latest = compare(before, venue), compare(read_books(ledger), venue)
    latest.differences = _in_both(first, latest)
    return latest


def _in_both(first: Compared, latest: Compared) -> list[Difference]:
    known = {each[:3] for each in first.differences}
    return [each for each in latest.differences if each[:3] in known]
