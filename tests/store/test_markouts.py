"""Fills are marked at the mid after a second, ten and sixty, by the age of their decision."""

from types import SimpleNamespace

import pytest
from engine_fakes import Stream, Table

from lowlat.core.layout import (
    BOOK_ROW,
    ORDER_ROW,
    REPORT,
    Action,
    BookFlag,
    BookRow,
    OrderRow,
    OrderType,
    ReportKind,
    ReportRecord,
)
from lowlat.core.units import E6
from lowlat.store.markouts import AGES_NS, OTHERS, MarkoutEngine, markout_name

S = 1_000_000_000
US = 1_000
MODULE = b"latency".ljust(16, b"\0")


class Counts(dict):
    def cell(self, name):
        return SimpleNamespace(
            add=lambda amount: self.__setitem__(name, self.get(name, 0) + amount)
        )


def blank(record, row_type, **changes):
    """Return a row of zeros with some fields set."""
    empty = record.unpack(memoryview(bytearray(record.size_bytes)))
    return row_type(**(empty._asdict() | changes))


class Rig:
    def __init__(self):
        self.reports = Stream(REPORT.size_bytes)
        self.orders, self.books = Table(ORDER_ROW, 4), Table(BOOK_ROW, 4)
        self.counts = Counts()
        self.engine = MarkoutEngine(
            self.reports.reader(), self.orders, self.books, self.counts.cell
        )

    def book(self, bid_e4, ask_e4, **changes):
        row = blank(BOOK_ROW, BookRow, generation=1)
        bids = (bid_e4, *row.bid_price_e4[1:])
        asks = (ask_e4, *row.ask_price_e4[1:])
        fields = {"bid_price_e4": bids, "ask_price_e4": asks}
        fields |= {"bid_count": int(bid_e4 > 0), "ask_count": int(ask_e4 > 0)} | changes
        BOOK_ROW.pack(self.books.buffer, row._replace(**fields))
        self.books.write(0)

    def fill(self, age_ns=300 * US, outcome=0, price_e4=4000, shares=10, **changes):
        times = {"recv_ns": 5, "sent_ns": 5 + age_ns}
        self.orders.put(1, blank(ORDER_ROW, OrderRow, id=9, **times))
        fields = {
            "intent": 9,
            "kind": int(ReportKind.FILL),
            "order_type": int(OrderType.FAK),
            "order_row": 1,
            "instrument": outcome,
            "generation": 1,
            "price_e4": price_e4,
            "size_e6": shares * E6,
            "module": MODULE,
        }
        self.reports.send(REPORT, blank(REPORT, ReportRecord, **(fields | changes)))
        self.engine.turn(100 * S)

    def counted(self, after_s, age_ns=AGES_NS[1]):
        """Return what was counted of a horizon: word -> amount."""
        prefix = markout_name("latency", after_s, age_ns) + "."
        return {
            name.removeprefix(prefix): amount
            for name, amount in self.counts.items()
            if name.startswith(prefix)
        }


@pytest.fixture
def rig():
    rig = Rig()
    rig.book(3900, 4100)
    return rig


def test_each_horizon_sees_the_mid_of_its_own_time(rig):
    rig.fill()
    rig.engine.turn(101 * S - 1)
    assert rig.counted(1) == {}
    rig.book(4200, 4300)
    rig.engine.turn(101 * S)
    rig.book(3600, 3700)
    rig.engine.turn(110 * S)
    # Ten shares at .40: the mid is .425, then .365.
    assert rig.counted(1) == {"shares_e6": 10 * E6, "gain_e6": 250_000}
    assert rig.counted(10) == {"shares_e6": 10 * E6, "loss_e6": 350_000}
    assert rig.counted(60) == {}


@pytest.mark.parametrize(
    ("action", "outcome", "word"),
    [
        (Action.BUY, 0, "gain_e6"),
        (Action.SELL, 0, "loss_e6"),
        (Action.BUY, 1, "loss_e6"),
        (Action.SELL, 1, "gain_e6"),
    ],
)
def test_a_sale_gains_when_its_token_falls_and_no_when_yes_falls(rig, action, outcome, word):
    rig.fill(action=int(action), outcome=outcome, price_e4=6000 if outcome else 4000)
    rig.book(4400, 4600)
    rig.engine.turn(101 * S)
    assert rig.counted(1) == {"shares_e6": 10 * E6, word: 500_000}


@pytest.mark.parametrize("age_ns", [0, 199_999, 200_000, 3_000_000, 70_000_000])
def test_the_age_is_from_the_cause_to_the_write(rig, age_ns):
    rig.fill(age_ns)
    rig.engine.turn(101 * S)
    bound_ns = next(bound_ns for bound_ns in AGES_NS if age_ns < bound_ns)
    assert rig.counted(1, bound_ns)["shares_e6"] == 10 * E6


@pytest.mark.parametrize(
    "book",
    [
        {"book_flags": int(BookFlag.STALE)},
        {"generation": 2},
        {"ask_count": 0},
        {"bid_count": 0},
    ],
)
def test_without_a_sound_mid_a_fill_is_not_marked_and_says_so(rig, book):
    rig.fill()
    rig.book(4200, 4300, **book)
    rig.engine.turn(101 * S)
    assert rig.counted(1) == {"unmarked_e6": 10 * E6}


def test_only_fills_of_taking_orders_whose_age_is_known_are_marked(rig):
    rig.fill(kind=int(ReportKind.CONFIRMED))
    rig.fill(order_type=int(OrderType.GTC))
    rig.fill(intent=8)
    rig.fill(order_row=77)
    rig.engine.turn(300 * S)
    assert rig.counts == {"markout.age_unknown": 2}


def test_many_modules_share_what_counters_are_left(rig):
    for number in range(12):
        rig.fill(module=f"own{number}".encode().ljust(16, b"\0"))
    rig.engine.turn(500 * S)
    shares = {
        name.split(".")[1]: amount
        for name, amount in rig.counts.items()
        if name.endswith(".1s.1.shares_e6")
    }
    assert len(shares) == 8
    assert shares[OTHERS] == 5 * 10 * E6
    assert len(rig.counts) <= 8 * 3 * 4
