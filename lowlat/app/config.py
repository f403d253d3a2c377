"""The engine's one config file: what it watches, how it decides, where it sends, how it waits.

Every section is the frozen parameter struct of the part it configures; unknown keys are refused.
Secrets are never in it: ``account.credentials_file`` names a 0600 file that only the executor's
process opens.
"""

import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from lowlat.app.runtime import BUSY
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError
from lowlat.execution.params import ExecutorParams
from lowlat.feeds._universe import UniverseParams
from lowlat.feeds.binance import BinanceFeedParams
from lowlat.feeds.metadata import MetadataParams
from lowlat.feeds.polymarket import PolymarketFeedParams
from lowlat.feeds.prices import PricesFeedParams
from lowlat.risk.limits import LimitsParams
from lowlat.signals.engine import EngineParams
from lowlat.store.journal import JournalParams
from lowlat.store.tape import TapeParams

__all__ = ["Credentials", "EngineConfig", "load_config", "load_credentials"]

_INSTANCE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
MODES: Final = ("off", "shadow", "paper", "live")
Core = Annotated[int, msgspec.Meta(ge=-1, le=1023)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Common shape of the sections below."""


class ProcessConfig(Section, frozen=True):
    """How the fused engine waits and where it runs."""

    waiting: Literal["busy", "parked"] = "parked"
    core: Core = -1
    """-1: wherever the scheduler likes."""
    tick_ms: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2
    """Parked: how often time-driven work is looked at."""
    shared_core: bool = True
    """False promises that no other hot process has this core; busy needs it."""


class EndpointConfig(Section, frozen=True):
    """Where the venues are."""

    clob_url: str
    market_ws_url: str
    user_ws_url: str
    gamma_url: str
    prices_ws_url: str
    binance_ws_url: str
    binance_rest_url: str
    certificate_file: str = ""
    """Trust just this certificate (simulators with TLS)."""


class AccountConfig(Section, frozen=True):
    """Which account trades. The file holds key, funder, signature type and API credentials."""

    credentials_file: str


class ModuleConfig(msgspec.Struct, frozen=True):
    """One signal module: its mode and its own parameters (checked by the module)."""

    mode: Literal["off", "shadow", "paper", "live"] = "off"
    params: dict[str, Any] = {}


class TapeConfig(Section, frozen=True):
    """Raw frames on disk."""

    enabled: bool = True
    params: TapeParams = TapeParams()


class EngineConfig(Section, frozen=True):
    """Everything. ``mode`` is what the endpoints are: sim, paper or live."""

    instance: str
    mode: Literal["sim", "paper", "live"]
    endpoints: EndpointConfig
    account: AccountConfig
    state_dir: str = ""
    process: ProcessConfig = ProcessConfig()
    universe: UniverseParams = UniverseParams()
    metadata: MetadataParams = MetadataParams()
    binance: BinanceFeedParams = BinanceFeedParams()
    prices: PricesFeedParams = PricesFeedParams()
    journal: JournalParams = JournalParams()
    feed: PolymarketFeedParams = PolymarketFeedParams()
    signals: EngineParams = EngineParams()
    modules: dict[str, ModuleConfig] = {}
    limits: LimitsParams = LimitsParams()
    execution: ExecutorParams = ExecutorParams()
    tape: TapeConfig = TapeConfig()

    @property
    def records_frames(self) -> bool:
        """Whether feeds copy raw frames for the tape."""
        return self.tape.enabled

    def validate(self) -> None:
        """Check what spans keys; raises ConfigError."""
        if not _INSTANCE.fullmatch(self.instance):
            raise ConfigError(f"instance was {self.instance!r}, expected 1-31 of a-z, 0-9 and -")
        if self.process.waiting == BUSY and self.process.shared_core:
            raise ConfigError(
                "process.waiting was 'busy' with process.shared_core = true: a spinning process "
                "starves its core; set shared_core = false when the core is its own"
            )
        for key in msgspec.structs.fields(EndpointConfig):
            if key.name.endswith("_url"):
                self._check_url(key.name, getattr(self.endpoints, key.name))
        if not self.modules:
            raise ConfigError("modules was empty, expected at least one, e.g. [modules.arbitrage]")
        self.limits.validate()

    def _check_url(self, key: str, value: str) -> None:
        parts = urlsplit(value)
        allowed = ("ws", "wss") if "_ws_" in key else ("http", "https")
        if parts.scheme not in allowed or not parts.hostname:
            raise ConfigError(
                f"endpoints.{key} was {value!r}, expected {' or '.join(allowed)}://host[:port]"
            )
        if self.mode == "sim" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise ConfigError(f"endpoints.{key} was {value!r}: mode sim stays on this machine")
        if self.mode == "live" and parts.scheme in {"ws", "http"}:
            raise ConfigError(f"endpoints.{key} was {value!r}: mode live needs TLS")


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

    def __repr__(self) -> str:
        return f"Credentials(address={self.address}, secrets=***)"


def load_config(path: str) -> EngineConfig:
    """Read and check a config file; raises ConfigError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path}: {error}") from None
    return decode_config(text, EngineConfig, source=path)


def load_credentials(path: str) -> Credentials:
    """Read a 0600 credentials file; raises ConfigError that never shows what is in it."""
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            owner = os.fstat(file.fileno()).st_uid
            raw = file.read()
    except OSError as error:
        raise ConfigError(f"account.credentials_file {path}: {error.strerror}") from None
    if mode & 0o077 or owner != os.geteuid():
        raise ConfigError(
            f"account.credentials_file {path} has mode {mode:04o} and owner {owner}, "
            f"expected 0600 and {os.geteuid()}: chmod 600 {path}"
        )
    try:
        return msgspec.json.decode(raw, type=Credentials)
    except (msgspec.ValidationError, msgspec.DecodeError):
        fields = ", ".join(field.name for field in msgspec.structs.fields(Credentials))
        raise ConfigError(
            f"account.credentials_file {path} is not a JSON object with just {fields}"
        ) from None
