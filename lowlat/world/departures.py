"""What must hold of an order at the moment its bytes leave.

Read from the tables of the boot it leaves in; what left in earlier boots is remembered.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from lowlat.core.layout import (
    BOOK_ROW,
    MARKET_ROW,
    SHARD_ROW,
    Action,
    IntentFlag,
    MarketRow,
    OrderRow,
    OrderState,
    OrderType,
)
from lowlat.core.units import ONE_E4
from lowlat.risk.limits import LimitsParams
from lowlat.sim.wire import Request
from lowlat.world.limits import Account, excess
from lowlat.world.losses import Losses
from lowlat.world.memory import Memory
from lowlat.world.rows import Rows, Violation

__all__ = ["Departures"]

_MAY_FILL: Final = frozenset(
    {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
)
_IMMEDIATE: Final = frozenset({OrderType.FOK, OrderType.FAK})


class _Posted(msgspec.Struct, gc=False):
    salt: int
    tokenId: str  # noqa: N815 - the venue's spelling
    signature: str


class _Post(msgspec.Struct, gc=False):
    order: _Posted


_decode_one: Final = msgspec.json.Decoder(_Post).decode
_decode_many: Final = msgspec.json.Decoder(list[_Post]).decode


class Departures:
    """Looks at every order that leaves."""

    def __init__(self, allowed: LimitsParams, bankroll_e6: int, wall_ns: Callable[[], int]) -> None:
        """``bankroll_e6``: the most it can be; limits are shares of it."""
        self.losses = Losses(allowed, bankroll_e6)
        self._bankroll_e6 = bankroll_e6
        self._wall_ns = wall_ns
        self.market_open: Callable[[], bool] = lambda: False
        """Whether the process has an open market socket."""
        self.known: set[str] = set()
        """Venue's ids of every order that left."""
        self._posted: set[int] = set()

    @property
    def limits(self) -> LimitsParams:
        """In force; whoever reloads them says so here."""
        return self.losses.limits

    @limits.setter
    def limits(self, limits: LimitsParams) -> None:
        self.losses.limits = limits

    def attach(self, memory: Memory, orders: Rows, positions: Rows) -> None:
        """Look at the tables of a new boot."""
        self.losses.attach(memory)
        self._orders = orders
        self._positions = positions
        self._books = memory.open_table_reader("book")
        self._shards = memory.open_table_reader("shard")
        self._markets = memory.open_table_reader("markets")
        self._market_rows: dict[int, tuple[int, MarketRow]] = {}

    def leave(self, request: Request, *, urgent: bool) -> Iterator[OrderRow]:
        """Look at every order of a request whose bytes leave now; yield its row."""
        if request.method != "POST" or request.path not in {"/order", "/orders"}:
            return
        one = request.path == "/order"
        posts = [_decode_one(request.body)] if one else _decode_many(request.body)
        rows = self._sending()
        for post in posts:
            yield self._look_at(post.order, rows, urgent=urgent)

    def _look_at(self, order: _Posted, rows: dict[int, OrderRow], *, urgent: bool) -> OrderRow:
        if order.salt in self._posted:
            raise Violation(f"order with salt {order.salt} was sent twice")
        self._posted.add(order.salt)
        row = rows.get(order.salt)
        if row is None:
            raise Violation(f"order with salt {order.salt} left before its row was written")
        self.known.add("0x" + row.order_id.hex())
        if not self.market_open():
            raise Violation("an order was sent while no market socket was open")
        account = Account(
            self._orders.read(),
            self._positions.read(),
            self._market,
            self._wall_ns(),
            self._bankroll_e6,
        )
        over = excess(row, account, self.limits) or self.losses.excess(row, account.orders)
        if over:
            raise Violation(f"over a limit: {over}")
        self._look_at_cross(row)
        if not row.order_flags & IntentFlag.UNWIND and not urgent:
            raise Violation(f"a new order left past the halt gate: row {row}")
        if self._books.read(row.instrument >> 1) <= 0:
            raise Violation(f"an order was sent in market {row.instrument >> 1} without a book")
        book = BOOK_ROW.unpack(self._books.buffer)
        alive = self._shards.read(book.shard) > 0
        shard = SHARD_ROW.unpack(self._shards.buffer)
        generation = shard.connection_generation
        if not (alive and shard.alive) or generation != book.connection_generation:
            raise Violation(
                f"an order was sent on a stale book: market {book.market} of generation "
                f"{book.connection_generation}, its shard {generation} alive={shard.alive}"
            )
        return row

    def _market(self, market: int) -> MarketRow | None:
        """Return a market's row, unpacked once a version."""
        version = self._markets.version(market)
        known = self._market_rows.get(market)
        if known is None or known[0] != version:
            if self._markets.read(market) <= 0:
                return None
            known = self._market_rows[market] = version, MARKET_ROW.unpack(self._markets.buffer)
        return known[1]

    def _look_at_cross(self, row: OrderRow) -> None:
        """Look that it meets none of our own that rest or may: both sides in terms of YES.

        Two that never rest can not meet, whichever comes first.
        """
        price_e4, is_bid = _in_yes(row.price_e4, row.instrument & 1, row.action)
        for other in self._orders.read():
            if other.state not in _MAY_FILL or other.instrument >> 1 != row.instrument >> 1:
                continue
            if row.order_type in _IMMEDIATE and other.order_type in _IMMEDIATE:
                continue
            theirs_e4, theirs_bid = _in_yes(other.price_e4, other.instrument & 1, other.action)
            if is_bid == theirs_bid:
                continue
            if price_e4 >= theirs_e4 if is_bid else price_e4 <= theirs_e4:
                raise Violation(f"order {row.id:#x} crosses our own order {other.id:#x}")

    def _sending(self) -> dict[int, OrderRow]:
        rows = {}
        for row in self._orders.read():
            if row.state == OrderState.SENDING:
                rows[row.salt] = row
        return rows


def _in_yes(price_e4: int, outcome: int, action: int) -> tuple[int, bool]:
    """Return an order's price in terms of YES and whether it is a bid there."""
    if outcome:
        return ONE_E4 - price_e4, action != Action.BUY
    return price_e4, action == Action.BUY
