"""Wallet transactions through the venue's relayer: merge, redeem, convert, one signed batch. Pure.

Only deposit wallets (signature type 3): their owner signs an EIP-712 batch, the operator pays the
gas. A batch happens whole or not at all. Sources: polymarket.md 13; polymarket-client 0.14.0
(``_internal/actions/relayer``), whose bytes tests compare with.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from lowlat.core.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from lowlat.venues.polymarket.eip712 import (
    POLYGON,
    SigningKey,
    address_text,
    domain_separator,
    keccak256,
    parse_address,
    word,
)
from lowlat.venues.wire import BAD_JSON, malformed

__all__ = [
    "BATCH_CALLS_MAX",
    "Call",
    "RelayerRequests",
    "Submitted",
    "TransactionState",
    "WalletTransaction",
    "batch_digest",
    "convert_call",
    "decode_nonce",
    "decode_submitted",
    "decode_transaction",
    "merge_call",
    "redeem_call",
    "router_merge_call",
    "router_redeem_call",
    "wanted_nonce",
]

BATCH_CALLS_MAX: Final = 20
"""Our own bound: what fails takes its batch with it."""
DEADLINE_S: Final = 600
FACTORY: Final = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"
COLLATERAL: Final = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
ADAPTER: Final = "0xAdA100Db00Ca00073811820692005400218FcE1f"
NEG_RISK_ADAPTER: Final = "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
ROUTER: Final = "0x12121212006e4CD160D18e3f00711DA5c3372600"
"""Of protocol-v2 markets, whose tokens trade on the V3 exchange. Source: polymarket.md 13."""

_CALL_TYPE: Final = b"Call(address target,uint256 value,bytes data)"
_BATCH_TYPE: Final = (
    b"Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)" + _CALL_TYPE
)
_MERGE: Final = keccak256(b"mergePositions(address,bytes32,bytes32,uint256[],uint256)")[:4]
_CONVERT: Final = keccak256(b"convertPositions(bytes32,uint256,uint256)")[:4]
_REDEEM: Final = keccak256(b"redeemPositions(address,bytes32,bytes32,uint256[])")[:4]
_ROUTER_MERGE: Final = keccak256(b"merge(bytes31,uint256)")[:4]
_ROUTER_REDEEM: Final = keccak256(b"redeem(bytes31,uint256,uint256)")[:4]
_BOTH_SIDES: Final = (1, 2)
"""Index sets of a binary condition."""
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?")
_VISIBLE: Final = re.compile(r"[!-~]{1,200}")
_ID: Final = re.compile(r"[A-Za-z0-9\-]{1,80}")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_NONCE_MISMATCH: Final = re.compile(
    r"batch nonce\s+(\d{1,20})\s+does not match on-chain nonce\s+(\d{1,20})", re.IGNORECASE
)
_BUSY: Final = re.compile(r"wallet busy|in-flight action", re.IGNORECASE)
_TEXT_MAX: Final = 300


class Call(NamedTuple):
    """One contract call of a batch. No call of ours sends native coin."""

    target: bytes
    data: bytes


class TransactionState(StrEnum):
    """Where a wallet transaction is. UNKNOWN: a word that is new to us; ask again."""

    NEW = "STATE_NEW"
    EXECUTED = "STATE_EXECUTED"
    MINED = "STATE_MINED"
    CONFIRMED = "STATE_CONFIRMED"
    FAILED = "STATE_FAILED"
    INVALID = "STATE_INVALID"
    UNKNOWN = ""


class Submitted(NamedTuple):
    """The relayer's answer to a batch. ``transaction_id`` "": refused, with its words."""

    transaction_id: str
    transaction_hash: str
    retry: bool
    """The same calls may be sent again, with a fresh nonce."""
    text: str


class WalletTransaction(NamedTuple):
    """A transaction as the relayer tells it."""

    state: TransactionState
    transaction_hash: str
    error: str


# --------------------------------------------------------------------------- calls
def merge_call(condition_id: bytes, size_e6: int, *, neg_risk: bool) -> Call:
    """Turn complete sets of a binary condition back into collateral."""
    if size_e6 <= 0:
        raise LocalProtocolError(f"merge of {size_e6} base units, expected more than 0")
    return _adapter_call(_MERGE, condition_id, (word(size_e6),), neg_risk=neg_risk)


def redeem_call(condition_id: bytes, *, neg_risk: bool) -> Call:
    """Collect what a resolved condition pays for all shares that the wallet holds of it."""
    return _adapter_call(_REDEEM, condition_id, (), neg_risk=neg_risk)


def convert_call(market_id: bytes, questions: Sequence[int], size_e6: int) -> Call:
    """Turn NO of the questions of a neg-risk event into a dollar less than a dollar each, in cash.

    Of questions that are not named it gives YES. Source: polymarket.md 12 (convert), 13.
    """
    if len(market_id) != 32:
        raise LocalProtocolError(f"neg-risk market id was {len(market_id)} bytes, expected 32")
    if size_e6 <= 0 or not questions or not all(0 <= each < 256 for each in questions):
        raise LocalProtocolError(
            f"conversion of {size_e6} base units of questions {list(questions)}, expected more "
            "than 0 of questions 0 to 255"
        )
    index_set = sum(1 << each for each in set(questions))
    data = _CONVERT + market_id + word(index_set) + word(size_e6)
    return Call(parse_address(NEG_RISK_ADAPTER, "adapter"), data)


def router_merge_call(condition_id: bytes, size_e6: int) -> Call:
    """Turn complete sets of a protocol-v2 condition back into collateral."""
    if size_e6 <= 0:
        raise LocalProtocolError(f"merge of {size_e6} base units, expected more than 0")
    return _router_call(_ROUTER_MERGE, condition_id, size_e6)


def router_redeem_call(condition_id: bytes, outcome: int, size_e6: int) -> Call:
    """Collect what a resolved protocol-v2 condition pays for so many shares of an outcome."""
    if outcome not in (0, 1) or size_e6 <= 0:
        raise LocalProtocolError(
            f"redeem of {size_e6} base units of outcome {outcome}, expected more than 0 of 0 or 1"
        )
    return _router_call(_ROUTER_REDEEM, condition_id, outcome, size_e6)


def _router_call(selector: bytes, condition_id: bytes, *numbers: int) -> Call:
    if len(condition_id) != 31:
        raise LocalProtocolError(f"condition id was {len(condition_id)} bytes, expected 31")
    # bytes31 stands at the left of its word.
    words = (condition_id + b"\0", *(word(each) for each in numbers))
    return Call(parse_address(ROUTER, "router"), selector + b"".join(words))


def _adapter_call(
    selector: bytes, condition_id: bytes, rest: tuple[bytes, ...], *, neg_risk: bool
) -> Call:
    if len(condition_id) != 32:
        raise LocalProtocolError(f"condition id was {len(condition_id)} bytes, expected 32")
    head = (
        word(parse_address(COLLATERAL, "collateral")),
        bytes(32),
        condition_id,
        word(32 * (4 + len(rest))),
        *rest,
    )
    sides = (word(len(_BOTH_SIDES)), *(word(each) for each in _BOTH_SIDES))
    target = NEG_RISK_ADAPTER if neg_risk else ADAPTER
    return Call(parse_address(target, "adapter"), selector + b"".join((*head, *sides)))


# --------------------------------------------------------------------------- signature
def batch_digest(
    wallet: bytes, nonce: int, deadline_s: int, calls: Sequence[Call], chain_id: int = POLYGON
) -> bytes:
    """Return the EIP-712 digest that the wallet's owner signs."""
    call_type = keccak256(_CALL_TYPE)
    hashes = b"".join(
        keccak256(call_type + word(call.target) + word(0) + keccak256(call.data)) for call in calls
    )
    struct = keccak256(
        keccak256(_BATCH_TYPE) + word(wallet) + word(nonce) + word(deadline_s) + keccak256(hashes)
    )
    domain = domain_separator("DepositWallet", "1", chain_id, wallet)
    return keccak256(b"\x19\x01" + domain + struct)


class RelayerRequests:
    """Writes the calls of one owner's deposit wallet. The repr shows no secret."""

    __slots__ = ("_chain_id", "_head", "_key", "_wallet")

    def __init__(
        self,
        host: str,
        key: SigningKey,
        wallet: str,
        relayer_key: str,
        chain_id: int = POLYGON,
        user_agent: str = "lowlat",
    ) -> None:
        """Fix host and headers; ConfigError for text that no header may hold."""
        if not _HOST.fullmatch(host):
            raise ConfigError(f"relayer host was {host!r}, expected a name with an optional port")
        if not _VISIBLE.fullmatch(relayer_key):
            raise ConfigError("relayer_api_key was not printable ASCII without blanks")
        self._key = key
        self._wallet = parse_address(wallet, "funder")
        self._chain_id = chain_id
        self._head = (
            f" HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {user_agent}\r\n"
            f"Accept: application/json\r\nConnection: close\r\nRELAYER_API_KEY: {relayer_key}\r\n"
            f"RELAYER_API_KEY_ADDRESS: {key.address_text}\r\n"
        ).encode()

    def __repr__(self) -> str:
        return f"RelayerRequests(owner={self._key.address_text}, secrets=***)"

    def nonce(self) -> bytes:
        """GET the wallet's next nonce."""
        query = f"address={self._key.address_text}&type=WALLET"
        return f"GET /v1/account/transactions/params?{query}".encode() + self._head + b"\r\n"

    def submit(self, calls: Sequence[Call], nonce: int, now_s: int) -> bytes:
        """POST a signed batch."""
        if not 0 < len(calls) <= BATCH_CALLS_MAX:
            raise LocalProtocolError(f"batch of {len(calls)} calls, expected 1-{BATCH_CALLS_MAX}")
        deadline_s = now_s + DEADLINE_S
        digest = batch_digest(self._wallet, nonce, deadline_s, calls, self._chain_id)
        body = msgspec.json.encode(
            {
                "type": "WALLET",
                "from": self._key.address_text,
                "to": FACTORY,
                "nonce": str(nonce),
                "signature": "0x" + self._key.sign(digest).hex(),
                "metadata": "",
                "depositWalletParams": {
                    "depositWallet": address_text(self._wallet),
                    "deadline": str(deadline_s),
                    "calls": [
                        {
                            "target": address_text(call.target),
                            "value": "0",
                            "data": "0x" + call.data.hex(),
                        }
                        for call in calls
                    ],
                },
            }
        )
        length = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return b"POST /submit" + self._head + length + body

    def transaction(self, transaction_id: str) -> bytes:
        """GET what became of a batch."""
        if not _ID.fullmatch(transaction_id):
            raise LocalProtocolError(f"transaction id was {transaction_id!r}")
        path = f"/v1/account/transactions/{transaction_id}"
        return f"GET {path}".encode() + self._head + b"\r\n"


# --------------------------------------------------------------------------- answers
class _NonceWire(msgspec.Struct, gc=False):
    nonce: str


class _SubmittedWire(msgspec.Struct, gc=False, rename={"transaction_id": "transactionID"}):
    transaction_id: str
    transaction_hash: str | None = msgspec.field(default=None, name="transactionHash")


class _TransactionWire(msgspec.Struct, gc=False):
    state: str
    transaction_hash: str | None = None
    error_msg: str | None = None


class _ErrorWire(msgspec.Struct, gc=False):
    error: str


def decode_nonce(http_status: int, body: bytes) -> int:
    """Read the wallet's next nonce."""
    _check_status("relayer params", http_status, body)
    try:
        text = msgspec.json.decode(body, type=_NonceWire).nonce
    except BAD_JSON as error:
        raise malformed("relayer params", None, error) from error
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise RemoteProtocolError(f"relayer params: nonce {text[:40]!r} is no number")
    return int(text)


def decode_submitted(http_status: int, body: bytes) -> Submitted:
    """Read the answer to a batch; what the relayer refused before acting on it is a value.

    Raises RemoteProtocolError for what says neither: the batch may be on its way.
    """
    if http_status in (400, 401, 403, 429):
        text = _words(body)
        busy = http_status == 429 or bool(_BUSY.search(text) or _NONCE_MISMATCH.search(text))
        return Submitted("", "", busy, f"HTTP {http_status} {text}")
    _check_status("relayer submit", http_status, body)
    try:
        wire = msgspec.json.decode(body, type=_SubmittedWire)
    except BAD_JSON as error:
        raise malformed("relayer submit", None, error) from error
    if not _ID.fullmatch(wire.transaction_id):
        raise RemoteProtocolError(f"relayer submit: id {wire.transaction_id[:80]!r}")
    return Submitted(wire.transaction_id, _hash(wire.transaction_hash), False, "")


def decode_transaction(http_status: int, body: bytes) -> WalletTransaction:
    """Read what became of a batch."""
    _check_status("relayer transaction", http_status, body)
    try:
        wire = msgspec.json.decode(body, type=_TransactionWire)
    except BAD_JSON as error:
        raise malformed("relayer transaction", None, error) from error
    known = {state.value: state for state in TransactionState}
    state = known.get(wire.state, TransactionState.UNKNOWN)
    return WalletTransaction(
        state, _hash(wire.transaction_hash), (wire.error_msg or "")[:_TEXT_MAX]
    )


def wanted_nonce(text: str) -> int | None:
    """Return the nonce that a refusal says is right, None when it names none."""
    found = _NONCE_MISMATCH.search(text)
    return int(found[2]) if found else None


def _hash(text: str | None) -> str:
    if not text:
        return ""
    if not _HASH.fullmatch(text):
        raise RemoteProtocolError(f"relayer: transaction hash {text[:80]!r}")
    return text


def _words(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_ErrorWire).error[:_TEXT_MAX]
    except BAD_JSON:
        return body[:_TEXT_MAX].decode("utf-8", "replace")


def _check_status(what: str, http_status: int, body: bytes) -> None:
    if not 200 <= http_status < 300:
        raise malformed(what, None, f"HTTP {http_status} {_words(body)}")
