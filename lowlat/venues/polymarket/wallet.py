"""The wallet as the venue's indexer tells it: what it did besides orders, and what it holds. Pure.

Requests and codecs of the Data API, version 2: ``/v2/activity`` and ``/v2/positions``. Amounts come
as numbers or numeric text, empty text means none, unknown fields and kinds are tolerated; unknown
kinds are returned as they are called. Source: polymarket.md 11.2.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import msgspec

from lowlat.core.errors import ConfigError, RemoteProtocolError
from lowlat.venues.wire import BAD_JSON, malformed

__all__ = [
    "ActivityPage",
    "ActivityRow",
    "Condition",
    "Holding",
    "HoldingsPage",
    "WalletRequests",
    "decode_activity_page",
    "decode_condition",
    "decode_holdings_page",
]

PAGE_ROWS: Final = 500
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_CURSOR: Final = re.compile(r"[A-Za-z0-9+/_=.:%~\-]{1,512}")
_HEX_32: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_CONDITION: Final = re.compile(r"0x[0-9a-fA-F]{62}(?:[0-9a-fA-F]{2})?")
"""32 bytes, or the 31 of a protocol-v2 condition. Source: polymarket.md 13."""
_TOKEN: Final = re.compile(r"[0-9]{1,78}", re.ASCII)
_SECONDS_MAX: Final = 4_102_444_800
_DIGITS_MAX: Final = 12
Number = str | int | float


class ActivityRow(NamedTuple):
    """One thing that the wallet did. "" and 0 where the venue leaves a field empty."""

    kind: str
    """As the venue calls it: TRADE, SPLIT, MERGE, REDEEM, REWARD, DEPOSIT …"""
    wall_ms: int
    condition_id: str
    token_id: str
    side: str
    size_e6: int
    cash_e6: int
    transaction_hash: str


class ActivityPage(NamedTuple):
    """``next_cursor`` is "" on the last page."""

    rows: tuple[ActivityRow, ...]
    next_cursor: str


class Holding(NamedTuple):
    """Shares of one token that the wallet holds."""

    token_id: str
    other_token_id: str
    condition_id: str
    size_e6: int
    redeemable: bool
    neg_risk: bool
    status: str


class HoldingsPage(NamedTuple):
    """``next_cursor`` is "" on the last page."""

    rows: tuple[Holding, ...]
    next_cursor: str


class Condition(NamedTuple):
    """Both tokens of a binary market, and which of them won; "" while nobody says."""

    condition_id: str
    token_ids: tuple[str, str]
    winner: str


class WalletRequests:
    """Writes the calls about one wallet."""

    __slots__ = ("_head", "wallet")

    def __init__(self, host: str, wallet: str, user_agent: str = "lowlat") -> None:
        if not _HOST.fullmatch(host):
            raise ConfigError(f"data host was {host!r}, expected a name with an optional port")
        if not _ADDRESS.fullmatch(wallet):
            raise ConfigError(f"funder was {wallet!r}, expected 0x and 40 hex digits")
        self.wallet = wallet
        self._head = (
            f" HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {user_agent}\r\n"
            "Accept: application/json\r\nConnection: close\r\n\r\n"
        ).encode()

    def activity(self, start_s: int, cursor: str = "") -> bytes:
        """GET what happened since a second, oldest first; transfers included."""
        query = (
            f"user={self.wallet}&start={max(1, start_s):d}&sort_direction=ASC"
            f"&exclude_deposits_withdrawals=false&limit={PAGE_ROWS}"
        )
        return self._get("/v2/activity", query, cursor)

    def holdings(self, cursor: str = "") -> bytes:
        """GET what the wallet holds."""
        return self._get("/v2/positions", f"user={self.wallet}&limit={PAGE_ROWS}", cursor)

    def ask(self, path: str, query: str) -> bytes:
        """GET anything else of the indexer's, in one page."""
        return self._get(path, query, "")

    def _get(self, path: str, query: str, cursor: str) -> bytes:
        tail = f"&cursor={cursor}" if cursor else ""
        return f"GET {path}?{query}{tail}".encode() + self._head


# --------------------------------------------------------------------------- wire
class _PaginationWire(msgspec.Struct, frozen=True, gc=False):
    has_more: bool = False
    next_cursor: str | None = None


class _ActivityWire(msgspec.Struct, gc=False):
    type: str
    timestamp: int | str
    transaction_hash: str
    condition_id: str | None = None
    token_id: str | None = None
    side: str | None = None
    size: Number | None = None
    usdc_size: Number | None = None


class _ActivityPageWire(msgspec.Struct, gc=False):
    data: tuple[_ActivityWire, ...]
    pagination: _PaginationWire = _PaginationWire()


class _HoldingWire(msgspec.Struct, gc=False):
    token_id: str
    condition_id: str
    current_size: Number
    opposite_token_id: str | None = None
    redeemable: bool = False
    negative_risk: bool = False
    status: str = ""


class _OldHoldingWire(
    msgspec.Struct,
    gc=False,
    rename={
        "token_id": "asset",
        "condition_id": "conditionId",
        "current_size": "size",
        "opposite_token_id": "oppositeAsset",
        "negative_risk": "negativeRisk",
    },
):
    """A row of the first version's ``/positions``, which answers a bare list."""

    token_id: str
    condition_id: str
    current_size: Number
    opposite_token_id: str | None = None
    redeemable: bool = False
    negative_risk: bool = False
    status: str = ""


class _HoldingsPageWire(msgspec.Struct, gc=False):
    data: tuple[_HoldingWire, ...]
    pagination: _PaginationWire = _PaginationWire()


def decode_activity_page(http_status: int, body: bytes) -> ActivityPage:
    """Read a page of activity. One bad row spoils the page: a history must be whole."""
    wire: _ActivityPageWire = _decode("/v2/activity", http_status, body, _ActivityPageWire)
    try:
        rows = tuple(_activity(row) for row in wire.data)
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed("/v2/activity", None, error) from error
    return ActivityPage(rows, _next(wire.pagination))


def decode_holdings_page(http_status: int, body: bytes) -> HoldingsPage:
    """Read a page of positions, of version 2 or the first; what is empty is left out."""
    is_old = body[:64].lstrip()[:1] == b"["
    kind = tuple[_OldHoldingWire, ...] if is_old else _HoldingsPageWire
    wire: Any = _decode("/v2/positions", http_status, body, kind)
    try:
        rows = tuple(_holding(row) for row in (wire if is_old else wire.data))
    except (*BAD_JSON, RemoteProtocolError) as error:
        raise malformed("/v2/positions", None, error) from error
    held = tuple(row for row in rows if row.size_e6)
    return HoldingsPage(held, "" if is_old else _next(wire.pagination))


class _SideWire(msgspec.Struct, gc=False):
    token_id: str
    winner: bool = False


class _ConditionWire(msgspec.Struct, gc=False):
    condition_id: str
    tokens: tuple[_SideWire, ...]


def decode_condition(http_status: int, body: bytes) -> Condition:
    """Read GET /markets/{condition} of the order-book service. Source: polymarket.md 1.2."""
    wire: _ConditionWire = _decode("/markets", http_status, body, _ConditionWire)
    tokens = tuple(_token(side.token_id) for side in wire.tokens)
    winners = [side.token_id for side in wire.tokens if side.winner]
    if len(tokens) != 2 or not all(tokens) or len(winners) > 1:
        raise RemoteProtocolError(
            f"/markets: {len(tokens)} tokens and {len(winners)} winners, expected 2 and at most 1"
        )
    condition = _condition(wire.condition_id)
    return Condition(condition, (tokens[0], tokens[1]), winners[0] if winners else "")


def _decode(what: str, http_status: int, body: bytes, kind: Any) -> Any:
    if http_status != 200:
        raise malformed(what, None, f"HTTP {http_status}")
    try:
        return msgspec.json.decode(body, type=kind)
    except BAD_JSON as error:
        raise malformed(what, None, error) from error


def _activity(wire: _ActivityWire) -> ActivityRow:
    return ActivityRow(
        wire.type[:40],
        _seconds(wire.timestamp) * 1_000,
        _condition(wire.condition_id),
        _token(wire.token_id),
        (wire.side or "").upper()[:8],
        _e6(wire.size),
        _e6(wire.usdc_size),
        _hex_32(wire.transaction_hash, "transaction hash"),
    )


def _holding(wire: _HoldingWire | _OldHoldingWire) -> Holding:
    token = _token(wire.token_id)
    if not token:
        raise RemoteProtocolError("a position without a token")
    return Holding(
        token,
        _token(wire.opposite_token_id),
        _condition(wire.condition_id),
        _e6(wire.current_size),
        wire.redeemable,
        wire.negative_risk,
        wire.status[:40],
    )


def _seconds(value: int | str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and 0 < int(text[:12]) < _SECONDS_MAX):
        raise RemoteProtocolError(f"timestamp {text[:40]!r} is not unix seconds")
    return int(text)


def _hex_32(text: str | None, name: str) -> str:
    if not text:
        return ""
    if not _HEX_32.fullmatch(text):
        raise RemoteProtocolError(f"{name} {text[:80]!r} is not 0x and 64 hex digits")
    return text.lower()


def _condition(text: str | None) -> str:
    if not text:
        return ""
    if not _CONDITION.fullmatch(text):
        raise RemoteProtocolError(f"condition id {text[:80]!r} is not 0x and 62 or 64 hex digits")
    return text.lower()


def _token(text: str | None) -> str:
    if not text or text == "0":
        return ""
    if not _TOKEN.fullmatch(text):
        raise RemoteProtocolError(f"token id {text[:90]!r} is no number")
    return text


def _e6(value: Number | None) -> int:
    """Read an amount to the base unit, towards zero: the indexer shows more digits than exist."""
    if value is None or value == "":
        return 0
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise RemoteProtocolError(f"amount {str(value)[:40]!r} is no number") from error
    # By its digits first: any arithmetic overflows on an exponent of a billion.
    if not amount.is_finite() or amount.adjusted() > _DIGITS_MAX or amount < 0:
        raise RemoteProtocolError(f"amount {str(value)[:40]!r} is out of range")
    return int(amount.scaleb(6))


def _next(pagination: _PaginationWire) -> str:
    cursor = pagination.next_cursor or ""
    if not pagination.has_more:
        return ""
    if not cursor:
        raise RemoteProtocolError("more rows, but no cursor to them")
    if not _CURSOR.fullmatch(cursor):
        raise RemoteProtocolError(f"cursor {cursor[:80]!r} cannot be sent back")
    return cursor
