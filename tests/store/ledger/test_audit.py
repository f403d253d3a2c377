"""The ledger against itself: whatever the executor did adds up, and each broken row is named."""

import pytest
from ledger_rig import DOLLAR, Book, buy
from sqlalchemy import text

from lowlat.store.ledger.audit import audit


@pytest.fixture
def traded(desk, tmp_path, ledger, database):
    """Three buys, one of which fails, and shares that the venue takes."""
    book = Book(desk, tmp_path, ledger)
    buy(desk, 10, "a")
    order = buy(desk, 11, "b", "MATCHED")
    book.turn()
    desk.user(desk.trade_event(order, "11", "0.46", "b", "FAILED"))
    buy(desk, 12, "c")
    book.turn()
    return database


def test_what_an_executor_did_adds_up(traded):
    assert audit(traded) == []


def test_an_empty_ledger_has_nothing_to_add_up(database, ledger):
    assert audit(database) == []


@pytest.mark.parametrize(
    ("statement", "kind", "name"),
    [
        ("UPDATE fills SET size_e6 = size_e6 + 1 WHERE trade_id = 'a'", "order", "filled_e6"),
        ("UPDATE fills SET fee_e6 = fee_e6 + 1 WHERE trade_id = 'c'", "order", "fee_e6"),
        ("UPDATE cash SET cash_e6 = cash_e6 - 1", "cash", "cash_e6"),
        ("UPDATE lots SET left_e6 = left_e6 - 1 WHERE trade_id = 'c'", "lot", "size_e6"),
        ("UPDATE lots SET cost_e6 = cost_e6 + 1 WHERE trade_id = 'a'", "lot", "cost_e6"),
        ("UPDATE positions SET size_e6 = size_e6 + 1", "position", "size_e6"),
        ("DELETE FROM orders WHERE filled_e6 = 12000000", "order", "filled_e6"),
        ("DELETE FROM closings", "lot", "size_e6"),
    ],
)
def test_a_row_that_lies_is_named_with_both_numbers(traded, statement, kind, name):
    with traded.begin() as connection:
        assert connection.execute(text(statement)).rowcount >= 1
    found = audit(traded)
    assert (kind, name) in {(each.kind, each.field) for each in found}
    assert all(each.ledger != each.other for each in found)


def test_a_ledger_that_begins_in_the_middle_takes_the_balance_before_as_its_opening(
    desk, tmp_path, ledger, database
):
    buy(desk, 10, "before")
    book = Book(desk, tmp_path / "late", ledger)
    book.turn()
    assert audit(database) == []
    assert desk.cash().cash_e6 < 1_000 * DOLLAR
