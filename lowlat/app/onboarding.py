"""Make a wallet ready to trade, step by step, through the vendor's own client: `lowlat init`.

Run by a person, once. Nothing is remembered between runs: every step first asks the venue whether
it is done, so a run that died anywhere is started again and goes on where it ended::

    region -> wallet -> keys and deployment -> collateral -> approvals -> balances
           -> session key (deposit wallets, when asked for) -> files

Only the private key is an input and only the files at the end are an output; neither they nor the
API credentials reach a message, a log or an argument list. A real venue is refused unless named.
"""

import dataclasses
import http.client
import importlib
import json
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from lowlat.app.config import Credentials, read_secrets
from lowlat.app.onboard_session import let_trade, session_key_of
from lowlat.app.sealed import is_sealed, passphrase_of_machine, seal
from lowlat.app.venue_calls import VenueCalls
from lowlat.core.errors import ConfigError, LowlatError, VenueReject
from lowlat.core.units import format_fixed

__all__ = ["WALLET_KINDS", "Choices", "onboard"]

WALLET_KINDS: Final = {"eoa": 0, "proxy": 1, "safe": 2, "deposit": 3}
"""Name and signature type. Source: polymarket.md 3.2."""

_USDC_E: Final = "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174"
_ONRAMP: Final = "0x93070a847efEf7F70739046A929D47a521F5B8ee"
_WRAP: Final = "62355638"
"""wrap(address,address,uint256). Source: polymarket.md 13, docs.polymarket.com/concepts/pusd."""
_BALANCE_OF: Final = "70a08231"
_SITE: Final = "https://polymarket.com"
_RELAYER_TYPES: Final = {1: "PROXY", 2: "SAFE", 3: "WALLET"}
_BUSY: Final = re.compile(r"busy|already deployed|nonce", re.IGNORECASE)
"""What the relayer says while a transaction of a run that died is still on its way."""
_KEY: Final = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_WORD: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_PATIENCE_S: Final = 120.0
_POLL_S: Final = 2.0
_POLL_SIM_S: Final = 0.1
T = TypeVar("T")
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


class _RelayerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    address: str


class _Wallet(NamedTuple):
    address: str
    signature_type: int
    deployed: bool


class _Venue:
    """The places of one venue, the vendor's modules, and the secrets that must not be shown."""

    def __init__(self, choices: Choices, private_key: str) -> None:
        self.client = _module("polymarket")
        self.wallets = _module("polymarket._internal.wallet")
        environments = _module("polymarket.environments")
        self.environment = environments.PRODUCTION
        self.secrets = [private_key, private_key.removeprefix("0x")]
        urls, site = choices.urls, _SITE
        if urls is not None:
            config = dataclasses.replace(
                self.environment._config,  # noqa: SLF001 - the vendor has no public way to a test host
                clob_url=urls["clob"],
                gamma_url=urls["gamma"],
                data_url=urls["data"],
                relayer_url=urls["relayer"],
                rpc_url=urls["relayer"] + "/rpc",
                relayer_poll_frequency_ms=int(_POLL_SIM_S * 1_000),
            )
            self.environment = environments._create_environment(name="sim", config=config)  # noqa: SLF001
            site = urls["clob"]
        self.config = self.environment._config  # noqa: SLF001
        self.poll_s = _POLL_S if urls is None else _POLL_SIM_S
        self.site = VenueCalls(site, choices.certificate)
        self.relayer = VenueCalls(self.config.relayer_url, choices.certificate)
        self.node = VenueCalls(self.config.rpc_url, choices.certificate)
        self.node_path = urlsplit(self.config.rpc_url).path or "/"

    def attempt(self, what: str, action: Callable[[], T]) -> T:
        """Do something through the vendor's client; wait while an older transaction is under way.

        Raises VenueReject with the venue's words and no secrets.
        """
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return action()
            except self.client.PolymarketError as error:
                text = self.clean(str(error))
                if not _BUSY.search(text) or time.monotonic() > until_s:
                    # From None: the chained error holds requests, and they hold secrets.
                    raise VenueReject(f"init: {what}: {text}") from None
            time.sleep(self.poll_s)

    def clean(self, text: str) -> str:
        """Take secrets out of words of somebody else."""
        for secret in self.secrets:
            text = text.replace(secret, "***") if secret else text
        return text[:300]

    def balance_e6(self, token: str, wallet: str) -> int:
        """Ask the chain's node what a wallet holds of a token."""
        data = f"0x{_BALANCE_OF}{wallet[2:].lower():0>64}"
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_call"}
        body = json.dumps({**call, "params": [{"to": token, "data": data}, "latest"]}).encode()
        head = (
            f"POST {self.node_path} HTTP/1.1\r\nHost: {self.node.host}\r\nUser-Agent: lowlat\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        found = _answer("the chain's node", lambda: self.node.call(head.encode() + body))
        word = found.get("result")
        if not isinstance(word, str) or not _WORD.fullmatch(word):
            raise LowlatError(f"init: the chain's node told no balance: {str(found)[:200]}")
        return int(word, 16)

    def is_deployed(self, wallet: str, signature_type: int) -> bool:
        """Ask the relayer whether a wallet's contract exists; an EOA needs none."""
        if signature_type == 0:
            return True
        path = f"/deployed?address={wallet}&type={_RELAYER_TYPES[signature_type]}"
        found = _answer("the relayer", lambda: self.relayer.get(path)).get("deployed")
        if not isinstance(found, bool):
            raise LowlatError(f"init: the relayer did not say whether {wallet} is deployed")
        return found


def onboard(choices: Choices, say: Say) -> None:
    """Do every step that is not done yet; ``say(step, words)`` follows each.

    Raises ConfigError for what the person has to change, VenueReject for what the venue refused.
    """
    _refuse_strangers(choices)
    private_key = _read_key(choices.key_file)
    session_key = _read_key(choices.session_key_file) if choices.session_key_file else ""
    if choices.certificate:
        os.environ["SSL_CERT_FILE"] = choices.certificate
    # The vendor's transport writes a line for each request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    venue = _Venue(choices, private_key)
    owner = _owner_of(private_key)
    _refuse_other_files(choices, session_key_of(session_key) if session_key else owner)
    say("region", _region(venue))
    wallet = _find_wallet(venue, choices, owner)
    exists = "exists" if wallet.deployed else "to be deployed"
    if session_key and wallet.signature_type != WALLET_KINDS["deposit"]:
        raise ConfigError(
            f"init: {wallet.address} has signature type {wallet.signature_type}: only a deposit "
            "wallet (3) can let a session key trade; leave --session-key-file out, or --wallet "
            "deposit"
        )
    say("wallet", f"{wallet.address}, signature type {wallet.signature_type}, {exists}")
    client = venue.attempt("keys", lambda: _open(venue, choices, private_key, owner, wallet))
    try:
        keys = client.credentials
        venue.secrets += [keys.key, keys.secret, keys.passphrase]
        say("keys", "API key derived" + ("" if wallet.deployed else ", wallet deployed"))
        say("collateral", _wrap(venue, choices, client, owner, wallet))
        venue.attempt("approvals", client.setup_trading_approvals)
        say("approvals", "every contract that trades has its allowance")
        say("balances", _balances(venue, client, wallet))
        trades = {"private_key": private_key, **_api_keys(keys, owner, wallet)}
        if session_key:
            made = let_trade(venue, client, private_key, wallet.address, session_key)
            say("session", f"{made.address} may trade until {made.until}, and nothing else")
            trades = {"private_key": session_key, "session": True, **made.api_keys()}
            trades |= {"funder": wallet.address, "signature_type": wallet.signature_type}
        say("files", _write_files(choices, trades))
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


def _read_key(path: Path) -> str:
    """Read a private key from a 0600 file; its text never shows."""
    try:
        with open(path, encoding="ascii") as file:
            found = os.fstat(file.fileno())
            text = file.read(200).strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "is not text"
        raise ConfigError(f"init: key file {path}: {words}") from None
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
        raise ConfigError(f"init: key file {path} is open to others: chmod 600 {path}")
    if not _KEY.fullmatch(text):
        raise ConfigError(f"init: key file {path} holds no private key of 64 hex digits")
    return "0x" + text.removeprefix("0x")


def _owner_of(private_key: str) -> str:
    from lowlat.venues.polymarket.eip712 import SigningKey  # noqa: PLC0415 - on use

    return SigningKey(bytes.fromhex(private_key[2:])).address_text


def _refuse_other_files(choices: Choices, owner: str) -> None:
    """Never write over another account's credentials."""
    if not choices.out.exists():
        return
    found = read_secrets(str(choices.out), "init: credentials file", Credentials)
    if found.address.lower() != owner.lower():
        raise ConfigError(
            f"init: {choices.out} belongs to {found.address}, this key is {owner}: "
            "choose another --out"
        )


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            "init: the vendor's client is missing: pip install 'lowlat[onboard]'"
        ) from None


# --------------------------------------------------------------------------- steps
def _region(venue: _Venue) -> str:
    found = _answer("the region check", lambda: venue.site.get("/api/geoblock"))
    blocked, country = found.get("blocked"), str(found.get("country"))[:40]
    if not isinstance(blocked, bool):
        raise LowlatError("init: the region check did not say whether this region may trade")
    if blocked:
        raise LowlatError(f"init: the venue takes no orders from this region ({country})")
    return f"{country}: orders are taken"


def _find_wallet(venue: _Venue, choices: Choices, owner: str) -> _Wallet:
    """Choose the wallet that was asked for, else the only one in use, else a deposit wallet."""
    derive, config = venue.wallets, venue.config.wallet_derivation
    known = {
        "eoa": (owner, 0),
        "proxy": (derive.derive_proxy_wallet_address(owner, config), 1),
        "safe": (derive.derive_safe_wallet_address(owner, config), 2),
        "deposit (first kind)": (derive.derive_uups_deposit_wallet_address(owner, config), 3),
        "deposit": (derive.derive_beacon_deposit_wallet_address(owner, config), 3),
    }
    asked = choices.wallet.lower()
    if asked:
        by_address = {address.lower(): (address, kind) for address, kind in known.values()}
        chosen = known.get(asked) or by_address.get(asked)
        if chosen is None:
            raise ConfigError(
                f"init: wallet was {choices.wallet[:60]!r}, of this key are: "
                + ", ".join(f"{name} {address}" for name, (address, _) in known.items())
            )
        return _Wallet(*chosen, venue.is_deployed(*chosen))
    there = [each for each in list(known.values())[1:] if venue.is_deployed(*each)]
    if len(there) > 1:
        there = [each for each in there if _worth_e6(venue, each[0])] or there
    if len(there) > 1:
        raise ConfigError(
            "init: this key has several wallets, choose one with --wallet: "
            + ", ".join(f"{address} (type {kind})" for address, kind in there)
        )
    return _Wallet(*there[0], True) if there else _Wallet(*known["deposit"], False)


def _worth_e6(venue: _Venue, address: str) -> int:
    return venue.balance_e6(venue.config.collateral_token, address) + venue.balance_e6(
        _USDC_E, address
    )


def _open(venue: _Venue, choices: Choices, private_key: str, owner: str, wallet: _Wallet) -> Any:
    """Derive the API key and deploy the wallet where it is missing."""
    found = None
    if choices.relayer_key_file is not None:
        found = read_secrets(str(choices.relayer_key_file), "init: relayer key file", _RelayerKey)
    elif choices.urls is not None:
        found = _simulated_relayer_key(choices.urls["control"], owner)
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
    body = json.dumps({"op": "account", "owner": owner})
    request = (
        f"POST /sim/control HTTP/1.1\r\nHost: {door.host}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    )
    made = _answer("the simulator", lambda: door.call(request.encode())).get("result", {})
    return _RelayerKey(made["relayerApiKey"], owner)


def _wrap(venue: _Venue, choices: Choices, client: Any, owner: str, wallet: _Wallet) -> str:
    """Turn the wallet's USDC.e into the venue's collateral."""
    calls = _module("polymarket.calls")

    def once() -> int:
        # Asked anew each time: what a run that died had sent may have arrived meanwhile.
        held_e6 = venue.balance_e6(_USDC_E, wallet.address)
        if held_e6 and choices.wrap:
            words = f"{_USDC_E[2:].lower():0>64}{wallet.address[2:].lower():0>64}{held_e6:064x}"
            approve = calls.erc20_approval_call(
                token_address=_USDC_E, spender=_ONRAMP, amount=held_e6
            )
            wrap = calls.TransactionCall(to=_ONRAMP, data=f"0x{_WRAP}{words}")
            sent = client.execute_transaction(calls=[approve, wrap], metadata="Wrap USDC.e")
            sent.wait()
        return held_e6

    held_e6 = venue.attempt("collateral", once)
    if not held_e6:
        stray_e6 = 0 if wallet.signature_type == 0 else venue.balance_e6(_USDC_E, owner)
        if stray_e6:
            return (
                f"none to wrap; the key's own address {owner} holds {_dollars(stray_e6)} USDC.e: "
                f"send it to {wallet.address} and run this again"
            )
        return "no USDC.e to wrap"
    if not choices.wrap:
        return f"{_dollars(held_e6)} USDC.e left unwrapped, as asked"
    return f"{_dollars(held_e6)} USDC.e wrapped"


def _balances(venue: _Venue, client: Any, wallet: _Wallet) -> str:
    """Read what the wallet holds on chain, and what the venue's cached view says of it."""
    chain_e6 = venue.balance_e6(venue.config.collateral_token, wallet.address)
    seen = venue.attempt("balances", lambda: client.get_balance_allowance(asset_type="COLLATERAL"))
    least = min((int(each) for each in seen.allowances.values()), default=0)
    if not least:
        raise LowlatError("init: the venue sees no allowance yet: run this again in a minute")
    seen_e6 = int(seen.balance)
    lag = "" if seen_e6 == chain_e6 else f"; the venue still sees {_dollars(seen_e6)}"
    return f"{_dollars(chain_e6)} pUSD{lag}"


# --------------------------------------------------------------------------- files
def _api_keys(keys: Any, owner: str, wallet: _Wallet) -> dict[str, Any]:
    return {
        "api_key": keys.key,
        "api_secret": keys.secret,
        "api_passphrase": keys.passphrase,
        "funder": wallet.address,
        "address": owner,
        "signature_type": wallet.signature_type,
    }


def _write_files(choices: Choices, trades: Mapping[str, Any]) -> str:
    """Write what trades and, without what signs, what cancels: an API key sees its own orders."""
    signs = {"private_key", "session"}
    _write_private(
        choices.cancel_out, {name: each for name, each in trades.items() if name not in signs}
    )
    _write_private(choices.out, trades)
    return f"{choices.out} (trades) and {choices.cancel_out} (only cancels), mode 0600"


def _write_private(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file that is whole or not there, readable by us only from its first byte.

    One that was sealed is sealed again.
    """
    data = json.dumps(values).encode()
    if path.exists() and is_sealed(path.read_bytes()):
        data = seal(data, passphrase_of_machine())
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(part, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _answer(who: str, call: Callable[[], tuple[int, bytes]]) -> dict[str, Any]:
    """Make a call of our own; return its JSON object. Raises LowlatError that names who failed."""
    try:
        status, body = call()
    except (OSError, http.client.HTTPException) as error:
        raise LowlatError(f"init: {who} cannot be reached: {error}") from None
    if status != 200:
        raise LowlatError(f"init: {who} answered HTTP {status}: {body[:200]!r}")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise LowlatError(f"init: {who} answered no JSON object: {error}") from None


def _dollars(amount_e6: int) -> str:
    return format_fixed(amount_e6, 6)
