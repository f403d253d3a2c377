"""The plain loop: turns, waits only when idle, signals between turns, order of closing."""

import gc
import os
import signal

import pytest
from test_engine import Failing, Null

from lowlat.app.loop import LoopCells, PlainLoop, Tick


class Counting:
    name = "counting"

    def __init__(self, works, log):
        self.works = works
        self.log = log

    def start(self):
        self.log.append("start")

    def turn(self, now_ns):
        self.log.append("turn")
        return self.works.pop(0) if self.works else 0

    def close(self):
        self.log.append("close")


class Waiting:
    def __init__(self, log, then):
        self.log = log
        self.then = then

    def wait(self):
        self.log.append("wait")
        self.then()


@pytest.fixture
def cells():
    return LoopCells(Null(), Null(), Null(), Null())


def test_loop_waits_only_behind_a_turn_without_work(cells):
    log = []
    waiting = Waiting(log, None)
    loop = PlainLoop([Counting([2, 1], log)], cells, waiting)
    waiting.then = loop.stop
    loop.run()
    assert log == ["start", "turn", "turn", "turn", "wait", "close"]
    assert cells.turns.value == 3
    assert cells.heartbeat.value > 0
    assert gc.isenabled()
    gc.unfreeze()


def test_signal_is_obeyed_between_two_turns(cells):
    log = []
    loop = PlainLoop(
        [Counting([], log)], cells, Waiting(log, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    )
    before = signal.getsignal(signal.SIGUSR1)
    try:
        loop.on_signal(signal.SIGUSR1, lambda: (log.append("asked"), loop.stop()))
        loop.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
    # The turn that was due is finished before anybody is told.
    assert log == ["start", "turn", "wait", "turn", "asked", "wait", "close"]
    gc.unfreeze()


def test_a_fault_in_a_turn_closes_every_engine_and_goes_on(cells):
    good, bad = Failing(None, 0), Failing(ZeroDivisionError("a bug"), 3)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        PlainLoop([good, bad], cells, Tick(1)).run()
    assert good.closed
    assert bad.closed
    assert gc.isenabled()
    gc.unfreeze()
