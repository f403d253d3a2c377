"""Which wallet of a key trades, and the client that acts for it: steps of `lowlat init`."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from lowlat.app.config import read_secrets
from lowlat.app.onboard_venue import USDC_E, OnboardVenue, answer
from lowlat.app.venue_calls import VenueCalls
from lowlat.core.errors import ConfigError, LowlatError

__all__ = ["WALLET_KINDS", "Wallet", "find_wallet", "open_client"]

WALLET_KINDS: Final = {"eoa": 0, "proxy": 1, "safe": 2, "deposit": 3}
"""Name and signature type. Source: polymarket.md 3.2."""


class _RelayerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    address: str


class Wallet(NamedTuple):
    """A wallet of the owner's key."""

    address: str
    signature_type: int
    deployed: bool


def find_wallet(venue: OnboardVenue, asked: str, owner: str) -> Wallet:
    """Choose the wallet that was asked for, else the only one in use, else a deposit wallet."""
    derive, config = venue.wallets, venue.config.wallet_derivation
    known = {
        "eoa": (owner, 0),
        "proxy": (derive.derive_proxy_wallet_address(owner, config), 1),
        "safe": (derive.derive_safe_wallet_address(owner, config), 2),
        "deposit (first kind)": (derive.derive_uups_deposit_wallet_address(owner, config), 3),
        "deposit": (derive.derive_beacon_deposit_wallet_address(owner, config), 3),
    }
    if asked:
        by_address = {address.lower(): (address, kind) for address, kind in known.values()}
        chosen = known.get(asked.lower()) or by_address.get(asked.lower())
        if chosen is None:
            raise ConfigError(
                f"init: wallet was {asked[:60]!r}, of this key are: "
                + ", ".join(f"{name} {address}" for name, (address, _) in known.items())
            )
        return Wallet(*chosen, venue.is_deployed(*chosen))
    there = [each for each in list(known.values())[1:] if venue.is_deployed(*each)]
    if len(there) > 1:
        there = [each for each in there if _worth_e6(venue, each[0])] or there
    if len(there) > 1:
        raise ConfigError(
            "init: this key has several wallets, choose one with --wallet: "
            + ", ".join(f"{address} (type {kind})" for address, kind in there)
        )
    return Wallet(*there[0], True) if there else Wallet(*known["deposit"], False)


def _worth_e6(venue: OnboardVenue, address: str) -> int:
    return venue.balance_e6(venue.config.collateral_token, address) + venue.balance_e6(
        USDC_E, address
    )


def open_client(
    venue: OnboardVenue,
    private_key: str,
    owner: str,
    wallet: Wallet,
    relayer_key_file: Path | None,
    control: str,
) -> Any:
    """Derive the API key and deploy the wallet where it is missing; return the owner's client.

    ``control``: where a simulator gives the relayer's key out, "" at the real venue.
    """
    found = None
    if relayer_key_file is not None:
        found = read_secrets(str(relayer_key_file), "init: relayer key file", _RelayerKey)
    elif control:
        found = _simulated_relayer_key(control, owner)
    elif wallet.signature_type != 0:
        raise ConfigError(
            f"init: the wallet of {owner} acts through the relayer: give its API key with "
            '--relayer-key-file, 0600, {"key": "...", "address": "0x..."}'
        )
    api_key = None
    if found is not None:
        venue.secrets.append(found.key)
        api_key = venue.client.RelayerApiKey(key=found.key, address=found.address)
    return venue.client.SecureClient.create(
        private_key=private_key,
        wallet=wallet.address,
        environment=venue.environment,
        api_key=api_key,
    )


def _simulated_relayer_key(control: str, owner: str) -> _RelayerKey:
    """Ask a simulator for what the venue's site would show the owner."""
    door = VenueCalls(control, "")
    body = json.dumps({"op": "account", "owner": owner}).encode()
    made = answer("the simulator", lambda: door.post("/sim/control", body)).get("result")
    key = made.get("relayerApiKey") if isinstance(made, dict) else None
    if not isinstance(key, str):
        raise LowlatError(
            f"init: the simulator at {control} made no relayer key for {owner}; it has to be the "
            "lowlat sim of this version"
        )
    return _RelayerKey(key, owner)
