"""Who signed a wallet's transaction: deposit-wallet batches, proxy and Safe calls.

Beside ``verify``, with the same libraries. Source: polymarket.md 13 and the vendor's client.
"""

from collections.abc import Sequence
from typing import Final

from lowlat.sim.abi import Words, selector, uint_word
from lowlat.sim.chain import Call
from lowlat.sim.verify import keccak, recover, unwrap_session

__all__ = ["batch_signer", "inner_calls", "proxy_signer", "safe_signer"]

_DOMAIN_TYPE: Final = (
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_CALL_TYPE: Final = b"Call(address target,uint256 value,bytes data)"
_BATCH_TYPE: Final = (
    b"Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)" + _CALL_TYPE
)
_SAFE_DOMAIN_TYPE: Final = b"EIP712Domain(uint256 chainId,address verifyingContract)"
_SAFE_TYPE: Final = (
    b"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,"
    b"uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)
_PERSONAL: Final = b"\x19Ethereum Signed Message:\n32"
_MULTISEND: Final = selector("multiSend(bytes)")
_PROXY: Final = selector("proxy((uint8,address,uint256,bytes)[])")


def batch_signer(
    chain_id: int, wallet: str, nonce: int, deadline: int, calls: Sequence[Call], signature: bytes
) -> str | None:
    """Return who signed a deposit wallet's batch (a session key too), None when malformed."""
    hashes = b"".join(
        keccak(
            keccak(_CALL_TYPE)
            + _address_word(call.target)
            + uint_word(call.value)
            + keccak(call.data)
        )
        for call in calls
    )
    domain = keccak(
        keccak(_DOMAIN_TYPE)
        + keccak(b"DepositWallet")
        + keccak(b"1")
        + uint_word(chain_id)
        + _address_word(wallet)
    )
    struct = keccak(
        keccak(_BATCH_TYPE)
        + _address_word(wallet)
        + uint_word(nonce)
        + uint_word(deadline)
        + keccak(hashes)
    )
    session, inner = unwrap_session(signature)
    signer = recover(keccak(b"\x19\x01" + domain + struct), inner)
    return signer if session is None or session == signer else None


def safe_signer(
    chain_id: int, wallet: str, call: Call, operation: int, nonce: int, signature: bytes
) -> str | None:
    """Return who signed a Safe transaction without gas terms; its v is 31 or 32."""
    if len(signature) != 65 or signature[64] not in {31, 32}:
        return None
    domain = keccak(keccak(_SAFE_DOMAIN_TYPE) + uint_word(chain_id) + _address_word(wallet))
    struct = keccak(
        keccak(_SAFE_TYPE)
        + _address_word(call.target)
        + uint_word(call.value)
        + keccak(call.data)
        + uint_word(operation)
        + bytes(5 * 32)
        + uint_word(nonce)
    )
    digest = keccak(b"\x19\x01" + domain + struct)
    return recover(keccak(_PERSONAL + digest), signature[:64] + bytes((signature[64] - 4,)))


def proxy_signer(
    sender: str,
    factory: str,
    data: bytes,
    gas_limit: int,
    nonce: int,
    relay_hub: str,
    relay: str,
    signature: bytes,
) -> str | None:
    """Return who signed a proxy wallet's relayed call without fee and gas price."""
    digest = keccak(
        b"rlx:"
        + _address_word(sender)[12:]
        + _address_word(factory)[12:]
        + data
        + bytes(64)
        + uint_word(gas_limit)
        + uint_word(nonce)
        + _address_word(relay_hub)[12:]
        + _address_word(relay)[12:]
    )
    return recover(keccak(_PERSONAL + digest), signature)


def inner_calls(call: Call, multisend: str) -> list[Call]:
    """Take a Safe's multisend or a proxy factory's call apart; any other stays one call."""
    if call.data[:4] == _PROXY:
        tuples, count = Words(call.data[4:]).array(0)
        found = []
        for i in range(count):
            fields = tuples.tail(i)
            found.append(Call(fields.address(1), fields.uint(2), fields.blob(3)))
        return found
    if call.target.lower() != multisend.lower() or call.data[:4] != _MULTISEND:
        return [call]
    packed, at, found = Words(call.data[4:]).blob(0), 0, []
    while at < len(packed):
        target = "0x" + packed[at + 1 : at + 21].hex()
        value = int.from_bytes(packed[at + 21 : at + 53], "big")
        size = int.from_bytes(packed[at + 53 : at + 85], "big")
        data = packed[at + 85 : at + 85 + size] if size <= len(packed) else b""
        if len(data) != size or packed[at]:
            raise ValueError("multisend is cut short or delegates")
        found.append(Call(target, value, data))
        at += 85 + size
    return found


def _address_word(address: str) -> bytes:
    raw = bytes.fromhex(address.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError(f"{address!r} is not an address")
    return bytes(12) + raw
