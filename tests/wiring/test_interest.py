"""What modules look at reaches the template pool through one row, in one process or two."""

from types import SimpleNamespace

import pytest

from lowlat.core.layout import INTEREST_MARKETS, Action
from lowlat.shm.private import PrivateTable
from lowlat.wiring.interest import InterestBoard, Nominator

S = 1_000_000_000


class Signals:
    def __init__(self):
        self.rows = []

    def interesting(self):
        return self.rows


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
    return table, signals, executor, InterestBoard(signals, table.writer), table.reader()


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
    again = InterestBoard(Signals(), table.reopen(2))
    again.start()
    assert Nominator(reader, executor).nominate() == 2
