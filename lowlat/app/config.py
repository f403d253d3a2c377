"""The engine's one config file: what it watches, how it decides, where it sends, how it waits.

Every section is the frozen parameter struct of the part it configures; unknown keys are refused.
Secrets are never in it: ``account.credentials_file`` names a 0600 file that only the executor's
process opens.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from lowlat.app.private_files import read_private
from lowlat.app.topology import FUSED, ProcessConfig, check_topology
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError
from lowlat.execution.params import ExecutorParams
from lowlat.feeds.params import (
    POLYBOLT,
    BinanceFeedParams,
    MetadataParams,
    PolymarketFeedParams,
    PricesFeedParams,
    UniverseParams,
)
from lowlat.risk.limits import LimitsParams
from lowlat.signals.params import EngineParams
from lowlat.store.journal_params import JournalParams
from lowlat.store.tape_params import TapeParams

__all__ = [
    "BinanceKey",
    "Credentials",
    "EngineConfig",
    "PriceCredentials",
    "check_modules",
    "load_config",
    "load_credentials",
    "read_secrets",
    "refuse_owner_key",
]

_INSTANCE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_MODULE_PARAMS: Final = re.compile(r"modules\.[^.]+\.params")
_CORE: Final = re.compile(r"topology\.[^.]+\.core")
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_NUMBER_MAX: Final = 2**63
_DEPOSIT_WALLET: Final = 3
"""Signature type. Source: polymarket.md 3.2."""
SEALED: Final = b'{"sealed":'
"""How a sealed file begins (see ``sealed``)."""
S = TypeVar("S", bound=msgspec.Struct)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_VENUES: Final = ("polymarket.com", "binance.com", "binance.us", "binance.vision")
"""Domains that live may dial. Source: polymarket.md 1, feeds.md 1."""
MODES: Final = ("off", "shadow", "paper", "live")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Common shape of the sections below."""


class EndpointConfig(Section, frozen=True):
    """Where the venues are."""

    clob_url: str
    market_ws_url: str
    user_ws_url: str
    gamma_url: str
    prices_ws_url: str
    binance_ws_url: str
    binance_rest_url: str
    data_url: str = ""
    """The indexer: the wallet's history and holdings. Only settlement asks it."""
    relayer_url: str = ""
    """Carries out merges and redemptions. Only settlement asks it."""
    polybolt_ws_url: str = ""
    """The newer price socket, which wants credentials; for ``prices.sources`` with 1 in it."""
    binance_sbe_ws_url: str = ""
    """The exchange's binary streams, which want a key; instead of ``binance_ws_url`` for prices.
    Best bid and ask come with microseconds and are culled when the venue is loaded, not queued."""
    certificate_file: str = ""
    """Trust just this certificate (simulators with TLS)."""
    more_hosts: tuple[str, ...] = ()
    """Live: hosts to dial besides the venues' own, such as a proxy of yours."""


class AccountConfig(Section, frozen=True):
    """Which account trades. The file holds key, funder, signature type and API credentials."""

    credentials_file: str
    owner_key: bool = False
    """Live: accept a key that can move all the wallet holds, instead of a session key."""
    cancel_credentials_file: str = ""
    """For `lowlat panic`: API credentials without the key, which cancel but cannot sign."""
    settlement_credentials_file: str = ""
    """For settlement alone: the owner's key and the relayer's API key."""
    price_credentials_file: str = ""
    """For the newer price socket: API credentials of any account, best of one without money."""
    binance_key_file: str = ""
    """For ``endpoints.binance_sbe_ws_url``: an Ed25519 API key of the exchange without rights."""


class ModuleConfig(Section, frozen=True):
    """One signal module: its mode and its own parameters (checked by the module)."""

    mode: Literal["off", "shadow", "paper", "live"] = "off"
    params: dict[str, Any] = {}


class TapeConfig(Section, frozen=True):
    """Raw frames on disk."""

    enabled: bool = True
    capture: bool = True
    """Where all roles share a process, write down all that it is given, for ``lowlat replay``."""
    params: TapeParams = TapeParams()


class LedgerConfig(Section, frozen=True):
    """Where orders, fills, lots and decisions are kept for good."""

    enabled: bool = True
    url: str = ""
    """``sqlite:////path`` or ``postgresql+psycopg://user@host/name``; empty: beside the journal."""
    password_file: str = ""
    """0600; read by the recorder only."""


class SettlementConfig(Section, frozen=True):
    """The process that merges complete sets and redeems winnings."""

    enabled: bool = False
    """It needs ``account.settlement_credentials_file`` and the endpoints of data and relayer."""
    dry_run: bool = False
    """Show what is locked and would be freed, move nothing."""
    every_s: Annotated[int, msgspec.Meta(ge=5, le=86_400)] = 60
    """Between two rounds."""


class EngineConfig(Section, frozen=True):
    """Everything. ``mode`` is what the endpoints are: sim, paper or live."""

    instance: str
    mode: Literal["sim", "paper", "live"]
    endpoints: EndpointConfig
    account: AccountConfig
    topology: dict[str, ProcessConfig] = msgspec.field(default_factory=lambda: dict(FUSED))
    universe: UniverseParams = UniverseParams()
    metadata: MetadataParams = MetadataParams()
    binance: BinanceFeedParams = BinanceFeedParams()
    prices: PricesFeedParams = PricesFeedParams()
    journal: JournalParams = JournalParams()
    ledger: LedgerConfig = LedgerConfig()
    feed: PolymarketFeedParams = PolymarketFeedParams()
    signals: EngineParams = EngineParams()
    modules: dict[str, ModuleConfig] = {}
    limits: LimitsParams = LimitsParams()
    execution: ExecutorParams = ExecutorParams()
    tape: TapeConfig = TapeConfig()
    settlement: SettlementConfig = SettlementConfig()

    @property
    def records_frames(self) -> bool:
        """Whether feeds copy raw frames for the tape."""
        return self.tape.enabled

    def validate(self) -> None:
        """Check what spans keys; raises ConfigError."""
        if not _INSTANCE.fullmatch(self.instance):
            raise ConfigError(f"instance was {self.instance!r}, expected 1-31 of a-z, 0-9 and -")
        check_topology(self.topology)
        for key in msgspec.structs.fields(EndpointConfig):
            value = getattr(self.endpoints, key.name)
            if key.name.endswith("_url") and (value or key.required):
                self._check_url(key.name, value)
        if not self.modules:
            raise ConfigError("modules was empty, expected at least one, e.g. [modules.arbitrage]")
        _check_numbers(msgspec.to_builtins(self), "")
        self._check_polybolt()
        self._check_sbe()
        self._check_settlement()
        self.limits.validate()

    def _check_sbe(self) -> None:
        keys = {
            "endpoints.binance_sbe_ws_url": self.endpoints.binance_sbe_ws_url,
            "account.binance_key_file": self.account.binance_key_file,
        }
        missing = [key for key, value in keys.items() if not value]
        if len(missing) == 1:
            other = next(key for key in keys if key not in missing)
            raise ConfigError(f"{missing[0]} was empty, expected a value: {other} is set")

    def _check_polybolt(self) -> None:
        if POLYBOLT not in self.prices.sources:
            return
        for key, value in (
            ("endpoints.polybolt_ws_url", self.endpoints.polybolt_ws_url),
            ("account.price_credentials_file", self.account.price_credentials_file),
        ):
            if not value:
                raise ConfigError(
                    f"{key} was empty, expected a value: prices.sources names source {POLYBOLT}"
                )

    def _check_settlement(self) -> None:
        if not self.settlement.enabled:
            return
        if not self.ledger.enabled:
            raise ConfigError(
                "settlement.enabled was true with ledger.enabled = false: what may be settled is "
                "planned from the ledger; switch it on"
            )
        for key, value in (
            ("account.settlement_credentials_file", self.account.settlement_credentials_file),
            ("account.cancel_credentials_file", self.account.cancel_credentials_file),
            ("endpoints.data_url", self.endpoints.data_url),
            ("endpoints.relayer_url", self.endpoints.relayer_url),
        ):
            if not value:
                raise ConfigError(
                    f"{key} was empty, expected a value: settlement.enabled is true, "
                    "see docs/ledger.md"
                )

    def _check_url(self, key: str, value: str) -> None:
        allowed = ("ws", "wss") if "_ws_" in key else ("http", "https")
        expected = f"expected {' or '.join(allowed)}://host[:port], port 1 to 65535"
        try:
            parts = urlsplit(value)
            host = parts.hostname or ""
            usable = parts.scheme in allowed and host and parts.port != 0
        except ValueError as error:
            raise ConfigError(f"endpoints.{key} was {value!r}, {expected}: {error}") from None
        if not usable:
            raise ConfigError(f"endpoints.{key} was {value!r}, {expected}")
        if self.mode == "sim" and host not in _LOOPBACK:
            raise ConfigError(
                f"endpoints.{key} was {value!r}: mode sim stays on this machine, name a simulator "
                "on 127.0.0.1 (lowlat sim prints its addresses)"
            )
        if self.mode == "live" and parts.scheme in {"ws", "http"}:
            raise ConfigError(
                f"endpoints.{key} was {value!r}: mode live needs TLS, expected {allowed[1]}://"
            )
        if self.mode == "live" and not self._is_listed(host):
            raise ConfigError(
                f"endpoints.{key} was {value!r}: live dials only hosts of {', '.join(_VENUES)}; "
                f'name another in endpoints.more_hosts = ["{host}"]'
            )

    def _is_listed(self, host: str) -> bool:
        return (
            host in _LOOPBACK
            or host in self.endpoints.more_hosts
            or any(host == domain or host.endswith(f".{domain}") for domain in _VENUES)
        )


def _check_numbers(value: object, path: str) -> None:
    """Refuse what no key can mean: negative and infinite numbers, NaN, a rate of nothing."""
    if isinstance(value, dict):
        for key, inner in value.items():
            # A module checks its own parameters.
            if not _MODULE_PARAMS.fullmatch(path):
                _check_numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_numbers(inner, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low = -1 if _CORE.fullmatch(path) else 1 if path.endswith("_per_s") else 0
        if not low <= value < _NUMBER_MAX:
            raise ConfigError(f"{path} was {value}, expected a number from {low} to 2**63")


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Secrets of one account. The repr shows none of them."""

    private_key: str
    api_key: str
    api_secret: str
    api_passphrase: str
    funder: str
    address: str
    signature_type: Annotated[int, msgspec.Meta(ge=0, le=3)]
    chain_id: int = 137
    session: bool = False
    """The key is one that the owner of a deposit wallet let trade for it, and nothing else."""

    def __repr__(self) -> str:
        return f"Credentials(address={self.address}, secrets=***)"


class PriceCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the newer price socket asks for. The repr shows none of it."""

    api_key: str
    api_secret: str
    api_passphrase: str

    def __repr__(self) -> str:
        return "PriceCredentials(secrets=***)"


class BinanceKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the exchange's binary streams ask for. The repr does not show it."""

    api_key: str

    def __repr__(self) -> str:
        return "BinanceKey(secrets=***)"


def load_config(path: str) -> EngineConfig:
    """Read and check a config file; raises ConfigError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path}: {error}") from None
    return decode_config(text, EngineConfig, source=path)


def check_modules(config: EngineConfig) -> None:
    """Make every signal module once; raises ConfigError for unknown names and bad parameters.

    Those that are off too: who switches one on in a hurry shall not find its parameters wrong.
    """
    from lowlat.wiring.modules import build_module  # noqa: PLC0415 - only the engine needs them

    for name in config.modules:
        build_module(config, name)


def load_credentials(path: str) -> Credentials:
    """Read a 0600 credentials file; raises ConfigError that never shows what is in it."""
    found = read_secrets(path, "account.credentials_file", Credentials)
    _check_credentials(path, found)
    return found


def read_secrets(path: str, key: str, schema: type[S]) -> S:
    """Read a 0600 JSON file of ours into schema; raises ConfigError that names key, never values.

    A sealed one (``sealed``) is opened with the machine's passphrase. One field too many is an
    error as well: a key that should not be there is worse than none.
    """
    raw = read_private(path, key)
    if raw.startswith(SEALED):
        # On use: few seal, and after a death every 100 ms count.
        from lowlat.app.sealed import passphrase_of_machine, unseal  # noqa: PLC0415

        raw = unseal(raw, passphrase_of_machine(), f"{key} {path}")
    try:
        return msgspec.json.decode(raw, type=schema)
    except ValueError:
        # Of msgspec, and of bytes that are no UTF-8; its words quote what is in the file.
        fields = ", ".join(field.name for field in msgspec.structs.fields(schema))
        raise ConfigError(f"{key} {path} is not a JSON object with just {fields}") from None


def refuse_owner_key(config: EngineConfig, found: Credentials) -> None:
    """Raise ConfigError where live trading would hold a key that can do more than trade."""
    if found.session or config.account.owner_key:
        return
    can = (
        "make a session key for it (lowlat init --session-key-file)"
        if found.signature_type == _DEPOSIT_WALLET
        else "only a deposit wallet (signature type 3) can have a session key"
    )
    raise ConfigError(
        f"account.credentials_file {config.account.credentials_file} holds the wallet's own key, "
        f"which can move all of it: {can}, or accept that with account.owner_key = true"
    )


def _check_credentials(path: str, found: Credentials) -> None:
    """Refuse credentials that cannot sign or belong to another address; never quote them."""
    from lowlat.venues.polymarket.auth import ApiCredentials  # noqa: PLC0415 - only the engine
    from lowlat.venues.polymarket.eip712 import SigningKey  # noqa: PLC0415 - only the engine

    where = f"account.credentials_file {path}"
    digits = found.private_key.removeprefix("0x")
    if not _KEY.fullmatch(digits):
        raise ConfigError(f"{where}: private_key was not 64 hex digits")
    for name in ("funder", "address"):
        if not _ADDRESS.fullmatch(getattr(found, name)):
            raise ConfigError(f"{where}: {name} was no address, expected 0x and 40 hex digits")
    try:
        signer = SigningKey(bytes.fromhex(digits)).address_text
        ApiCredentials(found.api_key, found.api_secret, found.api_passphrase)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if found.session and found.signature_type != _DEPOSIT_WALLET:
        raise ConfigError(
            f"{where}: session was true with signature_type {found.signature_type}, expected 3: "
            "only deposit wallets have session keys"
        )
    if signer.lower() != found.address.lower():
        raise ConfigError(f"{where}: address was {found.address}, private_key signs as {signer}")
