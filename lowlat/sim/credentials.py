"""API keys: made or derived by a wallet signature (L1), proven by an HMAC on every call (L2).

Source: polymarket.md 2.1, 2.2.
"""

import base64
import hashlib
import hmac
from typing import Final

from lowlat.sim.accounts import Accounts
from lowlat.sim.config import SimConfig
from lowlat.sim.verify import checksum_address, hmac_signature, recover_l1, wallets_of
from lowlat.sim.wire import Request, Response, failure, success

__all__ = ["ApiKey", "Credentials"]

NS: Final = 1_000_000_000


class ApiKey:
    """One API key of an EOA. The repr hides the secret."""

    __slots__ = ("key", "owner", "passphrase", "secret", "wallets")

    def __init__(self, key: str, secret: str, passphrase: str, owner: str) -> None:
        self.key = key
        self.secret = secret
        self.passphrase = passphrase
        self.owner = owner
        """Lower-case EOA."""
        self.wallets = {wallet.lower(): kind for kind, wallet in wallets_of(owner).items()}

    def __repr__(self) -> str:
        return f"ApiKey({self.key}, owner={self.owner})"


class Credentials:
    """All API keys. A new owner's wallets are opened and funded with its first key."""

    def __init__(self, config: SimConfig, accounts: Accounts) -> None:
        self._config = config
        self._accounts = accounts
        self._by_key: dict[str, ApiKey] = {}
        self._by_nonce: dict[tuple[str, str], ApiKey] = {}

    def create(self, owner: str, nonce: str = "0") -> ApiKey:
        """Return the owner's key for a nonce, made on first use (the same for the same seed)."""
        owner = owner.lower()
        known = self._by_nonce.get((owner, nonce))
        if known is not None:
            return known
        raw = hashlib.sha512(f"{self._config.seed}|{owner}|{nonce}".encode()).digest()
        text = raw[:16].hex()
        key = ApiKey(
            f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}",
            base64.urlsafe_b64encode(raw[16:48]).decode(),
            hashlib.sha256(raw[48:]).hexdigest(),
            owner,
        )
        self._by_nonce[owner, nonce] = key
        self._by_key[key.key] = key
        for kind, wallet in wallets_of(owner).items():
            if kind in self._config.wallet_types:
                cash_e6 = self._config.account_cash_e6
                self._accounts.open(wallet, checksum_address(owner), kind, cash_e6)
        return key

    def keys_of(self, owner: str) -> list[str]:
        """Return the API keys of an EOA."""
        return [key.key for key in self._by_key.values() if key.owner == owner]

    def delete(self, key: ApiKey) -> None:
        """Revoke a key."""
        del self._by_key[key.key]
        for nonce, each in list(self._by_nonce.items()):
            if each is key:
                del self._by_nonce[nonce]

    def l1(self, request: Request, now_ns: int, *, create: bool) -> Response:
        """Answer create or derive after checking the wallet signature."""
        headers = request.headers
        address = headers.get("poly_address", "")
        timestamp = headers.get("poly_timestamp", "")
        nonce = headers.get("poly_nonce", "")
        signature = headers.get("poly_signature", "")
        signer = recover_l1(self._config.chain_id, address, timestamp, nonce, signature)
        if signer is None or signer != address.lower() or not self._in_window(timestamp, now_ns):
            return failure(401, "Invalid L1 Request headers")
        exists = (signer, nonce) in self._by_nonce
        if exists == create:
            text = "Could not create api key" if create else "Could not derive api key!"
            return failure(400, text)
        key = self.create(signer, nonce)
        return success({"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase})

    def l2(self, request: Request, now_ns: int) -> ApiKey | None:
        """Return the key that a private call proves it holds, None for anything else."""
        headers = request.headers
        key = self._by_key.get(headers.get("poly_api_key", ""))
        timestamp = headers.get("poly_timestamp", "")
        if key is None or not self._in_window(timestamp, now_ns):
            return None
        expected = hmac_signature(key.secret, timestamp, request.method, request.path, request.body)
        proven = (
            expected is not None
            and hmac.compare_digest(expected, headers.get("poly_signature", ""))
            and hmac.compare_digest(key.passphrase, headers.get("poly_passphrase", ""))
            and headers.get("poly_address", "").lower() == key.owner
        )
        return key if proven else None

    def socket(self, api_key: str, secret: str, passphrase: str) -> ApiKey | None:
        """Return the key that a socket's first frame names, None when any part is wrong."""
        key = self._by_key.get(api_key)
        if key is None or key.secret != secret or key.passphrase != passphrase:
            return None
        return key

    def _in_window(self, timestamp: str, now_ns: int) -> bool:
        if not timestamp.isdecimal() or len(timestamp) > 12:
            return False
        return abs(int(timestamp) - now_ns // NS) <= self._config.clock_window_s
