"""What modules look at reaches the template pool through one row, in one process or two."""

from types import SimpleNamespace

import pytest

from lowlat.core.errors import ConfigError
from lowlat.core.interest import Interest, interest_of_row
from lowlat.core.layout import INTEREST_MARKETS, Action
from lowlat.shm.private import PrivateTable
from lowlat.wiring.interest import InterestBoard, Nominator

S = 1_000_000_000


class Signals:
    def __init__(self):
        self.rows = []
        self.modules = {}
        self.wishes = []

    def wants(self):
        return self.wishes

    def interesting(self):
        return self.rows


class Wants:
    def __init__(self):
        self.modules = {}
        self.wishes = []

    def interesting(self):
        return []

    def wants(self):
        return self.wishes


class Count:
    value = 0

    def set(self, value):
        self.value = value


class Executor:
    def __init__(self, room=1_000):
        self.room = room
        self.named = []

    def nominate(self, instrument, action):
        if len(self.named) >= self.room:
            return False
        self.named.append((instrument, action))
        return True


def market(number, coin=1, neg_risk=0):
    return SimpleNamespace(market=number, coin=coin, neg_risk=neg_risk)


@pytest.fixture
def pair():
    table = PrivateTable("interest")
    signals, executor = Signals(), Executor()
    board = InterestBoard(signals, table.writer, PrivateTable("wants").writer, Count())
    return table, signals, executor, board, table.reader()


def test_nothing_is_nominated_before_anything_was_told(pair):
    _, _, executor, _, reader = pair
    assert Nominator(reader, executor).nominate() == 0
    assert executor.named == []


def test_both_sides_of_what_may_be_taken_alone_are_kept_signed(pair):
    _, signals, executor, board, reader = pair
    signals.rows = [market(3), market(4, coin=0), market(5, coin=0, neg_risk=1)]
    assert board.turn(S) == 1
    assert Nominator(reader, executor).nominate() == 4
    assert executor.named == [
        (6, Action.BUY), (7, Action.BUY), (10, Action.BUY), (11, Action.BUY),
    ]  # fmt: skip


def test_the_row_is_written_only_when_it_says_something_new(pair):
    _, signals, _, board, reader = pair
    signals.rows = [market(3)]
    assert board.turn(S) == 1
    assert board.turn(2 * S) == 0
    assert reader.version(0) == 1
    signals.rows = []
    assert board.turn(3 * S) == 1
    assert board.turn(3 * S + 1) == 0, "it looks now and then"


def test_no_more_markets_than_fit_and_the_first_come_first(pair):
    _, signals, executor, board, reader = pair
    signals.rows = [market(number) for number in range(INTEREST_MARKETS + 9)]
    board.turn(S)
    assert Nominator(reader, executor).nominate() == 2 * INTEREST_MARKETS
    assert executor.named[-1] == (2 * INTEREST_MARKETS - 1, Action.BUY)


def test_a_full_pool_ends_the_round(pair):
    _, signals, executor, board, reader = pair
    executor.room = 3
    signals.rows = [market(1), market(2)]
    board.turn(S)
    assert Nominator(reader, executor).nominate() == 3


def test_interest_is_renewed_every_second_and_not_more_often(pair):
    _, signals, executor, board, reader = pair
    nominator = Nominator(reader, executor)
    signals.rows = [market(1)]
    board.turn(S)
    for now_ns in (S, S + 1, 2 * S - 1, 2 * S):
        nominator.turn(now_ns)
    assert len(executor.named) == 4


def test_next_life_of_signals_leaves_the_pool_as_it_was(pair):
    table, signals, executor, board, reader = pair
    signals.rows = [market(1)]
    board.turn(S)
    board.close()
    again = InterestBoard(Signals(), table.reopen(2), PrivateTable("wants").writer, Count())
    again.start()
    assert Nominator(reader, executor).nominate() == 2


def wishes_in(table):
    reader = table.reader()
    found = [interest_of_row(reader.buffer) for row in range(reader.rows) if reader.read(row) > 0]
    return [each for each in found if each is not None]


def test_what_modules_want_is_written_once_and_again_when_other_modules_work():
    wants, signals = PrivateTable("wants", rows=4), Signals()
    board = InterestBoard(signals, PrivateTable("interest").writer, wants.writer, Count())
    updown = Interest(100, slug_prefixes=("btc-updown", "eth-updown"), ends_within_ns=3600 * S)
    events = Interest(50, tags=("politics",), neg_risk=True, liquidity_e6_min=7)
    signals.modules = {"a": ("module a", 0), "b": ("module b", 0)}
    signals.wishes = [("b", events), ("a", updown)]
    board.turn(S)
    assert wishes_in(wants) == [("a", updown), ("b", events)]
    board.turn(2 * S)
    assert wants.reader().version(0) == 1
    signals.modules = {"a": ("module a", 0)}
    signals.wishes = [("a", updown)]
    board.turn(3 * S)
    assert wishes_in(wants) == [("a", updown)], "a module that was switched off wants nothing"


def test_wishes_that_find_no_row_are_the_least_and_are_counted():
    wants, signals, left_out = PrivateTable("wants", rows=2), Signals(), Count()
    board = InterestBoard(signals, PrivateTable("interest").writer, wants.writer, left_out)
    signals.wishes = [("a", Interest(priority)) for priority in (3, 9, 5)]
    board.turn(S)
    assert [wish.priority for _, wish in wishes_in(wants)] == [9, 5]
    assert left_out.value == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"priority": 0}, "priority was 0, expected 1 to 1000"),
        ({"priority": 5, "tags": ("x" * 97,)}, "96 bytes"),
        ({"priority": 5, "series": ("a,b",)}, "series was"),
        ({"priority": 5, "slug_prefixes": ("caf\u00e9",)}, "ASCII"),
    ],
)
def test_a_wish_that_no_row_holds_is_refused_where_it_is_made(fields, words):
    with pytest.raises(ConfigError, match=words):
        Interest(**fields)
