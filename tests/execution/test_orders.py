"""The order state table, row by row, and that evidence in any order leads to one state."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import OrderRow, OrderState
from lowlat.execution.orders import (
    ILLEGAL,
    NEXT,
    TERMINAL,
    Fill,
    FillState,
    Heard,
    Order,
    advance_fill,
    hear,
)

# One letter a state, columns in the order of Heard; "!" = illegal.
LETTERS = {
    "N" if state == OrderState.UNMATCHED else state.name[0]: state
    for state in OrderState
    if state != OrderState.NONE
}
TABLE = """
S: L  M  D  N  R  C  E  U  L  M  S!
U: L  M  D  N  R  C  E  U  L  M  C
D: L  M  D  N  R  C  E  D  L  M  C
R: L! M! R  N  R  C  E  R  L! M! R
L: L  M  L  N  L! C  E  L  L  M  C
N: N  M! N  N  N  C  E  N  N! M! N
E: E  M  E  E  E! C  E  E  E  M  E
C: C  M  C  C  C! C  C  C  C  M  C
M: M  M  M  M! M! M  M  M  M  M  M!
"""
CASES = [
    (LETTERS[line[0]], Heard(column), LETTERS[cell[0]], cell.endswith("!"))
    for line in TABLE.strip().splitlines()
    for column, cell in enumerate(line.split()[1:])
]


def make_order(state=OrderState.SENDING, **fields):
    values = dict.fromkeys(OrderRow._fields, 0) | {
        "order_id": bytes(32),
        "token_id": bytes(32),
        "module": bytes(16),
        "state": int(state),
        **fields,
    }
    return Order(0, OrderRow(**values))


@pytest.mark.parametrize(("state", "heard", "goes_to", "illegal"), CASES)
def test_table_cell(state, heard, goes_to, illegal):
    order = make_order(state)
    assert hear(order, heard) is not illegal
    assert order.state == goes_to


def test_table_is_whole():
    assert len(CASES) == len(NEXT) == 9 * len(Heard)
    assert {(state, heard) for state, heard, _, illegal in CASES if illegal} == ILLEGAL


@given(st.lists(st.sampled_from([each for each in Heard if each != Heard.GONE]), max_size=6))
def test_any_order_of_the_same_evidence_ends_in_one_state(evidence):
    ends = set()
    for sequence in list(permutations(evidence))[:120]:
        order = make_order()
        for heard in (*sequence, *sequence):
            hear(order, heard)
        # LOST is the absence of an answer: after any evidence it says nothing.
        ends.add(order.state)
    assert len(ends) == 1


@given(st.lists(st.sampled_from(list(Heard)), max_size=12))
def test_terminal_orders_never_open_again_but_by_proof_of_life(evidence):
    order = make_order()
    for heard in evidence:
        before = order.state
        hear(order, heard)
        if before in TERMINAL and before != OrderState.REJECTED:
            assert order.state in TERMINAL


@pytest.mark.parametrize(
    ("sequence", "steps", "legal"),
    [
        ("MATCHED", [], True),
        ("MINED", ["MINED"], True),
        ("CONFIRMED", ["MINED", "CONFIRMED"], True),
        ("MINED MATCHED CONFIRMED", ["MINED", "CONFIRMED"], True),
        ("FAILED", ["FAILED"], True),
        ("MINED FAILED FAILED", ["MINED", "FAILED"], True),
        ("CONFIRMED FAILED", ["MINED", "CONFIRMED"], False),
        ("FAILED CONFIRMED", ["FAILED"], False),
        ("CONFIRMED MINED CONFIRMED", ["MINED", "CONFIRMED"], True),
    ],
)
def test_fill_settles_step_by_step_and_once(sequence, steps, legal):
    fill = Fill("t", 1, 1, 0, 5000, maker=False, final=True)
    taken, fine = [], True
    for name in sequence.split():
        news, ok = advance_fill(fill, FillState[name])
        taken += [step.name for step in news]
        fine = fine and ok
    assert (taken, fine) == (steps, legal)


def test_resting_buy_holds_the_unfilled_part_and_its_worst_fee():
    order = make_order(
        OrderState.LIVE, size_e6=100_000_000, maker_amount_e6=50_000_000, order_type=0
    )
    assert order.hold_e6() == 50_000_000 + 3_500_000
    order.matched_e6, order.cash_e6 = 40_000_000, 18_000_000
    assert order.hold_e6() == 30_000_000 + 2_100_000
    order.state = OrderState.CANCELED
    assert order.hold_e6() == 0


def test_sell_holds_no_cash():
    order = make_order(action=1, size_e6=10_000_000, maker_amount_e6=10_000_000)
    assert order.hold_e6() == 0
