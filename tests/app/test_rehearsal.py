"""The rehearsal decides and sends for nobody, and its faults stay its own."""

import pytest

from lowlat.app.config import EngineConfig
from lowlat.app.machine import Metrics
from lowlat.app.rehearsal import Rehearsal
from lowlat.core.clock import monotonic_ns
from lowlat.core.config import decode_config
from lowlat.net.ourselves import secure_both
from lowlat.net.warm import WarmLine, WarmSends
from lowlat.shm.private import PrivateStats
from tests.app.config_text import GOOD

STALL_NS = 2_000_000
"""Between two turns: this process was not on its core."""


class Stats(PrivateStats):
    def __init__(self):
        self.cells = {}

    def counter(self, name):
        return self.cells.setdefault(name, super().counter(name))


class Stage:
    """A rehearsal, its cells, its notes, and whether an order of ours is under way."""

    def __init__(self, config, secure):
        self.stats, self.notes, self.under_way = Stats(), [], False
        self.stalls = 0
        self.line = WarmLine(secure)
        self.rehearsal = Rehearsal(
            config,
            self.line,
            Metrics(self.stats),
            lambda: self.under_way,
            lambda kind, sample: self.notes.append((kind, sample)),
        )
        self.rehearsal.start()

    def count(self, name):
        return self.stats.cells[f"rehearsal.{name}"].value

    def turn_until(self, condition, seconds=60):
        now_ns = monotonic_ns()
        deadline_ns = now_ns + seconds * 10**9
        while not condition():
            assert now_ns < deadline_ns, (self.notes, self.count("missed"))
            assert self.rehearsal.turn(now_ns) == 0
            before_ns, now_ns = now_ns, monotonic_ns()
            self.stalls += now_ns - before_ns > STALL_NS


@pytest.fixture(params=[None, secure_both], ids=["plain", "tls"])
def stage(request):
    made = Stage(decode_config(GOOD, EngineConfig), request.param)
    yield made
    made.rehearsal.close()


def test_every_rehearsal_sends_one_order_to_ourselves(stage):
    stage.turn_until(lambda: stage.count("orders") >= 50)
    # A wish is good for milliseconds: where the machine took longer to come back, it may end.
    assert stage.count("missed") <= stage.stalls
    assert not stage.notes


def test_orders_that_come_fast_do_not_use_its_rows_up(stage, monkeypatch):
    monkeypatch.setattr("lowlat.app.rehearsal._EVERY_NS", 0)
    stage.turn_until(lambda: stage.count("orders") >= 1_500 or stage.notes)
    assert not stage.notes


def test_nothing_is_rehearsed_while_an_order_is_under_way(stage):
    stage.turn_until(lambda: stage.count("orders") >= 2 and stage.rehearsal._at == 0)
    stage.under_way = True
    before = stage.count("orders")
    until_ns = monotonic_ns() + 20_000_000
    stage.turn_until(lambda: monotonic_ns() > until_ns)
    assert stage.count("orders") == before
    stage.under_way = False
    stage.turn_until(lambda: stage.count("orders") > before)


def test_a_fault_ends_the_rehearsal_and_nothing_else(stage):
    stage.turn_until(lambda: stage.count("orders") >= 2 and stage.rehearsal._at == 0)
    stage.rehearsal._transport.taken = lambda: 1 // 0
    stage.turn_until(lambda: stage.notes)
    assert [kind for kind, _ in stage.notes] == ["rehearsal ended"]
    before = stage.count("orders")
    assert [stage.rehearsal.turn(monotonic_ns()) for _ in range(100)] == [0] * 100
    assert stage.count("orders") == before


@pytest.mark.parametrize("secure", [None, secure_both], ids=["plain", "tls"])
def test_a_million_bytes_to_ourselves_pass_without_filling_up(secure):
    sends = WarmSends(WarmLine(secure))
    line = sends._line
    for turn in range(1_000):
        sends.turn(turn * 1_000_000)
    assert line._line.requests >= 990
    line._in.close()
    for turn in range(1_000, 1_010):
        sends.turn(turn * 1_000_000)
    assert not line.usable
    sends.close()
