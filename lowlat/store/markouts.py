"""What fills were worth a second, ten and sixty seconds later, by the age of their decision.

Run by the recorder, away from everybody who trades: it reads the executor's reports and the books
along, and adds to counters, which ``lowlat why`` shows. A taking order's age is the time from the
message that caused it to the write: what a maker who saw the same message had to move first. A fill
that gains at a low age and loses at a high one says that others are faster. Source: feeds.md 6.2.

The mark is the mid of a two-sided book that is not stale; without one the fill counts as not
marked. Money is whole units (1e-6 dollar), fees left out: they are known when an order leaves.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from lowlat.core.layout import (
    BOOK_ROW,
    ORDER_ROW,
    REPORT,
    Action,
    BookFlag,
    OrderType,
    ReportKind,
    ReportRecord,
)
from lowlat.core.ports import EMPTY, OVERRUN, Cell, StreamReader, TableReader
from lowlat.core.units import ONE_E4

__all__ = ["AFTER_S", "AGES_NS", "OTHERS", "MarkoutEngine", "markout_name"]

AFTER_S: Final = (1, 10, 60)
AGES_NS: Final = (200_000, 1_000_000, 10_000_000, 2**63)
_S_NS: Final = 1_000_000_000
_DUE_MAX: Final = 4_096
"""Fills that wait for their marks; more within a minute than anybody's rate limit allows."""
_A_TURN: Final = 256
_MODULES_MAX: Final = 7
"""Modules with counters of their own, four words each of 12; the rest counts as OTHERS."""
OTHERS: Final = "others"
_TAKING: Final = frozenset({OrderType.FAK, OrderType.FOK})
_UNMARKED: Final = BookFlag.STALE | BookFlag.CROSSED | BookFlag.DIVERGED


class _Due(NamedTuple):
    at_ns: int
    instrument: int
    generation: int
    price_e4: int
    size_e6: int
    buys: bool
    prefix: str
    """Of its counters."""


def markout_name(module: str, after_s: int, age_ns: int) -> str:
    """Return what counters of a module's fills begin with; ``age_ns`` is one of AGES_NS."""
    return f"markout.{module}.{after_s}s.{AGES_NS.index(age_ns)}"


class MarkoutEngine:
    """Follows the fills of taking orders and marks each three times."""

    name: Final = "markouts"

    def __init__(
        self,
        reports: StreamReader,
        orders: TableReader,
        books: TableReader,
        cell: Callable[[str], Cell],
    ) -> None:
        self._reports = reports
        self._orders = orders
        self._books = books
        self._cell = cell
        self._cells: dict[str, Cell] = {}
        self._modules: dict[bytes, str] = {}
        self._due: dict[int, deque[_Due]] = {after_s: deque() for after_s in AFTER_S}
        """Fills in the order in which they are to be marked."""

    def start(self) -> None:
        """Nothing to do: only what is filled from now on can be marked in time."""

    def close(self) -> None:
        """Nothing to do: what waits has no mark."""

    def turn(self, now_ns: int) -> int:
        """Take new fills, mark those whose time came; return how much was done."""
        reader, done = self._reports, 0
        kind = reader.poll()
        while kind != EMPTY:
            done += 1
            if kind == OVERRUN:
                self._count("markout.reports_lost")
            elif kind == REPORT.kind:
                self._take(REPORT.unpack(reader.buffer), now_ns)
            if done == _A_TURN:
                break
            kind = reader.poll()
        for waiting in self._due.values():
            while waiting and now_ns >= waiting[0].at_ns:
                self._mark(waiting.popleft())
                done += 1
        return done

    def _take(self, report: ReportRecord, now_ns: int) -> None:
        if report.kind != ReportKind.FILL or report.order_type not in _TAKING:
            return
        age_ns = self._age_ns(report)
        if age_ns is None:
            self._count("markout.age_unknown")
            return
        module = self._name(report.module)
        bound_ns = next(bound_ns for bound_ns in AGES_NS if age_ns < bound_ns)
        for after_s, waiting in self._due.items():
            if len(waiting) >= _DUE_MAX:
                self._count("markout.dropped")
                continue
            waiting.append(
                _Due(
                    now_ns + after_s * _S_NS,
                    report.instrument,
                    report.generation,
                    report.price_e4,
                    report.size_e6,
                    report.action == Action.BUY,
                    markout_name(module, after_s, bound_ns),
                )
            )

    def _name(self, raw: bytes) -> str:
        """Return what a module's counters are called: there is room for some modules only."""
        found = self._modules.get(raw)
        if found is None:
            found = OTHERS
            if len(self._modules) < _MODULES_MAX:
                found = self._modules[raw] = raw.rstrip(b"\0").decode("ascii", "replace")
        return found

    def _age_ns(self, report: ReportRecord) -> int | None:
        """Return the age of an order's decision when it left; None when its row does not tell."""
        orders = self._orders
        if report.order_row >= orders.rows or orders.read(report.order_row) <= 0:
            return None
        order = ORDER_ROW.unpack(orders.buffer)
        if order.id != report.intent or not order.recv_ns or order.sent_ns < order.recv_ns:
            return None
        return order.sent_ns - order.recv_ns

    def _mark(self, due: _Due) -> None:
        mid_e5 = self._mid_e5(due)
        if mid_e5 is None:
            self._count(f"{due.prefix}.unmarked_e6", due.size_e6)
            return
        gain_e5 = mid_e5 - 10 * due.price_e4 if due.buys else 10 * due.price_e4 - mid_e5
        self._count(f"{due.prefix}.shares_e6", due.size_e6)
        word = "gain" if gain_e5 > 0 else "loss"
        self._count(f"{due.prefix}.{word}_e6", abs(gain_e5) * due.size_e6 // (10 * ONE_E4))

    def _mid_e5(self, due: _Due) -> int | None:
        """Return the mid of the token in 1e-5 dollar: of two prices on the grid it is whole."""
        books, market = self._books, due.instrument >> 1
        if market >= books.rows or books.read(market) <= 0:
            return None
        book = BOOK_ROW.unpack(books.buffer)
        if book.generation != due.generation or book.book_flags & _UNMARKED:
            return None
        if not (book.bid_count and book.ask_count):
            return None
        yes_e5 = 5 * (book.bid_price_e4[0] + book.ask_price_e4[0])
        return 10 * ONE_E4 - yes_e5 if due.instrument & 1 else yes_e5

    def _count(self, name: str, amount: int = 1) -> None:
        found = self._cells.get(name)
        if found is None:
            found = self._cells[name] = self._cell(name)
        found.add(amount)
