"""Compare balances with the venue's word for them, and believe it where it says so twice.

Part of the reconciler. The venue caches balances, so a difference counts only when it is the same
twice in a row; on a first start, when nothing is known, its balances are the books.
"""

from collections.abc import Callable, Iterator
from typing import Final

from lowlat.core.layout import MarketStatus, ReportKind
from lowlat.execution.answers import VenueListener
from lowlat.execution.books import MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.unlisted import Unlisted

__all__ = ["CASH", "Balances"]

CASH: Final = 0
"""Where a token's number stands, cash has this."""
_ENDED: Final = frozenset({MarketStatus.CLOSED, MarketStatus.RESOLVED})


class Balances:
    """What the venue said of each balance in one round of questions, and what comes of it."""

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
        self._accounts = desk.accounts
        self._unlisted = unlisted
        self._listener = listener
        self._markets = markets
        self._name = name
        self._differed: dict[int, int] = {}
        self.told: dict[int, int] = {}
        """Balance by token number, as far as this round has got."""

    def ours(self) -> Iterator[int]:
        """Return the numbers of the tokens that are held, or that were."""
        for held in self._accounts.positions.values():
            if held.size_e6 or held.bought_e6:
                yield int.from_bytes(held.token_id, "big")

    def ended(self) -> list[int]:
        """Return the tokens held whose market is over: they are paid out, and nobody tells us."""
        found = []
        for held in self._accounts.positions.values():
            row = self._markets.market(held.instrument >> 1) if held.size_e6 else None
            if held.size_e6 and (row is None or row.status in _ENDED):
                found.append(int.from_bytes(held.token_id, "big"))
        return found

    def held(self) -> list[bytes]:
        """Return the tokens of which the venue says that we hold some."""
        return [
            number.to_bytes(32, "big")
            for number, balance_e6 in self.told.items()
            if number != CASH and balance_e6
        ]

    def believe(self, now_ns: int, *, at_once: bool) -> None:
        """Correct our books where the venue differs, the second time in a row that it does.

        ``at_once``: there are no books yet, the first word is taken.
        """
        differed: dict[int, int] = {}
        by_token = {held.token_id: held for held in self._accounts.positions.values()}
        for number, balance_e6 in self.told.items():
            token_id = number.to_bytes(32, "big")
            if number == CASH:
                ours_e6 = self._accounts.cash_e6
            else:
                held = by_token.get(token_id)
                ours_e6 = 0 if held is None else held.size_e6
            if balance_e6 == ours_e6:
                continue
            if not at_once and self._differed.get(number) != balance_e6:
                differed[number] = balance_e6
            elif number == CASH:
                self._correct_cash(balance_e6, now_ns)
            else:
                self._correct_shares(token_id, balance_e6, now_ns)
        # Of balances that were not asked for this time, the last word stands.
        kept = {each: e6 for each, e6 in self._differed.items() if each not in self.told}
        self._differed = kept | differed
        if differed:
            self._listener.in_doubt = True
        self._accounts.reconciled_ns = now_ns
        self._accounts.write_cash()

    def _correct_cash(self, balance_e6: int, now_ns: int) -> None:
        change_e6 = self._accounts.correct_cash(balance_e6, now_ns)
        self._desk.reports.say(ReportKind.RECONCILED, now_ns, amounts=(0, change_e6, 0))

    def _correct_shares(self, token_id: bytes, balance_e6: int, now_ns: int) -> None:
        place = self._unlisted.place(token_id, now_ns)
        if place is None:
            return
        instrument, generation = place
        if not generation:
            # Of a market that nobody lists: known and counted, and not ours to trade.
            self._name("unlisted", str(int.from_bytes(token_id, "big")), now_ns)
        change_e6 = self._accounts.correct_position(instrument, generation, token_id, balance_e6)
        self._desk.reports.say(
            ReportKind.RECONCILED,
            now_ns,
            instrument=instrument,
            generation=generation,
            amounts=(change_e6, 0, 0),
        )
