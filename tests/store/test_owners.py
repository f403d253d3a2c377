"""Owners at the end of a boot: risk's copied rows, brought up to the positions by newer fills."""

from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import ORDER_ROW, POSITION_ROW, STAKE_ROW, Action, OrderRow
from lowlat.store.owners import NOBODY, owned_at_the_end

TOKEN = b"\x01" * 32
ONE, TWO = b"one".ljust(16, b"\0"), b"two".ljust(16, b"\0")


def blank(record):
    return record.row._make(record.codec.unpack(bytes(record.codec.size)))


def stake(owner, size, cost):
    return blank(STAKE_ROW)._replace(owner=owner, size_e6=size, cost_e6=cost, promised_e6=size)


def order(module, size, cash, at_ms, action=Action.BUY) -> OrderRow:
    return blank(ORDER_ROW)._replace(
        module=module, token_id=TOKEN, filled_e6=size, cash_e6=cash, created_wall_ms=at_ms,
        action=int(action),
    )  # fmt: skip


def owned(size, stakes, *orders):
    position = blank(POSITION_ROW)._replace(token_id=TOKEN, size_e6=size)
    found = owned_at_the_end({TOKEN: stakes}, {TOKEN: position}, orders)
    return {each.owner: (each.size_e6, each.cost_e6) for each in found}


def test_rows_that_add_up_are_taken_as_they_are():
    stakes = [stake(ONE, 70, 30), stake(NOBODY, 30, 0)]
    assert owned(100, stakes, order(TWO, 50, 20, 9)) == {ONE: (70, 30), NOBODY: (30, 0)}


def test_a_fill_that_risk_had_not_booked_is_its_modules():
    newest, older = order(TWO, 40, 20, 9), order(ONE, 70, 30, 5)
    assert owned(110, [stake(ONE, 70, 30)], older, newest) == {ONE: (70, 30), TWO: (40, 20)}
    # Of the order before it, the rest.
    assert owned(110, [stake(ONE, 60, 26)], older, newest) == {ONE: (70, 30), TWO: (40, 20)}


def test_a_sale_that_risk_had_not_booked_is_its_modules():
    sale = order(TWO, 30, 15, 9, Action.SELL)
    stakes = [stake(ONE, 70, 30), stake(TWO, 40, 20)]
    assert owned(80, stakes, sale) == {ONE: (70, 30), TWO: (10, 5)}


def test_what_no_order_explains_is_left_to_be_nobodys():
    assert owned(100, [stake(ONE, 70, 30)]) == {ONE: (70, 30)}
    assert owned(100, [stake(ONE, 70, 30)], order(NOBODY, 30, 12, 9)) == {ONE: (70, 30)}
    assert owned(0, [stake(ONE, 70, 30)]) == {}


amounts = st.integers(1, 10**9)
modules = st.sampled_from([ONE, TWO, NOBODY])
orders = st.builds(order, modules, amounts, amounts, amounts, st.sampled_from(Action))


@given(st.integers(0, 3 * 10**9), amounts, amounts, st.lists(orders, max_size=6))
def test_nothing_is_owned_below_zero_and_missing_shares_are_never_made_up(size, one, two, told):
    found = owned(size, [stake(ONE, one, one // 2), stake(TWO, two, two // 2)], *told)
    assert all(e6 > 0 and cost_e6 >= 0 for e6, cost_e6 in found.values())
    total = sum(e6 for e6, _ in found.values())
    assert total <= max(size, one + two)
    if size >= one + two:
        assert total <= size
