"""Sign orders: EIP-712 hash (the order id) and signature, for every exchange and account type.

Run by the executor, the only holder of a trading key, in idle turns (templates) or on a miss.
Salts and strictly increasing timestamps are the caller's. Source: polymarket.md 3.1, 3.2.

One struct is 12 words of 32 bytes::

    0   type hash      3   signer       6   takerAmount     9   timestamp (ms)
    1   salt           4   tokenId      7   side            10  metadata
    2   maker          5   makerAmount  8   signatureType   11  builder

Constant words are packed once; an order changes seven of them in place.
"""

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple, NoReturn

from lowlat.core.errors import ConfigError, LocalProtocolError
from lowlat.core.layout import Action, Exchange
from lowlat.venues.polymarket.eip712 import (
    AMOY,
    POLYGON,
    SigningKey,
    Signs,
    address_text,
    domain_separator,
    keccak256,
    parse_address,
    word,
)

__all__ = [
    "ORDER_TYPE",
    "SALT_MAX",
    "ZERO_WORD",
    "OrderFields",
    "OrderSigner",
    "Signature",
    "SignatureType",
    "contract_of",
    "exchange_for",
    "is_v3",
    "wrap_session_signature",
]

ORDER_TYPE: Final = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,"
    b"bytes32 builder)"
)
ZERO_WORD: Final = bytes(32)
SALT_MAX: Final = 2**53 - 1
"""Salts travel as JSON numbers. Source: polymarket.md 3.1."""

_DOMAIN_NAME: Final = "Polymarket CTF Exchange"
_TYPED_DATA_SIGN: Final = (
    b"TypedDataSign(Order contents,string name,string version,uint256 chainId,"
    b"address verifyingContract,bytes32 salt)" + ORDER_TYPE
)
_WALLET_NAME: Final = b"DepositWallet"
_WALLET_VERSION: Final = b"1"
_SESSION_MAGIC: Final = b"\x64\x92" * 16
_STANDARD: Final = "0xE111180000d2663C0091e4f400237545B87B996B"
_NEG_RISK: Final = "0xe2222d279d744050d28e00520010520000310F59"
_CONTRACTS: Final[dict[tuple[int, Exchange], tuple[str, str]]] = {
    (POLYGON, Exchange.STANDARD): ("2", _STANDARD),
    (POLYGON, Exchange.NEG_RISK): ("2", _NEG_RISK),
    (POLYGON, Exchange.V3): ("3", "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"),
    (AMOY, Exchange.STANDARD): ("2", _STANDARD),
    (AMOY, Exchange.NEG_RISK): ("2", _NEG_RISK),
    (AMOY, Exchange.V3): ("3", "0x9fE6e61422AdB6F610d8597F9684b16912D50C3D"),
}
"""Version and verifying contract. Source: polymarket.md 3.1."""

_V3_HOLE: Final = ((1 << 64) - 1) << 40
"""Bits that are zero in every protocol-v2 position id. Source: polymarket.md 3.1."""
_ACTIONS: Final = frozenset(Action)
_U256_END: Final = 1 << 256
_AMOUNT_END: Final = 1 << 63

# salt, tokenId, makerAmount, takerAmount, side, timestamp: low eight bytes of their words.
_SALT: Final = Struct(">Q")
_AMOUNTS: Final = Struct(">24xQ24xQ24xQ")
_TIMESTAMP: Final = Struct(">Q")


class SignatureType(IntEnum):
    """How an account proves itself. Source: polymarket.md 3.2."""

    EOA = 0
    POLY_PROXY = 1
    POLY_GNOSIS_SAFE = 2
    POLY_1271 = 3


class Signature(NamedTuple):
    """An order's id (32 bytes, known before sending) and its signature as 0x hex."""

    order_id: bytes
    text: str

    def __repr__(self) -> str:
        """Leave the signature out: whoever has it can execute the order."""
        return f"Signature(0x{self.order_id.hex()}, ***)"


class OrderFields(NamedTuple):
    """What the signature covers, less the account. Amounts as in amounts.py."""

    salt: int
    token_id: int
    maker_e6: int
    taker_e6: int
    action: Action
    timestamp_ms: int
    metadata: bytes = ZERO_WORD
    builder: bytes = ZERO_WORD


def is_v3(token_id: int) -> bool:
    """Tell whether an asset id is a protocol-v2 position (combos, new outcomes)."""
    return token_id & _V3_HOLE == 0


def exchange_for(neg_risk: bool, token_id: int) -> Exchange:
    """Choose the contract that an order for this token must be signed for."""
    if is_v3(token_id):
        return Exchange.V3
    return Exchange.NEG_RISK if neg_risk else Exchange.STANDARD


def contract_of(exchange: Exchange, chain_id: int = POLYGON) -> str:
    """Return the address of an exchange."""
    return _contract(chain_id, exchange)[1]


def _contract(chain_id: int, exchange: Exchange) -> tuple[str, str]:
    found = _CONTRACTS.get((chain_id, exchange))
    if found is None:
        raise ConfigError(f"chain_id was {chain_id}, expected {POLYGON} or {AMOY}")
    return found


class OrderSigner:
    """Signs orders of one account; owns a reused buffer, so one thread only.

    ``funder`` holds the money: the EOA itself for type 0, else proxy, Safe or deposit wallet.
    ``session`` says that the key is an authorised session key of a deposit wallet (type 3 only).
    """

    __slots__ = (
        "_domains",
        "_key",
        "_nested",
        "_session",
        "_struct",
        "_tails",
        "chain_id",
        "maker",
        "signature_type",
        "signer",
    )

    chain_id: int
    maker: str
    signer: str
    signature_type: SignatureType

    def __init__(
        self,
        key: bytes | Signs,
        signature_type: int,
        funder: str,
        chain_id: int = POLYGON,
        *,
        session: bool = False,
    ) -> None:
        """Derive everything that does not change from order to order. Some 60 us."""
        if signature_type not in set(SignatureType):
            raise ConfigError(f"signature_type was {signature_type}, expected 0, 1, 2 or 3")
        self._key = SigningKey(bytes(key)) if isinstance(key, bytes | bytearray) else key
        self._session = session
        self.chain_id = chain_id
        self.signature_type = SignatureType(signature_type)
        wallet = parse_address(funder, "funder")
        nested = self.signature_type == SignatureType.POLY_1271
        if session and not nested:
            raise ConfigError(f"session keys need signature_type 3, not {signature_type}")
        if self.signature_type == SignatureType.EOA and wallet != self._key.address:
            raise ConfigError(
                f"funder was {funder}, expected the key's own {self._key.address_text} for type 0"
            )
        signer = wallet if nested else self._key.address
        self.maker = address_text(wallet)
        self.signer = address_text(signer)
        self._domains = {
            exchange: _domain(chain_id, exchange)
            for exchange in (Exchange.STANDARD, Exchange.NEG_RISK, Exchange.V3)
        }
        self._struct = bytearray(
            keccak256(ORDER_TYPE) + bytes(32) + word(wallet) + word(signer) + bytes(8 * 32)
        )
        self._struct[8 * 32 : 9 * 32] = word(int(self.signature_type))
        self._nested = _nested_buffer(wallet, chain_id) if nested else None
        self._tails = ORDER_TYPE + len(ORDER_TYPE).to_bytes(2, "big")

    @property
    def key_address(self) -> str:
        """Checksummed address of the key itself: what the L2 headers carry."""
        return self._key.address_text

    def sign(self, exchange: Exchange, order: OrderFields) -> Signature:
        """Hash and sign one order. 40 to 50 us, nine tenths of it in libsecp256k1.

        Raises LocalProtocolError for a field outside its range or an unknown exchange.
        """
        salt, token_id, maker_e6, taker_e6, action, timestamp_ms, metadata, builder = order
        domain = self._domains.get(exchange)
        if domain is None:
            raise LocalProtocolError(f"exchange was {exchange!r}, expected the one of exchange_for")
        if not (
            0 < salt <= SALT_MAX
            and 0 < token_id < _U256_END
            and 0 < maker_e6 < _AMOUNT_END
            and 0 < taker_e6 < _AMOUNT_END
            and 0 < timestamp_ms < _AMOUNT_END
            and len(metadata) == len(builder) == 32
            and action in _ACTIONS
        ):
            raise LocalProtocolError(f"order out of range: {order}")
        struct = self._struct
        _SALT.pack_into(struct, 56, salt)
        struct[128:160] = token_id.to_bytes(32, "big")
        _AMOUNTS.pack_into(struct, 160, maker_e6, taker_e6, action)
        _TIMESTAMP.pack_into(struct, 312, timestamp_ms)
        struct[320:352] = metadata
        struct[352:384] = builder
        contents = keccak256(struct)
        prefix = b"\x19\x01" + domain
        order_id = keccak256(prefix + contents)
        if self._nested is None:
            return Signature(order_id, "0x" + self._key.sign(order_id).hex())
        self._nested[32:64] = contents
        inner = self._key.sign(keccak256(prefix + keccak256(self._nested)))
        full = inner + domain + contents + self._tails
        if self._session:
            full = wrap_session_signature(self._key.address, full)
        return Signature(order_id, "0x" + full.hex())

    def __repr__(self) -> str:
        return (
            f"OrderSigner(maker={self.maker}, signer={self.signer}, "
            f"signature_type={int(self.signature_type)}, chain_id={self.chain_id}, key=***)"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("an OrderSigner is never pickled or copied")


def wrap_session_signature(session_signer: bytes, signature: bytes) -> bytes:
    """Wrap a type-3 signature made by a session key so that the wallet accepts it.

    ``abi.encode(bytes32 signer, bytes32 0, bytes signature)`` and 32 bytes 0x6492 repeated.
    Source: polymarket.md 2.3.
    """
    padding = bytes(-len(signature) % 32)
    head = word(session_signer) + ZERO_WORD + word(96) + word(len(signature))
    return head + signature + padding + _SESSION_MAGIC


def _domain(chain_id: int, exchange: Exchange) -> bytes:
    version, contract = _contract(chain_id, exchange)
    return domain_separator(_DOMAIN_NAME, version, chain_id, parse_address(contract, "exchange"))


def _nested_buffer(wallet: bytes, chain_id: int) -> bytearray:
    """Pack ERC-7739's TypedDataSign; word 1 takes the order's struct hash."""
    return bytearray(
        keccak256(_TYPED_DATA_SIGN)
        + ZERO_WORD
        + keccak256(_WALLET_NAME)
        + keccak256(_WALLET_VERSION)
        + word(chain_id)
        + word(wallet)
        + ZERO_WORD
    )
