"""Write private and public calls of the CLOB as HTTP/1.1 bytes, headers in a fixed order.

Pure: the second is an argument, the answer is bytes for one write. A signed request ends its
headers with second and signature, so that ``SignedRequest.renew`` joins five ready pieces::

    METHOD path?query HTTP/1.1        Host, User-Agent, Accept, Connection,
    [Content-Type, Content-Length]    POLY_ADDRESS, POLY_API_KEY, POLY_PASSPHRASE,
    POLY_TIMESTAMP: 10 digits         POLY_SIGNATURE: 44 characters
    (blank line) body

Source: polymarket.md 1.1, 2.2, 5.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NoReturn
from urllib.parse import quote

import msgspec

from lowlat.core.errors import ConfigError, LocalProtocolError
from lowlat.venues.polymarket.auth import L2Auth

__all__ = [
    "BATCH_CANCELS_MAX",
    "FIRST_CURSOR",
    "LAST_CURSOR",
    "AssetType",
    "ClobRequests",
    "SignedRequest",
]

BATCH_CANCELS_MAX: Final = 1_000
"""Ids in one DELETE /orders. Source: polymarket.md 5.3."""
FIRST_CURSOR: Final = "MA=="
LAST_CURSOR: Final = "LTE="
"""Asking for it is an error: stop when a page names it. Source: polymarket.md 1.1."""

_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?")
_VISIBLE: Final = re.compile(r"[!-~][ -~]{0,199}")
_HEX_32: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_DIGITS: Final = re.compile(r"[0-9]{1,78}")
_CURSOR: Final = re.compile(r"[A-Za-z0-9+/_=\-]{1,256}")
_SECONDS_MIN: Final = 1_000_000_000
_SECONDS_MAX: Final = 9_999_999_999
_SIGNATURE_HEADER: Final = b"\r\nPOLY_SIGNATURE: "

_encode_json: Final = msgspec.json.Encoder().encode


class AssetType(StrEnum):
    """What /balance-allowance is asked about. Source: polymarket.md 1.1."""

    COLLATERAL = "COLLATERAL"
    CONDITIONAL = "CONDITIONAL"
    CONDITIONAL_V2 = "CONDITIONAL-V2"


class SignedRequest:
    """A private call, ready as bytes; only its second and its signature ever change.

    ``wire`` is what to write, immutable and free to take; empty before the first ``renew``.
    ``timestamp_s`` is the second it is signed for; the venue takes some ten seconds of skew.
    """

    __slots__ = ("_auth", "_head", "_rest", "_signed", "timestamp_s", "wire")

    timestamp_s: int
    wire: bytes

    def __init__(self, auth: L2Auth, head: bytes, method_path: bytes, body: bytes) -> None:
        """Lay the bytes out once; head ends with the last header that does not change."""
        self._auth = auth
        self._head = head + b"POLY_TIMESTAMP: "
        self._rest = b"\r\n\r\n" + body
        self._signed = method_path + body
        self.timestamp_s = 0
        self.wire = b""

    def renew(self, timestamp_s: int) -> None:
        """Sign for another second. Some 3 us for an order, two of them SHA-256."""
        if not _SECONDS_MIN <= timestamp_s <= _SECONDS_MAX:
            raise LocalProtocolError(f"timestamp_s was {timestamp_s}, expected ten digits")
        second = b"%d" % timestamp_s
        signature = self._auth.sign(second + self._signed)
        self.wire = b"".join((self._head, second, _SIGNATURE_HEADER, signature, self._rest))
        self.timestamp_s = timestamp_s

    def __repr__(self) -> str:
        return f"SignedRequest({len(self.wire)} bytes, timestamp_s={self.timestamp_s})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SignedRequest is never pickled or copied")


class ClobRequests:
    """Builds every call the engine makes. Public ones need no credentials."""

    __slots__ = ("_auth", "_private", "_public")

    def __init__(self, host: str, auth: L2Auth | None, user_agent: str = "lowlat") -> None:
        """Fix host and headers; ConfigError for text that no header may hold."""
        if not _HOST.fullmatch(host):
            raise ConfigError(f"host was {host!r}, expected a name with an optional port")
        if not _VISIBLE.fullmatch(user_agent):
            raise ConfigError(f"user_agent was {user_agent!r}, expected printable ASCII")
        self._auth = auth
        self._public = (
            f" HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {user_agent}\r\n"
            "Accept: application/json\r\nConnection: keep-alive\r\n"
        ).encode()
        self._private = b""
        if auth is not None:
            self._private = (
                f"POLY_ADDRESS: {auth.address}\r\nPOLY_API_KEY: {auth.credentials.api_key}\r\n"
                f"POLY_PASSPHRASE: {auth.credentials.passphrase}\r\n"
            ).encode()

    def __repr__(self) -> str:
        return f"ClobRequests(auth={self._auth!r})"

    @property
    def api_key(self) -> str:
        """Owner of the orders we post: the key of the headers. Source: polymarket.md 5.1."""
        if self._auth is None:
            raise LocalProtocolError("an order needs credentials, there are none")
        return self._auth.credentials.api_key

    # --------------------------------------------------------------------------- building blocks
    def signed(self, method: str, path: str, body: bytes = b"", query: str = "") -> SignedRequest:
        """Lay out a private call. The signature covers neither query nor headers."""
        if self._auth is None:
            raise LocalProtocolError(f"{method} {path} needs credentials, there are none")
        target = f"{path}?{query}" if query else path
        length = (
            b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body) if body else b""
        )
        head = f"{method} {target}".encode() + self._public + length + self._private
        return SignedRequest(self._auth, head, f"{method}{path}".encode(), body)

    def _render(
        self, timestamp_s: int, method: str, path: str, body: bytes = b"", query: str = ""
    ) -> bytes:
        request = self.signed(method, path, body, query)
        request.renew(timestamp_s)
        return request.wire

    def _get(self, path: str, query: str = "") -> bytes:
        target = f"{path}?{query}" if query else path
        return f"GET {target}".encode() + self._public + b"\r\n"

    # --------------------------------------------------------------------------- public calls
    def server_time(self) -> bytes:
        """GET /time: unix seconds, a bare integer."""
        return self._get("/time")

    def book(self, token_id: int) -> bytes:
        """GET /book of one token."""
        return self._get("/book", f"token_id={_token(token_id)}")

    # --------------------------------------------------------------------------- private calls
    def cancel_order(self, timestamp_s: int, order_id: bytes) -> bytes:
        """DELETE /order of one id."""
        body = b'{"orderID":"0x%s"}' % _order_id(order_id)
        return self._render(timestamp_s, "DELETE", "/order", body)

    def cancel_orders(self, timestamp_s: int, order_ids: Sequence[bytes]) -> bytes:
        """DELETE /orders: 1 to 1000 ids."""
        if not 0 < len(order_ids) <= BATCH_CANCELS_MAX:
            raise LocalProtocolError(
                f"cancel of {len(order_ids)} orders, expected 1 to {BATCH_CANCELS_MAX}"
            )
        body = b"[" + b",".join(b'"0x%s"' % _order_id(each) for each in order_ids) + b"]"
        return self._render(timestamp_s, "DELETE", "/orders", body)

    def cancel_all(self, timestamp_s: int) -> bytes:
        """DELETE /cancel-all."""
        return self._render(timestamp_s, "DELETE", "/cancel-all")

    def cancel_market(
        self, timestamp_s: int, market_id: str | None = None, token_id: int | None = None
    ) -> bytes:
        """DELETE /cancel-market-orders of a market, a token or both."""
        if market_id is None and token_id is None:
            # An empty object might mean everything: that is cancel_all, said in so many words.
            raise LocalProtocolError("cancel_market needs a market_id or a token_id")
        wanted: dict[str, str] = {}
        if market_id is not None:
            wanted["market"] = _hex_32(market_id, "market_id")
        if token_id is not None:
            wanted["asset_id"] = _token(token_id)
        return self._render(timestamp_s, "DELETE", "/cancel-market-orders", _encode_json(wanted))

    def heartbeat(self, timestamp_s: int, heartbeat_id: str) -> bytes:
        """POST /v1/heartbeats: "" first, then the id of the last answer."""
        body = _encode_json({"heartbeat_id": heartbeat_id})
        return self._render(timestamp_s, "POST", "/v1/heartbeats", body)

    def order(self, timestamp_s: int, order_id: bytes) -> bytes:
        """GET /data/order/{id}: what the venue knows of one order."""
        return self._render(timestamp_s, "GET", f"/data/order/0x{_order_id(order_id).decode()}")

    def orders(
        self,
        timestamp_s: int,
        *,
        market_id: str | None = None,
        token_id: int | None = None,
        cursor: str = FIRST_CURSOR,
    ) -> bytes:
        """GET /data/orders: a page of open orders."""
        query = _query(market_id, token_id, cursor)
        return self._render(timestamp_s, "GET", "/data/orders", query=query)

    def trades(
        self,
        timestamp_s: int,
        *,
        market_id: str | None = None,
        token_id: int | None = None,
        after_s: int | None = None,
        trade_id: str | None = None,
        cursor: str = FIRST_CURSOR,
    ) -> bytes:
        """GET /data/trades: a page of our trades, newest rules of 5.5 apply to reading them."""
        query = _query(market_id, token_id, cursor)
        if after_s is not None:
            query += f"&after={after_s:d}"
        if trade_id is not None:
            query += f"&id={quote(trade_id, safe='')}"
        return self._render(timestamp_s, "GET", "/data/trades", query=query)

    def balance(
        self,
        timestamp_s: int,
        signature_type: int,
        asset_type: AssetType = AssetType.COLLATERAL,
        token_id: int | None = None,
        *,
        refresh: bool = False,
    ) -> bytes:
        """GET /balance-allowance, or have the venue refresh its cached view of the chain."""
        query = f"asset_type={asset_type}&signature_type={signature_type:d}"
        if token_id is not None:
            query += f"&token_id={_token(token_id)}"
        path = "/balance-allowance/update" if refresh else "/balance-allowance"
        return self._render(timestamp_s, "GET", path, query=query)


def _query(market_id: str | None, token_id: int | None, cursor: str) -> str:
    if not _CURSOR.fullmatch(cursor) or cursor == LAST_CURSOR:
        raise LocalProtocolError(f"cursor was {cursor!r}, expected one that a page named")
    query = f"next_cursor={quote(cursor, safe='')}"
    if market_id is not None:
        query += f"&market={_hex_32(market_id, 'market_id')}"
    if token_id is not None:
        query += f"&asset_id={_token(token_id)}"
    return query


def _hex_32(text: str, name: str) -> str:
    if not _HEX_32.fullmatch(text):
        raise LocalProtocolError(f"{name} was {text!r}, expected 0x and 64 hex digits")
    return text


def _order_id(order_id: bytes) -> bytes:
    if len(order_id) != 32:
        raise LocalProtocolError(f"order id was {len(order_id)} bytes, expected 32")
    return order_id.hex().encode()


def _token(token_id: int) -> str:
    text = str(token_id)
    if not _DIGITS.fullmatch(text):
        raise LocalProtocolError(f"token_id was {text}, expected a positive 256-bit number")
    return text
