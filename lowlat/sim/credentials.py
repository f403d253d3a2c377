"""API keys: made or derived by a wallet signature (L1), proven by an HMAC on every call (L2).

Beside trading keys: read-only keys, builder and relayer keys, and session keys that may sign for
somebody else's deposit wallet. Source: polymarket.md 2.1-2.3.
"""

import base64
import hashlib
import hmac
from typing import Final, NamedTuple

from lowlat.core.errors import ConfigError
from lowlat.sim.accounts import Account, Accounts
from lowlat.sim.config import SimConfig
from lowlat.sim.faults import Faults
from lowlat.sim.verify import checksum_address, hmac_signature, recover_l1, wallets_of
from lowlat.sim.wire import Request, Response, failure, success

__all__ = ["ApiKey", "BuilderKey", "Credentials"]

NS: Final = 1_000_000_000
NONCE_DIGITS_MAX: Final = 20
RESTRICTIONS: Final = ("", "banned", "closed_only")


class ApiKey:
    """One API key of an EOA. The repr hides the secret."""

    __slots__ = ("key", "owner", "passphrase", "readonly", "secret", "wallets")

    def __init__(
        self, key: str, secret: str, passphrase: str, owner: str, *, readonly: bool = False
    ) -> None:
        self.key = key
        self.secret = secret
        self.passphrase = passphrase
        self.owner = owner
        """Lower-case EOA."""
        self.readonly = readonly
        self.wallets = {wallet.lower(): kind for kind, wallet in wallets_of(owner).items()}

    def __repr__(self) -> str:
        return f"ApiKey({self.key}, owner={self.owner})"


class BuilderKey(NamedTuple):
    """Proves a builder to the relayer."""

    key: str
    secret: str
    passphrase: str
    owner: str
    created_ns: int


class Credentials:
    """All API keys. A new owner's wallets are opened and funded with its first key."""

    def __init__(self, config: SimConfig, accounts: Accounts, faults: Faults) -> None:
        self._config = config
        self._faults = faults
        self._accounts = accounts
        self._by_key: dict[str, ApiKey] = {}
        self._by_nonce: dict[tuple[str, str], ApiKey] = {}
        self._builders: dict[str, BuilderKey] = {}
        self._sessions: dict[str, dict[str, tuple[tuple[str, ...], int]]] = {}
        """Scopes and end (seconds) by deposit wallet and session signer, lower case."""
        self._restricted: dict[str, str] = {}
        self._made = 0

    def create(self, owner: str, nonce: str = "0") -> ApiKey:
        """Return the owner's key for a nonce, made on first use (the same for the same seed)."""
        owner = owner.lower()
        known = self._by_nonce.get((owner, nonce))
        if known is not None:
            return known
        key = ApiKey(*self._secrets(f"{owner}|{nonce}"), owner)
        self._by_nonce[owner, nonce] = key
        self._by_key[key.key] = key
        for kind, wallet in wallets_of(owner).items():
            if kind in self._config.wallet_types:
                self._open(wallet, owner, kind)
        return key

    def restrict(self, owner: str, kind: str) -> None:
        """Ban an owner, let him only close (``closed_only``), or lift both (empty)."""
        if kind not in RESTRICTIONS:
            allowed = ", ".join(map(repr, RESTRICTIONS))
            raise ConfigError(f"kind was {kind!r}, allowed: {allowed}")
        self._restricted[owner.lower()] = kind

    def restriction(self, owner: str) -> str:
        """Return what an owner may not do, empty for everybody else."""
        return self._restricted.get(owner, "")

    def open_deposit_wallet(self, owner: str) -> Account:
        """Return the account of an EOA's deposit wallet, opened when the EOA is new."""
        wallet = wallets_of(owner)[3]
        self._open(wallet, owner, 3)
        return self._accounts.by_wallet[wallet.lower()]

    def _open(self, wallet: str, owner: str, kind: int) -> None:
        """Open a wallet's account with its cash; the first key of its owner finds it so."""
        if wallet.lower() in self._accounts.by_wallet:
            return
        cash_e6 = self._config.account_cash_e6
        account = self._accounts.open(wallet, checksum_address(owner), kind, cash_e6)
        account.usdce_e6 = self._config.account_usdce_e6
        account.redeems_itself = not self._config.auto_redeem
        if self._config.fresh_wallets:
            account.approvals = {}
            account.deployed = kind != 3

    def _secrets(self, purpose: str) -> tuple[str, str, str]:
        """Return a key id, a secret and a passphrase that follow from the seed."""
        raw = hashlib.sha512(f"{self._config.seed}|{purpose}".encode()).digest()
        text = raw[:16].hex()
        return (
            f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}",
            base64.urlsafe_b64encode(raw[16:48]).decode(),
            hashlib.sha256(raw[48:]).hexdigest(),
        )

    # ----------------------------------------------------------------------------- other keys
    def create_readonly(self, key: ApiKey) -> ApiKey:
        """Make a key that may read but not trade."""
        self._made += 1
        secrets = self._secrets(f"{key.owner}|readonly|{self._made}")
        made = ApiKey(*secrets, key.owner, readonly=True)
        self._by_key[made.key] = made
        return made

    def readonly_of(self, owner: str) -> list[ApiKey]:
        """Return the read-only keys of an EOA."""
        return [key for key in self._by_key.values() if key.owner == owner and key.readonly]

    def create_builder(self, key: ApiKey, now_ns: int) -> BuilderKey:
        """Make a builder key for an EOA."""
        self._made += 1
        made = BuilderKey(*self._secrets(f"{key.owner}|builder|{self._made}"), key.owner, now_ns)
        self._builders[made.key] = made
        return made

    def builders_of(self, owner: str) -> list[BuilderKey]:
        """Return the builder keys of an EOA."""
        return [key for key in self._builders.values() if key.owner == owner]

    def delete_builder(self, key: BuilderKey) -> None:
        """Revoke a builder key."""
        del self._builders[key.key]

    def builder(self, request: Request, now_ns: int) -> BuilderKey | None:
        """Return the builder key that a call proves it holds. Source: 2.3."""
        headers = request.headers
        key = self._builders.get(headers.get("poly_builder_api_key", ""))
        timestamp = headers.get("poly_builder_timestamp", "")
        if key is None or not self._in_window(timestamp, now_ns):
            return None
        expected = hmac_signature(key.secret, timestamp, request.method, request.path, request.body)
        signature = headers.get("poly_builder_signature", "")
        passphrase = headers.get("poly_builder_passphrase", "")
        proven = _same(expected or "", signature) and _same(key.passphrase, passphrase)
        return key if proven else None

    def relayer_key(self, owner: str) -> str:
        """Return the relayer key of an EOA; the real ones are made on the venue's web site."""
        return self._secrets(f"{owner.lower()}|relayer")[0]

    def may_relay(self, request: Request, now_ns: int) -> bool:
        """Say whether a call to the relayer carries a builder key or a relayer key."""
        address = request.headers.get("relayer_api_key_address", "")
        given = request.headers.get("relayer_api_key", "")
        if given:
            return _same(self.relayer_key(address), given)
        return self.builder(request, now_ns) is not None

    # ----------------------------------------------------------------------------- session keys
    def authorize(self, wallet: str, signer: str, scopes: tuple[str, ...], end_s: int) -> None:
        """Let a session key sign for a deposit wallet until a second."""
        self._sessions.setdefault(wallet.lower(), {})[signer.lower()] = (scopes, end_s)

    def revoke(self, wallet: str, signer: str) -> None:
        """Take a session key's right away."""
        self._sessions.get(wallet.lower(), {}).pop(signer.lower(), None)

    def sessions_of(self, wallet: str) -> dict[str, tuple[tuple[str, ...], int]]:
        """Return the session keys of a deposit wallet."""
        return self._sessions.get(wallet.lower(), {})

    def signs_for(self, signer: str, wallet: str, now_ns: int) -> bool:
        """Say whether a session key may trade for a deposit wallet now."""
        scopes, end_s = self._sessions.get(wallet, {}).get(signer, ((), 0))
        return now_ns < end_s * NS and bool({"ALL", "CLOB"} & set(scopes))

    def wallet_of(self, key: ApiKey, kind: int) -> str | None:
        """Return the wallet a key trades for by signature type: a session's before its own."""
        if kind == 3:
            session = self.session_wallet(key.owner)
            if session is not None:
                return session
        return next((wallet for wallet, each in key.wallets.items() if each == kind), None)

    def session_wallet(self, signer: str) -> str | None:
        """Return the deposit wallet that a session key was let sign for."""
        return next((w for w, signers in self._sessions.items() if signer in signers), None)

    # ----------------------------------------------------------------------------- listing
    def keys_of(self, owner: str) -> list[str]:
        """Return the API keys of an EOA."""
        keys = self._by_key.values()
        return [key.key for key in keys if key.owner == owner and not key.readonly]

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
        if len(nonce) > NONCE_DIGITS_MAX:
            return failure(401, "Invalid L1 Request headers")
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
        """Return the key that a private call proves it holds, None for anything else.

        A read-only key proves nothing for calls that change something.
        """
        headers = request.headers
        key = self._by_key.get(headers.get("poly_api_key", ""))
        timestamp = headers.get("poly_timestamp", "")
        if key is None or not self._in_window(timestamp, now_ns):
            return None
        if key.readonly and request.method != "GET":
            return None
        expected = hmac_signature(key.secret, timestamp, request.method, request.path, request.body)
        proven = (
            expected is not None
            and _same(expected, headers.get("poly_signature", ""))
            and _same(key.passphrase, headers.get("poly_passphrase", ""))
            and headers.get("poly_address", "").lower() == key.owner
        )
        return key if proven else None

    def time_s(self, now_ns: int) -> int:
        """Return what the venue says when it is asked for the time."""
        return self._faults.wall_ns(now_ns) // NS

    def socket(self, api_key: str, secret: str, passphrase: str) -> ApiKey | None:
        """Return the key that a socket's first frame names, None when any part is wrong."""
        key = self._by_key.get(api_key)
        if key is None or key.secret != secret or key.passphrase != passphrase:
            return None
        return key

    def _in_window(self, timestamp: str, now_ns: int) -> bool:
        if not (timestamp.isascii() and timestamp.isdecimal()) or len(timestamp) > 12:
            return False
        return abs(int(timestamp) - self.time_s(now_ns)) <= self._config.clock_window_s


def _same(expected: str, given: str) -> bool:
    """Compare in constant time; bytes, because a client may send any text."""
    return hmac.compare_digest(expected.encode(), given.encode())
