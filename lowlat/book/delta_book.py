"""Keep the Kalshi books of one subscription from its numbered snapshots and deltas.

A pure state machine: the feed passes every numbered message of a subscription (``sid``) in order
of arrival and asks the venue for snapshots of ``missing``. One counter numbers all markets of the
sid, from 1; answers (``ok``, ``unsubscribed``, ``error``) consume numbers too. After a gap every
market of the sid is unknown until its next snapshot. Source: feeds.md 2.6.
"""

from collections.abc import Iterable
from typing import Any, Final

from lowlat.book._book import MarketBook
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action, Outcome

__all__ = ["GAP", "DeltaBooks"]

GAP: Final = -1
"""Numbers were skipped: every book of the subscription was emptied and is STALE."""


class DeltaBooks:
    """The books of one subscription. Written by their feed only.

    ``use_yes_price`` is what the subscription asked for: False means that NO levels carry NO
    prices. Methods return the sides changed in YES terms (as MarketBook.change) or GAP.
    """

    __slots__ = ("_books", "_yes_prices", "duplicates", "gaps", "missing", "seq", "strangers")

    def __init__(self, *, use_yes_price: bool) -> None:
        self._books: dict[str, MarketBook] = {}
        self._yes_prices = use_yes_price
        self.seq = 0
        self.missing: set[str] = set()
        """Tickers whose book waits for a snapshot."""
        self.gaps = 0
        self.duplicates = 0
        self.strangers = 0
        """Messages for tickers that are not (or no longer) ours."""

    def add(self, ticker: str, book: MarketBook) -> None:
        """Take a market in; it waits for its snapshot."""
        assert ticker not in self._books, f"ticker {ticker} was added twice"
        book.clear()
        self._books[ticker] = book
        self.missing.add(ticker)

    def remove(self, ticker: str) -> None:
        """Let a market go; messages still under way count as strangers."""
        self._books.pop(ticker).clear()
        self.missing.discard(ticker)

    def restart(self) -> None:
        """Begin a new subscription: numbers start at 1 and every book is unknown."""
        self.seq = 0
        self._lose()

    def number(self, seq: int) -> int:
        """Consume the number of a message without levels; return 0 or GAP."""
        _, gap = self._next(seq)
        return gap

    def snapshot(self, seq: int, ticker: str, yes: Iterable[Any], no: Iterable[Any]) -> int:
        """Replace a market's book; a side absent from the message is passed as ().

        A bad level leaves that market empty and missing, and raises RemoteProtocolError.
        """
        fresh, gap = self._next(seq)
        book = self._find(ticker) if fresh else None
        if book is None:
            return gap
        self.missing.add(ticker)
        sides = book.load(Outcome.YES, yes, no) if self._yes_prices else book.load_bids(yes, no)
        self.missing.discard(ticker)
        return gap or sides

    def delta(self, seq: int, ticker: str, side: str, price: str, delta: str) -> int:
        """Change one level by a signed amount; ignored while the market waits for a snapshot.

        A bad delta leaves that market empty and missing, and raises RemoteProtocolError.
        """
        fresh, gap = self._next(seq)
        book = self._find(ticker) if fresh else None
        if book is None or ticker in self.missing:
            return gap
        try:
            return self._change(book, side, price, delta)
        except RemoteProtocolError:
            # The venue's book moved and ours cannot follow.
            book.clear()
            self.missing.add(ticker)
            raise

    def _change(self, book: MarketBook, side: str, price: str, delta: str) -> int:
        if side == "yes":
            return book.delta(Outcome.YES, Action.BUY, price, delta)
        if side != "no":
            raise RemoteProtocolError(f"side was {side!r}, expected 'yes' or 'no'")
        if self._yes_prices:
            return book.delta(Outcome.YES, Action.SELL, price, delta)
        return book.delta(Outcome.NO, Action.BUY, price, delta)

    def _find(self, ticker: str) -> MarketBook | None:
        book = self._books.get(ticker)
        if book is None:
            self.strangers += 1
        return book

    def _next(self, seq: int) -> tuple[bool, int]:
        """Return whether the message is new, and GAP when others are missing before it."""
        if type(seq) is not int or seq < 1:
            raise RemoteProtocolError(f"seq was {seq!r}, expected an integer from 1")
        if seq <= self.seq:
            self.duplicates += 1
            return False, 0
        gap = seq != self.seq + 1
        self.seq = seq
        if not gap:
            return True, 0
        self.gaps += 1
        self._lose()
        return True, GAP

    def _lose(self) -> None:
        for book in self._books.values():
            book.clear()
        self.missing.update(self._books)
