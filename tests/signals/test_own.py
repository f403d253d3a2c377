"""What a module hears of its own orders: reports as they come, the tables when it joins late."""

from typing import ClassVar

import pytest
from engine_fakes import World
from signals_rig import make

from lowlat.core.layout import REPORT, OrderRow, OrderState, ReportKind, ReportRecord
from lowlat.core.units import E6
from lowlat.signals.module import Mode, Module


class Hearing(Module):
    name: ClassVar[str] = "hearing"

    def __init__(self, params=None):
        super().__init__(params)
        self.heard = []

    def interest(self, row):
        return True

    def on_order(self, order, now_ns):
        held_e6 = self.ctx.position_e6(order.instrument)
        self.heard.append((order.intent, order.kind, order.open, order.size_e6, held_e6))


class Deaf(Module):
    name: ClassVar[str] = "deaf"

    def interest(self, row):
        return True


@pytest.fixture
def world():
    world = World()
    world.put_market(0)
    return world


def report(world, kind, state, *, intent=9, module=b"hearing", size=0, position=0):
    fields = dict.fromkeys(ReportRecord._fields, 0)
    for name in ("order_id", "trade_id", "trade_text"):
        fields[name] = b""
    fields |= {
        "kind": int(kind),
        "order_state": int(state),
        "intent": intent,
        "module": module,
        "size_e6": size * E6,
        "position_e6": position * E6,
    }
    world.reports.send(REPORT, ReportRecord(**fields))


def put_order(world, row, intent, state, module=b"hearing"):
    fields = dict.fromkeys(OrderRow._fields, 0)
    for name in ("order_id", "token_id"):
        fields[name] = b""
    fields |= {"id": intent, "state": int(state), "module": module, "size_e6": 5 * E6}
    world.orders.put(row, OrderRow(**fields))


def test_a_module_hears_of_its_own_orders_only(world):
    module = Hearing()
    engine = make(world, module, Deaf(None))
    report(world, ReportKind.SENDING, OrderState.SENDING, size=10)
    report(world, ReportKind.FILL, OrderState.MATCHED, size=10, position=10)
    report(world, ReportKind.FILL, OrderState.MATCHED, intent=8, module=b"other", position=14)
    report(world, ReportKind.GROUP, OrderState.NONE)
    engine.turn(world.now)
    assert module.heard == [
        (9, ReportKind.SENDING, True, 10 * E6, 0),
        (9, ReportKind.FILL, False, 10 * E6, 10 * E6),
    ]
    assert engine.position_e6(0) == 14 * E6


def test_open_orders_and_positions_are_read_at_the_start(world):
    put_order(world, 0, 41, OrderState.LIVE)
    put_order(world, 1, 42, OrderState.CANCELED)
    put_order(world, 2, 43, OrderState.LIVE, module=b"other")
    world.put_position(world.positions, 0, 7, 3.0)
    module = Hearing()
    make(world, module)
    assert module.heard == [(41, 0, True, 5 * E6, 7 * E6)]


def test_an_overrun_is_made_up_for_from_the_tables(world):
    module = Hearing()
    engine = make(world, module)
    put_order(world, 0, 41, OrderState.LIVE)
    world.reports.readers[0].overrun = True
    engine.turn(world.now)
    assert [each[0] for each in module.heard] == [41]
    assert world.counts["signals.overruns"] == 1


def test_who_joins_late_hears_of_nothing_that_is_over(world):
    engine = make(world, Deaf(None))
    report(world, ReportKind.SENDING, OrderState.SENDING)
    report(world, ReportKind.CANCELED, OrderState.CANCELED)
    module = Hearing()
    engine.reload([(module, Mode.PAPER)])
    engine.turn(world.now)
    assert module.heard == []


def test_nobody_asks_nobody_polls(world):
    engine = make(world, Deaf(None))
    report(world, ReportKind.SENDING, OrderState.SENDING)
    engine.turn(world.now)
    assert world.reports.readers[0].position == 1
