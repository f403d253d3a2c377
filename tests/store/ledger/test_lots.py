"""Lots: FIFO with one's own first, nothing created or lost, whatever the order of events."""

from hypothesis import given
from hypothesis import strategies as st

from lowlat.store.ledger.lots import FAILED, SOLD, Lot, TokenLots


def lot(owner, trade, size, cost):
    return Lot(owner, "o" + trade, trade, 0, 1, size, cost, size, cost)


def test_own_lots_go_first_then_the_oldest():
    lots = TokenLots([lot("a", "1", 10, 40), lot("b", "2", 10, 50), lot("a", "3", 10, 60)])
    closings = lots.close(SOLD, ("x", "y"), "b", 5, 15, 150)
    assert [(each.lot.trade_id, each.size_e6, each.cost_e6) for each in closings] == [
        ("2", 10, 50),
        ("1", 5, 20),
    ]
    assert [each.proceeds_e6 for each in closings] == [100, 50]
    assert [(each.trade_id, each.left_e6) for each in lots.open] == [("1", 5), ("3", 10)]


def test_a_failed_fill_takes_its_own_lot_back():
    lots = TokenLots([lot("a", "1", 10, 40), lot("a", "2", 10, 50)])
    (closing,) = lots.close(FAILED, ("o2", "2"), "a", 5, 10, 50)
    assert closing.lot.trade_id == "2"
    assert closing.cost_e6 == closing.proceeds_e6 == 50


def test_more_of_a_fill_grows_its_lot():
    lots = TokenLots([])
    first = lots.buy(lot("a", "1", 10, 40))
    assert lots.buy(lot("a", "1", 5, 21)) is first
    assert (first.size_e6, first.left_cost_e6) == (15, 61)


def test_what_no_lot_holds_is_left_out():
    lots = TokenLots([lot("a", "1", 10, 40)])
    closings = lots.close(SOLD, ("x", "y"), "a", 5, 25, 250)
    assert sum(each.size_e6 for each in closings) == 10
    assert sum(each.proceeds_e6 for each in closings) == 100
    assert lots.open == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "fail"]),
        st.sampled_from("abc"),
        st.integers(1, 10**12),
        st.integers(0, 10**12),
    ),
    max_size=40,
)


@given(STEPS)
def test_shares_and_money_add_up(steps):
    lots = TokenLots([])
    bought = cost = closed = closed_cost = proceeds = 0
    for number, (what, owner, wanted, money) in enumerate(steps):
        if what == "buy":
            lots.buy(lot(owner, str(number), wanted, money))
            bought, cost = bought + wanted, cost + money
            continue
        size = min(wanted, lots.size_e6)
        fill = ("o0", "0") if what == "fail" else ("s", str(number))
        closings = lots.close(FAILED if what == "fail" else SOLD, fill, owner, 1, size, money)
        assert sum(each.size_e6 for each in closings) == size
        if size:
            assert sum(each.proceeds_e6 for each in closings) == money
        closed += size
        closed_cost += sum(each.cost_e6 for each in closings)
        proceeds += sum(each.proceeds_e6 for each in closings)
    assert bought - closed == lots.size_e6
    assert cost - closed_cost == sum(each.left_cost_e6 for each in lots.open)
    assert all(each.left_e6 > 0 for each in lots.open)
