"""A session key for a deposit wallet: it may trade at the order book for half a year, no more.

A step of `lowlat init`. The owner's key signs the permission through the vendor's client and stays
where it is; only the session key goes into the credentials that the engine opens. Asked first, so
that a run that died anywhere is started again.
Source: polymarket.md 2.3.
"""

from typing import Any, Final, NamedTuple

from lowlat.app.onboard_venue import OnboardVenue
from lowlat.core.errors import ConfigError
from lowlat.venues.polymarket.eip712 import SigningKey

__all__ = ["SessionKey", "address_of_key", "let_trade"]

_SCOPES: Final = ("CLOB",)
"""The order book alone: no transfers, no other product of the venue."""


class SessionKey(NamedTuple):
    """A key and the API credentials that go with it."""

    private_key: str
    address: str
    api_key: str
    secret: str
    passphrase: str
    until: str
    """Date on which the permission ends."""

    def api_keys(self) -> dict[str, str]:
        """Return what goes into a credentials file, but for the key and the wallet."""
        return {
            "api_key": self.api_key,
            "api_secret": self.secret,
            "api_passphrase": self.passphrase,
            "address": self.address,
        }

    def __repr__(self) -> str:
        return f"SessionKey(address={self.address}, secrets=***)"


def address_of_key(private_key: str) -> str:
    """Return the address of a private key, 0x and 64 hex digits."""
    return SigningKey(bytes.fromhex(private_key[2:])).address_text


def let_trade(venue: OnboardVenue, owner: Any, owner_key: str, wallet: str, key: str) -> SessionKey:
    """Let a session key trade for a wallet, unless it may already; return its credentials.

    ``owner`` is the owner's client. Raises ConfigError for a key that may do more than trade.
    """
    address = address_of_key(key)
    venue.secrets += [key, key.removeprefix("0x")]
    granted = _granted(venue, owner, address)
    if granted is None:
        builder = venue.attempt("session key", owner.create_builder_api_key)
        venue.secrets += [builder.secret, builder.passphrase]
        # Permissions are asked for with a builder key.
        asking = venue.attempt(
            "session key", lambda: _client(venue, owner_key, wallet, api_key=builder)
        )
        try:
            result = venue.attempt(
                "session key",
                lambda: asking.authorize_session_key(address=address, scopes=list(_SCOPES)),
            )
        finally:
            asking.close()
        granted = result.session_key
    scopes = tuple(str(getattr(each, "value", each)).upper() for each in granted.scopes)
    if scopes != _SCOPES:
        raise ConfigError(
            f"init: session key {address} has the scopes {', '.join(scopes)}, expected just "
            f"{_SCOPES[0]}: revoke it with the owner's key, or choose another session key"
        )
    trading = venue.attempt("session key", lambda: _client(venue, key, wallet))
    try:
        made = trading.credentials
    finally:
        trading.close()
    venue.secrets += [made.key, made.secret, made.passphrase]
    until = f"{granted.valid_until:%Y-%m-%d}"
    return SessionKey(key, address, made.key, made.secret, made.passphrase, until)


def _granted(venue: OnboardVenue, owner: Any, address: str) -> Any:
    found = venue.attempt("session key", owner.fetch_session_keys)
    return next((each for each in found if str(each.address).lower() == address.lower()), None)


def _client(venue: OnboardVenue, private_key: str, wallet: str, **more: Any) -> Any:
    return venue.client.SecureClient.create(
        private_key=private_key, wallet=wallet, environment=venue.environment, **more
    )
