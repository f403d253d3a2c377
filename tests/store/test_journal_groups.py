"""A group's orders are kept until all of them are finished: half a group looks naked."""

from lowlat.core.layout import ORDER_ROW, OrderState
from lowlat.execution.orders import blank_row
from lowlat.store.journal_file import Batch, Entry, EntryKind
from lowlat.store.journal_state import JournalState


def order(number, *, group=9, confirmed=False):
    return blank_row()._replace(
        id=number,
        group=group,
        order_id=bytes([number]) * 32,
        state=int(OrderState.MATCHED),
        size_e6=50_000_000,
        filled_e6=50_000_000,
        confirmed_e6=50_000_000 if confirmed else 0,
        claimed_e6=50_000_000,
        leg=number,
        legs=2,
    )


def applied(*orders):
    state = JournalState()
    for position, row in enumerate(orders, 1):
        entry = Entry(EntryKind.ORDER, ORDER_ROW.codec.pack(*row))
        state.apply(Batch(position, position, 1, (entry,)))
    return state


def kept(state):
    return sorted(row.id for row in state.recovered().orders)


def test_confirmed_leg_is_kept_while_its_sibling_is_not_confirmed():
    state = applied(order(1), order(2), order(1, confirmed=True))
    assert kept(state) == [1, 2]


def test_group_is_forgotten_as_a_whole_once_every_leg_is_confirmed():
    state = applied(order(1), order(2), order(1, confirmed=True), order(2, confirmed=True))
    assert kept(state) == []


def test_checkpoint_carries_what_a_group_still_needs():
    state = applied(order(1), order(2), order(1, confirmed=True))
    again = JournalState()
    again.apply(state.checkpoint(1, 1, 1))
    assert kept(again) == [1, 2]
    again.apply(
        Batch(2, 2, 1, (Entry(EntryKind.ORDER, ORDER_ROW.codec.pack(*order(2, confirmed=True))),))
    )
    assert kept(again) == []


def test_order_outside_a_group_is_forgotten_at_once():
    assert kept(applied(order(1, group=0, confirmed=True))) == []
