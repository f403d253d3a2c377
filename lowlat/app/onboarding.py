"""Make a wallet ready to trade, step by step, through the vendor's own client: `lowlat init`.

Run by a person, once. Nothing is remembered between runs: every step first asks the venue whether
it is done, so a run that died anywhere is started again and goes on where it ended::

    region -> wallet -> keys and deployment -> collateral -> approvals -> balances
           -> session key (deposit wallets, when asked for) -> files

Only the private key is an input and only the files at the end are an output; neither they nor the
API credentials reach a message, a log or an argument list. A real venue is refused unless named.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from lowlat.app.onboard_files import read_key, refuse_other_files, write_files
from lowlat.app.onboard_session import address_of_key, let_trade
from lowlat.app.onboard_venue import USDC_E, OnboardVenue, answer, module
from lowlat.app.onboard_wallet import WALLET_KINDS, Wallet, find_wallet, open_client
from lowlat.core.errors import ConfigError, LowlatError
from lowlat.core.units import format_fixed

__all__ = ["Choices", "onboard"]

_ONRAMP: Final = "0x93070a847efEf7F70739046A929D47a521F5B8ee"
_WRAP: Final = "62355638"
"""wrap(address,address,uint256). Source: polymarket.md 13, docs.polymarket.com/concepts/pusd."""
Say = Callable[[str, str], None]


class Choices(NamedTuple):
    """What the person asked for."""

    key_file: Path
    out: Path
    cancel_out: Path
    wallet: str = ""
    """A kind of WALLET_KINDS, an address, or "": the one that exists, else a deposit wallet."""
    relayer_key_file: Path | None = None
    wrap: bool = True
    urls: Mapping[str, str] | None = None
    """Addresses of a simulator; None is the real venue."""
    certificate: str = ""
    real_venue: bool = False
    session_key_file: Path | None = None
    """A key that shall trade for the wallet, so that the owner's stays away from the engine."""


def onboard(choices: Choices, say: Say) -> None:
    """Do every step that is not done yet; ``say(step, words)`` follows each.

    Raises ConfigError for what the person has to change, VenueReject for what the venue refused.
    """
    _refuse_strangers(choices)
    private_key = read_key(choices.key_file)
    session_key = read_key(choices.session_key_file) if choices.session_key_file else ""
    if choices.certificate:
        os.environ["SSL_CERT_FILE"] = choices.certificate
    # The vendor's transport writes a line for each request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    venue = OnboardVenue(choices.urls, choices.certificate, private_key)
    owner = address_of_key(private_key)
    refuse_other_files(choices.out, address_of_key(session_key or private_key))
    say("region", _region(venue))
    wallet = find_wallet(venue, choices.wallet, owner)
    exists = "exists" if wallet.deployed else "to be deployed"
    if session_key and wallet.signature_type != WALLET_KINDS["deposit"]:
        raise ConfigError(
            f"init: {wallet.address} has signature type {wallet.signature_type}: only a deposit "
            "wallet (3) can let a session key trade; leave --session-key-file out, or --wallet "
            "deposit"
        )
    say("wallet", f"{wallet.address}, signature type {wallet.signature_type}, {exists}")
    control = "" if choices.urls is None else choices.urls["control"]
    client = venue.attempt(
        "keys",
        lambda: open_client(venue, private_key, owner, wallet, choices.relayer_key_file, control),
    )
    try:
        keys = client.credentials
        venue.secrets += [keys.key, keys.secret, keys.passphrase]
        say("keys", "API key derived" + ("" if wallet.deployed else ", wallet deployed"))
        say("collateral", _wrap(venue, choices, client, owner, wallet))
        venue.attempt("approvals", client.setup_trading_approvals)
        say("approvals", "every contract that trades has its allowance")
        say("balances", _balances(venue, client, wallet))
        trades = {
            "private_key": private_key,
            "api_key": keys.key,
            "api_secret": keys.secret,
            "api_passphrase": keys.passphrase,
            "funder": wallet.address,
            "address": owner,
            "signature_type": wallet.signature_type,
        }
        if session_key:
            made = let_trade(venue, client, private_key, wallet.address, session_key)
            say("session", f"{made.address} may trade until {made.until}, and nothing else")
            trades = {"private_key": session_key, "session": True, **made.api_keys()}
            trades |= {"funder": wallet.address, "signature_type": wallet.signature_type}
        say("files", write_files(choices.out, choices.cancel_out, trades))
    finally:
        client.close()


# --------------------------------------------------------------------------- before anything leaves
def _refuse_strangers(choices: Choices) -> None:
    """Let nobody reach a real venue by accident."""
    hosts = {urlsplit(url).hostname or "" for url in (choices.urls or {}).values()}
    strangers = sorted(hosts - {"127.0.0.1", "::1", "localhost"})
    if choices.urls is None or strangers:
        where = ", ".join(strangers) or "polymarket.com"
        if not choices.real_venue:
            raise ConfigError(
                f"init: {where} is a real venue, where money is real: say --real-venue, or name a "
                "simulator with --sim FILE (the first line that lowlat sim prints)"
            )
    elif choices.real_venue:
        raise ConfigError("init: --real-venue and --sim exclude each other")


# --------------------------------------------------------------------------- steps
def _region(venue: OnboardVenue) -> str:
    found = answer("the region check", lambda: venue.site.get("/api/geoblock"))
    blocked, country = found.get("blocked"), str(found.get("country"))[:40]
    if not isinstance(blocked, bool):
        raise LowlatError(
            f"init: the region check did not say whether this region may trade, blocked was "
            f"{str(blocked)[:40]!r}: run this again in a minute"
        )
    if blocked:
        raise LowlatError(
            f"init: the venue takes no orders from this region ({country}): run "
            "lowlat where the venue's terms let you trade"
        )
    return f"{country}: orders are taken"


def _wrap(venue: OnboardVenue, choices: Choices, client: Any, owner: str, wallet: Wallet) -> str:
    """Turn the wallet's USDC.e into the venue's collateral."""
    calls = module("polymarket.calls")

    def once() -> int:
        # Asked anew each time: what a run that died had sent may have arrived meanwhile.
        held_e6 = venue.balance_e6(USDC_E, wallet.address)
        if held_e6 and choices.wrap:
            words = f"{USDC_E[2:].lower():0>64}{wallet.address[2:].lower():0>64}{held_e6:064x}"
            approve = calls.erc20_approval_call(
                token_address=USDC_E, spender=_ONRAMP, amount=held_e6
            )
            wrap = calls.TransactionCall(to=_ONRAMP, data=f"0x{_WRAP}{words}")
            sent = client.execute_transaction(calls=[approve, wrap], metadata="Wrap USDC.e")
            sent.wait()
        return held_e6

    held_e6 = venue.attempt("collateral", once)
    if not held_e6:
        stray_e6 = 0 if wallet.signature_type == 0 else venue.balance_e6(USDC_E, owner)
        if stray_e6:
            return (
                f"none to wrap; the key's own address {owner} holds {_dollars(stray_e6)} USDC.e: "
                f"send it to {wallet.address} and run this again"
            )
        return "no USDC.e to wrap"
    if not choices.wrap:
        return f"{_dollars(held_e6)} USDC.e left unwrapped, as asked"
    return f"{_dollars(held_e6)} USDC.e wrapped"


def _balances(venue: OnboardVenue, client: Any, wallet: Wallet) -> str:
    """Read what the wallet holds on chain, and what the venue's cached view says of it."""
    chain_e6 = venue.balance_e6(venue.config.collateral_token, wallet.address)
    seen = venue.attempt("balances", lambda: client.get_balance_allowance(asset_type="COLLATERAL"))
    least = min((int(each) for each in seen.allowances.values()), default=0)
    if not least:
        raise LowlatError("init: the venue sees no allowance yet: run this again in a minute")
    seen_e6 = int(seen.balance)
    lag = "" if seen_e6 == chain_e6 else f"; the venue still sees {_dollars(seen_e6)}"
    return f"{_dollars(chain_e6)} pUSD{lag}"


def _dollars(amount_e6: int) -> str:
    return format_fixed(amount_e6, 6)
