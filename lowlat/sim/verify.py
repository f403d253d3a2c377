"""Checks who signed: EIP-712 orders of types 0-3, L1 wallet signatures, L2 HMACs, wallet addresses.

Written from the venue's rules with public libraries (coincurve, pysha3, stdlib hmac) and nothing of
the engine, so that a mistake in its signer cannot hide here. Source: polymarket.md 2, 3.
"""

import base64
import binascii
import hmac
from functools import lru_cache
from typing import Final, Literal

import msgspec
import sha3
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from lowlat.sim.contracts import EXCHANGES

__all__ = [
    "OrderVerifier",
    "SignedOrder",
    "checksum_address",
    "hmac_signature",
    "recover",
    "recover_l1",
    "unwrap_session",
    "wallets_of",
]

_ORDER_TYPE: Final = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,"
    b"bytes32 builder)"
)
_TYPED_DATA_SIGN: Final = (
    b"TypedDataSign(Order contents,string name,string version,uint256 chainId,"
    b"address verifyingContract,bytes32 salt)" + _ORDER_TYPE
)
_DOMAIN_TYPE: Final = (
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_AUTH_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId)"
_AUTH_TYPE: Final = b"ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_AUTH_MESSAGE: Final = b"This message attests that I control the given wallet"

_SESSION_MAGIC: Final = bytes.fromhex("6492" * 16)

_SAFE_FACTORY: Final = "aacfeea03eb1561c4e67d661e40682bd20e3541b"
_SAFE_INIT_HASH: Final = "2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"
_PROXY_FACTORY: Final = "ab45c5a4b0c941a2f231c04c3f49182e1a254052"
_PROXY_CODE: Final = (
    "3d3d606380380380913d393d73" + _PROXY_FACTORY + "5af4602a57600080fd5b602d8060366000396000f3"
    "363d3d373d3d3d363d7344e999d5c2f66ef0861317f9a4805ac2e90aeb4f5af43d82803e903d91602b57fd5bf3"
    "52e831dd" + f"{32:064x}{0:064x}"
)
_DEPOSIT_FACTORY: Final = "00000000000fb5c9adea0298d729a0cb3823cc07"
_DEPOSIT_BEACON: Final = "7a18edfe055488a3128f01f563e5b479d92ffc3a"
_BEACON_CODE: Final = (
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3",
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c",
    "60195155f3363d3d373d3d363d602036600436635c60da",
)
_BEACON_PREFIX: Final = 0x6100523D8160233D3973


# The library's Python classes cost a fifth of a recovery. One thread verifies: one set of buffers.
_RECOVERED: Final = (
    ffi.new("secp256k1_ecdsa_recoverable_signature *"),
    ffi.new("secp256k1_pubkey *"),
    ffi.new("unsigned char [65]"),
    ffi.new("size_t *"),
)
_SIDES: Final = {"BUY": bytes(32), "SELL": bytes(31) + b"\x01"}


class SignedOrder(msgspec.Struct, gc=False):
    """A V2 order as it stands on the wire."""

    salt: int
    maker: str
    signer: str
    tokenId: str  # noqa: N815 - the venue's spelling
    makerAmount: str  # noqa: N815
    takerAmount: str  # noqa: N815
    side: Literal["BUY", "SELL"]
    expiration: str
    signatureType: int  # noqa: N815
    timestamp: str
    metadata: str
    builder: str
    signature: str


class OrderVerifier:
    """Hashes and checks orders for the exchanges of one chain."""

    def __init__(self, chain_id: int) -> None:
        self._domains = {
            name: _domain(b"Polymarket CTF Exchange", version.encode(), chain_id, contract)
            for name, (version, contract) in EXCHANGES.items()
        }
        self._order_type_hash = keccak(_ORDER_TYPE)
        self._nested_head = keccak(_TYPED_DATA_SIGN)
        self._nested_middle = keccak(b"DepositWallet") + keccak(b"1") + _word(chain_id)

    def check(self, order: SignedOrder, exchange: str) -> tuple[bytes, str | None]:
        """Return the EIP-712 hash (the order id) and who signed, lower case.

        The signer is None when the signature is malformed. Raises ValueError for fields that are
        no numbers, addresses or 32 bytes.
        """
        domain = self._domains[exchange]
        struct = self._struct_hash(order)
        order_hash = keccak(b"\x19\x01" + domain + struct)
        signature = _hex_bytes(order.signature)
        if signature is None:
            return order_hash, None
        if order.signatureType != 3:
            return order_hash, recover(order_hash, signature)
        session, signature = unwrap_session(signature)
        tail = domain + struct + _ORDER_TYPE + len(_ORDER_TYPE).to_bytes(2, "big")
        if signature[65:] != tail:
            return order_hash, None
        nested = keccak(
            self._nested_head
            + struct
            + self._nested_middle
            + _address_word(order.maker)
            + bytes(32)
        )
        signer = recover(keccak(b"\x19\x01" + domain + nested), signature[:65])
        return order_hash, signer if session is None or session == signer else None

    def _struct_hash(self, order: SignedOrder) -> bytes:
        # The order of the fields as they are hashed; every piece is one word.
        return keccak(
            b"".join(
                (
                    self._order_type_hash,
                    _word(order.salt),
                    _address_word(order.maker),
                    _address_word(order.signer),
                    _token_word(order.tokenId),
                    _word(_number(order.makerAmount)),
                    _word(_number(order.takerAmount)),
                    _SIDES[order.side],
                    _small_word(order.signatureType),
                    _word(_number(order.timestamp)),
                    _bytes32(order.metadata),
                    _bytes32(order.builder),
                )
            )
        )


def keccak(data: bytes) -> bytes:
    """Hash with Keccak-256 (Ethereum's, not NIST SHA-3)."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def recover(digest: bytes, signature: bytes) -> str | None:
    """Return the address whose key made a 65-byte signature, lower case; None when malformed."""
    if len(signature) != 65 or signature[64] not in {27, 28}:
        return None
    parsed, key, raw, size = _RECOVERED
    context = GLOBAL_CONTEXT.ctx
    if not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(
        context, parsed, signature[:64], signature[64] - 27
    ) or not lib.secp256k1_ecdsa_recover(context, key, parsed, digest):
        return None
    size[0] = 65
    lib.secp256k1_ec_pubkey_serialize(context, raw, size, key, lib.SECP256K1_EC_UNCOMPRESSED)
    return "0x" + keccak(ffi.buffer(raw)[1:])[12:].hex()


def unwrap_session(signature: bytes) -> tuple[str | None, bytes]:
    """Return the session key a signature names and what it wraps; None when it wraps nothing.

    ``abi.encode(bytes32 signer, bytes32 0, bytes signature)`` and 32 magic bytes. A wrap of another
    shape comes back as it is and fails as a signature. Source: 2.3.
    """
    if len(signature) < 160 or not signature.endswith(_SESSION_MAGIC):
        return None, signature
    size = int.from_bytes(signature[96:128], "big")
    end = 128 + -(-size // 32) * 32
    fixed = bytes(12) + signature[12:32] + bytes(32) + _word(96)
    if signature[:96] != fixed or len(signature) != end + 32:
        return None, signature
    return "0x" + signature[12:32].hex(), signature[128 : 128 + size]


def recover_l1(
    chain_id: int, address: str, timestamp: str, nonce: str, signature: str
) -> str | None:
    """Return who signed an L1 header set, lower case; None when malformed. Source: 2.1."""
    raw = _hex_bytes(signature)
    if raw is None or not nonce.isdecimal() or not timestamp.isdecimal():
        return None
    try:
        word = _address_word(address)
    except ValueError:
        return None
    domain = keccak(
        keccak(_AUTH_DOMAIN_TYPE) + keccak(b"ClobAuthDomain") + keccak(b"1") + _word(chain_id)
    )
    struct = keccak(
        keccak(_AUTH_TYPE)
        + word
        + keccak(timestamp.encode())
        + _word(int(nonce))
        + keccak(_AUTH_MESSAGE)
    )
    return recover(keccak(b"\x19\x01" + domain + struct), raw)


def hmac_signature(secret: str, timestamp: str, method: str, path: str, body: bytes) -> str | None:
    """Return the L2 signature the venue expects, None when the secret is no base64. Source: 2.2."""
    key = _secret_bytes(secret)
    if key is None:
        return None
    message = (timestamp + method + path).encode() + body
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")).decode()


@lru_cache(maxsize=1_024)
def _secret_bytes(secret: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except (binascii.Error, ValueError):
        return None


def wallets_of(owner: str) -> dict[int, str]:
    """Return the wallet addresses of an EOA by signature type. Source: polymarket.md 3.2, 13."""
    raw = bytes.fromhex(owner[2:])
    word = bytes(12) + raw
    factory = bytes(12) + bytes.fromhex(_DEPOSIT_FACTORY)
    arguments = factory + word
    prefix = (_BEACON_PREFIX + (len(arguments) << 56)).to_bytes(10, "big")
    beacon_code = (
        prefix
        + bytes.fromhex(_DEPOSIT_BEACON)
        + bytes.fromhex(_BEACON_CODE[2])
        + bytes.fromhex(_BEACON_CODE[1])
        + bytes.fromhex(_BEACON_CODE[0])
        + arguments
    )
    return {
        0: checksum_address(owner),
        1: _create2(_PROXY_FACTORY, keccak(raw), keccak(bytes.fromhex(_PROXY_CODE))),
        2: _create2(_SAFE_FACTORY, keccak(word), bytes.fromhex(_SAFE_INIT_HASH)),
        3: _create2(_DEPOSIT_FACTORY, keccak(arguments), keccak(beacon_code)),
    }


@lru_cache(maxsize=1_024)
def checksum_address(address: str) -> str:
    """Write an address with EIP-55 capitals; every row of every listing names one."""
    plain = address[2:].lower()
    digest = keccak(plain.encode()).hex()
    return "0x" + "".join(c.upper() if int(digest[i], 16) >= 8 else c for i, c in enumerate(plain))


def _create2(factory: str, salt: bytes, code_hash: bytes) -> str:
    raw = keccak(b"\xff" + bytes.fromhex(factory) + salt + code_hash)
    return checksum_address("0x" + raw[12:].hex())


def _domain(name: bytes, version: bytes, chain_id: int, contract: str) -> bytes:
    return keccak(
        keccak(_DOMAIN_TYPE)
        + keccak(name)
        + keccak(version)
        + _word(chain_id)
        + _address_word(contract)
    )


def _word(value: int) -> bytes:
    if not 0 <= value < 1 << 256:
        raise ValueError(f"{value} does not fit in uint256")
    return value.to_bytes(32, "big")


@lru_cache(maxsize=16)
def _small_word(value: int) -> bytes:
    return _word(value)


@lru_cache(maxsize=8_192)
def _token_word(text: str) -> bytes:
    return _word(_number(text))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 78:
        raise ValueError(f"{text!r} is not a decimal uint256")
    return int(text)


@lru_cache(maxsize=4_096)
def _address_word(address: str) -> bytes:
    raw = _hex_bytes(address)
    if raw is None or len(raw) != 20:
        raise ValueError(f"{address!r} is not an address")
    return bytes(12) + raw


@lru_cache(maxsize=1_024)
def _bytes32(text: str) -> bytes:
    raw = _hex_bytes(text)
    if raw is None or len(raw) != 32:
        raise ValueError(f"{text!r} is not bytes32")
    return raw


def _hex_bytes(text: str) -> bytes | None:
    if not text.startswith("0x"):
        return None
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return None
