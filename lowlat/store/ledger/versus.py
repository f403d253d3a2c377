"""Does the ledger agree with the venue? Cash, tokens, open orders and trades, side by side.

The venue moves balances when a trade is mined, we book it when it is matched. A balance may
therefore lie anywhere between both readings of the fills that are still in settlement, and only
there; without such fills the numbers must be equal. An order that no row of ours knows was a
person's, on the same wallet: it is listed, not counted as a difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from lowlat.core.errors import LedgerError
from lowlat.core.layout import Action, OrderState
from lowlat.store.ledger.audit import Difference, audit_of
from lowlat.store.ledger.database import said
from lowlat.store.ledger.schema import CASH, FILLS, LIVES, LOTS, ORDERS, POSITIONS
from lowlat.store.ledger.words import hex_id, trade_name
from lowlat.venues.polymarket.account import NO_SIZE_E6, OrderUpdate, TradeStatus, TradeUpdate

__all__ = ["Books", "Compared", "VenuePicture", "compare", "read_books"]

VENUE: Final = "venue"
_OPEN: Final = tuple(
    state.name
    for state in (OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN)
)
_RANKS: Final = {
    TradeStatus.MATCHED: 0,
    TradeStatus.MATCHED_NOT_BROADCASTED: 0,
    TradeStatus.RETRYING: 0,
    TradeStatus.MINED: 1,
    TradeStatus.CONFIRMED: 2,
    TradeStatus.FAILED: 3,
}
_STATES: Final = ("MATCHED", "MINED", "CONFIRMED", "FAILED")


class Row(NamedTuple):
    """One fill of ours, as far as it is compared."""

    token_id: str
    action: int
    state: str
    size_e6: int
    cash_e6: int
    fee_e6: int
    wall_ms: int


@dataclass(slots=True)
class Books:
    """What the ledger says, read in one transaction, and where it contradicts itself."""

    cash_e6: int | None
    positions_e6: dict[str, int]
    open_orders: dict[str, tuple[str, int]]
    """Order id to state and filled shares."""
    fills: dict[tuple[str, str], Row]
    known_orders: set[str]
    since_ms: int
    """When the ledger began: the venue knows older things that it cannot."""
    differences: list[Difference]

    @property
    def tokens(self) -> set[str]:
        """Every token that the ledger has an opinion on."""
        return set(self.positions_e6) | {row.token_id for row in self.fills.values()}


@dataclass(slots=True)
class VenuePicture:
    """What the venue said, all of it asked after one another."""

    cash_e6: int
    balances_e6: dict[str, int]
    orders: list[OrderUpdate]
    trades: list[TradeUpdate]


@dataclass(slots=True)
class Compared:
    """Both sides, compared."""

    differences: list[Difference] = field(default_factory=list)
    human: list[tuple[str, str, int]] = field(default_factory=list)
    """Trade id, token and shares of fills whose order we never sent."""
    human_orders: list[str] = field(default_factory=list)
    settling: int = 0
    """Fills that are matched and not mined yet."""
    orders: int = 0
    trades: int = 0
    tokens: int = 0


def read_books(engine: Engine) -> Books:
    """Read everything that is compared. Raises LedgerError."""
    try:
        with engine.connect() as connection:
            return _read(connection)
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {said(error)}") from error


def _read(connection: Connection) -> Books:
    cash = connection.execute(select(CASH.c.cash_e6)).scalar()
    positions = connection.execute(select(POSITIONS.c.token_id, POSITIONS.c.size_e6)).tuples()
    lots = connection.execute(
        select(LOTS.c.token_id, func.sum(LOTS.c.left_e6))
        .where(LOTS.c.left_e6 > 0)
        .group_by(LOTS.c.token_id)
    ).tuples()
    opened = connection.execute(
        select(ORDERS.c.order_id, ORDERS.c.state, ORDERS.c.filled_e6).where(
            ORDERS.c.state.in_(_OPEN)
        )
    )
    columns = (FILLS.c[name] for name in Row._fields)
    fills = connection.execute(select(FILLS.c.order_id, FILLS.c.trade_id, *columns))
    return Books(
        None if cash is None else int(cash),
        {token: 0 for token, _ in lots} | {token: int(size) for token, size in positions},
        {order: (state, filled) for order, state, filled in opened},
        {(order, trade): Row(*rest) for order, trade, *rest in fills},
        set(connection.execute(select(ORDERS.c.order_id)).scalars()),
        int(connection.execute(select(func.min(LIVES.c.first_wall_ms))).scalar() or 0),
        audit_of(connection),
    )


def compare(books: Books, venue: VenuePicture) -> Compared:
    """Put both sides next to each other."""
    found = Compared(
        list(books.differences),
        orders=len(books.open_orders),
        trades=len(books.fills),
        tokens=len(books.tokens | venue.balances_e6.keys()),
    )
    ranges = _ranges(books.fills.values())
    found.settling = sum(row.state == "MATCHED" for row in books.fills.values())
    if books.cash_e6 is None:
        found.differences.append(
            Difference("cash", "polymarket", "cash_e6", "no row", venue.cash_e6, VENUE)
        )
    else:
        found.differences += _outside(
            "cash", "polymarket", "cash_e6", books.cash_e6, ranges.cash_e6, venue.cash_e6
        )
    for token in sorted(books.positions_e6.keys() | venue.balances_e6.keys()):
        found.differences += _outside(
            "position",
            token,
            "size_e6",
            books.positions_e6.get(token, 0),
            ranges.tokens_e6[token],
            venue.balances_e6.get(token, 0),
        )
    _orders(books, venue.orders, found)
    _trades(books, venue.trades, found)
    return found


class _Ranges(NamedTuple):
    """How far below and above our number the venue's may be."""

    cash_e6: tuple[int, int]
    tokens_e6: dict[str, tuple[int, int]]


def _ranges(fills: Iterable[Row]) -> _Ranges:
    below, above = 0, 0
    tokens: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in fills:
        if row.state != "MATCHED":
            continue
        low, high = tokens[row.token_id]
        if row.action == Action.BUY:
            above += row.cash_e6 + row.fee_e6
            tokens[row.token_id] = (low + row.size_e6, high)
        else:
            below += row.cash_e6 - row.fee_e6
            tokens[row.token_id] = (low, high + row.size_e6)
    return _Ranges((below, above), tokens)


def _outside(
    kind: str, name: str, unit: str, ours: int, room: tuple[int, int], theirs: int
) -> Iterator[Difference]:
    if not ours - room[0] <= theirs <= ours + room[1]:
        yield Difference(kind, name, unit, ours, theirs, VENUE)


def _orders(books: Books, listed: Iterable[OrderUpdate], found: Compared) -> None:
    """Compare what rests."""
    rest = dict(books.open_orders)
    for order in listed:
        name = hex_id(order.order_id)
        ours = rest.pop(name, None)
        if ours is None and name not in books.known_orders:
            found.human_orders.append(name)
        elif ours is None:
            found.differences.append(
                Difference("open order", name, "state", "not open", order.status.name, VENUE)
            )
        elif order.matched_size_e6 not in (NO_SIZE_E6, ours[1]):
            found.differences.append(
                Difference("open order", name, "filled_e6", ours[1], order.matched_size_e6, VENUE)
            )
    for name, (state, _) in rest.items():
        found.differences.append(
            Difference("open order", name, "state", state, "not listed", VENUE)
        )


def _trades(books: Books, listed: Iterable[TradeUpdate], found: Compared) -> None:
    """Compare fills by trade and order, both ways."""
    rest = dict(books.fills)
    since_ns = books.since_ms * 1_000_000
    for trade in listed:
        for fill in trade.fills:
            order, name = hex_id(fill.order_id), trade_name(trade.trade_id)
            ours = rest.pop((order, name), None)
            if ours is not None:
                found.differences += _fill(f"{name} of {order}", ours, trade, fill.size_e6)
            elif order not in books.known_orders:
                found.human.append((name, str(fill.token_id), fill.size_e6))
            elif trade.match_ns >= since_ns and trade.status != TradeStatus.FAILED:
                found.differences.append(
                    Difference(
                        "trade", f"{name} of {order}", "size_e6", "not booked", fill.size_e6, VENUE
                    )
                )
    for (order, name), row in rest.items():
        if row.state != "FAILED":
            found.differences.append(
                Difference(
                    "trade", f"{name} of {order}", "size_e6", row.size_e6, "not listed", VENUE
                )
            )


def _fill(name: str, ours: Row, trade: TradeUpdate, size_e6: int) -> Iterator[Difference]:
    if ours.size_e6 != size_e6:
        yield Difference("trade", name, "size_e6", ours.size_e6, size_e6, VENUE)
    rank = _RANKS.get(trade.status)
    if rank is None or _STATES[rank] != ours.state:
        yield Difference("trade", name, "state", ours.state, trade.status_text, VENUE)
