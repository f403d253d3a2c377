"""Garbage is collected after a minute without orders, and never while somebody trades."""

from lowlat.app.sweep import OrderCount, Sweep
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments

MINUTE = 60_000_000_000


def test_a_minute_without_orders_is_a_cold_moment():
    orders, collected = [0], []
    sweep = Sweep(lambda: orders[0], lambda: collected.append(now_ns))
    found = []
    for minute, count in enumerate((0, 0, 3, 3, 3, 4)):
        orders[0] = count
        for now_ns in (minute * MINUTE + 1, minute * MINUTE + MINUTE // 2):
            sweep.turn(now_ns)
    found = [at // MINUTE for at in collected]
    assert found == [1, 3, 4], "not the first look, not after orders"


def test_orders_are_read_wherever_the_executor_lives(instance):
    segments = create_segments(instance, streams={}, tables={}, stats=["executor", "risk"])
    with Attachment(instance, "risk") as mine, Attachment(instance, "executor") as other:
        count = OrderCount(mine, "executor")
        assert count() == 0
        orders = other.open_stats().counter("executor.orders")
        orders.add(2)
        assert count() == 2
        orders.add(1)
        assert count() == 3
    segments.unlink()
