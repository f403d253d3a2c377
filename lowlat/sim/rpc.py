"""The chain's JSON-RPC as far as the vendor's client asks: calls, gas, own transactions. Pure.

EOA wallets pay their gas and send their own (legacy, EIP-155) transactions. Source: 13.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lowlat.sim.chain import Call, Chain, Reverted
from lowlat.sim.exchange import Exchange
from lowlat.sim.verify import keccak, recover
from lowlat.sim.wire import UNREADABLE, Request, Response, failure, success

__all__ = ["Rpc"]

NS: Final = 1_000_000_000
BLOCK_NS: Final = 2 * NS
GAS: Final = "0x30d40"
GAS_PRICE: Final = "0x6fc23ac00"
BEACON_CALL: Final = "0x49493a4d"
BEACON: Final = "0x" + "00" * 12 + "7a18edfe055488a3128f01f563e5b479d92ffc3a"
REVERTED: Final = 3
BAD_PARAMS: Final = -32_602
NO_METHOD: Final = -32_601
BATCH_MAX: Final = 100

Rlp = bytes | list["Rlp"]


class _Fault(Exception):
    """An error answer: code and words."""


class Rpc:
    """Answers of one node."""

    def __init__(self, exchange: Exchange, chain: Chain) -> None:
        self._exchange = exchange
        self._chain = chain
        self._nonces: dict[str, int] = {}
        self._receipts: dict[str, bool] = {}
        chain_id = hex(exchange.config.chain_id)
        self._methods: dict[Any, Callable[[list[Any], int], Any]] = {
            "eth_chainId": lambda _, __: chain_id,
            "eth_gasPrice": lambda _, __: GAS_PRICE,
            "eth_estimateGas": lambda _, __: GAS,
            "eth_blockNumber": lambda _, now_ns: hex(now_ns // BLOCK_NS),
            "eth_getBlockByNumber": lambda _, now_ns: {
                "number": hex(now_ns // BLOCK_NS),
                "timestamp": hex(now_ns // NS),
            },
            "eth_call": lambda params, _: self._call(params[0]),
            "eth_getTransactionCount": lambda params, _: hex(
                self._nonces.get(params[0].lower(), 0)
            ),
            "eth_sendRawTransaction": lambda params, now_ns: self._send(
                bytes.fromhex(params[0][2:]), now_ns
            ),
            "eth_getTransactionReceipt": lambda params, _: self._receipt(params),
        }

    def answer(self, request: Request, now_ns: int) -> Response:
        """Answer a call or a batch of calls."""
        try:
            body = msgspec.json.decode(request.body)
        except UNREADABLE:
            return failure(400, "invalid json")
        if isinstance(body, list):
            if not 0 < len(body) <= BATCH_MAX:
                return failure(400, "invalid batch")
            return success([self._one(each, now_ns) for each in body])
        return success(self._one(body, now_ns))

    def _one(self, call: Any, now_ns: int) -> dict[str, Any]:
        number = call.get("id") if isinstance(call, dict) else None
        head = {"jsonrpc": "2.0", "id": number}
        try:
            return {**head, "result": self._result(call, now_ns)}
        except _Fault as fault:
            return {**head, "error": {"code": fault.args[0], "message": fault.args[1]}}
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            return {**head, "error": {"code": BAD_PARAMS, "message": f"invalid params: {error}"}}

    def _result(self, call: Any, now_ns: int) -> Any:
        if not isinstance(call, dict) or not isinstance(call.get("params"), list):
            raise _Fault(-32_600, "invalid request")
        method = self._methods.get(call.get("method"))
        if method is None:
            raise _Fault(NO_METHOD, f"the method {call.get('method')} does not exist")
        return method(call["params"], now_ns)

    def _receipt(self, params: list[Any]) -> dict[str, str] | None:
        done = self._receipts.get(params[0].lower())
        status = "0x1" if done else "0x0"
        return None if done is None else {"transactionHash": params[0], "status": status}

    def _call(self, params: dict[str, str]) -> str:
        data = params["data"]
        if data == BEACON_CALL:
            return BEACON
        try:
            return "0x" + self._chain.read(params["to"], bytes.fromhex(data[2:])).hex()
        except Reverted as error:
            raise _Fault(REVERTED, str(error)) from error

    def _send(self, raw: bytes, now_ns: int) -> str:
        """Carry out a signed transaction of an EOA at once; the receipt tells how it went."""
        fields, rest = _decode(raw)
        if rest or not isinstance(fields, list) or len(fields) != 9:
            raise ValueError("not a legacy transaction")
        plain = [field for field in fields if isinstance(field, bytes)]
        nonce, price, gas, to, value, data, v, r, s = plain
        chain_id = self._exchange.config.chain_id
        recovery = int.from_bytes(v, "big") - 35 - 2 * chain_id
        if recovery not in {0, 1} or len(to) != 20 or len(r) > 32 or len(s) > 32:
            raise ValueError("signed for another chain")
        chain = chain_id.to_bytes(-(-chain_id.bit_length() // 8), "big")
        digest = keccak(_encode([nonce, price, gas, to, value, data, chain, b"", b""]))
        signature = r.rjust(32, b"\0") + s.rjust(32, b"\0") + bytes((27 + recovery,))
        sender = recover(digest, signature)
        account = self._exchange.accounts.by_wallet.get(sender or "")
        if sender is None or account is None:
            raise _Fault(-32_000, "insufficient funds for gas")
        expected = self._nonces.get(sender, 0)
        if int.from_bytes(nonce, "big") != expected:
            raise _Fault(-32_000, f"nonce too low: next nonce {expected}")
        self._nonces[sender] = expected + 1
        name = "0x" + keccak(raw).hex()
        call = Call("0x" + to.hex(), int.from_bytes(value, "big"), data)
        try:
            self._chain.execute(account, [call], now_ns)
        except Reverted:
            self._receipts[name] = False
        else:
            self._receipts[name] = True
        return name


def _decode(raw: bytes) -> tuple[Rlp, bytes]:
    """Decode one RLP item; return it and what follows."""
    if not raw:
        raise ValueError("empty transaction")
    first = raw[0]
    if first < 0x80:
        return raw[:1], raw[1:]
    is_list = first >= 0xC0
    short = first - (0xC0 if is_list else 0x80)
    start = 1
    if short > 55:
        width = short - 55
        start += width
        short = int.from_bytes(raw[1:start], "big")
    body, rest = raw[start : start + short], raw[start + short :]
    if len(body) != short:
        raise ValueError("transaction is cut short")
    if not is_list:
        return body, rest
    items: list[Rlp] = []
    while body:
        # Nested lists exist in newer kinds of transactions only.
        item, body = _decode(body)
        if isinstance(item, list):
            raise ValueError("not a legacy transaction")  # noqa: TRY004 - outside input
        items.append(item)
    return items, rest


def _encode(items: list[bytes]) -> bytes:
    """Encode a list of byte strings."""
    body = b"".join(map(_encode_bytes, items))
    return _head(len(body), 0xC0) + body


def _encode_bytes(item: bytes) -> bytes:
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _head(len(item), 0x80) + item


def _head(size: int, base: int) -> bytes:
    if size <= 55:
        return bytes((base + size,))
    width = -(-size.bit_length() // 8)
    return bytes((base + 55 + width,)) + size.to_bytes(width, "big")
