"""Other people's wallets as the venue's indexer tells them: trades, leaders, holders. Pure.

Paths and codecs of the Data API, version 2, for whoever follows wallets. Several fills share a
transaction: they are told apart by ``key``, which counts those of the same token within it.
Amounts come as numbers or numeric text; a bad row is counted, not fatal, because these rows decide
nothing about our own money. Source: polymarket.md 11.2.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = [
    "Holder",
    "Leader",
    "WalletTrade",
    "WalletsPage",
    "decode_holders",
    "decode_leaders",
    "decode_wallet_trades",
    "holders_path",
    "leaders_path",
    "wallet_trades_path",
]

LIMIT_MAX: Final = 1_000
IDS_MAX: Final = 20
_E6: Final = 1_000_000
_DIGITS_MAX: Final = 12
_SECONDS_MIN: Final = 1_577_836_800
_SECONDS_MAX: Final = 4_102_444_800
_NS: Final = 1_000_000_000
_NO_OUTCOME: Final = 999
_ADDRESS_CHARS: Final = 42
Number = str | int | float
_OLD_NAMES: Final = {
    "proxy_wallet": "proxyWallet",
    "condition_id": "conditionId",
    "transaction_hash": "transactionHash",
    "outcome_index": "outcomeIndex",
}
Row = TypeVar("Row")


class WalletTrade(NamedTuple):
    """One fill of a wallet. ``price_e6``: an average of makers need not lie on the grid."""

    key: tuple[str, str, int]
    """Transaction, token, which of the fills of both."""
    wallet: str
    token_id: str
    condition_id: str
    side: Action
    size_e6: int
    price_e6: int
    trade_ns: int
    outcome_index: int
    """-1: none."""


class Leader(NamedTuple):
    """A wallet of the leaderboard. Amounts in base units of cash; None where it says nothing."""

    rank: int
    wallet: str
    profit_e6: int | None
    volume_e6: int | None


class Holder(NamedTuple):
    """How much of a token a wallet holds."""

    token_id: str
    wallet: str
    size_e6: int


class WalletsPage(NamedTuple, Generic[Row]):
    """Rows, what was wrong with others, and where to go on ("" at the end)."""

    rows: list[Row]
    rejected: list[str]
    next_cursor: str


class _PaginationWire(msgspec.Struct, gc=False):
    has_more: bool = False
    next_cursor: str | None = None


class _PageWire(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    pagination: _PaginationWire = msgspec.field(default_factory=_PaginationWire)


class _TradeWire(msgspec.Struct, gc=False):
    proxy_wallet: str
    token_id: str
    condition_id: str
    side: str
    size: Number
    price: Number
    timestamp: int | str
    transaction_hash: str
    outcome_index: int = _NO_OUTCOME


class _OldTradeWire(msgspec.Struct, gc=False, rename={"token_id": "asset", **_OLD_NAMES}):
    """A row of the first version's ``/trades``, which answers a bare list."""

    proxy_wallet: str
    token_id: str
    condition_id: str
    side: str
    size: Number
    price: Number
    timestamp: int | str
    transaction_hash: str
    outcome_index: int = _NO_OUTCOME


class _LeaderWire(msgspec.Struct, gc=False):
    rank: int | str
    user_id: str
    pnl: Number | None = None
    volume: Number | None = None


class _HolderWire(msgspec.Struct, gc=False):
    proxy_wallet: str
    amount: Number


class _HoldersWire(msgspec.Struct, gc=False):
    token_id: str
    holders: list[_HolderWire]


_decode_page: Final = msgspec.json.Decoder(_PageWire).decode
_decode_trade: Final = msgspec.json.Decoder(_TradeWire).decode
_decode_old_trade: Final = msgspec.json.Decoder(_OldTradeWire).decode
_decode_old_page: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_leader: Final = msgspec.json.Decoder(_LeaderWire).decode
_decode_holders: Final = msgspec.json.Decoder(_HoldersWire).decode


def wallet_trades_path(
    wallet: str = "",
    *,
    condition_ids: Sequence[str] = (),
    cash_min: int = 0,
    taker_only: bool = True,
    start_s: int = 0,
    limit: int = LIMIT_MAX,
    cursor: str = "",
) -> str:
    """Return the path of a page of trades: of one wallet, or all above an amount of dollars."""
    if len(condition_ids) > IDS_MAX:
        raise LocalProtocolError(f"{len(condition_ids)} condition ids, allowed: {IDS_MAX}")
    query: dict[str, str | int] = {"limit": _limit(limit)}
    if wallet:
        query["user"] = _address(wallet)
    if condition_ids:
        query["condition_id"] = ",".join(condition_ids)
    if cash_min:
        query |= {"filter_type": "CASH", "filter_amount": cash_min}
    query["taker_only"] = "true" if taker_only else "false"
    if start_s:
        query["start"] = start_s
    return _path("/v2/trades", query, cursor)


def leaders_path(
    *, period: str = "week", sort_by: str = "PNL", limit: int = 50, cursor: str = ""
) -> str:
    """Return the path of a page of the leaderboard."""
    if period not in {"day", "week", "month", "all"} or sort_by not in {"PNL", "VOLUME"}:
        raise LocalProtocolError(
            f"leaderboard of {period!r} by {sort_by!r}, allowed: day, week, month, all; PNL, VOLUME"
        )
    query: dict[str, str | int] = {"time_period": period, "sort_by": sort_by}
    return _path("/v2/leaderboard", query | {"limit": _limit(limit)}, cursor)


def holders_path(condition_ids: Sequence[str], *, limit: int = LIMIT_MAX, cursor: str = "") -> str:
    """Return the path of a page of holders."""
    if not 0 < len(condition_ids) <= IDS_MAX:
        raise LocalProtocolError(f"{len(condition_ids)} condition ids, allowed: 1 to {IDS_MAX}")
    query: dict[str, str | int] = {"condition_id": ",".join(condition_ids), "limit": _limit(limit)}
    return _path("/v2/holders", query, cursor)


def decode_wallet_trades(
    payload: Payload, seen: Counter[tuple[str, str]] | None = None
) -> WalletsPage[WalletTrade]:
    """Read a page of trades, of version 2 or the first; RemoteProtocolError when it is none.

    ``seen`` carries the count of fills from one page of a listing to the next.
    """
    is_old = bytes(payload[:64]).lstrip()[:1] == b"["
    raws, following = _page("/v2/trades", payload, is_old=is_old)
    decode: Callable[[msgspec.Raw], _TradeWire | _OldTradeWire]
    decode = _decode_old_trade if is_old else _decode_trade
    rows: list[WalletTrade] = []
    rejected: list[str] = []
    counted: Counter[tuple[str, str]] = Counter() if seen is None else seen
    for raw in raws:
        try:
            row = _trade(decode(raw), counted)
        except (*BAD_JSON, RemoteProtocolError) as error:
            rejected.append(str(malformed("/v2/trades row", bytes(raw), error)))
            continue
        rows.append(row)
    return WalletsPage(rows, rejected, following)


def decode_leaders(payload: Payload) -> WalletsPage[Leader]:
    """Read a page of the leaderboard; raises RemoteProtocolError when it is none."""
    raws, following = _page("/v2/leaderboard", payload)
    rows: list[Leader] = []
    rejected: list[str] = []
    for raw in raws:
        try:
            rows.append(_leader(_decode_leader(raw)))
        except (*BAD_JSON, RemoteProtocolError) as error:
            rejected.append(str(malformed("/v2/leaderboard row", bytes(raw), error)))
    return WalletsPage(rows, rejected, following)


def decode_holders(payload: Payload) -> WalletsPage[Holder]:
    """Read a page of holders; raises RemoteProtocolError when it is none."""
    raws, following = _page("/v2/holders", payload)
    rows: list[Holder] = []
    rejected: list[str] = []
    for raw in raws:
        try:
            wire = _decode_holders(raw)
            token = _token(wire.token_id)
            rows += [Holder(token, _wallet(h.proxy_wallet), _e6(h.amount)) for h in wire.holders]
        except (*BAD_JSON, RemoteProtocolError) as error:
            rejected.append(str(malformed("/v2/holders row", bytes(raw), error)))
    return WalletsPage(rows, rejected, following)


# ------------------------------------------------------------------------------- pieces
def _page(what: str, payload: Payload, *, is_old: bool = False) -> tuple[list[msgspec.Raw], str]:
    try:
        if is_old:
            return _decode_old_page(payload), ""
        wire = _decode_page(payload)
    except BAD_JSON as error:
        raise malformed(what, payload, error) from error
    more = wire.pagination
    if more.has_more and not more.next_cursor:
        raise malformed(what, payload, "more rows, but no cursor to them")
    return wire.data, (more.next_cursor or "") if more.has_more else ""


def _trade(wire: _TradeWire | _OldTradeWire, seen: Counter[tuple[str, str]]) -> WalletTrade:
    side = {"BUY": Action.BUY, "SELL": Action.SELL}.get(wire.side)
    if side is None:
        raise RemoteProtocolError(f"side {wire.side[:20]!r}, expected BUY or SELL")
    token = _token(wire.token_id)
    price_e6 = _e6(wire.price)
    if not 0 < price_e6 <= _E6:
        raise RemoteProtocolError(f"price {str(wire.price)[:20]!r} is outside 0 to 1")
    seconds = str(wire.timestamp)
    if not (seconds.isascii() and seconds.isdigit()):
        raise RemoteProtocolError(f"timestamp {seconds[:20]!r} is no number of seconds")
    at_s = int(seconds[:12])
    if not _SECONDS_MIN <= at_s < _SECONDS_MAX:
        raise RemoteProtocolError(f"timestamp {at_s} s is outside 2020 to 2100")
    name = (wire.transaction_hash, token)
    row = WalletTrade(
        (*name, seen[name]),
        _wallet(wire.proxy_wallet),
        token,
        wire.condition_id,
        side,
        _e6(wire.size),
        price_e6,
        at_s * _NS,
        wire.outcome_index if wire.outcome_index in {0, 1} else -1,
    )
    seen[name] += 1
    return row


def _leader(wire: _LeaderWire) -> Leader:
    rank = str(wire.rank)
    if not (rank.isascii() and rank.isdigit()) or not int(rank[:9]):
        raise RemoteProtocolError(f"rank {rank[:20]!r} is no number above 0")
    profit_e6 = None if wire.pnl in {None, ""} else _e6(wire.pnl, signed=True)
    volume_e6 = None if wire.volume in {None, ""} else _e6(wire.volume)
    return Leader(int(rank[:9]), _wallet(wire.user_id), profit_e6, volume_e6)


def _e6(value: Number | None, *, signed: bool = False) -> int:
    """Turn an amount into base units; further digits are cut off towards zero."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise RemoteProtocolError(f"amount {str(value)[:40]!r} is no number") from error
    # By its digits first: any arithmetic overflows on an exponent of a billion.
    if not amount.is_finite() or amount.adjusted() > _DIGITS_MAX or (amount < 0 and not signed):
        raise RemoteProtocolError(f"amount {str(value)[:40]!r} is out of bounds")
    return int(amount * _E6)


def _wallet(text: str) -> str:
    if len(text) != _ADDRESS_CHARS or not text.startswith("0x"):
        raise RemoteProtocolError(f"wallet {text[:50]!r} is no address")
    return text.lower()


def _token(text: str) -> str:
    if not (text.isascii() and text.isdigit()) or len(text) > 78:
        raise RemoteProtocolError(f"token {text[:90]!r} is no number")
    return text


def _address(wallet: str) -> str:
    if len(wallet) != _ADDRESS_CHARS or not wallet.startswith("0x"):
        raise LocalProtocolError(f"wallet was {wallet[:50]!r}, expected 0x and 40 hex digits")
    return wallet


def _limit(limit: int) -> int:
    if not 0 < limit <= LIMIT_MAX:
        raise LocalProtocolError(f"limit was {limit}, allowed: 1 to {LIMIT_MAX}")
    return limit


def _path(path: str, query: dict[str, str | int], cursor: str) -> str:
    if cursor:
        query["cursor"] = cursor
    return f"{path}?{urlencode(query)}"
