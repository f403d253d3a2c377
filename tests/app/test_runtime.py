"""The loop: how often engines are turned, what the watch hears, how it ends."""

import pytest

from lowlat.app.loop import LoopCells
from lowlat.app.runtime import Runtime, run_process
from lowlat.core.clock import monotonic_ns
from lowlat.net.options import PollWatch


class Cell:
    def __init__(self):
        self.value = 0
        self.calls = 0

    def add(self, count):
        self.value += count

    def set(self, value):
        self.value = value
        self.calls += 1

    def max(self, value):
        self.value = max(self.value, value)

    def record(self, value_ns):
        self.value = value_ns
        self.calls += 1


class Counting:
    """Stops the loop at its turn number ``turns``; keeps when each turn was."""

    name = "counting"

    def __init__(self, turns, worked=0):
        self.left = turns
        self.worked = worked
        self.at_ns = []

    def start(self):
        self.begun_ns = monotonic_ns()

    def turn(self, now_ns):
        self.at_ns.append(now_ns)
        self.left -= 1
        if self.left == 0:
            self.runtime.stop()
        return self.worked

    def close(self):
        self.closed = True


def run(engine, **options):
    cells = LoopCells(Cell(), Cell(), Cell(), Cell())

    async def main():
        engine.runtime = Runtime([engine], cells, **({"waiting": "busy", "tick_ms": 1} | options))
        await engine.runtime.run()
        return 0

    assert run_process(main) == 0
    return cells


def test_busy_loop_turns_every_spin():
    engine = Counting(200)
    cells = run(engine)
    assert cells.turns.value == len(engine.at_ns) == 200
    assert engine.closed


def test_spaced_turns_come_no_closer_while_the_loop_goes_on_spinning():
    engine = Counting(20)
    cells = run(engine, spaced_ns=300_000)
    gaps_ns = [b - a for a, b in zip(engine.at_ns, engine.at_ns[1:], strict=False)]
    assert min(gaps_ns) >= 300_000
    assert cells.turns.value > 3 * len(engine.at_ns), "sockets were not polled between two turns"
    assert cells.heartbeat.value == engine.at_ns[-1]


def test_parked_loop_turns_every_tick_whatever_the_spacing():
    engine = Counting(3)
    cells = run(engine, waiting="parked", spaced_ns=10**15)
    assert cells.turns.value == 3


@pytest.mark.parametrize("worked", [0, 1])
def test_only_working_turns_are_recorded(worked):
    cells = run(Counting(5, worked))
    # The collection before the first turn has its own histogram.
    assert cells.turn_ns.calls == 5 * worked
    assert cells.gc_ns.calls == 1


def test_watch_hears_of_every_spin_so_that_waiting_is_bounded():
    watch = PollWatch(Cell())
    engine = Counting(5)
    run(engine, spaced_ns=1_000_000, watch=watch)
    assert watch.empty_ns >= engine.at_ns[-1] > engine.begun_ns
