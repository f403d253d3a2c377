"""What is kept of a market: as long as its generation lives, and not a row longer."""

from engine_fakes import World

from lowlat.core.layout import Action, OrderState
from lowlat.signals._watch import Watch
from lowlat.signals.kept import Kept
from lowlat.signals.own import OwnOrder


class Entry:
    def __init__(self, row):
        self.row = row
        self.watch = Watch(row.market, lambda book, now_ns: None)


def order(instrument, generation):
    return OwnOrder(
        1, instrument, generation, int(Action.BUY), 0, int(OrderState.LIVE), 5_000, 1, 0, 0, 0
    )


def test_a_changed_row_keeps_the_entry_and_asks_for_a_look():
    world, kept = World(), Kept(Entry)
    assert kept.take(world.put_market(3))
    entry = kept[3]
    entry.watch.due_ns = 77
    changed = world.put_market(3, tick_e4=10)
    assert not kept.take(changed)
    assert kept[3] is entry
    assert (entry.row, entry.watch.due_ns) == (changed, 0)


def test_another_market_in_its_place_begins_anew():
    world, kept = World(), Kept(Entry)
    row = world.put_market(3)
    kept.take(row)
    entry = kept[3]
    later = row._replace(generation=row.generation + 1)
    assert kept.take(later)
    assert kept[3] is not entry
    assert kept.get(3, row.generation) is None
    assert kept.get(3, later.generation) is kept[3]


def test_orders_find_their_market_only_while_it_lives():
    world, kept = World(), Kept(Entry)
    row = world.put_market(3)
    kept.take(row)
    assert kept.of_order(order(7, row.generation)) is kept[3]
    assert kept.of_order(order(7, row.generation + 1)) is None
    assert kept.of_order(order(9, row.generation)) is None
    found = kept.drop(3)
    assert found is not None
    assert kept.drop(3) is None
    assert list(kept) == []
    assert kept.of_order(order(7, row.generation)) is None
