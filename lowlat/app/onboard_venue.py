"""The places that `lowlat init` talks to, and the vendor's client for them.

Words of others are shown without the secrets that were given or made on the way. What the venue,
its relayer or the chain's node cannot answer is an error that names who failed.
"""

import dataclasses
import http.client
import importlib
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from lowlat.app.venue_calls import VenueCalls
from lowlat.core.errors import ConfigError, LowlatError, VenueReject

__all__ = ["USDC_E", "OnboardVenue", "answer", "module"]

USDC_E: Final = "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174"
"""The token that is wrapped into collateral. Source: polymarket.md 13."""
_BALANCE_OF: Final = "70a08231"
_SITE: Final = "https://polymarket.com"
_RELAYER_TYPES: Final = {1: "PROXY", 2: "SAFE", 3: "WALLET"}
_BUSY: Final = re.compile(r"busy|already deployed|nonce", re.IGNORECASE)
"""What the relayer says while a transaction of a run that died is still on its way."""
_WORD: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_PATIENCE_S: Final = 120.0
_POLL_S: Final = 2.0
_POLL_SIM_S: Final = 0.1
T = TypeVar("T")


class OnboardVenue:
    """The places of one venue, the vendor's modules, and the secrets that must not be shown."""

    def __init__(self, urls: Mapping[str, str] | None, certificate: str, private_key: str) -> None:
        """``urls``: addresses of a simulator; None is the real venue."""
        self.client = module("polymarket")
        self.wallets = module("polymarket._internal.wallet")
        environments = module("polymarket.environments")
        self.environment = environments.PRODUCTION
        self.secrets = [private_key, private_key.removeprefix("0x")]
        site = _SITE
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
        self.site = VenueCalls(site, certificate)
        self.relayer = VenueCalls(self.config.relayer_url, certificate)
        self.node = VenueCalls(self.config.rpc_url, certificate)
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
        found = answer("the chain's node", lambda: self.node.post(self.node_path, body))
        word = found.get("result")
        if not isinstance(word, str) or not _WORD.fullmatch(word):
            raise LowlatError(
                f"init: the chain's node told no balance: {str(found)[:200]}; "
                "run this again in a minute"
            )
        return int(word, 16)

    def is_deployed(self, wallet: str, signature_type: int) -> bool:
        """Ask the relayer whether a wallet's contract exists; an EOA needs none."""
        if signature_type == 0:
            return True
        path = f"/deployed?address={wallet}&type={_RELAYER_TYPES[signature_type]}"
        found = answer("the relayer", lambda: self.relayer.get(path)).get("deployed")
        if not isinstance(found, bool):
            raise LowlatError(
                f"init: the relayer did not say whether {wallet} is deployed: "
                "run this again in a minute"
            )
        return found


def module(name: str) -> Any:
    """Import a module of the vendor's client. Raises ConfigError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            "init: the vendor's client is missing: pip install 'lowlat[onboard]'"
        ) from None


def answer(who: str, call: Callable[[], tuple[int, bytes]]) -> dict[str, Any]:
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
