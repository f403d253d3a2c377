"""Tokens of ours whose market has no row: it ended before a reboot, or is not listed again yet.

Owned by the executor. Such a token keeps a position row of its own (accounts.py): its shares stay
known, are counted by risk and compared with the venue's balance, and nothing can be sent for them.
The row is also the question: the metadata engine reads it and asks the venue for the market, ended
or not. Once that has a row, the token moves there. An order that rests where we see no book is
canceled (reconcile.py). Source: design 7 (what is held is never evicted).
"""

from collections.abc import Callable, Iterable
from typing import Final

from lowlat.book.fees import schedule_of
from lowlat.core.instruments import Instrument, token_text
from lowlat.core.layout import ReportKind
from lowlat.execution.books import MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.groups import GroupDesk
from lowlat.execution.orders import Order

__all__ = ["Unlisted"]

_SWEEP_ROWS: Final = 64
"""Market rows that one turn looks at while tokens wait."""
_TEXT_BYTES: Final = 40


class Unlisted:
    """Finds rows for tokens, and moves them as their markets come."""

    def __init__(
        self,
        desk: OrderDesk,
        groups: GroupDesk,
        markets: MarketReader,
        halt: Callable[[str, int], None],
    ) -> None:
        """``halt(reason, now_ns)`` stops new orders: not all that is held has a place."""
        self._desk = desk
        self._accounts = desk.accounts
        self._groups = groups
        self._markets = markets
        self._halt = halt

    def place(self, token_id: bytes, now_ns: int) -> tuple[int, int] | None:
        """Return row and generation of a token, its market's or one of its own; None: none left."""
        token = self._listed(token_id)
        if token is not None:
            return token.index, token.generation
        row = self._accounts.keep_unlisted(token_id)
        if row < 0:
            self._halt(f"over {len(self._accounts.unlisted_rows)} tokens without a market", now_ns)
            return None
        return row, 0

    def ask(self, token_ids: Iterable[bytes]) -> bool:
        """Ask for the markets of tokens; True once all of them have a row."""
        self._markets.sweep()
        accounts = self._accounts
        for token_id, row in list(accounts.unlisted.items()):
            if self._listed(token_id) is not None and not accounts.positions[row].size_e6:
                # Its question is answered: the row is for another's.
                accounts.forget_unlisted(token_id)
        missing = [each for each in token_ids if self._listed(each) is None]
        for token_id in missing:
            # What finds no row now is asked for once another was answered.
            accounts.keep_unlisted(token_id)
        return not missing

    def is_without_market(self, order: Order) -> bool:
        """Whether the order's market has no row, so that nothing is known of its book."""
        return order.instrument in self._accounts.unlisted_rows

    def turn(self, now_ns: int) -> int:
        """Move what was listed, forget what is not held any more; cheap while nothing waits."""
        if not self._accounts.unlisted:
            return 0
        self._markets.sweep_some(_SWEEP_ROWS)
        return sum(self._settle(*each, now_ns) for each in list(self._accounts.unlisted.items()))

    def _settle(self, token_id: bytes, row: int, now_ns: int) -> int:
        token = self._listed(token_id)
        orders = [each for each in self._desk.by_id.values() if each.instrument == row]
        if any(each.open for each in orders):
            # It is being canceled; to check others against it, its own row has to be found.
            return 0
        if token is None:
            under_way = any(not each.done or each.group in self._groups.active for each in orders)
            if under_way or self._accounts.positions[row].size_e6:
                return 0
            for order in orders:
                self._desk.drop(order)
            self._accounts.forget_unlisted(token_id)
            return 1
        self._move(token_id, row, token, orders)
        text = f"listed {token.token_id}".encode("ascii")[:_TEXT_BYTES]
        self._desk.reports.say(
            ReportKind.RECONCILED,
            now_ns,
            instrument=token.index,
            generation=token.generation,
            text=text,
        )
        return 1

    def _move(self, token_id: bytes, row: int, token: Instrument, orders: list[Order]) -> None:
        market = self._markets.market(token.market)
        self._accounts.list_token(token_id, token.index, token.generation)
        for order in orders:
            order.instrument, order.generation = token.index, token.generation
            order.fees = schedule_of(market) if market is not None else None
            self._accounts.write_order(order)
        self._groups.book.relist(row, token.index, token.generation)

    def _listed(self, token_id: bytes) -> Instrument | None:
        return self._markets.instruments.by_token.get(token_text(token_id))
