"""Bodies of the relayer, taken apart: what is to be called, for which wallet, signed by whom. Pure.

Every function raises ValueError for a body that is not what the vendor's client sends.
Source: polymarket.md 13.
"""

from typing import Any, Final, NamedTuple

import msgspec

from lowlat.sim.abi import selector, uint_word
from lowlat.sim.chain import Call
from lowlat.sim.verify_tx import batch_signer, inner_calls, proxy_signer, safe_signer

__all__ = ["Authorization", "Form", "Pending", "read_authorization", "read_form"]

NS: Final = 1_000_000_000
MULTISEND: Final = "0xA238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"
PROXY_FACTORY: Final = "0xaB45c5A4B0c941a2F231C04C3f49182e1A254052"
CALLS_MAX: Final = 256


class Form(NamedTuple):
    """A submitted transaction. Addresses in lower case."""

    kind: str
    sender: str
    wallet: str
    nonce: int
    deadline_s: int
    calls: list[Call]
    signer: str | None
    metadata: str = ""


class Authorization(NamedTuple):
    """A session key's authorization or revocation, as the owner signed it."""

    form: Form
    session_signer: str
    scopes: tuple[str, ...]
    end_s: int


class Pending:
    """One transaction on its way."""

    __slots__ = (
        "_created_ns",
        "_error",
        "_kind",
        "_metadata",
        "_sender",
        "_state",
        "_updated_ns",
        "_wallet",
        "id",
        "transaction_hash",
    )

    def __init__(
        self,
        transaction_id: str,
        transaction_hash: str,
        kind: str,
        sender: str,
        wallet: str,
        metadata: str,
        now_ns: int,
    ) -> None:
        self.id = transaction_id
        self.transaction_hash = transaction_hash
        self._kind = kind
        self._sender = sender
        self._wallet = wallet
        self._metadata = metadata
        self._state = "STATE_NEW"
        self._error: str | None = None
        self._created_ns = self._updated_ns = now_ns

    def move(self, state: str, now_ns: int, error: str | None = None) -> None:
        """Take the next state."""
        self._state = state
        self._updated_ns = now_ns
        self._error = error

    def row(self) -> dict[str, Any]:
        """Return what the service tells about it."""
        return {
            "transaction_id": self.id,
            "transactionID": self.id,
            "transaction_hash": self.transaction_hash,
            "transactionHash": self.transaction_hash,
            "state": self._state,
            "type": self._kind,
            "from": self._sender,
            "proxy_wallet": self._wallet,
            "metadata": self._metadata,
            "error_msg": self._error,
            "created_at": self._created_ns // NS,
            "updated_at": self._updated_ns // NS,
        }


class _WireCall(msgspec.Struct, gc=False):
    target: str
    value: str
    data: str


class _WalletParams(msgspec.Struct, rename="camel", gc=False):
    deposit_wallet: str
    deadline: str
    calls: list[_WireCall]


class _Wallet(msgspec.Struct, rename={"from_": "from", "params": "depositWalletParams"}, gc=False):
    from_: str
    nonce: str
    signature: str
    params: _WalletParams
    metadata: str = ""


class _RelayParams(msgspec.Struct, rename="camel", gc=False):
    operation: str = "0"
    gas_limit: str = "0"
    relay: str = ""
    relay_hub: str = ""


class _Relayed(
    msgspec.Struct,
    rename={"from_": "from", "proxy_wallet": "proxyWallet", "params": "signatureParams"},
    gc=False,
):
    from_: str
    to: str
    proxy_wallet: str
    data: str
    nonce: str
    signature: str
    params: _RelayParams
    metadata: str = ""
    value: str = "0"


class _Session(msgspec.Struct, rename="camel", gc=False):
    deadline: str
    nonce: str
    session_signer_address: str
    signature: str
    wallet_address: str
    scopes: tuple[str, ...] = ()
    valid_until: str = "0"


def read_form(values: dict[str, Any], chain_id: int, relay: str) -> Form:
    """Read the body of a submit: WALLET, PROXY or SAFE."""
    kind = values.get("type")
    try:
        if kind == "WALLET":
            return _read_wallet(msgspec.convert(values, _Wallet), chain_id)
        if kind in {"PROXY", "SAFE"}:
            form = msgspec.convert(values, _Relayed)
            return _read_proxy(form, relay) if kind == "PROXY" else _read_safe(form, chain_id)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"type was {kind!r}, allowed: WALLET, WALLET-CREATE, PROXY, SAFE")


def read_authorization(body: bytes, chain_id: int, *, revoke: bool) -> Authorization:
    """Read a session key's authorization or revocation; the batch holds its one call."""
    given = msgspec.json.decode(body, type=_Session)
    session = _address(given.session_signer_address)
    wallet = _address(given.wallet_address)
    argument = bytes(12) + bytes.fromhex(session[2:])
    if revoke:
        data = selector("revokeSessionSigner(address)") + argument
    else:
        end = uint_word(_uint(given.valid_until))
        data = selector("authorizeSessionSigner(address,uint256)") + argument + end
        if not given.scopes:
            raise ValueError("scopes is empty")
    calls = [Call(wallet, 0, data)]
    nonce, deadline_s = _uint(given.nonce), _uint(given.deadline)
    signature = _blob(given.signature)
    signer = batch_signer(chain_id, wallet, nonce, deadline_s, calls, signature)
    form = Form("WALLET", "", wallet, nonce, deadline_s, calls, signer)
    return Authorization(form, session, given.scopes, _uint(given.valid_until))


def _read_wallet(given: _Wallet, chain_id: int) -> Form:
    params = given.params
    if not 0 < len(params.calls) <= CALLS_MAX:
        raise ValueError(f"a batch of {len(params.calls)} calls, allowed: 1 to {CALLS_MAX}")
    calls = [
        Call(_address(call.target), _uint(call.value), _blob(call.data)) for call in params.calls
    ]
    wallet, nonce, deadline_s = (
        _address(params.deposit_wallet),
        _uint(given.nonce),
        _uint(params.deadline),
    )
    signer = batch_signer(chain_id, wallet, nonce, deadline_s, calls, _blob(given.signature))
    sender = _address(given.from_)
    return Form("WALLET", sender, wallet, nonce, deadline_s, calls, signer, given.metadata)


def _read_safe(given: _Relayed, chain_id: int) -> Form:
    call = Call(_address(given.to), _uint(given.value), _blob(given.data))
    wallet, nonce = _address(given.proxy_wallet), _uint(given.nonce)
    operation, signature = _uint(given.params.operation), _blob(given.signature)
    if operation > 1:
        raise ValueError(f"operation was {operation}, allowed: 0, 1")
    signer = safe_signer(chain_id, wallet, call, operation, nonce, signature)
    calls = inner_calls(call, MULTISEND) if operation else [call]
    return Form("SAFE", _address(given.from_), wallet, nonce, 0, calls, signer, given.metadata)


def _read_proxy(given: _Relayed, relay: str) -> Form:
    sender, wallet = _address(given.from_), _address(given.proxy_wallet)
    call = Call(_address(given.to), 0, _blob(given.data))
    if call.target != PROXY_FACTORY.lower() or _address(given.params.relay) != relay:
        raise ValueError("to or relay is not the proxy factory's")
    nonce = _uint(given.nonce)
    signer = proxy_signer(
        sender,
        call.target,
        call.data,
        _uint(given.params.gas_limit),
        nonce,
        _address(given.params.relay_hub),
        relay,
        _blob(given.signature),
    )
    calls = inner_calls(call, MULTISEND)
    return Form("PROXY", sender, wallet, nonce, 0, calls, signer, given.metadata)


def _address(text: str) -> str:
    if len(text) != 42 or not text.startswith("0x") or len(bytes.fromhex(text[2:])) != 20:
        raise ValueError(f"{text!r} is not an address")
    return text.lower()


def _uint(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 77:
        raise ValueError(f"{text!r} is not a number")
    return int(text)


def _blob(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError(f"{text[:20]!r} is not hex")
    return bytes.fromhex(text[2:])
