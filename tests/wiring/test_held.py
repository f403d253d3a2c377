"""Whether a market's row may go to another market, by the executor's tables."""

import pytest

from lowlat.core.layout import ORDER_ROW, POSITION_ROW, OrderState
from lowlat.core.ports import READ_BUSY
from lowlat.shm.private import PrivateTable
from lowlat.wiring.held import Held

MARKET = 7


def empty(record):
    values = {}
    for name, hint in record.row.__annotations__.items():
        values[name] = b"" if hint.__metadata__[0].endswith("s") else 0
    return values


@pytest.fixture
def account():
    positions = PrivateTable("positions", rows=64)
    orders = PrivateTable("orders", rows=8)
    return positions, orders, Held(positions.reader(), orders.reader())


def put(table, record, row, **values):
    record.pack(table.writer.buffer, record.row(**(empty(record) | values)))
    table.writer.write(row)


def test_nothing_was_ever_written(account):
    assert not account[2].holds(MARKET)


@pytest.mark.parametrize("token", [2 * MARKET, 2 * MARKET + 1])
def test_shares_of_either_token_hold_the_row(account, token):
    positions, _, held = account
    put(positions, POSITION_ROW, token, size_e6=1, instrument=token)
    assert held.holds(MARKET)
    assert not held.holds(MARKET + 1)
    put(positions, POSITION_ROW, token, size_e6=0, instrument=token)
    assert not held.holds(MARKET)


@pytest.mark.parametrize("state", [state for state in OrderState if state])
def test_orders_hold_it_while_something_is_expected_of_them(account, state):
    _, orders, held = account
    under_way = state in {
        OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN,
    }  # fmt: skip
    put(orders, ORDER_ROW, 3, instrument=2 * MARKET + 1, state=int(state))
    assert held.holds(MARKET) is under_way
    assert not held.holds(MARKET + 1)


@pytest.mark.parametrize(
    ("amounts", "holds"),
    [
        ({"filled_e6": 5, "confirmed_e6": 5, "claimed_e6": 5}, False),
        ({"filled_e6": 5, "confirmed_e6": 3, "claimed_e6": 5}, True),
        ({"filled_e6": 5, "confirmed_e6": 5, "claimed_e6": 9}, True),
    ],
)
def test_a_fill_that_is_not_final_holds_it(account, amounts, holds):
    _, orders, held = account
    state = int(OrderState.MATCHED)
    put(orders, ORDER_ROW, 0, instrument=2 * MARKET, state=state, **amounts)
    assert held.holds(MARKET) is holds


class Busy:
    rows = 64
    buffer = memoryview(b"")

    def version(self, row):
        return row + 1

    def read(self, row):
        return READ_BUSY


def test_a_row_that_cannot_be_read_may_hold_something(account):
    positions, orders, _ = account
    assert Held(Busy(), orders.reader()).holds(MARKET)
    assert Held(positions.reader(), Busy()).holds(MARKET)


def test_all_of_ours_by_market(account):
    positions, orders, held = account
    assert held.markets() == set()
    put(positions, POSITION_ROW, 5, size_e6=1, instrument=5)
    put(orders, ORDER_ROW, 3, instrument=18, state=int(OrderState.LIVE))
    assert held.markets() == {2, 9}
    put(orders, ORDER_ROW, 3, instrument=18, state=int(OrderState.CANCELED))
    assert held.markets() == {2}


def test_tokens_without_a_market_are_named_as_the_venue_names_them(account):
    positions, _, held = account
    assert held.unlisted() == set()
    put(positions, POSITION_ROW, 56, token_id=(77).to_bytes(32, "big"), instrument=56)
    put(positions, POSITION_ROW, 58, token_id=(78).to_bytes(32, "big"), instrument=58, size_e6=5)
    assert held.markets() == {29}
    assert held.unlisted() == {"77", "78"}
    put(positions, POSITION_ROW, 56, token_id=bytes(32), instrument=56)
    assert held.unlisted() == {"78"}
