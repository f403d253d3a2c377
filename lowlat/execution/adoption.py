"""Take the account over from the journal after a reboot, and what the journal never heard of.

Part of the reconciler. Orders and positions are put under this boot's rows by their tokens; a token
whose market has no row gets one of its own (unlisted.py). A fill of an order that nobody wrote down
before the machine went down becomes an order of ours again.
"""

from collections.abc import Callable, Iterable

from lowlat.book.fees import schedule_of
from lowlat.core.layout import OrderRow, OrderState, OrderType
from lowlat.core.recovered import Recovered
from lowlat.execution.answers import VenueListener
from lowlat.execution.books import MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.orders import Order, blank_row
from lowlat.execution.unlisted import Unlisted
from lowlat.venues.polymarket.account import Fill, TradeUpdate

__all__ = ["Adoption"]

_BEFORE_MS = 60_000
"""What happened so long before the journal's last entry may be missing there too."""


class Adoption:
    """The journal's picture, and what came after it."""

    def __init__(
        self,
        desk: OrderDesk,
        unlisted: Unlisted,
        listener: VenueListener,
        markets: MarketReader,
        name: Callable[[str, str, int], None],
    ) -> None:
        """``name(resolution, what, now_ns)`` reports, once a life, what no amount tells."""
        self._desk = desk
        self._unlisted = unlisted
        self._listener = listener
        self._markets = markets
        self._name = name
        self.recovered: Recovered | None = None
        """What the journal says, until the account is known."""

    # --------------------------------------------------------------------------- the journal
    def has_markets(self, recovered: Recovered) -> bool:
        """Ask for the markets of what the journal knows; True once all of them have a row."""
        wanted = [each.token_id for each in recovered.positions if each.size_e6]
        wanted += [each.token_id for each in recovered.orders]
        return self._unlisted.ask(wanted)

    def load(self, recovered: Recovered, now_ns: int) -> list[Order]:
        """Put orders and positions back under this boot's rows and ids."""
        accounts = self._desk.accounts
        assert recovered.cash is not None, "a journal without cash knows no orders either"
        accounts.cash_e6 = recovered.cash.cash_e6
        accounts.fees_e6 = recovered.cash.fees_e6
        accounts.realized_e6 = recovered.cash.realized_e6
        listed = self._markets.instruments.by_token
        for row in recovered.positions:
            number = str(int.from_bytes(row.token_id, "big"))
            if not row.size_e6 and number not in listed:
                # A market that is gone, and nothing of it held.
                continue
            place = self._unlisted.place(row.token_id, now_ns)
            if place is None:
                continue
            if not place[1]:
                self._name("unlisted", number, now_ns)
            accounts.put_position(row._replace(instrument=place[0], generation=place[1]))
        return [order for old in recovered.orders if (order := self._order(old, now_ns))]

    def _order(self, old: OrderRow, now_ns: int) -> Order | None:
        """Give an order of an earlier boot a row; ids of then may be given again in this one."""
        place = self._unlisted.place(old.token_id, now_ns)
        index = self._desk.take_row() if place is not None else -1
        if place is None or index < 0:
            self._listener.in_doubt = True
            self._name("left out", "0x" + old.order_id.hex(), now_ns)
            return None
        fields = old._replace(
            id=self._desk.new_id(),
            instrument=place[0],
            generation=place[1],
            sent_ns=0,
            acked_ns=0,
            filled_ns=0,
            reserved_e6=0,
        )
        order = Order(index, fields)
        self._desk.accounts.write_order(order)
        return order

    # --------------------------------------------------------------------------- after it
    def _is_news(self, trade: TradeUpdate, fill: Fill) -> bool:
        """Whether the journal never heard of a fill: the machine went down before it could."""
        recovered = self.recovered
        if recovered is None:
            return False
        desk = self._desk
        if fill.order_id in desk.by_order_id or desk.strangers.is_over(fill.order_id):
            return False
        return trade.match_ns >= (recovered.last_wall_ms - _BEFORE_MS) * 1_000_000

    def has_markets_of_news(self, trades: Iterable[TradeUpdate]) -> bool:
        """Ask for the markets of fills that nobody heard of; True once all of them have a row."""
        tokens = [
            fill.token_id.to_bytes(32, "big")
            for trade in trades
            for fill in trade.fills
            if self._is_news(trade, fill)
        ]
        return not tokens or self._unlisted.ask(tokens)

    def adopt(self, trade: TradeUpdate, fill: Fill, now_ns: int) -> Order | None:
        """Make an order of a fill that the journal never heard of; None when it is not news."""
        if not self._is_news(trade, fill):
            return None
        token_id = fill.token_id.to_bytes(32, "big")
        place = self._unlisted.place(token_id, now_ns)
        index = self._desk.take_row() if place is not None else -1
        if place is None or index < 0:
            self._listener.in_doubt = True
            return None
        self._desk.strangers.meet(fill.order_id)
        maker_e6 = fill.cash_e6 if fill.action == 0 else fill.size_e6
        taker_e6 = fill.size_e6 if fill.action == 0 else fill.cash_e6
        adopted = blank_row()._replace(
            id=self._desk.new_id(),
            order_id=fill.order_id,
            token_id=token_id,
            size_e6=fill.size_e6,
            maker_amount_e6=maker_e6,
            taker_amount_e6=taker_e6,
            price_e4=fill.price_e4,
            instrument=place[0],
            generation=place[1],
            state=int(OrderState.UNKNOWN),
            action=int(fill.action),
            order_type=int(OrderType.FAK),
            legs=1,
            created_wall_ms=max(0, trade.match_ns // 1_000_000),
        )
        order = Order(index, adopted)
        row = self._markets.market(order.market)
        order.fees = schedule_of(row) if row is not None else None
        self._desk.add(order)
        self._desk.accounts.write_order(order)
        if not place[1]:
            self._name("unlisted", str(fill.token_id), now_ns)
        self._name("adopted", "0x" + fill.order_id.hex(), now_ns)
        return order
